import {
  ReadableStream,
  type ReadableStreamDefaultController,
  WritableStream,
  type WritableStreamDefaultController,
} from 'node:stream/web'
import { setImmediate } from 'node:timers'
import type { Conn } from '../conn/conn.ts'
import { isAbortSignal } from '../conn/is-abort-signal.ts'
import { onAbort } from '../conn/on-abort.ts'
import { silent } from '../conn/silent.ts'
import type { CloseInfo } from '../session/close-info.ts'
import type { Message } from '../session/message.ts'
import { CloseCode } from '../wire/close-code.ts'
import { type CloseStatus, checkCloseStatus } from './close-status.ts'
import { closeWhenSent } from './close-when-sent.ts'
import { snapshot, toArrayBuffer, toMessageData } from './message-data.ts'
import { RuntimeAbortController, RuntimeDomException } from './runtime.ts'
import {
  ensurePrototype,
  expose,
  illegalInvocation,
  isObject,
  requireArguments,
  toDictionary,
  toSequence,
  toUsvString,
} from './web-idl.ts'
import { toCloseInfo, uncleanClose, type WebSocketCloseInfo, WebSocketError } from './websocket-error.ts'
import { openWebSocket } from './websocket-handshake.ts'
import { checkWebSocketProtocols, parseWebSocketUrl } from './websocket-url.ts'

/** How a {@link WebSocketStream} connects. */
export interface WebSocketStreamOptions {
  /** The subprotocols to offer, best first: the server has to choose one of them. Default: none. */
  protocols?: Iterable<string>
  /** Gives up the handshake; once connected it has no effect. */
  signal?: AbortSignal
}

/** An open {@link WebSocketStream}. */
export interface WebSocketOpenInfo {
  /** The extensions that the server chose, empty for none. */
  readonly extensions: string
  /** The subprotocol that the server chose, empty for none. */
  readonly protocol: string
  /** One chunk for each message: text as a string, binary as an `ArrayBuffer`. The server is held back while nobody reads. */
  readonly readable: ReadableStream<string | ArrayBuffer>
  /** One message for each chunk: bytes as binary, anything else as text. A write waits while the network takes no more. */
  readonly writable: WritableStream<string | ArrayBufferLike | ArrayBufferView>
}

type State = 'connecting' | 'open' | 'closing' | 'closed'

/**
 * A connection as a pair of streams, with backpressure both ways: Chromium's `WebSocketStream`, which is not a standard
 * yet.
 *
 * @example
 * ```ts
 * import { serve, WebSocketStream } from 'silverback'
 * await using server = await serve({}, (conn) => conn.onMessage((data) => conn.send(data)))
 * const stream = new WebSocketStream(server.url, { signal: AbortSignal.timeout(5_000) })
 * const { readable, writable } = await stream.opened
 * const writer = writable.getWriter()
 * await writer.write('hello')
 * const { value } = await readable.getReader().read()
 * console.log(value) // hello
 * stream.close({ closeCode: 1000, reason: 'done' })
 * console.log(await stream.closed) // { closeCode: 1000, reason: 'done' }
 * ```
 */
export class WebSocketStream {
  readonly #url: URL
  readonly #opened = settler<WebSocketOpenInfo>()
  readonly #closed = settler<Required<WebSocketCloseInfo>>()
  readonly #handshake = new RuntimeAbortController()
  #state: State = 'connecting'
  #conn: Conn | undefined
  #messages: AsyncIterator<Message> | undefined
  #readable: ReadableStreamDefaultController<string | ArrayBuffer> | undefined
  #writable: WritableStreamDefaultController | undefined
  /** A chunk is wanted and has not come. */
  #pulling = false
  /** Ends the readable behind the last message, once the connection has ended. */
  #endReadable: (() => void) | undefined

