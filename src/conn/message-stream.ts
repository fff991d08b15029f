import { ReadableStream } from 'node:stream/web'
import { LimitError, UsageError } from '../session/errors.ts'
import type { Message, MessageType } from '../session/message.ts'
import { CloseCode } from '../wire/close-code.ts'
import { ChunkQueue } from './chunk-queue.ts'
import { silent } from './silent.ts'

/**
 * One message that is read while it comes. What is not read holds the peer back. Made by `conn.readStream` and
 * `conn.streams`.
 *
 * Bytes of a text message are checked as they come: they are UTF-8 all together, but a chunk may end inside a character.
 *
 * @example
 * ```ts
 * import { serve } from 'silverback'
 *
 * await using server = await serve({ limits: { maxStreamSize: 2 ** 40 } }, async (conn) => {
 *   for await (const message of conn.streams()) {
 *     let size = 0
 *     for await (const chunk of message) size += chunk.length
 *     conn.sendJson({ type: message.type, size })
 *   }
 * })
 * ```
 */
export class MessageStream implements AsyncIterable<Uint8Array> {
  /** Whether it is a text or a binary message; known before its first chunk. */
  readonly type: MessageType
  readonly #chunks: ChunkQueue
  readonly #maxMessageSize: number
  #done = false
  #readable: ReadableStream<Uint8Array> | undefined

  /** @internal */
  constructor(type: MessageType, chunks: ChunkQueue, maxMessageSize: number) {
    this.type = type
    this.#chunks = chunks
    this.#maxMessageSize = maxMessageSize
  }

  /** A message that has come whole. @internal */
  static of({ type, data }: Message, maxMessageSize: number): MessageStream {
    const bytes = typeof data === 'string' ? Buffer.from(data, 'utf8') : data
    const chunks = new ChunkQueue()
    chunks.push(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length), 0, bytes.length)
    chunks.end()
    return new MessageStream(type, chunks, maxMessageSize)
  }

  /** Whether it has been read to its end, failed, or was cancelled: only then the next message can be taken. */
  get done(): boolean {
    return this.#done
  }

  /**
   * Yields the chunks as they come. Leaving the loop early cancels the rest: who left has got what was wanted, anybody
   * else who reads on gets the error of {@link cancel}.
   *
   * @throws CloseError when the connection ends before the message
   * @throws UsageError `ERR_WS_STREAM_CANCELLED`, or the reason, when the rest was cancelled
   */
  [Symbol.asyncIterator](): AsyncIterableIterator<Uint8Array, undefined> {
    let left = false
    const step = async (): Promise<IteratorResult<Uint8Array, undefined>> => {
      try {
        const value = left ? undefined : await this.#next()
        return value === undefined ? { done: true, value } : { done: false, value }
      } catch (error) {
        if (left) return { done: true, value: undefined }
        throw error
      }
    }
    return {
      next: () => silent(step()),
      return: async () => {
        left = true
        this.cancel()
        return { done: true, value: undefined }
      },
      [Symbol.asyncIterator]() {
        return this
      },
    }
  }

  /**
   * The same as a Web stream. It holds nothing back: a chunk is taken when it is asked for. Its `cancel` is that of the
   * message, with the same reason.
   */
  get readable(): ReadableStream<Uint8Array> {
    this.#readable ??= new ReadableStream<Uint8Array>(
      {
        pull: async (controller) => {
          const chunk = await this.#next()
          if (chunk === undefined) controller.close()
          else controller.enqueue(chunk)
        },
        cancel: (reason) => this.cancel(reason),
      },
      { highWaterMark: 0 },
    )
    return this.#readable
  }

  /**
   * The whole message, for one that turned out to be small.
   *
   * @param maxSize - in bytes; default: `maxMessageSize`
   * @throws UsageError `ERR_WS_INVALID_ARGUMENT` when `maxSize` is no number from 0 to `Infinity`
   * @throws LimitError `ERR_WS_MESSAGE_TOO_LARGE` when it is longer; the rest is then cancelled, the connection stays
   * @throws CloseError when the connection ends before the message
   * @throws UsageError `ERR_WS_STREAM_CANCELLED`, or the reason, when the rest was cancelled
   */
  bytes(maxSize: number = this.#maxMessageSize): Promise<Uint8Array> {
    return silent(this.#collect(maxSize))
  }

  async #collect(maxSize: number): Promise<Uint8Array> {
    if (typeof maxSize !== 'number' || !(maxSize >= 0))
      throw new UsageError('ERR_WS_INVALID_ARGUMENT', `maxSize must be 0 or more, not ${String(maxSize)}`)
    const chunks: Uint8Array[] = []
    let length = 0
    for await (const chunk of this) {
      length += chunk.length
      if (length > maxSize) {
        const details = { limit: 'maxMessageSize', actual: length, max: maxSize }
        const message = `message of more than ${maxSize} bytes`
        throw new LimitError('ERR_WS_MESSAGE_TOO_LARGE', CloseCode.MessageTooBig, message, details)
      }
      chunks.push(chunk)
    }
    return chunks.length === 1 ? (chunks[0] as Uint8Array) : Buffer.concat(chunks, length)
  }

  /** The whole message as a string: see {@link bytes}. */
  text(maxSize: number = this.#maxMessageSize): Promise<string> {
    return silent(this.#decode(maxSize))
  }

  async #decode(maxSize: number): Promise<string> {
    const bytes = await this.#collect(maxSize)
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8')
  }

  /**
   * Drops the rest of the message: it is still received, but not kept. Whoever waits for it, or reads on, gets the
   * reason, so that nobody takes the beginning for the whole. Does nothing when the message has been read to its end.
   *
   * @param reason - default: a `UsageError` `ERR_WS_STREAM_CANCELLED`
   */
  cancel(reason?: unknown): void {
    if (this.#done) return
    this.#done = true
    this.#chunks.cancel(reason ?? cancelled())
  }

  async #next(): Promise<Uint8Array | undefined> {
    try {
      const chunk = await this.#chunks.take()
      if (chunk === undefined) this.#done = true
      return chunk
    } catch (error) {
      this.#done = true
      throw error
    }
  }
}

function cancelled(): UsageError {
  return new UsageError('ERR_WS_STREAM_CANCELLED', 'the rest of the message was cancelled before it was read')
}
