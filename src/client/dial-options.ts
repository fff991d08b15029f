import type { ConnectionOptions as TlsOptions } from 'node:tls'
import type { Conn } from '../conn/conn.ts'
import { type ExtensionOptions, extensionOptionNames, resolveExtensions } from '../conn/extension-options.ts'
import type { SlowPolicy } from '../conn/link.ts'
import { checkNames, checkSubprotocols } from '../conn/options.ts'
import type { ExtensionFactory } from '../protocol/extension.ts'
import { type Limits, resolveLimits } from '../protocol/limits.ts'
import { UsageError } from '../session/errors.ts'
import { isToken } from '../wire/header-grammar.ts'

/** How to connect, and how the connection behaves. */
export interface DialOptions<Subprotocol extends string = string> extends ExtensionOptions {
  /** Further headers of the request, such as `authorization`; `host` may be set too. */
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** The subprotocols to offer, best first; names that are written here are the type of `conn.subprotocol`. Default: none. */
  readonly subprotocols?: readonly Subprotocol[] | undefined
  /** Limits that differ from `defaultLimits`. */
  readonly limits?: Partial<Limits> | undefined
  /** Milliseconds for the whole opening handshake, from the name look-up on; 0 = no limit. Default: the limit of that name, 10 s. */
  readonly handshakeTimeout?: number | undefined
  /** What `send` does above `maxSendBuffer`: `close` with 1013 (the default) or `skip` the message. */
  readonly slow?: SlowPolicy | undefined
  /** For `wss:`, as for `tls.connect`: `ca`, `cert`, `key`, `servername`, ... */
  readonly tls?: TlsOptions | undefined
  /** Gives up the handshake; once connected it has no effect. */
  readonly signal?: AbortSignal | undefined
  /** Gets what an `onMessage` listener threw; the connection is being closed with 1011. Default: `console.error`. */
  readonly onError?: ((error: unknown, conn: Conn) => void) | undefined
}

/** The options, checked and complete. */
export interface ResolvedDialOptions {
  readonly headers: Readonly<Record<string, string>>
  readonly subprotocols: readonly string[]
  readonly extensions: readonly ExtensionFactory[]
  readonly limits: Limits
  readonly slow: SlowPolicy
  readonly tls: TlsOptions
  readonly signal: AbortSignal | undefined
  readonly onError: (error: unknown, conn: Conn) => void
}

const names = [
  'headers',
  'subprotocols',
  'limits',
  'handshakeTimeout',
  'slow',
  'tls',
  'signal',
  'onError',
  ...extensionOptionNames,
] as const

/** The headers that the handshake itself writes. */
const reserved = new Set([
  'upgrade',
  'connection',
  'content-length',
  'transfer-encoding',
  'sec-websocket-key',
  'sec-websocket-version',
  'sec-websocket-protocol',
  'sec-websocket-extensions',
])

/** @throws UsageError `ERR_WS_INVALID_OPTION` naming what is wrong */
export function resolveDialOptions(options: DialOptions): ResolvedDialOptions {
  checkNames(options, names)
  const { headers = {}, subprotocols = [], handshakeTimeout, slow = 'close', tls = {}, signal } = options
  checkSubprotocols(subprotocols)
  checkHeaders(headers)
  if (slow !== 'close' && slow !== 'skip')
    throw invalid(`slow must be 'close' or 'skip', not ${String(slow)}`)
  if (typeof tls !== 'object' || tls === null) throw invalid('tls must be an object, as for tls.connect')
  if (signal !== undefined && !(signal instanceof AbortSignal)) throw invalid('signal must be an AbortSignal')
  if (options.onError !== undefined && typeof options.onError !== 'function')
    throw invalid('onError must be a function')
  return {
    headers,
    subprotocols,
    extensions: resolveExtensions(options),
    limits: resolveLimits(
      handshakeTimeout === undefined ? options.limits : { ...options.limits, handshakeTimeout },
    ),
    slow,
    tls,
    signal,
    onError: options.onError ?? ((error) => console.error('silverback: a message listener failed:', error)),
  }
}

/**
 * The URL of a WebSocket (RFC 6455 section 3).
 *
 * @throws UsageError `ERR_WS_INVALID_ARGUMENT` for one that is not `ws:` or `wss:`, or has credentials or a fragment
 */
export function checkUrl(given: string | URL): URL {
  if (!URL.canParse(String(given))) throw wrongUrl(`${JSON.stringify(String(given))} is not a URL`)
  const url = new URL(given)
  if (url.protocol !== 'ws:' && url.protocol !== 'wss:')
    throw wrongUrl(`the scheme must be ws or wss, not ${url.protocol.slice(0, -1)}`)
  // Not quoted: it would carry the password into logs.
  if (url.username !== '' || url.password !== '')
    throw wrongUrl('no user name or password in the URL: send an authorization header')
  if (url.hash !== '') throw wrongUrl('a WebSocket URL has no fragment')
  return url
}

function checkHeaders(headers: Readonly<Record<string, string>>): void {
  // A `Headers` or a `Map` has no properties of its own: it would go unnoticed that nothing is sent.
  if (typeof headers !== 'object' || headers === null || Symbol.iterator in headers)
    throw invalid('headers must be an object of names and values')
  for (const [name, value] of Object.entries(headers)) {
    if (!isToken(name)) throw invalid(`headers: ${JSON.stringify(name)} is not a header name`)
    if (reserved.has(name.toLowerCase())) throw invalid(`headers: ${name} is set by the handshake`)
    if (typeof value !== 'string' || hasControl(value))
      throw invalid(`headers: the value of ${name} is not a line of text`)
  }
}

function hasControl(value: string): boolean {
  for (let i = 0; i < value.length; i++) {
    const code = value.charCodeAt(i)
    if ((code < 0x20 && code !== 0x09) || code === 0x7f || code > 0xff) return true
  }
  return false
}

function invalid(message: string): UsageError {
  return new UsageError('ERR_WS_INVALID_OPTION', message)
}

function wrongUrl(message: string): UsageError {
  return new UsageError('ERR_WS_INVALID_ARGUMENT', `dial: ${message}`)
}
