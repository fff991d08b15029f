import { type CodeOf, UsageError } from '../session/errors.ts'
import { isStrayPromise } from '../session/stray-promise.ts'
import { acceptKey, isValidKey } from '../wire/accept-key.ts'
import {
  type ExtensionItem,
  formatExtension,
  listHasToken,
  maxExtensionParams,
  maxExtensions,
  maxSubprotocols,
  parseExtensions,
  parseTokenList,
} from '../wire/header-grammar.ts'
import type { Extension, ExtensionFactory } from './extension.ts'
import { checkExtension, discard, wrongAnswer } from './extension-answer.ts'
import { clashes, type HandshakeHeaders, isHttp11, listHeader, singleHeader } from './handshake-parts.ts'

export type { HandshakeHeaders } from './handshake-parts.ts'

/** What a server has to know of an upgrade request. */
export interface HandshakeRequest {
  /** Such as `GET`. */
  readonly method: string
  /** Such as `1.1`. */
  readonly httpVersion: string
  /** The headers, by lower-case name. */
  readonly headers: HandshakeHeaders
}

/** What a server wants of a connection. */
export interface ServerHandshakeOptions {
  /** Whether this origin may connect; `undefined` for a request without an `Origin` header. */
  checkOrigin(origin: string | undefined): boolean
  /**
   * The subprotocols that the server speaks: the first of the client's that is among them is chosen. Or a function
   * that chooses one of the client's; it is not called when the client offers none. Default: none.
   */
  readonly subprotocols?: readonly string[] | ((offered: readonly string[]) => string | undefined)
  /** The extensions that the server may use. Default: none. */
  readonly extensions?: readonly ExtensionFactory[]
}

/** The connection may begin. */
export interface ServerAcceptance {
  /** Tells it from a refusal. */
  readonly accepted: true
  /** The headers of the 101 answer. */
  readonly headers: Record<string, string>
  /** The chosen subprotocol, `''` for none. */
  readonly subprotocol: string
  /** The extensions in use: whoever takes the decision over disposes of them. */
  readonly extensions: readonly Extension[]
  /** Their header value, `''` for none. */
  readonly extensionsHeader: string
}

/** The request is to be answered with an HTTP error. */
export interface ServerRefusal {
  /** Tells it from an acceptance. */
  readonly accepted: false
  /** The HTTP status. */
  readonly status: number
  /** Which check failed. */
  readonly code: CodeOf<'HandshakeError'>
  /** The same in words. */
  readonly message: string
  /** Headers that the answer has to carry. */
  readonly headers: Record<string, string>
}

/** What becomes of an upgrade request. */
export type ServerDecision = ServerAcceptance | ServerRefusal

interface Check {
  passes(request: HandshakeRequest, options: ServerHandshakeOptions): boolean
  readonly status: number
  readonly code: CodeOf<'HandshakeError'>
  readonly message: string
  readonly headers?: Readonly<Record<string, string>>
}

/** RFC 7231 section 6.5.15 demands `Upgrade` in a 426, RFC 7230 section 6.7 demands `Connection` beside it. */
const upgradeHeaders: Readonly<Record<string, string>> = { Upgrade: 'websocket', Connection: 'Upgrade' }

