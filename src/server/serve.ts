import { createServer, type Server as HttpServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTlsServer, type ServerOptions as TlsOptions } from 'node:https'
import type { AddressInfo } from 'node:net'
import { resolveLimits } from '../protocol/limits.ts'
import { UsageError } from '../session/errors.ts'
import { CloseCode } from '../wire/close-code.ts'
import { type Handler, type ServerConn, Upgrader } from './upgrader.ts'
import type { UpgraderOptions } from './upgrader-options.ts'

/** Where and how {@link serve} listens, beside what an `Upgrader` takes. */
export interface ServeOptions extends UpgraderOptions {
  /** 0 takes a free one: see `url`. Default 0. */
  readonly port?: number | undefined
  /** Default `127.0.0.1`: name another to be reached from other machines. */
  readonly host?: string | undefined
  /** Certificate and key, as for `node:https`: makes it `wss`. */
  readonly tls?: TlsOptions | undefined
  /** A server of your own, whose other requests stay yours; it is made to listen only when `port` is given. */
  readonly server?: HttpServer | undefined
}

/** A WebSocket server. */
export interface Server extends AsyncDisposable {
  /** Where clients connect to, such as `ws://127.0.0.1:8080/chat`. */
  readonly url: string
  /** The connections that have not ended. */
  readonly connections: ReadonlySet<ServerConn>
  /** The HTTP server under it. */
  readonly server: HttpServer
  /**
   * Stops: no new connections, every connection gets a Close frame, and what has not ended in time is dropped. Once
   * begun, calling it again waits for the same end.
   *
   * @param options - `code` default 1001, `reason` default none, `timeout` in milliseconds, default 5000
   */
  close(options?: {
    readonly code?: number | undefined
    readonly reason?: string | undefined
    readonly timeout?: number | undefined
  }): Promise<void>
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
export async function serve(options: ServeOptions, handle: Handler): Promise<Server> {
  const { port, host = '127.0.0.1', tls, server: given, ...rest } = options
  if (typeof handle !== 'function')
    throw new UsageError('ERR_WS_INVALID_ARGUMENT', 'serve: the handler must be a function')
  if (port !== undefined && (!Number.isInteger(port) || port < 0 || port > 65535)) {
    throw new UsageError(
      'ERR_WS_INVALID_OPTION',
      `port must be an integer from 0 to 65535, not ${String(port)}`,
    )
  }
  if (given !== undefined && tls !== undefined) {
    throw new UsageError('ERR_WS_INVALID_OPTION', 'tls: a server of your own brings its certificate itself')
  }
  const upgrader = new Upgrader(rest)
  const server = given ?? ownServer(tls, rest)
  const onUpgrade = upgrader.handler(handle)
  server.on('upgrade', onUpgrade)
  if (given === undefined || port !== undefined) await listen(server, port ?? 0, host)

  let closing: Promise<void> | undefined
  const result: Server = {
    server,
    connections: upgrader.connections,
    get url() {
      return describeUrl(server, rest.path)
    },
    close({ code = CloseCode.GoingAway, reason = '', timeout = 5_000 } = {}) {
      closing ??= (async () => {
        upgrader.refuseNew()
        const stopped = given === undefined ? stop(server) : undefined
        await drain(upgrader.connections, code, reason, timeout)
        if (given === undefined) server.closeAllConnections()
        else server.off('upgrade', onUpgrade)
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

/** A server that only speaks WebSocket: everything else is told so. */
function ownServer(tls: TlsOptions | undefined, options: UpgraderOptions): HttpServer {
  const { handshakeTimeout } = resolveLimits(options.limits)
  const timeouts = {
    headersTimeout: handshakeTimeout,
    requestTimeout: handshakeTimeout,
    connectionsCheckingInterval: Math.min(1_000, Math.max(50, handshakeTimeout / 4)),
  }
  const onRequest = (_request: IncomingMessage, response: ServerResponse): void => {
    response.writeHead(426, {
      Upgrade: 'websocket',
      Connection: 'Upgrade, close',
      'Sec-WebSocket-Version': '13',
    })
    response.end('This is a WebSocket endpoint.\n')
  }
  return tls === undefined
    ? createServer(timeouts, onRequest)
    : createTlsServer({ ...timeouts, ...tls }, onRequest)
}

function listen(server: HttpServer, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => {
      server.off('error', reject)
      resolve()
    })
  })
}

function stop(server: HttpServer): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve())
  })
}

/** Closes all connections and waits for them; drops those that take longer than `timeout`. */
async function drain(
  connections: ReadonlySet<ServerConn>,
  code: number,
  reason: string,
  timeout: number,
): Promise<void> {
  const all = [...connections]
  let timer: NodeJS.Timeout | undefined
  const expired = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, timeout)
  })
  const ended = Promise.all(all.map((conn) => conn.close(code, reason)))
  await Promise.race([ended, expired])
  clearTimeout(timer)
  for (const conn of connections) conn.terminate()
  await ended
}

function describeUrl(server: HttpServer, path = '/'): string {
  const address = server.address() as AddressInfo | string | null
  if (address === null) return ''
  if (typeof address === 'string') return `ws+unix:${address}:${path}`
  const scheme = isTls(server) ? 'wss' : 'ws'
  const { family, port } = address
  const host = address.address === '0.0.0.0' || address.address === '::' ? 'localhost' : address.address
  return `${scheme}://${family === 'IPv6' && host !== 'localhost' ? `[${host}]` : host}:${port}${path}`
}

function isTls(server: HttpServer): boolean {
  return 'setSecureContext' in server
}
