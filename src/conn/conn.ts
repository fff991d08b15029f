import { randomUUID } from 'node:crypto'
import type { Duplex } from 'node:stream'
import { resolveLimits } from '../protocol/limits.ts'
import type { CloseInfo, ConnStats } from '../session/close-info.ts'
import { type CloseError, UsageError } from '../session/errors.ts'
import type { HandshakeRequest, HandshakeResponse } from '../session/handshake-request.ts'
import type { Data, Message, MessageType } from '../session/message.ts'
import { checkSendable } from '../session/prepared.ts'
import type { StandardSchema } from '../session/schema.ts'
import type { Sendable, Session } from '../session/session.ts'
import { CloseCode } from '../wire/close-code.ts'
import { type ControlHandlers, checkCloseFrame, checkControlHandlers, controlNames } from './control.ts'
import type { MessageListener, TextAs } from './inbox.ts'
import { checkJsonOptions, type JsonOptions, jsonIterator } from './json.ts'
import type { Link } from './link.ts'
import { messageIterator } from './message-iterator.ts'
import type { MessageStream } from './message-stream.ts'
import { MessageWriter } from './message-writer.ts'
import { onAbort } from './on-abort.ts'
import { checkNames, signalOf } from './options.ts'
import { silent } from './silent.ts'
import { stringify } from './stringify.ts'

/** How messages are given. */
export interface MessagesOptions {
  /** `bytes` leaves text undecoded (checked UTF-8): cheaper when it is only passed on. Default `string`. */
  readonly text?: TextAs | undefined
  /** Ends the iteration with the signal's reason while it waits; no message is lost. */
  readonly signal?: AbortSignal | undefined
}

/** How what waits is given up. */
interface SignalOption {
  readonly signal?: AbortSignal | undefined
}

/** What the opening handshake settled about a connection. */
export interface ConnDetails<Subprotocol extends string = string> {
  readonly request?: HandshakeRequest | undefined
  readonly response?: HandshakeResponse | undefined
  readonly subprotocol: Subprotocol | ''
  readonly extensions: string
  readonly remoteAddress: string | undefined
}

/**
 * A WebSocket connection (RFC 6455), on either side. Made by an `Upgrader`, `serve` or `dial`.
 *
 * Messages are taken in one of three ways: by iterating, one by one with `read`, or by `onMessage`. They are kept,
 * bounded, until somebody does; then the peer is held back. Pings are answered and sent by the connection itself.
 * Sending from several places at once is safe: messages leave whole and in order.
 *
 * @example
 * ```ts
 * import { dial, serve } from 'silverback'
 *
 * await using server = await serve({}, async (conn) => {
 *   for await (const message of conn) conn.send(message)
 * })
 * await using conn = await dial(server.url)
 * conn.send('hello')
 * console.log(await conn.read()) // hello
 * ```
 */
export class Conn<Subprotocol extends string = string> implements Session, AsyncDisposable {
  /** What is kept of the HTTP request that opened it; `undefined` on a client. */
  readonly request: HandshakeRequest | undefined
  /** What is kept of the server's answer; `undefined` on a server. */
  readonly response: HandshakeResponse | undefined
  /**
   * The negotiated subprotocol (RFC 6455 section 1.9); empty when there is none. Its type is that of the names that
   * `subprotocols` lists, where they are written there.
   */
  readonly subprotocol: Subprotocol | ''
  /** The negotiated extensions as the header says them (RFC 6455 section 9.1); empty when there are none. */
  readonly extensions: string
  /** The peer's IP address. Behind a proxy that is the proxy's. */
  readonly remoteAddress: string | undefined
  readonly #link: Link
  #id: string | undefined

  /** @internal */
  constructor(link: Link, details: ConnDetails<Subprotocol>) {
    this.#link = link
    this.request = details.request
    this.response = details.response
    this.subprotocol = details.subprotocol
    this.extensions = details.extensions
    this.remoteAddress = details.remoteAddress
  }

