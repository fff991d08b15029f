import { Duplex } from 'node:stream'
import { setImmediate } from 'node:timers'
import type { FakeClock } from './fake-clock.ts'

/** How the wire between two {@link MemorySocket}s behaves. */
export interface WireOptions {
  readonly clock: FakeClock
  /** Milliseconds from one end to the other. */
  readonly latency: number
  /** The most bytes that one read gives. */
  readonly chunkSize: number
  /** Bytes that the wire holds each way, as the kernels' buffers do; what is written above waits. */
  readonly capacity: number
}

/** Bytes that an end takes before it is read, whatever the runtime's default. */
const HIGH_MARK = 16 * 1024

/** Bytes on their way; `end` is the end of the stream, `reset` that of the connection. */
interface Parcel {
  bytes: Buffer | 'end' | 'reset'
  readonly due: number
}

/** One end of a connection that has no network under it. Like a TCP socket, it may end each half on its own. */
export class MemorySocket extends Duplex {
  /** As a `net.Socket` has it: requests are asked for it. */
  readonly remoteAddress: string
  readonly #incoming: Lane
  readonly #outgoing: Lane

  constructor(incoming: Lane, outgoing: Lane, remoteAddress: string) {
    super({ allowHalfOpen: true, highWaterMark: HIGH_MARK })
    this.remoteAddress = remoteAddress
    this.#incoming = incoming
    this.#outgoing = outgoing
    incoming.receiver = this
  }

  /** Stops reading, or goes on: what the other end sends then waits on the wire. */
  get stalled(): boolean {
    return this.#incoming.stalled
  }

  set stalled(stalled: boolean) {
    this.#incoming.stalled = stalled
    this.#incoming.next()
  }

  override _read(): void {
    this.#incoming.wanted = true
    this.#incoming.next()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, taken: () => void): void {
    this.#outgoing.send(Buffer.from(chunk), taken)
  }

  override _writev(chunks: { readonly chunk: Buffer }[], taken: () => void): void {
    this.#outgoing.send(Buffer.concat(chunks.map(({ chunk }) => chunk)), taken)
  }

  override _final(done: () => void): void {
    this.#outgoing.add('end')
    done()
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    // As the kernel does it: who hangs up on bytes that nobody has read resets the connection.
    const unread = this.#incoming.size > 0 || this.readableLength > 0
    this.#incoming.close()
    if (unread) this.#outgoing.reset()
    else if (!this.writableFinished) this.#outgoing.hangUp()
    done(error)
  }
}

/** One direction of a wire: what goes in at one end comes out at the other, in order. */
class Lane {
  receiver: MemorySocket | undefined
  /** The lane of the other direction. */
  opposite: Lane | undefined
  /** The receiver asks for bytes. */
  wanted = false
  /** The receiver does not read. */
  stalled = false
  /** Bytes on the way. */
  size = 0
  readonly #options: WireOptions
  #parcels: Parcel[] = []
  /** Tells the writer whose bytes did not fit that they do. */
  #taken: (() => void) | undefined
  #scheduled = false
  #cancel: (() => void) | undefined
  #cut = false
  #closed = false

  constructor(options: WireOptions) {
    this.#options = options
  }

