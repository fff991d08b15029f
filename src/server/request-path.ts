import { parseUrl } from '../session/parse-url.ts'

/**
 * A target in the absolute form, as proxies get it: a host, and from the first slash behind it the path. No user, whom
 * a host could be taken for, and no backslash, which some take for a slash.
 */
const absolute = /^https?:\/\/[^/?#\\@]+(\/[^?#\\]*)?(?=[?#]|$)/i

/**
 * The path of a request target (RFC 9112 section 3.2): as it stands, not decoded. Where it says `/` or a path without
 * dots, `URL` finds the same in the target.
 *
 * @returns '' when there is none, or it could be read in more ways than one
 */
export function requestPath(target: string): string {
  if (!target.startsWith('/')) {
    const match = absolute.exec(target)
    return match !== null && parseUrl(target) !== undefined ? (match[1] ?? '/') : ''
  }
  const query = target.indexOf('?')
  return query < 0 ? target : target.slice(0, query)
}