  /** Has iterating end quietly, however this ends: whoever made the connection judges its end. @internal */
  endQuietly(): void {
    this.#link.quietEnd = true
  }

  /** Ends it since too much waits to be sent. @internal */
  tooSlow(): void {
    this.#link.sender.tooSlow()
  }

  /** Begins to close it, when there is time for what the peer has sent before. @internal */
  drain(code: number, reason: string): Promise<CloseInfo> {
    return this.#link.close(code, reason, undefined, true)
  }

  /** Drops it since its end has taken so many milliseconds. @internal */
  expire(milliseconds: number): void {
    this.#link.expire(milliseconds)
  }

  /** Once it has ended: the error that all get who still want something of it. @internal */
  ended(): Promise<CloseError> {
    return this.#link.ended()
  }

  /** A random UUID. */
  get id(): string {
    this.#id ??= randomUUID()
    return this.#id
  }

  /** `open` until either side begins to close, `closed` once the TCP connection is gone. */
  get state(): 'open' | 'closing' | 'closed' {
    return this.#link.state
  }

  /** Bytes that wait to be sent, frame headers included. */
  get bufferedAmount(): number {
    return this.#link.sender.bufferedAmount
  }

  /** Above this many waiting bytes the slow policy applies: the limit of that name. */
  get maxSendBuffer(): number {
    return this.#link.limits.maxSendBuffer
  }

  /**
   * Whether messages sent from now on are compressed, where the handshake agreed on that. Set it to `false` around a
   * secret that stands beside what others can choose: the length of a compressed message tells of its contents. What
   * is received is not affected. Default true.
   *
   * @throws UsageError `ERR_WS_INVALID_ARGUMENT` when set to what is no boolean
   *
   * @example
   * ```ts
   * import { serve } from 'silverback'
   * await using server = await serve({ compression: true }, (conn) => {
   *   conn.compress = false
   *   conn.sendJson({ token: 'secret' })
   *   conn.compress = true
   * })
   * ```
   */
  get compress(): boolean {
    return this.#link.compress
  }

  set compress(compress: boolean) {
    if (typeof compress !== 'boolean') {
      throw new UsageError('ERR_WS_INVALID_ARGUMENT', `compress must be a boolean, not ${typeof compress}`)
    }
    this.#link.compress = compress
  }

  /**
   * Sets zlib's effort for what is sent from now on, where the handshake agreed on compression; see `compression.level`.
   *
   * @param level - 0 (none) to 9
   * @throws UsageError `ERR_WS_INVALID_ARGUMENT` for anything else
   */
  setCompressionLevel(level: number): void {
    if (!Number.isInteger(level) || level < 0 || level > 9)
      throw invalid(`the level must be an integer from 0 to 9, not ${String(level)}`)
    this.#link.compressionLevel = level
  }

  /**
   * The longest message taken on this connection, in bytes: at first the limit of that name. What is set holds for frames
   * that have not begun to come, and for frames as for messages: small before a client has signed in, larger behind it.
   *
   * @throws UsageError `ERR_WS_INVALID_OPTION` when set to what the limit may not be
   *
   * @example
   * ```ts
   * import { serve } from 'silverback'
   * declare function signIn(message: unknown): Promise<boolean>
   * await using server = await serve({ limits: { maxMessageSize: 1024 } }, async (conn) => {
   *   const known = await signIn(await conn.read())
   *   if (known) conn.maxMessageSize = 1024 * 1024
   * })
   * ```
   */
  get maxMessageSize(): number {
    return this.#link.limits.maxMessageSize
  }

  set maxMessageSize(maxMessageSize: number) {
    this.#link.maxMessageSize = resolveLimits({ maxMessageSize }).maxMessageSize
  }

  /**
   * The stream under the connection, for what only it can tell: addresses, certificates, socket options. Bytes read from
   * it or written to it are missing from, or get between, those of the connection.
   */
  get socket(): Duplex {
    return this.#link.socket
  }

