import { own } from './own.ts'

/** Smaller pieces are put together, so that a thousand tiny ones cost no more than one large one. */
const SMALL = 4 * 1024
const JOINED = 16 * 1024

interface Waiter {
  readonly resolve: (chunk: Uint8Array | undefined) => void
  readonly reject: (error: unknown) => void
}

/** Bytes on their way from who receives them to who reads them, in chunks. */
export class ChunkQueue {
  /** Called whenever there is less in it. */
  readonly #onTaken: () => void
  readonly #chunks: Uint8Array[] = []
  readonly #waiters: Waiter[] = []
  /** Where small pieces are put together. */
  #joined: Buffer | undefined
  #joinedLength = 0
  /** Bytes that wait. */
  bytes = 0
  #ended = false
  #failure: { readonly error: unknown } | undefined
  /** Nobody will read any more. */
  cancelled = false

  constructor(onTaken: () => void = () => {}) {
    this.#onTaken = onTaken
  }

  /** Takes bytes over that nobody else will change. */
  push(bytes: Buffer, start: number, end: number): void {
    if (this.cancelled || start === end) return
    const waiter = this.#waiters.shift()
    if (waiter !== undefined) return waiter.resolve(own(bytes, start, end))
    this.bytes += end - start
    if (end - start < SMALL) return this.#join(bytes, start, end)
    this.#seal()
    this.#chunks.push(own(bytes, start, end))
  }

  /** No more will come. */
  end(): void {
    this.#ended = true
    for (const waiter of this.#waiters.splice(0)) waiter.resolve(undefined)
  }

  /** No more will come, since something went wrong: told behind what waits. */
  fail(error: unknown): void {
    if (this.#ended) return
    this.#failure = { error }
    for (const waiter of this.#waiters.splice(0)) waiter.reject(error)
  }

  /** The next chunk; `undefined` at the end. */
  async take(): Promise<Uint8Array | undefined> {
    if (this.#chunks.length === 0) this.#seal()
    const chunk = this.#chunks.shift()
    if (chunk !== undefined) {
      this.bytes -= chunk.length
      this.#onTaken()
      return chunk
    }
    if (this.#ended || this.cancelled) return undefined
    if (this.#failure !== undefined) throw this.#failure.error
    return new Promise((resolve, reject) => {
      this.#waiters.push({ resolve, reject })
    })
  }

  /** Drops what waits, and what will come. */
  cancel(): void {
    this.cancelled = true
    this.#chunks.length = this.bytes = this.#joinedLength = 0
    this.#joined = undefined
    for (const waiter of this.#waiters.splice(0)) waiter.resolve(undefined)
    this.#onTaken()
  }

  #join(bytes: Buffer, start: number, end: number): void {
    if (this.#joined !== undefined && this.#joined.length - this.#joinedLength < end - start) this.#seal()
    this.#joined ??= Buffer.allocUnsafeSlow(JOINED)
    this.#joinedLength += bytes.copy(this.#joined, this.#joinedLength, start, end)
  }

  #seal(): void {
    if (this.#joined === undefined || this.#joinedLength === 0) return
    this.#chunks.push(this.#joined.subarray(0, this.#joinedLength))
    this.#joined = undefined
    this.#joinedLength = 0
  }
}
