import type { Conn } from '../conn/conn.ts'
import { silent } from '../conn/silent.ts'
import { tellListener } from '../conn/tell-listener.ts'
import { asError } from '../session/as-error.ts'
import type { CloseInfo } from '../session/close-info.ts'
import { CloseError, HandshakeError, UsageError } from '../session/errors.ts'
import { isStrayPromise } from '../session/stray-promise.ts'
import {
  type Attempt,
  checkDial,
  MAX_TIME,
  type PerAttempt,
  type ResolvedReconnectOptions,
} from './reconnect-options.ts'
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
  const { signal, clock, stableAfter, network } = options
  const schedule = new RetrySchedule(options)
  let previous: CloseInfo | undefined
  let error: Error = new HandshakeError('ERR_WS_CONNECT', 'no connection: there is no network')
  if (!network.online) onPhase('waiting')
  while (!isAborted(signal)) {
    if (!(await whileOffline(schedule, options))) throw error
    if (isAborted(signal)) return
    const { attempt } = schedule
    onPhase('connecting')
    const conn = await open(url, options, { attempt, previous, signal }).catch(asError)
    let delay: number | undefined
    if (conn instanceof Error) {
      error = conn
      if (isAborted(signal)) return
      if (conn instanceof UsageError) throw conn
      delay = schedule.next(conn, judgeFailure(conn))
    } else {
      const openedAt = clock.now()
      // Told when it ends: the one who has it may take longer.
      const lived = silent(conn.closed.then(() => clock.now() - openedAt))
      yield* lend(conn, { attempt, previous }, signal)
      previous = await conn.closed
      if (isAborted(signal)) return
      if ((await lived) >= stableAfter) schedule.reset()
      error = new CloseError(previous)
      delay = schedule.next(error, judgeClose(previous))
    }
    if (delay === undefined) return
    const [ended, next] = [error, { attempt: schedule.attempt, delay }]
    tellListener('onRetry', () => options.onRetry(ended, next))
    onPhase('waiting')
    await firstOf(signal, (done) => clock.after(next.delay, done))
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
    if (typeof dial === 'function') checkDial(dialOptions)
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

/** Waits for the network, where it is known that there is none; `false` when there will be no time for an attempt. */
async function whileOffline(
  schedule: RetrySchedule,
  { clock, signal, network }: ResolvedReconnectOptions,
): Promise<boolean> {
  let back = network.online
  while (!back && !isAborted(signal)) {
    const { left } = schedule
    if (left <= 0) return false
    const online = (done: () => void): (() => void) =>
      network.onOnline(() => {
        back = true
        done()
      })
    if (Number.isFinite(left))
      await firstOf(signal, online, (done) => clock.after(Math.min(left, MAX_TIME), done))
    else await firstOf(signal, online)
    back ||= network.online
  }
  return true
}

/**
 * Resolves with the first of several events, or at once with the signal, and takes the others back.
 *
 * @param events - each calls back once, perhaps at once, and returns what takes that back
 */
function firstOf(
  signal: AbortSignal | undefined,
  ...events: readonly ((done: () => void) => () => void)[]
): Promise<void> {
  return new Promise((resolve, reject) => {
    const stops: (() => void)[] = []
    let over = isAborted(signal)
    const done = (): void => {
      over = true
      signal?.removeEventListener('abort', done)
      for (const stop of stops.splice(0)) tellListener('taking back a wait', stop)
      resolve()
    }
    signal?.addEventListener('abort', done, { once: true })
    try {
      for (const begin of events) if (!over) stops.push(takeBack(begin(done)))
    } catch (error) {
      reject(error as Error)
      over = true
    }
    if (over) done()
  })
}

/** @throws UsageError `ERR_WS_INVALID_ARGUMENT` when an application's clock, or network, does not say how a wait is taken back */
function takeBack(stop: unknown): () => void {
  if (typeof stop === 'function') return stop as () => void
  isStrayPromise(stop)
  const message = `clock.after and network.onOnline must return a function, not ${typeof stop}`
  throw new UsageError('ERR_WS_INVALID_ARGUMENT', message)
}

/** Asked anew each time: an `await` in between may have changed it. */
function isAborted(signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true
}
