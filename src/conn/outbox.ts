import type { Duplex } from 'node:stream'
import type { Output } from '../protocol/output.ts'
import { abortable } from './abortable.ts'

/** Above this many waiting bytes there is no room. */
const HIGH_MARK = 64 * 1024

/** More is written in several steps, so that progress on a slow connection can be seen. A little more than is pumped. */
const LARGEST_WRITE = 528 * 1024

/** Whom an outbox tells of its stream. */
export interface OutboxOwner {
  /** The stream takes more. */
  onWritable(): void
}

interface Waiter {
  readonly resolve: () => void
  readonly reject: (error: Error) => void
  /** What it waits behind, beside what is in the outbox. */
  readonly queued: () => number
}

/**
 * Moves a connection's output into its stream, one write at a time. While the stream has not taken a write, what is
 * sent waits in the output, joined, where a message costs its bytes and no more; the stream's own queue would keep
 * an entry for each.
 */
export class Outbox {
  readonly #stream: Duplex
  readonly #output: Output
  readonly #owner: OutboxOwner
  /** Whether the kernel has taken what a finished write held, so that its memory can serve again. */
  readonly #recycles: boolean
  readonly #highMark: number
  #waiters: Set<Waiter> | undefined
  /** Made for the first write: many connections have nothing to say. */
  #whenWritten: ((error?: Error | null) => void) | undefined
  /** Bytes given to the stream. */
  written = 0
  /** Bytes that wait for their turn before they come here. */
  queued = 0
  /** The stream ended before all was written. */
  lost = false

  /** @param maxSendBuffer - who waits for room must not come upon this limit */
  constructor(
    stream: Duplex,
    output: Output,
    owner: OutboxOwner,
    recycles: boolean,
    maxSendBuffer: number = HIGH_MARK,
  ) {
    this.#highMark = Math.min(HIGH_MARK, maxSendBuffer)
    this.#stream = stream
    this.#output = output
    this.#owner = owner
    this.#recycles = recycles
  }

  /** Bytes that wait to leave. */
  get waiting(): number {
    return this.#output.pending + this.#stream.writableLength
  }

  /** Bytes that have left. */
  get left(): number {
    return this.written - this.#stream.writableLength
  }

  /** Whether more can be sent before it is time to wait. */
  get hasRoom(): boolean {
    return this.#hasRoomBehind(this.queued)
  }

  /**
   * Writes what is pending, unless a write is still under way.
   *
   * @throws Error when a payload that was given by reference has gone
   */
  flush(): void {
    const stream = this.#stream
    const output = this.#output
    while (output.pending > 0 && !output.held) {
      // The stream may have ended under us: then there is nobody left to write to.
      const ended = stream.destroyed || stream.writableEnded
      try {
        const bytes = output.take(ended ? undefined : LARGEST_WRITE)
        if (ended) this.lost = true
        else this.#write(bytes)
      } catch (error) {
        output.recycle(false)
        throw error
      }
      output.held = !ended && stream.writableLength > 0
      output.recycle(!output.held && this.#recycles)
    }
  }

  /**
   * Resolves when there is room.
   *
   * @param queued - how many of the bytes that wait for their turn count; by default all of them
   */
  async drained(signal?: AbortSignal, queued: () => number = () => this.queued): Promise<void> {
    signal?.throwIfAborted()
    if (this.#hasRoomBehind(queued())) return
    let waiter: Waiter | undefined
    const room = new Promise<void>((resolve, reject) => {
      waiter = { resolve, reject, queued }
      this.#waiters ??= new Set()
      this.#waiters.add(waiter)
    })
    if (signal === undefined) return room
    return abortable(room, signal).finally(() => this.#waiters?.delete(waiter as Waiter))
  }

  /** There may be room for some who wait: less is ahead of them. */
  wake(): void {
    const waiters = this.#waiters
    if (waiters === undefined) return
    for (const waiter of waiters) {
      if (!this.#hasRoomBehind(waiter.queued())) continue
      waiters.delete(waiter)
      waiter.resolve()
    }
    if (waiters.size === 0) this.#waiters = undefined
  }

  /** There will be no room any more. */
  end(error: () => Error): void {
    const waiters = this.#waiters
    this.#waiters = undefined
    for (const { reject } of waiters ?? []) reject(error())
  }

  #hasRoomBehind(queued: number): boolean {
    return this.waiting + queued <= this.#highMark
  }

  #write(bytes: Uint8Array | Uint8Array[]): void {
    const stream = this.#stream
    this.#whenWritten ??= (error) => this.#onWritten(error)
    if (!Array.isArray(bytes)) {
      this.written += bytes.length
      stream.write(bytes, this.#whenWritten)
      return
    }
    const last = bytes.length - 1
    stream.cork()
    for (const [i, piece] of bytes.entries()) {
      this.written += piece.length
      stream.write(piece, i === last ? this.#whenWritten : undefined)
    }
    stream.uncork()
  }

  #onWritten(error: Error | null | undefined): void {
    if (error || this.#stream.writableLength > 0) return
    this.#output.held = false
    this.#owner.onWritable()
    // Who waits on a stream that is gone hears of the end.
    if (!this.#stream.destroyed) this.wake()
  }
}
