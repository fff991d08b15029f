import { isError } from '../session/as-error.ts'
import type { CloseInfo } from '../session/close-info.ts'
import {
  CloseError,
  HandshakeError,
  LimitError,
  ProtocolError,
  TimeoutError,
  WebSocketError,
} from '../session/errors.ts'
import { CloseCode } from '../wire/close-code.ts'

/**
 * What becomes of a series of connections when one has ended or could not be made. `retry`: another, after the usual
 * delay; `soon`, after a short one; `later`, after a long one; `few`, as `retry`, but only a few times. `stop`: no
 * other, and the error is thrown. `end`: no other, and nothing went wrong.
 */
export type RetryVerdict = 'retry' | 'soon' | 'later' | 'few' | 'stop' | 'end'

/** The verdict on a range of codes. */
export interface VerdictRule {
  readonly from: number
  readonly to: number
  readonly verdict: RetryVerdict
}

function one(code: number, verdict: RetryVerdict): VerdictRule {
  return { from: code, to: code, verdict }
}

/** The verdict on the code that a connection ended with: the first rule that holds. */
export const closeRules: readonly VerdictRule[] = [
  one(CloseCode.Normal, 'end'),
  one(CloseCode.GoingAway, 'retry'),
  one(CloseCode.ProtocolError, 'stop'),
  one(CloseCode.UnsupportedData, 'stop'),
  one(CloseCode.NoStatus, 'retry'),
  one(CloseCode.Abnormal, 'retry'),
  one(CloseCode.InvalidPayload, 'stop'),
  one(CloseCode.PolicyViolation, 'stop'),
  one(CloseCode.MessageTooBig, 'stop'),
  one(CloseCode.MandatoryExtension, 'stop'),
  one(CloseCode.InternalError, 'retry'),
  one(CloseCode.ServiceRestart, 'soon'),
  one(CloseCode.TryAgainLater, 'later'),
  one(CloseCode.BadGateway, 'retry'),
  // Registered with IANA as "unauthorized" and "forbidden".
  one(3000, 'stop'),
  one(3003, 'stop'),
  { from: 3001, to: 3999, verdict: 'retry' },
  { from: 4000, to: 4499, verdict: 'retry' },
  { from: 4500, to: 4999, verdict: 'stop' },
]

/** The verdict on the HTTP status of a refused handshake: the first rule that holds. */
export const statusRules: readonly VerdictRule[] = [
  // Half a request that was cut on its way is answered so too, and one attempt does not tell which it was.
  one(400, 'few'),
  one(408, 'retry'),
  one(425, 'retry'),
  one(429, 'retry'),
  { from: 100, to: 499, verdict: 'stop' },
  { from: 500, to: 599, verdict: 'retry' },
]

function rule(rules: readonly VerdictRule[], code: number): RetryVerdict {
  return rules.find(({ from, to }) => code >= from && code <= to)?.verdict ?? 'retry'
}

/** The verdict on how a connection ended. */
export function judgeClose({ code, by, error }: CloseInfo): RetryVerdict {
  const verdict = rule(closeRules, code)
  if (by !== 'local') return verdict
  // Too much waited to be sent: a peer that is slow now need not be slow for ever.
  if (error instanceof LimitError && error.code === 'ERR_WS_SEND_BUFFER_FULL') return 'retry'
  if (error instanceof LimitError || error instanceof ProtocolError) return 'stop'
  // A listener threw.
  if (code === CloseCode.InternalError) return error === undefined ? 'end' : 'stop'
  // All else that this side said was the application's word: it has had enough, or wants another connection.
  if (code === CloseCode.GoingAway || verdict === 'stop') return 'end'
  return verdict === 'soon' || verdict === 'later' ? 'retry' : verdict
}

/** What a handshake fails with, beside a status, that would be the same the next time. */
const brokenAnswers: ReadonlySet<string> = new Set(['ERR_WS_HEADER_SYNTAX', 'ERR_WS_HEADER_LIMIT'])

/** The verdict on why there is no connection: what was thrown on the way to it. */
export function judgeFailure(error: unknown): RetryVerdict {
  if (error instanceof HandshakeError) {
    if (error.status !== undefined) return rule(statusRules, error.status)
    if (brokenAnswers.has(error.code) || isHopeless(error)) return 'stop'
    // Without a cause it is the word of a proxy, or of who was reached.
    return error.cause === undefined || isNetworkError(error) ? 'retry' : 'stop'
  }
  if (error instanceof TimeoutError) return 'retry'
  if (error instanceof CloseError) return judgeClose(error.info)
  if (error instanceof WebSocketError) return 'stop'
  return isNetworkError(error) ? 'retry' : 'stop'
}

