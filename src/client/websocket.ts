import { Blob as NodeBlob } from 'node:buffer'
import { nextTick } from 'node:process'
import { clearImmediate, setImmediate } from 'node:timers'
import type { Conn } from '../conn/conn.ts'
import { expectListeners } from '../conn/expect-listeners.ts'
import type { CloseInfo } from '../session/close-info.ts'
import { LimitError, ProtocolError } from '../session/errors.ts'
import type { Message } from '../session/message.ts'
import { CloseCode } from '../wire/close-code.ts'
import { CloseEvent } from './close-event.ts'
import { checkCloseStatus } from './close-status.ts'
import { defineEventHandlers, EventHandlers } from './event-handlers.ts'
import { toArrayBuffer, toMessageData } from './message-data.ts'
import {
  blobSize,
  RuntimeAbortController,
  RuntimeDomException,
  RuntimeEvent,
  RuntimeMessageEvent,
  runtimeMicrotask,
} from './runtime.ts'
import {
  defineConstants,
  ensurePrototype,
  expose,
  illegalInvocation,
  isObject,
  requireArguments,
  toClampedShort,
  toDomString,
  toSequence,
  toUsvString,
} from './web-idl.ts'
import { openWebSocket } from './websocket-handshake.ts'
import { WebSocketSendQueue } from './websocket-send-queue.ts'
import { checkWebSocketProtocols, parseWebSocketUrl } from './websocket-url.ts'

/** How a {@link WebSocket} gives binary messages to its listeners. */
export type BinaryType = 'blob' | 'arraybuffer'

/** The events of a {@link WebSocket}. */
export interface WebSocketEventMap {
  /** The connection is open. */
  readonly open: Event
  /** A message has come: `data` is a string, a Blob or an ArrayBuffer. */
  readonly message: MessageEvent
  /** The connection has failed, or could not be made: `close` follows. It does not tell why. */
  readonly error: Event
  /** The connection is gone: the last event. */
  readonly close: CloseEvent
}

/** A method's type, and without `this`, so that it fits other declarations of the same class, such as the DOM's. */
export type WebSocketEventHandler<Name extends keyof WebSocketEventMap> =
  | { handle(event: WebSocketEventMap[Name]): unknown }['handle']
  | null

/**
 * A connection as pages have it: the `WebSocket` of the WHATWG WebSockets Standard, to the letter.
 *
 * It takes no options and tells nothing of what went wrong, as the standard wants it. For headers, limits,
 * backpressure or reasons, use `dial`. Its own limits: messages of 128 MiB, 60 s to connect, 10 s to close.
 *
 * @example
 * ```ts
 * import { serve, WebSocket } from 'silverback'
 * await using server = await serve({}, (conn) => conn.onMessage((data) => conn.send(data)))
 * const socket = new WebSocket(server.url)
 * socket.onopen = () => socket.send('hello')
 * socket.onmessage = ({ data }) => {
 *   console.log(data) // hello
 *   socket.close(1000, 'done')
 * }
 * await new Promise((resolve) => socket.addEventListener('close', resolve))
 * ```
 */
export interface WebSocket extends EventTarget {
  /** The address, as the URL Standard writes it. */
  readonly url: string
  /** `CONNECTING` 0, `OPEN` 1, `CLOSING` 2 or `CLOSED` 3. */
  readonly readyState: 0 | 1 | 2 | 3
  /**
   * Bytes of messages that were given to `send` and have not left, without frame headers. Once the connection is
   * closing, what is given to `send` is never sent and counts for ever.
   */
  readonly bufferedAmount: number
  /** The extensions that the server chose; empty until the connection is open, or when there are none. */
  readonly extensions: string
  /** The subprotocol that the server chose; empty until the connection is open, or when none was offered. */
  readonly protocol: string
  /** How binary messages come from now on. Default `blob`. */
  binaryType: BinaryType
  /** The handler of `open`; `null` for none. */
  onopen: WebSocketEventHandler<'open'>
  /** The handler of `message`; `null` for none. */
  onmessage: WebSocketEventHandler<'message'>
  /** The handler of `error`; `null` for none. */
  onerror: WebSocketEventHandler<'error'>
  /** The handler of `close`; `null` for none. */
  onclose: WebSocketEventHandler<'close'>
  /** The `readyState` until the connection is open. */
  readonly CONNECTING: 0
  /** The `readyState` while messages can be sent. */
  readonly OPEN: 1
  /** The `readyState` once either side has begun to close. */
  readonly CLOSING: 2
  /** The `readyState` at the end. */
  readonly CLOSED: 3
  /**
   * Sends a message: bytes and Blobs as binary, anything else as text. Bytes may be changed as soon as it returns.
   *
   * @throws DOMException `InvalidStateError` while the connection is not open yet
   * @throws TypeError for memory that is shared or can be resized
   */
  send(data: string | ArrayBufferLike | ArrayBufferView | Blob): void
  /**
   * Closes the connection behind all that was sent, or gives up connecting.
   *
   * @param code - 1000, or 3000 to 4999. Default: none is sent, and the `close` event has 1005
   * @param reason - at most 123 bytes of UTF-8
   * @throws DOMException `InvalidAccessError` for another code, `SyntaxError` for a longer reason
   */
  close(code?: number, reason?: string): void
  /** Calls a listener for each event of a type, as on every `EventTarget`. */
  addEventListener<Name extends keyof WebSocketEventMap>(
    type: Name,
    listener: (this: WebSocket, event: WebSocketEventMap[Name]) => unknown,
    options?: Parameters<EventTarget['addEventListener']>[2],
  ): void
  /** The same for events of your own, and for objects with a `handleEvent`. */
  addEventListener(...listener: Parameters<EventTarget['addEventListener']>): void
  /** Takes away a listener that was added with the same arguments. */
  removeEventListener<Name extends keyof WebSocketEventMap>(
    type: Name,
    listener: (this: WebSocket, event: WebSocketEventMap[Name]) => unknown,
    options?: Parameters<EventTarget['removeEventListener']>[2],
  ): void
  /** The same for events of your own, and for objects with a `handleEvent`. */
  removeEventListener(...listener: Parameters<EventTarget['removeEventListener']>): void
}

