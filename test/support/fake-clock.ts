import type { Clock } from '../../src/conn/timer-wheel.ts'

interface Interval {
  readonly every: number
  readonly tick: () => void
  due: number
}

/** A clock that moves only when told. */
export class FakeClock implements Clock {
  #now = 0
  readonly #intervals = new Set<Interval>()

  now(): number {
    return this.#now
  }

  every(milliseconds: number, tick: () => void): () => void {
    const interval = { every: milliseconds, tick, due: this.#now + milliseconds }
    this.#intervals.add(interval)
    return () => this.#intervals.delete(interval)
  }

  /** Intervals that run. */
  get running(): number {
    return this.#intervals.size
  }

  /** Lets time pass; what is due on the way is called at its time. */
  advance(milliseconds: number): void {
    const end = this.#now + milliseconds
    for (let next = this.#next(end); next !== undefined; next = this.#next(end)) {
      // An interval that was due during a stall is late, and its next time counts from now.
      this.#now = Math.max(this.#now, next.due)
      next.due = this.#now + next.every
      next.tick()
    }
    this.#now = end
  }

  /** Time passes, but the process sees nothing of it: what was due meanwhile is called once, later. */
  stall(milliseconds: number): void {
    this.#now += milliseconds
  }

  #next(end: number): Interval | undefined {
    const due = [...this.#intervals].filter((interval) => interval.due <= end)
    return due.sort((a, b) => a.due - b.due)[0]
  }
}
