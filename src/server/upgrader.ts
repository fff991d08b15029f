import type { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { Conn } from '../conn/conn.ts'
import { Link } from '../conn/link.ts'
import {
  decideUpgrade,
  type HandshakeHeaders,
  type ServerAcceptance,
  type ServerDecision,
} from '../protocol/server-handshake.ts'
import { type CodeOf, HandshakeError, UsageError } from '../session/errors.ts'
import { CloseCode } from '../wire/close-code.ts'
import { checkDrain, type DrainOptions, drain } from './drain.ts'
import { formatHeaders, reject } from './reject.ts'
import type { ServerConn } from './server-conn.ts'
import { claim, isAnswering, leave, register, type UpgradeListener } from './unclaimed.ts'
import {
  type Rejection,
  type ResolvedUpgraderOptions,
  resolveUpgraderOptions,
  type UpgraderOptions,
} from './upgrader-options.ts'

export type { ServerConn } from './server-conn.ts'

/** Gets each connection; what it throws, or rejects with, closes that connection with 1011. */
export type Handler = (conn: ServerConn) => void | Promise<void>

/** Requests with more header fields than this are refused. */
const MAX_HEADERS = 100

/** Why a request is not taken. */
interface Refusal {
  readonly status: number
  readonly code: CodeOf<'HandshakeError'>
  readonly message: string
  readonly headers?: Readonly<Record<string, string>>
  readonly cause?: unknown
}

/**
 * Turns HTTP/1.1 upgrade requests into WebSocket connections (RFC 6455 section 4.2). Works on any `node:http` or
 * `node:https` server, and so with Express, Fastify, Hono and the like; several upgraders can share one server.
 *
 * @example
 * ```ts
 * import { createServer } from 'node:http'
 * import { allowOrigins, Upgrader } from 'silverback'
 *
 * const upgrader = new Upgrader({ path: '/ws', checkOrigin: allowOrigins('https://example.com') })
 * const server = createServer()
 * server.on(
 *   'upgrade',
 *   upgrader.handler(async (conn) => {
 *     for await (const value of conn.json()) conn.sendJson(value)
 *   }),
 * )
 * ```
 */
export class Upgrader {
  readonly #options: ResolvedUpgraderOptions
  readonly #connections = new Set<ServerConn>()
  #closing = false

  /** @throws UsageError `ERR_WS_INVALID_OPTION` naming the option that is wrong */
  constructor(options: UpgraderOptions = {}) {
    this.#options = resolveUpgraderOptions(options)
  }

  /** The connections that have not ended. */
  get connections(): ReadonlySet<ServerConn> {
    return this.#connections
  }

  /**
   * Answers requests with 503 from now on, closes the connections and waits for their ends. For an HTTP server of
   * your own, which you close beside: `server.close()`.
   *
   * @throws UsageError `ERR_WS_INVALID_ARGUMENT` naming the option that is wrong; then nothing was closed
   *
   * @example
   * ```ts
   * import { createServer } from 'node:http'
   * import { Upgrader } from 'silverback'
   *
   * const upgrader = new Upgrader()
   * const server = createServer()
   * server.on('upgrade', upgrader.handler((conn) => void conn.send('hi')))
   * process.once('SIGTERM', async () => {
   *   server.close()
   *   await upgrader.close({ reason: 'restarting' })
   * })
   * ```
   */
  async close(options: DrainOptions = {}): Promise<void> {
    checkDrain(options)
    this.#closing = true
    await drain(this.#connections, options)
  }

  /**
   * Takes one request over. A request that is no handshake, or not an allowed one, is answered with an HTTP error
   * here; the returned promise then rejects, so that the caller knows.
   *
   * @throws HandshakeError with the status and the headers that were answered
   * @throws UsageError `ERR_WS_INVALID_ARGUMENT` when another upgrader has the request already
   */
  async upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<ServerConn> {
    if (!claim(request))
      throw new UsageError('ERR_WS_INVALID_ARGUMENT', 'upgrade: this request has been taken before')
    return this.#take(request, socket, head).conn
  }

  /**
   * A listener for the server's `'upgrade'` event. It never throws: refusals are answered, errors of `handle` go to
   * `onError`. Requests for another path than the upgrader's are left to the next listener; the last resort is 404,
   * unless the server has listeners that are not upgraders. Of two that want a request the first gets it. Called by
   * hand, from a listener of your own, it answers 404 to what no upgrader has taken in that turn of the event loop.
   *
   * @throws UsageError `ERR_WS_INVALID_ARGUMENT` when `handle` is no function
   */
  handler(handle: Handler): UpgradeListener {
    if (typeof handle !== 'function')
      throw new UsageError('ERR_WS_INVALID_ARGUMENT', `the handler must be a function, not ${typeof handle}`)
    const upgrader = this
    function onUpgrade(this: unknown, request: IncomingMessage, socket: Duplex, head: Buffer): void {
      if (!upgrader.#matches(request)) return leave(this, request, socket)
      if (claim(request)) upgrader.#accept(handle, request, socket, head)
    }
    register(onUpgrade)
    return onUpgrade
  }

  #accept(handle: Handler, request: IncomingMessage, socket: Duplex, head: Buffer): void {
    let taken: { conn: ServerConn; link: Link }
    try {
      taken = this.#take(request, socket, head)
    } catch {
      // Refused: the client has its answer, and `onReject` has heard of it.
      return
    }
    const { conn, link } = taken
    const onFailed = (error: unknown): void => {
      // That the connection ended is no failure of the handler.
      if (link.state === 'closed' && error === link.closeError) return
      void link.close(CloseCode.InternalError, 'internal error', error instanceof Error ? error : undefined)
      void this.#report(error, conn)
    }
    try {
      Promise.resolve(handle(conn)).catch(onFailed)
    } catch (error) {
      onFailed(error)
    }
  }

  #take(request: IncomingMessage, socket: Duplex, head: Buffer): { conn: ServerConn; link: Link } {
    const decision = this.#decide(request, socket)
    if (!decision.accepted) throw this.#refuse(request, socket, decision)
    let response: string
    try {
      const headers = formatHeaders({ ...decision.headers, ...this.#options.headers(request) })
      response = `HTTP/1.1 101 Switching Protocols\r\n${headers}\r\n`
    } catch (cause) {
      for (const extension of decision.extensions) extension.dispose?.()
      throw this.#refuse(request, socket, serverError(cause))
    }
    return this.#open(request, socket, head, response, decision)
  }

  #decide(request: IncomingMessage, socket: Duplex): ServerDecision | ({ accepted: false } & Refusal) {
    const { checkOrigin, subprotocols, extensions } = this.#options
    // Ended by us: somebody has answered already, such as `reject` in another listener.
    if (!socket.writable) return refusal(400, 'ERR_WS_SOCKET_CLOSED', 'the connection has ended')
    if (isAnswering(socket)) {
      socket.destroy()
      return refusal(400, 'ERR_WS_SOCKET_CLOSED', 'an earlier request on the connection was not answered yet')
    }
    if (this.#closing) return refusal(503, 'ERR_WS_SERVER_CLOSING', 'the server is closing')
    if (!this.#matches(request)) return refusal(404, 'ERR_WS_PATH', 'no WebSocket endpoint at this path')
    if (request.rawHeaders.length > 2 * MAX_HEADERS) {
      return refusal(431, 'ERR_WS_HEADER_LIMIT', `more than ${MAX_HEADERS} header fields`)
    }
    try {
      return decideUpgrade(
        { method: request.method ?? '', httpVersion: request.httpVersion, headers: headersOf(request) },
        {
          checkOrigin: (origin) => checkOrigin(origin, request),
          subprotocols: subprotocols(request),
          extensions,
        },
      )
    } catch (cause) {
      return { accepted: false, ...serverError(cause) }
    }
  }

  #open(
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    response: string,
    { subprotocol, extensions, extensionsHeader }: ServerAcceptance,
  ): { conn: ServerConn; link: Link } {
    const { limits, slow } = this.#options
    if (socket instanceof Socket) {
      // The HTTP server's timeouts end here, the connection's own begin.
      socket.setTimeout(0)
      socket.setNoDelay(true)
    }
    socket.write(response)
    const link = new Link({
      socket,
      role: 'server',
      limits,
      slow,
      extensions,
      head,
      onListenerError: (error) => void this.#report(error, conn),
      onClosed: () => this.#connections.delete(conn),
    })
    const remoteAddress = request.socket.remoteAddress
    const conn = new Conn(link, {
      request,
      subprotocol,
      extensions: extensionsHeader,
      remoteAddress,
    }) as ServerConn
    this.#connections.add(conn)
    return { conn, link }
  }

  /** Answers a request that is not taken, and returns the error that says why. */
  #refuse(request: IncomingMessage, socket: Duplex, refused: Refusal): HandshakeError {
    const { status, code, message, headers = {}, cause } = refused
    const reason = new HandshakeError(code, message, { status, headers: lowerCase(headers), cause })
    const rejection: Rejection = { status, headers, body: `${message}\n`, reason }
    try {
      const custom = this.#options.onReject(rejection, request) ?? {}
      const answered = { status: custom.status ?? status, headers: { ...headers, ...custom.headers } }
      reject(socket, answered.status, { headers: answered.headers, body: custom.body ?? rejection.body })
      return new HandshakeError(code, message, { ...answered, headers: lowerCase(answered.headers), cause })
    } catch (error) {
      console.error('silverback: onReject failed:', error)
      reject(socket, 500)
      return new HandshakeError('ERR_WS_SERVER', 'onReject failed', { status: 500, cause: error })
    }
  }

  #matches(request: IncomingMessage): boolean {
    const { path } = this.#options
    return path === undefined || pathname(request.url ?? '') === path
  }

  async #report(error: unknown, conn: ServerConn): Promise<void> {
    try {
      await this.#options.onError(error, conn)
    } catch (second) {
      console.error('silverback: onError failed:', second)
    }
  }
}

