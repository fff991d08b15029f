import type { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { Link } from '../conn/link.ts'
import type { LinkOwner } from '../conn/link-options.ts'
import { Observer } from '../conn/observer.ts'
import { printFailure } from '../conn/print-failure.ts'
import { tellListener } from '../conn/tell-listener.ts'
import type { Limits } from '../protocol/limits.ts'
import {
  decideUpgrade,
  type HandshakeHeaders,
  type ServerAcceptance,
  type ServerDecision,
} from '../protocol/server-handshake.ts'
import { isError } from '../session/as-error.ts'
import type { CloseInfo } from '../session/close-info.ts'
import { type HandshakeError, UsageError } from '../session/errors.ts'
import { keepRequest } from '../session/handshake-request.ts'
import { CloseCode } from '../wire/close-code.ts'
import {
  type Authorize,
  type RequiresAuthorize,
  type Verdict,
  verdictOf,
  verdictOfError,
} from './authorize.ts'
import { ConnectionLimits, type Place } from './connection-limits.ts'
import { type Denial, denialError, deny, serverError } from './denial.ts'
import { checkDrain, type DrainOptions, drain } from './drain.ts'
import { drawLifetime, Lifetime } from './lifetime.ts'
import { PendingUpgrade } from './pending-upgrade.ts'
import { formatHeaders, reject } from './reject.ts'
import { requestPath } from './request-path.ts'
import { ServerConn } from './server-conn.ts'
import { ServerCounters, type ServerStats } from './server-counters.ts'
import { claim, isAnswering, isForHttp, leave, register, type UpgradeListener } from './unclaimed.ts'
import {
  type Rejection,
  type ResolvedUpgraderOptions,
  resolveUpgraderOptions,
  type UpgraderOptions,
} from './upgrader-options.ts'

export type { ServerConn } from './server-conn.ts'

/** Gets each connection; what it throws, or rejects with, closes that connection with 1011. */
export type Handler<Subprotocol extends string = string, Context = unknown> = (
  conn: ServerConn<Subprotocol, Context>,
) => void | Promise<void>

/** Requests with more header fields than this are refused. */
export const MAX_HEADERS = 100

/** A request that may have its 101. */
interface Handshake {
  readonly request: IncomingMessage
  readonly socket: Duplex
  readonly acceptance: ServerAcceptance
  readonly place: Place | undefined
}

/** What an upgrader hears of its connections. */
interface Connections<Accepted> {
  failed(accepted: Accepted, error: unknown): void
  ended(accepted: Accepted): void
}

/** A connection, and what is given back at its end. */
class Accepted<Subprotocol extends string, Context> implements LinkOwner {
  readonly #connections: Connections<Accepted<Subprotocol, Context>>
  readonly place: Place | undefined
  // Set before anybody is told of the connection.
  link!: Link
  conn!: ServerConn<Subprotocol, Context>
  lifetime: Lifetime | undefined = undefined

  constructor(connections: Connections<Accepted<Subprotocol, Context>>, place: Place | undefined) {
    this.#connections = connections
    this.place = place
  }

  onListenerError(error: unknown): void {
    this.#connections.failed(this, error)
  }

  onClosed(): void {
    this.#connections.ended(this)
  }
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
export class Upgrader<Subprotocol extends string = string, Context = unknown> {
  readonly #options: ResolvedUpgraderOptions
  /** `undefined` when connections are not counted. */
  readonly #limits: ConnectionLimits | undefined
  readonly #connections = new Set<ServerConn<Subprotocol, Context>>()
  readonly #ends: Connections<Accepted<Subprotocol, Context>> = {
    failed: ({ conn }, error) => void this.#report(error, conn),
    ended: (accepted) => this.#ended(accepted),
  }
  readonly #pending = new Set<PendingUpgrade>()
  readonly #counters = new ServerCounters()
  readonly #observer: Observer
  #closing = false

  /** With the defaults: for every path, from pages of the same origin. */
  constructor(...none: unknown extends Context ? [] : [never])
  /** @throws UsageError `ERR_WS_INVALID_OPTION` naming the option that is wrong */
  constructor(options: UpgraderOptions<Subprotocol, Context> & NoInfer<RequiresAuthorize<Context>>)
  constructor(options: UpgraderOptions<Subprotocol, Context> = {}) {
    const resolved = resolveUpgraderOptions(options as UpgraderOptions)
    const { maxConnections, maxConnectionsPerAddress } = resolved
    this.#options = resolved
    this.#observer = new Observer(resolved.log)
    this.#limits =
      maxConnections === undefined && maxConnectionsPerAddress === undefined
        ? undefined
        : new ConnectionLimits(resolved)
  }

  /** The connections that have not ended. */
  get connections(): ReadonlySet<ServerConn<Subprotocol, Context>> {
    return this.#connections
  }

  /** What has happened since the upgrader was made: takes time in proportion to the open connections. */
  get stats(): ServerStats {
    return this.#counters.read(this.#connections, this.#pending.size)
  }

  /**
   * Answers requests with 503 from now on, those that wait for `authorize` at once, closes the connections and waits
   * for their ends. What clients have sent before they hear of it, handlers still get, as long as they take a message each
   * second. For an HTTP server of your own, which you close beside: `server.close()`.
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
    const refused = [...this.#pending].map((pending) => pending.cancel(closingDenial()))
    await drain(this.#connections, options, refused)
  }

  /**
   * Takes one request over. A request that is no handshake, or not an allowed one, is answered with an HTTP error
   * here; the returned promise then rejects, so that the caller knows. It waits for `authorize`, and for nothing else.
   *
   * @throws HandshakeError with the status and the headers that were answered
   * @throws UsageError `ERR_WS_INVALID_ARGUMENT` when another upgrader has the request already
   */
  async upgrade(
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
  ): Promise<ServerConn<Subprotocol, Context>> {
    if (!claim(request))
      throw new UsageError('ERR_WS_INVALID_ARGUMENT', 'upgrade: this request has been taken before')
    const { conn } = await this.#take(request, socket, head, this.#unmatched(request))
    return conn
  }

  /**
   * A listener for the server's `'upgrade'` event. It never throws: refusals are answered, errors of `handle` go to
   * `onError`. Requests for another path than the upgrader's are left to the next listener; the last resort is 404,
   * at once when all listeners of the server are upgraders, else after ten seconds in which none has touched the
   * socket. A listener of your own that calls this one by hand counts as the upgrader. Of two that want a request the
   * first gets it. What offers another protocol than WebSocket, such as `h2c`, is left to the server's `'request'`
   * listeners, if it has any, unless it is for the `path` of this upgrader; with a body it is answered 501, as nobody
   * could read that any more.
   *
   * @throws UsageError `ERR_WS_INVALID_ARGUMENT` when `handle` is no function
   */
  handler(handle: Handler<Subprotocol, Context>): UpgradeListener {
    checkHandler(handle)
    const upgrader = this
    const { anyPath } = this.#options
    function onUpgrade(this: unknown, request: IncomingMessage, socket: Duplex, head: Buffer): void {
      const unmatched = upgrader.#unmatched(request)
      if (unmatched?.code === 'ERR_WS_PATH' || (anyPath && isForHttp(this, request, socket)))
        return leave(this, request, socket)
      if (claim(request)) upgrader.#accept(handle, request, socket, head, unmatched)
    }
    register(onUpgrade)
    return onUpgrade
  }

  #accept(
    handle: Handler<Subprotocol, Context>,
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    unmatched: Denial | undefined,
  ): void {
    let taken: Accepted<Subprotocol, Context> | Promise<Accepted<Subprotocol, Context>>
    try {
      taken = this.#take(request, socket, head, unmatched)
    } catch {
      // Refused: the client has its answer, and `onReject` has heard of it.
      return
    }
    if (taken instanceof Promise) {
      taken.then(
        (late) => this.#run(handle, late),
        () => {},
      )
    } else this.#run(handle, taken)
  }

  #run(handle: Handler<Subprotocol, Context>, { conn, link }: Accepted<Subprotocol, Context>): void {
    const onFailed = (error: unknown): void => {
      // That the connection ended is no failure of the handler.
      if (link.state === 'closed' && error === link.closeError) return
      void link.close(CloseCode.InternalError, 'internal error', isError(error) ? error : undefined)
      void this.#report(error, conn)
    }
    try {
      Promise.resolve(handle(conn)).catch(onFailed)
    } catch (error) {
      onFailed(error)
    }
  }

  /** @throws HandshakeError when the request is refused at once; a promise is made only where `authorize` makes one */
  #take(
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    unmatched: Denial | undefined,
  ): Accepted<Subprotocol, Context> | Promise<Accepted<Subprotocol, Context>> {
    const place = this.#admit(request, socket, unmatched)
    if (place?.accepted === false) throw this.#refuse(request, socket, place)
    const decision = this.#decide(request)
    if (!decision.accepted) {
      place?.release()
      throw this.#refuse(request, socket, decision)
    }
    const handshake: Handshake = { request, socket, acceptance: decision, place }
    const { authorize } = this.#options
    return authorize === undefined
      ? this.#open(handshake, head, undefined)
      : this.#ask(authorize, handshake, head)
  }

  /** What can be told without a look at the handshake: a place for the connection, if places are counted. */
  #admit(
    request: IncomingMessage,
    socket: Duplex,
    unmatched: Denial | undefined,
  ): Place | Denial | undefined {
    // Ended by us: somebody has answered already, such as `reject` in another listener.
    if (!socket.writable) return endedDenial()
    if (isAnswering(socket)) {
      socket.destroy()
      return deny(400, 'ERR_WS_SOCKET_CLOSED', 'an earlier request on the connection was not answered yet')
    }
    if (this.#closing) return closingDenial()
    if (unmatched !== undefined) return unmatched
    if (request.rawHeaders.length > 2 * MAX_HEADERS)
      return deny(431, 'ERR_WS_HEADER_LIMIT', `more than ${MAX_HEADERS} header fields`)
    try {
      return this.#limits?.take(request)
    } catch (cause) {
      return serverError(cause)
    }
  }

  #decide(request: IncomingMessage): ServerDecision | Denial {
    const { checkOrigin, subprotocols, extensions } = this.#options
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
      return serverError(cause)
    }
  }

  #ask(
    authorize: Authorize,
    handshake: Handshake,
    head: Buffer,
  ): Accepted<Subprotocol, Context> | Promise<Accepted<Subprotocol, Context>> {
    const { request, socket, acceptance } = handshake
    const pending = new PendingUpgrade(socket, head, this.#options.handshakeTimeout)
    const details = {
      subprotocol: acceptance.subprotocol,
      get signal() {
        return pending.signal
      },
    }
    let answer: unknown
    try {
      answer = authorize(request, details)
      if (isPromiseLike(answer)) return this.#wait(handshake, pending, answer)
    } catch (error) {
      return this.#conclude(handshake, head, verdictOfError(error))
    }
    return this.#conclude(handshake, head, verdictOf(answer))
  }

  async #wait(
    handshake: Handshake,
    pending: PendingUpgrade,
    answer: PromiseLike<unknown>,
  ): Promise<Accepted<Subprotocol, Context>> {
    this.#pending.add(pending)
    const verdict = await pending.settle(answer)
    this.#pending.delete(pending)
    return this.#conclude(handshake, pending.release(), verdict)
  }

  #conclude(handshake: Handshake, head: Buffer, verdict: Verdict): Accepted<Subprotocol, Context> {
    if (!verdict.accepted) throw this.#deny(handshake, verdict)
    // While the application made up its mind.
    if (!handshake.socket.writable) throw this.#deny(handshake, endedDenial())
    if (this.#closing) throw this.#deny(handshake, closingDenial())
    return this.#open(handshake, head, verdict.context)
  }

  #open(handshake: Handshake, head: Buffer, context: unknown): Accepted<Subprotocol, Context> {
    const { request, socket, acceptance, place } = handshake
    const { slow, maxLifetime, lifetimeJitter } = this.#options
    let limits: Limits
    let response: string
    try {
      limits = this.#options.limits(request, context)
      const headers = formatHeaders({ ...acceptance.headers, ...this.#options.headers(request, context) })
      response = `HTTP/1.1 101 Switching Protocols\r\n${headers}\r\n`
    } catch (cause) {
      throw this.#deny(handshake, serverError(cause))
    }
    if (socket instanceof Socket) {
      // The HTTP server's timeouts end here, the connection's own begin.
      socket.setTimeout(0)
      socket.setNoDelay(true)
    }
    socket.write(response)
    const accepted = new Accepted(this.#ends, place)
    const { extensions } = acceptance
    const link = new Link({ socket, role: 'server', limits, slow, extensions, head, owner: accepted })
    const conn = new ServerConn<Subprotocol, Context>(link, {
      request: keepRequest(request),
      context,
      subprotocol: acceptance.subprotocol,
      extensions: acceptance.extensionsHeader,
      remoteAddress: request.socket.remoteAddress,
    })
    accepted.link = link
    accepted.conn = conn
    if (maxLifetime !== undefined)
      accepted.lifetime = new Lifetime(conn, drawLifetime(maxLifetime, lifetimeJitter))
    this.#connections.add(conn)
    this.#counters.accept()
    this.#observer.opened(conn)
    return accepted
  }

  #ended({ conn, link, place, lifetime }: Accepted<Subprotocol, Context>): void {
    this.#connections.delete(conn)
    const info = link.closeInfo as CloseInfo
    this.#counters.end(info)
    place?.release()
    lifetime?.cancel()
    this.#observer.closed(conn, info)
  }

  /** Gives back what was taken for a handshake, and refuses it. */
  #deny({ request, socket, acceptance, place }: Handshake, denial: Denial): HandshakeError {
    place?.release()
    for (const extension of acceptance.extensions)
      tellListener('dispose of an extension', () => extension.dispose?.())
    return this.#refuse(request, socket, denial)
  }

  /** Answers a request that is not taken, and returns the error that says why. */
  #refuse(request: IncomingMessage, socket: Duplex, denial: Denial): HandshakeError {
    const { status, message, headers = {}, body = `${message}\n` } = denial
    const error = this.#answer(request, socket, denial, {
      status,
      headers,
      body,
      reason: denialError(denial),
    })
    this.#counters.refuse(error.code)
    this.#observer.refused(request, error)
    return error
  }

  #answer(request: IncomingMessage, socket: Duplex, denial: Denial, rejection: Rejection): HandshakeError {
    try {
      const custom = this.#options.onReject(rejection, request) ?? {}
      const status = custom.status ?? rejection.status
      const headers = { ...rejection.headers, ...custom.headers }
      reject(socket, status, { headers, body: custom.body ?? rejection.body })
      return denialError(denial, { status, headers })
    } catch (cause) {
      printFailure('onReject failed', cause)
      reject(socket, 500)
      return denialError(deny(500, 'ERR_WS_SERVER', 'onReject failed', { cause }))
    }
  }

  /** Why a request is none of this upgrader's: it has another path, or the option `path` failed. */
  #unmatched(request: IncomingMessage): Denial | undefined {
    try {
      const matches = this.#options.matches(requestPath(request.url ?? ''), request)
      return matches ? undefined : deny(404, 'ERR_WS_PATH', 'no WebSocket endpoint at this path')
    } catch (cause) {
      return serverError(cause)
    }
  }

  async #report(error: unknown, conn: ServerConn): Promise<void> {
    this.#observer.failed(conn, error)
    try {
      await this.#options.onError(error, conn)
    } catch (second) {
      printFailure('onError failed', second)
    }
  }
}

/** @throws UsageError `ERR_WS_INVALID_ARGUMENT` when it is no function */
export function checkHandler(handle: unknown): void {
  if (typeof handle !== 'function')
    throw new UsageError('ERR_WS_INVALID_ARGUMENT', `the handler must be a function, not ${typeof handle}`)
}

/**
 * The headers by lower-case name. Of several Host fields Node keeps the first: here they are a list, since nobody
 * knows which of them another program in the path goes by.
 */
function headersOf(request: IncomingMessage): HandshakeHeaders {
  const { host = [] } = request.headersDistinct
  return host.length > 1 ? { ...request.headers, host } : request.headers
}

function isPromiseLike(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as { readonly then?: unknown } | null | undefined)?.then === 'function'
}

function endedDenial(): Denial {
  return deny(400, 'ERR_WS_SOCKET_CLOSED', 'the connection has ended')
}

function closingDenial(): Denial {
  return deny(503, 'ERR_WS_SERVER_CLOSING', 'the server is closing')
}
