import type { IncomingMessage } from 'node:http'
import { type ExtensionOptions, extensionOptionNames, resolveExtensions } from '../conn/extension-options.ts'
import { checkNames, checkSubprotocols } from '../conn/options.ts'
import type { SlowPolicy } from '../conn/sender.ts'
import type { ExtensionFactory } from '../protocol/extension.ts'
import { type Limits, resolveLimits } from '../protocol/limits.ts'
import { type HandshakeError, UsageError } from '../session/errors.ts'
import { isToken } from '../wire/header-grammar.ts'
import { type OriginCheck, sameOrigin } from './origin.ts'
import type { ServerConn } from './server-conn.ts'

/** How a request is about to be refused. */
export interface Rejection {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  /** Why: its `code` tells the check that failed. */
  readonly reason: HandshakeError
}

/** What an {@link Upgrader} accepts, and how its connections behave. */
export interface UpgraderOptions extends ExtensionOptions {
  /**
   * Only requests for this path, exactly; others are left to the next upgrader. Written as it stands in a request,
   * so with `%20` for a space. Default: every path.
   */
  readonly path?: string | undefined
  /** Whether pages of an origin may connect. Default {@link sameOrigin}. Refused: 403. */
  readonly checkOrigin?: OriginCheck | undefined
  /**
   * The subprotocols spoken: the first of the client's that is among them is chosen. Or a function that chooses one
   * of those that the client offers. Default: none.
   */
  readonly subprotocols?:
    | readonly string[]
    | ((offered: readonly string[], request: IncomingMessage) => string | undefined)
    | undefined
  /** Limits that differ from `defaultLimits`. */
  readonly limits?: Partial<Limits> | undefined
  /** What `send` does above `maxSendBuffer`: `close` with 1013 (the default) or `skip` the message. */
  readonly slow?: SlowPolicy | undefined
  /** Further headers of the 101 answer. */
  readonly headers?:
    | Readonly<Record<string, string>>
    | ((request: IncomingMessage) => Readonly<Record<string, string>>)
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
  /** Gets what a handler or an `onMessage` listener threw; the connection is being closed with 1011. Default: `console.error`. */
  readonly onError?: ((error: unknown, conn: ServerConn) => void) | undefined
}

/** The options, checked and complete. */
export interface ResolvedUpgraderOptions {
  readonly path: string | undefined
  readonly checkOrigin: OriginCheck
  readonly subprotocols: (
    request: IncomingMessage,
  ) => readonly string[] | ((offered: readonly string[]) => string | undefined)
  readonly extensions: readonly ExtensionFactory[]
  readonly limits: Limits
  readonly slow: SlowPolicy
  readonly headers: (request: IncomingMessage) => Readonly<Record<string, string>>
  readonly onReject: NonNullable<UpgraderOptions['onReject']>
  readonly onError: NonNullable<UpgraderOptions['onError']>
}

/** The options that there are. */
export const upgraderOptionNames: readonly string[] = [
  'path',
  'checkOrigin',
  'subprotocols',
  'limits',
  'slow',
  'headers',
  'onReject',
  'onError',
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
  const { onReject = reportOwnFailure } = options
  if (path !== undefined && !isPath(path)) {
    throw invalid(
      `path must be as in a request, beginning with / and without a query, not ${JSON.stringify(path)}`,
    )
  }
  for (const name of ['checkOrigin', 'onReject', 'onError'] as const) {
    const value = options[name]
    if (value !== undefined && typeof value !== 'function')
      throw invalid(`${name} must be a function, not ${typeof value}`)
  }
  if (typeof subprotocols !== 'function') checkSubprotocols(subprotocols)
  if (slow !== 'close' && slow !== 'skip')
    throw invalid(`slow must be 'close' or 'skip', not ${String(slow)}`)
  if (typeof headers !== 'function') checkHeaders(headers)
  return {
    path,
    checkOrigin: (origin, request) => atOnce('checkOrigin', checkOrigin(origin, request)) === true,
    subprotocols: (request) =>
      typeof subprotocols === 'function'
        ? (offered) => atOnce('subprotocols', subprotocols(offered, request))
        : subprotocols,
    extensions: resolveExtensions(options),
    slow,
    limits: resolveLimits(options.limits),
    headers: (request) =>
      typeof headers === 'function' ? checkHeaders(atOnce('headers', headers(request))) : headers,
    onReject: (rejection, request) => atOnce('onReject', onReject(rejection, request)),
    onError: options.onError ?? ((error) => console.error('silverback: a connection handler failed:', error)),
  }
}

/** Whether requests can have this path: clients write it as a URL has it. */
function isPath(path: unknown): boolean {
  if (typeof path !== 'string' || !path.startsWith('/')) return false
  return URL.canParse(`ws://host${path}`) && new URL(`ws://host${path}`).pathname === path
}

function checkHeaders(headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  // A `Headers` or a `Map` has no properties of its own: it would go unnoticed that nothing is sent.
  if (typeof headers !== 'object' || headers === null || Symbol.iterator in headers)
    throw invalid('headers must be an object of names and values, or a function that returns one')
  for (const [name, value] of Object.entries(headers)) {
    if (!isToken(name)) throw invalid(`headers: ${JSON.stringify(name)} is not a header name`)
    if (reserved.has(name.toLowerCase())) throw invalid(`headers: ${name} is set by the handshake`)
    if (typeof value !== 'string') throw invalid(`headers: the value of ${name} is not a string`)
  }
  return headers
}

/** A promise in place of an answer: nobody waits for it, and its rejection alone must not end the process. */
function atOnce<T>(name: string, value: T): T {
  if (!(value instanceof Promise)) return value
  value.catch(() => {})
  throw invalid(`${name} must answer at once, not with a promise`)
}

/** A refusal whose cause is the application: somebody has to hear of it. */
function reportOwnFailure({ reason }: Rejection): undefined {
  if (reason.code === 'ERR_WS_SERVER') console.error('silverback: an upgrade request failed:', reason.cause)
}

function invalid(message: string): UsageError {
  return new UsageError('ERR_WS_INVALID_OPTION', message)
}
