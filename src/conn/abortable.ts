import { onAbort } from './on-abort.ts'

/**
 * Settles as the work does, or rejects with the signal's reason as soon as that is aborted: for what cannot be stopped
 * itself.
 *
 * @param work - a promise, or what begins it; that is not called when the signal is aborted already
 * @param discard - gets what comes too late
 */
export function abortable<T>(
  work: Promise<T> | (() => T | PromiseLike<T>),
  signal: AbortSignal,
  discard: (late: T) => void = () => {},
): Promise<T> {
  return new Promise((resolve, reject) => {
    if (typeof work === 'function') signal.throwIfAborted()
    let over = false
    const stop = onAbort(signal, () => {
      over = true
      reject(signal.reason as Error)
    })
    // In a promise's chain, so that what throws at once is like what rejects.
    const promise = typeof work === 'function' ? new Promise<T>((begin) => begin(work())) : work
    promise.then((value) => (over ? discard(value) : resolve(value)), reject).finally(stop)
  })
}
