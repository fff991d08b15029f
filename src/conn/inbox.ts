import { setImmediate } from 'node:timers'
import type { StreamDecoder } from '../protocol/extension.ts'
import type { Fault } from '../protocol/fault.ts'
import type { Limits } from '../protocol/limits.ts'
import type { StreamHandler } from '../protocol/protocol-handler.ts'
import { UsageError } from '../session/errors.ts'
import type { Data, Message, MessageType } from '../session/message.ts'
import { IncomingStream, type StreamOwner } from './incoming-stream.ts'
import { MessageStream } from './message-stream.ts'
import { onAbort } from './on-abort.ts'

/** Whether text is delivered decoded, or as the UTF-8 bytes that came. */
export type TextAs = 'string' | 'bytes'

/** Gets messages as they come. */
export type MessageListener = (data: Data, type: MessageType) => void

/** How an inbox holds back the sender. */
export interface InboxFlow {
  /** Nothing more should come: there is no room. `false`: it will come all the same. */
  pause(): boolean
  /** There is room again. */
  resume(): void
  /** The listener threw. */
  listenerFailed(error: unknown): void
  /** Somebody waits for a stream: a message that has begun, or is held, can go there. */
  stream(): void
  /** The message that is held will not be taken. */
  refuse(): void
  /** What came on a stream breaks a rule. */
  streamFailed(fault: Fault): void
  /** A message has come to its end on a stream. */
  streamed(): void
  /**
   * From now on messages are dropped, though they come all the same.
   *
   * @param begun - whether that holds for one whose beginning has come, too
   */
  drop(begun: boolean): void
}

/** How a message is to be given: text decoded, text as bytes, or all of it piece by piece. */
type Form = TextAs | 'stream'

interface Waiter {
  readonly resolve: (message: Message | MessageStream | undefined) => void
  readonly form: Form
  /** Who gives up by {@link Inbox.leave}. */
  readonly owner: object | undefined
}

/** Stands for an empty list until there is something to list. Nothing is ever put into it. */
const NONE: never[] = []

/** What a queued message costs beside its bytes. */
const OVERHEAD = 64

/**
 * Room for what is left of the last chunk, beyond `maxQueuedBytes`: for all of it, where it is neither compressed nor of
 * messages of a few bytes.
 */
const LAST_CHUNK = 1024 * 1024

/** Bytes of messages after which others have their turn, though more has come in the same chunk. */
const SLICE = 1024 * 1024
/** What to deliver a message costs, in bytes. */
const MESSAGE_COST = 256

/**
 * Keeps messages from their arrival until somebody takes them: by a listener, one by one, or piece by piece. Bounded by
 * number and bytes: at its mark it asks for a pause, and at half of it for more.
 */
export class Inbox implements StreamHandler, StreamOwner {
  readonly #flow: InboxFlow
  limits: Limits
  #queue: Message[] = NONE
  #bytes = 0
  #full = false
  /** What has come of one chunk, in bytes; as much as it may be in one turn of the event loop once it is `SLICE`. */
  #slice = 0
  #paused = false
  #finishing = false
  #ended = false
  #waiters: Waiter[] = NONE
  #listener: MessageListener | undefined
  /** The listener threw: it gets no more. */
  #failed = false
  #text: TextAs = 'string'
  /** A message is missing that there was no room for: no other one can be a stream, or its reader would not see the gap. */
  incomplete = false
  /** A message that is longer than is taken whole waits for somebody who takes it piece by piece. */
  #held = false
  /** The message that is coming piece by piece, or the last that did. */
  #stream: IncomingStream | undefined
  /** What was last given out to be read piece by piece. */
  #reader: MessageStream | undefined

  constructor(flow: InboxFlow, limits: Limits) {
    this.#flow = flow
    this.limits = limits
  }

  /** Whether there is no room for a message that comes now. What comes last has more, but not for all that it inflates to. */
  get full(): boolean {
    return this.#full && (!this.#finishing || this.#bytes >= this.limits.maxQueuedBytes + LAST_CHUNK)
  }

  /** How many messages wait. */
  get queued(): number {
    return this.#queue.length
  }

  /** Whether a listener takes every message as it comes. */
  get listening(): boolean {
    return this.#listener !== undefined
  }

  /** Whether a message that comes now is handed out at once. */
  get taken(): boolean {
    return this.#queue.length === 0 && (this.#listener !== undefined || this.#waiters.length > 0)
  }

  /** Whether a message is read piece by piece. */
  get streaming(): boolean {
    return this.#reader?.done === false
  }

  /** How the next text message should come. */
  get text(): TextAs {
    const form = this.#waiters[0]?.form ?? this.#text
    return form === 'stream' ? 'bytes' : form
  }

  /** Whether the next message goes to somebody who takes it piece by piece. */
  get wanted(): boolean {
    return !this.incomplete && this.#queue.length === 0 && this.#waiters[0]?.form === 'stream'
  }

