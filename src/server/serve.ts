import { once } from 'node:events'
import { createServer, type Server as HttpServer, type IncomingMessage, type ServerResponse } from 'node:http'
import {
  createServer as createTlsServer,
  type ServerOptions as TlsOptions,
  Server as TlsServer,
} from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { checkNames } from '../conn/options.ts'
import { UsageError } from '../session/errors.ts'
import type { RequiresAuthorize } from './authorize.ts'
import { checkDrain, type DrainOptions } from './drain.ts'
import { openFastLane } from './fast-lane.ts'
import type { ServerConn } from './server-conn.ts'
import type { ServerStats } from './server-counters.ts'
import { register } from './unclaimed.ts'
import { checkHandler, type Handler, Upgrader } from './upgrader.ts'
import { handshakeTimeoutOf, type UpgraderOptions, upgraderOptionNames } from './upgrader-options.ts'
import { watchAccept } from './watch-accept.ts'

/** Where and how {@link serve} listens, beside what an `Upgrader` takes. */
export interface ServeOptions<Subprotocol extends string = string, Context = unknown>
  extends UpgraderOptions<Subprotocol, Context> {
  /** 0 takes a free one: see `url`. Default 0. */
  readonly port?: number | undefined
  /** Default `127.0.0.1`: name another to be reached from other machines. */
  readonly host?: string | undefined
  /** Certificate and key, as for `node:https`: makes it `wss`. */
  readonly tls?: TlsOptions | undefined
  /**
   * A server of your own, whose other requests stay yours: also those that offer an upgrade to another protocol, such
   * as `h2c`, but for those with a body, which get 501. It is made to listen only when `port` is given.
   */
  readonly server?: HttpServer | undefined
}

/** A WebSocket server. */
export interface Server<Subprotocol extends string = string, Context = unknown> extends AsyncDisposable {
  /** Where clients connect to, such as `ws://127.0.0.1:8080/chat`; with `/` where `path` is a function. */
  readonly url: string
  /** The connections that have not ended. */
  readonly connections: ReadonlySet<ServerConn<Subprotocol, Context>>
  /** What has happened since the server was made: takes time in proportion to the open connections. */
  readonly stats: ServerStats
  /** The HTTP server under it. */
  readonly server: HttpServer
  /**
   * Stops: no new connections, every connection gets a Close frame, and what has not ended in time is dropped, as is
   * all that a server of our own still does beside. What clients have sent before they hear of it, handlers still get, as
   * long as they take a message each second. Once begun, calling it again waits for the same end.
   *
   * @throws UsageError `ERR_WS_INVALID_ARGUMENT` naming the option that is wrong; then nothing was closed
   */
  close(options?: DrainOptions): Promise<void>
}

/**
 * Listens for WebSocket connections, on a server of its own or on yours.
 *
 * @throws UsageError `ERR_WS_INVALID_OPTION` naming the option that is wrong; or what the system says, such as `EADDRINUSE`
 *
 * @example
 * ```ts
 * import { serve } from 'silverback'
 *
 * const server = await serve({ port: 0, path: '/echo' }, async (conn) => {
 *   for await (const message of conn) conn.send(message)
 * })
 * console.log(server.url)
 * await server.close()
 * ```
 */
export async function serve<Subprotocol extends string = string, Context = unknown>(
  options: ServeOptions<Subprotocol, Context> & NoInfer<RequiresAuthorize<Context>>,
  handle: Handler<NoInfer<Subprotocol>, Context>,
): Promise<Server<Subprotocol, Context>> {
  checkOptions(options as ServeOptions)
  checkHandler(handle)
  const { port, host = '127.0.0.1', tls, server: given, ...rest } = options
  const upgrader = new Upgrader(rest as UpgraderOptions) as unknown as Upgrader<Subprotocol, Context>
  const server = given ?? ownServer(tls, handshakeTimeoutOf(rest as UpgraderOptions))
  const strangers = given === undefined ? new Strangers(server) : undefined
  const onUpgrade = upgrader.handler((conn) => {
    strangers?.delete(conn.socket)
    return handle(conn)
  })
  if (given === undefined || port !== undefined) await listen(server, port ?? 0, host)
  if (given === undefined) watchAccept(server, rest.log)
  server.on('upgrade', onUpgrade)

  let closing: Promise<void> | undefined
  const result: Server<Subprotocol, Context> = {
    server,
    connections: upgrader.connections,
    get stats() {
      return upgrader.stats
    },
    get url() {
      return describeUrl(server, typeof rest.path === 'string' ? rest.path : '/')
    },
    async close(options = {}) {
      checkDrain(options)
      closing ??= (async () => {
        const stopped = given === undefined ? stop(server) : undefined
        await upgrader.close(options)
        if (given !== undefined) server.off('upgrade', onUpgrade)
        strangers?.destroy()
        await stopped
      })()
      return closing
    },
    async [Symbol.asyncDispose]() {
      await result.close()
    },
  }
  return result
}

