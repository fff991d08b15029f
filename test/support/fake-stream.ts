import { Duplex } from 'node:stream'

/** How a {@link FakeStream} behaves. */
export interface FakeStreamOptions {
  /** Bytes above which it wants no more, each way. Default 16 KiB. */
  readonly highWaterMark?: number
}

/** A stream whose other end is the test: what was written to it is there to see, and goes on only when let. */
export class FakeStream extends Duplex {
  /** What each single write to the system below would hold. */
  readonly writes: Buffer[] = []
  /** Whether our half was ended. */
  ended = false
  #held = false
  #waiting: (() => void) | undefined

  constructor({ highWaterMark = 16 * 1024 }: FakeStreamOptions = {}) {
    super({ highWaterMark, allowHalfOpen: true })
  }

  /** All that was written, as one. */
  get written(): Buffer {
    return Buffer.concat(this.writes)
  }

  /** Takes no more than the write that comes next: the peer does not read. */
  hold(): void {
    this.#held = true
  }

  /** Takes the write that waits, and those behind it, unless `held` stays. */
  release(held = false): void {
    this.#held = held
    const waiting = this.#waiting
    this.#waiting = undefined
    waiting?.()
  }

  /** The peer ends its half. */
  endInput(): void {
    this.push(null)
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: () => void): void {
    this.#take(Buffer.from(chunk), callback)
  }

  override _writev(chunks: { chunk: Buffer }[], callback: () => void): void {
    this.#take(Buffer.concat(chunks.map(({ chunk }) => chunk)), callback)
  }

  override _final(callback: () => void): void {
    this.ended = true
    callback()
  }

  #take(bytes: Buffer, callback: () => void): void {
    this.writes.push(bytes)
    if (this.#held) this.#waiting = callback
    else callback()
  }
}
