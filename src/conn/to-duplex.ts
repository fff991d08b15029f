import { Duplex } from 'node:stream'
import { CloseError } from '../session/errors.ts'
import type { Sendable } from '../session/session.ts'
import type { Conn } from './conn.ts'
import { endsQuietly } from './message-iterator.ts'
import { destroyOnAbort, pushNext, surviveErrors } from './node-streams.ts'
import {
  checkStreamOptions,
  invalidOption,
  StreamAdapter,
  type StreamOptions,
  streamOptionNames,
} from './stream-adapter.ts'

/** How a connection is seen as a Node stream. */
export interface DuplexOptions extends StreamOptions {
  /**
   * Whether `end()` leaves the connection open, to read until the peer closes it. WebSocket has no half-close: the peer
   * does not hear of it. Default false: `end()` closes with 1000.
   */
  readonly allowHalfOpen?: boolean | undefined
}

/**
 * A connection as a Node stream, for `pipeline` with sockets, files, processes and transforms. Reading holds the peer
 * back, writing waits for it. From here on the stream takes the messages.
 *
 * - By default it is a stream of bytes: each write is a binary message, and the bytes of binary messages are read, of
 *   any size up to `maxStreamSize`. `type: 'text'` does the same with text; a character that is cut between two writes
 *   goes with the second. With `objectMode`, strings are text messages and bytes binary ones.
 * - `end()` closes the connection with 1000 once all is sent, and `finish` tells that the peer has answered. What the
 *   peer sends until then is read; beyond `maxQueuedBytes` of it waiting, the stream fails instead of leaving a gap.
 * - `end` is emitted when the peer has closed in order (1000, 1001, or no code); the stream then ends itself. Otherwise
 *   it fails with the `CloseError`. An error of the connection that nobody listens for does not end the process.
 * - `destroy()` closes with 1000 if all that was written has left, and with 1011 if not, or if there is an error; with
 *   the error's `closeCode` if it has one.
 *
 * @throws UsageError `ERR_WS_INVALID_OPTION` naming what is wrong
 *
 * @example
 * ```ts
 * import { connect } from 'node:net'
 * import { pipeline } from 'node:stream/promises'
 * import { serve, toDuplex } from 'silverback'
 *
 * // Browsers reach a TCP service.
 * await using server = await serve({}, async (conn) => {
 *   const service = connect(5900, '127.0.0.1')
 *   await pipeline(service, toDuplex(conn), service)
 * })
 * ```
 */
export function toDuplex(conn: Conn, options: DuplexOptions = {}): Duplex {
  checkStreamOptions(options, [...streamOptionNames, 'allowHalfOpen'])
  if (options.allowHalfOpen !== undefined && typeof options.allowHalfOpen !== 'boolean')
    throw invalidOption('allowHalfOpen must be a boolean')
  return new ConnDuplex(conn, options)
}

class ConnDuplex extends Duplex {
  readonly #adapter: StreamAdapter

  constructor(conn: Conn, options: DuplexOptions) {
    const { objectMode = false, allowHalfOpen = false, signal } = options
    // Nothing is read ahead: what waits, waits in the connection, and is not lost when the stream is destroyed.
    super({ objectMode, allowHalfOpen, readableHighWaterMark: 0 })
    this.#adapter = new StreamAdapter(conn, options)
    surviveErrors(this)
    destroyOnAbort(this, signal)
    // Else nobody would be told of a lost connection who only writes, and has nothing to write.
    this.read(0)
  }

  override _read(): void {
    pushNext(this, () => this.#adapter.read())
  }

  override _write(chunk: Sendable, _encoding: BufferEncoding, callback: (error?: Error) => void): void {
    let room: Promise<void> | undefined
    try {
      room = this.#adapter.write(chunk)
    } catch (error) {
      return callback(error as Error)
    }
    if (room === undefined) callback()
    else
      room.then(
        () => callback(),
        (error) => this.#writeFailed(error, callback),
      )
  }

  override _final(callback: (error?: Error) => void): void {
    if (!this.allowHalfOpen) {
      this.#adapter.finish().then(() => callback(), callback)
      return
    }
    try {
      this.#adapter.checkComplete()
      callback()
    } catch (error) {
      callback(error as Error)
    }
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    this.#adapter.cancel()
    this.#adapter.close(error, this.writableLength === 0)
    callback(error)
  }

  #writeFailed(error: unknown, callback: (error: Error) => void): void {
    const inOrder = error instanceof CloseError && endsQuietly(error.info)
    // What the peer said before it closed would be lost to one who is reading it.
    if (inOrder && this.readableFlowing !== null && !this.readableEnded)
      this.once('end', () => callback(error))
    else callback(error as Error)
  }
}
