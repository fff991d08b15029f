import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { MAX_REASON_SIZE } from '../protocol/close-payload.ts'
import type { CloseInfo, ConnStats } from '../session/close-info.ts'
import { UsageError } from '../session/errors.ts'
import type { Data, Message, MessageType } from '../session/message.ts'
import type { StandardSchema } from '../session/schema.ts'
import type { Sendable, Session } from '../session/session.ts'
import { CloseCode, isSendableCloseCode } from '../wire/close-code.ts'
import type { MessageListener, TextAs } from './inbox.ts'
import { jsonMessages } from './json.ts'
import type { Link } from './link.ts'
import { messageIterator } from './message-iterator.ts'
import { silent } from './silent.ts'

/** What the opening handshake settled about a connection. */
export interface ConnDetails<Subprotocol extends string = string> {
  readonly request?: IncomingMessage | undefined
  readonly response?: IncomingMessage | undefined
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
  /** The HTTP request that opened it; `undefined` on a client. */
  readonly request: IncomingMessage | undefined
  /** The server's answer, with status 101; `undefined` on a server. */
  readonly response: IncomingMessage | undefined
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
    return this.#link.bufferedAmount
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
    return this.#link.send(data, type)
  }

  /**
   * Sends a value as JSON in a text message.
   *
   * @returns as {@link send}
   * @throws UsageError `ERR_WS_INVALID_ARGUMENT` when JSON cannot hold the value (a cycle, a BigInt, a function)
   */
  sendJson(value: unknown): boolean {
    return this.#link.send(stringify(value), 'text')
  }

  /**
   * Resolves when there is room to send: at once below the mark where `send` says `false`, else when the socket has
   * taken what waits.
   *
   * @throws CloseError when the connection has ended
   */
  drained(): Promise<void> {
    return this.#link.drained()
  }

  /**
   * The next message. Giving up by `signal` loses no message and leaves the connection as it was. When several reads
   * wait, the messages go to them in the order of the calls.
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
  read(options: { readonly signal?: AbortSignal | undefined } = {}): Promise<Data> {
    return silent(this.#read(options.signal))
  }

  async #read(signal: AbortSignal | undefined): Promise<Data> {
    const message = await this.#link.inbox.take('string', signal)
    if (message === undefined) throw this.#link.closeError
    return message.data
  }

  /** Yields the messages until the end: quietly after 1000, 1001, 1005 or our own `close`, else by throwing a `CloseError`. */
  [Symbol.asyncIterator](): AsyncIterator<Data, undefined> {
    return messageIterator(this.#link, 'string', (message) => message.data)
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
  messages(options: { readonly text: 'bytes' }): AsyncIterable<Message<Uint8Array>>
  messages(options?: { readonly text?: TextAs | undefined }): AsyncIterable<Message>
  messages(options: { readonly text?: TextAs | undefined } = {}): AsyncIterable<Message> {
    const text = checkTextAs(options.text)
    return { [Symbol.asyncIterator]: () => messageIterator(this.#link, text, (message) => message) }
  }

  /**
   * The messages as JSON values, checked by a schema if there is one. Text that is not JSON, or not what the schema
   * wants, closes the connection with 1007 and a reason, and the iteration throws a `CloseError` that says why.
   *
   * @param schema - any Standard Schema validator (zod, valibot, arktype, ...)
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
  json<T = unknown>(schema?: StandardSchema<T>): AsyncIterable<T> {
    return jsonMessages(this.#link, schema)
  }

  /**
   * Calls `listener` with every message from now on, beginning with those that wait: the form for the hottest paths.
   * The peer is not held back any more, so the listener must keep up. One that throws closes the connection with 1011.
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
   * @throws the signal's reason when that is aborted
   */
  ping(options: { readonly signal?: AbortSignal | undefined } = {}): Promise<number> {
    return this.#link.ping(options.signal)
  }

  /**
   * Begins the closing handshake (RFC 6455 section 7.1.2) and resolves, as {@link closed} does, when the connection
   * is gone: at the latest after the `closeTimeout`. What was sent before still goes out. Calling it again changes nothing.
   *
   * @param code - 1000-1014 but for 1004-1006, or 3000-4999; default 1000. 1005 sends a Close frame without a code and
   * without the reason
   * @param reason - at most 123 bytes of UTF-8
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
  close(code: number = CloseCode.Normal, reason = ''): Promise<CloseInfo> {
    if (code !== CloseCode.NoStatus && !isSendableCloseCode(code)) {
      throw new UsageError('ERR_WS_INVALID_ARGUMENT', `close code ${String(code)} may not be sent`)
    }
    if (typeof reason !== 'string' || Buffer.byteLength(reason, 'utf8') > MAX_REASON_SIZE) {
      throw new UsageError(
        'ERR_WS_INVALID_ARGUMENT',
        'a close reason is a string of at most 123 bytes of UTF-8',
      )
    }
    return this.#link.close(code, reason)
  }

  /** Drops the TCP connection at once, without a closing handshake; what was not sent yet is lost. */
  terminate(): void {
    this.#link.terminate()
  }

  /** Closes with 1000 and waits for the end: for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}

/** A value as the text of a JSON message. @internal */
export function stringify(value: unknown): string {
  let text: string | undefined
  try {
    text = JSON.stringify(value)
  } catch (cause) {
    throw new UsageError('ERR_WS_INVALID_ARGUMENT', 'sendJson: the value cannot be written as JSON', {
      cause,
    })
  }
  if (text === undefined) {
    throw new UsageError('ERR_WS_INVALID_ARGUMENT', `sendJson: JSON has no form for ${typeof value}`)
  }
  return text
}

function checkTextAs(text: unknown = 'string'): TextAs {
  if (text === 'string' || text === 'bytes') return text
  throw new UsageError('ERR_WS_INVALID_OPTION', `text must be 'string' or 'bytes', not ${String(text)}`)
}
