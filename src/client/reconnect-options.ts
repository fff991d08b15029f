import { performance } from 'node:perf_hooks'
import { clearTimeout, setTimeout } from 'node:timers'
import type { Conn } from '../conn/conn.ts'
import { isAbortSignal } from '../conn/is-abort-signal.ts'
import { checkNames } from '../conn/options.ts'
import type { CloseInfo } from '../session/close-info.ts'
import { UsageError } from '../session/errors.ts'
import type { DialOptions } from './dial-options.ts'
import { checkUrl } from './dial-target.ts'
import { Dialer, dial } from './dialer.ts'
import { type NetworkStatus, networkStatus } from './network-status.ts'

/** One attempt to connect. */
export interface Attempt {
  /** 1 for the first, and for the first behind a connection that was stable; else one more than the attempt before. */
  readonly attempt: number
  /** How the connection before ended; `undefined` as long as there was none. */
  readonly previous: CloseInfo | undefined
  /** The signal of the options: aborted when nobody wants the connection any more. */
  readonly signal: AbortSignal | undefined
}

/** Something, or a function that makes it anew for each attempt. */
export type PerAttempt<T> = T | ((attempt: Attempt) => T | Promise<T>)

/** How each connection is made, as for `dial`, but for the signal, which belongs to the whole. */
export type ReconnectDialOptions<Subprotocol extends string = string> = Omit<
  DialOptions<Subprotocol>,
  'signal'
>

/** Time, as reconnecting needs it: the `FakeClock` of `silverback/testing` is one. */
export interface ReconnectClock {
  /** Milliseconds from any fixed point, never going back. */
  now(): number
  /** Calls `callback` once, after so many milliseconds. Returns what takes it back. */
  after(milliseconds: number, callback: () => void): () => void
}

/** How to come back. Times are milliseconds. */
export interface ReconnectOptions<Subprotocol extends string = string> {
  /** Ends it: what waits is given up, a connection is closed with 1000, and the iteration ends quietly. */
  readonly signal?: AbortSignal | undefined
  /**
   * How to connect: options of `dial`, or a function that makes them for each attempt, such as with a fresh token.
   * Subprotocols that are written here are the type of `conn.subprotocol`.
   */
  readonly dial?: PerAttempt<ReconnectDialOptions<Subprotocol>> | undefined
  /** Connects. Default `dial`: another may use a `Dialer`, or in tests a `pair`. */
  readonly connect?: ((url: string | URL, options: DialOptions) => Promise<Conn>) | undefined
  /** The first delay is anything up to this; behind 0 the bound is 100, and grows from there. Default 500. */
  readonly minDelay?: number | undefined
  /** Delays grow up to this. Default 30,000. */
  readonly maxDelay?: number | undefined
  /** What the bound of the delay grows by each time. Default 2. */
  readonly factor?: number | undefined
  /** A connection that lived so long was stable: delays and attempts begin anew behind it. Default 5,000. */
  readonly stableAfter?: number | undefined
  /** So many attempts may fail in a row; then the last error is thrown. Default: no limit. */
  readonly maxAttempts?: number | undefined
  /** No attempt begins later than this after the first one, or after the last stable connection ended. Default: no limit. */
  readonly maxElapsed?: number | undefined
  /**
   * Judges in place of the table, with the number of the attempt that would come: `true` retries after the usual
   * delay, a number after so many milliseconds, `false` stops, `undefined` leaves it to the table. Asked about all
   * ends but those by `break`, by `signal`, and by a mistake in the options. What it throws ends the iteration.
   */
  readonly retry?: ((error: Error, attempt: number) => boolean | number | undefined) | undefined
  /** Hears of every end that is followed by another attempt: that attempt's number, and the delay before it. */
  readonly onRetry?:
    | ((error: Error, next: { readonly attempt: number; readonly delay: number }) => void)
    | undefined
  /** Default `Math.random`. */
  readonly random?: (() => number) | undefined
  /** Default: the system's timers, which keep the process alive. */
  readonly clock?: ReconnectClock | undefined
  /**
   * Whether there is a network: without one no attempt is made, not even the first. Default: what the runtime knows, in
   * Node nothing.
   */
  readonly network?: NetworkStatus | undefined
}

