import { encodeCloseReason } from '../protocol/close-payload.ts'
import { CloseError } from '../session/errors.ts'
import { CloseCode } from '../wire/close-code.ts'
import { checkCloseFrame } from './control.ts'

/**
 * Whether an error says that a connection has ended, with one of these codes if there are any.
 *
 * @param codes - compared with `error.info.code`: 1005 for a Close frame without a code, 1006 for none at all
 *
 * @example
 * ```ts
 * import { CloseCode, isCloseError, serve } from 'silverback'
 * await using server = await serve({}, async (conn) => {
 *   try {
 *     conn.send(await conn.read())
 *   } catch (error) {
 *     if (!isCloseError(error, CloseCode.Normal, CloseCode.GoingAway)) throw error
 *   }
 * })
 * ```
 */
export function isCloseError(error: unknown, ...codes: number[]): error is CloseError {
  return error instanceof CloseError && (codes.length === 0 || codes.includes(error.info.code))
}

/**
 * Whether an error says that a connection has ended with a code that was not expected. `false` for all other errors.
 *
 * @example
 * ```ts
 * import { CloseCode, isUnexpectedCloseError, serve } from 'silverback'
 * await using server = await serve({}, async (conn) => {
 *   try {
 *     for (;;) conn.send(await conn.read())
 *   } catch (error) {
 *     if (isUnexpectedCloseError(error, CloseCode.Normal, CloseCode.GoingAway)) console.error(error)
 *   }
 * })
 * ```
 */
export function isUnexpectedCloseError(error: unknown, ...expected: number[]): error is CloseError {
  return isCloseError(error) && !expected.includes(error.info.code)
}

/**
 * The payload of a Close frame (RFC 6455 section 5.5.1), for tools that speak frames themselves: `conn.close` takes the
 * code and the reason.
 *
 * @param code - 1005 gives no payload at all
 * @param reason - at most 123 bytes of UTF-8
 * @throws UsageError `ERR_WS_INVALID_ARGUMENT` for a code that may not be sent, or a longer reason
 *
 * @example
 * ```ts
 * import { CloseCode, formatCloseMessage } from 'silverback'
 * console.log(formatCloseMessage(CloseCode.Normal, 'bye')) // 03 e8 62 79 65
 * ```
 */
export function formatCloseMessage(code: number, reason = ''): Uint8Array {
  if (code !== CloseCode.NoStatus) checkCloseFrame(code, reason)
  return encodeCloseReason(code, reason).payload
}
