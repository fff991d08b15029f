import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { hex } from '../../test/frames.ts'
import { TestLink, turn } from '../../test/support/test-link.ts'
import { LimitError, UsageError } from '../session/errors.ts'

const KiB = 1024

const hexOf = (text: string): string => Buffer.from(text).toString('hex')

const close = (code = 1000): { opcode: number; payload: Buffer } => {
  const payload = Buffer.alloc(2)
  payload.writeUInt16BE(code)
  return { opcode: 8, payload }
}

describe('control frames', () => {
  it('are told to handlers, and answered by these alone where they want that', async () => {
    const peer = new TestLink()
    const heard: string[] = []
    peer.conn.onControl({
      ping: (payload) => heard.push(`ping ${Buffer.from(payload)}`),
      pong: (payload) => heard.push(`pong ${Buffer.from(payload)}`),
    })
    await peer.receive({ opcode: 9, payload: 'a' }, { opcode: 10, payload: 'b' })
    assert.deepEqual([heard, peer.sent()], [['ping a', 'pong b'], [`pong ${hexOf('a')}`]])
    peer.conn.onControl({ autoPong: false, ping: (payload) => void peer.conn.sendControl('pong', payload) })
    await peer.receive({ opcode: 9, payload: 'c' }, { opcode: 10, payload: 'd' })
    assert.deepEqual([heard.length, peer.sent()], [2, [`pong ${hexOf('a')}`, `pong ${hexOf('c')}`]])
    peer.conn.onControl({ autoPong: false })
    await peer.receive({ opcode: 9, payload: 'e' })
    assert.equal(peer.sent().length, 2)
    peer.conn.terminate()
  })

  it('of our own are sent, also ahead of messages that wait, until the end has begun', async () => {
    const peer = new TestLink()
    const writer = peer.conn.writeStream()
    await writer.write('begun')
    peer.conn.send('behind')
    assert.equal(peer.conn.sendControl('ping', 'text'), true)
    assert.equal(peer.conn.sendControl('pong', Buffer.from('bytes')), true)
    assert.equal(peer.conn.sendControl('pong'), true)
    await turn()
    assert.deepEqual(peer.sent(), [`ping ${hexOf('text')}`, `pong ${hexOf('bytes')}`, 'pong '])
    for (const call of [
      () => peer.conn.sendControl('close' as 'ping'),
      () => peer.conn.sendControl('ping', 5 as unknown as string),
      () => peer.conn.sendControl('ping', Buffer.alloc(126)),
      () => peer.conn.sendControl('ping', 'é'.repeat(63)),
    ])
      assert.throws(call, (error) => error instanceof UsageError && error.code === 'ERR_WS_INVALID_ARGUMENT')
    peer.conn.terminate()
    await peer.conn.closed
    assert.equal(peer.conn.sendControl('ping'), false)
  })

  it('that a handler answers make nothing grow without bound when the peer does not read', async () => {
    const peer = new TestLink({ limits: { maxSendBuffer: 100 * KiB } })
    peer.stream.hold()
    const results: boolean[] = []
    peer.conn.onControl({
      autoPong: false,
      ping: (payload) => results.push(peer.conn.sendControl('pong', payload)),
    })
    for (let i = 0; i < 10; i++)
      await peer.receive(...Array.from({ length: 200 }, () => ({ opcode: 9, payload: Buffer.alloc(125) })))
    assert.ok(peer.conn.bufferedAmount <= 101 * KiB, `${peer.conn.bufferedAmount}`)
    assert.deepEqual([results[0], results.at(-1), peer.conn.state], [true, false, 'open'])
    peer.conn.terminate()
  })

  it('that ask for a round trip are refused while too much waits, and the connection stays', async () => {
    const peer = new TestLink({ limits: { maxSendBuffer: KiB } })
    peer.stream.hold()
    let refused = 0
    for (let i = 0; i < 1000; i++) {
      peer.conn.ping().catch((error) => {
        if (error instanceof LimitError && error.code === 'ERR_WS_SEND_BUFFER_FULL') refused++
      })
    }
    await turn()
    assert.ok(peer.conn.bufferedAmount < 2 * KiB, `${peer.conn.bufferedAmount}`)
    assert.ok(refused > 800, `${refused}`)
    assert.equal(peer.conn.state, 'open')
    peer.conn.terminate()
  })

  it('whose handler fails, now or later, close with 1011, and the failure is told', async () => {
    const error = new Error('oops')
    for (const handler of [
      () => {
        throw error
      },
      async () => {
        throw error
      },
    ]) {
      for (const opcode of [9, 10]) {
        const peer = new TestLink()
        peer.conn.onControl({ ping: handler, pong: handler })
        await peer.receive({ opcode, payload: 'x' })
        await turn()
        assert.deepEqual(peer.errors, [error])
        assert.equal(peer.sent().at(-1), 'close 1011 "internal error"')
        peer.stream.destroy()
        assert.equal((await peer.conn.closed).error, error)
      }
    }
  })

  it('that close are answered as the handler says', async () => {
    const peer = new TestLink()
    peer.conn.onControl({ close: ({ code, reason }) => ({ code: code + 1, reason: `${reason}!` }) })
    await peer.receive({ opcode: 8, payload: Buffer.concat([hex('0fa0'), Buffer.from('bye')]) })
    peer.stream.endInput()
    const { sent, received, by, wasClean } = await peer.conn.closed
    assert.deepEqual(
      [sent, received],
      [
        { code: 4001, reason: 'bye!' },
        { code: 4000, reason: 'bye' },
      ],
    )
    assert.deepEqual([by, wasClean], ['remote', true])
  })

  it('that close are answered with 1011 when the handler fails', async () => {
    const error = new Error('oops')
    const cases: [() => never, unknown][] = [
      [
        () => {
          throw error
        },
        error,
      ],
      [() => ({ code: 1006, reason: '' }) as never, undefined],
    ]
    for (const [handler, thrown] of cases) {
      const peer = new TestLink()
      peer.conn.onControl({ close: handler })
      await peer.receive(close(4000))
      peer.stream.endInput()
      const info = await peer.conn.closed
      assert.deepEqual(peer.sent(), ['close 1011 "internal error"'])
      assert.equal(peer.errors.length, 1)
      if (thrown === undefined) assert.ok(peer.errors[0] instanceof UsageError)
      else assert.equal(peer.errors[0], thrown)
      assert.equal(info.error, peer.errors[0])
    }
  })

  it('of a handler may do anything to the connection', async () => {
    for (const act of [
      (peer: TestLink) => void peer.conn.close(4000),
      (peer: TestLink) => peer.conn.terminate(),
      (peer: TestLink) => peer.conn.onMessage(() => {}),
      (peer: TestLink) => void peer.conn.readStream().catch(() => {}),
      (peer: TestLink) => void peer.conn.read().catch(() => {}),
      (peer: TestLink) => peer.conn.writeStream().abort(),
    ]) {
      const peer = new TestLink({ limits: { maxMessageSize: 1000, maxStreamSize: 100_000 } })
      peer.conn.onControl({ ping: () => act(peer), close: () => act(peer) })
      await peer.receive({ opcode: 1, fin: false, payload: 'x' }, { opcode: 9 }, { opcode: 0 }, close())
      peer.stream.endInput()
      await turn()
      peer.stream.destroy()
      await peer.conn.closed
      assert.deepEqual([peer.ends, peer.clock.running], [1, 0])
    }
  })
})