  /**
   * Connects at once.
   *
   * @param url - `ws:`, `wss:`, or `http:` and `https:`, which mean the same; absolute
   * @throws DOMException `SyntaxError` for a wrong URL or subprotocol
   */
  constructor(url: string | URL, options: WebSocketStreamOptions = {}) {
    // biome-ignore lint/complexity/noArguments: a URL that is missing is not one that is undefined (Web IDL).
    requireArguments('WebSocketStream', arguments.length, 1)
    ensurePrototype(this, new.target, WebSocketStream)
    const address = toUsvString(url)
    const { protocols, signal } = toOptions(options)
    this.#url = parseWebSocketUrl(address)
    checkWebSocketProtocols(protocols)
    if (signal?.aborted) this.#abort()
    else this.#connect(protocols, signal)
  }

  /** The address, as the URL Standard writes it. */
  get url(): string {
    return WebSocketStream.#check(this).#url.href
  }

  /** Resolves when the connection is open. Rejects with a `WebSocketError` when there is none, or with an `AbortError`. */
  get opened(): Promise<WebSocketOpenInfo> {
    return WebSocketStream.#is(this) ? this.#opened.promise : silent(Promise.reject(illegalInvocation()))
  }

  /**
   * Resolves with what the peer's Close frame said when the connection has ended in order. Rejects with a
   * `WebSocketError` when it did not, or was never open.
   */
  get closed(): Promise<Required<WebSocketCloseInfo>> {
    return WebSocketStream.#is(this) ? this.#closed.promise : silent(Promise.reject(illegalInvocation()))
  }

  /**
   * Closes behind what was written, or gives up connecting. Messages that have not been read are dropped.
   *
   * @throws DOMException `InvalidAccessError` for a code other than 1000 and 3000 to 4999, `SyntaxError` for a reason of
   * more than 123 bytes
   */
  close(closeInfo: WebSocketCloseInfo = {}): void {
    const stream = WebSocketStream.#check(this)
    const { closeCode, reason } = toCloseInfo(closeInfo, 'close')
    stream.#close(checkCloseStatus(closeCode, reason))
  }

