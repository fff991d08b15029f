import { ReadableStream, WritableStream } from 'node:stream/web'
import type { Data } from '../session/message.ts'
import type { Sendable } from '../session/session.ts'
import type { Conn } from './conn.ts'
import { checkStreamOptions, StreamAdapter, type StreamOptions, streamOptionNames } from './stream-adapter.ts'

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
 *   else it fails with the `CloseError`. `writable` fails with it either way.
 * - `cancel()` of `readable` closes the connection with 1000, `abort()` of `writable` with 1011, as what was to follow is
 *   missing. With a reason, both close with the reason's `closeCode`, or with 1011 if it has none.
 *
 * @throws UsageError `ERR_WS_INVALID_OPTION` naming what is wrong
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
export function toWebStreams(conn: Conn, options: StreamOptions = {}): WebStreams<Data, Sendable> {
  checkStreamOptions(options, streamOptionNames)
  const adapter = new StreamAdapter(conn, options)
  const { signal } = options
  const failures: ((error: unknown) => void)[] = []
  /** Whatever fails one direction leaves no use for the other. */
  const closing = async <T>(result: () => T | Promise<T>): Promise<T> => {
    try {
      return await result()
    } catch (error) {
      adapter.close(error, false)
      throw error
    }
  }

  const readable = new ReadableStream<Data>(
    {
      start(controller) {
        failures.push((error) => controller.error(error))
      },
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
      failures.push((error) => controller.error(error))
      // A turn later: who pipes one into the other ends in order where the peer does.
      void adapter.ended().then((error) => setImmediate(() => controller.error(error)))
    },
    write: (data) => closing(() => adapter.write(data)),
    close: () => closing(() => adapter.finish()),
    abort: (reason) => adapter.close(reason, false),
  })

  if (signal !== undefined) {
    const onAbort = (): void => {
      for (const fail of failures) fail(signal.reason)
      adapter.close(signal.reason, false)
    }
    if (signal.aborted) onAbort()
    signal.addEventListener('abort', onAbort, { once: true })
    void conn.closed.then(() => signal.removeEventListener('abort', onAbort))
  }
  return { readable, writable }
}
