import type { IncomingMessage } from 'node:http'
import { isIPv6 } from 'node:net'
import { UsageError } from '../session/errors.ts'

/**
 * Whether a request may open a connection, by its `Origin` header (RFC 6455 section 10.2): `undefined` when there is
 * none, as with most clients that are not browsers. Browsers let any page connect to any server, cookies included, so
 * that this check is all that keeps foreign pages out.
 */
export type OriginCheck = (origin: string | undefined, request: IncomingMessage) => boolean

interface Authority {
  /** In lower case. */
  readonly host: string
  readonly port: number
}

interface ParsedOrigin extends Authority {
  readonly scheme: 'http' | 'https'
}

const defaultPorts = { http: 80, https: 443 } as const

/** The longest IPv6 address in text. */
const MAX_IPV6_LENGTH = 45
const MAX_PORT = 65_535

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39
}

/** Letters, digits, hyphen and underscore: names that are not ASCII arrive as punycode. */
function isLabelChar(code: number): boolean {
  return (
    (code >= 0x61 && code <= 0x7a) ||
    (code >= 0x41 && code <= 0x5a) ||
    isDigit(code) ||
    code === 0x2d ||
    code === 0x5f
  )
}

/** Labels with single dots between them; one dot at the end is a part of the name (and makes it another name). */
function isHostName(text: string): boolean {
  let inLabel = false
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    const isDot = code === 0x2e
    if (isDot ? !inLabel : !isLabelChar(code)) return false
    inLabel = !isDot
  }
  return text !== ''
}

function isHost(text: string): boolean {
  if (!text.startsWith('[')) return isHostName(text)
  const address = text.slice(1, -1)
  // A zone (after "%") has a meaning on one machine only.
  return text.endsWith(']') && address.length <= MAX_IPV6_LENGTH && !address.includes('%') && isIPv6(address)
}

/** Decimal without leading zeros, 1-65535. */
function parsePort(text: string): number | undefined {
  if (text.length === 0 || text.length > 5 || text.startsWith('0')) return undefined
  let port = 0
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    if (!isDigit(code)) return undefined
    port = port * 10 + code - 0x30
  }
  return port <= MAX_PORT ? port : undefined
}

/** `host` or `host:port` and nothing more: no user, no path, no escapes. */
function parseAuthority(text: string, defaultPort: number): Authority | undefined {
  const colon = text.indexOf(':', text.startsWith('[') ? text.lastIndexOf(']') : 0)
  const host = colon < 0 ? text : text.slice(0, colon)
  const port = colon < 0 ? defaultPort : parsePort(text.slice(colon + 1))
  return port === undefined || !isHost(host) ? undefined : { host: host.toLowerCase(), port }
}

/** The scheme and what follows it, unchecked; `undefined` for any but the two that pages have. */
function splitScheme(
  origin: string,
): { readonly scheme: 'http' | 'https'; readonly rest: string } | undefined {
  const start = origin.slice(0, 8).toLowerCase()
  if (start === 'https://') return { scheme: 'https', rest: origin.slice(8) }
  return start.startsWith('http://') ? { scheme: 'http', rest: origin.slice(7) } : undefined
}

function parseOrigin(origin: string): ParsedOrigin | undefined {
  const split = splitScheme(origin)
  const authority = split && parseAuthority(split.rest, defaultPorts[split.scheme])
  return authority && { scheme: split.scheme, ...authority }
}

/**
 * The default check: a request passes without an `Origin` header, or when it comes from a page of the host and port
 * that it goes to (its `Host` header). An origin that is opaque (`null`), malformed, or of another scheme than http
 * and https does not pass. http and https are not told apart otherwise, as a proxy may have taken off the TLS.
 *
 * @example
 * ```ts
 * import { sameOrigin, Upgrader } from 'silverback'
 *
 * const upgrader = new Upgrader({
 *   checkOrigin: (origin, request) => origin === 'https://partner.example' || sameOrigin(origin, request),
 * })
 * ```
 */
