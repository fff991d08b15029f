import { type CodeOf, UsageError } from '../session/errors.ts'
import { acceptKey } from '../wire/accept-key.ts'
import {
  type ExtensionItem,
  type ExtensionParams,
  formatExtension,
  isToken,
  listHasToken,
  parseExtensions,
} from '../wire/header-grammar.ts'
import type { Extension, ExtensionFactory } from './extension.ts'
import { checkExtension, discard, wrongAnswer } from './extension-answer.ts'
import { clashes, type HandshakeHeaders, isHttp11, listHeader, singleHeader } from './handshake-parts.ts'

/** What a client asks for: the same for the request and for the check of the answer. */
export interface ClientOffer {
  /** The nonce of this connection in base64, from `formatKey`. */
  readonly key: string
  /** Subprotocols, best first. */
  readonly subprotocols: readonly string[]
  /** Extensions, best first. */
  readonly extensions: readonly ExtensionFactory[]
}

/** What a client has to know of the server's answer. */
export interface HandshakeResponse {
  /** The HTTP status. */
  readonly status: number
  /** Such as `1.1`; not checked where it is not given. */
  readonly httpVersion?: string | undefined
  /** The headers, by lower-case name. */
  readonly headers: HandshakeHeaders
}

/** The connection may begin. */
export interface ClientAcceptance {
  /** Tells it from a refusal. */
  readonly ok: true
  /** The subprotocol that the server chose, `''` for none. */
  readonly subprotocol: string
  /** The extensions in use: whoever takes the decision over disposes of them. */
  readonly extensions: readonly Extension[]
  /** Their header value, `''` for none. */
  readonly extensionsHeader: string
}

/** The answer is not one to go on with: the client has to drop the connection. */
export interface ClientRefusal {
  /** Tells it from an acceptance. */
  readonly ok: false
  /** Which check failed. */
  readonly code: CodeOf<'HandshakeError'>
  /** The same in words. */
  readonly message: string
}

/** What a client makes of an answer. */
export type ClientDecision = ClientAcceptance | ClientRefusal

/**
 * The headers of an upgrade request (RFC 6455 section 4.1), without `Host` and `Origin`.
 *
 * @throws {UsageError} `ERR_WS_INVALID_OPTION` when a subprotocol is not a token or occurs twice.
 *
 * @example
 * ```ts
 * import { buildRequestHeaders } from 'silverback/protocol'
 *
 * const headers = buildRequestHeaders({ key: 'dGhlIHNhbXBsZSBub25jZQ==', subprotocols: ['chat'], extensions: [] })
 * console.log(headers['Sec-WebSocket-Protocol']) // chat
 * ```
 */
export function buildRequestHeaders({ key, subprotocols, extensions }: ClientOffer): Record<string, string> {
  checkSubprotocols(subprotocols)
  const headers: Record<string, string> = {
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': key,
  }
  if (subprotocols.length > 0) headers['Sec-WebSocket-Protocol'] = subprotocols.join(', ')
  const offers = extensions.flatMap((factory) =>
    offersOf(factory).map((params) => formatExtension(factory.name, params)),
  )
  if (offers.length > 0) headers['Sec-WebSocket-Extensions'] = offers.join(', ')
  return headers
}

function checkSubprotocols(names: readonly string[]): void {
  const seen = new Set<string>()
  for (const name of names) {
    if (typeof name !== 'string' || !isToken(name)) {
      throw new UsageError(
        'ERR_WS_INVALID_OPTION',
        `subprotocols: ${JSON.stringify(name)} is not an HTTP token`,
      )
    }
    if (seen.has(name)) {
      throw new UsageError('ERR_WS_INVALID_OPTION', `subprotocols: "${name}" occurs twice`)
    }
    seen.add(name)
  }
}

/**
 * Checks the answer to an upgrade request (RFC 6455 section 4.1, "validate the server's response"): nothing that was
 * not offered is taken. What the server sent never makes it throw.
 *
 * @example
 * ```ts
 * import { verifyResponse } from 'silverback/protocol'
 *
 * const verdict = verifyResponse(
 *   { status: 404, headers: {} },
 *   { key: 'dGhlIHNhbXBsZSBub25jZQ==', subprotocols: [], extensions: [] },
 * )
 * if (!verdict.ok) console.log(verdict.code) // ERR_WS_STATUS
 * ```
 */
