import type { Protocol } from '../protocol/protocol.ts'
import type { CloseInfo, ConnStats } from '../session/close-info.ts'
import { CloseCode } from '../wire/close-code.ts'

/**
 * How a connection ended, from what its engine has seen.
 *
 * @param left - whether our Close frame, if there is one, has left
 */
export function describeEnd(
  { closedBy: by = 'network', closeReceived: received, closeSent }: Protocol,
  left: boolean,
  error: Error | undefined,
  stats: ConnStats,
): CloseInfo {
  const sent = left ? closeSent : undefined
  const first = by === 'local' ? closeSent : by === 'remote' ? received : undefined
  return {
    code: first?.code ?? CloseCode.Abnormal,
    reason: first?.reason ?? '',
    wasClean: received !== undefined && sent !== undefined,
    by,
    received,
    sent,
    error,
    stats,
  }
}
