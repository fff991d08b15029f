import { UsageError } from '../session/errors.ts'
import { Prepared, prepare } from '../session/prepared.ts'
import type { Sendable, Session } from '../session/session.ts'
import { CloseCode } from '../wire/close-code.ts'
import { Conn } from './conn.ts'
import { checkNames } from './options.ts'

/** How {@link broadcast} treats its audience. */
export interface BroadcastOptions {
  /** One session that does not get the message: usually the one it came from. */
  readonly except?: Session | undefined
  /**
   * What becomes of a session with more than its `maxSendBuffer` waiting: `skip` leaves it out (the default), `close`
   * ends it with 1013 and a `LimitError`, `queue` sends all the same and leaves it to the connection's own slow policy.
   */
  readonly slow?: 'queue' | 'skip' | 'close' | undefined
}

/** How many sessions a broadcast reached; those that are closing count for neither. */
export interface BroadcastResult {
  /** Sessions that were open and not left out; `send` was called on each. */
  readonly sent: number
  /** Sessions left out because they are slow. */
  readonly skipped: number
}

/**
 * Sends one message to many sessions. It is encoded once, and its bytes are shared. Where `send` of some throws, since
 * an extension of theirs cannot encode it, all others have got it before the first of these errors is thrown.
 *
 * @throws UsageError `ERR_WS_INVALID_ARGUMENT` when `data` cannot be sent, `ERR_WS_INVALID_OPTION` for an unknown option or
 * policy
 *
 * @example
 * ```ts
 * import { broadcast, serve } from 'silverback'
 * await using server = await serve({}, (conn) => {
 *   conn.onMessage((data) => broadcast(server.connections, data, { except: conn }))
 * })
 * ```
 */
export function broadcast(
  sessions: Iterable<Session>,
  data: Sendable,
  options?: BroadcastOptions,
): BroadcastResult {
  if (options !== undefined) checkNames(options, ['except', 'slow'])
  const { except, slow = 'skip' } = options ?? {}
  if (slow !== 'queue' && slow !== 'skip' && slow !== 'close') {
    throw new UsageError(
      'ERR_WS_INVALID_OPTION',
      `slow must be 'queue', 'skip' or 'close', not ${String(slow)}`,
    )
  }
  const message = data instanceof Prepared ? data : prepare(data)
  let sent = 0
  let skipped = 0
  let failure: { readonly error: unknown } | undefined
  for (const session of sessions) {
    if (session === except || session.state !== 'open') continue
    if (slow !== 'queue' && session.bufferedAmount > session.maxSendBuffer) {
      if (slow === 'close') closeSlow(session)
      skipped++
      continue
    }
    try {
      session.send(message)
      sent++
    } catch (error) {
      // An extension of this one: the others are not to miss the message for that.
      failure ??= { error }
    }
  }
  if (failure !== undefined) throw failure.error
  return { sent, skipped }
}

/** A connection tells why it has ended; any other session has no more than the Close frame for that. */
function closeSlow(session: Session): void {
  if (session instanceof Conn) session.tooSlow()
  else void session.close(CloseCode.TryAgainLater, 'too slow')
}
