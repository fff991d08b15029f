import { performance } from 'node:perf_hooks'
// Not the global one, which fake timers replace: sending must go on under them.
import { setImmediate } from 'node:timers'

/** Something with output to be written once in this turn of the event loop. */
export interface Flushable {
  flush(): void
}

/** Milliseconds after which a long row of flushes lets others have their turn. */
const SLICE = 10
/** To ask for the time costs little, but not nothing. */
const FLUSHES_PER_LOOK = 32
/** So many that come meanwhile are taken between two slices. */
const FEW = 32

/** Flushes what there is to be flushed, turn by turn. */
export class Flusher {
  readonly #now: () => number
  #dirty: Flushable[] = []
  /** What is being flushed, and how far that has come. */
  #row: Flushable[] = []
  #at = 0
  #scheduled = false

  /** @param now - a clock in milliseconds */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now
  }

  /**
   * Flushes `target` at the end of this turn of the event loop. All that a turn sends on a connection leaves in one
   * write; and because every socket that was readable in the turn is read before, messages of many publishers to one
   * subscriber join too, which a microtask or `nextTick` would not reach.
   *
   * A message to many thousands is written in slices of 10 ms, between which the event loop goes round.
   */
  soon(target: Flushable): void {
    this.#dirty.push(target)
    this.#schedule()
  }

  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    setImmediate(() => this.#flush())
  }

  #flush(): void {
    this.#scheduled = false
    if (this.#at === this.#row.length) {
      this.#row = this.#dirty
      this.#dirty = []
      this.#at = 0
    } else if (this.#dirty.length <= FEW) {
      // An answer to one need not wait for a message to thousands. Nobody is in both: who waits in the row is not put behind it.
      this.#row.splice(0, this.#at, ...this.#dirty)
      this.#dirty = []
      this.#at = 0
    }
    const end = this.#row.length > FLUSHES_PER_LOOK ? this.#now() + SLICE : 0
    try {
      while (this.#at < this.#row.length) {
        this.#row[this.#at++]?.flush()
        if (this.#at % FLUSHES_PER_LOOK === 0 && this.#now() > end) break
      }
    } finally {
      if (this.#at < this.#row.length) this.#schedule()
      else {
        // It keeps nothing alive.
        this.#row = []
        this.#at = 0
        if (this.#dirty.length > 0) this.#schedule()
      }
    }
  }
}

const flusher: Flusher = new Flusher()

/** See {@link Flusher.soon}; of all connections of the process. */
export function flushSoon(target: Flushable): void {
  flusher.soon(target)
}
