import { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import {
  buildRequestHeaders,
  type ClientAcceptance,
  type ClientOffer,
  verifyResponse,
} from '../protocol/client-handshake.ts'
import type { ExtensionFactory } from '../protocol/extension.ts'
import { decideUpgrade, type ServerAcceptance } from '../protocol/server-handshake.ts'
import type { OriginCheck } from '../server/origin.ts'
import { HandshakeError } from '../session/errors.ts'
import { formatKey } from '../wire/accept-key.ts'
import type { MemoryWire } from './memory-socket.ts'

/** What both sides bring to the handshake. */
export interface HandshakeTerms {
  readonly url: string
  readonly requestHeaders: Readonly<Record<string, string>>
  readonly responseHeaders: Readonly<Record<string, string>>
  readonly checkOrigin: OriginCheck
  readonly offered: readonly string[]
  readonly supported:
    | readonly string[]
    | ((offered: readonly string[], request: IncomingMessage) => string | undefined)
  readonly clientExtensions: readonly ExtensionFactory[]
  readonly serverExtensions: readonly ExtensionFactory[]
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
  const offer: ClientOffer = { key: KEY, subprotocols: terms.offered, extensions: terms.clientExtensions }
  const request = incoming(wire.server, {
    Host: 'localhost',
    ...terms.requestHeaders,
    ...buildRequestHeaders(offer),
  })
  request.method = 'GET'
  request.url = terms.url
  const { checkOrigin, supported } = terms
  const server = decideUpgrade(
    { method: 'GET', httpVersion: request.httpVersion, headers: request.headers },
    {
      checkOrigin: (origin) => checkOrigin(origin, request),
      subprotocols: typeof supported === 'function' ? (offered) => supported(offered, request) : supported,
      extensions: terms.serverExtensions,
    },
  )
  const status = server.accepted ? 101 : server.status
  const response = incoming(wire.client, {
    ...server.headers,
    ...(server.accepted ? terms.responseHeaders : {}),
  })
  response.statusCode = status
  const { headers } = response
  const client = verifyResponse({ status, headers }, offer)
  if (server.accepted && client.ok) return { request, response, client, server }
  if (server.accepted) for (const extension of server.extensions) extension.dispose?.()
  if (client.ok) throw new TypeError('a refusal cannot be taken for an agreement')
  throw new HandshakeError(client.code, client.message, {
    status,
    headers,
    body: server.accepted ? '' : `${server.message}\n`,
    cause: server.accepted
      ? undefined
      : new HandshakeError(server.code, server.message, { status, headers: server.headers }),
  })
}

/** A message as `node:http` gives it, of these headers. */
function incoming(socket: unknown, headers: Readonly<Record<string, string>>): IncomingMessage {
  const message = new IncomingMessage(socket as Socket)
  const byName = new Map(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
  message.httpVersion = '1.1'
  message.httpVersionMajor = 1
  message.httpVersionMinor = 1
  message.rawHeaders = Object.entries(headers).flat()
  message.headers = Object.fromEntries(byName)
  message.headersDistinct = Object.fromEntries([...byName].map(([name, value]) => [name, [value]]))
  message.complete = true
  message.push(null)
  return message
}
