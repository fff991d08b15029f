import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { reject } from './reject.ts'

/** A listener for the `'upgrade'` event of a `node:http` or `node:https` server. */
export type UpgradeListener = (request: IncomingMessage, socket: Duplex, head: Buffer) => void

/** The part of a server that tells who else listens. */
interface Emitter {
  listeners(event: string): unknown[]
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

/**
 * This upgrader does not want the request. All listeners of a server get it in the same turn: if none of them has
 * taken it by then, and none is a stranger who may still be thinking, it is answered with 404. Without an emitter
 * the upgrader was called by hand: then there is nobody but the caller to take it, in the same turn too.
 */
export function leave(emitter: unknown, request: IncomingMessage, socket: Duplex): void {
  socket.on('error', ignore)
  if (hasStrangers(emitter)) return
  process.nextTick(() => {
    if (claim(request)) reject(socket, 404)
  })
}

function hasStrangers(emitter: unknown): boolean {
  return isEmitter(emitter) && emitter.listeners('upgrade').some((listener) => !ours.has(listener as object))
}

function isEmitter(value: unknown): value is Emitter {
  return typeof (value as Emitter | undefined)?.listeners === 'function'
}

function ignore(): void {}
