import type { IncomingHttpHeaders } from 'node:http'
import { maxSubprotocols, parseTokenList } from '../wire/header-grammar.ts'

/**
 * The subprotocols that a request offers, in its order (RFC 6455 section 4.2.1); none when the header is missing or
 * malformed, or has more than 32, which an `Upgrader` refuses. Takes time in proportion to the header, and never
 * throws.
 *
 * @example
 * ```ts
 * import { refuse, subprotocols, Upgrader } from 'silverback'
 *
 * const upgrader = new Upgrader({
 *   subprotocols: ['chat'],
 *   // A browser cannot set headers: the token travels as one more subprotocol, which is not chosen.
 *   authorize: (request) =>
 *     subprotocols(request).includes('token.s3cret') ? { user: 'ann' } : refuse(403),
 * })
 * ```
 */
export function subprotocols(request: { readonly headers: IncomingHttpHeaders }): string[] {
  return parseTokenList(request.headers['sec-websocket-protocol'] ?? '', maxSubprotocols) ?? []
}
