import type { IncomingMessage } from 'node:http'
import { type ExtensionOptions, extensionOptionNames, resolveExtensions } from '../conn/extension-options.ts'
import type { Log } from '../conn/observer.ts'
import { checkNames, checkSubprotocols } from '../conn/options.ts'
import { printFailure } from '../conn/print-failure.ts'
import type { SlowPolicy } from '../conn/sender.ts'
import type { ExtensionFactory } from '../protocol/extension.ts'
import { defaultLimits, type Limits, resolveLimits } from '../protocol/limits.ts'
import { type HandshakeError, UsageError } from '../session/errors.ts'
import { parseUrl } from '../session/parse-url.ts'
import { isStrayPromise } from '../session/stray-promise.ts'
import { isToken } from '../wire/header-grammar.ts'
import type { Authorize } from './authorize.ts'
import type { ConnectionLimitsOptions } from './connection-limits.ts'
import { type OriginCheck, sameOrigin } from './origin.ts'
import { type AnswerHeaders, isHeaderValue } from './reject.ts'
import type { ServerConn } from './server-conn.ts'

/** How a request is about to be refused. */
export interface Rejection {
  /** The HTTP status. */
  readonly status: number
  /** Headers that the answer carries beside those of its body. */
  readonly headers: AnswerHeaders
  /** The text of the answer. */
  readonly body: string
  /** Why: its `code` tells the check that failed. */
  readonly reason: HandshakeError
}

/**
 * What an {@link Upgrader} accepts, and how its connections behave.
 *
 * A request is checked in this order: path, number of header fields, connection limits, protocol, origin, subprotocols
 * and extensions, `authorize`; then `limits` and `headers` are asked.
 */
export interface UpgraderOptions<Subprotocol extends string = string, Context = unknown>
  extends ExtensionOptions {
  /**
   * Only requests for this path, exactly; others are left to the next upgrader. Written as it stands in a request,
   * so with `%20` for a space. Or a function that says of a path, without its query, whether it is this upgrader's.
   * Default: every path.
   */
  readonly path?: string | ((path: string, request: IncomingMessage) => boolean) | undefined
  /** Whether pages of an origin may connect. Default {@link sameOrigin}. Refused: 403. */
  readonly checkOrigin?: OriginCheck | undefined
  /**
   * The subprotocols spoken: the first of the client's that is among them is chosen. Or a function that chooses one
   * of those that the client offers. Names that are written here are the type of `conn.subprotocol`. Default: none.
   */
  readonly subprotocols?:
    | readonly Subprotocol[]
    | ((offered: readonly string[], request: IncomingMessage) => Subprotocol | undefined)
    | undefined
  /**
   * Who may connect: asked before the 101, at once or by a promise. What it returns becomes `conn.context`, with its
   * type; {@link refuse} makes it any HTTP answer, and what is falsy is answered 403. What it throws is answered 500,
   * and told to `onReject` alone. While it is pending the client's early bytes are kept, `handshakeTimeout` runs (408),
   * and a client that goes away aborts its `signal`. Default: everybody.
   */
  readonly authorize?: Authorize<Context> | undefined
  /**
   * Limits that differ from `defaultLimits`; or a function that gives them for each connection, and gets what
   * `authorize` returned (write `authorize` first, so that its type is known). A function's `handshakeTimeout` comes
   * too late to have an effect: use the option of that name.
   */
  readonly limits?:
    | Partial<Limits>
    | ((request: IncomingMessage, context: Context) => Partial<Limits>)
    | undefined
  /**
   * Milliseconds for the opening handshake: on `serve`'s own server for the request, and everywhere for `authorize`;
   * 0 = no limit. Breach: 408. Default: the limit of that name, 10 s.
   */
  readonly handshakeTimeout?: number | undefined
  /** The most connections at a time, with those that wait for `authorize`. Beyond: 503 with `Retry-After`. Default: any number. */
  readonly maxConnections?: number | undefined
  /**
   * The same for one address, as `addressOf` says. An IPv6 address counts as its network of 64 bits. Beyond: 429 with
   * `Retry-After`. Connections without an address, on a Unix socket, are not limited by it. Default: any number.
   */
  readonly maxConnectionsPerAddress?: number | undefined
  /**
   * Whose connection this is, for `maxConnectionsPerAddress`: behind a proxy, the address that it passes on. Believe a
   * header only where a proxy of yours sets it, else clients choose what they count as. A text that is no address
   * counts as it stands. Default, and where it gives nothing: the address of the TCP connection.
   */
  readonly addressOf?: ((request: IncomingMessage) => string | undefined) | undefined
  /**
   * The longest life of a connection in milliseconds: then it is closed with 1001, `lifetime over`, so that clients
   * come back, perhaps to another server. Default: any.
   */
  readonly maxLifetime?: number | undefined
  /** The fraction of `maxLifetime` by which a life may be shorter, 0 to 1, drawn for each connection. Default 0.1. */
  readonly lifetimeJitter?: number | undefined
  /** What `send` does above `maxSendBuffer`: `close` with 1013 (the default) or `skip` the message. */
  readonly slow?: SlowPolicy | undefined
  /**
   * Further headers of the 101 answer, a list of values for several of a name; a function gets what `authorize`
   * returned (write `authorize` first).
   */
  readonly headers?:
    | AnswerHeaders
    | ((request: IncomingMessage, context: Context) => AnswerHeaders)
    | undefined
  /**
   * Hears of every request that is refused, and may change the answer. Default: prints with `console.error` when a
   * function of these options threw, which the client learns as no more than a 500.
   */
  readonly onReject?:
    | ((
        rejection: Rejection,
        request: IncomingMessage,
      ) => Partial<Pick<Rejection, 'status' | 'headers' | 'body'>> | undefined)
    | undefined
  /**
   * Gets what a handler or an `onMessage` listener threw; the connection is being closed with 1011. Default: `log` if
   * there is one, else `console.error`.
   */
  readonly onError?: ((error: unknown, conn: ServerConn) => void) | undefined
  /** Hears of connections, refused requests and failures; see `LogEntry`. Default: nobody. */
  readonly log?: Log | undefined
}