/** In this order (RFC 6455 section 4.2.1): first whether WebSocket is meant at all, then whether it is well said. */
const checks: readonly Check[] = [
  {
    passes: ({ headers }) => listHasToken(listHeader(headers, 'connection'), 'upgrade'),
    status: 400,
    code: 'ERR_WS_CONNECTION_HEADER',
    message: 'no "upgrade" in the Connection header',
  },
  {
    passes: ({ headers }) => listHasToken(listHeader(headers, 'upgrade'), 'websocket'),
    status: 426,
    code: 'ERR_WS_UPGRADE_HEADER',
    message: 'no "websocket" in the Upgrade header',
    headers: upgradeHeaders,
  },
  {
    passes: ({ method }) => method === 'GET',
    status: 405,
    code: 'ERR_WS_METHOD',
    message: 'the request method is not GET',
    headers: { Allow: 'GET' },
  },
  {
    passes: ({ httpVersion }) => isHttp11(httpVersion),
    status: 400,
    code: 'ERR_WS_HTTP_VERSION',
    message: 'the HTTP version is not 1.1',
  },
  {
    passes: ({ headers }) => isHost(singleHeader(headers, 'host') ?? ''),
    status: 400,
    code: 'ERR_WS_HOST',
    message: 'no valid Host header',
  },
  {
    passes: ({ headers }) => singleHeader(headers, 'sec-websocket-version') === '13',
    status: 426,
    code: 'ERR_WS_VERSION',
    message: 'the Sec-WebSocket-Version is not 13',
    headers: upgradeHeaders,
  },
  {
    passes: ({ headers }) => !announcesBody(headers),
    status: 400,
    code: 'ERR_WS_REQUEST_BODY',
    message: 'the request has a body',
  },
  {
    passes: originPasses,
    status: 403,
    code: 'ERR_WS_ORIGIN',
    message: 'Origin not allowed',
  },
]

/** What can stand nowhere in a host and port (RFC 3986 section 3.2.2), beside control characters and what is not ASCII. */
const NOT_IN_HOST = ' "#/<>?@\\^`{|},'

function isHost(text: string): boolean {
  for (const character of text) {
    if (character < ' ' || character > '~' || NOT_IN_HOST.includes(character)) return false
  }
  return text !== ''
}

/** An empty list offers nothing: some clients send the header all the same. */
function offer(headers: HandshakeHeaders, name: string): string | undefined {
  const value = listHeader(headers, name)
  return value === '' ? undefined : value
}

/** Bytes of a body would be taken for frames, and the other way round by a proxy: a door to request smuggling. */
function announcesBody(headers: HandshakeHeaders): boolean {
  const length = headers['content-length']
  return (length !== undefined && length !== '0') || headers['transfer-encoding'] !== undefined
}

function originPasses({ headers }: HandshakeRequest, options: ServerHandshakeOptions): boolean {
  const { origin } = headers
  return (origin === undefined || typeof origin === 'string') && options.checkOrigin(origin)
}

function refuse({ status, code, message, headers }: Omit<Check, 'passes'>): ServerRefusal {
  return { accepted: false, status, code, message, headers: { 'Sec-WebSocket-Version': '13', ...headers } }
}

function refuseSyntax(message: string): ServerRefusal {
  return refuse({ status: 400, code: 'ERR_WS_HEADER_SYNTAX', message })
}

/** `undefined` when malformed, which a repeated name is too (RFC 6455 section 4.1, item 10). */
function offeredSubprotocols(headers: HandshakeHeaders): readonly string[] | undefined {
  const value = offer(headers, 'sec-websocket-protocol')
  if (value === undefined) return []
  const names = parseTokenList(value, maxSubprotocols)
  return names !== undefined && new Set(names).size === names.length ? names : undefined
}

/** `undefined` when malformed. */
function offeredExtensions(headers: HandshakeHeaders): readonly ExtensionItem[] | undefined {
  const value = offer(headers, 'sec-websocket-extensions')
  return value === undefined ? [] : parseExtensions(value)
}

function selectSubprotocol(
  offered: readonly string[],
  supported: ServerHandshakeOptions['subprotocols'] = [],
): string {
  if (offered.length === 0) return ''
  if (typeof supported !== 'function') return offered.find((name) => supported.includes(name)) ?? ''
  const chosen = supported(offered)
  if (chosen !== undefined && !offered.includes(chosen)) {
    throw new UsageError(
      'ERR_WS_INVALID_ARGUMENT',
      `the subprotocols function chose ${JSON.stringify(chosen)}, which the client did not offer`,
    )
  }
  return chosen ?? ''
}

