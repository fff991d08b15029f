import { onAbort } from './on-abort.ts'

/** The promise, or the signal's reason as soon as that is aborted. */
export function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = onAbort(signal, () => reject(signal.reason as Error))
    promise.then(resolve, reject).finally(stop)
  })
}
