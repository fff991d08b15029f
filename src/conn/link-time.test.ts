import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { hex } from '../../test/frames.ts'
import { TestLink, type TestLinkOptions, turn } from '../../test/support/test-link.ts'
import { isPending } from '../../test/support/until.ts'
import { copyApart } from '../protocol/output.ts'
import { CloseError, TimeoutError } from '../session/errors.ts'

const KiB = 1024
/** How late a deadline may be. */
const LATE = 200
const limits = { pingInterval: 2000, pongTimeout: 1000, closeTimeout: 500 }

/** A connection with short times. */
function peerWith(options: TestLinkOptions = {}): TestLink {
  return new TestLink({ ...options, limits: { ...limits, ...options.limits } })
}

/** How many pings were written. */
function pings(peer: TestLink): number {
  return peer.sent().filter((line) => line.startsWith('ping')).length
}

/** The error of a connection that is found dead. */
async function deadOf(peer: TestLink): Promise<TimeoutError> {
  const { error, code, by, wasClean } = await peer.conn.closed
  assert.ok(error instanceof TimeoutError)
  assert.deepEqual([error.code, error.phase], ['ERR_WS_PONG_TIMEOUT', 'pong'])
  assert.deepEqual([code, by, wasClean], [1006, 'local', false])
  return error
}

/** The peer answers the last ping. */
async function pong(peer: TestLink): Promise<void> {
  const last = peer.sent().findLast((line) => line.startsWith('ping'))
  await peer.receive({ opcode: 10, payload: hex(last?.split(' ')[1] ?? '') })
}

