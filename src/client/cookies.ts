import { abortable } from '../conn/abortable.ts'
import { HandshakeError } from '../session/errors.ts'
import { isHeaderValue } from './header-options.ts'

/**
 * Keeps cookies between connections (RFC 6265). Any jar with these two methods will do, such as a `CookieJar` of
 * `tough-cookie`.
 *
 * @example
 * ```ts
 * import { type CookieJar, Dialer } from 'silverback'
 * declare const jar: CookieJar // such as new CookieJar() of tough-cookie
 * const dialer = new Dialer({ jar })
 * ```
 */
export interface CookieJar {
  /** The value of a `Cookie` header for a URL, `''` for none. */
  getCookieString(url: string): string | PromiseLike<string>
  /** Takes the value of one `Set-Cookie` header, or refuses it by throwing or rejecting, which hurts nothing. */
  setCookie(cookie: string, url: string): unknown
}

/** Whether a value can serve as a {@link CookieJar}. */
export function isCookieJar(value: unknown): value is CookieJar {
  if (typeof value !== 'object' || value === null) return false
  const { getCookieString, setCookie } = value as Partial<Record<keyof CookieJar, unknown>>
  return typeof getCookieString === 'function' && typeof setCookie === 'function'
}

/**
 * The `Cookie` header of a request (RFC 6265 section 5.4): the caller's cookies, and those of the jar that the caller
 * does not name.
 *
 * @param own - the caller's `cookie` header
 * @throws HandshakeError `ERR_WS_CONNECT` when the jar fails: without its cookies the request would be another one
 * @throws the signal's reason
 */
export async function cookieHeader(
  own: string | undefined,
  jar: CookieJar,
  url: URL,
  signal: AbortSignal,
): Promise<string | undefined> {
  let kept: unknown
  try {
    kept = await abortable(() => jar.getCookieString(cookieUrl(url)), signal)
  } catch (cause) {
    signal.throwIfAborted()
    throw new HandshakeError('ERR_WS_CONNECT', `no connection to ${url.host}: the cookie jar failed`, {
      cause,
    })
  }
  // What a server had stored must not begin a header of its own.
  if (!isHeaderValue(kept)) {
    const message = `no connection to ${url.host}: the cookie jar gave no line of text`
    throw new HandshakeError('ERR_WS_CONNECT', message, { cause: new TypeError('no line of text') })
  }
  const named = new Set(cookiesIn(own).map(nameOf))
  const cookies = [...cookiesIn(own), ...cookiesIn(kept).filter((cookie) => !named.has(nameOf(cookie)))]
  return cookies.length === 0 ? undefined : cookies.join('; ')
}

/**
 * Gives the jar what an answer sets, one after another, in their order. A cookie that it does not take is its own
 * matter.
 *
 * @throws the signal's reason
 */
export async function storeCookies(
  cookies: readonly string[],
  jar: CookieJar,
  url: URL,
  signal: AbortSignal,
): Promise<void> {
  for (const cookie of cookies) {
    try {
      await abortable(() => jar.setCookie(cookie, cookieUrl(url)), signal)
    } catch {
      signal.throwIfAborted()
    }
  }
}

/** Cookies are those of the web: jars know `http:` and `https:`. */
function cookieUrl(url: URL): string {
  return `http${url.href.slice('ws'.length)}`
}

function cookiesIn(header = ''): string[] {
  return header
    .split(';')
    .map((cookie) => cookie.trim())
    .filter((cookie) => cookie !== '')
}

/** A cookie without `=` has no name, and is nothing but a value. */
function nameOf(cookie: string): string {
  return cookie.includes('=') ? cookie.slice(0, cookie.indexOf('=')).trim() : ''
}
