import type { IncomingHttpHeaders } from 'node:http'
import { describeThrown, isError } from '../session/as-error.ts'
import { HandshakeError } from '../session/errors.ts'

/**
 * Why there is no connection, in words: what sockets, TLS and the HTTP parser throw becomes the `cause`.
 *
 * @param label - whom it was about to reach
 */
export function connectError(cause: unknown, label: string): HandshakeError {
  const code = codeOf(cause)
  if (code === 'HPE_HEADER_OVERFLOW') {
    return new HandshakeError('ERR_WS_HEADER_LIMIT', `the headers that ${label} sent are too long`, { cause })
  }
  if (code?.startsWith('HPE_')) {
    return new HandshakeError('ERR_WS_HEADER_SYNTAX', `the answer of ${label} is not HTTP`, { cause })
  }
  return new HandshakeError('ERR_WS_CONNECT', `no connection to ${label}: ${reason(cause)}`, { cause })
}

/** What a proxy answered, where it did, or what led to its failure. */
export interface ProxyAnswer {
  readonly status?: number
  readonly headers?: IncomingHttpHeaders
  readonly body?: string
  readonly cause?: unknown
}

/**
 * It was the proxy, and not the server, that refused or failed. Says nothing of user and password.
 *
 * @param label - how messages call the proxy
 */
export function proxyError(label: string, why: string, answer?: ProxyAnswer): HandshakeError {
  return new HandshakeError('ERR_WS_PROXY', `the proxy ${label} ${why}`, answer)
}

/** There is no connection to the proxy, or it broke before the proxy had answered. */
export function proxyFailure(cause: unknown, label: string): HandshakeError {
  return new HandshakeError('ERR_WS_PROXY', `no connection to the proxy ${label}: ${reason(cause)}`, {
    cause,
  })
}

/** The shortest description of what went wrong below HTTP. Never throws: a look-up, too, can throw anything. */
function reason(cause: unknown): string {
  try {
    return describe(cause, codeOf(cause))
  } catch {
    return describeThrown(cause)
  }
}

function describe(cause: unknown, code: string | undefined): string {
  // What OpenSSL makes of the alert 120, and of a server that insists on HTTP/2.
  if (code?.endsWith('NO_APPLICATION_PROTOCOL'))
    return 'it does not speak HTTP/1.1 over TLS (ALPN), which a WebSocket needs'
  if (isError(cause) && cause instanceof AggregateError) return `${code ?? 'failed'}${addresses(cause)}`
  return code ?? describeThrown(cause)
}

/** All addresses of a name were tried: the message of an `AggregateError` is empty. */
function addresses({ errors }: AggregateError): string {
  const tried = errors.flatMap((error: { address?: unknown; code?: unknown }) =>
    typeof error?.address === 'string' ? `${error.address}: ${String(error.code)}` : [],
  )
  return tried.length > 1 ? ` (${tried.join(', ')})` : ''
}

function codeOf(cause: unknown): string | undefined {
  try {
    // What is no error need not be readable, nor need all of an error be.
    const code = isError(cause) ? (cause as { code?: unknown }).code : undefined
    return typeof code === 'string' ? code : undefined
  } catch {
    return undefined
  }
}