describe('the heartbeat', () => {
  it('pings in silence, and drops a peer that stays silent', async () => {
    const peer = peerWith()
    await peer.pass(1900)
    assert.equal(pings(peer), 0)
    await peer.pass(100 + LATE)
    assert.equal(pings(peer), 1)
    const read = peer.conn.read()
    read.catch(() => {})
    await peer.pass(900)
    assert.equal(peer.conn.state, 'open')
    await peer.pass(100 + LATE)
    const error = await deadOf(peer)
    assert.equal(error.message, 'no sign of life within 3000 ms')
    assert.equal(peer.stream.destroyed, true)
    await assert.rejects(read, (reason) => reason instanceof CloseError && reason.cause === error)
    assert.equal(peer.clock.running, 0)
  })

  it('is content with a pong, and measures by it', async () => {
    const peer = peerWith()
    for (let i = 0; i < 5; i++) {
      await peer.pass(2000 + LATE)
      assert.equal(pings(peer), i + 1)
      await pong(peer)
    }
    assert.equal(peer.conn.state, 'open')
    const { rtt } = peer.conn.stats
    assert.ok(rtt !== undefined && rtt <= LATE, `${rtt}`)
    peer.conn.terminate()
  })

  it('pings after every interval of silence, however long a pong may take', async () => {
    const peer = new TestLink({ limits: { pingInterval: 2000, pongTimeout: 60_000 } })
    for (let i = 0; i < 5; i++) {
      await peer.pass(2000 + LATE)
      assert.equal(pings(peer), i + 1)
      await pong(peer)
    }
    peer.conn.terminate()
  })

  it('takes any byte as life, even part of a header', async () => {
    const peer = peerWith()
    const bytes = peer.frame({ opcode: 2, payload: Buffer.alloc(100) })
    for (const byte of bytes.subarray(0, 10)) {
      await peer.pass(2500)
      peer.stream.push(Buffer.of(byte))
      await turn()
    }
    assert.equal(peer.conn.state, 'open')
    // The last byte was the last sign of life.
    await peer.pass(3000 + 2 * LATE)
    await deadOf(peer)
  })

  it('does not ping a peer that sends', async () => {
    const peer = peerWith()
    for (let i = 0; i < 20; i++) {
      await peer.pass(500)
      await peer.receive({ opcode: 10 })
    }
    assert.equal(pings(peer), 0)
    peer.conn.terminate()
  })

  it('can be switched off', async () => {
    const peer = peerWith({ limits: { pingInterval: 0 } })
    assert.equal(peer.clock.running, 0)
    await peer.pass(60_000)
    assert.deepEqual([peer.conn.state, pings(peer)], ['open', 0])
    peer.conn.terminate()
  })

  it('can ping without a time for the answer', async () => {
    const peer = peerWith({ limits: { pongTimeout: 0 } })
    await peer.pass(60_000)
    assert.equal(peer.conn.state, 'open')
    assert.ok(pings(peer) >= 1)
    peer.conn.terminate()
  })

  it('does not drop a peer that is held back, whose answer waits unread', async () => {
    const peer = peerWith({ limits: { maxQueuedMessages: 1 } })
    await peer.receiveTexts('a')
    assert.equal(peer.stream.isPaused(), true)
    await peer.pass(20_000)
    assert.equal(peer.conn.state, 'open')
    peer.conn.terminate()
  })

  it('gives a peer that was held back its time anew, whenever reading goes on', async () => {
    // At each moment between two looks at the connection.
    for (let wait = 3000; wait < 4400; wait += 100) {
      const peer = peerWith({ limits: { maxQueuedMessages: 1 } })
      await peer.receiveTexts('a')
      await peer.pass(wait)
      assert.equal(await peer.conn.read(), 'a')
      await peer.pass(900)
      assert.equal(peer.conn.state, 'open', `after ${wait} ms`)
      await pong(peer)
      await peer.pass(1900)
      assert.equal(peer.conn.state, 'open', `after ${wait} ms`)
      await peer.pass(1100 + 2 * LATE)
      await deadOf(peer)
    }
  })

  it('drops a peer that takes nothing of what waits', async () => {
    const peer = peerWith()
    peer.stream.hold()
    peer.conn.send(Buffer.alloc(100 * KiB))
    await peer.pass(3000 + 3 * LATE)
    await deadOf(peer)
  })

  it('drops a peer that takes nothing, however much more is sent', async () => {
    const peer = peerWith({ slow: 'skip' })
    peer.stream.hold()
    for (let i = 0; i < 40 && peer.conn.state === 'open'; i++) {
      peer.conn.send(Buffer.alloc(KiB))
      await peer.pass(100)
    }
    await deadOf(peer)
  })

  it('does not drop a peer while it takes what waits', async () => {
    const peer = peerWith()
    peer.stream.hold()
    for (let i = 0; i < 20; i++) {
      peer.conn.send(Buffer.alloc(50 * KiB))
      await turn()
    }
    // One write, then all behind it in another: each leaves just in time, however much more is sent meanwhile.
    await peer.pass(2800)
    peer.conn.send('more')
    await peer.pass(100)
    peer.stream.release(true)
    await peer.pass(900)
    assert.equal(peer.conn.state, 'open')
    peer.stream.release()
    await peer.pass(900)
    assert.equal(peer.conn.state, 'open')
    // What it took it may still have to read: a slow peer gets its time for that, and no more.
    await peer.pass(2 * 1000 + (1000 * KiB) / 64 + 2 * LATE)
    await deadOf(peer)
  })

  it('does not drop a peer that takes little and slowly, before it comes to the ping', async () => {
    const peer = peerWith()
    peer.stream.hold()
    for (let i = 0; i < 15; i++) {
      peer.conn.send('x'.repeat(100))
      await peer.pass(900)
      peer.stream.release(true)
      await turn()
    }
    assert.equal(peer.conn.state, 'open')
    peer.conn.terminate()
  })

  it('pings a peer that takes all it gets, though the stream is never idle', async () => {
    const peer = peerWith()
    peer.stream.hold()
    let answered = 0
    for (let i = 0; i < 150; i++) {
      peer.conn.send('news')
      await turn()
      await peer.pass(100)
      // The kernel takes one write and gets the next: nothing that would tell of the peer.
      peer.stream.release(true)
      await turn()
      if (pings(peer) === answered) continue
      answered = pings(peer)
      await pong(peer)
    }
    assert.equal(peer.conn.state, 'open')
    assert.ok(answered >= 5, `${answered} pings`)
    peer.conn.terminate()
  })

  it('adds no ping to one that waits: a peer that sends and never reads makes nothing grow', async () => {
    const peer = peerWith()
    peer.stream.hold()
    peer.conn.send(Buffer.alloc(100 * KiB))
    await turn()
    const before = peer.conn.bufferedAmount
    for (let i = 0; i < 50; i++) {
      await peer.pass(2000 + LATE)
      await peer.receive({ opcode: 10 })
    }
    assert.equal(peer.conn.state, 'open')
    assert.ok(peer.conn.bufferedAmount <= before + 20, `${peer.conn.bufferedAmount - before} bytes more`)
    peer.stream.release()
    await turn()
    assert.equal(pings(peer), 1)
    // Now that it reads it is pinged again.
    await peer.pass(2000 + LATE)
    assert.equal(pings(peer), 2)
    peer.conn.terminate()
  })

  it('adds no ping to one that waits when both sides hold back', async () => {
    const peer = peerWith({ limits: { maxQueuedMessages: 1 } })
    await peer.receiveTexts('a')
    peer.stream.hold()
    peer.conn.send(Buffer.alloc(100 * KiB))
    await peer.pass(100_000)
    assert.equal(peer.conn.state, 'open')
    assert.ok(peer.conn.bufferedAmount <= 100 * KiB + 40, `${peer.conn.bufferedAmount}`)
    peer.conn.terminate()
  })
})

