import type { CloseInfo } from '../session/close-info.ts'
import { CloseCode } from '../wire/close-code.ts'
import type { Link } from './link.ts'

/**
 * Iterates over the messages of a connection. Written by hand, since an async generator costs three promises a message.
 *
 * Leaving the loop early keeps the connection and its messages: another reader can go on.
 *
 * @param take - takes the next message; `undefined` at the end
 */
export function messageIterator<T, Taken>(
  link: Link,
  take: () => Taken | undefined | Promise<Taken | undefined>,
  pick: (taken: Taken) => T,
): AsyncIterator<T, undefined> {
  const settle = (taken: Taken | undefined): IteratorResult<T, undefined> => {
    if (taken !== undefined) return { done: false, value: pick(taken) }
    if (endsQuietly(link.closeInfo as CloseInfo)) return { done: true, value: undefined }
    throw link.closeError
  }
  return {
    async next() {
      return settle(await take())
    },
    return: () => Promise.resolve({ done: true, value: undefined }),
  }
}

/** Whether nothing went wrong, from the point of view of one who reads until the end. */
export function endsQuietly({ code, by, error }: CloseInfo): boolean {
  if (error !== undefined) return false
  if (by === 'local') return true
  return code === CloseCode.Normal || code === CloseCode.GoingAway || code === CloseCode.NoStatus
}
