import assert from 'node:assert/strict'
import { getEventListeners, once } from 'node:events'
import { after, describe, it } from 'node:test'
import { assertNoLeaks } from '../../test/leaks.ts'
import { enableFakeTimers } from '../../test/support/fake-timers.ts'
import { TimeoutError } from '../session/errors.ts'
import { HandshakeDeadline } from './handshake-deadline.ts'

after(() => assertNoLeaks())

describe('HandshakeDeadline', () => {
  it('aborts with a TimeoutError when the time is up', async () => {
    const deadline = new HandshakeDeadline(5, undefined)
    assert.deepEqual([deadline.expired, deadline.signal.aborted], [false, false])
    await once(deadline.signal, 'abort')
    const { reason } = deadline.signal
    assert.ok(reason instanceof TimeoutError)
    assert.deepEqual([reason.code, reason.phase], ['ERR_WS_HANDSHAKE_TIMEOUT', 'handshake'])
    assert.equal(deadline.expired, true)
    deadline.end()
  })

  it('aborts as the signal does, for its reason', () => {
    const controller = new AbortController()
    const deadline = new HandshakeDeadline(60_000, controller.signal)
    const reason = new Error('enough')
    controller.abort(reason)
    assert.equal(deadline.signal.reason, reason)
    assert.equal(deadline.expired, false)
    deadline.end()
  })

  it('throws the reason of a signal that is aborted already', () => {
    const reason = new Error('enough')
    assert.throws(() => new HandshakeDeadline(60_000, AbortSignal.abort(reason)), reason)
  })

  it('warns of no leak where one signal is for many dials', async () => {
    const warnings: Error[] = []
    const onWarning = (warning: Error): void => void warnings.push(warning)
    process.on('warning', onWarning)
    const { signal } = new AbortController()
    const deadlines = Array.from({ length: 15 }, () => new HandshakeDeadline(0, signal))
    await new Promise((resolve) => setImmediate(resolve))
    process.off('warning', onWarning)
    for (const deadline of deadlines) deadline.end()
    assert.deepEqual(warnings, [])
    assert.equal(getEventListeners(signal, 'abort').length, 0)
  })

  it('lets go of timer and signal', () => {
    const controller = new AbortController()
    const deadline = new HandshakeDeadline(60_000, controller.signal)
    deadline.end()
    assert.equal(getEventListeners(controller.signal, 'abort').length, 0)
    controller.abort()
    assert.equal(deadline.signal.aborted, false)
  })

  it('has no timer where the time is 0', (t) => {
    using _timers = enableFakeTimers(t)
    const deadline = new HandshakeDeadline(0, undefined)
    t.mock.timers.tick(2 ** 31)
    assert.equal(deadline.signal.aborted, false)
    deadline.end()
  })
})
