import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { TestLink, turn } from '../../test/support/test-link.ts'
import { CloseError } from '../session/errors.ts'
import { prepare } from '../session/prepared.ts'

const KiB = 1024

const hexOf = (text: string): string => Buffer.from(text).toString('hex')

const close = (code = 1000): { opcode: number; payload: Buffer } => {
  const payload = Buffer.alloc(2)
  payload.writeUInt16BE(code)
  return { opcode: 8, payload }
}

describe('the end behind messages that wait', () => {
  const limits = { fragmentSize: 1000 }
  const size = 500 * KiB
  const message = `binary (${size}) `

  it('is our Close frame behind all of them, and nothing is sent behind it', async () => {
    const peer = new TestLink({ limits })
    peer.stream.hold()
    peer.conn.send(Buffer.alloc(size))
    peer.conn.send('short')
    peer.conn.send(prepare('prepared'))
    const closed = peer.conn.close(4000, 'done')
    assert.equal(peer.conn.state, 'closing')
    assert.equal(peer.conn.send('too late'), false)
    await turn()
    peer.stream.release()
    await turn()
    const [first, ...rest] = peer.sent()
    assert.ok(first?.startsWith(message))
    assert.deepEqual(rest, [`text ${hexOf('short')}`, `text ${hexOf('prepared')}`, 'close 4000 "done"'])
    await peer.receive(close(4000))
    peer.stream.endInput()
    const { wasClean, stats } = await closed
    assert.deepEqual([wasClean, stats.messagesSent, stats.sendsDropped], [true, 3, 1])
  })

  it('is our answer to the peer, when it closes first', async () => {
    const peer = new TestLink({ limits })
    peer.stream.hold()
    peer.conn.send(Buffer.alloc(size))
    await peer.receive(close(4002))
    assert.equal(peer.conn.state, 'closing')
    void peer.conn.close(4001)
    peer.stream.release()
    await turn()
    assert.deepEqual(peer.sent().slice(1), ['close 4002 ""'])
    peer.stream.endInput()
    const { by, wasClean, code } = await peer.conn.closed
    assert.deepEqual([by, wasClean, code], ['remote', true, 4002])
  })

  it('is one Close frame, also when the peer closes while ours waits', async () => {
    const peer = new TestLink({ limits })
    peer.stream.hold()
    peer.conn.send(Buffer.alloc(size))
    void peer.conn.close(4001)
    await peer.receive(close(4002))
    peer.stream.release()
    await turn()
    assert.equal(peer.sent().length, 2)
    peer.stream.endInput()
    assert.equal((await peer.conn.closed).wasClean, true)
  })

  it('is the end of our half, when the peer has ended its own', async () => {
    const peer = new TestLink({ limits })
    peer.stream.hold()
    peer.conn.send(Buffer.alloc(size))
    await turn()
    peer.stream.endInput()
    await turn()
    assert.deepEqual([peer.stream.ended, peer.conn.state], [false, 'closing'])
    peer.stream.release()
    await turn()
    assert.equal(peer.stream.ended, true)
    const { code, by } = await peer.conn.closed
    assert.deepEqual([code, by], [1006, 'network'])
    assert.ok(peer.sent()[0]?.startsWith(message))
  })

  it('is at once where a message is not complete, and drops what is behind that', async () => {
    const ends: [(peer: TestLink) => unknown, string[]][] = [
      [(peer) => peer.conn.close(4000), ['close 4000 ""']],
      [(peer) => peer.receive(close(4001)), ['close 4001 ""']],
      [(peer) => peer.stream.endInput(), []],
      [(peer) => peer.receive({ opcode: 3 }), ['close 1002 "reserved opcode"']],
    ]
    for (const [end, sent] of ends) {
      const peer = new TestLink({ limits })
      const writer = peer.conn.writeStream()
      await writer.write('begun')
      await turn()
      peer.conn.send('behind')
      const behind = peer.conn.writeStream()
      void behind.write('behind, too')
      void end(peer)
      await turn()
      assert.deepEqual(peer.sent(), sent)
      assert.equal(peer.conn.bufferedAmount, 0)
      const late = [writer.write('x'), writer.close(), behind.close()]
      peer.stream.destroy()
      for (const each of late) await assert.rejects(each, CloseError)
      assert.equal(peer.conn.stats.sendsDropped, 1)
    }
  })

  it('is not waited for by who is at fault: it gets no more than the reason', async () => {
    const peer = new TestLink({ limits })
    peer.stream.hold()
    peer.conn.send(Buffer.alloc(4 * size))
    peer.conn.send('behind')
    await turn()
    await peer.receive({ opcode: 3 })
    peer.stream.release()
    await turn()
    assert.deepEqual(peer.sent(), ['close 1002 "reserved opcode"'])
    peer.stream.destroy()
    assert.equal((await peer.conn.closed).stats.sendsDropped, 2)
  })

  it('has its time: a peer that does not read is left', async () => {
    const peer = new TestLink({ limits: { ...limits, closeTimeout: 1000 } })
    peer.stream.hold()
    peer.conn.send(Buffer.alloc(size))
    const writer = peer.conn.writeStream()
    const write = writer.write('x')
    void peer.conn.close(4000)
    await peer.pass(1500)
    const { error, wasClean, sent } = await peer.conn.closed
    assert.deepEqual([wasClean, sent, (error as Error).name], [false, undefined, 'TimeoutError'])
    await assert.rejects(write, CloseError)
    assert.equal(peer.clock.running, 0)
  })

  it('that was on its way when the connection was lost is told all the same', async () => {
    const cases: [string, (peer: TestLink) => unknown, unknown[]][] = [
      ['ours', (peer) => peer.conn.close(4001, 'ours'), [4001, 'local', 'ours']],
      ["the peer's", (peer) => peer.receive(close(4002)), [4002, 'remote', '']],
    ]
    for (const [what, begin, expected] of cases) {
      for (const end of [
        (peer: TestLink) => peer.stream.destroy(),
        (peer: TestLink) => peer.conn.terminate(),
      ]) {
        const peer = new TestLink({ limits })
        peer.stream.hold()
        peer.conn.send(Buffer.alloc(4 * size))
        await turn()
        void begin(peer)
        await turn()
        end(peer)
        const { code, by, reason, wasClean, sent, stats } = await peer.conn.closed
        assert.deepEqual([code, by, reason], expected, what)
        assert.deepEqual([wasClean, sent, stats.sendsDropped], [false, undefined, 1])
        assert.deepEqual([peer.ends, peer.clock.running], [1, 0])
      }
    }
  })

  it('by terminate drops them all, and settles all who wait', async () => {
    const peer = new TestLink({ limits })
    peer.stream.hold()
    const writer = peer.conn.writeStream()
    const waiting: Promise<unknown>[] = [
      writer.write(Buffer.alloc(size)),
      peer.conn.drained(),
      peer.conn.readStream(),
    ]
    for (const each of waiting) each.catch(() => {})
    peer.conn.send('behind')
    await turn()
    peer.conn.terminate()
    for (const each of waiting) await assert.rejects(each, CloseError)
    await assert.rejects(writer.close(), CloseError)
    writer.abort()
    assert.deepEqual([peer.conn.stats.messagesSent, peer.conn.stats.sendsDropped], [0, 1])
    assert.deepEqual([peer.ends, peer.clock.running, peer.conn.state], [1, 0, 'closed'])
  })
})
