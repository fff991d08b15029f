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
  /** Done: what the connection was for is fulfilled. */
  Normal: 1000,
  /** A server stops, or a page is left. */
  GoingAway: 1001,
  /** The other side broke RFC 6455. */
  ProtocolError: 1002,
  /** A kind of data that this endpoint does not take, such as binary where it wants text. */
  UnsupportedData: 1003,
  /** Reported only: the Close frame had no code. */
  NoStatus: 1005,
  /** Reported only: there was no Close frame. */
  Abnormal: 1006,
  /** A message is not what its type says: text that is not UTF-8, or not the JSON that was agreed on. */
  InvalidPayload: 1007,
  /** Against a rule of this endpoint's own, where no other code fits. */
  PolicyViolation: 1008,
  /** A message is longer than this endpoint takes. */
  MessageTooBig: 1009,
  /** From a client: the server did not agree to an extension that it needs. */
  MandatoryExtension: 1010,
  /** The server met a condition that it did not expect. */
  InternalError: 1011,
  /** The server restarts: connect again, after a random time. */
  ServiceRestart: 1012,
  /** The server has too much to do: connect again, later. */
  TryAgainLater: 1013,
  /** A gateway had an invalid answer from the server behind it. */
  BadGateway: 1014,
  /** Reported only: the TLS handshake failed. */
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
