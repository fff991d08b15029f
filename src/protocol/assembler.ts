/** The first buffer for small pieces; later ones double. */
const FIRST_CAPACITY = 1024

/** No buffer for small pieces grows beyond this: then it is full, and another one begins. */
const LARGEST_CAPACITY = 64 * 1024

/** Pieces of so many bytes are kept where they are, if they are nearly all of their chunk: that keeps little else alive. */
const KEPT_SIZE = 8 * 1024
const KEPT_SHARE = 15 / 16

const EMPTY = Buffer.alloc(0)

/**
 * Puts a fragmented message, or one that comes in several chunks, together. Large pieces stay in the chunk that they
 * came in until the message is complete, small ones are copied; so it takes at most about twice the bytes received, also
 * in the moment when all is joined, whatever a header has promised and however they were cut.
 */
export class Assembler {
  /** The bytes so far, but for those in the buffer. */
  #pieces: Buffer[] = []
  /** Small pieces are copied here. */
  #buffer = EMPTY
  #filled = 0
  #length = 0

  /** Bytes of the message so far. */
  get length(): number {
    return this.#length
  }

  /** Takes the next piece. The chunk must not be changed from now on. */
  append(chunk: Buffer, start: number, end: number): void {
    const size = end - start
    this.#length += size
    if (size >= KEPT_SIZE && size >= KEPT_SHARE * chunk.buffer.byteLength) {
      this.#seal()
      this.#pieces.push(chunk.subarray(start, end))
      return
    }
    while (start < end) {
      if (this.#filled === this.#buffer.length) this.#grow(end - start)
      const copied = chunk.copy(this.#buffer, this.#filled, start, end)
      this.#filled += copied
      start += copied
    }
  }

  /** The whole message; the assembler starts anew and never touches these bytes again. */
  take(): Buffer {
    this.#seal()
    const pieces = this.#pieces
    const length = this.#length
    this.#pieces = []
    this.#length = 0
    return pieces.length === 1 ? (pieces[0] as Buffer) : Buffer.concat(pieces, length)
  }

  #grow(missing: number): void {
    if (this.#buffer.length >= LARGEST_CAPACITY) this.#seal()
    const wanted = Math.max(this.#filled + missing, this.#buffer.length * 2, FIRST_CAPACITY)
    const grown = Buffer.allocUnsafeSlow(Math.min(wanted, LARGEST_CAPACITY))
    this.#buffer.copy(grown, 0, 0, this.#filled)
    this.#buffer = grown
  }

  /** What is in the buffer becomes a piece. */
  #seal(): void {
    if (this.#filled > 0) this.#pieces.push(this.#buffer.subarray(0, this.#filled))
    this.#buffer = EMPTY
    this.#filled = 0
  }
}