  send(bytes: Buffer, taken: () => void): void {
    this.add(bytes)
    if (this.size <= this.#options.capacity) taken()
    else this.#taken = taken
  }

  add(bytes: Parcel['bytes']): void {
    const { clock, latency } = this.#options
    if (this.#closed) {
      // Nobody is there: who still sends is told so.
      if (bytes instanceof Buffer) this.opposite?.add('reset')
      return
    }
    if (bytes instanceof Buffer) this.size += bytes.length
    this.#parcels.push({ bytes, due: clock.now() + latency })
    clock.stir()
    this.next()
  }

  /** The sender is gone: what has not found room on the wire is lost. */
  hangUp(): void {
    this.#taken = undefined
    for (let excess = this.size - this.#options.capacity; excess > 0; ) {
      const last = this.#parcels.pop() as Parcel & { bytes: Buffer }
      const rest = last.bytes.subarray(0, Math.max(0, last.bytes.length - excess))
      excess -= last.bytes.length - rest.length
      this.size -= last.bytes.length - rest.length
      if (rest.length > 0) this.#parcels.push({ ...last, bytes: rest })
    }
    this.add('end')
  }

  /** The connection is reset: what was on the way is lost. */
  reset(): void {
    if (this.#cut || this.#closed) return
    this.#parcels = []
    this.size = 0
    this.add('reset')
  }

  /** Nothing comes through any more, and nobody is told. */
  cut(): void {
    this.#cut = true
    this.#cancel?.()
  }

  /** The receiver is gone. */
  close(): void {
    this.#closed = true
    this.#cancel?.()
    this.#parcels = []
    this.size = 0
    this.#accept()
  }

  /** Sees to it that what is there is delivered when its time has come: each read in a turn of its own. */
  next(): void {
    const first = this.#parcels[0]
    if (first === undefined || this.#scheduled || this.#cut || this.#closed) return
    // A reset is heard by who does not read, too.
    if (first.bytes !== 'reset' && (this.stalled || !this.wanted)) return
    this.#scheduled = true
    const { clock } = this.#options
    const wait = first.due - clock.now()
    if (wait <= 0) setImmediate(() => this.#deliver())
    else this.#cancel = clock.after(wait, () => this.#deliver())
  }

  #deliver(): void {
    this.#scheduled = false
    const first = this.#parcels[0]
    const { clock } = this.#options
    if (first === undefined || this.#cut || this.#closed) return
    // Much may have changed since: it is stalled, or what was on the way gave place to a reset.
    if (first.due > clock.now() || (this.stalled && first.bytes !== 'reset')) return this.next()
    clock.stir()
    this.wanted = false
    if (first.bytes === 'reset') {
      this.receiver?.destroy(Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' }))
      return
    }
    if (first.bytes === 'end') {
      this.#parcels.shift()
      this.receiver?.push(null)
    } else {
      this.receiver?.push(this.#read())
      if (this.size <= this.#options.capacity) this.#accept()
    }
    this.next()
  }

  /** What one read gives: all that has come, at most as much as a chunk may be. */
  #read(): Buffer {
    const now = this.#options.clock.now()
    const pieces: Buffer[] = []
    let room = this.#options.chunkSize
    for (let parcel = this.#parcels[0]; parcel !== undefined && room > 0; parcel = this.#parcels[0]) {
      const { bytes } = parcel
      if (!(bytes instanceof Buffer) || parcel.due > now) break
      pieces.push(bytes.subarray(0, room))
      if (bytes.length <= room) this.#parcels.shift()
      else parcel.bytes = bytes.subarray(room)
      room -= Math.min(room, bytes.length)
    }
    const chunk = pieces.length === 1 ? (pieces[0] as Buffer) : Buffer.concat(pieces)
    this.size -= chunk.length
    return chunk
  }

  #accept(): void {
    const taken = this.#taken
    this.#taken = undefined
    taken?.()
  }
}

/** Two sockets that are connected, and what happens to the wire between them. */
export interface MemoryWire {
  readonly client: MemorySocket
  readonly server: MemorySocket
  /** Nothing comes through any more, either way, and neither end is told. */
  cut(): void
  /** Both ends find the connection reset. */
  reset(): void
}

/** Two sockets that are connected. */
export function memoryWire(options: WireOptions): MemoryWire {
  const up = new Lane(options)
  const down = new Lane(options)
  up.opposite = down
  down.opposite = up
  return {
    client: new MemorySocket(down, up, '127.0.0.1'),
    server: new MemorySocket(up, down, '127.0.0.1'),
    cut() {
      for (const lane of [up, down]) lane.cut()
    },
    reset() {
      for (const lane of [up, down]) lane.reset()
    },
  }
}
