import { type IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { setImmediate } from 'node:timers'
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

/** The listeners of this library. */
const ours = new WeakSet<object>()
/** Requests that an upgrader has taken, or that are to be answered by the last resort. */
const settled = new WeakSet<IncomingMessage>()

/** Marks a listener as one that leaves what is not its own. */
export function register(listener: object): void {
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
 * listen, who may still be thinking, that happens later, and only when none of them has touched the socket.
 *
 * @param self - what the upgrader was called on: the server, unless a listener of the application's called it by hand.
 * Then that is one of the strangers, and there is to be another for anybody to be waited for.
 */
export function leave(
  self: unknown,
  request: IncomingMessage,
  socket: Duplex,
  wheel: TimerWheel = processWheel,
): void {
  const byHand = !isEmitter(self)
  const emitter = emitterOf(self, socket)
  const patient = countStrangers(emitter) > (byHand ? 1 : 0)
  const seen = socket.listeners('error').includes(ignore)
  // Each upgrader of a server comes by here, and the first sees to the rest. But to a call by hand that has nobody to
  // wait for, the stranger that an upgrader before waits for is its own caller.
  if (seen && (patient || !byHand)) return
  if (!seen) socket.on('error', ignore)
  const touched = touchTest(socket, patient ? [] : socket.listeners('error'))
  const settle = (): void => {
    if (!touched()) answerUnclaimed(emitter, request, socket)
  }
  if (!patient) process.nextTick(settle)
  // That somebody thinks for long about another protocol than WebSocket is less likely than that nobody speaks it.
  else if (!namesWebSocket(request)) setImmediate(settle)
  else new StrangerWatch(socket, settle, wheel)
}

/**
 * Whether a request is for HTTP itself: it offers another protocol than WebSocket, as curl and Java's client offer
 * `h2c` with ordinary requests, and the server has somebody to answer those.
 */
export function isForHttp(self: unknown, request: IncomingMessage, socket: Duplex): boolean {
  return !namesWebSocket(request) && answersHttp(emitterOf(self, socket))
}

function answerUnclaimed(emitter: unknown, request: IncomingMessage, socket: Duplex): void {
  if (!claim(request)) return
  if (isAnswering(socket)) socket.destroy()
  else if (namesWebSocket(request) || !answersHttp(emitter)) reject(socket, 404)
  else giveBack(emitter as Emitter, request, socket)
}

/** Waits whether a stranger takes a request. A socket that nobody reads from would stay for ever. */
class StrangerWatch implements WheelEntry {
  wheelNext: WheelEntry | undefined = undefined
  wheelPrevious: WheelEntry | undefined = undefined
  wheelDue = 0

  readonly #settle: () => void

  constructor(socket: Duplex, settle: () => void, wheel: TimerWheel) {
    this.#settle = settle
    wheel.schedule(this, STRANGER_PATIENCE)
    socket.once('close', () => wheel.cancel(this))
  }

  onDue(): void {
    this.#settle()
  }
}

/**
 * Tells whether somebody has had to do with a socket.
 *
 * @param known - listeners for errors that say nothing
 */
function touchTest(socket: Duplex, known: readonly unknown[]): () => boolean {
  // What earlier answers on the connection took.
  const written = bytesWritten(socket)
  return () =>
    !socket.writable ||
    bytesWritten(socket) !== written ||
    socket.listenerCount('data') > 0 ||
    socket.listenerCount('readable') > 0 ||
    // Whoever waits for something before it answers listens for errors, or a reset would end the process.
    socket
      .listeners('error')
      .some((listener) => listener !== ignore && !isNodes(listener) && !known.includes(listener))
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
 * Node takes every request that names an upgrade for one, once somebody listens for upgrades. A server that does not
 * speak what is offered is to answer as if it had not been (RFC 9110 section 7.8). The connection ends with the answer,
 * as its HTTP parser is gone; and with that what would read a body.
 */
function giveBack(emitter: Emitter, request: IncomingMessage, socket: Duplex): void {
  const { 'content-length': length, 'transfer-encoding': encoding } = request.headers
  if ((length !== undefined && length !== '0') || encoding !== undefined) {
    const body =
      'No upgrade but to WebSocket here: send a request that has a body without the Upgrade header.\n'
    return reject(socket, 501, { body })
  }
  const response = new ServerResponse(request)
  response.shouldKeepAlive = false
  response.assignSocket(socket as Socket)
  // What the HTTP server does for its responses, and has stopped doing for this socket.
  socket.on('drain', () => response.emit('drain'))
  socket.once('end', () => {
    if (!response.writableEnded) socket.destroy()
  })
  response.once('finish', () => (socket as Socket).destroySoon())
  socket.resume()
  // Not where we were called: what a listener throws is the application's affair alone.
  process.nextTick(() => emitter.emit('request', request, response))
}

function namesWebSocket({ headers }: IncomingMessage): boolean {
  return listHasToken(headers.upgrade, 'websocket')
}

/** Whether a server has listeners for requests, beside that of this library, which only says that it has none. */
function answersHttp(emitter: unknown): boolean {
  return isEmitter(emitter) && emitter.listeners('request').some((listener) => !ours.has(listener as object))
}

function countStrangers(emitter: unknown): number {
  if (!isEmitter(emitter)) return 0
  return emitter.listeners('upgrade').filter((listener) => !ours.has(listener as object)).length
}

/** The server that a listener was called on, or else the one that Node's sockets know. */
function emitterOf(self: unknown, socket: Duplex): unknown {
  return isEmitter(self) ? self : (socket as { readonly server?: unknown }).server
}

function isEmitter(value: unknown): value is Emitter {
  return typeof (value as Emitter | undefined)?.listeners === 'function'
}

function ignore(): void {}
