import { WritableStream } from 'node:stream/web'
import type { CloseFrame } from '../session/close-info.ts'
import { UsageError } from '../session/errors.ts'
import type { MessageType } from '../session/message.ts'
import { checkSendable, Prepared } from '../session/prepared.ts'
import { CloseCode } from '../wire/close-code.ts'
import { Utf8Validator } from '../wire/utf8.ts'
import { abortable } from './abortable.ts'
import { closeFrameOf } from './close-frame-of.ts'
import type { Link } from './link.ts'
import { onAbort } from './on-abort.ts'
import type { OutgoingMessage } from './send-queue.ts'
import { silent } from './silent.ts'
import { SurrogateJoiner } from './surrogate-joiner.ts'

/** How the connection is closed when the rest of a message does not come. */
const ABANDONED: CloseFrame = { code: CloseCode.InternalError, reason: 'message abandoned' }

/**
 * One message that is sent while it is made, in as many frames as it takes (RFC 6455 section 5.4). Made by
 * `conn.writeStream`. Until it is closed, messages sent beside it wait; pings, pongs and a Close frame do not.
 *
 * @example
 * ```ts
 * import { dial, serve } from 'silverback'
 *
 * await using server = await serve({}, (conn) => conn.onMessage((data) => console.log(data))) // one, two
 * await using conn = await dial(server.url)
 * const writer = conn.writeStream('text')
 * await writer.write('one, ')
 * await writer.write('two')
 * await writer.close()
 * ```
 */
export class MessageWriter implements AsyncDisposable {
  /** Whether it is a text or a binary message. */
  readonly type: MessageType
  readonly #link: Link
  readonly #message: OutgoingMessage
  readonly #utf8 = new Utf8Validator()
  readonly #halves = new SurrogateJoiner()
  #room: Promise<void> | undefined
  #state: 'open' | 'closed' | 'aborted' = 'open'
  #writable: WritableStream<string | Uint8Array> | undefined
  /** Aborted when the message has come to its end, or will not: who only waits for news of it need not any more. */
  #over: AbortController | undefined

  /** @internal */
  constructor(link: Link, type: MessageType) {
    this.type = type
    this.#link = link
    this.#message = link.sender.open(type)
  }

  /**
   * Sends the next piece; the data is copied. Resolves when there is room for more: wait for it, or what waits grows
   * until, beyond `maxSendBuffer`, the connection is closed with 1013.
   *
   * @param data - bytes of a text message must be UTF-8 all together, wherever they are cut. A string may be cut inside a
   * character, too; a first half that its second half does not follow becomes U+FFFD, as with `conn.send`
   * @throws UsageError `ERR_WS_INVALID_ARGUMENT` when the data cannot be sent; `ERR_WS_WRITER_ENDED` behind `close` or `abort`
   * @throws CloseError when the connection has ended
   */
  write(data: string | Uint8Array | ArrayBuffer): Promise<void> {
    try {
      this.#checkOpen()
      const taken = this.#link.sender.write(this.#message, this.#encode(data))
      return taken ? this.#drained() : silent(this.#ended())
    } catch (error) {
      return silent(Promise.reject(error))
    }
  }

