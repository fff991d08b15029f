import type { Conn } from '../conn/conn.ts'
import type { CloseInfo } from '../session/close-info.ts'
import { CloseError, UsageError } from '../session/errors.ts'
import type { Attempt, PerAttempt, ResolvedReconnectOptions } from './reconnect-options.ts'
import { RetrySchedule } from './retry-schedule.ts'
import { judgeClose, judgeFailure } from './retry-verdict.ts'

/** A connection of a series. */
export interface LiveConnection {
  readonly conn: Conn
  /** The number of the attempt that made it. */
  readonly attempt: number
  /** How the one before ended. */
  readonly previous: CloseInfo | undefined
}

/** What a series is doing while it has no connection. */
export type SeriesPhase = 'connecting' | 'waiting'

/**
 * Connections, one after another, for as long as the verdicts on their ends allow it. The next attempt begins when the
 * one who asked comes back and the connection has ended. Who leaves before closes it, with 1000.
 */
export async function* liveConnections(
  url: PerAttempt<string | URL>,
  options: ResolvedReconnectOptions,
  onPhase: (phase: SeriesPhase) => void = () => {},
): AsyncGenerator<LiveConnection, undefined> {
  const { signal, clock, stableAfter } = options
  const schedule = new RetrySchedule(options)
  let previous: CloseInfo | undefined
  while (!isAborted(signal)) {
    const { attempt } = schedule
    onPhase('connecting')
    const conn = await open(url, options, { attempt, previous, signal }).catch(asError)
    let delay: number | undefined
    if (conn instanceof Error) {
      if (isAborted(signal)) return
      if (conn instanceof UsageError) throw conn
      delay = schedule.next(conn, judgeFailure(conn))
      if (delay !== undefined) report(options, conn, { attempt: schedule.attempt, delay })
    } else {
      const openedAt = clock.now()
      // Told when it ends: the one who has it may take longer.
      const lived = conn.closed.then(() => clock.now() - openedAt)
      yield* lend(conn, { attempt, previous }, signal)
      previous = await conn.closed
      if (isAborted(signal)) return
      if ((await lived) >= stableAfter) schedule.reset()
      const error = new CloseError(previous)
      delay = schedule.next(error, judgeClose(previous))
      if (delay !== undefined) report(options, error, { attempt: schedule.attempt, delay })
    }
    if (delay === undefined) return
    onPhase('waiting')
    await pause(delay, options)
    await whileOffline(schedule.left, options)
  }
}

/** Gives a connection away until the one who has it comes back, and it has ended; who does not come back ends it. */
async function* lend(
  conn: Conn,
  details: Omit<LiveConnection, 'conn'>,
  signal: AbortSignal | undefined,
): AsyncGenerator<LiveConnection, undefined> {
  const close = (): void => void conn.close()
  signal?.addEventListener('abort', close, { once: true })
  let kept = false
  try {
    if (isAborted(signal)) return
    yield { conn, ...details }
    kept = true
    await conn.closed
  } finally {
    if (!kept) await conn.close()
    signal?.removeEventListener('abort', close)
  }
}

async function open(
  url: PerAttempt<string | URL>,
  { dial, connect, signal }: ResolvedReconnectOptions,
  attempt: Attempt,
): Promise<Conn> {
  const opening = (async () => {
    const target = typeof url === 'function' ? await url(attempt) : url
    const dialOptions = typeof dial === 'function' ? await dial(attempt) : dial
    const conn = await connect(target, { ...dialOptions, signal })
    conn.endQuietly()
    return conn
  })()
  if (signal === undefined) return opening
  // The application's own functions need not know of the signal: they are not waited for.
  let onAbort = (): void => {}
  const aborted = new Promise<never>((_resolve, reject) => {
    onAbort = () => {
      reject(signal.reason as Error)
      void opening.then((conn) => conn.close()).catch(() => {})
    }
    signal.addEventListener('abort', onAbort, { once: true })
  })
  try {
    return await Promise.race([opening, aborted])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

/** Lets time pass, or ends at once with the signal. */
function pause(delay: number, { clock, signal }: ResolvedReconnectOptions): Promise<void> {
  return new Promise((resolve) => {
    if (isAborted(signal)) return resolve()
    let cancel = (): void => {}
    const done = (): void => {
      cancel()
      signal?.removeEventListener('abort', done)
      resolve()
    }
    cancel = clock.after(delay, done)
    signal?.addEventListener('abort', done, { once: true })
  })
}

/** Waits for the network, where it is known that there is none, but no longer than it makes sense. */
function whileOffline(left: number, { clock, signal, network }: ResolvedReconnectOptions): Promise<void> {
  return new Promise((resolve) => {
    if (network.online || isAborted(signal)) return resolve()
    let cancel = (): void => {}
    const done = (): void => {
      cancel()
      stop()
      signal?.removeEventListener('abort', done)
      resolve()
    }
    const stop = network.onOnline(done)
    if (Number.isFinite(left)) cancel = clock.after(Math.max(0, left), done)
    signal?.addEventListener('abort', done, { once: true })
  })
}

function report(
  { onRetry }: ResolvedReconnectOptions,
  error: Error,
  next: { readonly attempt: number; readonly delay: number },
): void {
  try {
    onRetry(error, next)
  } catch (second) {
    console.error('silverback: onRetry failed:', second)
  }
}

/** Asked anew each time: an `await` in between may have changed it. */
function isAborted(signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error('what was thrown is no Error', { cause: error })
}
