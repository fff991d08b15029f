import type { CloseFrame } from '../session/close-info.ts'
import { CloseError, ProtocolError, UsageError } from '../session/errors.ts'
import type { Data, Message, MessageType } from '../session/message.ts'
import type { Sendable } from '../session/session.ts'
import { CloseCode } from '../wire/close-code.ts'
import { unfinishedTail } from '../wire/utf8.ts'
import { closeFrameOf } from './close-frame-of.ts'
import type { Conn } from './conn.ts'
import { MessageBytes } from './message-bytes.ts'
import { endsQuietly } from './message-iterator.ts'
import { checkNames, checkSignal } from './options.ts'
import { SurrogateJoiner } from './surrogate-joiner.ts'

/** What the messages of a connection are as streams. */
export interface StreamOptions {
  /**
   * Streams of bytes: each write is sent as a message of this type, and the bytes of messages of this type are read.
   * One of the other type fails the stream and closes the connection with 1003. Default `binary`.
   */
  readonly type?: MessageType | undefined
  /** Streams of messages instead: a text is a string, a binary message is a `Uint8Array`, both ways. Default false. */
  readonly objectMode?: boolean | undefined
  /**
   * Whether what is written once the peer has closed in order is dropped, until the writing side is ended. That is for
   * bridges and for what is piped back through something slow, where the other side needs time to end, too. Default
   * false: what is written then fails with the `CloseError`.
   */
  readonly allowHalfOpen?: boolean | undefined
  /**
   * Fails the streams with the signal's reason (a Node stream with an `AbortError` if that is no `Error`), and closes the
   * connection with 1011, or the reason's `closeCode`.
   */
  readonly signal?: AbortSignal | undefined
}

const streamOptionNames: readonly (keyof StreamOptions)[] = ['type', 'objectMode', 'allowHalfOpen', 'signal']

/** Longer payloads may be sent from where they lie, but a stream's writer may use its buffer again. */
const COPIED_BY_CONN = 16 * 1024

/** @throws UsageError `ERR_WS_INVALID_OPTION` naming what is wrong */
export function checkStreamOptions(options: StreamOptions): void {
  checkNames(options, streamOptionNames)
  const { type, objectMode, allowHalfOpen, signal } = options
  if (type !== undefined && type !== 'text' && type !== 'binary')
    throw invalidOption(`type must be 'text' or 'binary', not ${String(type)}`)
  if (objectMode !== undefined && typeof objectMode !== 'boolean')
    throw invalidOption('objectMode must be a boolean')
  if (allowHalfOpen !== undefined && typeof allowHalfOpen !== 'boolean')
    throw invalidOption('allowHalfOpen must be a boolean')
  if (objectMode === true && type !== undefined)
    throw invalidOption('type is for streams of bytes; with objectMode each message has its own')
  checkSignal(signal)
}

/** A connection as something to read from and to write to: what Node's streams and Web streams have in common. */
export class StreamAdapter {
  readonly #conn: Conn
  readonly #type: MessageType | undefined
  readonly #bytes: MessageBytes | undefined
  readonly #messages: AsyncIterator<Message, undefined>
  /** The beginning of a character whose end is to come with the next write. */
  #half: Uint8Array | undefined
  /** The same of strings. */
  readonly #halves = new SurrogateJoiner()

  constructor(conn: Conn, { type = 'binary', objectMode = false }: StreamOptions) {
    this.#conn = conn
    this.#type = objectMode ? undefined : type
    this.#bytes = objectMode ? undefined : new MessageBytes(conn, { type })
    this.#messages = conn.messages()[Symbol.asyncIterator]()
  }

