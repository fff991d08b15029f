import { Duplex } from 'node:stream'
import type { Sendable } from '../session/session.ts'
import type { Conn } from './conn.ts'
import { destroyOnAbort, pushNext, surviveErrors } from './node-streams.ts'
import { checkStreamOptions, StreamAdapter, type StreamOptions } from './stream-adapter.ts'

/**
 * A connection as a Node stream, for `pipeline` with sockets, files, processes and transforms. Reading holds the peer
 * back, writing waits for it. From here on the stream takes the messages.
 *
 * - By default it is a stream of bytes: each write is a binary message, and the bytes of binary messages are read, of
 *   any size up to `maxStreamSize`. `type: 'text'` does the same with text; a character that is cut between two writes
 *   goes with the second. With `objectMode`, strings are text messages and bytes binary ones.
 * - `end()` closes the connection with 1000 once all is sent, and `finish` tells that the peer has answered. What the
 *   peer sends until then is read; beyond `maxQueuedBytes` of it waiting, the stream fails instead of leaving a gap.
 * - `end` is emitted when the peer has closed in order (1000, 1001, or no code); the stream then ends itself, or fails
 *   with the `CloseError` if something was written too late. However else the connection ends, the stream fails with the
 *   `CloseError`. An error of the connection that nobody listens for does not end the process.
 * - `destroy()` closes with 1000 if all that was written has left, and with 1011 if not, or if there is an error; with
 *   the error's `closeCode` if it has one.
 *
 * @throws UsageError `ERR_WS_INVALID_OPTION` naming what is wrong, `ERR_WS_CONCURRENT_READ` when `onMessage` takes the
 * messages
 *
 * @example
 * ```ts run
 * import { once } from 'node:events'
 * import { type AddressInfo, connect, createServer } from 'node:net'
 * import { pipeline } from 'node:stream/promises'
 * import { dial, serve, toDuplex } from 'silverback'
 *
 * const service = createServer((socket) => socket.pipe(socket)).listen(0, '127.0.0.1')
 * await once(service, 'listening')
 * const { port } = service.address() as AddressInfo
 *
 * // A WebSocket in front of a TCP service.
 * await using server = await serve({}, async (conn) => {
 *   const tcp = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
 *   await pipeline(tcp, toDuplex(conn, { allowHalfOpen: true }), tcp)
 * })
 * const conn = await dial(server.url)
 * conn.send(Buffer.from('hello'))
 * console.log(String(await conn.read())) // hello
 * await conn.close()
 * service.close()
 * ```
 */
export function toDuplex(conn: Conn, options: StreamOptions = {}): Duplex {
  checkStreamOptions(options)
  return new ConnDuplex(conn, options)
}

class ConnDuplex extends Duplex {
  readonly #adapter: StreamAdapter
  /** Something written came too late: the stream fails once all is read. */
  #lost = false

  constructor(conn: Conn, options: StreamOptions) {
    const { objectMode = false, allowHalfOpen = false, signal } = options
    // One piece is read ahead (see below), no more: what else waits, waits in the connection, and is not lost when the
    // stream is destroyed.
    // A string stays one: what is cut inside a character is put together again.
    super({ objectMode, allowHalfOpen, readableHighWaterMark: 0, decodeStrings: false })
    this.#adapter = new StreamAdapter(conn, options)
    surviveErrors(this)
    destroyOnAbort(this, signal)
    // Else nobody would be told of a lost connection who only writes, and has nothing to write.
    this.read(0)
  }

  override _read(): void {
    pushNext(this, () => this.#adapter.read())
  }

  override _write(chunk: Sendable, encoding: BufferEncoding, callback: (error?: Error) => void): void {
    const encoded = typeof chunk === 'string' && !this.writableObjectMode && !/^utf-?8$/i.test(encoding)
    let room: Promise<void> | undefined
    try {
      room = this.#adapter.write(encoded ? Buffer.from(chunk as string, encoding) : chunk)
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
    if (this.#lost) return
    this.#adapter.finish().then(() => callback(), callback)
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    // So Node leaves a loop over a stream.
    const left = (error as NodeJS.ErrnoException | null)?.code === 'ABORT_ERR' && error?.cause === undefined
    this.#adapter.close(left ? null : error, this.writableLength === 0)
    callback(error)
  }

  #writeFailed(error: Error, callback: (error?: Error) => void): void {
    const inOrder = StreamAdapter.isLate(error)
    if (inOrder && this.allowHalfOpen) callback()
    else if (inOrder && this.readableFlowing !== null && !this.readableEnded)
      this.#failBehindEnd(error, callback)
    else callback(error)
  }

  /**
   * What the peer said before it closed would be lost to one who is reading it. The write is taken as done: the reader
   * may wait for it before it reads on.
   */
  #failBehindEnd(error: Error, callback: () => void): void {
    if (!this.#lost) this.once('end', () => process.nextTick(() => this.destroy(error)))
    this.#lost = true
    callback()
  }
}