export function verifyResponse(response: HandshakeResponse, offer: ClientOffer): ClientDecision {
  const refused = checkUpgrade(response, offer.key)
  if (refused !== undefined) return refused
  const { headers } = response
  const subprotocol = headers['sec-websocket-protocol']
  if (subprotocol !== undefined && !offer.subprotocols.some((name) => name === subprotocol)) {
    return refuse(
      'ERR_WS_SUBPROTOCOL',
      `the server chose the subprotocol "${subprotocol}", which was not offered`,
    )
  }
  const negotiated = acceptExtensions(headers, offer.extensions)
  if ('ok' in negotiated) return negotiated
  return { ok: true, subprotocol: singleHeader(headers, 'sec-websocket-protocol') ?? '', ...negotiated }
}

function refuse(code: CodeOf<'HandshakeError'>, message: string): ClientRefusal {
  return { ok: false, code, message }
}

function checkUpgrade(
  { status, httpVersion, headers }: HandshakeResponse,
  key: string,
): ClientRefusal | undefined {
  if (status !== 101) return refuse('ERR_WS_STATUS', `the server answered with status ${status}, not 101`)
  // Not every runtime tells, and one that does not may have `null` or '' here.
  if (httpVersion && !isHttp11(httpVersion)) {
    return refuse('ERR_WS_HTTP_VERSION', 'the HTTP version of the answer is not 1.1')
  }
  const upgrade = singleHeader(headers, 'upgrade') ?? ''
  // A token is ASCII, so that lower case is what the RFC means by it.
  if (!isToken(upgrade) || upgrade.toLowerCase() !== 'websocket') {
    return refuse('ERR_WS_UPGRADE_HEADER', 'the Upgrade header of the answer is not "websocket"')
  }
  if (!listHasToken(listHeader(headers, 'connection'), 'upgrade')) {
    return refuse('ERR_WS_CONNECTION_HEADER', 'no "upgrade" in the Connection header of the answer')
  }
  if (singleHeader(headers, 'sec-websocket-accept') !== acceptKey(key)) {
    return refuse('ERR_WS_ACCEPT', 'the Sec-WebSocket-Accept does not answer the key of the request')
  }
  // RFC 9110 section 8.6, RFC 9112 section 6.1. Who heeds them finds frames elsewhere than who does not.
  for (const name of ['content-length', 'transfer-encoding']) {
    if (headers[name] !== undefined) {
      return refuse('ERR_WS_HEADER_SYNTAX', `the answer has a ${name} header, which a 101 must not have`)
    }
  }
  return undefined
}

function acceptExtensions(
  headers: HandshakeHeaders,
  factories: readonly ExtensionFactory[],
): Omit<ClientAcceptance, 'ok' | 'subprotocol'> | ClientRefusal {
  const value = listHeader(headers, 'sec-websocket-extensions')
  if (value === undefined) return { extensions: [], extensionsHeader: '' }
  const items = parseExtensions(value)
  if (items === undefined) return refuse('ERR_WS_HEADER_SYNTAX', 'the Sec-WebSocket-Extensions is malformed')
  const extensions: Extension[] = []
  try {
    for (const item of items) {
      const problem = addExtension(item, factories, extensions)
      if (problem === undefined) continue
      for (const extension of extensions) discard(extension)
      return refuse('ERR_WS_EXTENSION', `the server answered with the extension "${item.name}", ${problem}`)
    }
  } catch (error) {
    for (const extension of extensions) discard(extension)
    throw error
  }
  const extensionsHeader = items.map(({ name, params }) => formatExtension(name, params)).join(', ')
  return { extensions, extensionsHeader }
}

/** @throws UsageError `ERR_WS_INVALID_ARGUMENT` when the factory gives no list */
function offersOf(factory: ExtensionFactory): readonly ExtensionParams[] {
  const offers: unknown = factory.offers()
  if (Array.isArray(offers)) return offers
  throw wrongAnswer(`offers of ${factory.name}`, 'a list', offers)
}

/** Adds the extension that one element of the answer stands for, or tells why there is none. */
function addExtension(
  { name, params, repeats }: ExtensionItem,
  factories: readonly ExtensionFactory[],
  extensions: Extension[],
): string | undefined {
  const factory = factories.find((candidate) => candidate.name === name && offersOf(candidate).length > 0)
  if (factory === undefined) return 'which was not offered'
  const accepted = repeats ? undefined : factory.accept(params)
  if (accepted === undefined) return 'with parameters that cannot be accepted'
  const extension = checkExtension(`accept of ${name}`, accepted)
  if (!clashes(extension, extensions)) {
    extensions.push(extension)
    return undefined
  }
  discard(extension)
  return 'which it had named before, or which needs a reserved bit that is taken'
}
