import { domainToASCII, URL as NodeUrl } from 'node:url'
import { abortable } from '../conn/abortable.ts'
import { checkNames } from '../conn/options.ts'
import { HandshakeError, UsageError } from '../session/errors.ts'
import { parseUrl } from '../session/parse-url.ts'
import { authority, type DialTarget, withoutBrackets } from './dial-target.ts'
import { wrongHeader } from './header-options.ts'
import { type Environment, proxyFromEnvironment } from './proxy-environment.ts'
import { type DialTlsOptions, withoutUndefined, wrongTlsOptions } from './start-tls.ts'

/**
 * Chooses the proxy for a server, at every dial and every redirect; `false` or `undefined` means none. What it throws
 * becomes the `cause` of a `HandshakeError` `ERR_WS_PROXY`.
 *
 * @example
 * ```ts
 * import { Dialer } from 'silverback'
 * const dialer = new Dialer({
 *   proxy: ({ hostname }) => !hostname.endsWith('.internal') && 'http://proxy.example:3128',
 * })
 * ```
 */
export type ProxyChoice = (
  url: URL,
) => string | URL | false | undefined | PromiseLike<string | URL | false | undefined>

/**
 * Which proxy to go through, and how to speak to it.
 *
 * @example
 * ```ts
 * import { Dialer } from 'silverback'
 * // The proxy that the environment names, with a token of its own.
 * const dialer = new Dialer({ proxy: { headers: { 'proxy-authorization': 'Bearer secret' } } })
 * ```
 */
export interface ProxyOptions {
  /** As the option `proxy` itself. Default: from the environment. */
  readonly url?: string | URL | false | ProxyChoice | undefined
  /** Further headers of the CONNECT request, for HTTP proxies alone; a `proxy-authorization` comes before the URL's user and password. */
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** TLS with an `https:` proxy; none with SOCKS. What `tls` says is for the server alone, and not used here. */
  readonly tls?: DialTlsOptions | undefined
}

/** The option, checked and complete. */
export interface ResolvedProxyOptions {
  readonly choice: ProxyAddress | false | ProxyChoice | 'environment'
  readonly headers: Readonly<Record<string, string>>
  readonly tls: DialTlsOptions
}

/** A proxy as its URL says it. */
export interface ProxyAddress {
  readonly scheme: 'http' | 'https' | 'socks5' | 'socks5h'
  /** Name or address, an IPv6 address without brackets. */
  readonly host: string
  readonly port: number
  /** User and password, decoded. */
  readonly login: { readonly user: string; readonly password: string } | undefined
  /** How messages call it: without user and password. */
  readonly label: string
}

const defaultPorts = { http: 80, https: 443, socks5: 1080, socks5h: 1080 } as const

/** What a CONNECT request has of its own, or may not have. */
const reserved: ReadonlySet<string> = new Set([
  'host',
  'connection',
  'upgrade',
  'content-length',
  'transfer-encoding',
])

/** @throws UsageError `ERR_WS_INVALID_OPTION` naming what is wrong */
export function resolveProxyOptions(given: unknown): ResolvedProxyOptions {
  if (typeof given !== 'object' || given === null || isUrl(given))
    return { choice: resolveChoice(given, 'proxy'), headers: {}, tls: {} }
  checkNames(given, ['url', 'headers', 'tls'])
  const { url, headers = {}, tls = {} } = given as ProxyOptions
  const wrong = wrongHeader(headers, reserved)
  if (wrong !== undefined) throw invalid(`proxy.headers${wrong}`)
  const wrongTls = wrongTlsOptions(tls)
  if (wrongTls !== undefined) throw invalid(`proxy.tls ${wrongTls}`)
  const choice = resolveChoice(url, 'proxy.url')
  if (typeof choice === 'object' && choice.scheme.startsWith('socks')) {
    const unused = Object.entries({ headers, tls }).find(([, value]) => Object.keys(value).length > 0)
    if (unused !== undefined) throw invalid(`proxy.${unused[0]} is not for a SOCKS proxy`)
  }
  return { choice, headers, tls: withoutUndefined(tls) }
}

function resolveChoice(given: unknown, name: string): ResolvedProxyOptions['choice'] {
  if (given === undefined) return 'environment'
  if (given === false || typeof given === 'function') return given as false | ProxyChoice
  if (typeof given === 'string' || isUrl(given)) return proxyOrThrow(given, name)
  throw invalid(`${name} must be a URL, a function that gives one, or false`)
}

