import { onAbort } from './on-abort.ts'
import { silent } from './silent.ts'

/** A ping that has not been answered. */
interface Outstanding {
  readonly number: number
  readonly payload: Uint8Array
  readonly sentAt: number
  readonly settle: ((result: number | Error) => void) | undefined
}

/** Pings in flight that are remembered; a peer may leave any number unanswered. */
const MAX_OUTSTANDING = 64

/** Matches pongs to the pings that asked for them (RFC 6455 section 5.5.3), and measures the time between. */
export class RoundTrips {
  readonly #clock: { now(): number }
  /** The last round trip in milliseconds. */
  last: number | undefined
  #number = 0
  #outstanding: Outstanding[] = []

  constructor(clock: { now(): number }) {
    this.#clock = clock
  }

  /**
   * Pings, and resolves with the milliseconds until the pong.
   *
   * @param send - sends the ping
   * @throws the signal's reason when that is aborted, or what {@link end} is told
   */
  measure(signal: AbortSignal | undefined, send: (payload: Uint8Array) => void): Promise<number> {
    return silent(
      new Promise<number>((resolve, reject) => {
        signal?.throwIfAborted()
        const settle = (result: number | Error): void => {
          stop?.()
          if (typeof result === 'number') resolve(result)
          else reject(result)
        }
        const stop =
          signal &&
          onAbort(signal, () => {
            this.forget(settle)
            reject(signal.reason as Error)
          })
        send(this.next(settle))
      }),
    )
  }

  /** The payload of the next ping. */
  next(settle?: (result: number | Error) => void): Uint8Array {
    this.#number = (this.#number + 1) >>> 0
    // Kept for as long as the peer likes, so not from the pool.
    const payload = Buffer.allocUnsafeSlow(4)
    payload.writeUInt32BE(this.#number)
    this.#remember(payload, settle)
    return payload
  }

  /**
   * The application sent a ping of its own. A peer that has several to answer may answer only this one, and by that
   * those before it.
   */
  foreign(payload: Uint8Array): void {
    if (this.#outstanding.length > 0) this.#remember(Buffer.from(payload), undefined)
  }

  #remember(payload: Uint8Array, settle: Outstanding['settle']): void {
    // One pong answers all pings before it, so the oldest are the ones to forget; those somebody waits for stay.
    if (this.#outstanding.length >= MAX_OUTSTANDING) {
      const unwatched = this.#outstanding.findIndex((ping) => ping.settle === undefined)
      if (unwatched >= 0) this.#outstanding.splice(unwatched, 1)
    }
    this.#outstanding.push({ number: this.#number, payload, sentAt: this.#clock.now(), settle })
  }

  /**
   * A pong answers its ping and all before it; one that nobody asked for means nothing. Returns the number of the ping
   * that it answers.
   */
  onPong(payload: Buffer): number | undefined {
    const index = this.#outstanding.findIndex((ping) => payload.equals(ping.payload))
    if (index < 0) return undefined
    const answered = this.#outstanding.splice(0, index + 1)
    const now = this.#clock.now()
    const { number, sentAt } = answered[index] as Outstanding
    this.last = now - sentAt
    for (const ping of answered) ping.settle?.(now - ping.sentAt)
    return number
  }

  /** The number of the latest ping. */
  get latest(): number {
    return this.#number
  }

  /** Nobody waits for this ping any more. */
  forget(settle: (result: number | Error) => void): void {
    this.#outstanding = this.#outstanding.filter((ping) => ping.settle !== settle)
  }

  /** The connection is over: no pong will come. */
  end(error: () => Error): void {
    const unanswered = this.#outstanding
    this.#outstanding = []
    for (const { settle } of unanswered) settle?.(error())
  }
}
