import { ProtocolError } from '../session/errors.ts'
import type { MessageType } from '../session/message.ts'
import { CloseCode } from '../wire/close-code.ts'
import type { Conn } from './conn.ts'
import { endsQuietly } from './message-iterator.ts'
import type { MessageStream } from './message-stream.ts'

/** Which messages make the bytes. */
export interface MessageBytesOptions {
  /** Messages of the other type are refused. Default: both are taken. */
  readonly type?: MessageType | undefined
  /** What is put behind each message. */
  readonly terminator?: Uint8Array | undefined
}

/** The messages of a connection as one sequence of bytes, taken no faster than it is asked for. */
export class MessageBytes {
  readonly #type: MessageType | undefined
  readonly #terminator: Uint8Array | undefined
  readonly #conn: Conn
  readonly #given = new AbortController()
  readonly #messages: AsyncIterator<MessageStream, undefined>
  #message: MessageStream | undefined
  #chunks: AsyncIterator<Uint8Array, undefined> | undefined

  constructor(conn: Conn, { type, terminator }: MessageBytesOptions = {}) {
    this.#conn = conn
    this.#type = type
    this.#terminator = terminator
    this.#messages = conn.streams({ signal: this.#given.signal })[Symbol.asyncIterator]()
  }

  /**
   * The next bytes, at least one; `undefined` when the connection has ended in order. To be called one at a time.
   *
   * @throws CloseError when it has ended otherwise
   * @throws ProtocolError `ERR_WS_MESSAGE_TYPE` when a message of the other type has come: it is left unread
   */
  async read(): Promise<Uint8Array | undefined> {
    for (;;) {
      this.#chunks ??= await this.#next()
      if (this.#chunks === undefined) return undefined
      const { value } = await this.#chunks.next()
      if (value !== undefined) return value
      this.#chunks = undefined
      if (this.#terminator !== undefined) return Buffer.from(this.#terminator)
    }
  }

  /** Reads no more: of a message that has begun the rest is dropped, the next one is for others. */
  cancel(): void {
    this.#given.abort()
    this.#message?.cancel(this.#given.signal.reason)
  }

  async #next(): Promise<AsyncIterator<Uint8Array, undefined> | undefined> {
    const { value } = await this.#messages.next()
    if (value === undefined) {
      // A loop over a connection of `reconnect` ends quietly whatever happened: bytes that are missing need telling.
      if (endsQuietly(await this.#conn.closed)) return undefined
      throw await this.#conn.ended()
    }
    this.#message = value
    // It may have come just before we were told.
    if (this.#given.signal.aborted) value.cancel(this.#given.signal.reason)
    if (this.#type === undefined || value.type === this.#type) return value[Symbol.asyncIterator]()
    value.cancel()
    const message = `${value.type} message where only ${this.#type} is taken`
    throw new ProtocolError('ERR_WS_MESSAGE_TYPE', CloseCode.UnsupportedData, message)
  }
}