/** One of another realm, or of what has taken the place of the runtime's class, is a URL, too. */
function isUrl(value: unknown): value is URL {
  return typeof (value as { readonly href?: unknown } | null)?.href === 'string'
}

function proxyOrThrow(given: string | URL, name: string): ProxyAddress {
  const proxy = parseProxy(given)
  if (typeof proxy === 'string') throw invalid(`${name}: ${proxy}`)
  return proxy
}

/**
 * The proxy on the way to a server, if there is one. A unix socket is never behind a proxy.
 *
 * @throws HandshakeError `ERR_WS_PROXY` when the environment names what is no proxy, or the function of the option throws
 * @throws UsageError `ERR_WS_INVALID_OPTION` when that function gives what is no proxy
 */
export async function chooseProxy(
  target: DialTarget,
  { choice }: ResolvedProxyOptions,
  signal: AbortSignal,
  environment: Environment = process.env,
): Promise<ProxyAddress | undefined> {
  if (choice === false || target.socketPath !== undefined) return undefined
  if (choice === 'environment') return environmentProxy(target, environment)
  if (typeof choice !== 'function') return choice
  let url: Awaited<ReturnType<ProxyChoice>>
  try {
    url = await abortable(() => choice(new NodeUrl(target.url)), signal)
  } catch (cause) {
    signal.throwIfAborted()
    throw new HandshakeError(
      'ERR_WS_PROXY',
      `no proxy for ${target.label}: the function of the option failed`,
      {
        cause,
      },
    )
  }
  if (url === false || url === undefined) return undefined
  if (typeof url === 'string' || isUrl(url)) return proxyOrThrow(url, 'proxy')
  throw invalid('proxy: the function must give a URL, or false')
}

function environmentProxy(target: DialTarget, environment: Environment): ProxyAddress | undefined {
  const named = proxyFromEnvironment(target, environment)
  if (named === undefined) return undefined
  const proxy = parseProxy(named.url)
  if (typeof proxy !== 'string') return proxy
  // Going there directly instead would be what somebody has set the variable to prevent.
  const message = `the environment variable ${named.variable}: ${proxy}`
  throw new HandshakeError('ERR_WS_PROXY', message, { cause: invalid(message) })
}

/** Takes a proxy's URL apart; `host:port` alone means `http`. What is wrong with it is told without quoting it. */
export function parseProxy(given: string | URL): ProxyAddress | string {
  const text = String(given).trim()
  // Else its scheme would be taken for the host.
  if (/^[^/\\@]*:[/\\]/.test(text) && !text.includes('://')) return 'behind its scheme comes ://'
  const full = text.includes('://') ? text : `http://${text}`
  const url = parseUrl(full)
  if (url === undefined) return 'it is not a URL'
  const scheme = url.protocol.slice(0, -1)
  if (!isScheme(scheme)) return 'a proxy has the scheme http, https, socks5 or socks5h'
  try {
    const host = hostOf(url)
    if (host === '') return 'it names no host'
    const port = url.port === '' ? defaultPorts[scheme] : Number(url.port)
    const user = decodeURIComponent(url.username)
    const password = decodeURIComponent(url.password)
    const login = user === '' && password === '' ? undefined : { user, password }
    if (login !== undefined && scheme.startsWith('socks') && !fitsSocks(login))
      return 'user and password for SOCKS have at most 255 bytes each (RFC 1929)'
    if (login !== undefined && scheme.startsWith('http') && !fitsBasic(login))
      return 'a user has no colon, and neither user nor password a control character (RFC 7617)'
    return { scheme, host, port, login, label: authority(host, port) }
  } catch {
    return 'host, user or password are not percent-encoded UTF-8'
  }
}

/** Only for the schemes of the web does `URL` itself decode names, and take none that can be none. */
function hostOf({ hostname }: URL): string {
  if (hostname.startsWith('[')) return withoutBrackets(hostname)
  const name = decodeURIComponent(hostname)
  return /[\s/\\?#@:[\]%]/.test(name) ? '' : domainToASCII(name)
}

function isScheme(scheme: string): scheme is ProxyAddress['scheme'] {
  return Object.hasOwn(defaultPorts, scheme)
}

function fitsSocks({ user, password }: { readonly user: string; readonly password: string }): boolean {
  return Buffer.byteLength(user) <= 255 && Buffer.byteLength(password) <= 255
}

function fitsBasic({ user, password }: { readonly user: string; readonly password: string }): boolean {
  return !user.includes(':') && !/\p{Cc}/u.test(user + password)
}

function invalid(message: string): UsageError {
  return new UsageError('ERR_WS_INVALID_OPTION', message)
}
