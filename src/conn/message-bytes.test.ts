import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { TestLink, turn } from '../../test/support/test-link.ts'
import { CloseError, ProtocolError } from '../session/errors.ts'
import { MessageBytes } from './message-bytes.ts'

/** The next chunks as text. */
async function take(bytes: MessageBytes, count: number): Promise<(string | undefined)[]> {
  const chunks: (string | undefined)[] = []
  for (let i = 0; i < count; i++) {
    const chunk = await bytes.read()
    chunks.push(chunk && Buffer.from(chunk).toString())
  }
  return chunks
}

describe('MessageBytes', () => {
  it('gives the bytes of all messages, and nothing for empty ones', async () => {
    const peer = new TestLink()
    await peer.receive(
      { opcode: 1, payload: 'one' },
      { opcode: 2, payload: '' },
      { opcode: 2, payload: 'two' },
    )
    await peer.receive({ opcode: 8 })
    const bytes = new MessageBytes(peer.conn)
    assert.deepEqual(await take(bytes, 2), ['one', 'two'])
    peer.stream.endInput()
    assert.deepEqual(await take(bytes, 2), [undefined, undefined])
  })

  it('puts a terminator behind each message, which nobody can spoil', async () => {
    const peer = new TestLink()
    await peer.receive({ opcode: 1, payload: 'one' }, { opcode: 2, payload: '' })
    const bytes = new MessageBytes(peer.conn, { terminator: Buffer.from('..') })
    assert.deepEqual(await take(bytes, 1), ['one'])
    ;(await bytes.read())?.fill(0)
    assert.deepEqual(await take(bytes, 1), ['..'])
  })

  it('gives fragments as they come', async () => {
    const peer = new TestLink()
    const bytes = new MessageBytes(peer.conn, { type: 'text' })
    const first = bytes.read()
    await peer.receive({ opcode: 1, fin: false, payload: 'on' })
    assert.equal(String(await first), 'on')
    await peer.receive({ opcode: 0, payload: 'e' })
    assert.deepEqual(await take(bytes, 1), ['e'])
  })

  it('refuses a message of the other type, and leaves it unread', async () => {
    const peer = new TestLink()
    await peer.receive(
      { opcode: 2, payload: 'one' },
      { opcode: 1, payload: 'two' },
      { opcode: 1, payload: 'three' },
    )
    const bytes = new MessageBytes(peer.conn, { type: 'binary' })
    assert.deepEqual(await take(bytes, 1), ['one'])
    await assert.rejects(bytes.read(), (error) => {
      assert.ok(error instanceof ProtocolError)
      assert.deepEqual([error.code, error.closeCode], ['ERR_WS_MESSAGE_TYPE', 1003])
      assert.equal(error.message, 'text message where only binary is taken')
      return true
    })
    assert.equal(await peer.conn.read(), 'three')
  })

  it('throws the CloseError when the connection is lost', async () => {
    const peer = new TestLink()
    const bytes = new MessageBytes(peer.conn)
    const reading = bytes.read()
    await peer.receive({ opcode: 1, fin: false, payload: 'half' })
    assert.equal(String(await reading), 'half')
    peer.stream.endInput()
    await assert.rejects(bytes.read(), CloseError)
    await assert.rejects(bytes.read(), CloseError)
  })

  it('leaves the connection as it is when cancelled, whatever it was doing', async () => {
    const peer = new TestLink()
    const waiting = new MessageBytes(peer.conn)
    const nothing = waiting.read()
    waiting.cancel()
    await assert.rejects(nothing, { name: 'AbortError' })
    await assert.rejects(waiting.read(), { name: 'AbortError' })

    const within = new MessageBytes(peer.conn, { terminator: Buffer.from('.') })
    const begun = within.read()
    await peer.receive({ opcode: 1, fin: false, payload: 'half' })
    await begun
    const more = within.read()
    within.cancel()
    await assert.rejects(more, { name: 'AbortError' })
    await peer.receive({ opcode: 0, payload: 'dropped' }, { opcode: 1, payload: 'next' })
    assert.equal(await peer.conn.read(), 'next')

    // The message is on its way to the reader when that gives up.
    const late = new MessageBytes(peer.conn)
    const lost = late.read()
    peer.stream.once('data', () => queueMicrotask(() => late.cancel()))
    peer.stream.push(peer.frame({ opcode: 1, payload: 'lost' }))
    await assert.rejects(lost, { name: 'AbortError' })
    await turn()
    await peer.receive({ opcode: 1, payload: 'last' })
    assert.equal(await peer.conn.read(), 'last')
  })
})
