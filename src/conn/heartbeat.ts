import type { Limits } from '../protocol/limits.ts'

/** What the kernels on both sides may hold of what we have sent, in bytes. */
const MOST_IN_TRANSIT = 4 * 1024 * 1024

/** The slowest peer that is waited for, in bytes per millisecond. */
const SLOWEST_PEER = 64

/**
 * Judges whether a peer lives, by the times of the wheel. Any received byte is a sign of life; a silent peer is pinged
 * once, and has its time to answer.
 */
export class Heartbeat {
  readonly #pingInterval: number
  readonly #pongTimeout: number
  /** When the peer gave its last sign of life. */
  #heardAt: number
  /** When it was pinged since. */
  #pingedAt: number | undefined
  /** How much of what we sent the peer has read for certain: all that went before a ping that it answered. */
  #read = 0

  constructor({ pingInterval, pongTimeout }: Limits, now: number) {
    this.#pingInterval = pingInterval
    this.#pongTimeout = pongTimeout
    this.#heardAt = now
  }

  /** The peer answered a ping that ended at this place in all that we sent. */
  answered(pingEnd: number): void {
    this.#read = pingEnd
  }

  /**
   * A sign of life; or what was before says nothing any more, by our own doing.
   *
   * @returns whether a ping had been waiting for that: then it is time to judge again after a whole interval
   */
  alive(now: number): boolean {
    const pinged = this.#pingedAt !== undefined
    this.#heardAt = now
    this.#pingedAt = undefined
    return pinged
  }

  /** The peer is being pinged. Returns the milliseconds after which to judge again. */
  pinged(now: number, left: number): number {
    this.#pingedAt = now
    return this.#pongTimeout === 0 ? this.#pingInterval : this.patience(left)
  }

  /**
   * What is to be done now: wait so many milliseconds, ping, or give up.
   *
   * @param left - bytes of ours that the kernel has taken
   * @param paused - whether we hold the peer back: its silence then says nothing
   */
  judge(now: number, left: number, paused: boolean): number | 'ping' | 'dead' {
    if (this.#pingedAt === undefined) {
      const silence = now - this.#heardAt
      return silence < this.#pingInterval ? this.#pingInterval - silence : 'ping'
    }
    // A ping to a host that is gone fails, even when its answer would not be read.
    if (paused) return 'ping'
    if (this.#pongTimeout === 0) return this.#pingInterval
    const rest = this.patience(left) - (now - this.#pingedAt)
    return rest > 0 ? rest : 'dead'
  }

  /** Milliseconds that a pinged peer is given: with the time that a slow one needs to read what lies before the ping. */
  patience(left: number): number {
    const inTransit = Math.min(Math.max(0, left - this.#read), MOST_IN_TRANSIT)
    return this.#pongTimeout + Math.floor(inTransit / SLOWEST_PEER)
  }
}