  /**
   * Ends the message. Resolves when there is room for more.
   *
   * @throws UsageError `ERR_WS_INVALID_ARGUMENT` when a text ends inside a character: then the message is aborted
   * @throws CloseError when the connection has ended
   */
  close(): Promise<void> {
    return silent(this.#close())
  }

  /**
   * Gives the message up, unless it has been closed. If part of it has left, the connection is closed: that is the only
   * way to tell the peer that the rest will not come. A pipe into {@link writable} fails with the reason.
   *
   * @param reason - what to close with is its `closeCode` (and `reason`), if it has one as a `WebSocketError` has; else
   * 1011
   */
  abort(reason?: unknown): void {
    if (this.#state !== 'open') return
    this.#state = 'aborted'
    this.#link.sender.abandon(this.#message, closeFrameOf(reason) ?? ABANDONED)
    this.#over?.abort(reason)
  }

  /** Gives the message up unless it has been closed, as {@link abort} does: for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.abort()
  }

  /**
   * The same as a Web stream of strings and bytes. It fails with the connection, also while nothing is written. Its
   * `abort` is that of the writer, also while a write waits for the peer. A pipe waits for its last write before it looks
   * at its `signal`, by the Streams standard: to give one up at once, abort the writer.
   */
  get writable(): WritableStream<string | Uint8Array> {
    this.#writable ??= this.#makeWritable()
    return this.#writable
  }

  #makeWritable(): WritableStream<string | Uint8Array> {
    const over = new AbortController()
    this.#over = over
    let aborted = over.signal
    return new WritableStream<string | Uint8Array>({
      start: (controller) => {
        // In Node since 18, but not in its types.
        aborted = (controller as unknown as { readonly signal: AbortSignal }).signal
        onAbort(aborted, () => {
          this.abort(aborted.reason)
          // Behind `close`, too, nobody waits for the peer any more.
          over.abort(aborted.reason)
        })
        if (this.#state !== 'open') return
        onAbort(over.signal, () => {
          if (this.#state === 'aborted' && !aborted.aborted) controller.error(over.signal.reason)
        })
        const fail = (error: unknown): void => {
          if (this.#state === 'open') controller.error(error)
        }
        if (this.#link.closeInfo === undefined) this.#link.sender.lost(over.signal).catch(fail)
        else fail(this.#link.closeError)
      },
      // What the Web stream does not take ends it, without a word to this side: nobody could end the message any more.
      write: (data) => {
        const room = this.#state === 'open' ? abortable(this.write(data), over.signal) : this.write(data)
        return room.catch((error) => this.#giveUp(error))
      },
      close: () => abortable(this.close(), aborted),
    })
  }

  /** One promise for all who wait: who does not wait must not make as many. */
  #drained(): Promise<void> {
    this.#room ??= silent(
      this.#link.drained(undefined, this.#message).finally(() => {
        this.#room = undefined
      }),
    )
    return this.#room
  }

  async #ended(): Promise<never> {
    throw await this.#link.ended()
  }

  async #close(): Promise<void> {
    this.#checkOpen()
    if (!this.#utf8.complete) throw this.#refuse('the text ends inside a character')
    if (this.#halves.waits) this.#link.sender.write(this.#message, Buffer.from(this.#halves.flush(), 'utf8'))
    this.#state = 'closed'
    try {
      await (this.#link.sender.complete(this.#message) ? this.#drained() : this.#ended())
    } finally {
      // Not before: a write that waits has been taken, and is no failure.
      this.#over?.abort()
    }
  }

  #checkOpen(): void {
    if (this.#state === 'open') return
    throw new UsageError('ERR_WS_WRITER_ENDED', `the message was ${this.#state} before`)
  }

  #encode(data: unknown): Uint8Array {
    const content = checkSendable(data, undefined)
    if (content instanceof Prepared)
      throw new UsageError('ERR_WS_INVALID_ARGUMENT', 'a prepared message is no piece of another')
    if (typeof content === 'string') return this.#encodeText(content)
    if (this.type === 'text' && !this.#utf8.push(content, 0, content.length))
      throw this.#refuse('the bytes of a text must be UTF-8')
    return Buffer.concat([Buffer.from(this.#halves.flush(), 'utf8'), content])
  }

  #encodeText(text: string): Uint8Array {
    if (text !== '' && this.type === 'text' && !this.#utf8.complete)
      throw this.#refuse('a string follows half a character')
    return Buffer.from(this.#halves.join(text), 'utf8')
  }

  #giveUp(error: unknown): never {
    this.abort(error)
    throw error
  }

  /** What is wrong in the middle of a message cannot be mended. */
  #refuse(message: string): UsageError {
    const error = new UsageError('ERR_WS_INVALID_ARGUMENT', message)
    this.abort(error)
    return error
  }
}
