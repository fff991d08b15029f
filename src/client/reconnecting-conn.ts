import type { Conn } from '../conn/conn.ts'
import { checkNames } from '../conn/options.ts'
import { silent } from '../conn/silent.ts'
import { stringify } from '../conn/stringify.ts'
import { tellListener } from '../conn/tell-listener.ts'
import { asError } from '../session/as-error.ts'
import type { CloseInfo } from '../session/close-info.ts'
import { CloseError, UsageError } from '../session/errors.ts'
import type { Data, Message, MessageType } from '../session/message.ts'
import { checkSendable } from '../session/prepared.ts'
import type { Sendable } from '../session/session.ts'
import { CloseCode } from '../wire/close-code.ts'
import { type LiveConnection, liveConnections } from './live-connections.ts'
import { MessageQueue } from './message-queue.ts'
import {
  type Attempt,
  type PerAttempt,
  type ReconnectOptions,
  reconnectOptionNames,
  resolveReconnectOptions,
} from './reconnect-options.ts'
import {
  checkOutboxOptions,
  type DropReason,
  type OutboxOptions,
  type QueuedMessage,
  SendQueue,
} from './send-queue.ts'

/** What a {@link ReconnectingConn} is doing. */
export type ReconnectingState = 'connecting' | 'open' | 'waiting' | 'closing' | 'closed'

/** How a {@link ReconnectingConn} ended. */
export interface ReconnectingEnd {
  /** Why, when it gave up; `undefined` when the server closed with 1000, or this side had enough. */
  readonly error: Error | undefined
  /** How its last connection ended; `undefined` when there was none. */
  readonly last: CloseInfo | undefined
}

/** How to come back, and what to keep meanwhile. */
export interface ReconnectingOptions<Subprotocol extends string = string>
  extends ReconnectOptions<Subprotocol> {
  /** Bounds on the messages that wait for a connection, and what becomes of those for which there is no room. */
  readonly outbox?: OutboxOptions | undefined
  /**
   * Gets each connection before anything else does, to log in, subscribe, or resume: what waits is sent when it has
   * come back, and messages are taken then, so it may `read` answers itself. When the connection is lost meanwhile, the
   * next one comes; what it throws else ends all, with 1011 unless it has closed the connection itself.
   */
  readonly onConnect?:
    | ((
        conn: Conn<NoInfer<Subprotocol>>,
        details: Pick<Attempt, 'attempt' | 'previous'>,
      ) => void | Promise<void>)
    | undefined
  /** Gets all messages, in place of iterating. It must keep up; when it throws, that ends all, with 1011. */
  readonly onMessage?: ((data: Data, type: MessageType) => void) | undefined
  /** Hears of each change of `state`. */
  readonly onState?: ((state: ReconnectingState) => void) | undefined
  /**
   * Hears of each message that is dropped: by `overflow`, the one for which `send` says `false` included;
   * at the end of all; or since an extension threw. Not of what `reject` has not taken. What it sends
   * itself is taken only if there is room, whatever the `overflow`.
   */
  readonly onDrop?: ((data: Sendable, reason: DropReason) => void) | undefined
}

const optionNames = [...reconnectOptionNames, 'outbox', 'onConnect', 'onMessage', 'onState', 'onDrop']

/**
 * Connects, and comes back when the connection is lost, until it is closed: for a session that outlives its
 * connections. What is sent while there is none waits, within bounds, and goes out on the next. Whether to come back is
 * decided as by `reconnect`.
 *
 * A message is sent once at most. Those still waiting when a connection ends are sent on the next one, in order. One
 * that was handed to a connection, up to 64 KiB of them at a time, is lost if that dies before the peer has it: nobody
 * can tell, and it is not sent again. Where that matters, number your messages, and have `onConnect` ask what has come.
 *
 * @param url - `ws:` or `wss:`, or a function that tells it for each attempt
 * @throws UsageError at once, for a wrong URL (`ERR_WS_INVALID_ARGUMENT`) or option (`ERR_WS_INVALID_OPTION`)
 *
 * @example
 * ```ts
 * import { reconnecting } from 'silverback'
 *
 * let last = 0
 * await using feed = reconnecting('wss://example.com/feed', {
 *   onConnect: (conn) => void conn.sendJson({ resumeBehind: last }),
 * })
 * feed.send('sent as soon as there is a connection')
 * for await (const message of feed) last = JSON.parse(String(message)).number
 * ```
 */
