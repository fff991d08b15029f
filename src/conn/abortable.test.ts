import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { describe, it } from 'node:test'
import { isPending } from '../../test/support/until.ts'
import { abortable } from './abortable.ts'

const reason = new Error('no patience')

function pending<T>(): { promise: Promise<T>; resolve: (value: T) => void; reject: (error: Error) => void } {
  let resolve!: (value: T) => void
  let reject!: (error: Error) => void
  const promise = new Promise<T>((onResolve, onReject) => {
    resolve = onResolve
    reject = onReject
  })
  return { promise, resolve, reject }
}

describe('abortable', () => {
  it('settles as the promise does', async () => {
    const { signal } = new AbortController()
    const [good, bad] = [pending<number>(), pending<number>()]
    const results = [abortable(good.promise, signal), abortable(bad.promise, signal)] as const
    for (const each of results) assert.equal(await isPending(each), true)
    good.resolve(5)
    bad.reject(reason)
    assert.equal(await results[0], 5)
    await assert.rejects(results[1], reason)
  })

  it('rejects with the reason as soon as the signal is aborted, whatever the promise does later', async () => {
    for (const late of ['resolve', 'reject', 'nothing']) {
      const controller = new AbortController()
      const { promise, resolve, reject } = pending<number>()
      const result = abortable(promise, controller.signal)
      controller.abort(reason)
      await assert.rejects(result, reason)
      if (late === 'resolve') resolve(5)
      // That nobody waits for any more, and it must not end the process.
      if (late === 'reject') reject(new Error('late'))
      await isPending(promise)
    }
  })

  it('rejects at once when the signal was aborted before', async () => {
    const { promise } = pending<number>()
    await assert.rejects(abortable(promise, AbortSignal.abort(reason)), reason)
    await assert.rejects(abortable(Promise.resolve(5), AbortSignal.abort(reason)), reason)
  })

  it('leaves no listener on the signal, however it ends', async () => {
    const controller = new AbortController()
    const { signal } = controller
    const [good, bad, never] = [pending<number>(), pending<number>(), pending<number>()]
    const results = [good, bad, never].map(({ promise }) => abortable(promise, signal))
    assert.equal(getEventListeners(signal, 'abort').length, 3)
    good.resolve(5)
    bad.reject(reason)
    await Promise.allSettled(results.slice(0, 2))
    assert.equal(getEventListeners(signal, 'abort').length, 1)
    controller.abort(reason)
    await assert.rejects(results[2] as Promise<number>, reason)
    assert.equal(getEventListeners(signal, 'abort').length, 0)
    await abortable(never.promise, signal).catch(() => {})
    assert.equal(getEventListeners(signal, 'abort').length, 0)
  })
})

describe('abortable, of work that is begun', () => {
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
    const late = pending<string>()
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
    const late = pending<string>()
    const result = abortable(() => late.promise, controller.signal)
    controller.abort(reason)
    await assert.rejects(result, reason)
    late.reject(new Error('late'))
    await assert.rejects(late.promise)
  })
})
