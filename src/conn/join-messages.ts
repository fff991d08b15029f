import { Readable } from 'node:stream'
import { UsageError } from '../session/errors.ts'
import type { Conn } from './conn.ts'
import { MessageBytes } from './message-bytes.ts'
import { destroyOnAbort, pushNext, surviveErrors } from './node-streams.ts'
import { signalOf } from './options.ts'

/** How messages are joined. */
export interface JoinOptions {
  /** Fails the stream with the signal's reason. The connection stays open. */
  readonly signal?: AbortSignal | undefined
}

/**
 * All messages of a connection, text and binary alike, as one Node stream of bytes. It is an async iterable of chunks,
 * `pipeline` takes it, `Readable.toWeb` makes a Web stream of it, and `setEncoding` text. Each message is read while it
 * comes, so one of any size up to `maxStreamSize` takes constant memory; what is not read holds the peer back.
 *
 * It ends when the connection ends in order, and fails with the `CloseError` otherwise; nobody need listen for that
 * error. Leaving a loop over it, or `destroy`, releases the connection, open as it was: the rest of a message that had
 * begun is dropped, and the next one is for whoever reads next.
 *
 * @param terminator - put behind each message, such as `'\n'`
 * @throws UsageError `ERR_WS_INVALID_ARGUMENT` when the terminator is neither a string nor bytes
 * @throws UsageError `ERR_WS_INVALID_OPTION` naming the option, `ERR_WS_CONCURRENT_READ` when `onMessage` takes the messages
 *
 * @example
 * ```ts run
 * import { dial, joinMessages, serve } from 'silverback'
 *
 * await using server = await serve({}, async (conn) => {
 *   for (const line of ['one', 'two']) conn.send(line)
 *   await conn.close()
 * })
 * const conn = await dial(server.url)
 * for await (const chunk of joinMessages(conn, '\n')) process.stdout.write(chunk) // one, two
 * ```
 */
export function joinMessages(
  conn: Conn,
  terminator: string | Uint8Array = '',
  options: JoinOptions = {},
): Readable {
  if (typeof terminator !== 'string' && !(terminator instanceof Uint8Array))
    throw new UsageError('ERR_WS_INVALID_ARGUMENT', 'the terminator is a string or a Uint8Array')
  const signal = signalOf(options)
  const bytes = Buffer.from(terminator as string)
  return new JoinedMessages(conn, bytes.length === 0 ? undefined : bytes, signal)
}

class JoinedMessages extends Readable {
  readonly #bytes: MessageBytes

  constructor(conn: Conn, terminator: Uint8Array | undefined, signal: AbortSignal | undefined) {
    super({ highWaterMark: 0 })
    this.#bytes = new MessageBytes(conn, { terminator })
    surviveErrors(this)
    destroyOnAbort(this, signal)
  }

  override _read(): void {
    pushNext(this, () => this.#bytes.read())
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    this.#bytes.cancel()
    callback(error)
  }
}
