import type { Limits } from '../protocol/limits.ts'
import { keepsMore, pinned } from '../protocol/output.ts'
import type { Protocol } from '../protocol/protocol.ts'
import type { CloseFrame } from '../session/close-info.ts'
import type { LimitError } from '../session/errors.ts'
import type { MessageType } from '../session/message.ts'
import { checkSendable, Prepared } from '../session/prepared.ts'
import type { Sendable } from '../session/session.ts'
import { CloseCode } from '../wire/close-code.ts'
import type { Outbox } from './outbox.ts'
import { copyOf } from './own.ts'
import { sendBufferError } from './send-buffer-error.ts'
import { OutgoingMessage, SendQueue } from './send-queue.ts'

/** What `send` does when `maxSendBuffer` is exceeded: end the connection with 1013, or drop the message. */
export type SlowPolicy = 'close' | 'skip'

/** The connection whose messages are sent. */
export interface SenderOwner {
  readonly state: 'open' | 'closing' | 'closed'
  readonly limits: Limits
  /** Something is to be written at the end of this turn. */
  flushLater(): void
  /** Begins the closing handshake: more waits than is allowed, or the rest of a message will not come. */
  close(code: number, reason: string, error?: Error): unknown
}

/** Messages of more bytes are referenced while they wait, not copied. */
const COPY_LIMIT = 16 * 1024

/**
 * Sends the messages of one connection: at once where nothing is ahead of them, else by a queue, with the Close frame
 * behind them.
 */
export class Sender {
  readonly #protocol: Protocol
  readonly #outbox: Outbox
  readonly #slow: SlowPolicy
  readonly #owner: SenderOwner
  /** Made when there is a message that is long, or not complete. */
  #queue: SendQueue | undefined
  /** What is to be done once no message is ahead of it: a Close frame, an answer to the peer's, an end. */
  #then: (() => void)[] | undefined
  /** Messages taken to be sent. */
  sent = 0
  /** Messages not sent. */
  dropped = 0

  constructor(protocol: Protocol, outbox: Outbox, slow: SlowPolicy, owner: SenderOwner) {
    this.#protocol = protocol
    this.#outbox = outbox
    this.#slow = slow
    this.#owner = owner
  }

  /** Bytes that wait to leave. */
  get bufferedAmount(): number {
    return this.#outbox.waiting + this.#outbox.queued
  }

  /** What is wrong when too much waits. */
  get overflow(): LimitError | undefined {
    const { bufferedAmount } = this
    const { maxSendBuffer } = this.#owner.limits
    return bufferedAmount > maxSendBuffer ? sendBufferError(bufferedAmount, maxSendBuffer) : undefined
  }

  /** Whether the end waits for messages ahead of it. */
  get closing(): boolean {
    return this.#then !== undefined
  }

  /** Whether messages wait that can be encoded. */
  get ready(): boolean {
    return this.#queue?.ready === true
  }

