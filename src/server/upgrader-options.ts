import type { IncomingMessage } from 'node:http'
import type { SlowPolicy } from '../conn/link.ts'
import { checkNames, checkSubprotocols } from '../conn/options.ts'
import { type Limits, resolveLimits } from '../protocol/limits.ts'
import { type HandshakeError, UsageError } from '../session/errors.ts'
import { type OriginCheck, sameOrigin } from './origin.ts'
import { formatHeaders } from './reject.ts'
import type { ServerConn } from './upgrader.ts'

/** How a request is about to be refused. */
export interface Rejection {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  /** Why: its `code` tells the check that failed. */
  readonly reason: HandshakeError
}

/** What an {@link Upgrader} accepts, and how its connections behave. */
export interface UpgraderOptions {
  /** Only requests for this path, exactly; others are left to the next upgrader. Default: every path. */
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
  /** Changes the answer to a request that is refused. */
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
  readonly subprotocols: NonNullable<UpgraderOptions['subprotocols']>
  readonly limits: Limits
  readonly slow: SlowPolicy
  readonly headers: (request: IncomingMessage) => Readonly<Record<string, string>>
  readonly onReject: NonNullable<UpgraderOptions['onReject']>
  readonly onError: NonNullable<UpgraderOptions['onError']>
}

const names = [
  'path',
  'checkOrigin',
  'subprotocols',
  'limits',
  'slow',
  'headers',
  'onReject',
  'onError',
] as const

/** The headers that the handshake itself writes. */
const reserved = new Set([
  'upgrade',
  'connection',
  'sec-websocket-accept',
  'sec-websocket-protocol',
  'sec-websocket-extensions',
])

/** @throws UsageError `ERR_WS_INVALID_OPTION` naming what is wrong */
export function resolveUpgraderOptions(options: UpgraderOptions): ResolvedUpgraderOptions {
  checkNames(options, names)
  const { path, checkOrigin = sameOrigin, subprotocols = [], slow = 'close', headers = {} } = options
  if (path !== undefined && (typeof path !== 'string' || !path.startsWith('/') || path.includes('?'))) {
    throw invalid(`path must begin with / and have no query, not ${JSON.stringify(path)}`)
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
    checkOrigin,
    subprotocols,
    slow,
    limits: resolveLimits(options.limits),
    headers: typeof headers === 'function' ? (request) => checkHeaders(headers(request)) : () => headers,
    onReject: options.onReject ?? (() => undefined),
    onError: options.onError ?? ((error) => console.error('silverback: a connection handler failed:', error)),
  }
}

function checkHeaders(headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  if (typeof headers !== 'object' || headers === null)
    throw invalid('headers must be an object or a function that returns one')
  for (const name of Object.keys(headers)) {
    if (reserved.has(name.toLowerCase())) throw invalid(`headers: ${name} is set by the handshake`)
  }
  formatHeaders(headers)
  return headers
}

function invalid(message: string): UsageError {
  return new UsageError('ERR_WS_INVALID_OPTION', message)
}
