import { ChunkList } from './chunk-list.ts'
import { own } from './own.ts'

interface Waiter {
  readonly resolve: (chunk: Uint8Array | undefined) => void
  readonly reject: (error: unknown) => void
}

/** Bytes on their way from who receives them to who reads them, in chunks. */
export class ChunkQueue {
  /** Called whenever there is less in it. */
  readonly #onTaken: () => void
  readonly #chunks = new ChunkList()
  readonly #waiters: Waiter[] = []
  #ended = false
  #failure: { readonly error: unknown } | undefined
  #cancelled: { readonly reason: unknown } | undefined

  constructor(onTaken: () => void = () => {}) {
    this.#onTaken = onTaken
  }

  /** Whether the rest was dropped. */
  get cancelled(): boolean {
    return this.#cancelled !== undefined
  }

  /** Bytes that wait. */
  get bytes(): number {
    return this.#chunks.bytes
  }

  /** Takes bytes over that nobody else will change. */
  push(bytes: Buffer, start: number, end: number): void {
    if (this.cancelled || start === end) return
    const waiter = this.#waiters.shift()
    if (waiter !== undefined) return waiter.resolve(own(bytes, start, end))
    this.#chunks.push(bytes, start, end)
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
    const chunk = this.#chunks.shift()
    if (chunk !== undefined) {
      this.#onTaken()
      return chunk
    }
    if (this.#cancelled !== undefined) throw this.#cancelled.reason
    if (this.#ended) return undefined
    if (this.#failure !== undefined) throw this.#failure.error
    return new Promise((resolve, reject) => {
      this.#waiters.push({ resolve, reject })
    })
  }

  /** Drops what waits, and what will come. Whoever reads gets the reason, lest what was read look whole. */
  cancel(reason: unknown): void {
    this.#cancelled ??= { reason }
    this.#chunks.clear()
    for (const waiter of this.#waiters.splice(0)) waiter.reject(this.#cancelled.reason)
    this.#onTaken()
  }
}
