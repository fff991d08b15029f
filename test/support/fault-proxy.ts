// A network that fails, between a client and a server on this machine. It never changes a byte: what comes through came
// so, in order. When and how it stops is up to the plan of each connection.

import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** Which way bytes go. */
export type Direction = 'toServer' | 'toClient'

/**
 * What may happen to a connection:
 *
 * - `reset`: both ends get an RST. `resetClient` and `resetServer`: one does, the other a FIN.
 * - `cut`: both ends get a FIN, and nothing is read any more.
 * - `end`: one direction ends with a FIN, the other goes on; what is still written to the first is swallowed.
 * - `stall`: nothing moves any more in one direction, or in both; for `for` milliseconds, or for ever. The ends are not told.
 * - `vanish`: bytes of both directions are taken and thrown away, for ever; not even the end of an end is passed on.
 */
export type FaultKind =
  | 'reset'
  | 'resetClient'
  | 'resetServer'
  | 'cut'
  | 'end'
  | 'stall'
  | 'stallBoth'
  | 'vanish'

/** One event in a connection's life. */
export interface Fault {
  readonly kind: FaultKind
  /** The direction that it concerns, and whose bytes are counted. */
  readonly direction: Direction
  /** It happens when this many bytes have passed in its direction; the byte behind does not pass before it. */
  readonly atByte?: number
  /** It happens so many milliseconds after the connection was made. */
  readonly atTime?: number
  /** How long a stall lasts, in milliseconds. Default: for ever. */
  readonly for?: number
}

/** How one direction carries bytes. */
export interface Carriage {
  /** Bytes are passed in pieces of at most so many, a turn of the event loop each. Default: as they come. */
  readonly pieces?: number
  /** Milliseconds that each piece takes. Default 0. */
  readonly delay?: number
  /**
   * When the end of one side is passed on: `inOrder` behind all its bytes (the default), `early` ahead of those that
   * have not been passed yet, which are lost; or so many milliseconds `late`.
   */
  readonly close?: 'inOrder' | 'early' | { readonly late: number }
}

/** What becomes of one connection. */
export interface FaultPlan {
  readonly toServer?: Carriage
  readonly toClient?: Carriage
  readonly faults?: readonly Fault[]
}

/** Beyond this many bytes in its hands a direction reads no more: a real network holds little. */
const MOST_HELD = 64 * 1024

/**
 * Ends a socket by an RST, and nothing before it. `resetAndDestroy` ends the writing first, so that a peer may see a FIN;
 * this is the flag that it sets for what comes behind.
 */
function reset(socket: Socket): void {
  if (socket.destroyed) return
  // libuv refuses a reset while it ends the writing, and before it connects; then the socket would be left.
  if (!socket.writableEnded && !socket.connecting) Object.assign(socket, { resetAndClosing: true })
  socket.destroy()
}

/** One direction of a connection. */
class Lane {
  readonly #source: Socket
  readonly #target: Socket
  readonly #carriage: Carriage
  readonly #faults: Fault[]
  readonly #happen: (fault: Fault) => void
  readonly #signal: AbortSignal
  #held: Buffer[] = []
  #heldBytes = 0
  #passed = 0
  #sourceEnded = false
  #stalled: Promise<unknown> | undefined
  #swallowing = false
  #wake: () => void = () => {}

