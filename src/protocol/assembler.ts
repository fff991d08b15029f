/** The first buffer of a fragmented message; later ones double. */
const FIRST_CAPACITY = 1024

const EMPTY = Buffer.alloc(0)

/**
 * Joins the pieces of one message as they come. What it holds grows with the bytes received, never with the bytes
 * announced, and a thousand tiny fragments cost no more than one large one: so their number needs no limit.
 */
export class Assembler {
  /** The message limit: the caller checks it, here it only bounds the growth. */
  max: number
  #buffer = EMPTY
  #length = 0

  constructor(max: number) {
    this.max = max
  }

  /** Bytes of the message so far. */
  get length(): number {
    return this.#length
  }

  append(chunk: Buffer, start: number, end: number): void {
    const length = this.#length + end - start
    if (length > this.#buffer.length) this.#grow(length)
    chunk.copy(this.#buffer, this.#length, start, end)
    this.#length = length
  }

  /** The whole message; the assembler starts anew and never touches these bytes again. */
  take(): Buffer {
    const message = this.#buffer.subarray(0, this.#length)
    this.#buffer = EMPTY
    this.#length = 0
    return message
  }

  #grow(length: number): void {
    const capacity = Math.min(
      Math.max(length, this.#buffer.length * 2, FIRST_CAPACITY),
      Math.max(this.max, length),
    )
    const grown = Buffer.allocUnsafeSlow(capacity)
    this.#buffer.copy(grown, 0, 0, this.#length)
    this.#buffer = grown
  }
}
