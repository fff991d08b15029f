import { setImmediate } from 'node:timers'
import type { Clock } from '../conn/timer-wheel.ts'
import { UsageError } from '../session/errors.ts'

interface Timer {
  due: number
  /** Milliseconds between calls; `undefined` is called once. */
  readonly every: number | undefined
  readonly call: () => void
}

/** So many turns of the event loop without a byte moving, and nothing is under way any more. */
const QUIET_TURNS = 3

/** The system's timers take what is longer for a millisecond: a test had better not see it work. */
const MAX_TIMEOUT = 2 ** 31 - 1

/** Two sides that answer each other for ever never come to rest: then time goes on all the same. */
const MOST_TURNS = 10_000

/**
 * Time that passes when the test says so. Only time is fake: promises, streams and `setImmediate` go their usual way,
 * and {@link FakeClock.advance} lets them, so leave these as they are when you mock timers beside it.
 *
 * @example
 * ```ts
 * import { FakeClock } from 'silverback/testing'
 *
 * const clock = new FakeClock()
 * const fired: number[] = []
 * clock.after(50, () => fired.push(clock.now()))
 * await clock.advance(49)
 * console.log(fired) // []
 * await clock.advance(1)
 * console.log(fired) // [ 50 ]
 * ```
 */
export class FakeClock implements Clock {
  #now = 0
  #moved = 0
  readonly #timers = new Set<Timer>()
  /** Ends when the calls of `advance` before have ended. */
  #turn: Promise<void> = Promise.resolve()

  /** Milliseconds that have passed since the clock was made. */
  now(): number {
    return this.#now
  }

  /** Timers that are running. */
  get pending(): number {
    return this.#timers.size
  }

  /**
   * Calls `callback` once, when so many milliseconds have passed. Returns what takes it back.
   *
   * @throws UsageError `ERR_WS_INVALID_ARGUMENT` for a time that is negative, no number, or longer than the system's
   * timers take: 2147483647
   */
  after(milliseconds: number, callback: () => void): () => void {
    checkTime('after', milliseconds, 0, MAX_TIMEOUT)
    return this.#start({ due: this.#now + milliseconds, every: undefined, call: callback })
  }

  /**
   * Calls `tick` each time that so many milliseconds have passed. Returns what ends it.
   *
   * @throws UsageError `ERR_WS_INVALID_ARGUMENT` for less than a millisecond, or more than the system's timers take
   */
  every(milliseconds: number, tick: () => void): () => void {
    checkTime('every', milliseconds, 1, MAX_TIMEOUT)
    return this.#start({ due: this.#now + milliseconds, every: milliseconds, call: tick })
  }

  /**
   * Lets time pass. What becomes due on the way is called at its time, in order, and before the next is called all
   * that it has set off comes to rest, as by {@link settle}. Calls wait for each other.
   *
   * @throws UsageError `ERR_WS_INVALID_ARGUMENT` for a time that is negative or no number; or what a callback throws
   */
  async advance(milliseconds: number): Promise<void> {
    checkTime('advance', milliseconds, 0)
    const pass = this.#turn.then(() => this.#advance(milliseconds))
    this.#turn = pass.catch(() => {})
    return pass
  }

  /**
   * Lets what is under way come to rest, without time passing: turns of the event loop, until no byte of a pair has
   * moved in three of them. Work of your own that waits for something else, such as a file, is not seen.
   */
  async settle(): Promise<void> {
    let seen = this.#moved
    for (let turn = 0, quiet = 0; turn < MOST_TURNS && quiet < QUIET_TURNS; turn++) {
      await new Promise((resolve) => setImmediate(resolve))
      quiet = this.#moved === seen ? quiet + 1 : 0
      seen = this.#moved
    }
  }

  /** Something moves, and may set off more. @internal */
  stir(): void {
    this.#moved++
  }

  #start(timer: Timer): () => void {
    this.#timers.add(timer)
    return () => this.#timers.delete(timer)
  }

  async #advance(milliseconds: number): Promise<void> {
    const end = this.#now + milliseconds
    await this.settle()
    for (let timer = this.#next(end); timer !== undefined; timer = this.#next(end)) {
      this.#now = timer.due
      // Away and, if it comes again, behind those that are due at the same time.
      this.#timers.delete(timer)
      if (timer.every !== undefined) {
        timer.due += timer.every
        this.#timers.add(timer)
      }
      timer.call()
      await this.settle()
    }
    this.#now = end
  }

  /** What is due first, the oldest of several. */
  #next(end: number): Timer | undefined {
    let next: Timer | undefined
    for (const timer of this.#timers) {
      if (timer.due <= end && (next === undefined || timer.due < next.due)) next = timer
    }
    return next
  }
}

function checkTime(method: string, milliseconds: number, least: number, most = Number.MAX_VALUE): void {
  if (Number.isFinite(milliseconds) && milliseconds >= least && milliseconds <= most) return
  const range = most === MAX_TIMEOUT ? `${least} to ${most}` : `at least ${least}`
  throw new UsageError(
    'ERR_WS_INVALID_ARGUMENT',
    `${method} takes milliseconds, ${range}, not ${String(milliseconds)}`,
  )
}
