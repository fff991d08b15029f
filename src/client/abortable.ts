/**
 * Settles as the work does, or rejects with the signal's reason as soon as that is aborted: for what cannot be stopped
 * itself.
 *
 * @param work - is not begun when the signal is aborted already
 * @param discard - gets what comes too late
 */
export function abortable<T>(
  work: () => T | PromiseLike<T>,
  signal: AbortSignal,
  discard: (late: T) => void = () => {},
): Promise<T> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted()
    let over = false
    const onAbort = (): void => {
      over = true
      reject(signal.reason as Error)
    }
    signal.addEventListener('abort', onAbort, { once: true })
    const settle = (end: () => void): void => {
      signal.removeEventListener('abort', onAbort)
      end()
    }
    // In a promise's chain, so that what throws at once is like what rejects.
    new Promise<T>((begin) => begin(work())).then(
      (value) => settle(() => (over ? discard(value) : resolve(value))),
      (error: unknown) => settle(() => reject(error as Error)),
    )
  })
}
