import { LimitError } from '../session/errors.ts'
import { CloseCode } from '../wire/close-code.ts'

/** More waits to be sent than is allowed. */
export function sendBufferError(actual: number, max: number): LimitError {
  return new LimitError(
    'ERR_WS_SEND_BUFFER_FULL',
    CloseCode.TryAgainLater,
    `${actual} bytes wait to be sent, more than ${max}`,
    { limit: 'maxSendBuffer', actual, max },
  )
}
