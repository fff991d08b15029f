/** How long to wait between attempts. Times are milliseconds. */
export interface BackoffOptions {
  /** The bound of the first delay. */
  readonly minDelay: number
  /** The bound that delays grow to. */
  readonly maxDelay: number
  /** What the bound grows by from one delay to the next. */
  readonly factor: number
  /** A number from 0 up to, but not including, 1: each is as likely. */
  readonly random: () => number
}

/**
 * Delays that grow, each chosen anew between nothing and a bound that grows by a factor ("full jitter"). Clients that
 * lost their server at the same time so come back spread over all of that time; delays that are only roughly the same
 * would bring them back in waves.
 */
export class Backoff {
  readonly #options: BackoffOptions
  #bound: number

  constructor(options: BackoffOptions) {
    this.#options = options
    this.#bound = options.minDelay
  }

  /** The next delay, in whole milliseconds. */
  next(): number {
    const { maxDelay, factor } = this.#options
    const delay = this.#between(0, Math.min(this.#bound, maxDelay))
    this.#bound = Math.min(this.#bound * factor, maxDelay)
    return delay
  }

  /** A delay such as the first, which does not make the next one grow. */
  soon(): number {
    return this.#between(0, Math.min(this.#options.minDelay, this.#options.maxDelay))
  }

  /** A delay of the upper half of what there is; the next one grows as ever. */
  late(): number {
    this.next()
    const { maxDelay } = this.#options
    return this.#between(maxDelay / 2, maxDelay)
  }

  /** Begins anew. */
  reset(): void {
    this.#bound = this.#options.minDelay
  }

  #between(least: number, most: number): number {
    return Math.floor(least + this.#options.random() * (most - least))
  }
}