/** The options, checked and complete. */
export interface ResolvedUpgraderOptions extends ConnectionLimitsOptions {
  readonly matches: (path: string, request: IncomingMessage) => boolean
  /** No path was given: what is not about WebSocket may be for anybody. */
  readonly anyPath: boolean
  readonly checkOrigin: OriginCheck
  readonly subprotocols: (
    request: IncomingMessage,
  ) => readonly string[] | ((offered: readonly string[]) => string | undefined)
  readonly extensions: readonly ExtensionFactory[]
  readonly authorize: Authorize | undefined
  readonly limits: (request: IncomingMessage, context: unknown) => Limits
  readonly handshakeTimeout: number
  readonly maxLifetime: number | undefined
  readonly lifetimeJitter: number
  readonly slow: SlowPolicy
  readonly headers: (request: IncomingMessage, context: unknown) => AnswerHeaders
  readonly onReject: NonNullable<UpgraderOptions['onReject']>
  readonly onError: NonNullable<UpgraderOptions['onError']>
  readonly log: Log | undefined
}

/** The options that there are. */
export const upgraderOptionNames: readonly string[] = [
  'path',
  'checkOrigin',
  'subprotocols',
  'authorize',
  'limits',
  'handshakeTimeout',
  'maxConnections',
  'maxConnectionsPerAddress',
  'addressOf',
  'maxLifetime',
  'lifetimeJitter',
  'slow',
  'headers',
  'onReject',
  'onError',
  'log',
  ...extensionOptionNames,
]

/** The headers that the handshake itself writes, and those of a body, which a 101 does not have. */
const reserved = new Set([
  'upgrade',
  'connection',
  'content-length',
  'transfer-encoding',
  'sec-websocket-accept',
  'sec-websocket-protocol',
  'sec-websocket-extensions',
])

/** @throws UsageError `ERR_WS_INVALID_OPTION` naming what is wrong */
export function resolveUpgraderOptions(options: UpgraderOptions): ResolvedUpgraderOptions {
  checkNames(options, upgraderOptionNames)
  const { path, checkOrigin = sameOrigin, subprotocols = [], slow = 'close', headers = {} } = options
  const { limits, maxConnections, maxConnectionsPerAddress, maxLifetime, lifetimeJitter = 0.1 } = options
  const { addressOf = noAddress, log } = options
  const { onReject = log === undefined ? reportOwnFailure : hearNothing } = options
  if (path !== undefined && typeof path !== 'function' && !isPath(path)) {
    throw invalid(
      `path must be as in a request, beginning with / and without a query, not ${JSON.stringify(path)}`,
    )
  }
  for (const name of ['checkOrigin', 'authorize', 'addressOf', 'onReject', 'onError', 'log'] as const) {
    const value = options[name]
    if (value !== undefined && typeof value !== 'function')
      throw invalid(`${name} must be a function, not ${typeof value}`)
  }
  if (typeof subprotocols !== 'function') checkSubprotocols(subprotocols)
  if (slow !== 'close' && slow !== 'skip')
    throw invalid(`slow must be 'close' or 'skip', not ${String(slow)}`)
  if (typeof headers !== 'function') checkHeaders(headers)
  checkCount('maxConnections', maxConnections)
  checkCount('maxConnectionsPerAddress', maxConnectionsPerAddress)
  checkCount('maxLifetime', maxLifetime)
  if (typeof lifetimeJitter !== 'number' || !(lifetimeJitter >= 0 && lifetimeJitter <= 1))
    throw invalid(`lifetimeJitter must be a number from 0 to 1, not ${String(lifetimeJitter)}`)
  const fixed = typeof limits === 'function' ? defaultLimits : resolveLimits(limits)
  return {
    matches: matcher(path),
    anyPath: path === undefined,
    authorize: options.authorize,
    handshakeTimeout: handshakeTimeoutOf(options),
    maxConnections,
    maxConnectionsPerAddress,
    addressOf: (request) => checkAddress(atOnce('addressOf', addressOf(request))),
    maxLifetime,
    lifetimeJitter,
    checkOrigin: (origin, request) => atOnce('checkOrigin', checkOrigin(origin, request)) === true,
    subprotocols: (request) =>
      typeof subprotocols === 'function'
        ? (offered) => atOnce('subprotocols', subprotocols(offered, request))
        : subprotocols,
    extensions: resolveExtensions(options),
    slow,
    limits: (request, context) =>
      typeof limits === 'function' ? checkLimits(atOnce('limits', limits(request, context))) : fixed,
    headers: (request, context) =>
      typeof headers === 'function' ? checkHeaders(atOnce('headers', headers(request, context))) : headers,
    log,
    onReject: (rejection, request) => atOnce('onReject', onReject(rejection, request)),
    onError: options.onError ?? (log === undefined ? reportFailure : hearNothing),
  }
}