  /** The counters as they are now. */
  get stats(): ConnStats {
    return this.#link.stats
  }

  /** Resolves when the TCP connection is gone, and says how it ended. Never rejects. */
  get closed(): Promise<CloseInfo> {
    return this.#link.closed
  }

  /**
   * Sends one message. All that is sent in one turn of the event loop leaves in one write. Bytes above 16 KiB are
   * not copied on a server: leave them unchanged until they have been sent.
   *
   * Never throws for what the peer does: a message sent after the end is dropped and counted.
   *
   * @param type - `text` sends bytes as a text message: what `text: 'bytes'` delivered goes on undecoded. `binary`
   * sends a string as its UTF-8 bytes. Default: strings are text, bytes are binary.
   * @returns `true`: send on. `false`: more than 64 KiB wait (the message is among them), or nothing was sent since
   * the slow policy dropped it or the connection has ended; `await drained()` tells which.
   * @throws UsageError `ERR_WS_INVALID_ARGUMENT` when `data` is none of the types, or bytes for a text are not UTF-8
   *
   * @example
   * ```ts
   * import { dial, serve } from 'silverback'
   * await using server = await serve({}, (conn) => conn.onMessage(() => {}))
   * await using conn = await dial(server.url)
   * for (let i = 0; i < 1000; i++) {
   *   if (!conn.send('x'.repeat(10_000))) await conn.drained()
   * }
   * ```
   */
  send(data: Sendable, type?: MessageType): boolean {
    return this.#link.sender.send(data, type)
  }

  /**
   * Sends a value as JSON in a text message.
   *
   * @returns as {@link send}
   * @throws UsageError `ERR_WS_INVALID_ARGUMENT` when JSON cannot hold the value (a cycle, a BigInt, a function)
   */
  sendJson(value: unknown): boolean {
    return this.#link.sender.send(stringify(value), 'text')
  }

  /**
   * Resolves when there is room to send: at once below the mark where `send` says `false`, else when the socket has
   * taken what waits. Giving up by `signal` leaves the connection as it was, and what waits still goes out.
   *
   * @throws CloseError when the connection has ended
   * @throws the signal's reason when that is aborted
   *
   * @example
   * ```ts
   * import { dial, serve } from 'silverback'
   * await using server = await serve({}, (conn) => conn.onMessage(() => {}))
   * await using conn = await dial(server.url)
   * conn.send('x'.repeat(1_000_000))
   * await conn.drained({ signal: AbortSignal.timeout(5_000) }) // a deadline for writing
   * ```
   */
  drained(options?: { readonly signal?: AbortSignal | undefined }): Promise<void> {
    return options === undefined ? this.#link.drained() : silent(this.#drained(options))
  }