/** What an `Upgrader` checks for itself is left to it. */
function checkOptions(options: ServeOptions): void {
  checkNames(options, ['port', 'host', 'tls', 'server', ...upgraderOptionNames])
  const { port, host, tls, server } = options
  if (port !== undefined && (!Number.isInteger(port) || port < 0 || port > 65535))
    throw invalid(`port must be an integer from 0 to 65535, not ${String(port)}`)
  // Node takes the empty string for "every address", which nobody should get by a variable that is not set.
  if (host !== undefined && (typeof host !== 'string' || host === ''))
    throw invalid(`host must be a name or an address, not ${JSON.stringify(host)}`)
  if (tls !== undefined && (typeof tls !== 'object' || tls === null))
    throw invalid('tls must be an object with a certificate and a key')
  if (server !== undefined && typeof server?.on !== 'function')
    throw invalid('server must be a server of node:http or node:https')
  if (server !== undefined && tls !== undefined)
    throw invalid('tls: a server of your own brings its certificate itself')
}

function invalid(message: string): UsageError {
  return new UsageError('ERR_WS_INVALID_OPTION', message)
}

/** A server that only speaks WebSocket: everything else is told so. */
function ownServer(tls: TlsOptions | undefined, handshakeTimeout: number): HttpServer {
  const timeouts = {
    // Of the TLS handshake, whose time counts before that of the request.
    handshakeTimeout,
    headersTimeout: handshakeTimeout,
    requestTimeout: handshakeTimeout,
    connectionsCheckingInterval: Math.min(1_000, Math.max(50, Math.floor(handshakeTimeout / 4))),
  }
  const onRequest = (_request: IncomingMessage, response: ServerResponse): void => {
    response.writeHead(426, {
      Upgrade: 'websocket',
      Connection: 'Upgrade, close',
      'Sec-WebSocket-Version': '13',
    })
    response.end('This is a WebSocket endpoint.\n')
  }
  register(onRequest)
  if (tls !== undefined) return createTlsServer({ ...timeouts, ...tls }, onRequest)
  const server = createServer(timeouts, onRequest)
  openFastLane(server)
  return server
}

/**
 * The TCP connections of a server that are no WebSockets (yet), whoever speaks on them: HTTP itself forgets those that are
 * not, or no longer, its own.
 */
class Strangers {
  readonly #sockets = new Set<Duplex>()
  // One listener for all: a closure would cost memory for each connection.
  readonly #onClose: (this: Duplex) => void

  constructor(server: HttpServer) {
    const sockets = this.#sockets
    this.#onClose = function () {
      sockets.delete(this)
    }
    server.on('connection', (socket: Socket) => {
      sockets.add(socket)
      socket.on('close', this.#onClose)
    })
  }

  delete(socket: Duplex): void {
    if (this.#sockets.delete(socket)) socket.off('close', this.#onClose)
  }

  destroy(): void {
    for (const socket of this.#sockets) socket.destroy()
  }
}

async function listen(server: HttpServer, port: number, host: string): Promise<void> {
  server.listen(port, host)
  // Rejects at an 'error', and leaves no listener behind either way: the server may be somebody else's.
  await once(server, 'listening')
}

function stop(server: HttpServer): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve())
  })
}

function describeUrl(server: HttpServer, path: string): string {
  const address = server.address() as AddressInfo | string | null
  if (address === null) return ''
  const scheme = isTls(server) ? 'wss' : 'ws'
  if (typeof address === 'string') return `${scheme}+unix:${encodeSocketPath(address)}:${path}`
  const { family, port } = address
  const host = address.address === '0.0.0.0' || address.address === '::' ? 'localhost' : address.address
  return `${scheme}://${family === 'IPv6' && host !== 'localhost' ? `[${host}]` : host}:${port}${path}`
}

/** So that a path of the file system can stand before the colon of a URL. */
function encodeSocketPath(path: string): string {
  return encodeURI(path).replace(/[:?#]/g, encodeURIComponent)
}

function isTls(server: HttpServer): boolean {
  // Bun's have no setSecureContext.
  return 'setSecureContext' in server || server instanceof TlsServer
}
