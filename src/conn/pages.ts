import { markAsUntransferable } from 'node:worker_threads'

/** A longer piece has memory of its own. */
const SHORT = 2 * 1024
/** What a short piece keeps alive at most. */
const PAGE = 8 * 1024

/**
 * Cuts short buffers from pages, since memory of its own for each costs more than to fill it.
 *
 * `Buffer.from` and `Buffer.allocUnsafe` cut theirs from a pool that they share with the whole application. It has
 * pages of `Buffer.poolSize`, 64 KiB from Node 24 on: one short piece that waits would keep all of that alive, whatever
 * else was on the page and has gone. Here the pages are of 8 KiB, and nothing is on them but pieces of one kind.
 */
export class Pages {
  #page: Buffer = Buffer.alloc(0)
  #used = 0

  /** A buffer of this length; its contents are arbitrary. */
  cut(length: number): Buffer {
    if (length > SHORT) return Buffer.allocUnsafeSlow(length)
    if (this.#page.length - this.#used < length) {
      // Filled with zeros: who is given a piece can see the whole page.
      this.#page = Buffer.alloc(PAGE)
      this.#used = 0
      // Who gives one piece away would take the others along.
      markAsUntransferable(this.#page.buffer)
    }
    const start = this.#used
    // Each begins where numbers of 8 bytes may, as it would in Node's pool.
    this.#used = (start + length + 7) & ~7
    return this.#page.subarray(start, start + length)
  }
}
