import { clearTimeout, setTimeout } from 'node:timers'
import type { Conn } from '../conn/conn.ts'
import { isAbortSignal } from '../conn/is-abort-signal.ts'
import { MAX_REASON_SIZE } from '../protocol/close-payload.ts'
import { UsageError } from '../session/errors.ts'
import { CloseCode, isSendableCloseCode } from '../wire/close-code.ts'

/** How connections are closed when a server stops. */
export interface DrainOptions {
  /** The code of the Close frames. Default 1001, going away. */
  readonly code?: number | undefined
  /** The reason beside it. Default none. */
  readonly reason?: string | undefined
  /**
   * Milliseconds after which what has not ended is dropped, with a `TimeoutError` as its `CloseInfo.error`; 0 waits for
   * nobody. Default 5000.
   */
  readonly timeout?: number | undefined
  /** Aborted, it ends the time at once: what has not ended is dropped. */
  readonly signal?: AbortSignal | undefined
}

/** The options, checked and complete. */
export interface ResolvedDrainOptions {
  readonly code: number
  readonly reason: string
  readonly timeout: number
  readonly signal: AbortSignal | undefined
}

/** The longest time that the runtime's timers take, 24.8 days. */
const MAX_TIMEOUT = 2 ** 31 - 1

/** @throws UsageError `ERR_WS_INVALID_ARGUMENT` naming which of the options is wrong */
export function checkDrain(options: DrainOptions): ResolvedDrainOptions {
  const { code = CloseCode.GoingAway, reason = '', timeout = 5_000, signal } = options
  if (!isSendableCloseCode(code)) throw wrong(`the code ${String(code)} may not be sent`)
  if (typeof reason !== 'string' || Buffer.byteLength(reason) > MAX_REASON_SIZE)
    throw wrong(`the reason must be a string of at most ${MAX_REASON_SIZE} bytes of UTF-8`)
  if (!Number.isInteger(timeout) || timeout < 0 || timeout > MAX_TIMEOUT)
    throw wrong(`the timeout must be an integer from 0 to ${MAX_TIMEOUT}, not ${String(timeout)}`)
  if (signal !== undefined && !isAbortSignal(signal)) throw wrong('the signal must be an AbortSignal')
  return { code, reason, timeout, signal }
}

/**
 * Closes connections and waits for their ends; drops those that take too long.
 *
 * @param others - what is waited for beside, no longer than for the connections
 */
export async function drain(
  connections: ReadonlySet<Conn>,
  options: DrainOptions,
  others: readonly Promise<void>[] = [],
): Promise<void> {
  const { code, reason, timeout, signal } = checkDrain(options)
  let giveUp = (_late: boolean): void => {}
  const givenUp = new Promise<boolean>((resolve) => {
    giveUp = resolve
  })
  const timer = setTimeout(giveUp, timeout, true)
  const onAbort = (): void => giveUp(false)
  if (signal?.aborted === true) onAbort()
  signal?.addEventListener('abort', onAbort, { once: true })
  const ended = Promise.all([...connections].map((conn) => conn.drain(code, reason)))
  const late = await Promise.race([Promise.all([ended, ...others]), givenUp])
  clearTimeout(timer)
  signal?.removeEventListener('abort', onAbort)
  for (const conn of connections) {
    if (late === true) conn.expire(timeout)
    else conn.terminate()
  }
  await ended
}

function wrong(message: string): UsageError {
  return new UsageError('ERR_WS_INVALID_ARGUMENT', `close: ${message}`)
}