  static #is(object: unknown): object is WebSocketStream {
    return isObject(object) && #url in object
  }

  static #check(object: unknown): WebSocketStream {
    if (WebSocketStream.#is(object)) return object
    throw illegalInvocation()
  }

  #connect(protocols: readonly string[], signal: AbortSignal | undefined): void {
    const stop = signal && onAbort(signal, () => this.#abort())
    openWebSocket(this.#url, protocols, this.#handshake.signal)
      .finally(stop)
      .then(
        (conn) => setImmediate(() => this.#established(conn)),
        () => setImmediate(() => this.#ended(undefined)),
      )
  }

  #close(status: CloseStatus): void {
    if (this.#state === 'connecting') this.#handshake.abort()
    else if (this.#state === 'open') void closeWhenSent(this.#conn as Conn, status)
    else return
    this.#state = 'closing'
  }

  /** For what the streams are cancelled or aborted with: the code and reason of a `WebSocketError`. */
  #closeFor(reason: unknown): void {
    try {
      if (reason instanceof WebSocketError)
        return this.#close(checkCloseStatus(reason.closeCode ?? undefined, reason.reason))
    } catch {
      // The error of another connection, whose code was never sent either.
    }
    this.#close(checkCloseStatus(undefined, ''))
  }

  #abort(): void {
    const error = new RuntimeDomException('The WebSocket handshake was aborted', 'AbortError')
    this.#opened.reject(error)
    this.#closed.reject(error)
    this.#close(checkCloseStatus(undefined, ''))
  }

  #established(conn: Conn): void {
    if (this.#state !== 'connecting') {
      // Closed meanwhile.
      conn.terminate()
      return this.#ended(undefined)
    }
    this.#state = 'open'
    this.#conn = conn
    this.#messages = conn.messages()[Symbol.asyncIterator]()
    // Each holds one chunk at most (the default), behind what the connection's own limits allow.
    const readable = new ReadableStream<string | ArrayBuffer>({
      start: (controller) => {
        this.#readable = controller
      },
      pull: () => this.#pull(),
      cancel: (reason) => {
        this.#readable = undefined
        this.#closeFor(reason)
      },
    })
    const writable = new WritableStream<string | ArrayBufferLike | ArrayBufferView>({
      start: (controller) => {
        this.#writable = controller
        // At once: `abort` is called behind a write that is under way only, and that may wait for the peer for ever.
        const { signal } = controller as { signal?: AbortSignal }
        signal?.addEventListener('abort', () => this.#closeFor(signal.reason))
      },
      write: (chunk) => this.#write(chunk),
      close: async () => {
        this.#close(checkCloseStatus(undefined, ''))
        await this.#closed.promise
      },
    })
    void conn.closed.then((info) => setImmediate(() => this.#ended(info)))
    this.#opened.resolve({
      extensions: conn.extensions,
      protocol: conn.subprotocol,
      readable,
      writable,
    })
  }

  /** Takes one message out of the connection, which goes on receiving when there is room. */
  async #pull(): Promise<void> {
    this.#pulling = true
    const data = await this.#next()
    if (data === undefined) return this.#endReadable?.()
    this.#pulling = false
    this.#readable?.enqueue(typeof data === 'string' ? data : toArrayBuffer(data))
  }

  /** The next message while it is wanted; `undefined` when there will be none. */
  async #next(): Promise<string | Uint8Array | undefined> {
    try {
      for (;;) {
        const step = await this.#messages?.next()
        if (step === undefined || step.done) return undefined
        if (this.#state !== 'closing') return step.value.data
      }
    } catch {
      // How it ended is told by `closed`.
      return undefined
    }
  }

  async #write(chunk: unknown): Promise<void> {
    const data = snapshot(toMessageData(chunk, 'write'), 'sent')
    const conn = this.#conn as Conn
    // Behind our own `close`, as in Chromium, a write is taken and goes nowhere.
    if (this.#state === 'closing') return
    // Behind the peer's Close frame nothing is sent: this errors the writable, too.
    if (conn.state !== 'open') throw closedError()
    if (conn.send(data)) return
    try {
      await conn.drained()
    } catch {
      // The connection has ended, and the message has left only if it ended in order.
      await this.#closed.promise
    }
  }

  /** @param info - `undefined` when the connection was never open */
  #ended(info: CloseInfo | undefined): void {
    const dropping = this.#state === 'closing'
    this.#state = 'closed'
    const code = info?.received?.code ?? CloseCode.Abnormal
    const reason = info?.received?.reason ?? ''
    const error = info?.wasClean
      ? undefined
      : uncleanClose('The WebSocket did not end in order', code, reason)
    this.#endReadable = () => {
      if (error === undefined) this.#readable?.close()
      else this.#readable?.error(error)
      this.#readable = undefined
    }
    // Else there are messages that came before the end: they are read first.
    if (this.#pulling || dropping) this.#endReadable()
    this.#writable?.error(error ?? closedError())
    this.#opened.reject(new WebSocketError('The WebSocket was closed before it was open'))
    if (error === undefined) this.#closed.resolve({ closeCode: code, reason })
    else this.#closed.reject(error)
  }

  static {
    expose(WebSocketStream)
  }
}

function closedError(): DOMException {
  return new RuntimeDomException('The WebSocketStream is closed', 'InvalidStateError')
}

interface Settler<T> {
  readonly promise: Promise<T>
  readonly resolve: (value: T) => void
  readonly reject: (error: Error) => void
}

/** A promise to be settled later; who does not care for it need not say so. */
function settler<T>(): Settler<T> {
  let settle: Omit<Settler<T>, 'promise'> | undefined
  const promise = silent(
    new Promise<T>((resolve, reject) => {
      settle = { resolve, reject }
    }),
  )
  return { promise, ...(settle as Omit<Settler<T>, 'promise'>) }
}

function toOptions(given: unknown): {
  readonly protocols: readonly string[]
  readonly signal: AbortSignal | undefined
} {
  const where = 'WebSocketStream'
  const options = toDictionary(given, where)
  const list = options['protocols']
  const protocols = list === undefined ? [] : toSequence(list, where)
  if (protocols === undefined) throw new TypeError(`${where}: protocols is not a sequence`)
  const signal = options['signal']
  if (signal !== undefined && !isAbortSignal(signal))
    throw new TypeError(`${where}: signal is not an AbortSignal`)
  return { protocols, signal }
}
