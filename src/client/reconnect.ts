import type { Conn } from '../conn/conn.ts'
import { liveConnections } from './live-connections.ts'
import { type PerAttempt, type ReconnectOptions, resolveReconnectOptions } from './reconnect-options.ts'

/**
 * Live connections, one after another: when one is lost, the loop gets another, after a delay that grows and is
 * different for each client. Each is an ordinary `Conn`, but for one thing: iterating over its messages ends quietly
 * however it ended, so that the loop goes on.
 *
 * - The next attempt begins when the loop's body comes back and the connection has ended. A body that comes back while
 *   it is open leaves it open, and waits for its end.
 * - `break`, or an error that leaves the loop, closes the connection with 1000 and waits for its end.
 * - The loop ends quietly when the server closes with 1000, when this side closes without a fault, and when `signal`
 *   is aborted. It throws the last error, a `CloseError` or `HandshakeError`, when it makes no sense to try again: see
 *   docs/reconnect.md for the verdict on every code. `close(4000)` and `terminate()` ask for another connection.
 * - `read`, `drained` and `ping` reject at the end, as ever: an error that leaves the body ends the loop.
 *
 * Iterating again begins anew.
 *
 * @param url - `ws:` or `wss:`, or a function that tells it for each attempt
 * @throws UsageError at once, for a wrong URL (`ERR_WS_INVALID_ARGUMENT`) or option (`ERR_WS_INVALID_OPTION`)
 *
 * @example
 * ```ts
 * import { reconnect } from 'silverback'
 *
 * for await (const conn of reconnect('wss://example.com/feed', { signal: AbortSignal.timeout(3_600_000) })) {
 *   conn.sendJson({ subscribe: ['prices'] })
 *   for await (const message of conn) console.log(message)
 * }
 * ```
 */
export function reconnect(
  url: PerAttempt<string | URL>,
  options: ReconnectOptions = {},
): AsyncIterable<Conn> {
  const resolved = resolveReconnectOptions(url, options)
  return {
    async *[Symbol.asyncIterator]() {
      for await (const { conn } of liveConnections(url, resolved)) yield conn
    },
  }
}