export function reconnecting<Subprotocol extends string = string>(
  url: PerAttempt<string | URL>,
  options: ReconnectingOptions<Subprotocol> = {},
): ReconnectingConn<Subprotocol> {
  checkNames(options, optionNames)
  const { outbox = {}, onConnect, onMessage, onState, onDrop, ...rest } = options
  checkNames(outbox, ['maxMessages', 'maxBytes', 'overflow'])
  checkOutboxOptions(outbox)
  for (const [name, value] of Object.entries({ onConnect, onMessage, onState, onDrop })) {
    if (value !== undefined && typeof value !== 'function')
      throw new UsageError('ERR_WS_INVALID_OPTION', `${name} must be a function, not ${typeof value}`)
  }
  resolveReconnectOptions(url, rest)
  return new ReconnectingConn(url, options)
}

/**
 * A session that outlives its connections, made by {@link reconnecting}. Iterating yields the messages of all of them:
 * quietly until the end, or until it throws the error that it gave up with. Messages are kept until they are taken:
 * with 64 or 1 MiB of them waiting, the peer is held back, and the next connection is not made.
 *
 * @example
 * ```ts
 * import { reconnecting, serve } from 'silverback'
 *
 * await using server = await serve({}, (conn) => conn.onMessage((data) => conn.send(data)))
 * await using echo = reconnecting(server.url)
 * echo.sendJson({ n: 1 })
 * for await (const message of echo) {
 *   console.log(message) // {"n":1}
 *   break
 * }
 * ```
 */
