import type { Conn } from '../conn/conn.ts'
import { processWheel, type TimerWheel, type WheelEntry } from '../conn/timer-wheel.ts'
import { CloseCode } from '../wire/close-code.ts'

/** Closes a connection when it has lived long enough. All of them share the wheel's one timer. */
export class Lifetime implements WheelEntry {
  wheelNext: WheelEntry | undefined = undefined
  wheelPrevious: WheelEntry | undefined = undefined
  wheelDue = 0

  readonly #conn: Pick<Conn, 'close'>
  readonly #wheel: TimerWheel

  constructor(conn: Pick<Conn, 'close'>, milliseconds: number, wheel: TimerWheel = processWheel) {
    this.#conn = conn
    this.#wheel = wheel
    wheel.schedule(this, milliseconds)
  }

  /** The connection has ended before. */
  cancel(): void {
    this.#wheel.cancel(this)
  }

  onDue(): void {
    // 1001, as when the server goes away: clients come back at once, and spread as they are. 1012 would tell them to wait.
    void this.#conn.close(CloseCode.GoingAway, 'lifetime over')
  }
}

/**
 * How long a connection may live: never longer than `max`, and shorter by up to the fraction `jitter` of it, so that
 * connections that began together do not end together.
 */
export function drawLifetime(max: number, jitter: number, random: () => number = Math.random): number {
  return max * (1 - jitter * random())
}
