import { type Server as HttpServer, maxHeaderSize } from 'node:http'
import type { Socket } from 'node:net'
import { processWheel, type TimerWheel, type WheelEntry } from '../conn/timer-wheel.ts'
import { MAX_SIMPLE_HEAD, parseUpgradeHead, type UpgradeHead } from './upgrade-head.ts'
import { UpgradeRequest } from './upgrade-request.ts'

type ConnectionListener = (this: HttpServer, socket: Socket) => void

/** What the newcomers of one server have in common. */
interface Lane {
  readonly server: HttpServer
  /** Node's own listener for connections. */
  readonly http: ConnectionListener
  readonly wheel: TimerWheel
}

/** Where a socket has its newcomer. */
const NEWCOMER = Symbol('silverback.newcomer')

type LaneSocket = Socket & { [NEWCOMER]: Newcomer | undefined }

/** What Node answers to a client that has said nothing in time. */
const TIMED_OUT = 'HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n'

/** No more than HTTP would take. */
const LIMIT: number = Math.min(MAX_SIMPLE_HEAD, maxHeaderSize)

const nothing: Buffer = Buffer.alloc(0)

/**
 * Opens a way past Node's HTTP on a server that nobody else has got yet. A connection that begins with a simple request
 * for an upgrade, as nearly all WebSocket clients send it, becomes an `'upgrade'` event without an HTTP parser and
 * all that belongs to it. Any other is HTTP's, as if nobody had looked at it.
 *
 * @returns whether it could be opened: not on Bun and Deno, whose HTTP or sockets are not Node's
 */
export function openFastLane(server: HttpServer, wheel: TimerWheel = processWheel): boolean {
  // With Deno's sockets the lane loses answers to clients that have ended their half, and its own 408.
  if (process.versions['deno'] !== undefined) return false
  const listeners = server.listeners('connection') as ConnectionListener[]
  const http = listeners[0]
  if (http === undefined || listeners.length > 1) return false
  const lane: Lane = { server, http, wheel }
  server.off('connection', http)
  server.on('connection', (socket: Socket) => {
    if (isOpenTo(socket, server)) new Newcomer(socket, lane)
    else http.call(server, socket)
  })
  return true
}

/** What somebody has set on the server and only HTTP sees to is left to HTTP. */
function isOpenTo(socket: Socket, server: HttpServer): boolean {
  return (
    // Else it was handed over by hand, and may be any stream.
    (socket as { readonly server?: unknown }).server === server &&
    !server.timeout &&
    typeof server.maxHeadersCount !== 'number'
  )
}

/** A connection that has not said anything yet. */
class Newcomer implements WheelEntry {
  wheelNext: WheelEntry | undefined = undefined
  wheelPrevious: WheelEntry | undefined = undefined
  wheelDue = 0

  readonly #socket: Socket
  readonly #lane: Lane

  constructor(socket: Socket, lane: Lane) {
    this.#socket = socket
    this.#lane = lane
    ;(socket as LaneSocket)[NEWCOMER] = this
    // A client that hangs up without a word is hung up on; a listener for that would cost each connection.
    socket.allowHalfOpen = false
    socket.on('data', Newcomer.#onData)
    socket.on('error', Newcomer.#onError)
    socket.on('close', Newcomer.#onClose)
    const patience = patienceOf(lane.server)
    if (patience > 0) lane.wheel.schedule(this, patience)
  }

  // One function for all sockets, that finds its newcomer by the socket: closures would cost memory for each connection.

  static #onData(this: LaneSocket, chunk: Buffer): void {
    const newcomer = this[NEWCOMER]
    if (newcomer !== undefined) newcomer.#receive(chunk)
  }
  static #onError(this: LaneSocket, error: Error): void {
    const newcomer = this[NEWCOMER]
    if (newcomer !== undefined) newcomer.#fail(error)
  }
  static #onClose(this: LaneSocket): void {
    const newcomer = this[NEWCOMER]
    if (newcomer !== undefined) newcomer.#release()
  }

  onDue(): void {
    this.#fail(Object.assign(new Error('Request timeout'), { code: 'ERR_HTTP_REQUEST_TIMEOUT' }))
  }

  /** Nothing of this stays with the socket. */
  #release(): void {
    const socket = this.#socket
    this.#lane.wheel.cancel(this)
    ;(socket as LaneSocket)[NEWCOMER] = undefined
    socket.off('data', Newcomer.#onData)
    socket.off('error', Newcomer.#onError)
    socket.off('close', Newcomer.#onClose)
    socket.allowHalfOpen = true
  }

  #receive(chunk: Buffer): void {
    this.#release()
    const { server } = this.#lane
    // Where nobody listens for upgrades, HTTP takes them for ordinary requests.
    const head = server.listenerCount('upgrade') > 0 ? parseUpgradeHead(chunk, LIMIT) : undefined
    if (head === undefined) this.#giveToHttp(chunk)
    else this.#upgrade(head, chunk)
  }

  #upgrade(head: UpgradeHead, chunk: Buffer): void {
    const socket = this.#socket
    // As HTTP leaves it: what comes now waits for who listens first, even if that is later.
    ;(socket as { readableFlowing: boolean | null }).readableFlowing = null
    const rest = head.end === chunk.length ? nothing : chunk.subarray(head.end)
    this.#lane.server.emit('upgrade', new UpgradeRequest(socket, head), socket, rest)
  }

  #giveToHttp(chunk: Buffer): void {
    const socket = this.#socket
    const { server, http } = this.#lane
    if (socket.listenerCount('data') + socket.listenerCount('readable') > 0) return this.#giveBeside(chunk)
    // HTTP takes it from the socket in the next tick, before anything from the network.
    socket.pause()
    socket.unshift(chunk)
    http.call(server, socket)
    socket.resume()
  }

  /** Others read from the socket too: they see the chunk, so it is not put back, but given to the listeners that HTTP adds. */
  #giveBeside(chunk: Buffer): void {
    const socket = this.#socket
    const others = new Set(socket.listeners('data'))
    this.#lane.http.call(this.#lane.server, socket)
    const added = socket.listeners('data').filter((listener) => !others.has(listener))
    // HTTP reads past the socket, and so past those who listen already, until it sees another one come.
    socket.on('data', ignore)
    socket.off('data', ignore)
    for (const listener of added) listener.call(socket, chunk)
  }

  /** As HTTP deals with what goes wrong before a request. */
  #fail(error: Error): void {
    const socket = this.#socket
    this.#release()
    socket.on('error', ignore)
    if (this.#lane.server.emit('clientError', error, socket)) return
    if (socket.writable) socket.write(TIMED_OUT)
    socket.destroy(error)
  }
}

/** Milliseconds until a client has to have said something; 0 = no limit. Both of the server's times begin with the connection. */
function patienceOf({ headersTimeout, requestTimeout }: HttpServer): number {
  if (headersTimeout > 0 && requestTimeout > 0) return Math.min(headersTimeout, requestTimeout)
  return headersTimeout || requestTimeout
}

function ignore(): void {}
