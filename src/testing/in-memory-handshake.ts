import { IncomingMessage, maxHeaderSize } from 'node:http'
import type { Socket } from 'node:net'
import type { ResolvedDialOptions } from '../client/dial-options.ts'
import {
  buildRequestHeaders,
  type ClientAcceptance,
  type ClientOffer,
  verifyResponse,
} from '../protocol/client-handshake.ts'
import { decideUpgrade, type ServerAcceptance, type ServerDecision } from '../protocol/server-handshake.ts'
import { type Denial, denialError, deny, serverError } from '../server/denial.ts'
import { formatHeaders } from '../server/reject.ts'
import { MAX_HEADERS } from '../server/upgrader.ts'
import type { ResolvedUpgraderOptions } from '../server/upgrader-options.ts'
import { HandshakeError } from '../session/errors.ts'
import { formatKey } from '../wire/accept-key.ts'
import type { MemoryWire } from './memory-socket.ts'

/** What both sides bring to the handshake. */
export interface HandshakeTerms {
  readonly url: string
  readonly client: Pick<ResolvedDialOptions, 'headers' | 'subprotocols' | 'extensions'>
  readonly server: Pick<ResolvedUpgraderOptions, 'headers' | 'checkOrigin' | 'subprotocols' | 'extensions'>
  /** What `authorize` would have returned. */
  readonly context: unknown
}

/** What they agreed on, each by its own reckoning. */
export interface HandshakeResult {
  readonly request: IncomingMessage
  readonly response: IncomingMessage
  readonly client: ClientAcceptance
  readonly server: ServerAcceptance
}

/** Nobody guesses at it here, and the same each time is better for a test. */
const KEY = formatKey(new Uint8Array(16))

/**
 * The opening handshake between two ends in memory: by the functions that decide it everywhere, with no HTTP between.
 *
 * @throws HandshakeError as `dial` does when the server refuses, or its answer cannot be taken; `cause` is the
 * server's own reason
 */
export function inMemoryHandshake(terms: HandshakeTerms, wire: MemoryWire): HandshakeResult {
  const { subprotocols, extensions, headers } = terms.client
  const offer: ClientOffer = { key: KEY, subprotocols, extensions }
  const head = formatHeaders({ Host: 'localhost', ...byOwnName(headers), ...buildRequestHeaders(offer) })
  const request = incoming(wire.server, head)
  request.method = 'GET'
  request.url = terms.url
  const server = decide(terms, request, head)
  const fields = server.accepted ? server.fields : formatHeaders(server.headers ?? {})
  if (fields.length > maxHeaderSize)
    throw new HandshakeError('ERR_WS_HEADER_LIMIT', 'the headers that the server sent are too long')
  const status = server.accepted ? 101 : server.status
  const response = incoming(wire.client, fields)
  response.statusCode = status
  const client = verifyResponse({ status, headers: response.headers }, offer)
  if (server.accepted && client.ok) return { request, response, client, server }
  if (server.accepted) for (const extension of server.extensions) extension.dispose?.()
  if (client.ok) throw new TypeError('a refusal cannot be taken for an agreement')
  throw new HandshakeError(client.code, client.message, {
    status,
    headers: response.headers,
    body: server.accepted ? '' : `${server.message}\n`,
    cause: server.accepted ? undefined : denialError(server),
  })
}

/** As an `Upgrader` does, with the lines of its answer. */
function decide(
  { server: options, context }: HandshakeTerms,
  request: IncomingMessage,
  head: string,
): (ServerAcceptance & { readonly fields: string }) | Denial {
  if (head.length > maxHeaderSize || request.rawHeaders.length > 2 * MAX_HEADERS)
    return deny(
      431,
      'ERR_WS_HEADER_LIMIT',
      `more than ${MAX_HEADERS} header fields, or ${maxHeaderSize} bytes`,
    )
  let decision: ServerDecision | undefined
  try {
    decision = decideUpgrade(
      { method: 'GET', httpVersion: request.httpVersion, headers: request.headers },
      {
        checkOrigin: (origin) => options.checkOrigin(origin, request),
        subprotocols: options.subprotocols(request),
        extensions: options.extensions,
      },
    )
    if (!decision.accepted) return decision
    const fields = formatHeaders({ ...decision.headers, ...options.headers(request, context) })
    return { ...decision, fields }
  } catch (cause) {
    if (decision?.accepted === true) for (const extension of decision.extensions) extension.dispose?.()
    return serverError(cause)
  }
}

/** A given `host` replaces ours, whatever its case. */
function byOwnName(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name.toLowerCase() === 'host' ? 'Host' : name, value]),
  )
}

/** A message as `node:http` gives it, of these lines. */
function incoming(socket: unknown, lines: string): IncomingMessage {
  const message = new IncomingMessage(socket as Socket)
  const distinct: Record<string, string[]> = {}
  for (const line of lines.split('\r\n').slice(0, -1)) {
    const colon = line.indexOf(':')
    const [name, value] = [line.slice(0, colon), line.slice(colon + 1).trim()]
    message.rawHeaders.push(name, value)
    const values = distinct[name.toLowerCase()]
    if (values === undefined) distinct[name.toLowerCase()] = [value]
    else values.push(value)
  }
  const joined = Object.entries(distinct).map(([name, values]) => [
    name,
    name === 'set-cookie' ? values : values.join(', '),
  ])
  message.httpVersion = '1.1'
  message.httpVersionMajor = 1
  message.httpVersionMinor = 1
  message.headers = Object.fromEntries(joined)
  message.headersDistinct = distinct
  message.complete = true
  message.push(null)
  return message
}
