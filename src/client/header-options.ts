import { isToken } from '../wire/header-grammar.ts'

/**
 * Why these can be no headers of a request, to be put behind the option's name; `undefined` when they can.
 *
 * @param reserved - the names, in lower case, that the library itself writes
 */
export function wrongHeader(headers: unknown, reserved: ReadonlySet<string>): string | undefined {
  // A `Headers` or a `Map` has no properties of its own: it would go unnoticed that nothing is sent.
  if (typeof headers !== 'object' || headers === null || Symbol.iterator in headers)
    return ' must be an object of names and values'
  for (const [name, value] of Object.entries(headers)) {
    if (!isToken(name)) return `: ${JSON.stringify(name)} is not a header name`
    if (reserved.has(name.toLowerCase())) return `: ${name} is set by the handshake`
    if (!isHeaderValue(value)) return `: the value of ${name} is not a line of text`
  }
  return undefined
}

/** One line of bytes (RFC 9110 section 5.5): a line end would begin a header of its own. */
export function isHeaderValue(value: unknown): value is string {
  if (typeof value !== 'string') return false
  for (let i = 0; i < value.length; i++) {
    const code = value.charCodeAt(i)
    if ((code < 0x20 && code !== 0x09) || code === 0x7f || code > 0xff) return false
  }
  return true
}

/** With names in lower case, so that one of the caller's takes the place of another whatever its case. */
export function lowerCase(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
}