/** Each factory that has an offer of its name may take one; of two that clash the earlier factory wins. */
function negotiateExtensions(
  items: readonly ExtensionItem[],
  factories: readonly ExtensionFactory[] = [],
): { readonly extensions: readonly Extension[]; readonly header: string } {
  const extensions: Extension[] = []
  const answers: string[] = []
  try {
    for (const factory of factories) {
      const answer = addExtension(factory, items, extensions)
      if (answer !== undefined) answers.push(answer)
    }
  } catch (error) {
    for (const extension of extensions) discard(extension)
    throw error
  }
  return { extensions, header: answers.join(', ') }
}

/** Adds what a factory makes of the offers of its name, and returns what the answer says of it. */
function addExtension(
  factory: ExtensionFactory,
  items: readonly ExtensionItem[],
  extensions: Extension[],
): string | undefined {
  const offers = items
    .filter(({ name, repeats }) => name === factory.name && !repeats)
    .map(({ params }) => params)
  const taken = offers.length === 0 ? undefined : factory.negotiate(offers)
  if (taken === undefined) return undefined
  const what = `negotiate of ${factory.name}`
  if (typeof taken !== 'object' || taken === null || isStrayPromise(taken))
    throw wrongAnswer(what, 'what it took', taken)
  const extension = checkExtension(what, taken.extension)
  if (clashes(extension, extensions)) {
    discard(extension)
    return undefined
  }
  extensions.push(extension)
  return formatExtension(factory.name, taken.params)
}

/**
 * Decides on an upgrade request (RFC 6455 section 4.2): headers in, decision out, nothing else touched. What the
 * client sent never makes it throw. Every refusal names the version that the server speaks.
 *
 * @throws {UsageError} `ERR_WS_INVALID_ARGUMENT` when the `subprotocols` function chooses what was not offered:
 * the client is not to blame, so answer 500. Whatever the functions in `options` throw passes through.
 *
 * @example
 * ```ts
 * import { decideUpgrade } from 'silverback/protocol'
 *
 * const decision = decideUpgrade(
 *   {
 *     method: 'GET',
 *     httpVersion: '1.1',
 *     headers: {
 *       host: 'example.com',
 *       connection: 'Upgrade',
 *       upgrade: 'websocket',
 *       'sec-websocket-version': '13',
 *       'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
 *       'sec-websocket-protocol': 'chat.v2, chat.v1',
 *     },
 *   },
 *   { checkOrigin: () => true, subprotocols: ['chat.v1'] },
 * )
 * if (decision.accepted) console.log(decision.subprotocol) // chat.v1
 * ```
 */
export function decideUpgrade(request: HandshakeRequest, options: ServerHandshakeOptions): ServerDecision {
  const failed = checks.find((check) => !check.passes(request, options))
  if (failed !== undefined) return refuse(failed)
  const key = singleHeader(request.headers, 'sec-websocket-key')
  if (key === undefined || !isValidKey(key)) {
    return refuse({
      status: 400,
      code: 'ERR_WS_KEY',
      message: 'the Sec-WebSocket-Key is not base64 of 16 bytes',
    })
  }
  const names = offeredSubprotocols(request.headers)
  if (names === undefined) {
    return refuseSyntax(
      `the Sec-WebSocket-Protocol is malformed, repeats a name or has more than ${maxSubprotocols}`,
    )
  }
  const items = offeredExtensions(request.headers)
  if (items === undefined) {
    return refuseSyntax(
      `the Sec-WebSocket-Extensions is malformed or has more than ${maxExtensions} elements or ${maxExtensionParams} parameters in one`,
    )
  }
  const subprotocol = selectSubprotocol(names, options.subprotocols)
  const { extensions, header } = negotiateExtensions(items, options.extensions)
  return accept(key, subprotocol, extensions, header)
}

function accept(
  key: string,
  subprotocol: string,
  extensions: readonly Extension[],
  extensionsHeader: string,
): ServerAcceptance {
  const headers: Record<string, string> = { ...upgradeHeaders, 'Sec-WebSocket-Accept': acceptKey(key) }
  if (subprotocol !== '') headers['Sec-WebSocket-Protocol'] = subprotocol
  if (extensionsHeader !== '') headers['Sec-WebSocket-Extensions'] = extensionsHeader
  return { accepted: true, headers, subprotocol, extensions, extensionsHeader }
}