/** The class of {@link WebSocket}. */
export interface WebSocketConstructor {
  /** What its objects share. */
  readonly prototype: WebSocket
  /**
   * Connects at once.
   *
   * @param url - `ws:`, `wss:`, or `http:` and `https:`, which mean the same; absolute
   * @param protocols - the subprotocols to offer, best first: the server has to choose one of them. Default: none
   * @throws DOMException `SyntaxError` for a wrong URL or subprotocol
   */
  new (url: string | URL, protocols?: string | Iterable<string>): WebSocket
  /** The `readyState` until the connection is open. */
  readonly CONNECTING: 0
  /** The `readyState` while messages can be sent. */
  readonly OPEN: 1
  /** The `readyState` once either side has begun to close. */
  readonly CLOSING: 2
  /** The `readyState` at the end. */
  readonly CLOSED: 3
}

const constants = { CONNECTING: 0, OPEN: 1, CLOSING: 2, CLOSED: 3 } as const
const { CONNECTING, OPEN, CLOSING, CLOSED } = constants

// An application may have put its own in its place.
const { dispatchEvent } = EventTarget.prototype

/** The class of {@link WebSocket}. */
export const WebSocket: WebSocketConstructor = class WebSocket extends EventTarget {
  readonly #url: URL
  readonly #origin: string
  readonly #handshake = new RuntimeAbortController()
  readonly #handlers = new EventHandlers(this)
  #readyState: 0 | 1 | 2 | 3 = CONNECTING
  #binaryType: BinaryType = 'blob'
  #protocol = ''
  #extensions = ''
  #conn: Conn | undefined
  #queue: WebSocketSendQueue | undefined
  /** Bytes given to `send` when it was too late. */
  #unsendable = 0
  /** All messages that have come were delivered, in earlier tasks. */
  #idle = false
  /** What was to be sent could not be. */
  #full = false

  constructor(url: string | URL, protocols: string | Iterable<string> = []) {
    // biome-ignore lint/complexity/noArguments: a URL that is missing is not one that is undefined (Web IDL).
    requireArguments('WebSocket', arguments.length, 1)
    const address = toUsvString(url)
    const subprotocols = toSequence(protocols, 'WebSocket') ?? [toDomString(protocols)]
    super()
    ensurePrototype(this, new.target, WebSocket)
    // A page warns of no number of listeners.
    expectListeners(this)
    this.#url = parseWebSocketUrl(address)
    checkWebSocketProtocols(subprotocols)
    this.#origin = this.#url.origin
    openWebSocket(this.#url, subprotocols, this.#handshake.signal).then(
      // All that listeners hear of is told in a task of its own: they see what the last one did, promises included.
      (conn) => setImmediate(() => this.#established(conn)),
      () => setImmediate(() => this.#closed(undefined)),
    )
  }

  get url(): string {
    return WebSocket.#check(this).#url.href
  }

  get readyState(): 0 | 1 | 2 | 3 {
    return WebSocket.#check(this).#state
  }

  get bufferedAmount(): number {
    const socket = WebSocket.#check(this)
    return socket.#unsendable + (socket.#queue?.bufferedAmount ?? 0)
  }

  get extensions(): string {
    return WebSocket.#check(this).#extensions
  }

  get protocol(): string {
    return WebSocket.#check(this).#protocol
  }

  get binaryType(): BinaryType {
    return WebSocket.#check(this).#binaryType
  }

  set binaryType(type: BinaryType) {
    const socket = WebSocket.#check(this)
    const value = toDomString(type)
    if (value === 'blob' || value === 'arraybuffer') socket.#binaryType = value
  }

  send(data: string | ArrayBufferLike | ArrayBufferView | Blob): void {
    const socket = WebSocket.#check(this)
    // biome-ignore lint/complexity/noArguments: as above.
    requireArguments('send', arguments.length, 1)
    const blob = blobSize(data)
    const message = blob === undefined ? toMessageData(data, 'send') : (data as Blob)
    if (socket.#readyState === CONNECTING) {
      throw new RuntimeDomException('The connection is not open yet', 'InvalidStateError')
    }
    const size = blob ?? sizeOf(message as string | Uint8Array)
    if (socket.#state === OPEN) socket.#queue?.send(message, size)
    else socket.#unsendable += size
  }

  close(code: number | undefined = undefined, reason: string | undefined = undefined): void {
    const socket = WebSocket.#check(this)
    const status = checkCloseStatus(
      code === undefined ? undefined : toClampedShort(code),
      reason === undefined ? '' : toUsvString(reason),
    )
    if (socket.#state >= CLOSING) return
    socket.#readyState = CLOSING
    if (socket.#queue === undefined) socket.#handshake.abort()
    else socket.#queue.close(status)
  }

  static #check(object: unknown): WebSocket {
    if (isObject(object) && #url in object) return object
    throw illegalInvocation()
  }

  get #state(): 0 | 1 | 2 | 3 {
    // The other side has begun to close, and all that it said before has been told.
    if (this.#readyState === OPEN && this.#idle && this.#conn?.state !== 'open') return CLOSING
    return this.#readyState
  }

  #fire(event: Event): void {
    dispatchEvent.call(this, event)
  }

  #established(conn: Conn): void {
    if (this.#readyState !== CONNECTING) {
      // Closed meanwhile.
      conn.terminate()
      return this.#closed(undefined)
    }
    this.#conn = conn
    this.#queue = new WebSocketSendQueue(conn, () => {
      this.#full = true
    })
    this.#readyState = OPEN
    this.#extensions = conn.extensions
    this.#protocol = conn.subprotocol
    this.#fire(new RuntimeEvent('open'))
    this.#receive(conn, conn.messages()[Symbol.asyncIterator]())
  }

  /** Delivers one message a task: taken one by one, so that what waits is bounded by the connection's own limits. */
  #receive(conn: Conn, messages: AsyncIterator<Message>): void {
    const idle = setImmediate(() => {
      this.#idle = true
    })
    const next = ({ done, value }: IteratorResult<Message, undefined>): void => {
      if (done) return ended()
      clearImmediate(idle)
      this.#idle = false
      setImmediate(() => {
        this.#deliver(value)
        this.#receive(conn, messages)
      })
    }
    // How it ended is told by `closed`, where it is an error too.
    const ended = (): void => void conn.closed.then((info) => setImmediate(() => this.#closed(info)))
    messages.next().then(next, ended)
  }

  #deliver({ data }: Message): void {
    if (this.#readyState !== OPEN) return
    this.#fire(new RuntimeMessageEvent('message', { data: this.#inForm(data), origin: this.#origin }))
  }

  #inForm(data: string | Uint8Array): string | ArrayBuffer | Blob {
    if (typeof data === 'string') return data
    return this.#binaryType === 'blob' ? new NodeBlob([data]) : toArrayBuffer(data)
  }

  /** @param info - `undefined` when the connection was never open */
  #closed(info: CloseInfo | undefined): void {
    const failed = this.#full || info === undefined || isFailure(info, this.#readyState === CLOSING)
    this.#readyState = CLOSED
    if (info?.wasClean) this.#queue?.endInOrder()
    const event = new CloseEvent('close', {
      wasClean: info?.wasClean ?? false,
      code: info?.received?.code ?? CloseCode.Abnormal,
      reason: info?.received?.reason ?? '',
    })
    if (!failed) return this.#fire(event)
    this.#fire(new RuntimeEvent('error'))
    // Within the same task, but behind what the listeners of `error` have made ready: their ticks, and then their promises.
    runtimeMicrotask(() => nextTick(() => this.#fire(event)))
  }

  static {
    defineConstants(WebSocket, constants)
    defineEventHandlers(
      WebSocket,
      ['open', 'error', 'close', 'message'],
      (socket) => WebSocket.#check(socket).#handlers,
    )
    expose(WebSocket)
  }
} as unknown as WebSocketConstructor

/**
 * Whether the connection failed, in the sense of RFC 6455 section 7.1.7: the peer broke a rule or a limit, or it was
 * lost before either side had begun to close.
 */
function isFailure({ error, received }: CloseInfo, closing: boolean): boolean {
  if (error instanceof ProtocolError || error instanceof LimitError) return true
  return !closing && received === undefined
}

function sizeOf(message: string | Uint8Array): number {
  return typeof message === 'string' ? Buffer.byteLength(message, 'utf8') : message.length
}
