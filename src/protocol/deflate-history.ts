const EMPTY: Buffer = Buffer.alloc(0)

/** The first buffer; later ones double. */
const FIRST_CAPACITY = 512

/**
 * The last bytes of what has passed in one direction: what the next message may refer back to when the context is
 * taken over (RFC 7692 section 7.1.1). What it holds grows with what has passed, up to the window.
 */
export class DeflateHistory {
  readonly #size: number
  #buffer = EMPTY
  #length = 0

  /** @param size - the LZ77 window in bytes */
  constructor(size: number) {
    this.#size = size
  }

  /** The bytes, oldest first: a view, valid until the next call. */
  get bytes(): Buffer {
    return this.#buffer.subarray(0, this.#length)
  }

  append(message: Uint8Array): void {
    const added = message.subarray(Math.max(0, message.length - this.#size))
    const kept = Math.min(this.#length, this.#size - added.length)
    this.#keep(kept, kept + added.length)
    this.#buffer.set(added, kept)
    this.#length = kept + added.length
  }

  clear(): void {
    this.#buffer = EMPTY
    this.#length = 0
  }

  /** Moves the last `kept` bytes to the front of a buffer with room for `length`. */
  #keep(kept: number, length: number): void {
    const old = this.#buffer
    if (length > old.length) {
      const capacity = Math.min(this.#size, Math.max(length, old.length * 2, FIRST_CAPACITY))
      // Not from the pool: a few bytes would keep one of its slabs alive for as long as the connection lasts.
      this.#buffer = Buffer.allocUnsafeSlow(capacity)
    }
    old.copy(this.#buffer, 0, this.#length - kept, this.#length)
  }
}
