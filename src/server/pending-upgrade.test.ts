import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { assertNoLeaks } from '../../test/leaks.ts'
import { FakeClock } from '../../test/support/fake-clock.ts'
import { FakeStream } from '../../test/support/fake-stream.ts'
import { turn } from '../../test/support/test-link.ts'
import { isPending } from '../../test/support/until.ts'
import { TimerWheel } from '../conn/timer-wheel.ts'
import { HandshakeError, TimeoutError } from '../session/errors.ts'
import type { Verdict } from './authorize.ts'
import { deny } from './denial.ts'
import { PendingUpgrade } from './pending-upgrade.ts'

after(() => assertNoLeaks())

const events = ['data', 'end', 'close', 'error', 'readable'] as const

/** A pending upgrade whose answer, socket and time are in the hands of the test. */
class Setup {
  readonly socket: FakeStream = new FakeStream()
  readonly clock: FakeClock = new FakeClock()
  readonly pending: PendingUpgrade
  readonly verdict: Promise<Verdict>
  answer: (value: unknown) => void = () => {}
  fail: (error: unknown) => void = () => {}

  constructor(timeout = 1_000, head = '') {
    const wheel = new TimerWheel(this.clock)
    this.pending = new PendingUpgrade(this.socket, Buffer.from(head), timeout, wheel)
    const answer = new Promise<unknown>((resolve, reject) => {
      this.answer = resolve
      this.fail = reject
    })
    this.verdict = this.pending.settle(answer)
  }

  /** The verdict once it is known, when it leaves nothing behind but who waits for the socket to be gone. */
  async ended(waiting = 0): Promise<Verdict> {
    const verdict = await this.verdict
    this.pending.release()
    assert.equal(this.clock.running, 0, 'a deadline is left')
    const left = events.map((event) => this.socket.listenerCount(event))
    assert.deepEqual(left, [0, 0, waiting, 1, 0], 'listeners are left')
    return verdict
  }
}

async function codeOf(verdict: Promise<Verdict>): Promise<string> {
  const known = await verdict
  return known.accepted ? `in: ${String(known.context)}` : `${known.status} ${known.code}`
}