/**
 * The codes that Node's TLS gives for certificates (its manual, "X509 certificate error codes"), and for what cannot be
 * agreed on.
 */
const hopelessCodes: ReadonlySet<string> = new Set([
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_CRL',
  'UNABLE_TO_DECRYPT_CERT_SIGNATURE',
  'UNABLE_TO_DECRYPT_CRL_SIGNATURE',
  'UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY',
  'CERT_SIGNATURE_FAILURE',
  'CRL_SIGNATURE_FAILURE',
  'CERT_NOT_YET_VALID',
  'CERT_HAS_EXPIRED',
  'CRL_NOT_YET_VALID',
  'CRL_HAS_EXPIRED',
  'ERROR_IN_CERT_NOT_BEFORE_FIELD',
  'ERROR_IN_CERT_NOT_AFTER_FIELD',
  'ERROR_IN_CRL_LAST_UPDATE_FIELD',
  'ERROR_IN_CRL_NEXT_UPDATE_FIELD',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'CERT_CHAIN_TOO_LONG',
  'CERT_REVOKED',
  'INVALID_CA',
  'PATH_LENGTH_EXCEEDED',
  'INVALID_PURPOSE',
  'CERT_UNTRUSTED',
  'CERT_REJECTED',
  'HOSTNAME_MISMATCH',
  'ERR_TLS_CERT_ALTNAME_INVALID',
  'ERR_TLS_NO_APPLICATION_PROTOCOL',
  // That of the options, and not of a server.
  'ERR_SSL_NO_CIPHER_MATCH',
  // What answers does not speak TLS.
  'ERR_SSL_WRONG_VERSION_NUMBER',
])

/**
 * The alerts by which a server refuses our certificate, the lack of one, or our versions (RFC 8446 section 6.2). What
 * stands before them differs between versions of OpenSSL.
 */
const hopelessAlert =
  /^ERR_SSL_.*ALERT_(?:CERTIFICATE_(?:REQUIRED|EXPIRED|REVOKED|UNKNOWN)|(?:BAD|UNSUPPORTED)_CERTIFICATE|UNKNOWN_CA|ACCESS_DENIED|PROTOCOL_VERSION)$/

/** The codes of a network that fails, as Node and its `fetch` give them. */
const networkCodes: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'EHOSTDOWN',
  'ENETUNREACH',
  'ENETDOWN',
  'EADDRNOTAVAIL',
  'EPROTO',
  'ERR_STREAM_PREMATURE_CLOSE',
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_BODY_TIMEOUT',
  'UND_ERR_SOCKET',
])

/** The system calls behind errors of sockets and look-ups; those of files have other names. */
const networkCalls: ReadonlySet<unknown> = new Set(['connect', 'getaddrinfo'])

function isHopeless(error: unknown): boolean {
  return causes(error).some(
    ({ code }) => typeof code === 'string' && (hopelessCodes.has(code) || hopelessAlert.test(code)),
  )
}

/** Functions of the application fetch tokens, for one: that their network fails is no reason to give up. */
function isNetworkError(error: unknown): boolean {
  return causes(error).some(
    ({ code, name, syscall }) =>
      name === 'TimeoutError' ||
      networkCalls.has(syscall) ||
      // What OpenSSL says of the other side: it may be in the midst of a restart.
      (typeof code === 'string' && (networkCodes.has(code) || code.startsWith('ERR_SSL_'))),
  )
}

/** More causes than this are a circle. */
const MOST_CAUSES = 8

interface Cause {
  readonly code?: unknown
  readonly name?: unknown
  readonly syscall?: unknown
}

/** An error and what led to it, as far as it can be read. */
function causes(error: unknown): Cause[] {
  const found: Cause[] = []
  try {
    for (let cause = error; isError(cause) && found.length < MOST_CAUSES; cause = cause.cause) {
      const { code, name, syscall }: Cause = cause
      found.push({ code, name, syscall })
    }
  } catch {
    // A function of the application's threw something whose getters throw.
  }
  return found
}
