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

/** Flushes what there is to be flushed, turn by turn. */
export class Flusher {
  readonly #now: () => number
  #dirty: Flushable[] = []
  /** What one slice was too short for. */
  #row: Flushable[] = []
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
   * A message to many thousands is written in slices of 10 ms, between which the event loop goes round. What comes
   * meanwhile has a slice of its own, so that an answer to one need not wait for them, nor they for many such answers.
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
    const dirty = this.#dirty
    this.#dirty = []
    this.#slice(dirty)
    this.#slice(this.#row)
    for (const target of dirty) this.#row.push(target)
    if (this.#row.length + this.#dirty.length > 0) this.#schedule()
  }

  /** Flushes them, for no longer than a slice when they are many, and takes them off the list. */
  #slice(targets: Flushable[]): void {
    const end = targets.length > FLUSHES_PER_LOOK ? this.#now() + SLICE : 0
    let at = 0
    do {
      const stop = Math.min(at + FLUSHES_PER_LOOK, targets.length)
      while (at < stop) flush(targets[at++] as Flushable)
    } while (at < targets.length && this.#now() <= end)
    targets.splice(0, at)
  }
}

/** One that fails does not keep the others from their turn. */
function flush(target: Flushable): void {
  try {
    target.flush()
  } catch (error) {
    setImmediate(() => {
      throw error
    })
  }
}

const flusher: Flusher = new Flusher()

/** See {@link Flusher.soon}; of all connections of the process. */
export function flushSoon(target: Flushable): void {
  flusher.soon(target)
}
