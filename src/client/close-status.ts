import { MAX_REASON_SIZE } from '../protocol/close-payload.ts'
import { CloseCode } from '../wire/close-code.ts'
import { RuntimeDomException } from './runtime.ts'

/** What a page may say in a Close frame. */
export interface CloseStatus {
  readonly code: number
  readonly reason: string
}

/**
 * The Close frame for the arguments of a `close` (WebSockets Standard, "close the WebSocket"): without a body when
 * neither was given, with 1000 for a reason without a code.
 *
 * @throws DOMException `InvalidAccessError` for a code other than 1000 and 3000 to 4999, `SyntaxError` for a reason of
 * more than 123 bytes
 */
export function checkCloseStatus(code: number | undefined, reason: string): CloseStatus {
  if (code !== undefined && code !== CloseCode.Normal && (code < 3000 || code > 4999)) {
    throw new RuntimeDomException(
      `The close code must be 1000, or from 3000 to 4999, not ${code}`,
      'InvalidAccessError',
    )
  }
  if (Buffer.byteLength(reason, 'utf8') > MAX_REASON_SIZE) {
    throw new RuntimeDomException(
      `The close reason must be at most ${MAX_REASON_SIZE} bytes of UTF-8`,
      'SyntaxError',
    )
  }
  return { code: code ?? (reason === '' ? CloseCode.NoStatus : CloseCode.Normal), reason }
}
