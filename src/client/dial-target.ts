import { URL } from 'node:url'
import { UsageError } from '../session/errors.ts'
import { parseUrl } from '../session/parse-url.ts'

/** Where to connect to, as a URL says it. */
export interface DialTarget {
  /** `ws:` or `wss:`; that of a unix socket is of the host `localhost`. */
  readonly url: URL
  /** TLS is spoken with it. */
  readonly secure: boolean
  /** Name or address, without the brackets that a URL has around an IPv6 address. */
  readonly host: string
  readonly port: number
  /** The file system path of a unix socket, which takes the place of host and port. */
  readonly socketPath: string | undefined
  /** How messages call it. */
  readonly label: string
}

const schemes = ['ws:', 'wss:', 'ws+unix:', 'wss+unix:']

/**
 * The URL of a WebSocket (RFC 6455 section 3), or of one behind a unix socket: `ws+unix:/path/to.sock:/request/path`.
 *
 * @throws UsageError `ERR_WS_INVALID_ARGUMENT` for another scheme, or one that has credentials or a fragment
 */
export function checkUrl(given: string | URL): URL {
  // Not quoted, here and below: it may hold a password or a token, which would get into logs.
  const url = parseUrl(String(given))
  if (url === undefined) throw wrongUrl('what is given is not a URL')
  if (!schemes.includes(url.protocol))
    throw wrongUrl(`the scheme must be ws or wss, not ${url.protocol.slice(0, -1)}`)
  if (url.username !== '' || url.password !== '')
    throw wrongUrl('no user name or password in the URL: send an authorization header')
  // Of an empty fragment, `hash` says nothing.
  if (url.href.includes('#')) throw wrongUrl('a WebSocket URL has no fragment')
  if (url.protocol.endsWith('+unix:')) unixTarget(url)
  return url
}

/**
 * What {@link checkUrl} has let pass, taken apart.
 *
 * @throws UsageError `ERR_WS_INVALID_ARGUMENT` for the URL of a unix socket that names none
 */
export function dialTarget(url: URL): DialTarget {
  if (url.protocol.endsWith('+unix:')) return unixTarget(url)
  const secure = url.protocol === 'wss:'
  return {
    url,
    secure,
    host: withoutBrackets(url.hostname),
    port: url.port === '' ? (secure ? 443 : 80) : Number(url.port),
    socketPath: undefined,
    label: url.host,
  }
}

/** What a request asks for: path and query, also an empty query. */
export function requestTarget({ href, origin }: URL): string {
  return href.slice(origin.length)
}

/** An IPv6 address as sockets and certificates write it. */
export function withoutBrackets(hostname: string): string {
  return hostname.replace(/^\[|\]$/g, '')
}

/** `host:port` as a request or a proxy writes it. */
export function authority(host: string, port: number): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`
}

/** The first colon ends the socket's path: one in the path itself is written `%3A`. */
function unixTarget(given: URL): DialTarget {
  if (given.host !== '')
    throw wrongUrl(`${given.protocol}//${given.host} names a host: write ws+unix:/path/to.sock`)
  const colon = given.pathname.indexOf(':')
  const encoded = colon === -1 ? given.pathname : given.pathname.slice(0, colon)
  const path = colon === -1 ? '' : given.pathname.slice(colon + 1)
  if (encoded === '' || encoded === '/') throw wrongUrl('the URL names no unix socket')
  if (path !== '' && !path.startsWith('/'))
    throw wrongUrl('behind the colon of a unix socket comes the path of the request, which begins with /')
  let socketPath: string
  try {
    socketPath = decodeURIComponent(encoded)
  } catch {
    throw wrongUrl('the path of the unix socket is not percent-encoded UTF-8')
  }
  if (socketPath.includes('\0')) throw wrongUrl('the path of a unix socket has no NUL')
  const secure = given.protocol === 'wss+unix:'
  // A URL that is parsed anew: the rules for the path of a request are those of `ws:`.
  const query = given.href.includes('?') ? given.href.slice(given.href.indexOf('?')) : ''
  const url = new URL(`${secure ? 'wss' : 'ws'}://localhost${path}${query}`)
  return { url, secure, host: 'localhost', port: secure ? 443 : 80, socketPath, label: socketPath }
}

function wrongUrl(message: string): UsageError {
  return new UsageError('ERR_WS_INVALID_ARGUMENT', `dial: ${message}`)
}
