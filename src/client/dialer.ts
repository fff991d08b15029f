import type { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { Conn } from '../conn/conn.ts'
import { Link } from '../conn/link.ts'
import { printFailure } from '../conn/print-failure.ts'
import type { ClientAcceptance } from '../protocol/client-handshake.ts'
import type { CloseInfo } from '../session/close-info.ts'
import { UsageError } from '../session/errors.ts'
import { keepResponse } from '../session/handshake-request.ts'
import { type DialOptions, type ResolvedDialOptions, resolveDialOptions } from './dial-options.ts'
import { checkUrl } from './dial-target.ts'
import { handshake } from './handshake.ts'

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
    // Refused like any other options that are none.
    if (options === null) return dial<string>(url, options) as Promise<Conn<Offered>>
    const given = Object.entries(options).filter(([, value]) => value !== undefined)
    return dial<string>(url, { ...this.#options, ...Object.fromEntries(given) }) as Promise<Conn<Offered>>
  }
}

/**
 * Connects to a WebSocket server (RFC 6455 section 4.1): directly, or through the proxy that the option `proxy` or the
 * environment names.
 *
 * @param url - `ws:` or `wss:`, or `ws+unix:/path/to.sock:/request/path` (`wss+unix:` with TLS) for a unix socket
 * @throws UsageError for a wrong URL (`ERR_WS_INVALID_ARGUMENT`) or option (`ERR_WS_INVALID_OPTION`)
 * @throws HandshakeError when there is no connection (`ERR_WS_CONNECT`, with the `cause`), a proxy fails or refuses
 * (`ERR_WS_PROXY`), the server refuses (`ERR_WS_STATUS`, with `status`, `headers` and the first KiB of the `body`), its
 * answer breaks the RFC, or a redirect is not to be followed (`ERR_WS_REDIRECT`, `ERR_WS_TOO_MANY_REDIRECTS`)
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
  // A jar would take all unix sockets, and whoever listens on this machine's ports, for one site.
  if (resolved.jar !== undefined && target.protocol.endsWith('+unix:'))
    throw new UsageError('ERR_WS_INVALID_OPTION', 'jar: cookies belong to a site, and a unix socket is none')
  try {
    const { response, socket, head, acceptance } = await handshake(target, resolved)
    // The handshake has seen to it that the chosen subprotocol was offered.
    return open(response, socket, head, acceptance, resolved) as Conn<Subprotocol>
  } catch (error) {
    resolved.observer.dialFailed(withoutQuery(String(url)), error)
    throw error
  }
}

/** A query may hold a token, which belongs in no log. */
function withoutQuery(url: string): string {
  const end = url.indexOf('?')
  return end < 0 ? url : url.slice(0, end)
}

function open(
  response: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  { subprotocol, extensions, extensionsHeader }: ClientAcceptance,
  { limits, slow, onError, observer }: ResolvedDialOptions,
): Conn {
  if (socket instanceof Socket) socket.setNoDelay(true)
  // Before there is a link, whose owner needs the connection: a stream of the caller's may throw at this.
  const { remoteAddress } = socket as Partial<Socket>
  const link = new Link({
    socket,
    role: 'client',
    limits,
    slow,
    extensions,
    head,
    owner: {
      async onListenerError(error) {
        observer.failed(conn, error)
        try {
          await onError(error, conn)
        } catch (second) {
          printFailure('onError failed', second)
        }
      },
      onClosed: () => observer.closed(conn, link.closeInfo as CloseInfo),
    },
  })
  const conn = new Conn(link, {
    response: keepResponse(response),
    subprotocol,
    extensions: extensionsHeader,
    remoteAddress,
  })
  observer.opened(conn)
  return conn
}
