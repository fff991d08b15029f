import { UsageError } from '../session/errors.ts'
import type { Data, Message, MessageType } from '../session/message.ts'

/** Whether text is delivered decoded, or as the UTF-8 bytes that came. */
export type TextAs = 'string' | 'bytes'

/** Gets messages as they come. */
export type MessageListener = (data: Data, type: MessageType) => void

/** How an inbox holds back the sender. */
export interface InboxFlow {
  /** No room: nothing more should come. */
  pause(): void
  /** There is room again. */
  resume(): void
  /** The listener threw. */
  listenerFailed(error: unknown): void
}

interface Waiter {
  readonly resolve: (message: Message | undefined) => void
  readonly text: TextAs
}

/** What a queued message costs beside its bytes. */
const OVERHEAD = 64

/**
 * Keeps messages from their arrival until somebody takes them: by a listener, or one by one. Bounded by number and
 * bytes: at its mark it asks for a pause, and at half of it for more.
 */
export class Inbox {
  readonly #flow: InboxFlow
  readonly #maxMessages: number
  readonly #maxBytes: number
  #queue: Message[] = []
  #bytes = 0
  #paused = false
  #ended = false
  #waiters: Waiter[] = []
  #listener: MessageListener | undefined
  /** The listener threw: it gets no more. */
  #failed = false
  #text: TextAs = 'string'

  constructor(flow: InboxFlow, maxMessages: number, maxBytes: number) {
    this.#flow = flow
    this.#maxMessages = maxMessages
    this.#maxBytes = maxBytes
  }

  /** Whether a message that comes now would be queued behind a full queue. */
  get full(): boolean {
    return this.#paused
  }

  /** Whether a listener takes every message as it comes. */
  get listening(): boolean {
    return this.#listener !== undefined
  }

  /** How the next text message should come. */
  get text(): TextAs {
    return this.#waiters[0]?.text ?? this.#text
  }

  /** Takes a message that came: its text in the form that {@link text} tells. */
  push(data: Data, type: MessageType): void {
    if (this.#listener !== undefined && this.#queue.length === 0)
      return this.#call(this.#listener, data, type)
    const waiter = this.#waiters.shift()
    if (waiter !== undefined) return waiter.resolve({ type, data })
    this.#queue.push({ type, data })
    this.#bytes += data.length + OVERHEAD
    if (this.#queue.length < this.#maxMessages && this.#bytes < this.#maxBytes) return
    this.#paused = true
    this.#flow.pause()
  }

  /**
   * The next message; `undefined` when there will be none. Giving up by `signal` takes nothing out.
   *
   * @throws UsageError `ERR_WS_CONCURRENT_READ` when a listener takes the messages
   */
  take(text: TextAs, signal?: AbortSignal): Message | undefined | Promise<Message | undefined> {
    this.#refuseListener()
    signal?.throwIfAborted()
    const message = this.#queue.shift()
    if (message !== undefined) {
      this.#bytes -= message.data.length + OVERHEAD
      this.#resumeIfRoom()
      return inForm(message, text)
    }
    if (this.#ended) return undefined
    this.#text = text
    return this.#wait(text, signal)
  }

  /**
   * Sends all messages to a listener from now on, beginning with those that wait.
   *
   * @throws UsageError `ERR_WS_CONCURRENT_READ` when there is a listener, or somebody waits for a message
   */
  listen(listener: MessageListener, text: TextAs): void {
    this.#refuseListener()
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
    this.#resumeIfRoom()
  }

  /** No more messages will come. Those that wait can still be taken. */
  end(): void {
    this.#ended = true
    for (const waiter of this.#waiters) waiter.resolve(undefined)
    this.#waiters = []
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

  #wait(text: TextAs, signal: AbortSignal | undefined): Promise<Message | undefined> {
    return new Promise((resolve, reject) => {
      if (signal === undefined) {
        this.#waiters.push({ resolve, text })
        return
      }
      const onAbort = (): void => {
        this.#waiters = this.#waiters.filter((other) => other !== waiter)
        reject(signal.reason as Error)
      }
      const waiter: Waiter = {
        text,
        resolve(message) {
          signal.removeEventListener('abort', onAbort)
          resolve(message)
        },
      }
      signal.addEventListener('abort', onAbort, { once: true })
      this.#waiters.push(waiter)
    })
  }

  #refuseListener(): void {
    if (this.#listener === undefined) return
    throw new UsageError('ERR_WS_CONCURRENT_READ', 'all messages go to the onMessage listener')
  }

  #resumeIfRoom(): void {
    if (!this.#paused) return
    if (this.#queue.length > this.#maxMessages / 2 || this.#bytes > this.#maxBytes / 2) return
    this.#paused = false
    this.#flow.resume()
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