/**
 * The headers by lower-case name. Of several Host fields Node keeps the first: here they are a list, since nobody
 * knows which of them another program in the path goes by.
 */
function headersOf(request: IncomingMessage): HandshakeHeaders {
  const { host = [] } = request.headersDistinct
  return host.length > 1 ? { ...request.headers, host } : request.headers
}

/** The path of a request target (RFC 7230 section 5.3): as it stands, not decoded. */
function pathname(target: string): string {
  let path = target
  if (!target.startsWith('/')) {
    // The absolute form, as proxies get it.
    if (!/^https?:\/\//i.test(target) || !URL.canParse(target)) return ''
    const start = target.indexOf('/', target.indexOf('//') + 2)
    path = start < 0 ? '/' : target.slice(start)
  }
  const query = path.indexOf('?')
  return query < 0 ? path : path.slice(0, query)
}

function refusal(
  status: number,
  code: CodeOf<'HandshakeError'>,
  message: string,
): { accepted: false } & Refusal {
  return { accepted: false, status, code, message }
}

/** A check or a header function of the application's threw: the client learns no more than that. */
function serverError(cause: unknown): Refusal {
  return { status: 500, code: 'ERR_WS_SERVER', message: 'the server could not answer the request', cause }
}

function lowerCase(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
}