  constructor(
    source: Socket,
    target: Socket,
    carriage: Carriage,
    faults: readonly Fault[],
    happen: (fault: Fault) => void,
    signal: AbortSignal,
  ) {
    this.#source = source
    this.#target = target
    this.#carriage = carriage
    this.#faults = faults
      .filter(({ atByte }) => atByte !== undefined)
      .sort((a, b) => (a.atByte ?? 0) - (b.atByte ?? 0))
    this.#happen = happen
    this.#signal = signal
    source.on('data', (chunk: Buffer) => this.#take(chunk))
    source.on('end', () => {
      this.#sourceEnded = true
      this.#wake()
    })
    target.on('drain', () => this.#wake())
    signal.addEventListener('abort', () => this.#wake(), { once: true })
    void this.#carry()
  }

  /** Nothing moves: for so long, or for ever. */
  stall(milliseconds: number | undefined): void {
    const stalled: Promise<unknown> = new Promise<void>((resolve) => {
      this.#signal.addEventListener('abort', () => resolve(), { once: true })
      if (milliseconds !== undefined) {
        sleep(milliseconds, undefined, { signal: this.#signal }).then(resolve, () => {})
      }
    }).then(() => {
      if (this.#stalled === stalled) this.#stalled = undefined
    })
    this.#stalled = stalled
  }

  /** Bytes are taken from now on, and thrown away. */
  swallow(): void {
    this.#swallowing = true
    this.#held = []
    this.#heldBytes = 0
    this.#source.resume()
    this.#wake()
  }

  #take(chunk: Buffer): void {
    if (this.#swallowing) return
    this.#held.push(chunk)
    this.#heldBytes += chunk.length
    if (this.#heldBytes >= MOST_HELD) this.#source.pause()
    this.#wake()
  }

  async #carry(): Promise<void> {
    const { delay = 0, pieces } = this.#carriage
    try {
      for (;;) {
        this.#fail()
        if (this.#stalled !== undefined) await this.#stalled
        if (this.#over()) return
        if (this.#sourceEnded && (this.#heldBytes === 0 || this.#carriage.close === 'early')) break
        if (this.#heldBytes === 0 || this.#target.writableNeedDrain) {
          await new Promise<void>((resolve) => {
            this.#wake = resolve
          })
          continue
        }
        if (delay > 0) await sleep(delay, undefined, { signal: this.#signal })
        // A turn of its own, so that the pieces do not become one segment again.
        else if (pieces !== undefined) await new Promise(setImmediate)
        // What has happened meanwhile comes first.
        if (this.#stalled !== undefined || this.#over()) continue
        this.#pass(this.#next(Math.min(pieces ?? MOST_HELD, this.#untilFault())))
      }
      const { close } = this.#carriage
      if (typeof close === 'object') await sleep(close.late, undefined, { signal: this.#signal })
      if (this.#stalled !== undefined) await this.#stalled
      if (!this.#over()) this.#target.end()
    } catch {
      // The connection is over: what waits is given up.
    }
  }

  #over(): boolean {
    return this.#signal.aborted || this.#swallowing || this.#target.destroyed
  }

  #untilFault(): number {
    return (this.#faults[0]?.atByte ?? Number.POSITIVE_INFINITY) - this.#passed
  }

  #fail(): void {
    while (this.#untilFault() <= 0) this.#happen(this.#faults.shift() as Fault)
  }

  #next(most: number): Buffer {
    const [first = Buffer.alloc(0), ...rest] = this.#held
    const piece = first.subarray(0, most)
    this.#held = piece.length < first.length ? [first.subarray(most), ...rest] : rest
    this.#heldBytes -= piece.length
    if (this.#heldBytes < MOST_HELD) this.#source.resume()
    return piece
  }

  #pass(piece: Buffer): void {
    this.#passed += piece.length
    this.#target.write(piece)
  }
}

/** One connection through the proxy. */
class Carried {
  readonly #client: Socket
  readonly #server: Socket
  readonly #lanes: Readonly<Record<Direction, Lane>>
  readonly #controller = new AbortController()
  readonly gone: Promise<unknown>
  #vanished = false

  constructor(client: Socket, port: number, plan: FaultPlan) {
    const server = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true })
    this.#client = client
    this.#server = server
    client.setNoDelay(true)
    const { signal } = this.#controller
    const { faults = [], toServer = {}, toClient = {} } = plan
    const of = (wanted: Direction): Fault[] => faults.filter(({ direction }) => direction === wanted)
    const happen = (fault: Fault): void => this.#happen(fault)
    this.#lanes = {
      toServer: new Lane(client, server, toServer, of('toServer'), happen, signal),
      toClient: new Lane(server, client, toClient, of('toClient'), happen, signal),
    }
    for (const fault of faults) {
      if (fault.atTime === undefined) continue
      sleep(fault.atTime, undefined, { signal }).then(
        () => happen(fault),
        () => {},
      )
    }
    const ended = [client, server].map(
      (socket) => new Promise((resolve) => socket.once('close', () => resolve(undefined))),
    )
    this.gone = Promise.all(ended).finally(() => this.#controller.abort())
    this.#watch(client, server)
    this.#watch(server, client)
  }

  /** Ends it at once, whatever state it is in. */
  drop(): void {
    this.#controller.abort()
    this.#client.destroy()
    this.#server.destroy()
  }

  /** The reset of one end resets the other, as far as anything still passes. */
  #watch(socket: Socket, other: Socket): void {
    let failed = false
    socket.on('error', () => {
      failed = true
    })
    socket.on('close', () => {
      if (this.#vanished || other.destroyed) return
      // The connect that failed is told as what it would have been: no connection.
      if (failed) reset(other)
    })
  }

  #happen({ kind, direction, for: milliseconds }: Fault): void {
    const client = this.#client
    const server = this.#server
    switch (kind) {
      case 'reset':
        reset(client)
        reset(server)
        return
      case 'resetClient':
        reset(client)
        server.destroy()
        return
      case 'resetServer':
        reset(server)
        client.destroy()
        return
      case 'cut':
        client.destroy()
        server.destroy()
        return
      case 'end':
        this.#lanes[direction].swallow()
        ;(direction === 'toServer' ? server : client).end()
        return
      case 'stall':
        this.#lanes[direction].stall(milliseconds)
        return
      case 'stallBoth':
        this.#lanes.toServer.stall(milliseconds)
        this.#lanes.toClient.stall(milliseconds)
        return
      case 'vanish':
        this.#vanished = true
        this.#lanes.toServer.swallow()
        this.#lanes.toClient.swallow()
    }
  }
}

/**
 * A TCP proxy on 127.0.0.1 that breaks connections as their plans say.
 *
 * An end that has closed its socket while the other is not told of it is waited for: disposing of the proxy ends all.
 */
export class FaultProxy implements AsyncDisposable {
  readonly #server: Server
  readonly #carried = new Set<Carried>()
  /** How many connections there have been. */
  accepted = 0

  private constructor(port: number, plan: (index: number) => FaultPlan) {
    this.#server = createServer({ allowHalfOpen: true }, (client) => {
      const carried = new Carried(client, port, plan(this.accepted++))
      this.#carried.add(carried)
      void carried.gone.then(() => this.#carried.delete(carried))
    })
  }

  /**
   * @param port - where the server listens
   * @param plan - what becomes of each connection, by its number
   */
  static async start(port: number, plan: (index: number) => FaultPlan): Promise<FaultProxy> {
    const proxy = new FaultProxy(port, plan)
    proxy.#server.listen(0, '127.0.0.1')
    await once(proxy.#server, 'listening')
    return proxy
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  get url(): string {
    return `ws://127.0.0.1:${this.port}/`
  }

  /** How many connections are carried now. */
  get open(): number {
    return this.#carried.size
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, 'close')
    this.#server.close()
    const all = [...this.#carried]
    for (const carried of all) carried.drop()
    await Promise.all([closed, ...all.map(({ gone }) => gone)])
  }
}
