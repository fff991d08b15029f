import type { Protocol } from '../protocol/protocol.ts'
import type { CloseInfo, ConnStats } from '../session/close-info.ts'
import { TimeoutError } from '../session/errors.ts'
import { CloseCode } from '../wire/close-code.ts'

/**
 * How a connection ended, from what its engine has seen.
 *
 * @param left - whether our Close frame, if there is one, has left
 * @param streamError - the stream's own, which may be what `error` is
 */
export function describeEnd(
  { closedBy: by = 'network', closeReceived: received, closeSent }: Protocol,
  left: boolean,
  error: Error | undefined,
  streamError: Error | null,
  stats: ConnStats,
): CloseInfo {
  const sent = left ? closeSent : undefined
  const first = by === 'local' ? closeSent : by === 'remote' ? received : undefined
  const wasClean = received !== undefined && sent !== undefined
  return {
    code: first?.code ?? CloseCode.Abnormal,
    reason: first?.reason ?? '',
    wasClean,
    by,
    received,
    sent,
    // Once both Close frames are exchanged, how and when the peer hangs up is its own affair, also when that was seen first.
    error: wasClean && (error === streamError || isCloseTimeout(error)) ? undefined : error,
    stats,
  }
}

function isCloseTimeout(error: Error | undefined): boolean {
  return error instanceof TimeoutError && error.phase === 'close'
}
