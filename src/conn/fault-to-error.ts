import type { Fault } from '../protocol/fault.ts'
import { type CodeOf, errorKinds, LimitError, ProtocolError } from '../session/errors.ts'

// The link wants both.
export { asError } from '../session/as-error.ts'

/** The engine's fault as the error that users see. */
export function faultToError(fault: Fault): ProtocolError | LimitError {
  if (fault.limit !== undefined && errorKinds[fault.code] === 'LimitError') {
    return new LimitError(fault.code as CodeOf<'LimitError'>, fault.closeCode, fault.message, fault.limit)
  }
  const { closeCode, message, cause } = fault
  return new ProtocolError(
    fault.code as CodeOf<'ProtocolError'>,
    closeCode,
    message,
    cause === undefined ? undefined : { cause },
  )
}
