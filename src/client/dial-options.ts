import { isIP, type LookupFunction } from 'node:net'
import type { Conn } from '../conn/conn.ts'
import { type ExtensionOptions, extensionOptionNames, resolveExtensions } from '../conn/extension-options.ts'
import { isAbortSignal } from '../conn/is-abort-signal.ts'
import { type Log, Observer } from '../conn/observer.ts'
import { checkNames, checkSubprotocols } from '../conn/options.ts'
import { printFailure } from '../conn/print-failure.ts'
import type { SlowPolicy } from '../conn/sender.ts'
import type { ExtensionFactory } from '../protocol/extension.ts'
import { type Limits, resolveLimits } from '../protocol/limits.ts'
import { UsageError } from '../session/errors.ts'
import type { ConnectHook } from './connect-stream.ts'
import { type CookieJar, isCookieJar } from './cookies.ts'
import { wrongHeader } from './header-options.ts'
import {
  type ProxyChoice,
  type ProxyOptions,
  type ResolvedProxyOptions,
  resolveProxyOptions,
} from './proxy.ts'
import { type DialTlsOptions, withoutUndefined, wrongTlsOptions } from './start-tls.ts'

/** How to connect, and how the connection behaves. */
export interface DialOptions<Subprotocol extends string = string> extends ExtensionOptions {
  /** Further headers of the request, such as `authorization`; `host` may be set too. What a redirect leaves of them: see `redirects`. */
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** The subprotocols to offer, best first; names that are written here are the type of `conn.subprotocol`. Default: none. */
  readonly subprotocols?: readonly Subprotocol[] | undefined
  /** Limits that differ from `defaultLimits`. */
  readonly limits?: Partial<Limits> | undefined
  /**
   * Milliseconds for the whole opening handshake, from the name look-up on, with proxies and redirects; 0 = no limit.
   * Default: the limit of that name, 10 s.
   */
  readonly handshakeTimeout?: number | undefined
  /** What `send` does above `maxSendBuffer`: `close` with 1013 (the default) or `skip` the message. */
  readonly slow?: SlowPolicy | undefined
  /** For `wss:`, as for `tls.connect`: `ca`, `cert`, `key`, `servername`, ... TLS with a proxy has options of its own. */
  readonly tls?: DialTlsOptions | undefined
  /**
   * The proxy to go through: `http:`, `https:`, `socks5:` or `socks5h:`, with user and password in the URL where it
   * wants them (SOCKS needs the npm package `socks`). `false` for none; a function to choose for each server. Default:
   * what the environment names in `https_proxy`, `http_proxy`, `all_proxy` and `no_proxy`; this machine is then
   * reached directly.
   */
  readonly proxy?: string | URL | false | ProxyChoice | ProxyOptions | undefined
  /**
   * How many redirects are followed, 0 to 100. They never lead from `wss` to `ws`. To another origin go of your
   * headers only `accept-language`, `origin` and `user-agent`, and no client certificate. Default 0.
   */
  readonly redirects?: number | undefined
  /**
   * Sends the cookies of this jar, and keeps in it what the answers set. Of a cookie that `headers` has too, that one
   * is sent. Not with a unix socket, which has no site of its own.
   */
  readonly jar?: CookieJar | undefined
  /**
   * Gives the byte stream to the server, or to the proxy, in place of a TCP connection; TLS is spoken over it by
   * `dial`. What it throws is the `cause` of a `HandshakeError`.
   */
  readonly connect?: ConnectHook | undefined
  /**
   * Finds the addresses of a name, as `dns.lookup` does, which is the default. All that it gives are tried (RFC 8305); a
   * `socks5:` proxy is asked for one of them, of IPv4 where there is one.
   */
  readonly lookup?: LookupFunction | undefined
  /** The IP address of this machine to connect from. Default: the system chooses. */
  readonly localAddress?: string | undefined
  /** Gives up the handshake; once connected it has no effect. */
  readonly signal?: AbortSignal | undefined
  /** Gets what an `onMessage` listener threw; the connection is being closed with 1011. Default: `log` if there is one, else `console.error`. */
  readonly onError?: ((error: unknown, conn: Conn) => void) | undefined
  /** Hears of the connection, and of the one that could not be had; see `LogEntry`. Default: nobody. */
  readonly log?: Log | undefined
}

