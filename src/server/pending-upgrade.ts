import type { Duplex } from 'node:stream'
import { processWheel, type TimerWheel, type WheelEntry } from '../conn/timer-wheel.ts'
import { TimeoutError } from '../session/errors.ts'
import { type Verdict, verdictOf, verdictOfError } from './authorize.ts'
import { type Denial, denialError, deny } from './denial.ts'

/**
 * What a client may send before it is answered (RFC 6455 section 4.1 forbids it): beyond, it is refused. To leave it
 * unread instead would be to notice no more when it goes.
 */
const MAX_EARLY_BYTES = 16 * 1024
/** Chunks have a size of their own, whatever is in them. */
const MAX_EARLY_CHUNKS = 16

/**
 * An upgrade that waits for the application's answer. Node has taken its listeners off the socket by then: here it is
 * watched, so that a client that goes away is noticed and crashes nobody, and what it sends early is kept, bounded.
 */
export class PendingUpgrade implements WheelEntry {
  wheelNext: WheelEntry | undefined = undefined
  wheelPrevious: WheelEntry | undefined = undefined
  wheelDue = 0

  readonly #socket: Duplex
  readonly #timeout: number
  readonly #wheel: TimerWheel
  readonly #chunks: Buffer[]
  #early = 0
  #resolve: ((verdict: Verdict) => void) | undefined
  #denial: Denial | undefined
  #controller: AbortController | undefined

  /**
   * @param head - what came behind the request
   * @param timeout - milliseconds; 0 = no limit
   */
  constructor(socket: Duplex, head: Buffer, timeout: number, wheel: TimerWheel = processWheel) {
    this.#socket = socket
    this.#timeout = timeout
    this.#wheel = wheel
    this.#chunks = head.length === 0 ? [] : [head]
  }

  /** Aborted when the wait ends without the answer. Made when it is asked for. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController()
      if (this.#denial !== undefined) this.#controller.abort(denialError(this.#denial))
    }
    return this.#controller.signal
  }

  /** Resolves with what becomes of the request: what the answer means, or why it is not waited for. Never rejects. */
  settle(answer: PromiseLike<unknown>): Promise<Verdict> {
    const socket = this.#socket
    socket.on('data', this.#onData)
    socket.on('end', this.#onGone)
    socket.on('close', this.#onGone)
    socket.on('error', ignore)
    // Whoever had it before may have paused it: then nothing would be heard.
    if (socket.isPaused()) socket.resume()
    if (this.#timeout > 0) this.#wheel.schedule(this, this.#timeout)
    return new Promise((resolve) => {
      this.#resolve = resolve
      Promise.resolve(answer).then(
        (value) => this.#conclude(() => verdictOf(value)),
        (error: unknown) => this.#conclude(() => verdictOfError(error)),
      )
    })
  }

  /** Ends the wait: the answer does not count any more. Resolves when the client has gone, for which it has to be answered. */
  cancel(denial: Denial): Promise<void> {
    const gone = new Promise<void>((resolve) => {
      this.#socket.once('close', resolve)
    })
    this.#fail(denial)
    return gone
  }

  /** Lets go of the socket, which has to be taken over in the same turn. Returns all that the client sent early. */
  release(): Buffer {
    const socket = this.#socket
    socket.off('data', this.#onData)
    socket.off('end', this.#onGone)
    socket.off('close', this.#onGone)
    // Not the listener for errors: nobody minds it, and who takes over may be a turn late.
    this.#wheel.cancel(this)
    return this.#chunks.length === 1 ? (this.#chunks[0] as Buffer) : Buffer.concat(this.#chunks)
  }

  onDue(): void {
    const cause = new TimeoutError('ERR_WS_HANDSHAKE_TIMEOUT', 'handshake', this.#timeout)
    this.#fail(deny(408, 'ERR_WS_AUTHORIZE_TIMEOUT', 'the handshake took too long', { cause }))
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#chunks.push(chunk)
    this.#early += chunk.length
    if (this.#early > MAX_EARLY_BYTES || this.#chunks.length > MAX_EARLY_CHUNKS)
      this.#fail(deny(400, 'ERR_WS_REQUEST_BODY', 'too much was sent before the answer'))
  }

  /** A client that has ended its half has nothing to say any more, so it is as good as gone. */
  readonly #onGone = (): void => {
    this.#fail(deny(400, 'ERR_WS_SOCKET_CLOSED', 'the client has gone'))
    this.#socket.destroy()
  }

  #fail(denial: Denial): void {
    if (this.#resolve === undefined) return
    this.#denial = denial
    this.#conclude(() => denial)
    this.#controller?.abort(denialError(denial))
  }

  #conclude(verdict: () => Verdict): void {
    const resolve = this.#resolve
    this.#resolve = undefined
    resolve?.(verdict())
  }
}

function ignore(): void {}
