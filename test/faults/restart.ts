// A server that is restarted, and the clients that come back.

import assert from 'node:assert/strict'
import { broadcast, type Conn, reconnect, type Server, serve } from 'silverback'

/** What came of it. Times are milliseconds. */
export interface RestartResult {
  /** When each client was back, behind the end of the old server. */
  readonly back: readonly number[]
  /** The delays that they drew for their first attempt. */
  readonly delays: readonly number[]
}

/** The time over which they come back. */
export const minDelay = 600

/**
 * Closes a server with 1012 (or drops all that it has), serves anew on its port, and waits until all clients are back,
 * for so many milliseconds at most.
 *
 * @throws Error that says how many are not, or that one has not waited for the delay that it told of
 */
export async function restart(
  clients: number,
  how: 'close' | 'crash',
  patience = 60_000,
): Promise<RestartResult> {
  const echo = (conn: Conn): void => conn.onMessage((data) => conn.send(data))
  let server: Server = await serve({}, echo)
  const { url } = server
  const port = Number(new URL(url).port)
  const controllers = Array.from({ length: clients }, () => new AbortController())
  const back: number[] = []
  const delays: number[] = []
  let [first, ended, early] = [0, 0, 0]
  let wake = (): void => {}
  const run = async ({ signal }: AbortController): Promise<void> => {
    let times = 0
    let due = 0
    const onRetry = (
      _error: Error,
      { attempt, delay }: { readonly attempt: number; readonly delay: number },
    ): void => {
      due = performance.now() + delay
      if (attempt <= 2 && delays.length < clients) delays.push(delay)
    }
    const options = { minDelay, maxDelay: 4 * minDelay, stableAfter: 0, signal, onRetry }
    for await (const conn of reconnect(url, options)) {
      early = Math.max(early, due - performance.now())
      conn.send('hello')
      for await (const _ of conn) {
        if (times++ === 0) first++
        else if (times === 2) back.push(performance.now() - ended)
        wake()
        break
      }
      conn.onMessage(() => {})
      await conn.closed
    }
  }
  // The load: nobody is idle when the server goes.
  const news = setInterval(() => broadcast(server.connections, 'news'), 50)
  const running = controllers.map(run)
  const count = async (what: string, number: () => number): Promise<void> => {
    const deadline = performance.now() + patience
    // Who never comes wakes nobody.
    const timer = setInterval(() => wake(), Math.min(patience, 1_000))
    try {
      while (number() < clients) {
        if (performance.now() > deadline)
          throw new Error(`${number()} of ${clients} clients are ${what} after ${patience} ms`)
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
    } finally {
      clearInterval(timer)
    }
  }
  try {
    await count('there', () => first)
    ended = performance.now()
    if (how === 'crash') for (const conn of server.connections) conn.terminate()
    await server.close({ code: 1012, timeout: 5_000 })
    server = await serve({ port }, echo)
    await count('back', () => back.length)
    // A timer may be early by a part of a millisecond.
    if (early > 1) throw new Error(`a client came back ${early} ms before its time`)
  } finally {
    clearInterval(news)
    for (const controller of controllers) controller.abort()
    await Promise.all(running)
    await server.close({ timeout: 0 })
  }
  return { back, delays }
}

/**
 * Whether the delays are spread over the whole time: no tenth of it has more than three times its share.
 *
 * @throws AssertionError when they are not
 */
export function assertSpread(delays: readonly number[], longest: number): void {
  const tenths = Array.from({ length: 10 }, () => 0)
  for (const delay of delays) {
    assert.ok(delay >= 0 && delay <= longest, `a delay of ${delay} ms`)
    const tenth = Math.min(9, Math.floor((delay / longest) * 10))
    tenths[tenth] = (tenths[tenth] ?? 0) + 1
  }
  assert.ok(Math.max(...tenths) <= (3 * delays.length) / 10, `in waves: ${tenths}`)
}
