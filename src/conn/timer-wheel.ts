// Not the global ones, which fake timers replace: connections must live on under them.
import { performance } from 'node:perf_hooks'
import { clearImmediate, clearInterval, setImmediate, setInterval } from 'node:timers'

/** Time as the wheel needs it; tests bring their own. */
export interface Clock {
  /** Milliseconds from any fixed point, never going back. */
  now(): number
  /** Calls `tick` every so many milliseconds without keeping the process alive, until the returned function is called. */
  every(milliseconds: number, tick: () => void): () => void
}

/** The process's monotonic clock. It ticks when what the kernel holds has been read. */
export const systemClock: Clock = {
  now: () => performance.now(),
  every(milliseconds, tick) {
    let turn: NodeJS.Immediate | undefined
    // Behind the reading of this turn: when the process was stopped or blocked, what its peers sent meanwhile still waits
    // in the kernel, and timers come first.
    const timer = setInterval(() => {
      turn = setImmediate(tick)
    }, milliseconds)
    timer.unref()
    return () => {
      clearInterval(timer)
      clearImmediate(turn)
    }
  },
}

/** Something with one deadline. The wheel keeps its fields; the owner only reads none of them. */
export interface WheelEntry {
  wheelNext: WheelEntry | undefined
  wheelPrevious: WheelEntry | undefined
  wheelDue: number
  /** The deadline has passed. */
  onDue(): void
}

/** How coarse the wheel is, in milliseconds. */
export const TICK = 100
const SLOTS = 256

/** After a stall the wheel moves on by this much at most. */
const MAX_STEP = 10

/**
 * All deadlines of all connections behind one timer. An entry has one deadline at a time; setting it costs two
 * pointers and no allocation. Deadlines are kept to the tick: up to 200 ms late, never early.
 *
 * Time that the process slept through (a debugger, SIGSTOP, a blocked event loop) counts for a second at most, so that
 * peers have time to do what they could not. What they did meanwhile is read before anybody is declared dead: the clock
 * sees to that.
 */
export class TimerWheel {
  /** Milliseconds that the wheel has lived through. */
  time = 0
  readonly #clock: Clock
  readonly #slots: Sentinel[] = Array.from({ length: SLOTS }, () => new Sentinel())
  #tick = 0
  #entries = 0
  #last = 0
  #stop: (() => void) | undefined

  constructor(clock: Clock = systemClock) {
    this.#clock = clock
  }

  /** Milliseconds on the wheel's clock, exact. */
  now(): number {
    return this.#clock.now()
  }

  /** How many deadlines are set. */
  get size(): number {
    return this.#entries
  }

  /** Sets or moves an entry's deadline. */
  schedule(entry: WheelEntry, milliseconds: number): void {
    if (entry.wheelNext === undefined) this.#entries++
    else unlink(entry)
    this.#start()
    // While the event loop was blocked the wheel fell behind: what it will catch up is not part of the time given.
    const owed = Math.min(Math.floor((this.#clock.now() - this.#last) / TICK), MAX_STEP)
    entry.wheelDue = this.#tick + owed + Math.ceil(milliseconds / TICK) + 1
    link(this.#slot(entry.wheelDue), entry)
  }

  /** Forgets an entry's deadline, if it has one. */
  cancel(entry: WheelEntry): void {
    if (entry.wheelNext === undefined) return
    unlink(entry)
    if (--this.#entries === 0) this.#halt()
  }

  #slot(tick: number): Sentinel {
    return this.#slots[tick % SLOTS] as Sentinel
  }

  #start(): void {
    if (this.#stop !== undefined) return
    this.#last = this.#clock.now()
    this.#stop = this.#clock.every(TICK, () => this.#advance())
  }

  #halt(): void {
    this.#stop?.()
    this.#stop = undefined
  }

  #advance(): void {
    const now = this.#clock.now()
    this.#last = Math.max(this.#last, now - MAX_STEP * TICK)
    // Step by step, so that a deadline that is set on the way knows how far the wheel is behind.
    while (now - this.#last >= TICK) {
      this.#last += TICK
      this.#step()
    }
  }

  #step(): void {
    this.#tick++
    this.time += TICK
    const slot = this.#slot(this.#tick)
    // What is due calls back, and that may set or cancel any deadline: so the slot is emptied first.
    const waiting = new Sentinel()
    waiting.takeAll(slot)
    try {
      for (let entry = waiting.wheelNext; entry !== waiting; entry = waiting.wheelNext) {
        unlink(entry)
        if (entry.wheelDue > this.#tick) {
          link(slot, entry)
          continue
        }
        if (--this.#entries === 0) this.#halt()
        entry.onDue()
      }
    } finally {
      // What is due must not throw. If it does all the same, the others are late by a tick, and not lost.
      for (let entry = waiting.wheelNext; entry !== waiting; entry = waiting.wheelNext) {
        unlink(entry)
        link(entry.wheelDue > this.#tick ? slot : this.#slot(this.#tick + 1), entry)
      }
    }
  }
}

/** The head of a slot's ring. */
class Sentinel implements WheelEntry {
  wheelNext: WheelEntry = this
  wheelPrevious: WheelEntry = this
  wheelDue = 0
  onDue(): void {}

  takeAll(from: Sentinel): void {
    if (from.wheelNext === from) return
    this.wheelNext = from.wheelNext
    this.wheelPrevious = from.wheelPrevious
    this.wheelNext.wheelPrevious = this
    this.wheelPrevious.wheelNext = this
    from.wheelNext = from.wheelPrevious = from
  }
}

function link(slot: Sentinel, entry: WheelEntry): void {
  const last = slot.wheelPrevious
  entry.wheelPrevious = last
  entry.wheelNext = slot
  last.wheelNext = entry
  slot.wheelPrevious = entry
}

function unlink(entry: WheelEntry): void {
  const next = entry.wheelNext as WheelEntry
  const previous = entry.wheelPrevious as WheelEntry
  previous.wheelNext = next
  next.wheelPrevious = previous
  entry.wheelNext = entry.wheelPrevious = undefined
}

/** The wheel of this process. */
export const processWheel: TimerWheel = new TimerWheel()
