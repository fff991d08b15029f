import { isUtf8 } from 'node:buffer'
import { parseUrl } from '../session/parse-url.ts'
import { type DialTarget, dialTarget } from './dial-target.ts'
import type { DialTlsOptions } from './start-tls.ts'

/** One request of a dial: where to, and what may be told there. */
export interface Hop {
  readonly target: DialTarget
  /** The caller's headers, as far as they are for this server; names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  readonly tls: DialTlsOptions
}

/** The answers that send a client elsewhere (RFC 9110 section 15.4); an upgrade is a GET, and stays one. */
export const redirectStatuses: ReadonlySet<number> = new Set([301, 302, 303, 307, 308])

/** The headers that say nothing of who is calling, nor anything that is meant for one server alone. */
const safeHeaders: ReadonlySet<string> = new Set(['accept-language', 'origin', 'user-agent'])

/**
 * Whom TLS trusts. Nothing that proves who is calling, and nothing that was perhaps loosened for one server: ciphers,
 * curves and versions, too, may be weaker than the defaults.
 */
const safeTls: ReadonlySet<string> = new Set(['ca', 'crl'] satisfies (keyof DialTlsOptions)[])

/**
 * The request that a redirect asks for, or why there is none. Only `ws:` to `ws:` or `wss:`, and `wss:` to `wss:`;
 * `http:` and `https:` stand for them. To another origin (scheme, host or port) goes only what is safe anywhere, and
 * what was left out on the way does not come back.
 *
 * @param given - the `Location` header
 */
export function nextHop({ target, headers, tls }: Hop, given: string): Hop | string {
  const location = fromUtf8(given)
  const url = parseUrl(location, target.url)
  if (url === undefined) return 'its Location is not a URL'
  const relative = parseUrl(location) === undefined
  url.protocol = url.protocol.replace(/^http/, 'ws')
  if (url.protocol !== 'ws:' && url.protocol !== 'wss:')
    return `its Location has the scheme ${url.protocol.slice(0, -1).slice(0, 20)}`
  if (target.secure && url.protocol === 'ws:') return 'it leads from wss to ws'
  if (url.username !== '' || url.password !== '') return 'its Location has a user name or password'
  url.hash = ''
  if (target.socketPath !== undefined) {
    // Who listens there knows nothing of hosts.
    if (!relative || url.host !== target.url.host) return 'it leads away from a unix socket'
    return { target: { ...target, url }, headers, tls }
  }
  const next = dialTarget(url)
  if (url.origin === target.url.origin) return { target: next, headers, tls }
  return { target: next, headers: pick(headers, safeHeaders), tls: pick(tls, safeTls) }
}

/** Node takes each byte of a header for a character; beyond ASCII, servers send UTF-8. */
function fromUtf8(header: string): string {
  const bytes = Buffer.from(header, 'latin1')
  return bytes.toString('latin1') === header && isUtf8(bytes) ? bytes.toString('utf8') : header
}

function pick<T extends object>(all: T, names: ReadonlySet<string>): T {
  return Object.fromEntries(Object.entries(all).filter(([name]) => names.has(name))) as T
}
