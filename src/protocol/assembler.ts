import { applyMask, copyMasked, rotateKey } from '../wire/mask.ts'
import { TAKEN } from './frame-decoder.ts'

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
 * came in, masked as they came, and small ones are copied; once half of the message is there, all go where the whole
 * will be, and are unmasked on the way. So it takes at most about twice the bytes received, and about three times in the
 * moment when they are moved, whatever a header has promised and however they were cut.
 */
export class Assembler {
  /** The bytes so far, but for those in the buffer. */
  #pieces: Buffer[] = []
  /** The masking keys that are still to be applied to them; 0 = none. */
  #keys: number[] = []
  /** What is not kept is copied here. */
  #buffer = EMPTY
  #filled = 0
  /** The buffer holds all bytes so far, and has room for the others. */
  #whole = false
  #length = 0

  /** Bytes of the message so far. */
  get length(): number {
    return this.#length
  }

  /**
   * Takes the next piece. The chunk must not be changed from now on.
   *
   * @param key - the masking key that is still to be applied to it; 0 for none
   * @param total - how long the message will be; 0 while nobody knows
   */
  append(chunk: Buffer, start: number, end: number, key = 0, total = 0): void {
    const size = end - start
    this.#length += size
    if (!this.#whole && total > 0 && total <= 2 * this.#length) this.#join(total)
    if (!this.#whole && size >= KEPT_SIZE && size >= KEPT_SHARE * chunk.buffer.byteLength) {
      this.#seal()
      this.#pieces.push(chunk.subarray(start, end))
      this.#keys.push(key)
      return
    }
    while (start < end) {
      if (this.#filled === this.#buffer.length) this.#grow(end - start)
      const count = Math.min(end - start, this.#buffer.length - this.#filled)
      copyMasked(chunk, start, start + count, key, this.#buffer, this.#filled)
      key = rotateKey(key, count)
      this.#filled += count
      start += count
    }
  }

  /**
   * The whole message; the assembler starts anew and never touches these bytes again.
   *
   * @throws Error when the buffer of a part has been transferred, as {@link append} does
   */
  take(): Buffer {
    const message = this.#only() ?? this.#joined()
    this.#buffer = EMPTY
    this.#filled = this.#length = 0
    this.#whole = false
    return message
  }

  /** The only piece, if there is just one. */
  #only(): Buffer | undefined {
    if (this.#pieces.length !== 1 || this.#filled > 0) return undefined
    const piece = this.#pieces.pop() as Buffer
    if (piece.length === 0) throw new Error(TAKEN)
    const key = this.#keys.pop() as number
    if (key !== 0) applyMask(piece, 0, piece.length, key)
    return piece
  }

  #joined(): Buffer {
    if (this.#pieces.length > 0) this.#join(this.#length)
    return this.#buffer.subarray(0, this.#filled)
  }

  #join(total: number): void {
    this.#seal()
    const pieces = this.#pieces
    const keys = this.#keys
    this.#pieces = []
    this.#keys = []
    this.#buffer = Buffer.allocUnsafe(total)
    this.#whole = true
    for (const [i, piece] of pieces.entries()) {
      if (piece.length === 0) throw new Error(TAKEN)
      copyMasked(piece, 0, piece.length, keys[i] as number, this.#buffer, this.#filled)
      this.#filled += piece.length
    }
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
    if (this.#filled > 0) {
      this.#pieces.push(this.#buffer.subarray(0, this.#filled))
      this.#keys.push(0)
    }
    this.#buffer = EMPTY
    this.#filled = 0
  }
}
