import type { CloseInfo } from '../session/close-info.ts'
import type { Message } from '../session/message.ts'
import { CloseCode } from '../wire/close-code.ts'
import type { TextAs } from './inbox.ts'
import type { Link } from './link.ts'

/**
 * Iterates over the messages of a connection. Written by hand, since an async generator costs three promises a message.
 *
 * Leaving the loop early keeps the connection and its messages: another reader can go on.
 */
export function messageIterator<T>(
  link: Link,
  text: TextAs,
  pick: (message: Message) => T,
): AsyncIterator<T, undefined> {
  const settle = (message: Message | undefined): IteratorResult<T, undefined> => {
    if (message !== undefined) return { done: false, value: pick(message) }
    if (link.quietEnd || endsQuietly(link.closeInfo as CloseInfo)) return { done: true, value: undefined }
    throw link.closeError
  }
  return {
    async next() {
      return settle(await link.inbox.take(text))
    },
    return: () => Promise.resolve({ done: true, value: undefined }),
  }
}

/** Whether nothing went wrong, from the point of view of one who reads until the end. */
function endsQuietly({ code, by, error }: CloseInfo): boolean {
  if (error !== undefined) return false
  if (by === 'local') return true
  return code === CloseCode.Normal || code === CloseCode.GoingAway || code === CloseCode.NoStatus
}
