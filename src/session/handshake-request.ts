import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'

/** What is kept of the HTTP request that opened a connection: the request itself holds far more memory. */
export interface HandshakeRequest {
  /** The request target: path and query, as they came. */
  readonly url: string
  /** The header fields, as Node reads them. */
  readonly headers: IncomingHttpHeaders
}

/** What is kept of the HTTP answer that opened a connection. */
export interface HandshakeResponse {
  /** 101. */
  readonly statusCode: number
  /** The header fields, as Node reads them. */
  readonly headers: IncomingHttpHeaders
}

/** What is kept of a request. */
export function keepRequest({ url = '', headers }: IncomingMessage): HandshakeRequest {
  return { url, headers }
}

/** What is kept of an answer. */
export function keepResponse({ statusCode = 0, headers }: IncomingMessage): HandshakeResponse {
  return { statusCode, headers }
}