  /**
   * The next message or bytes; `undefined` when the connection has ended in order. To be called one at a time.
   *
   * @throws CloseError when it has ended otherwise, also when we have closed it before the peer had said all
   * @throws ProtocolError `ERR_WS_MESSAGE_TYPE` when a message is not of the one type
   */
  async read(): Promise<Data | undefined> {
    const data = await (this.#bytes?.read() ?? this.#nextMessage())
    if (data === undefined && (await this.#isIncomplete())) throw await this.ended()
    return data
  }

  /**
   * Sends a message.
   *
   * @returns a promise when the next one should wait
   * @throws UsageError `ERR_WS_INVALID_ARGUMENT` for what is no message
   * @throws ProtocolError `ERR_WS_INVALID_UTF8` for bytes that are no text; in the promise: CloseError when it is too late
   */
  write(data: Sendable): Promise<void> | undefined {
    // Others may send, too: beyond this the slow policy would have this message, or the connection, dropped.
    if (this.#conn.bufferedAmount > this.#conn.maxSendBuffer)
      return this.#conn.drained().then(() => this.write(data))
    const whole = this.#ownData(data)
    if (whole === undefined || this.#send(whole)) return undefined
    return this.#conn.drained()
  }

  /**
   * Closes the connection with 1000 once what was written has left. Resolves when the peer has answered.
   *
   * @throws CloseError when the connection did not end in order
   * @throws ProtocolError `ERR_WS_INVALID_UTF8` when the bytes of a text end inside a character
   */
  async finish(): Promise<void> {
    if (this.#half !== undefined) throw notText('the text ends inside a character')
    if (this.#halves.waits) this.#send(this.#halves.flush())
    // The time for closing is limited, that for sending is not.
    await this.#conn.drained().catch(() => {})
    const info = await this.#conn.close()
    // Without the peer's Close frame nobody knows what it has got.
    if (info.received === undefined || !endsQuietly(info)) throw await this.ended()
  }

  /**
   * Closes the connection: with 1000 when nothing went wrong and nothing is missing, else with the `closeCode` that the
   * error has, or with 1011.
   */
  close(error: unknown, complete: boolean): void {
    if (this.#conn.state !== 'open') return
    const { code, reason } = closeFrame(error, complete && this.#half === undefined && !this.#halves.waits)
    void this.#conn.close(code, reason)
  }

  /** Whether this is only that the connection has ended, in order. */
  static isLate(error: unknown): boolean {
    return error instanceof CloseError && endsQuietly(error.info)
  }

  /** The connection's own error, once it has ended. */
  ended(): Promise<unknown> {
    return this.#conn.ended()
  }

  /**
   * Whether something went wrong, or we have closed before the peer had said all: it has not answered, or something
   * came that there was no room for, as behind our Close frame nothing holds it back.
   */
  async #isIncomplete(): Promise<boolean> {
    const info = await this.#conn.closed
    const { by, received, stats } = info
    // A loop over a connection of `reconnect` ends quietly whatever happened.
    if (!endsQuietly(info)) return true
    return by === 'local' && (received === undefined || stats.receivesDropped > 0)
  }

  async #nextMessage(): Promise<Data | undefined> {
    const { value } = await this.#messages.next()
    return value?.data
  }

  /** What can be sent now and kept: a stream may be cut anywhere, but a text message only between two characters. */
  #ownData(data: Sendable): Sendable | undefined {
    const half = this.#half
    if (typeof data === 'string' && half === undefined) return this.#ownText(data)
    let bytes = typeof data === 'string' ? Buffer.from(data, 'utf8') : toBytes(data)
    if (bytes === undefined) return data
    if (this.#halves.waits) bytes = Buffer.concat([Buffer.from(this.#halves.flush(), 'utf8'), bytes])
    if (this.#type === 'text') {
      if (half !== undefined) bytes = Buffer.concat([half, bytes])
      const end = unfinishedTail(bytes, 0, bytes.length)
      this.#half = end < bytes.length ? Buffer.from(bytes.subarray(end)) : undefined
      if (end === 0 && bytes.length > 0) return undefined
      bytes = bytes.subarray(0, end)
    }
    return bytes.length > COPIED_BY_CONN ? Buffer.from(bytes) : bytes
  }

  /** The text without the half of a character at its end. In objects each string is a message of its own. */
  #ownText(text: string): string | undefined {
    if (this.#type === undefined) return text
    const whole = this.#halves.join(text)
    return whole === '' && this.#halves.waits ? undefined : whole
  }

  #send(data: Sendable): boolean {
    try {
      return this.#conn.send(data, this.#type)
    } catch (cause) {
      // What is piped into a stream is often a third party's: its bytes must not count as a mistake of the caller.
      if (this.#type === 'text' && data instanceof Uint8Array) throw notText('the text is not UTF-8', cause)
      throw cause
    }
  }
}

/** The bytes that were given, if they are bytes. */
function toBytes(data: Sendable): Uint8Array | undefined {
  if (data instanceof Uint8Array) return data
  if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
  return data instanceof ArrayBuffer ? new Uint8Array(data) : undefined
}

/** For what was written to a stream of text and is none. */
function notText(message: string, cause?: unknown): ProtocolError {
  return new ProtocolError('ERR_WS_INVALID_UTF8', CloseCode.InvalidPayload, message, { cause })
}

/** What the peer is told when a stream is given up. */
function closeFrame(error: unknown, complete: boolean): CloseFrame {
  const fine = complete && (error === undefined || error === null)
  return closeFrameOf(error) ?? { code: fine ? CloseCode.Normal : CloseCode.InternalError, reason: '' }
}

/** For what is wrong with the options of streams. */
function invalidOption(message: string): UsageError {
  return new UsageError('ERR_WS_INVALID_OPTION', message)
}