describe('PendingUpgrade', () => {
  it('waits for the answer', async () => {
    const setup = new Setup()
    assert.ok(await isPending(setup.verdict))
    setup.answer('ann')
    assert.equal(await codeOf(setup.ended()), 'in: ann')
    assert.equal(setup.socket.destroyed, false)
  })

  it('waits for an answer that fails', async () => {
    const setup = new Setup()
    setup.fail(new Error('boom'))
    assert.equal(await codeOf(setup.ended()), '500 ERR_WS_SERVER')
  })

  it('takes any thenable', async () => {
    const pending = new PendingUpgrade(new FakeStream(), Buffer.alloc(0), 0)
    const thenable = {
      // biome-ignore lint/suspicious/noThenProperty: what is tested
      then(resolve: (value: string) => void) {
        resolve('ann')
        throw new Error('too late')
      },
    } as unknown as PromiseLike<string>
    assert.equal(await codeOf(pending.settle(thenable)), 'in: ann')
    pending.release()
  })

  it('ends in time, with 408', async () => {
    const setup = new Setup(1_000)
    const { signal } = setup.pending
    setup.clock.advance(1_000)
    assert.ok(await isPending(setup.verdict))
    setup.clock.advance(200)
    const verdict = await setup.ended()
    assert.ok(!verdict.accepted && verdict.cause instanceof TimeoutError)
    assert.equal(await codeOf(setup.verdict), '408 ERR_WS_AUTHORIZE_TIMEOUT')
    assert.ok(signal.reason instanceof HandshakeError)
    assert.equal(signal.reason.code, 'ERR_WS_AUTHORIZE_TIMEOUT')
  })

  it('has all the time there is, with 0', async () => {
    const setup = new Setup(0)
    assert.equal(setup.clock.running, 0)
    setup.clock.advance(1e9)
    assert.ok(await isPending(setup.verdict))
    setup.answer(1)
    await setup.ended()
  })

  const ways: [name: string, leave: (socket: FakeStream) => void][] = [
    ['resets the connection', (socket) => socket.destroy(new Error('ECONNRESET'))],
    ['closes it', (socket) => socket.destroy()],
    ['ends its half', (socket) => socket.endInput()],
  ]
  for (const [name, leave] of ways) {
    it(`ends with a client that ${name}: the signal is aborted, the socket gone`, async () => {
      const setup = new Setup()
      const { signal } = setup.pending
      const aborted = new Promise((resolve) => signal.addEventListener('abort', resolve))
      leave(setup.socket)
      assert.equal(await codeOf(setup.ended()), '400 ERR_WS_SOCKET_CLOSED')
      await aborted
      assert.equal((signal.reason as HandshakeError).code, 'ERR_WS_SOCKET_CLOSED')
      assert.ok(setup.socket.destroyed)
      // An answer that comes too late is nobody's any more.
      setup.fail(new Error('aborted'))
      await turn()
    })
  }

  it('notices a client that goes behind what it said', async () => {
    const setup = new Setup()
    setup.socket.push('early')
    await turn()
    setup.socket.endInput()
    assert.equal(await codeOf(setup.verdict), '400 ERR_WS_SOCKET_CLOSED')
    setup.pending.release()
  })

  it('notices what a client does whose socket somebody has paused before', async () => {
    const socket = new FakeStream()
    socket.pause()
    const pending = new PendingUpgrade(socket, Buffer.alloc(0), 0)
    const verdict = pending.settle(new Promise(() => {}))
    socket.push('early')
    await turn()
    socket.endInput()
    await turn()
    const { destroyed } = socket
    socket.destroy()
    assert.equal(destroyed, true)
    assert.equal(await codeOf(verdict), '400 ERR_WS_SOCKET_CLOSED')
    assert.equal(pending.release().toString(), 'early')
  })

  it('ends when it is cancelled, and tells when the client has gone', async () => {
    const setup = new Setup()
    const { signal } = setup.pending
    const gone = setup.pending.cancel(deny(503, 'ERR_WS_SERVER_CLOSING', 'closing'))
    assert.ok(signal.aborted)
    assert.equal(await codeOf(setup.ended(1)), '503 ERR_WS_SERVER_CLOSING')
    assert.ok(await isPending(gone))
    setup.socket.destroy()
    await gone
  })

  it('has a signal that is aborted already, for who asks late; and none that is aborted after an answer', async () => {
    const late = new Setup()
    void late.pending.cancel(deny(503, 'ERR_WS_SERVER_CLOSING', 'closing'))
    assert.ok(late.pending.signal.aborted)
    assert.equal(late.pending.signal, late.pending.signal)
    await late.ended(1)
    late.socket.destroy()

    const answered = new Setup()
    const { signal } = answered.pending
    answered.answer('ann')
    await answered.ended()
    answered.socket.destroy()
    await turn()
    assert.equal(signal.aborted, false)
  })

  it('keeps what is sent early, in order', async () => {
    const setup = new Setup(1_000, 'a')
    for (const bytes of ['b', 'c', 'd']) {
      setup.socket.push(bytes)
      await turn()
    }
    setup.answer(1)
    await setup.verdict
    assert.equal(setup.pending.release().toString(), 'abcd')
    assert.equal(setup.clock.running, 0)
  })

  it('gives back the head as it is, when nothing else came', async () => {
    const setup = new Setup(1_000, 'head')
    setup.answer(1)
    await setup.verdict
    assert.equal(setup.pending.release().toString(), 'head')
    const other = new Setup()
    other.answer(1)
    await other.verdict
    assert.equal(other.pending.release().length, 0)
  })

  const floods: [name: string, size: number, count: number][] = [
    ['bytes', 8 * 1024, 3],
    ['chunks', 1, 17],
  ]
  for (const [name, size, count] of floods) {
    it(`refuses a client that sends too many ${name}, and none that sends one less`, async () => {
      const setup = new Setup()
      const { signal } = setup.pending
      for (let i = 1; i < count; i++) {
        setup.socket.push(Buffer.alloc(size))
        await turn()
      }
      assert.ok(await isPending(setup.verdict))
      setup.socket.push(Buffer.alloc(size))
      assert.equal(await codeOf(setup.ended()), '400 ERR_WS_REQUEST_BODY')
      assert.equal((signal.reason as HandshakeError).code, 'ERR_WS_REQUEST_BODY')
      assert.equal(setup.socket.destroyed, false, 'it can be answered')
      setup.socket.destroy()
    })
  }
})