/**
 * The time for the opening handshake, in milliseconds.
 *
 * @throws UsageError `ERR_WS_INVALID_OPTION`
 */
export function handshakeTimeoutOf({
  handshakeTimeout,
  limits,
}: Pick<UpgraderOptions, 'handshakeTimeout' | 'limits'>): number {
  if (handshakeTimeout !== undefined) return resolveLimits({ handshakeTimeout }).handshakeTimeout
  return (typeof limits === 'function' ? defaultLimits : resolveLimits(limits)).handshakeTimeout
}

/** Beyond this (24.8 days) times do not fit the runtime's timers, and nobody counts so many connections. */
const MAX_COUNT = 2 ** 31 - 1

function checkCount(name: string, value: number | undefined): void {
  if (value !== undefined && !(Number.isInteger(value) && value > 0 && value <= MAX_COUNT))
    throw invalid(`${name} must be an integer from 1 to ${MAX_COUNT}, not ${String(value)}`)
}

function checkAddress(address: string | undefined): string | undefined {
  if (address === undefined || typeof address === 'string') return address
  throw invalid(`addressOf must return a string, not ${typeof address}`)
}

/** Of one connection. */
function checkLimits(limits: Partial<Limits>): Limits {
  if (limits === undefined) throw invalid('limits must return an object')
  return resolveLimits(limits)
}

function matcher(path: UpgraderOptions['path']): ResolvedUpgraderOptions['matches'] {
  if (path === undefined) return () => true
  if (typeof path === 'string') return (given) => given === path
  return (given, request) => atOnce('path', path(given, request)) === true
}

/** Whether requests can have this path: clients write it as a URL has it. */
function isPath(path: unknown): boolean {
  if (typeof path !== 'string' || !path.startsWith('/')) return false
  return parseUrl(`ws://host${path}`)?.pathname === path
}

function checkHeaders(headers: AnswerHeaders): AnswerHeaders {
  // A `Headers` or a `Map` has no properties of its own: it would go unnoticed that nothing is sent.
  if (typeof headers !== 'object' || headers === null || Symbol.iterator in headers)
    throw invalid('headers must be an object of names and values, or a function that returns one')
  for (const [name, value] of Object.entries(headers)) {
    if (!isToken(name)) throw invalid(`headers: ${JSON.stringify(name)} is not a header name`)
    if (reserved.has(name.toLowerCase())) throw invalid(`headers: ${name} is set by the handshake`)
    if (!isHeaderValue(value))
      throw invalid(`headers: the value of ${name} is neither a string nor a list of strings`)
  }
  return headers
}

function atOnce<T>(name: string, value: T): T {
  if (!isStrayPromise(value)) return value
  throw invalid(`${name} must answer at once, not with a promise`)
}

/** A refusal whose cause is the application: somebody has to hear of it. */
function reportOwnFailure({ reason }: Rejection): undefined {
  if (reason.code === 'ERR_WS_SERVER') printFailure('an upgrade request failed', reason.cause)
}

function reportFailure(error: unknown): void {
  printFailure('a connection handler failed', error)
}

function noAddress(): undefined {}

/** The log does. */
function hearNothing(): undefined {}

function invalid(message: string): UsageError {
  return new UsageError('ERR_WS_INVALID_OPTION', message)
}
