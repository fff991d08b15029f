import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { describe, it } from 'node:test'
import { abortable } from './abortable.ts'

const reason = new Error('enough')

function deferred<T>(): {
  promise: Promise<T>
  resolve: (value: T) => void
  reject: (error: Error) => void
} {
  let resolve: (value: T) => void = () => {}
  let reject: (error: Error) => void = () => {}
  const promise = new Promise<T>((yes, no) => {
    resolve = yes
    reject = no
  })
  return { promise, resolve, reject }
}

describe('abortable', () => {
  it('settles as the work does, and leaves nothing on the signal', async () => {
    const { signal } = new AbortController()
    assert.equal(await abortable(() => 1, signal), 1)
    assert.equal(await abortable(async () => 2, signal), 2)
    const boom = new Error('boom')
    const throwing = (): never => {
      throw boom
    }
    await assert.rejects(abortable(throwing, signal), boom)
    await assert.rejects(
      abortable(async () => throwing(), signal),
      boom,
    )
    assert.equal(getEventListeners(signal, 'abort').length, 0)
  })

  it('does not begin when it is too late', async () => {
    await assert.rejects(
      abortable(() => assert.fail('begun'), AbortSignal.abort(reason)),
      reason,
    )
  })

  it('rejects at once with the reason, and discards what comes late', async () => {
    const controller = new AbortController()
    const late = deferred<string>()
    const discarded: string[] = []
    const result = abortable(
      () => late.promise,
      controller.signal,
      (value) => discarded.push(value),
    )
    controller.abort(reason)
    await assert.rejects(result, reason)
    late.resolve('late')
    await late.promise
    await Promise.resolve()
    assert.deepEqual(discarded, ['late'])
  })

  it('a failure that comes late is of no interest', async () => {
    const controller = new AbortController()
    const late = deferred<string>()
    const result = abortable(() => late.promise, controller.signal)
    controller.abort(reason)
    await assert.rejects(result, reason)
    late.reject(new Error('late'))
    await assert.rejects(late.promise)
  })
})
