import { ReadableStream, WritableStream } from 'node:stream/web'
import { setImmediate } from 'node:timers'
import type { Data } from '../session/message.ts'
import type { Sendable } from '../session/session.ts'
import { abortable } from './abortable.ts'
import type { Conn } from './conn.ts'
import { onAbort } from './on-abort.ts'
import { checkStreamOptions, StreamAdapter, type StreamOptions } from './stream-adapter.ts'

/** The two directions of a connection as Web streams. */
export interface WebStreams<
  Read extends Data = Uint8Array,
  Written extends Sendable = string | Uint8Array | ArrayBuffer,
> {
  /** What the peer sends. */
  readonly readable: ReadableStream<Read>
  /** What is written is sent to the peer. */
  readonly writable: WritableStream<Written>
}

/**
 * A connection as a pair of Web streams, for `pipeTo` and `pipeThrough`. Neither reads or takes ahead: reading holds the
 * peer back, writing waits for it. From here on `readable` takes the messages.
 *
 * - By default they are streams of bytes: each write is a binary message, and the bytes of binary messages are read, of
 *   any size up to `maxStreamSize`. `type: 'text'` does the same with text; a character that is cut between two writes
 *   goes with the second. With `objectMode`, strings are text messages and bytes binary ones.
 * - `close()` of `writable` closes the connection with 1000 once all is sent, and resolves when the peer has answered.
 * - `readable` closes when the connection ends in order (1000, 1001, no code, or our own closing, answered by the peer),
 *   else it fails with the `CloseError`. `writable` fails with it either way, so that what is piped into it stops, unless
 *   `allowHalfOpen` is set and the end was in order.
 * - `cancel()` of `readable` closes the connection with 1000, `abort()` of `writable` with 1011, as what was to follow is
 *   missing. With a reason, both close with the reason's `closeCode`, or with 1011 if it has none. `abort()` and
 *   the option `signal` give up a write that waits for the peer. The `signal` of `pipeTo` does not: by the Streams
 *   standard, a pipe waits for its last write before it looks at it.
 *
 * @throws UsageError `ERR_WS_INVALID_OPTION` naming what is wrong, `ERR_WS_CONCURRENT_READ` when `onMessage` takes the
 * messages
 *
 * @example
 * ```ts run
 * import { dial, serve, toWebStreams } from 'silverback'
 *
 * await using server = await serve({}, async (conn) => {
 *   const { readable, writable } = toWebStreams(conn)
 *   await readable.pipeTo(writable)
 * })
 * const conn = await dial(server.url)
 * conn.send(new Uint8Array([1, 2, 3]))
 * console.log(await conn.read()) // <Buffer 01 02 03>
 * await conn.close()
 * ```
 */
export function toWebStreams(
  conn: Conn,
  options: StreamOptions & { readonly objectMode: true },
): WebStreams<Data, Sendable>
export function toWebStreams(
  conn: Conn,
  options?: StreamOptions & { readonly objectMode?: false | undefined },
): WebStreams
export function toWebStreams(
  conn: Conn,
  options: StreamOptions,
): WebStreams<Data, string | Uint8Array | ArrayBuffer>
export function toWebStreams(conn: Conn, options: StreamOptions = {}): WebStreams<Data, Sendable> {
  checkStreamOptions(options)
  const { allowHalfOpen = false, signal } = options
  const adapter = new StreamAdapter(conn, options)
  /** Aborted when what is written is given up, also while it waits. */
  const given = new AbortController()
  const controllers: { error(reason: unknown): void }[] = []
  const isFine = (error: unknown): boolean => allowHalfOpen && StreamAdapter.isLate(error)
  /** Whatever fails one direction leaves no use for the other. */
  const closing = async <T>(result: () => T | Promise<T>): Promise<T> => {
    try {
      return await result()
    } catch (error) {
      adapter.close(error, false)
      throw error
    }
  }
  const write = async (data: Sendable): Promise<void> => {
    const room = adapter.write(data)
    if (room === undefined) return
    await abortable(room, given.signal).catch((error) => {
      if (!isFine(error)) throw error
    })
  }

  const readable = new ReadableStream<Data>(
    {
      start: (controller) => void controllers.push(controller),
      async pull(controller) {
        const chunk = await closing(() => adapter.read())
        if (chunk === undefined) controller.close()
        else controller.enqueue(chunk)
      },
      cancel: (reason) => adapter.close(reason, true),
    },
    { highWaterMark: 0 },
  )
  const writable = new WritableStream<Sendable>({
    start(controller) {
      controllers.push(controller)
      // In Node since 18, but not in its types.
      const { signal: aborted } = controller as unknown as { readonly signal: AbortSignal }
      onAbort(aborted, () => given.abort(aborted.reason))
      void adapter.ended().then((error) => {
        // A turn later: who pipes one into the other ends in order where the peer does.
        if (!isFine(error)) setImmediate(() => controller.error(error))
      })
    },
    write: (data) => closing(() => write(data)),
    close: () => closing(() => abortable(adapter.finish(), given.signal)),
    abort: (reason) => adapter.close(reason, false),
  })

  if (signal !== undefined) {
    const stop = onAbort(signal, () => {
      for (const controller of controllers) controller.error(signal.reason)
      given.abort(signal.reason)
      adapter.close(signal.reason, false)
    })
    void conn.closed.then(stop)
  }
  return { readable, writable }
}