describe('a ping', () => {
  it('resolves with the round trip', async () => {
    const peer = peerWith()
    const ping = peer.conn.ping()
    await turn()
    peer.clock.advance(30)
    await pong(peer)
    assert.equal(await ping, 30)
    assert.equal(peer.conn.stats.rtt, 30)
    peer.conn.terminate()
  })

  it('can be given up; its pong then means nothing', async () => {
    const peer = peerWith()
    const controller = new AbortController()
    const reason = new Error('enough')
    const ping = peer.conn.ping({ signal: controller.signal })
    const other = peer.conn.ping()
    await turn()
    controller.abort(reason)
    await assert.rejects(ping, reason)
    await pong(peer)
    assert.equal(typeof (await other), 'number')
    await assert.rejects(peer.conn.ping({ signal: AbortSignal.abort(reason) }), reason)
    peer.conn.terminate()
  })

  it('rejects when the connection ends first, and when it has ended', async () => {
    const peer = peerWith()
    const ping = peer.conn.ping()
    peer.conn.terminate()
    const late = peer.conn.ping()
    const errors = await Promise.all([ping, late].map((each) => each.catch((error: unknown) => error)))
    assert.ok(errors[0] instanceof CloseError)
    assert.equal(errors[0], errors[1])
  })

  it('waits as long as the peer takes', async () => {
    const peer = peerWith({ limits: { pingInterval: 0 } })
    const ping = peer.conn.ping()
    await peer.pass(10_000)
    assert.equal(await isPending(ping), true)
    peer.conn.terminate()
  })
})

describe('the close timeout', () => {
  it('drops a peer that does not answer', async () => {
    const peer = peerWith()
    const closed = peer.conn.close(4000, 'bye')
    await peer.pass(400)
    assert.equal(await isPending(closed), true)
    await peer.pass(100 + LATE)
    const { error, by, code, reason, wasClean, received, sent } = await closed
    assert.ok(error instanceof TimeoutError)
    assert.deepEqual([error.code, error.phase], ['ERR_WS_CLOSE_TIMEOUT', 'close'])
    assert.deepEqual([by, code, reason, wasClean, received], ['local', 4000, 'bye', false, undefined])
    assert.deepEqual(sent, { code: 4000, reason: 'bye' })
    assert.equal(peer.clock.running, 0)
  })

  it('drops a peer that answers and does not hang up: that is a clean end', async () => {
    for (const role of ['server', 'client'] as const) {
      const peer = peerWith({ role })
      const closed = peer.conn.close()
      await turn()
      await peer.receive({ opcode: 8, payload: hex('03e8') })
      await peer.pass(500 + LATE)
      const { wasClean, error } = await closed
      assert.deepEqual([wasClean, error], [true, undefined])
    }
  })

  it('counts from the first step, whoever takes it, and is not begun again', async () => {
    const peer = peerWith({ role: 'client' })
    await peer.receive({ opcode: 8, payload: hex('03e8') })
    await peer.pass(300)
    void peer.conn.close()
    await peer.pass(200 + LATE)
    assert.equal(peer.conn.state, 'closed')
  })

  it('drops a peer that breaks a rule and does not hang up', async () => {
    const peer = peerWith()
    await peer.receive({ opcode: 3 })
    assert.equal(peer.stream.ended, true)
    await peer.pass(500 + LATE)
    const { error } = await peer.conn.closed
    assert.equal((error as { code?: string }).code, 'ERR_WS_RESERVED_OPCODE')
  })

  it('drops a peer that never takes our Close frame', async () => {
    const peer = peerWith()
    peer.stream.hold()
    peer.conn.send('waits')
    await turn()
    const closed = peer.conn.close(4000)
    await peer.pass(500 + LATE)
    const { error, sent, wasClean } = await closed
    assert.ok(error instanceof TimeoutError)
    assert.deepEqual([sent, wasClean], [undefined, false])
  })

  it('can be switched off', async () => {
    const peer = peerWith({ limits: { closeTimeout: 0 } })
    const closed = peer.conn.close()
    assert.equal(peer.clock.running, 0)
    await peer.pass(60_000)
    assert.equal(await isPending(closed), true)
    await peer.receive({ opcode: 8 })
    peer.stream.endInput()
    assert.equal((await closed).wasClean, true)
  })

  it('counts from the last message that was taken, whatever else comes meanwhile', async () => {
    const peer = peerWith({ limits: { pingInterval: 60_000 } })
    await peer.receiveTexts('taken')
    assert.equal(await peer.conn.read(), 'taken')
    await peer.pass(60_000 + LATE)
    assert.equal(pings(peer), 1)
    const closed = peer.conn.drain(1001, '')
    await pong(peer)
    const unfinished = peer.frame({ opcode: 2, payload: Buffer.alloc(1000) })
    for (let i = 0; i < 3; i++) {
      peer.stream.push(copyApart(unfinished.subarray(i, i + 1)))
      await peer.pass(500 + LATE)
    }
    assert.equal(peer.conn.state, 'closed')
    assert.ok((await closed).error instanceof TimeoutError)
  })

  it('takes the place of the heartbeat', async () => {
    const peer = peerWith({ limits: { closeTimeout: 60_000 } })
    void peer.conn.close()
    await peer.pass(10_000)
    assert.deepEqual([peer.conn.state, pings(peer)], ['closing', 0])
    peer.conn.terminate()
  })
})
