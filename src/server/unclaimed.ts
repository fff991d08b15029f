import { type IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { processWheel, type TimerWheel, type WheelEntry } from '../conn/timer-wheel.ts'
import { listHasToken } from '../wire/header-grammar.ts'
import { reject } from './reject.ts'

/** A listener for the `'upgrade'` event of a `node:http` or `node:https` server. */
export type UpgradeListener = (request: IncomingMessage, socket: Duplex, head: Buffer) => void

/** The part of a server that tells who else listens. */
interface Emitter {
  listeners(event: string): unknown[]
  emit(event: string, ...args: unknown[]): boolean
}

/** The upgrade listeners of this library. */
const ours = new WeakSet<object>()
/** Requests that an upgrader has taken, or that are to be answered by the last resort. */
const settled = new WeakSet<IncomingMessage>()

/** Marks a listener as one that leaves what is not its own. */
export function register(listener: UpgradeListener): void {
  ours.add(listener)
}

/** This request has found its upgrader: whether it is the first one. Two on one socket would garble each other. */
export function claim(request: IncomingMessage): boolean {
  if (settled.has(request)) return false
  settled.add(request)
  return true
}

/** How long a stranger may think without a sign of interest, in milliseconds. */
export const STRANGER_PATIENCE = 10_000

/**
 * This upgrader does not want the request. All listeners of a server get it in the same turn: if none of them has
 * taken it by then, it is answered with 404, or given back to HTTP when it never was about WebSocket. Where strangers
 * listen, who may still be thinking, that happens later, and only when none of them has touched the socket. Without an
 * emitter the upgrader was called by hand: then there is nobody but the caller to take it, in the same turn too.
 */
export function leave(
  emitter: unknown,
  request: IncomingMessage,
  socket: Duplex,
  wheel: TimerWheel = processWheel,
): void {
  // Each upgrader of a server comes by here; the first sees to the rest.
  if (socket.listeners('error').includes(ignore)) return
  socket.on('error', ignore)
  if (hasStrangers(emitter)) new StrangerWatch(emitter, request, socket, wheel)
  else process.nextTick(() => answerUnclaimed(emitter, request, socket))
}

function answerUnclaimed(emitter: unknown, request: IncomingMessage, socket: Duplex): void {
  if (!claim(request)) return
  if (isAnswering(socket)) socket.destroy()
  else if (!giveBack(emitter, request, socket)) reject(socket, 404)
}

/** Waits whether a stranger takes a request. A socket that nobody reads from would stay for ever. */
class StrangerWatch implements WheelEntry {
  wheelNext: WheelEntry | undefined = undefined
  wheelPrevious: WheelEntry | undefined = undefined
  wheelDue = 0

  readonly #emitter: unknown
  readonly #request: IncomingMessage
  readonly #socket: Duplex
  /** What earlier answers on the connection took. */
  readonly #written: number

  constructor(emitter: unknown, request: IncomingMessage, socket: Duplex, wheel: TimerWheel) {
    this.#emitter = emitter
    this.#request = request
    this.#socket = socket
    this.#written = bytesWritten(socket)
    wheel.schedule(this, STRANGER_PATIENCE)
    socket.once('close', () => wheel.cancel(this))
  }

  onDue(): void {
    const socket = this.#socket
    // Whoever waits for something before it answers listens for errors, or a reset would end the process.
    const touched =
      !socket.writable ||
      bytesWritten(socket) !== this.#written ||
      socket.listeners('error').some((listener) => listener !== ignore && !isNodes(listener)) ||
      socket.listenerCount('data') > 0 ||
      socket.listenerCount('readable') > 0
    if (!touched) answerUnclaimed(this.#emitter, this.#request, socket)
  }
}

/** Node keeps one listener on a TLS socket. Were its name another, a stranger would be given all the time there is. */
function isNodes(listener: { readonly name: string }): boolean {
  return listener.name === 'onSocketTLSError'
}

function bytesWritten(socket: Duplex): number {
  return socket instanceof Socket ? socket.bytesWritten : 0
}

/**
 * Whether an earlier request on the connection has not been answered yet: a client may send the upgrade behind it at
 * once. Then nothing can be said in order any more. Node keeps the response there while it is being written; that is
 * no public API, so where it is missing this says no.
 */
export function isAnswering(socket: Duplex): boolean {
  return Boolean((socket as { readonly _httpMessage?: unknown })._httpMessage)
}

/**
 * Node takes every request that names an upgrade for one, once somebody listens for upgrades. But curl and Java's
 * client offer `h2c` with ordinary requests, and a server that does not speak that is to answer as if it had not been
 * offered (RFC 9110 section 7.8). The connection ends with the answer, as its HTTP parser is gone.
 */
function giveBack(emitter: unknown, request: IncomingMessage, socket: Duplex): boolean {
  if (!(socket instanceof Socket) || !isEmitter(emitter) || emitter.listeners('request').length === 0)
    return false
  const { upgrade, 'content-length': length, 'transfer-encoding': encoding } = request.headers
  if (listHasToken(upgrade, 'websocket') || length !== undefined || encoding !== undefined) return false
  const response = new ServerResponse(request)
  response.shouldKeepAlive = false
  response.assignSocket(socket)
  // What the HTTP server does for its responses, and has stopped doing for this socket.
  socket.on('drain', () => response.emit('drain'))
  socket.once('end', () => {
    if (!response.writableEnded) socket.destroy()
  })
  response.once('finish', () => socket.destroySoon())
  socket.resume()
  return emitter.emit('request', request, response)
}

function hasStrangers(emitter: unknown): boolean {
  return isEmitter(emitter) && emitter.listeners('upgrade').some((listener) => !ours.has(listener as object))
}

function isEmitter(value: unknown): value is Emitter {
  return typeof (value as Emitter | undefined)?.listeners === 'function'
}

function ignore(): void {}