/** The options, checked and complete. */
export interface ResolvedReconnectOptions {
  readonly signal: AbortSignal | undefined
  readonly dial: PerAttempt<ReconnectDialOptions>
  readonly connect: (url: string | URL, options: DialOptions) => Promise<Conn>
  readonly minDelay: number
  readonly maxDelay: number
  readonly factor: number
  readonly stableAfter: number
  readonly maxAttempts: number
  readonly maxElapsed: number
  readonly retry: NonNullable<ReconnectOptions['retry']>
  readonly onRetry: NonNullable<ReconnectOptions['onRetry']>
  readonly random: () => number
  readonly clock: ReconnectClock
  readonly network: NetworkStatus
}

/** The options that there are. */
export const reconnectOptionNames: readonly string[] = [
  'signal',
  'dial',
  'connect',
  'minDelay',
  'maxDelay',
  'factor',
  'stableAfter',
  'maxAttempts',
  'maxElapsed',
  'retry',
  'onRetry',
  'random',
  'clock',
  'network',
]

/** The longest time that the runtime's timers take, 24.8 days: what is longer they take for a millisecond. */
export const MAX_TIME: number = 2 ** 31 - 1

/** The system's time. Its timers keep the process alive: somebody waits for the connection. */
export const systemTimers: ReconnectClock = {
  now: () => performance.now(),
  after(milliseconds, callback) {
    const timer = setTimeout(callback, Math.min(milliseconds, MAX_TIME))
    return () => clearTimeout(timer)
  },
}

const noLimit = Number.POSITIVE_INFINITY

/**
 * @throws UsageError `ERR_WS_INVALID_OPTION` naming what is wrong, `ERR_WS_INVALID_ARGUMENT` for a URL that cannot be
 */
export function resolveReconnectOptions(
  url: PerAttempt<string | URL>,
  options: ReconnectOptions,
): ResolvedReconnectOptions {
  checkNames(options, reconnectOptionNames)
  const { signal, dial: dialOptions = {}, connect = dial, retry = noOpinion, onRetry = () => {} } = options
  const { minDelay = 500, maxDelay = 30_000, factor = 2, stableAfter = 5_000 } = options
  const { maxAttempts = noLimit, maxElapsed = noLimit } = options
  const { random = Math.random, clock = systemTimers, network = networkStatus() } = options
  if (signal !== undefined && !isAbortSignal(signal)) throw invalid('signal must be an AbortSignal')
  for (const [name, value] of Object.entries({ connect, retry, onRetry, random })) {
    if (typeof value !== 'function') throw invalid(`${name} must be a function, not ${typeof value}`)
  }
  for (const [name, value] of Object.entries({ minDelay, maxDelay, stableAfter })) {
    if (!Number.isInteger(value) || value < 0 || value > MAX_TIME)
      throw invalid(`${name} must be an integer from 0 to ${MAX_TIME}, not ${String(value)}`)
  }
  if (minDelay > maxDelay) throw invalid(`minDelay, ${minDelay}, is more than maxDelay, ${maxDelay}`)
  if (!Number.isFinite(factor) || factor < 1) throw invalid(`factor must be 1 or more, not ${String(factor)}`)
  for (const [name, value] of Object.entries({ maxAttempts, maxElapsed })) {
    if (value !== noLimit && (!Number.isInteger(value) || value < 1))
      throw invalid(`${name} must be an integer from 1 on, not ${String(value)}`)
  }
  if (typeof clock?.now !== 'function' || typeof clock.after !== 'function')
    throw invalid('clock must have the methods now and after')
  if (typeof network?.onOnline !== 'function') throw invalid('network must have online and onOnline')
  if (typeof dialOptions !== 'function') checkDial(dialOptions)
  // A function of the application's may connect to anything.
  if (typeof url !== 'function' && connect === dial) checkUrl(url)
  return {
    signal,
    dial: dialOptions,
    connect,
    minDelay,
    maxDelay,
    factor,
    stableAfter,
    maxAttempts,
    maxElapsed,
    retry,
    onRetry,
    random,
    clock,
    network,
  }
}

/** @throws UsageError `ERR_WS_INVALID_OPTION` */
export function checkDial(options: ReconnectDialOptions): void {
  if ((options as DialOptions | null)?.signal !== undefined)
    throw invalid('dial.signal: the signal belongs beside dial, as it ends the whole')
  new Dialer(options)
}

function noOpinion(): undefined {}

function invalid(message: string): UsageError {
  return new UsageError('ERR_WS_INVALID_OPTION', message)
}