  async #drained(options: SignalOption): Promise<void> {
    return this.#link.drained(signalOf(options))
  }

  /**
   * Begins a message that is sent while it is made: what is written leaves at once, in frames of its own. Until the
   * writer is closed, other messages wait behind it, in the order in which they were sent.
   *
   * @param type - default `binary`
   * @throws UsageError `ERR_WS_INVALID_ARGUMENT` for another type
   *
   * @example
   * ```ts
   * import { createReadStream } from 'node:fs'
   * import { Readable } from 'node:stream'
   * import { serve } from 'silverback'
   *
   * await using server = await serve({}, async (conn) => {
   *   const file = Readable.toWeb(createReadStream('README.md'))
   *   await file.pipeTo(conn.writeStream('text').writable)
   * })
   * ```
   */
  writeStream(type: MessageType = 'binary'): MessageWriter {
    if (type !== 'text' && type !== 'binary')
      throw invalid(`a message's type is 'text' or 'binary', not ${String(type)}`)
    return new MessageWriter(this.#link, type)
  }

  /**
   * Sends a ping or pong of your own (RFC 6455 sections 5.5.2 and 5.5.3). To measure the round trip use {@link ping}.
   *
   * @param payload - at most 125 bytes; a string is sent as UTF-8
   * @returns whether it is on its way: not once the connection is closing, nor while more than `maxSendBuffer` waits
   * @throws UsageError `ERR_WS_INVALID_ARGUMENT` for a longer payload or another type
   */
  sendControl(type: 'ping' | 'pong', payload: string | Uint8Array = ''): boolean {
    if (type !== 'ping' && type !== 'pong')
      throw invalid(`a control frame is a 'ping' or a 'pong', not ${String(type)}`)
    if (typeof payload !== 'string' && !(payload instanceof Uint8Array))
      throw invalid('the payload of a control frame is a string or a Uint8Array')
    const bytes = checkSendable(
      typeof payload === 'string' ? Buffer.from(payload, 'utf8') : payload,
      'binary',
    )
    return this.#link.sendControl(type, bytes as Uint8Array)
  }

  /**
   * Hears of control frames (RFC 6455 section 5.5), which the connection deals with by itself. Called again, it replaces
   * the handlers.
   *
   * @throws UsageError `ERR_WS_INVALID_OPTION` naming what is wrong
   *
   * @example
   * ```ts
   * import { serve } from 'silverback'
   * await using server = await serve({}, (conn) => {
   *   conn.onControl({
   *     ping: (payload) => console.log('pinged with', payload.length, 'bytes'),
   *     close: ({ code }) => ({ code, reason: 'see you' }),
   *   })
   * })
   * ```
   */
  onControl(handlers: ControlHandlers): void {
    checkNames(handlers, controlNames)
    checkControlHandlers(handlers)
    this.#link.control = handlers
  }

  /**
   * The next message. Giving up by `signal` loses no message and leaves the connection as it was. When several reads
   * wait, the messages go to them in the order of the calls. Bytes may share their `buffer` with those of other
   * messages: copy them before you transfer it.
   *
   * @throws CloseError when there is no more message: each time the same error
   * @throws UsageError `ERR_WS_CONCURRENT_READ` when `onMessage` takes the messages
   * @throws the signal's reason when that is aborted
   *
   * @example
   * ```ts
   * import { dial, serve } from 'silverback'
   * await using server = await serve({}, (conn) => void conn.send('hello'))
   * await using conn = await dial(server.url)
   * console.log(await conn.read({ signal: AbortSignal.timeout(1_000) })) // hello
   * ```
   */
  read(options?: { readonly signal?: AbortSignal | undefined }): Promise<Data> {
    return silent(this.#read(options))
  }

  async #read(options: SignalOption | undefined): Promise<Data> {
    const message = await this.#link.inbox.take('string', signalOf(options))
    if (message === undefined) throw this.#link.closeError
    return message.data
  }

  /** Yields the messages until the end: quietly after 1000, 1001, 1005 or our own `close`, else by throwing a `CloseError`. */
  [Symbol.asyncIterator](): AsyncIterableIterator<Data, undefined> {
    return messageIterator(
      this.#link,
      (owner) => this.#link.inbox.take('string', undefined, owner),
      (message) => message.data,
    )
  }

  /**
   * The messages with their type told, which text kept as bytes needs.
   *
   * @param options - `text: 'bytes'` leaves text undecoded (checked UTF-8): cheaper when it is only passed on
   *
   * @example
   * ```ts
   * import { dial, serve } from 'silverback'
   * await using server = await serve({}, (conn) => void conn.send('é'))
   * await using conn = await dial(server.url)
   * for await (const { type, data } of conn.messages({ text: 'bytes' })) {
   *   console.log(type, data.length) // text 2
   *   break
   * }
   * ```
   */
  messages(options: MessagesOptions & { readonly text: 'bytes' }): AsyncIterable<Message<Uint8Array>>
  messages(options?: MessagesOptions): AsyncIterable<Message>
  messages(options: MessagesOptions = {}): AsyncIterable<Message> {
    const signal = signalOf(options, ['text', 'signal'])
    const text = checkTextAs(options.text)
    const take = (owner: object) => this.#link.inbox.take(text, signal, owner)
    return { [Symbol.asyncIterator]: () => messageIterator(this.#link, take, (message) => message) }
  }

  /**
   * The next message, to be read while it comes: its end may be far away. What is not read holds the peer back, so that
   * a message of any size takes a constant amount of memory; see the limit `maxStreamSize`. The next message can be
   * taken once this one has been read to its end or cancelled.
   *
   * @throws CloseError when there is no more message: each time the same error
   * @throws UsageError `ERR_WS_CONCURRENT_READ` when `onMessage` takes the messages, or a stream is being read
   * @throws the signal's reason when that is aborted
   *
   * @example
   * ```ts
   * import { createWriteStream } from 'node:fs'
   * import { pipeline } from 'node:stream/promises'
   * import { serve } from 'silverback'
   *
   * await using server = await serve({ limits: { maxStreamSize: 10 * 2 ** 30 } }, async (conn) => {
   *   const upload = await conn.readStream()
   *   await pipeline(upload, createWriteStream('/tmp/upload'))
   * })
   * ```
   */
  readStream(options?: { readonly signal?: AbortSignal | undefined }): Promise<MessageStream> {
    return silent(this.#readStream(options))
  }

  async #readStream(options: SignalOption | undefined): Promise<MessageStream> {
    const stream = await this.#link.inbox.takeStream(signalOf(options))
    if (stream === undefined) throw this.#link.closeError
    return stream
  }

  /**
   * The messages, each to be read while it comes. What the loop's body leaves of one is cancelled, also when it leaves
   * the loop, and reading on fails with `ERR_WS_STREAM_CANCELLED`: await the reading in the body, and take a message to
   * keep by {@link readStream}. Ends as iterating the connection does.
   *
   * @example
   * ```ts
   * import { dial, serve } from 'silverback'
   * await using server = await serve({}, (conn) => void conn.send('hello'))
   * await using conn = await dial(server.url)
   * for await (const message of conn.streams()) {
   *   for await (const chunk of message) console.log(message.type, chunk.length) // text 5
   *   break
   * }
   * ```
   */
  streams(options?: { readonly signal?: AbortSignal | undefined }): AsyncIterable<MessageStream> {
    const signal = signalOf(options)
    const iterate = (): AsyncIterator<MessageStream, undefined> => {
      let last: MessageStream | undefined
      const take = (owner: object) => {
        last?.cancel()
        return this.#link.inbox.takeStream(signal, owner)
      }
      const pick = (stream: MessageStream): MessageStream => {
        last = stream
        return stream
      }
      return messageIterator(this.#link, take, pick, () => last?.cancel())
    }
    return { [Symbol.asyncIterator]: iterate }
  }

  /**
   * The messages as JSON values, checked by a schema if there is one. Text that is not JSON, or not what the schema
   * wants, closes the connection with 1007 and a reason, and the iteration throws a `CloseError` that says why.
   *
   * @param schema - any Standard Schema validator (zod, valibot, arktype, ...)
   * @param options - `onInvalid` gets what cannot be used, and the connection goes on with the next message
   * @throws UsageError `ERR_WS_INVALID_ARGUMENT` when the schema is none, `ERR_WS_INVALID_OPTION` naming the option
   *
   * @example
   * ```ts
   * import { dial, serve } from 'silverback'
   * await using server = await serve({}, async (conn) => {
   *   for await (const value of conn.json<{ Num: number }>()) conn.sendJson({ Num: value.Num + 1 })
   * })
   * await using conn = await dial(server.url)
   * conn.sendJson({ Num: 41 })
   * console.log(await conn.read()) // {"Num":42}
   * ```
   */
  json<T = unknown>(schema?: StandardSchema<T>, options: JsonOptions = {}): AsyncIterable<T> {
    checkJsonOptions(schema, options)
    return { [Symbol.asyncIterator]: () => jsonIterator(this.#link, schema, options) }
  }

  /**
   * Calls `listener` with every message from now on, beginning with those that wait: the form for the hottest paths.
   * The peer is not held back any more, so the listener must keep up. One that throws closes the connection with 1011.
   * Bytes may share their `buffer` with those of other messages: copy them before you transfer it.
   *
   * @param options - `text: 'bytes'` gives text as its UTF-8 bytes
   * @throws UsageError `ERR_WS_CONCURRENT_READ` when there is a listener already, or a read is waiting
   *
   * @example
   * ```ts
   * import { serve } from 'silverback'
   * await using server = await serve({}, (conn) => {
   *   conn.onMessage((data) => conn.send(data))
   * })
   * ```
   */
  onMessage(
    listener: (data: Uint8Array, type: 'text' | 'binary') => void,
    options: { readonly text: 'bytes' },
  ): void
  onMessage(listener: MessageListener, options?: { readonly text?: TextAs | undefined }): void
  onMessage(
    listener: MessageListener | ((data: Uint8Array, type: 'text' | 'binary') => void),
    options: { readonly text?: TextAs | undefined } = {},
  ): void {
    checkNames(options, ['text'])
    if (typeof listener !== 'function') {
      throw new UsageError('ERR_WS_INVALID_ARGUMENT', `onMessage takes a function, not ${typeof listener}`)
    }
    this.#link.inbox.listen(listener as MessageListener, checkTextAs(options.text))
  }

  /**
   * Sends a ping (RFC 6455 section 5.5.2) and resolves with the round-trip time in milliseconds. Not needed to keep
   * a connection alive: the heartbeat does that.
   *
   * @throws CloseError when the connection ends first
   * @throws LimitError `ERR_WS_SEND_BUFFER_FULL` while more than `maxSendBuffer` waits; the connection stays
   * @throws the signal's reason when that is aborted
   */
  ping(options?: { readonly signal?: AbortSignal | undefined }): Promise<number> {
    return silent(this.#ping(options))
  }

  async #ping(options: SignalOption | undefined): Promise<number> {
    return this.#link.ping(signalOf(options))
  }

  /**
   * Begins the closing handshake (RFC 6455 section 7.1.2) and resolves, as {@link closed} does, when the connection
   * is gone: at the latest after the `closeTimeout`, or, while what was sent before is still going out, twelve times that. Calling it again changes nothing.
   *
   * @param code - 1000-1014 but for 1004-1006, or 3000-4999; default 1000. 1005 sends a Close frame without a code and
   * without the reason
   * @param reason - at most 123 bytes of UTF-8
   * @param options - when `signal` is aborted, nothing is waited for any more: as {@link terminate}
   * @throws UsageError `ERR_WS_INVALID_ARGUMENT` for another code or a longer reason
   *
   * @example
   * ```ts
   * import { dial, serve } from 'silverback'
   * await using server = await serve({}, () => {})
   * const conn = await dial(server.url)
   * const { wasClean } = await conn.close(4000, 'done')
   * console.log(wasClean) // true
   * ```
   */
  close(
    code: number = CloseCode.Normal,
    reason = '',
    options?: { readonly signal?: AbortSignal | undefined },
  ): Promise<CloseInfo> {
    const signal = signalOf(options)
    if (code !== CloseCode.NoStatus) checkCloseFrame(code, reason)
    const closed = this.#link.close(code, reason)
    if (signal === undefined) return closed
    return closed.finally(onAbort(signal, () => this.terminate()))
  }

  /** Drops the TCP connection at once, without a closing handshake; what was not sent yet is lost. */
  terminate(): void {
    this.#link.terminate()
  }

  /** Closes with 1000 and waits for the end: for `await using`. Also when its block is left by an exception. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}

function invalid(message: string): UsageError {
  return new UsageError('ERR_WS_INVALID_ARGUMENT', message)
}

function checkTextAs(text: unknown = 'string'): TextAs {
  if (text === 'string' || text === 'bytes') return text
  throw new UsageError('ERR_WS_INVALID_OPTION', `text must be 'string' or 'bytes', not ${String(text)}`)
}
