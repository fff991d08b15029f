import type { URL } from 'node:url'
import { parseUrl } from '../session/parse-url.ts'
import { isToken } from '../wire/header-grammar.ts'
import { RuntimeDomException } from './runtime.ts'

/**
 * The URL that a page gave (WebSockets Standard, "get a URL record"). There is no page here whose address a relative
 * one could be relative to.
 *
 * @throws DOMException `SyntaxError`
 */
export function parseWebSocketUrl(given: string): URL {
  // Not quoted: it may hold a password or a token.
  const url = parseUrl(given)
  if (url === undefined) throw syntaxError('The URL is invalid')
  if (url.protocol === 'http:') url.protocol = 'ws:'
  else if (url.protocol === 'https:') url.protocol = 'wss:'
  if (url.protocol !== 'ws:' && url.protocol !== 'wss:') {
    throw syntaxError(`The URL's scheme must be ws, wss, http or https, not ${url.protocol.slice(0, -1)}`)
  }
  // Of an empty fragment, `hash` says nothing.
  if (url.href.includes('#')) throw syntaxError('A WebSocket URL has no fragment')
  return url
}

/**
 * Checks subprotocols: each a token, and none twice; their case counts.
 *
 * @throws DOMException `SyntaxError`
 */
export function checkWebSocketProtocols(protocols: readonly string[]): readonly string[] {
  const wrong = protocols.find((name) => !isToken(name))
  if (wrong !== undefined) throw syntaxError(`The subprotocol ${JSON.stringify(wrong)} is invalid`)
  if (new Set(protocols).size < protocols.length) throw syntaxError('A subprotocol is there twice')
  return protocols
}

// The ports of other services, which a page must not be able to talk to (Fetch Standard, "bad port").
const blockedPorts: ReadonlySet<number> = new Set([
  0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104,
  109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515,
  526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049,
  3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080,
])

/** Whether no connection may be made to the URL's port. */
export function isBlockedPort({ port }: URL): boolean {
  return port !== '' && blockedPorts.has(Number(port))
}

function syntaxError(message: string): DOMException {
  return new RuntimeDomException(message, 'SyntaxError')
}