/** The options, checked and complete. */
export interface ResolvedDialOptions {
  readonly headers: Readonly<Record<string, string>>
  readonly subprotocols: readonly string[]
  readonly extensions: readonly ExtensionFactory[]
  readonly limits: Limits
  readonly slow: SlowPolicy
  readonly tls: DialTlsOptions
  readonly proxy: ResolvedProxyOptions
  readonly redirects: number
  readonly jar: CookieJar | undefined
  readonly connect: ConnectHook | undefined
  readonly lookup: LookupFunction | undefined
  readonly localAddress: string | undefined
  readonly signal: AbortSignal | undefined
  readonly onError: (error: unknown, conn: Conn) => void
  readonly observer: Observer
}

const names = [
  'headers',
  'subprotocols',
  'limits',
  'handshakeTimeout',
  'slow',
  'tls',
  'proxy',
  'redirects',
  'jar',
  'connect',
  'lookup',
  'localAddress',
  'signal',
  'onError',
  'log',
  ...extensionOptionNames,
] as const

/** The headers that the handshake itself writes. */
const reserved: ReadonlySet<string> = new Set([
  'upgrade',
  'connection',
  'content-length',
  'transfer-encoding',
  'sec-websocket-key',
  'sec-websocket-version',
  'sec-websocket-protocol',
  'sec-websocket-extensions',
])

/** A server must not see these: what a proxy gets stands in its own options. */
const proxyHeaders: ReadonlySet<string> = new Set(['proxy-authorization', 'proxy-connection'])

/** @throws UsageError `ERR_WS_INVALID_OPTION` naming what is wrong */
export function resolveDialOptions(options: DialOptions): ResolvedDialOptions {
  checkNames(options, names)
  const { headers = {}, subprotocols = [], handshakeTimeout, slow = 'close', tls = {}, signal } = options
  checkSubprotocols(subprotocols)
  const wrong = wrongHeader(headers, reserved)
  if (wrong !== undefined) throw invalid(`headers${wrong}`)
  const forProxy = Object.keys(headers).find((name) => proxyHeaders.has(name.toLowerCase()))
  if (forProxy !== undefined) throw invalid(`headers: ${forProxy} is for a proxy: see proxy.headers`)
  if (slow !== 'close' && slow !== 'skip')
    throw invalid(`slow must be 'close' or 'skip', not ${String(slow)}`)
  const wrongTls = wrongTlsOptions(tls)
  if (wrongTls !== undefined) throw invalid(`tls ${wrongTls}`)
  if (signal !== undefined && !isAbortSignal(signal)) throw invalid('signal must be an AbortSignal')
  if (options.onError !== undefined && typeof options.onError !== 'function')
    throw invalid('onError must be a function')
  const { log } = options
  if (log !== undefined && typeof log !== 'function') throw invalid('log must be a function')
  checkNetwork(options)
  return {
    headers,
    subprotocols,
    extensions: resolveExtensions(options),
    limits: resolveLimits(
      handshakeTimeout === undefined ? options.limits : { ...options.limits, handshakeTimeout },
    ),
    slow,
    tls: withoutUndefined(tls),
    proxy: resolveProxyOptions(options.proxy),
    redirects: options.redirects ?? 0,
    jar: options.jar,
    connect: options.connect,
    lookup: options.lookup,
    localAddress: options.localAddress,
    signal,
    onError: options.onError ?? (log === undefined ? reportFailure : () => {}),
    observer: new Observer(log),
  }
}

function checkNetwork({ redirects, jar, connect, lookup, localAddress }: DialOptions): void {
  if (redirects !== undefined && !(Number.isInteger(redirects) && redirects >= 0 && redirects <= 100))
    throw invalid(`redirects must be an integer from 0 to 100, not ${String(redirects)}`)
  if (jar !== undefined && !isCookieJar(jar))
    throw invalid('jar must have the methods getCookieString and setCookie')
  if (connect !== undefined && typeof connect !== 'function') throw invalid('connect must be a function')
  if (lookup !== undefined && typeof lookup !== 'function') throw invalid('lookup must be a function')
  if (localAddress !== undefined && (typeof localAddress !== 'string' || isIP(localAddress) === 0))
    throw invalid(`localAddress must be an IP address, not ${String(localAddress)}`)
}

function invalid(message: string): UsageError {
  return new UsageError('ERR_WS_INVALID_OPTION', message)
}

function reportFailure(error: unknown): void {
  printFailure('a message listener failed', error)
}