  send(data: Sendable, type: MessageType | undefined): boolean {
    const message = checkSendable(data, type)
    if (!this.#hasRoom()) return false
    if (this.#queue?.empty === false || isLong(message, this.#owner.limits.fragmentSize)) {
      this.#enqueue(message, type)
    } else if (message instanceof Prepared) this.#protocol.sendPrepared(message)
    else if (typeof message === 'string') this.#protocol.sendText(message)
    else this.#protocol.sendBytes(type ?? 'binary', message)
    // An extension that throws has sent nothing.
    this.sent++
    this.#owner.flushLater()
    return this.#outbox.hasRoom
  }

  /** Begins a message whose pieces come by {@link write}. */
  open(type: MessageType): OutgoingMessage {
    const message = new OutgoingMessage(type, this.#protocol.compress)
    if (this.#owner.state === 'open') this.#opened().push(message)
    return message
  }

  /** Sends a piece of a message that was opened; `false` when the connection is over. */
  write(message: OutgoingMessage, piece: Uint8Array): boolean {
    if (this.#owner.state !== 'open') return false
    // What others have sent behind it waits for this message: it is no reason not to go on with it.
    const buffered = this.#outbox.waiting + this.#opened().bytesUpTo(message)
    // With a piece missing the message must not go on: whatever the policy, only closing is left.
    if (buffered > this.#owner.limits.maxSendBuffer) {
      this.tooSlow(buffered)
      return false
    }
    this.#opened().write(message, piece)
    this.#count()
    this.#owner.flushLater()
    return true
  }

  /** A message that was opened has come to its end; `false` when the connection is over. */
  complete(message: OutgoingMessage): boolean {
    if (this.#owner.state !== 'open') return false
    message.complete = true
    this.sent++
    this.#owner.flushLater()
    return true
  }

  /**
   * A message that was opened will not come to its end.
   *
   * @param frame - what to close with if part of it has left
   */
  abandon(message: OutgoingMessage, frame: CloseFrame): void {
    if (this.#owner.state !== 'open') return
    if (message.begun) return void this.#owner.close(frame.code, frame.reason)
    this.#opened().remove(message)
    this.#count()
    this.#outbox.wake()
    this.#owner.flushLater()
  }

  /** More waits than is allowed: the connection is closed. */
  tooSlow(buffered: number = this.bufferedAmount): void {
    const error = sendBufferError(buffered, this.#owner.limits.maxSendBuffer)
    void this.#owner.close(CloseCode.TryAgainLater, 'too slow', error)
  }

  /** Rejects when the connection has ended. */
  lost(signal: AbortSignal): Promise<void> {
    return this.#outbox.drained(signal, () => Number.POSITIVE_INFINITY)
  }

  /** Resolves when there is room for more of a message that was opened, whatever waits behind it. */
  drained(message: OutgoingMessage): Promise<void> {
    return this.#outbox.drained(undefined, () => this.#opened().bytesUpTo(message))
  }

  /** The end begins, behind what waits; messages that are not complete never will be. */
  end(begin: () => void): void {
    if (this.#queue !== undefined) {
      this.#drop(this.#queue.abandon())
      this.#count()
      if (!this.#queue.empty) {
        this.#then ??= []
        this.#then.push(begin)
        return
      }
    }
    begin()
  }

  /** Encodes what waits, as far as there is room, and the end behind it. */
  pump(): void {
    if (this.#queue === undefined) return
    this.#queue.pump()
    this.#count()
    if (this.#queue.empty) this.#begin()
  }

  /** Gives up what waits; an end that waited for it begins. */
  clear(): void {
    if (this.#queue === undefined) return
    this.#drop(this.#queue.clear())
    this.#count()
    this.#begin()
  }

  #begin(): void {
    const then = this.#then
    this.#then = undefined
    for (const begin of then ?? []) begin()
  }

  /** Whether a message may be sent now; else the slow policy has been applied, or the connection is over. */
  #hasRoom(): boolean {
    if (this.#owner.state !== 'open') return this.#refuse()
    const buffered = this.bufferedAmount
    if (buffered <= this.#owner.limits.maxSendBuffer) return true
    if (this.#slow === 'close') this.tooSlow(buffered)
    return this.#refuse()
  }

  #refuse(): false {
    this.dropped++
    return false
  }

  /** Messages that had been taken are not sent after all. */
  #drop(count: number): void {
    this.sent -= count
    this.dropped += count
  }

  #enqueue(message: string | Uint8Array | Prepared, type: MessageType | undefined): void {
    const bytes = typeof message === 'string' ? Buffer.from(message, 'utf8') : message
    // The caller's own bytes are copied where they would be if nothing had to wait: short ones, and those to be masked.
    const copied =
      bytes === message && bytes instanceof Uint8Array && (bytes.length <= COPY_LIMIT || this.#protocol.masks)
    const kept =
      bytes instanceof Prepared ? bytes : copied || keepsMore(bytes) ? copyOf(bytes) : pinned(bytes)
    const actual = message instanceof Prepared ? message.type : (type ?? typeOf(message))
    this.#opened().push(new OutgoingMessage(actual, this.#protocol.compress, kept))
    this.#count()
  }

  #opened(): SendQueue {
    this.#queue ??= new SendQueue(this.#protocol, this.#owner.limits.fragmentSize)
    return this.#queue
  }

  #count(): void {
    this.#outbox.queued = this.#queue?.cost ?? 0
  }
}

/** Whether a message is to leave in several frames; a text's characters are counted first, since that costs nothing. */
function isLong(message: string | Uint8Array | Prepared, fragmentSize: number): boolean {
  if (message instanceof Prepared) return message.byteLength > fragmentSize
  if (typeof message !== 'string') return message.length > fragmentSize
  return message.length * 3 > fragmentSize && Buffer.byteLength(message, 'utf8') > fragmentSize
}

function typeOf(message: string | Uint8Array): MessageType {
  return typeof message === 'string' ? 'text' : 'binary'
}
