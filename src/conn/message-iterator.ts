import type { CloseInfo } from '../session/close-info.ts'
import { CloseCode } from '../wire/close-code.ts'
import type { Link } from './link.ts'
import { silent } from './silent.ts'

/**
 * Iterates over the messages of a connection. Written by hand, since an async generator costs three promises a message.
 *
 * Leaving the loop early keeps the connection and its messages: another reader can go on. A `next` that waits then takes
 * none, and ends.
 *
 * @param take - takes the next message; `undefined` at the end, or when its owner has left the inbox
 * @param onLeave - called when the loop is left
 * @throws UsageError `ERR_WS_CONCURRENT_READ` when a listener takes the messages
 */
export function messageIterator<T, Taken>(
  link: Link,
  take: (owner: object) => Taken | undefined | Promise<Taken | undefined>,
  pick: (taken: Taken) => T,
  onLeave?: () => void,
): AsyncIterableIterator<T, undefined> {
  link.inbox.refuseListener()
  let left = false
  const settle = (taken: Taken | undefined): IteratorResult<T, undefined> => {
    if (taken !== undefined) return { done: false, value: pick(taken) }
    if (left || link.quietEnd || endsQuietly(link.closeInfo as CloseInfo))
      return { done: true, value: undefined }
    throw link.closeError
  }
  const iterator: AsyncIterableIterator<T, undefined> = {
    next() {
      try {
        const taken = left ? undefined : take(iterator)
        if (!(taken instanceof Promise)) return Promise.resolve(settle(taken))
        // Nobody need wait for it. Silenced only where it fails: one more promise for each message would cost.
        const next = taken.then(
          (message) => {
            if (message === undefined) silent(next)
            return settle(message)
          },
          (error: unknown): never => {
            silent(next)
            throw error
          },
        )
        return next
      } catch (error) {
        return silent(Promise.reject(error))
      }
    },
    async return() {
      left = true
      link.inbox.leave(iterator)
      onLeave?.()
      return { done: true, value: undefined }
    },
    [Symbol.asyncIterator]() {
      return iterator
    },
  }
  return iterator
}

/** Whether nothing went wrong, from the point of view of one who reads until the end. */
export function endsQuietly({ code, by, error }: CloseInfo): boolean {
  if (error !== undefined) return false
  if (by === 'local') return true
  return code === CloseCode.Normal || code === CloseCode.GoingAway || code === CloseCode.NoStatus
}