  /** A chunk begins to be read. */
  beginChunk(): void {
    this.#slice = 0
  }

  /** Takes a message that came: its text in the form that {@link text} tells. */
  push(data: Data, type: MessageType): void {
    if (this.#slice < SLICE) {
      this.#slice += data.length + MESSAGE_COST
      if (this.#slice >= SLICE) this.#yield()
    }
    if (this.#listener !== undefined && this.#queue.length === 0)
      return this.#call(this.#listener, data, type)
    const waiter = this.#waiters.shift()
    if (waiter !== undefined) return this.#give(waiter, { type, data })
    if (this.#queue === NONE) this.#queue = []
    this.#queue.push({ type, data })
    this.#bytes += data.length + OVERHEAD
    const { maxQueuedMessages, maxQueuedBytes } = this.limits
    if (this.#queue.length < maxQueuedMessages && this.#bytes < maxQueuedBytes) return
    this.#full = true
    this.#updateFlow()
  }

  /** A message begins to come piece by piece. */
  begin(type: MessageType, decoder: StreamDecoder | undefined): void {
    this.#stream = new IncomingStream(this, type, decoder, this.limits)
    this.#reader = this.#stream.reader
    this.#held = false
    this.#waiters.shift()?.resolve(this.#reader)
    this.#updateFlow()
  }

  piece(bytes: Buffer, start: number, end: number): void {
    this.#stream?.piece(bytes, start, end)
  }

  /** The message that came piece by piece is complete. */
  end(): void {
    this.#flow.streamed()
    this.#stream?.end()
  }

  /** A message that has begun is longer than is taken whole: it waits until somebody says how it is to be taken. */
  held(): void {
    this.#held = true
    const asked = this.#listener !== undefined || this.#waiters.length > 0
    if (asked && !this.incomplete) this.#refuseHeld()
    else this.#updateFlow()
  }

  /** What comes now is the last. */
  finish(): void {
    this.#finishing = true
    this.#updateFlow()
  }

  /** The sender cannot be held back any more. */
  release(): void {
    this.#paused = false
    this.#updateFlow()
  }

  onStreamFlow(): void {
    this.#updateFlow()
  }

  onStreamFault(fault: Fault): void {
    this.#flow.streamFailed(fault)
  }

  /**
   * The next message; `undefined` when there will be none. Giving up by `signal` takes nothing out.
   *
   * @throws UsageError `ERR_WS_CONCURRENT_READ` when a listener takes the messages
   */
  take(
    text: TextAs,
    signal?: AbortSignal,
    owner?: object,
  ): Message | undefined | Promise<Message | undefined> {
    this.#refuseOthers()
    signal?.throwIfAborted()
    const message = this.#next()
    if (message !== undefined) return inForm(message, text)
    if (this.#ended) return undefined
    this.#text = text
    const taken = this.#wait(text, signal, owner) as Promise<Message | undefined>
    if (this.#held && this.#waiters.length === 1) this.#refuseHeld()
    return taken
  }

  /**
   * The next message, to be read piece by piece, perhaps before all of it has come; `undefined` when there will be none.
   *
   * @throws UsageError `ERR_WS_CONCURRENT_READ` as for {@link take}
   */
  takeStream(
    signal?: AbortSignal,
    owner?: object,
  ): MessageStream | undefined | Promise<MessageStream | undefined> {
    this.#refuseOthers()
    signal?.throwIfAborted()
    const message = this.#next()
    if (message !== undefined) return this.#asStream(message)
    if (this.#ended) return undefined
    const taken = this.#wait('stream', signal, owner) as Promise<MessageStream | undefined>
    if (this.wanted) this.#flow.stream()
    return taken
  }

  /**
   * Sends all messages to a listener from now on, beginning with those that wait.
   *
   * @throws UsageError `ERR_WS_CONCURRENT_READ` when there is a listener, or somebody waits for a message
   */
  listen(listener: MessageListener, text: TextAs): void {
    this.#refuseOthers()
    if (this.#waiters.length > 0) {
      throw new UsageError(
        'ERR_WS_CONCURRENT_READ',
        'a read is waiting for the next message; onMessage would take it away',
      )
    }
    this.#text = text
    // In place from here on, so that it cannot be replaced or read past by itself while it gets what waits; a message
    // leaves the queue behind its call, so that one that comes meanwhile waits its turn.
    this.#listener = listener
    for (let message = this.#queue[0]; message !== undefined; message = this.#queue[0]) {
      const { data, type } = inForm(message, text)
      this.#call(listener, data, type)
      this.#queue.shift()
    }
    this.#bytes = 0
    if (this.#held) this.#refuseHeld()
    this.#resumeIfRoom()
  }

  /** Whoever waits for this owner waits no more, and gets `undefined` in place of a message. */
  leave(owner: object): void {
    const gone = this.#waiters.filter((waiter) => waiter.owner === owner)
    if (gone.length === 0) return
    this.#waiters = this.#waiters.filter((waiter) => waiter.owner !== owner)
    for (const waiter of gone) waiter.resolve(undefined)
  }

  /** No more messages will come. Those that wait can still be taken; one that has not come whole ends with the error. */
  close(error: () => unknown): void {
    this.#ended = true
    this.#stream?.close(error())
    for (const waiter of this.#waiters) waiter.resolve(undefined)
    this.#waiters = NONE
  }

  #call(listener: MessageListener, data: Data, type: MessageType): void {
    if (this.#failed) return
    try {
      const result: unknown = listener(data, type)
      // An async function is a listener, too; nobody else would hear of its rejection.
      if (typeof result === 'object' && result !== null)
        Promise.resolve(result).catch((error) => this.#fail(error))
    } catch (error) {
      this.#fail(error)
    }
  }

  #fail(error: unknown): void {
    if (this.#failed) return
    this.#failed = true
    this.#flow.listenerFailed(error)
  }

  /** The message that has waited longest. */
  #next(): Message | undefined {
    const message = this.#queue.shift()
    if (message === undefined) return undefined
    this.#bytes -= message.data.length + OVERHEAD
    this.#resumeIfRoom()
    return message
  }

  #give(waiter: Waiter, message: Message): void {
    waiter.resolve(waiter.form === 'stream' ? this.#asStream(message) : message)
  }

  #asStream(message: Message): MessageStream {
    this.#reader = MessageStream.of(message, this.limits.maxMessageSize)
    return this.#reader
  }

  #wait(
    form: Form,
    signal: AbortSignal | undefined,
    owner: object | undefined,
  ): Promise<Message | MessageStream | undefined> {
    return new Promise((resolve, reject) => {
      if (this.#waiters === NONE) this.#waiters = []
      if (signal === undefined) {
        this.#waiters.push({ resolve, form, owner })
        return
      }
      const stop = onAbort(signal, () => {
        this.#forget(waiter)
        reject(signal.reason as Error)
      })
      const waiter: Waiter = {
        form,
        owner,
        resolve(message) {
          stop()
          resolve(message)
        },
      }
      this.#waiters.push(waiter)
    })
  }

  /** A waiter has given up. Those of one signal do so in the order in which they wait: then it is the first. */
  #forget(waiter: Waiter): void {
    if (this.#waiters[0] === waiter) this.#waiters.shift()
    else this.#waiters = this.#waiters.filter((other) => other !== waiter)
  }

  /** @throws UsageError `ERR_WS_CONCURRENT_READ` when a listener takes the messages */
  refuseListener(): void {
    if (this.#listener !== undefined)
      throw new UsageError('ERR_WS_CONCURRENT_READ', 'all messages go to the onMessage listener')
  }

  #refuseOthers(): void {
    this.refuseListener()
    if (this.#reader?.done === false)
      throw new UsageError(
        'ERR_WS_CONCURRENT_READ',
        'the message before is being read as a stream: read it to its end, or cancel it',
      )
  }

  #refuseHeld(): void {
    this.#held = false
    this.#flow.refuse()
    this.#updateFlow()
  }

  #resumeIfRoom(): void {
    if (!this.#full) return
    const { maxQueuedMessages, maxQueuedBytes } = this.limits
    if (this.#queue.length > maxQueuedMessages / 2 || this.#bytes > maxQueuedBytes / 2) return
    this.#full = false
    this.#updateFlow()
  }

  /** What is left of the chunk is for the next turn: it may be much, when it is compressed or empty. */
  #yield(): void {
    this.#updateFlow()
    setImmediate(() => {
      this.#slice = 0
      this.#updateFlow()
    })
  }

  /** Asks for a pause, or for more, where that has changed. */
  #updateFlow(): void {
    if (this.#finishing) {
      // But what follows may refer to what is still to be decoded, and cannot be decoded before.
      if (this.#stream?.undecoded === true) this.#flow.pause()
      return
    }
    const streamBlocked = this.#stream?.blocked === true
    const pause = this.#full || this.#held || streamBlocked || this.#slice >= SLICE
    if (pause === this.#paused) return
    if (!pause) {
      this.#paused = false
      this.#flow.resume()
    } else {
      this.#paused = this.#flow.pause()
      if (!this.#paused && (this.#held || streamBlocked)) this.#drop()
    }
  }

  /** What has no room now will never have: of a stream, nothing behind a gap is delivered. */
  #drop(): void {
    const undecoded = this.#stream?.undecoded === true
    const begun = this.#held || !undecoded
    this.#held = false
    this.#flow.drop(begun)
  }
}

/** A message whose text is in the wanted form: it may have been queued before anybody said which. */
function inForm(message: Message, text: TextAs): Message {
  const { type, data } = message
  if (type === 'binary') return message
  if (text === 'bytes') return typeof data === 'string' ? { type, data: Buffer.from(data, 'utf8') } : message
  return typeof data === 'string' ? message : { type, data: decodeUtf8(data) }
}

function decodeUtf8(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')
}
