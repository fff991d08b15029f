import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { type ConnectedPair, connectedPair } from '../../test/support/connected-pair.ts'
import { TestLink, turn } from '../../test/support/test-link.ts'
import { isPending } from '../../test/support/until.ts'
import { CloseError, ProtocolError } from '../session/errors.ts'
import type { Sendable } from '../session/session.ts'
import { checkStreamOptions, StreamAdapter } from './stream-adapter.ts'

const KiB = 1024

describe('a StreamAdapter', () => {
  it('reads bytes of one type, or messages', async () => {
    const peer = new TestLink()
    await peer.receive(
      { opcode: 1, payload: 'té' },
      { opcode: 2, payload: 'b' },
      { opcode: 1, payload: 'té' },
    )
    const messages = new StreamAdapter(peer.conn, { objectMode: true })
    assert.deepEqual([await messages.read(), await messages.read()], ['té', Buffer.from('b')])
    const bytes = new StreamAdapter(peer.conn, { type: 'text' })
    assert.deepEqual(await bytes.read(), Buffer.from('té'))
    await peer.receive({ opcode: 8 })
    peer.stream.endInput()
    for (const adapter of [bytes, messages]) assert.equal(await adapter.read(), undefined)
  })

  it('sends each write as a message, and tells when to wait', async () => {
    const peer = new TestLink()
    const adapter = new StreamAdapter(peer.conn, {})
    for (const data of ['a', Buffer.from('b'), new Uint16Array([0x6463]), new Uint8Array([0x65]).buffer])
      assert.equal(adapter.write(data as Sendable), undefined)
    await turn()
    assert.deepEqual(peer.sent(), ['binary 61', 'binary 62', 'binary 6364', 'binary 65'])
    const messages = new StreamAdapter(peer.conn, { objectMode: true })
    messages.write('a')
    messages.write(Buffer.from('b'))
    await turn()
    assert.deepEqual(peer.sent().slice(4), ['text 61', 'binary 62'])
    peer.stream.hold()
    const room = adapter.write(Buffer.alloc(100 * KiB))
    assert.ok(room !== undefined && (await isPending(room)))
  })

  it('cuts a text between characters only, however it is written', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.string({ unit: 'binary', maxLength: 50 }),
        fc.array(fc.nat(200), { maxLength: 20 }),
        async (text, cuts) => {
          const bytes = Buffer.from(text)
          const peer = new TestLink()
          const adapter = new StreamAdapter(peer.conn, { type: 'text' })
          const ends = [...new Set([...cuts.map((at) => at % (bytes.length + 1)), bytes.length])].sort(
            (a, b) => a - b,
          )
          let start = 0
          for (const end of ends) {
            adapter.write(bytes.subarray(start, end))
            start = end
          }
          await turn()
          const sent = peer.sent()
          assert.ok(sent.every((event) => event.startsWith('text ')))
          assert.equal(sent.map((event) => event.slice(5)).join(''), bytes.toString('hex'))
        },
      ),
    )
  })

  it('puts the halves of characters in strings together', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.string({ unit: 'binary', maxLength: 50 }),
        fc.array(fc.nat(200), { maxLength: 20 }),
        fc.constantFrom('text', 'binary'),
        async (text, cuts, type) => {
          const peer = new TestLink()
          const adapter = new StreamAdapter(peer.conn, { type })
          const ends = [...new Set([...cuts.map((at) => at % (text.length + 1)), text.length])]
          let start = 0
          for (const end of ends.sort((a, b) => a - b)) {
            adapter.write(text.slice(start, end))
            start = end
          }
          await turn()
          const sent = peer.sent().map((event) => event.split(' ')[1])
          assert.equal(sent.join(''), Buffer.from(text).toString('hex'))
        },
      ),
    )
  })

  it('sends half a character that bytes or the end follow as send does', async () => {
    for (const finish of [false, true]) {
      const peer = new TestLink()
      const adapter = new StreamAdapter(peer.conn, { type: 'text' })
      adapter.write('\ud83d')
      adapter.write('')
      if (finish) void adapter.finish().catch(() => {})
      else adapter.write(Buffer.from('x'))
      await turn()
      assert.equal(peer.sent()[0], finish ? 'text efbfbd' : 'text efbfbd78')
      peer.conn.terminate()
    }
    const peer = new TestLink()
    const adapter = new StreamAdapter(peer.conn, { type: 'text' })
    adapter.write('\ud83d')
    adapter.close(undefined, true)
    await turn()
    assert.equal(peer.sent().join(), 'close 1011 ""')
  })

  it('waits before it writes where others have filled the send buffer: nothing is dropped by a slow policy', async () => {
    const peer = new TestLink({ slow: 'skip', limits: { maxSendBuffer: 100 * KiB } })
    const adapter = new StreamAdapter(peer.conn, {})
    peer.stream.hold()
    peer.conn.send(Buffer.alloc(60 * KiB))
    await turn()
    peer.conn.send(Buffer.alloc(60 * KiB))
    const room = adapter.write('not dropped')
    assert.ok(room !== undefined && (await isPending(room)))
    peer.stream.release()
    await room
    await turn()
    assert.equal(peer.sent().at(-1), `binary ${Buffer.from('not dropped').toString('hex')}`)
    assert.equal(peer.conn.stats.sendsDropped, 0)
  })

  it('finishes with a Close frame once all has left, and waits for the answer', async () => {
    const peer = new TestLink()
    const adapter = new StreamAdapter(peer.conn, {})
    peer.stream.hold()
    void adapter.write(Buffer.alloc(100 * KiB))
    await turn()
    const finished = adapter.finish()
    // However long the peer takes to read: the time for closing does not run yet.
    await peer.pass(20_000)
    assert.equal(peer.conn.state, 'open')
    peer.stream.release()
    await turn()
    assert.equal(peer.sent().at(-1), 'close 1000 ""')
    assert.ok(await isPending(finished))
    await peer.receive({ opcode: 8, payload: Buffer.of(3, 232) })
    peer.stream.endInput()
    await finished
  })

  it('does not finish in order where the peer has not', async () => {
    const peer = new TestLink()
    const finished = new StreamAdapter(peer.conn, {}).finish()
    await turn()
    peer.stream.endInput()
    await assert.rejects(finished, CloseError)

    const other = new TestLink()
    const adapter = new StreamAdapter(other.conn, { type: 'text' })
    adapter.write(Buffer.from('€').subarray(0, 2))
    await assert.rejects(adapter.finish(), ProtocolError)
  })

  it('tells of what there was no room for behind our Close frame', async () => {
    for (const [missing, finish] of [
      [0, true],
      [1, true],
      [1, false],
    ] as const) {
      const peer = new TestLink({ limits: { maxQueuedMessages: 4 } })
      const adapter = new StreamAdapter(peer.conn, {})
      const finished = finish ? adapter.finish() : peer.conn.close()
      await turn()
      await peer.receive(...Array.from({ length: 4 + missing }, () => ({ opcode: 2, payload: 'x' })))
      await peer.receive({ opcode: 8, payload: Buffer.of(3, 232) })
      peer.stream.endInput()
      await finished
      for (let i = 0; i < 4; i++) assert.deepEqual(await adapter.read(), Buffer.from('x'))
      if (missing === 0) assert.equal(await adapter.read(), undefined)
      else await assert.rejects(adapter.read(), CloseError)
    }
  })

  it('does not take what we did not send for a gap in what we read', async () => {
    for (const objectMode of [false, true]) {
      const peer = new TestLink()
      const adapter = new StreamAdapter(peer.conn, { objectMode })
      const reading = adapter.read()
      const closed = peer.conn.close()
      assert.equal(peer.conn.send('too late'), false)
      await turn()
      await peer.receive({ opcode: 8, payload: Buffer.of(3, 232) })
      peer.stream.endInput()
      assert.equal(await reading, undefined)
      const { stats } = await closed
      assert.deepEqual([stats.sendsDropped, stats.receivesDropped], [1, 0])
    }
  })

  it('tells of a peer that has not answered our Close frame', async () => {
    for (const objectMode of [false, true]) {
      const peer = new TestLink()
      const adapter = new StreamAdapter(peer.conn, { objectMode })
      const reading = adapter.read()
      peer.conn.terminate()
      await assert.rejects(reading, CloseError)
    }
  })

  it('closes with the code that fits', async () => {
    const cases: [unknown, boolean, string][] = [
      [undefined, true, '1000 ""'],
      [null, true, '1000 ""'],
      [undefined, false, '1011 ""'],
      [new Error('secret'), true, '1011 ""'],
      ['a string', true, '1011 ""'],
      [{ closeCode: 4000 }, true, '4000 ""'],
      [{ closeCode: 4000, reason: 'why' }, true, '4000 "why"'],
      [{ closeCode: 4000, reason: 7 }, true, '4000 ""'],
      [{ closeCode: 1005, reason: 'why' }, true, '1011 ""'],
      [{ closeCode: '4000' }, true, '1011 ""'],
    ]
    for (const [error, complete, expected] of cases) {
      const peer = new TestLink()
      const adapter = new StreamAdapter(peer.conn, {})
      adapter.close(error, complete)
      adapter.close(undefined, true)
      await turn()
      assert.equal(peer.sent().join(), `close ${expected}`)
    }
    const peer = new TestLink()
    const adapter = new StreamAdapter(peer.conn, { type: 'text' })
    adapter.write(Buffer.of(0xe2))
    adapter.close(undefined, true)
    await turn()
    assert.equal(peer.sent().join(), 'close 1011 ""')
  })

  it('ends with the error that everybody gets', async () => {
    await using ends: ConnectedPair = await connectedPair()
    const adapter = new StreamAdapter(ends.client, {})
    void ends.server.close(4000)
    const error = await adapter.ended()
    assert.ok(error instanceof CloseError)
    await assert.rejects(ends.client.read(), error)
  })
})

describe('checkStreamOptions', () => {
  it('takes what there is', () => {
    const { signal } = new AbortController()
    for (const options of [
      {},
      { type: 'text' },
      { type: 'binary', objectMode: false, signal },
      { objectMode: true },
    ])
      checkStreamOptions(options as object)
  })

  it('refuses all else', () => {
    for (const options of [
      { other: 1 },
      { type: 'json' },
      { objectMode: 'yes' },
      { objectMode: true, type: 'text' },
      { signal: 1 },
    ])
      assert.throws(() => checkStreamOptions(options as object), {
        code: 'ERR_WS_INVALID_OPTION',
      })
  })
})