export class ReconnectingConn<Subprotocol extends string = string>
  implements AsyncIterable<Data>, AsyncDisposable
{
  /** Resolves when all is over, and says how. Never rejects. */
  readonly closed: Promise<ReconnectingEnd>
  readonly #options: ReconnectingOptions
  readonly #outbox: SendQueue
  readonly #inbox: MessageQueue = new MessageQueue()
  readonly #controller: AbortController = new AbortController()
  #state: ReconnectingState = 'connecting'
  /** The connection, while messages may be sent on it. */
  #conn: Conn | undefined
  /** It has enough to send for now. */
  #congested = false
  #waiting: { readonly resolve: () => void; readonly reject: (error: Error) => void }[] = []
  #last: CloseInfo | undefined
  #end: ReconnectingEnd | undefined

  /** @internal */
  constructor(url: PerAttempt<string | URL>, options: ReconnectingOptions<Subprotocol>) {
    this.#options = options as unknown as ReconnectingOptions
    this.#outbox = new SendQueue(options.outbox ?? {}, (message, reason) => this.#drop(message, reason))
    this.closed = this.#run(url)
  }

  /**
   * `connecting` while an attempt or `onConnect` is under way, `open` while messages go out, `waiting` for the next
   * attempt; `closing` and `closed` for good.
   */
  get state(): ReconnectingState {
    // That it is lost is known before anything follows from that.
    return this.#state === 'open' && this.#conn?.state !== 'open' ? 'waiting' : this.#state
  }

  /** The connection while it is `open`: for `ping`, `stats`, `terminate`. What is sent on it overtakes what waits. */
  get conn(): Conn<Subprotocol> | undefined {
    return this.state === 'open' ? (this.#conn as Conn<Subprotocol> | undefined) : undefined
  }

  /** What waits for a connection. */
  get queued(): {
    /** How many messages wait. */
    readonly messages: number
    /** The bytes of all of them. */
    readonly bytes: number
  } {
    return { messages: this.#outbox.length, bytes: this.#outbox.bytes }
  }

  /**
   * Sends a message: at once where that can be, else as soon as there is a connection with room. Bytes are copied.
   *
   * @param type - default: strings are text, bytes are binary
   * @returns whether it was taken. `false`: it will not be sent, as the outbox is full, or all is over. To send it all
   * the same: `while (!feed.send(data)) await feed.drained()`; with another `overflow` than `reject`, `onDrop` hears of it
   * each time.
   * @throws UsageError `ERR_WS_INVALID_ARGUMENT` when `data` is none of the types, or bytes for a text are not UTF-8
   */
  send(data: Sendable, type?: MessageType): boolean {
    const message: QueuedMessage = { data: checkSendable(data, type), type }
    if (this.#state === 'closing' || this.#end !== undefined) return false
    const conn = this.#conn
    if (this.#outbox.length > 0 || conn === undefined || !this.#hasRoom(conn))
      return this.#outbox.add(message)
    if (!conn.send(message.data, type)) this.#waitForRoom(conn)
    return true
  }

  /**
   * Sends a value as JSON in a text message.
   *
   * @returns as {@link send}
   * @throws UsageError `ERR_WS_INVALID_ARGUMENT` when JSON cannot hold the value
   */
  sendJson(value: unknown): boolean {
    return this.send(stringify(value), 'text')
  }

  /**
   * Resolves when nothing waits, and there is a connection with room for more.
   *
   * @throws the error that it gave up with, or a CloseError, when all is over
   */
  drained(): Promise<void> {
    if (this.#end !== undefined) return silent(Promise.reject(this.#endError(this.#end)))
    if (this.state === 'open' && this.#outbox.length === 0 && !this.#congested) return Promise.resolve()
    return silent(new Promise((resolve, reject) => this.#waiting.push({ resolve, reject })))
  }

  /** @throws UsageError `ERR_WS_CONCURRENT_READ` when `onMessage` takes the messages */
  [Symbol.asyncIterator](): AsyncIterator<Data, undefined> {
    return this.#iterate(({ data }) => data)
  }

  /**
   * The messages with their type told.
   *
   * @throws UsageError `ERR_WS_CONCURRENT_READ` when `onMessage` takes the messages
   */
  messages(): AsyncIterable<Message> {
    return { [Symbol.asyncIterator]: () => this.#iterate((message) => message) }
  }

  /**
   * Ends all: what waits goes out if there is a connection, and is dropped if not; the connection is closed with 1000.
   * Resolves, as {@link closed} does, when that is over.
   */
  close(): Promise<ReconnectingEnd> {
    if (this.#state !== 'closing' && this.#end === undefined) {
      this.#setState('closing')
      this.#flush()
      this.#outbox.clear()
      this.#inbox.stop()
      this.#controller.abort()
    }
    return this.closed
  }

  /** Closes, and waits for the end: for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #run(url: PerAttempt<string | URL>): Promise<ReconnectingEnd> {
    const { outbox: _outbox, onConnect: _c, onMessage: _m, onState: _s, onDrop: _d, ...rest } = this.#options
    const given = rest.signal
    const onAbort = (): void => void this.close()
    if (given?.aborted === true) this.#controller.abort()
    else given?.addEventListener('abort', onAbort, { once: true })
    const resolved = resolveReconnectOptions(url, { ...rest, signal: this.#controller.signal })
    let error: Error | undefined
    try {
      for await (const live of liveConnections(url, resolved, (phase) => this.#onPhase(phase)))
        await this.#serve(live)
    } catch (reason) {
      error = asError(reason)
    }
    given?.removeEventListener('abort', onAbort)
    const end: ReconnectingEnd = { error, last: this.#last }
    this.#end = end
    this.#outbox.clear()
    this.#inbox.end()
    for (const { reject } of this.#waiting.splice(0)) reject(this.#endError(end))
    this.#setState('closed')
    return end
  }

  async #serve({ conn, attempt, previous }: LiveConnection): Promise<void> {
    void conn.closed.then((info) => {
      this.#last = info
    })
    await this.#greet(conn, { attempt, previous })
    if (conn.state === 'open' && this.#state !== 'closing') {
      this.#conn = conn
      this.#congested = false
      this.#setState('open')
      this.#pump(conn)
    }
    const { onMessage } = this.#options
    if (onMessage === undefined) {
      for await (const message of conn.messages()) await this.#inbox.put(message)
    } else {
      conn.onMessage(onMessage)
      await conn.closed
    }
    this.#conn = undefined
  }

  async #greet(conn: Conn, details: Pick<Attempt, 'attempt' | 'previous'>): Promise<void> {
    const { onConnect } = this.#options
    if (onConnect === undefined) return
    let failure: { readonly error: unknown } | undefined
    const greeting = (async () => onConnect(conn, details))().catch((error: unknown) => {
      failure = { error }
    })
    // Whatever it waits for, the end of the connection is the end of that.
    await Promise.race([greeting, conn.closed])
    if (failure === undefined) return
    if (conn.state === 'open') void conn.close(CloseCode.InternalError, 'internal error')
    else {
      const { by, error } = await conn.closed
      // Of an end that came from elsewhere that is a consequence; of one that it made itself, the reason.
      const own = by === 'local' && error === undefined && this.#state !== 'closing'
      if (!own || failure.error instanceof CloseError) return
    }
    throw failure.error
  }

  #hasRoom(conn: Conn): boolean {
    if (this.#congested || conn.state !== 'open') return false
    // By its own bound it would drop what comes, or end.
    if (conn.bufferedAmount > conn.maxSendBuffer) this.#waitForRoom(conn)
    return !this.#congested
  }

  #waitForRoom(conn: Conn): void {
    this.#congested = true
    const goOn = (): void => {
      this.#congested = false
      this.#pump(conn)
    }
    // When it ends instead, what waits goes to the next.
    conn.drained().then(goOn, () => {})
  }

  /** Hands over what waits, as long as the connection has room. */
  #pump(conn: Conn): void {
    while (this.#hasRoom(conn)) {
      const message = this.#outbox.take()
      if (message === undefined) {
        for (const { resolve } of this.#waiting.splice(0)) resolve()
        return
      }
      if (!this.#hand(conn, message)) this.#waitForRoom(conn)
    }
  }

  /** Hands over what waits, as far as the connection's own bound allows: it is about to close. */
  #flush(): void {
    const conn = this.#conn
    while (conn?.state === 'open' && conn.bufferedAmount <= conn.maxSendBuffer) {
      const message = this.#outbox.take()
      if (message === undefined) return
      this.#hand(conn, message)
    }
  }

  /** As `Conn.send`; but who gave the message is not there any more to be told that an extension failed with it. */
  #hand(conn: Conn, message: QueuedMessage): boolean {
    try {
      return conn.send(message.data, message.type)
    } catch {
      this.#drop(message, 'failed')
      return true
    }
  }

  #iterate<T>(pick: (message: Message) => T): AsyncIterator<T, undefined> {
    if (this.#options.onMessage !== undefined)
      throw new UsageError('ERR_WS_CONCURRENT_READ', 'all messages go to the onMessage of the options')
    return {
      next: async () => {
        const message = await this.#inbox.take()
        if (message !== undefined) return { done: false, value: pick(message) }
        const { error } = await this.closed
        if (error !== undefined) throw error
        return { done: true, value: undefined }
      },
      return: () => Promise.resolve({ done: true, value: undefined }),
    }
  }

  #onPhase(phase: ReconnectingState): void {
    if (this.#state !== 'closing') this.#setState(phase)
  }

  #setState(state: ReconnectingState): void {
    if (state === this.#state) return
    this.#state = state
    tellListener('onState', () => this.#options.onState?.(state))
  }

  #drop({ data }: QueuedMessage, reason: DropReason): void {
    tellListener('onDrop', () => this.#options.onDrop?.(data, reason))
  }

  #endError({ error, last }: ReconnectingEnd): Error {
    return error ?? new CloseError(last ?? neverConnected)
  }
}

/** The end of what was closed before it had a connection. */
const neverConnected: CloseInfo = {
  code: CloseCode.Normal,
  reason: '',
  wasClean: false,
  by: 'local',
  received: undefined,
  sent: undefined,
  error: undefined,
  stats: {
    bytesReceived: 0,
    bytesSent: 0,
    messagesReceived: 0,
    messagesSent: 0,
    sendsDropped: 0,
    receivesDropped: 0,
    rtt: undefined,
  },
}