export function sameOrigin(origin: string | undefined, request: Pick<IncomingMessage, 'headers'>): boolean {
  if (origin === undefined) return true
  const { host } = request.headers
  const split = splitScheme(origin)
  if (split === undefined || host === undefined) return false
  const defaultPort = defaultPorts[split.scheme]
  const own = parseAuthority(host, defaultPort)
  if (own === undefined) return false
  // What browsers send, unless a port is spelt out on one side only: there is nothing left to parse.
  if (split.rest === host) return true
  const other = parseAuthority(split.rest, defaultPort)
  return other !== undefined && other.host === own.host && other.port === own.port
}

interface Wildcard extends Authority {
  readonly scheme: string
}

function serialize({ scheme, host, port }: ParsedOrigin): string {
  return port === defaultPorts[scheme] ? `${scheme}://${host}` : `${scheme}://${host}:${port}`
}

/** The host of the result begins with the dot: `.example.com`. */
function parseWildcard(pattern: string): Wildcard | undefined {
  const split = splitScheme(pattern)
  if (split === undefined || !split.rest.startsWith('*.')) return undefined
  const base = parseOrigin(`${split.scheme}://${split.rest.slice(2)}`)
  return base === undefined || base.host.startsWith('[') ? undefined : { ...base, host: `.${base.host}` }
}

function matches({ scheme, host, port }: ParsedOrigin, wildcard: Wildcard): boolean {
  // A parsed host does not begin with a dot: what precedes the suffix is a label.
  return scheme === wildcard.scheme && port === wildcard.port && host.endsWith(wildcard.host)
}

/**
 * A check that lets in pages of the given origins, and requests without an `Origin` header.
 *
 * A pattern is
 *
 * - an origin, `https://example.com` or `http://localhost:3000`: scheme, host and port have to be the same
 *   (a missing port is the scheme's own; case does not matter);
 * - `https://*.example.com`: any name below `example.com`, however deep, but not `example.com` itself;
 * - `*`: any origin at all, `null` included. For public services that use no cookies.
 *
 * Names that are not ASCII are written as browsers send them, in punycode. For origins of other schemes, such as those
 * of browser extensions, pass a function of your own.
 *
 * @throws {UsageError} `ERR_WS_INVALID_OPTION`, naming the pattern that is none of these.
 *
 * @example
 * ```ts
 * import { allowOrigins, Upgrader } from 'silverback'
 *
 * const upgrader = new Upgrader({
 *   checkOrigin: allowOrigins('https://example.com', 'https://*.example.com'),
 * })
 * ```
 */
export function allowOrigins(...patterns: string[]): OriginCheck {
  const exact = new Set<string>()
  const wildcards: Wildcard[] = []
  let any = false
  for (const pattern of patterns) {
    const origin = typeof pattern === 'string' ? parseOrigin(pattern) : undefined
    const wildcard = typeof pattern === 'string' ? parseWildcard(pattern) : undefined
    if (pattern === '*') any = true
    else if (origin !== undefined) exact.add(serialize(origin))
    else if (wildcard !== undefined) wildcards.push(wildcard)
    else throw badPattern(pattern)
  }
  return (origin) => {
    // Browsers send origins in the serialized form: most requests are decided by the look-up.
    if (any || origin === undefined || exact.has(origin)) return true
    const parsed = parseOrigin(origin)
    if (parsed === undefined) return false
    return exact.has(serialize(parsed)) || wildcards.some((wildcard) => matches(parsed, wildcard))
  }
}

function badPattern(pattern: unknown): UsageError {
  return new UsageError(
    'ERR_WS_INVALID_OPTION',
    `allowOrigins: ${JSON.stringify(pattern)} is not a pattern: write "https://example.com", "https://*.example.com" or "*"`,
  )
}
