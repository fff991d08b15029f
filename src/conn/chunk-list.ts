import { own } from './own.ts'

/** Smaller pieces are put together, so that a thousand tiny ones cost no more than one large one. */
const SMALL = 4 * 1024
/** The longest chunk of such pieces, and the first buffer for one; larger ones double. */
const JOINED = 16 * 1024
const FIRST_CAPACITY = 256

const EMPTY: Buffer = Buffer.alloc(0)

/** Bytes in order, in chunks of a size that no peer can make tiny. */
export class ChunkList {
  readonly #chunks: Uint8Array[] = []
  /** Where small pieces are put together. */
  #joined = EMPTY
  #joinedLength = 0
  /** Bytes in it. */
  bytes = 0

  /** Takes bytes over that nobody else will change. */
  push(bytes: Buffer, start: number, end: number): void {
    this.bytes += end - start
    if (end - start < SMALL) return this.#join(bytes, start, end)
    this.#seal()
    this.#chunks.push(own(bytes, start, end))
  }

  /** Takes the first chunk out; `undefined` when there is none. */
  shift(): Uint8Array | undefined {
    if (this.#chunks.length === 0) this.#seal()
    const chunk = this.#chunks.shift()
    this.bytes -= chunk?.length ?? 0
    return chunk
  }

  clear(): void {
    this.#chunks.length = this.bytes = this.#joinedLength = 0
    this.#joined = EMPTY
  }

  #join(bytes: Buffer, start: number, end: number): void {
    if (this.#joinedLength + end - start > JOINED) this.#seal()
    const length = this.#joinedLength + end - start
    if (length > this.#joined.length) this.#grow(length)
    bytes.copy(this.#joined, this.#joinedLength, start, end)
    this.#joinedLength = length
  }

  #grow(length: number): void {
    const grown = Buffer.allocUnsafeSlow(
      Math.min(JOINED, Math.max(length, this.#joined.length * 2, FIRST_CAPACITY)),
    )
    this.#joined.copy(grown, 0, 0, this.#joinedLength)
    this.#joined = grown
  }

  #seal(): void {
    if (this.#joinedLength === 0) return
    this.#chunks.push(this.#joined.subarray(0, this.#joinedLength))
    this.#joined = EMPTY
    this.#joinedLength = 0
  }
}
