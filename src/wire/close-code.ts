/**
 * The status codes of RFC 6455 section 7.4.1 and those registered with IANA since.
 * `NoStatus`, `Abnormal` and `TlsHandshake` are only ever reported, never sent.
 *
 * @example
 * ```ts
 * import { CloseCode } from 'silverback'
 * console.log(CloseCode.GoingAway) // 1001
 * ```
 */
export const CloseCode = {
  Normal: 1000,
  GoingAway: 1001,
  ProtocolError: 1002,
  UnsupportedData: 1003,
  NoStatus: 1005,
  Abnormal: 1006,
  InvalidPayload: 1007,
  PolicyViolation: 1008,
  MessageTooBig: 1009,
  MandatoryExtension: 1010,
  InternalError: 1011,
  ServiceRestart: 1012,
  TryAgainLater: 1013,
  BadGateway: 1014,
  TlsHandshake: 1015,
} as const

/** One of the registered close codes. Applications may also use 3000-4999. */
export type CloseCode = (typeof CloseCode)[keyof typeof CloseCode]

/**
 * Whether a code may stand in a Close frame (RFC 6455 sections 7.4.1 and 7.4.2): registered and not one of the
 * three that only report, or from 3000-4999 (libraries, frameworks, applications). The same rule holds for
 * what may be sent and for what may be received.
 */
export function isSendableCloseCode(code: number): boolean {
  if (!Number.isInteger(code)) return false
  if (code >= 3000) return code <= 4999
  return code >= 1000 && code <= 1014 && code !== 1004 && code !== 1005 && code !== 1006
}
