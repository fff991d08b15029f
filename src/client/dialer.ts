import { randomBytes } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { Conn } from '../conn/conn.ts'
import { Link } from '../conn/link.ts'
import {
  type ClientAcceptance,
  type ClientDecision,
  type ClientOffer,
  verifyResponse,
} from '../protocol/client-handshake.ts'
import { HandshakeError } from '../session/errors.ts'
import { formatKey } from '../wire/accept-key.ts'
import { checkUrl, type DialOptions, type ResolvedDialOptions, resolveDialOptions } from './dial-options.ts'
import { requestUpgrade } from './request-upgrade.ts'

/**
 * Connects to WebSocket servers with options that are the same each time.
 *
 * @example
 * ```ts
 * import { Dialer, serve } from 'silverback'
 * await using server = await serve({}, (conn) => void conn.send('hi'))
 * const dialer = new Dialer({ headers: { authorization: 'Bearer secret' } })
 * await using conn = await dialer.dial(server.url)
 * console.log(await conn.read()) // hi
 * ```
 */
export class Dialer<Subprotocol extends string = string> {
  readonly #options: DialOptions<Subprotocol>

  /** @throws UsageError `ERR_WS_INVALID_OPTION` naming the option that is wrong */
  constructor(options: DialOptions<Subprotocol> = {}) {
    resolveDialOptions(options)
    this.#options = options
  }

  /** As {@link dial}; options given here, unless `undefined`, come before the dialer's own. */
  dial<Offered extends string = Subprotocol>(
    url: string | URL,
    options: DialOptions<Offered> = {},
  ): Promise<Conn<Offered>> {
    const given = Object.entries(options).filter(([, value]) => value !== undefined)
    return dial<string>(url, { ...this.#options, ...Object.fromEntries(given) }) as Promise<Conn<Offered>>
  }
}

/**
 * Connects to a WebSocket server (RFC 6455 section 4.1). Redirects are not followed.
 *
 * @param url - `ws:` or `wss:`
 * @throws UsageError for a wrong URL (`ERR_WS_INVALID_ARGUMENT`) or option (`ERR_WS_INVALID_OPTION`)
 * @throws HandshakeError when there is no connection (`ERR_WS_CONNECT`, with the `cause`), the server refuses
 * (`ERR_WS_STATUS`, with `status`, `headers` and the first KiB of the `body`), or its answer breaks the RFC
 * @throws TimeoutError `ERR_WS_HANDSHAKE_TIMEOUT`
 * @throws the signal's reason when that is aborted
 *
 * @example
 * ```ts
 * import { dial, serve } from 'silverback'
 * await using server = await serve({ subprotocols: ['news.v2'] }, (conn) => void conn.send('hi'))
 * await using conn = await dial(server.url, { subprotocols: ['news.v2', 'news.v1'] })
 * console.log(conn.subprotocol, await conn.read()) // news.v2 hi
 * ```
 */
export async function dial<Subprotocol extends string = string>(
  url: string | URL,
  options: DialOptions<Subprotocol> = {},
): Promise<Conn<Subprotocol>> {
  const resolved = resolveDialOptions(options)
  const target = checkUrl(url)
  const offer: ClientOffer = {
    key: formatKey(randomBytes(16)),
    subprotocols: resolved.subprotocols,
    extensions: resolved.extensions,
  }
  const { response, socket, head } = await requestUpgrade(target, offer, resolved)
  const { statusCode: status = 0, headers } = response
  let decision: ClientDecision
  try {
    decision = verifyResponse({ status, headers }, offer)
  } catch (error) {
    // An extension of the application's threw.
    socket.destroy()
    throw error
  }
  if (!decision.ok) {
    socket.destroy()
    throw new HandshakeError(decision.code, decision.message, { status, headers })
  }
  // `verifyResponse` has seen to it that the chosen one was offered.
  return open(response, socket, head, decision, resolved) as Conn<Subprotocol>
}

function open(
  response: IncomingMessage,
  socket: Socket,
  head: Buffer,
  { subprotocol, extensions, extensionsHeader }: ClientAcceptance,
  { limits, slow, onError }: ResolvedDialOptions,
): Conn {
  socket.setNoDelay(true)
  const link = new Link({
    socket,
    role: 'client',
    limits,
    slow,
    extensions,
    head,
    async onListenerError(error) {
      try {
        await onError(error, conn)
      } catch (second) {
        console.error('silverback: onError failed:', second)
      }
    },
    onClosed() {},
  })
  const { remoteAddress } = socket
  const conn = new Conn(link, { response, subprotocol, extensions: extensionsHeader, remoteAddress })
  return conn
}
