import { describeThrown } from '../session/as-error.ts'
import { Backoff } from '../session/backoff.ts'
import { HandshakeError, UsageError } from '../session/errors.ts'
import { isStrayPromise } from '../session/stray-promise.ts'
import { MAX_TIME, type ResolvedReconnectOptions } from './reconnect-options.ts'
import { retryAfter } from './retry-after.ts'
import type { RetryVerdict } from './retry-verdict.ts'

/** A server may ask for this much patience, or `maxDelay` where that is more. Milliseconds. */
const MOST_PATIENCE = 5 * 60_000

/** So many attempts may follow a refusal that may be due to chance. */
const FEW = 3

/** Counts the attempts of one series of connections, and says when the next one is due, if there is to be one. */
export class RetrySchedule {
  /** The number of the attempt that is being made, or is the next. */
  attempt = 1
  readonly #options: ResolvedReconnectOptions
  readonly #backoff: Backoff
  /** When the bounds on attempts and time began to count. */
  #startedAt: number
  /** A restart was announced, and no connection has been stable since. */
  #restarting = false
  /** Refusals that may be due to chance, since a connection has been stable. */
  #doubts = 0

  constructor(options: ResolvedReconnectOptions) {
    this.#options = options
    this.#backoff = new Backoff(options)
    this.#startedAt = options.clock.now()
  }

  /** A stable connection has ended: what was before it does not count any more. */
  reset(): void {
    this.attempt = 0
    this.#backoff.reset()
    this.#startedAt = this.#options.clock.now()
    this.#restarting = false
    this.#doubts = 0
  }

  /** Milliseconds until no attempt may begin any more. */
  get left(): number {
    return this.#startedAt + this.#options.maxElapsed - this.#options.clock.now()
  }

  /**
   * The delay before the next attempt; `undefined` when the series has come to its proper end.
   *
   * @throws `error` when there is to be no other attempt, or what the application's `retry` throws
   */
  next(error: Error, verdict: RetryVerdict): number | undefined {
    const { retry, maxAttempts } = this.#options
    const wish = checkWish(retry(error, this.attempt + 1))
    const final = verdict === 'stop' || verdict === 'end' || (verdict === 'few' && ++this.#doubts > FEW)
    const stops = wish === undefined ? final : wish === false
    if (stops && verdict === 'end') return undefined
    if (stops || this.attempt >= maxAttempts) throw error
    const delay = typeof wish === 'number' ? wish : this.#delay(error, verdict)
    if (delay > this.left) throw error
    this.attempt++
    return delay
  }

  #delay(error: Error, verdict: RetryVerdict): number {
    if (verdict === 'later') return this.#backoff.late()
    if (verdict === 'soon' && !this.#restarting) {
      // Once: a server that does nothing but restart is as good as one that is down.
      this.#restarting = true
      return this.#backoff.soon()
    }
    const delay = this.#backoff.next()
    if (!(error instanceof HandshakeError)) return delay
    const asked = retryAfter(error.headers, Date.now()) ?? 0
    // On top of what was asked for, or all clients that were told the same would come at the same time.
    return Math.min(delay + Math.min(asked, Math.max(MOST_PATIENCE, this.#options.maxDelay)), MAX_TIME)
  }
}

function checkWish(wish: unknown): boolean | number | undefined {
  if (wish === undefined || typeof wish === 'boolean') return wish
  if (typeof wish === 'number' && wish >= 0 && wish <= MAX_TIME) return wish
  const given = isStrayPromise(wish) ? 'a promise' : describeThrown(wish)
  throw new UsageError(
    'ERR_WS_INVALID_ARGUMENT',
    `retry must return a boolean, milliseconds or undefined, not ${given}`,
  )
}
