import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { TLSSocket } from 'node:tls'
import type { Extension } from '../protocol/extension.ts'
import type { Fault } from '../protocol/fault.ts'
import type { Limits } from '../protocol/limits.ts'
import { heapSlabs } from '../protocol/output.ts'
import { Protocol, type ProtocolHandler } from '../protocol/protocol.ts'
import type { CloseFrame, CloseInfo, ConnStats } from '../session/close-info.ts'
import { CloseError, LimitError, TimeoutError } from '../session/errors.ts'
import type { MessageType } from '../session/message.ts'
import { checkSendable, Prepared } from '../session/prepared.ts'
import type { Sendable } from '../session/session.ts'
import { CloseCode } from '../wire/close-code.ts'
import { faultToError } from './fault-to-error.ts'
import { type Flushable, flushSoon } from './flusher.ts'
import { Inbox, type InboxFlow } from './inbox.ts'
import { randomMask } from './random-mask.ts'
import { RoundTrips } from './round-trips.ts'
import { slabPool } from './slab-pool.ts'
import { processWheel, TICK, type TimerWheel, type WheelEntry } from './timer-wheel.ts'

/** What `send` does when `maxSendBuffer` is exceeded: end the connection with 1013, or drop the message. */
export type SlowPolicy = 'close' | 'skip'

/** What a {@link Link} is made of. */
export interface LinkOptions {
  readonly socket: Duplex
  readonly role: 'server' | 'client'
  readonly limits: Limits
  readonly slow: SlowPolicy
  readonly extensions: readonly Extension[]
  /** Bytes that came behind the handshake. */
  readonly head: Buffer
  /** The user's listener threw; the connection is being closed with 1011. */
  readonly onListenerError: (error: unknown) => void
  readonly onClosed: () => void
  readonly wheel?: TimerWheel
}

/** Above this many waiting bytes `send` says `false`. */
const HIGH_MARK = 64 * 1024

/** Above this many waiting bytes only the latest ping is answered. */
const PONG_MARK = 16 * 1024

/** More is written in several steps, so that progress on a slow connection can be seen. */
const LARGEST_WRITE = 256 * 1024

/** What the kernels on both sides may hold of what we have sent, in bytes. */
const MOST_IN_TRANSIT = 4 * 1024 * 1024

/** The slowest peer that is waited for, in bytes per millisecond. */
const SLOWEST_PEER = 16

/**
 * The working half of a connection: one byte stream, one protocol engine, one deadline. It moves bytes between the
 * two, answers for time and for memory, and knows how the connection ended.
 */
export class Link implements ProtocolHandler, InboxFlow, WheelEntry, Flushable {
  readonly inbox: Inbox
  readonly limits: Limits

  wheelNext: WheelEntry | undefined = undefined
  wheelPrevious: WheelEntry | undefined = undefined
  wheelDue = 0

  readonly #socket: Duplex
  readonly #role: 'server' | 'client'
  readonly #slow: SlowPolicy
  readonly #protocol: Protocol
  readonly #wheel: TimerWheel
  readonly #onListenerError: (error: unknown) => void
  readonly #onClosed: () => void
  /** Whether the kernel has taken what a finished write held, so that its memory can serve again. */
  readonly #recycles: boolean

  /** The rest of a chunk in whose middle the inbox was full. */
  #rest: Buffer | undefined
  /** `receive` is running: what it sends is flushed at its end. */
  #receiving = false
  #flushQueued = false
  #paused = false
  /** Wheel time of the last byte received. */
  #heardAt: number
  /** Wheel time of the heartbeat's ping that nothing has followed yet. */
  #pingedAt: number | undefined
  /** What had been sent when the peer was last heard: it may have to read all that came since before it answers. */
  #sentAtHeard = 0
  #roundTrips: RoundTrips | undefined
  #drainWaiters: { resolve: () => void; reject: (error: Error) => void }[] | undefined
  /** The deadline is that of the closing. */
  #closeTimed = false
  /** We ended our half of the stream. */
  #ended = false
  #terminated = false
  /** The kernel has taken our Close frame. */
  #closeLeft = false
  /** The peer says no more: what is left of its last chunk is read to the end, room or not. */
  #atEnd = false
  /** While closing, a message found no room. */
  #dropping = false
  /** Wheel time when the socket took our last write. */
  #heldAt = 0
  #error: Error | undefined
  #closeInfo: CloseInfo | undefined
  #closeError: CloseError | undefined
  #closed: Promise<CloseInfo> | undefined
  #resolveClosed: ((info: CloseInfo) => void) | undefined

  #bytesReceived = 0
  #bytesSent = 0
  #messagesReceived = 0
  #messagesSent = 0
  #messagesDropped = 0

  constructor(options: LinkOptions) {
    const { socket, role, limits, slow, extensions, wheel = processWheel } = options
    this.#socket = socket
    this.#role = role
    this.limits = limits
    this.#slow = slow
    this.#wheel = wheel
    this.#heardAt = wheel.time
    this.#onListenerError = options.onListenerError
    this.#onClosed = options.onClosed
    this.#recycles = socket instanceof Socket && !(socket instanceof TLSSocket)
    this.inbox = new Inbox(this, limits.maxQueuedMessages, limits.maxQueuedBytes)
    this.#protocol = new Protocol({
      role,
      handler: this,
      limits,
      mask: role === 'client' ? randomMask : undefined,
      extensions,
      slabs: this.#recycles ? slabPool : heapSlabs,
      holdEnd: true,
    })
    this.#attach(options.head)
  }

  get state(): 'open' | 'closing' | 'closed' {
    if (this.#closeInfo !== undefined) return 'closed'
    return this.#protocol.closing === 'open' && !this.#terminated ? 'open' : 'closing'
  }

  get bufferedAmount(): number {
    return this.#protocol.output.pending + this.#socket.writableLength
  }

  get stats(): ConnStats {
    return {
      bytesReceived: this.#bytesReceived,
      bytesSent: this.#bytesSent + this.#protocol.output.pending,
      messagesReceived: this.#messagesReceived,
      messagesSent: this.#messagesSent,
      messagesDropped: this.#messagesDropped,
      rtt: this.#roundTrips?.last,
    }
  }

  get closed(): Promise<CloseInfo> {
    this.#closed ??=
      this.#closeInfo === undefined
        ? new Promise((resolve) => {
            this.#resolveClosed = resolve
          })
        : Promise.resolve(this.#closeInfo)
    return this.#closed
  }

  /** How it ended; one and the same error for all who ask. Only once closed. */
  get closeError(): CloseError {
    this.#closeError ??= new CloseError(this.#closeInfo as CloseInfo)
    return this.#closeError
  }

  get closeInfo(): CloseInfo | undefined {
    return this.#closeInfo
  }

  // --- sending

  send(data: Sendable, type: MessageType | undefined): boolean {
    const message = checkSendable(data, type)
    if (!this.#hasRoom()) return false
    if (message instanceof Prepared) this.#protocol.sendPrepared(message)
    else if (typeof message === 'string') this.#protocol.sendText(message)
    else this.#protocol.sendBytes(type ?? 'binary', message)
    this.#messagesSent++
    this.#flushLater()
    return this.bufferedAmount <= HIGH_MARK
  }

  drained(): Promise<void> {
    if (this.state !== 'open') return this.#afterClose()
    if (this.bufferedAmount <= HIGH_MARK) return Promise.resolve()
    return silent(
      new Promise<void>((resolve, reject) => {
        this.#drainWaiters ??= []
        this.#drainWaiters.push({ resolve, reject })
      }),
    )
  }

  ping(signal: AbortSignal | undefined): Promise<number> {
    if (this.state !== 'open') return this.#afterClose()
    this.#roundTrips ??= new RoundTrips(this.#wheel)
    const roundTrips = this.#roundTrips
    return silent(
      new Promise<number>((resolve, reject) => {
        signal?.throwIfAborted()
        const settle = (result: number | Error): void => {
          signal?.removeEventListener('abort', onAbort)
          if (typeof result === 'number') resolve(result)
          else reject(result)
        }
        const onAbort = (): void => {
          roundTrips.forget(settle)
          reject(signal?.reason as Error)
        }
        signal?.addEventListener('abort', onAbort, { once: true })
        this.#protocol.sendPing(roundTrips.next(settle))
        this.#flushLater()
      }),
    )
  }

  /** Begins the closing handshake, unless it has begun; the caller has checked code and reason. */
  close(code: number, reason: string, error?: Error): Promise<CloseInfo> {
    if (this.state === 'open' && this.#protocol.sendClose(code, reason)) {
      this.#error ??= error
      this.#closing()
    }
    return this.closed
  }

  terminate(): void {
    if (this.#closeInfo !== undefined) return
    this.#terminated = true
    this.#protocol.suspend()
    this.#socket.destroy()
  }

  flush(): void {
    this.#flushQueued = false
    try {
      this.#write()
    } catch (error) {
      // Part of a frame may have left: nothing that follows could be understood.
      this.#error ??= asError(error)
      this.terminate()
      return
    }
    this.#endIfFinal()
  }

  // --- the engine's handler

  onMessage(type: MessageType, bytes: Buffer, start: number, end: number, ascii: boolean): void {
    this.#messagesReceived++
    const { inbox } = this
    // While closing nothing is held back, or the peer's Close frame would never be read.
    if (this.#dropping || (inbox.full && !this.#atEnd)) {
      // Once one is missing the others are not delivered either: a reader sees no gap.
      this.#dropping = true
      this.#messagesDropped++
      return
    }
    if (type === 'text' && inbox.text === 'string') {
      inbox.push(bytes.toString(ascii ? 'latin1' : 'utf8', start, end), type)
    } else {
      inbox.push(own(bytes, start, end), type)
    }
  }

  onPing(): void {}

  onPong(payload: Buffer): void {
    this.#roundTrips?.onPong(payload)
  }

  onClose(_frame: CloseFrame): void {
    this.#closing()
  }

  onFault(fault: Fault): void {
    this.#error ??= faultToError(fault)
    this.#closing()
  }

  // --- the inbox's flow

  pause(): void {
    if (this.state !== 'open' || this.#atEnd) return
    this.#paused = true
    this.#protocol.suspend()
    this.#socket.pause()
  }

  resume(): void {
    if (!this.#paused || this.#terminated) return
    this.#paused = false
    // What the peer said meanwhile has not been read: its silence begins anew.
    this.#heard()
    this.#protocol.resume()
    // Called back from within `receive`, that goes on by itself.
    if (this.#receiving) return
    const rest = this.#rest
    this.#rest = undefined
    if (rest !== undefined) this.#receive(rest)
    if (!this.#paused) this.#socket.resume()
  }

  listenerFailed(error: unknown): void {
    this.close(CloseCode.InternalError, 'internal error', asError(error))
    this.#onListenerError(error)
  }

  // --- time

  onDue(): void {
    if (this.state !== 'open') {
      // A side that has all it waited for ends clean, however slow the other is to hang up.
      if (this.#protocol.closing !== 'done' || !this.#closeLeft) {
        this.#error ??= new TimeoutError('ERR_WS_CLOSE_TIMEOUT', 'close', this.limits.closeTimeout)
      }
      this.#socket.destroy()
      return
    }
    const { pingInterval, pongTimeout } = this.limits
    const now = this.#wheel.time
    const silence = now - this.#heardAt
    if (this.#pingedAt === undefined) {
      if (silence < pingInterval) return this.#wheel.schedule(this, pingInterval - silence)
      this.#heartbeat()
    } else if (this.#paused) {
      // While we hold the peer back ourselves its silence says nothing, but a ping to a host that is gone fails.
      this.#heartbeat()
    } else if (pongTimeout > 0) {
      const waited = now - this.#pingedAt
      const patience = pongTimeout + this.#readingTime
      if (waited < patience) return this.#wheel.schedule(this, patience - waited)
      this.#error ??= new TimeoutError('ERR_WS_PONG_TIMEOUT', 'pong', pingInterval + patience)
      return this.terminate()
    }
    this.#wheel.schedule(this, pongTimeout > 0 ? pongTimeout : pingInterval)
  }

  /** Milliseconds that a slow peer needs for what the kernels may hold between us: its pong comes behind that. */
  get #readingTime(): number {
    const inTransit = this.#bytesSent - this.#socket.writableLength - this.#sentAtHeard
    return Math.floor(Math.max(0, Math.min(inTransit, MOST_IN_TRANSIT)) / SLOWEST_PEER)
  }

  #heartbeat(): void {
    this.#pingedAt = this.#wheel.time
    // While earlier output waits to leave, a ping behind it would only make what waits grow.
    if (this.#protocol.output.held) return
    this.#roundTrips ??= new RoundTrips(this.#wheel)
    this.#protocol.sendPing(this.#roundTrips.next())
    this.#flushLater()
  }

  // --- the stream

  #attach(head: Buffer): void {
    const socket = this.#socket
    socket.on('data', (chunk: Buffer) => this.#streamData(chunk))
    socket.on('end', () => this.#streamEnded())
    socket.on('error', (error: Error) => {
      // Once both Close frames are exchanged, how the peer hangs up is its own affair.
      if (this.#protocol.closing !== 'done' || !this.#closeLeft) this.#error ??= error
    })
    socket.on('close', () => this.#streamClosed())
    if (this.limits.pingInterval > 0) this.#wheel.schedule(this, this.limits.pingInterval)
    if (head.length > 0) this.#streamData(head)
    // What happened to the stream while nobody listened is not told again.
    if (socket.destroyed) process.nextTick(() => this.#streamClosed())
    else if (socket.readableEnded) process.nextTick(() => this.#streamEnded())
  }

  #streamData(chunk: Buffer): void {
    this.#bytesReceived += chunk.length
    this.#sentAtHeard = this.#bytesSent
    this.#heard()
    // A stream may have a chunk on its way when it is paused.
    if (this.#terminated) return
    if (this.#rest !== undefined) this.#rest = Buffer.concat([this.#rest, chunk])
    else if (this.#paused) this.#rest = chunk
    else this.#receive(chunk)
  }

  /** A sign of life. */
  #heard(): void {
    this.#heardAt = this.#wheel.time
    this.#pingedAt = undefined
  }

  #receive(chunk: Buffer): void {
    const { inbox } = this
    const before = this.#messagesReceived
    this.#receiving = true
    const stop = this.#protocol.receive(chunk)
    if (this.#protocol.concluding) {
      // Who waits for messages by promise gets them behind this call: the answers still go before our Close frame.
      if (inbox.listening || this.#messagesReceived === before) this.#protocol.conclude()
      else setImmediate(() => this.#conclude())
    }
    this.#receiving = false
    if (stop < chunk.length) this.#rest = chunk.subarray(stop)
    this.flush()
  }

  #conclude(): void {
    if (this.#terminated) return
    this.#protocol.conclude()
    this.flush()
  }

  /** Takes what the peer said last, though the inbox had no room for it: nothing can follow. */
  #receiveRest(): void {
    if (this.#terminated) return
    this.#atEnd = true
    this.#paused = false
    this.#protocol.resume()
    const rest = this.#rest
    this.#rest = undefined
    if (rest !== undefined) this.#receive(rest)
    this.#protocol.conclude()
  }

  #streamEnded(): void {
    this.#receiveRest()
    this.#protocol.receiveEnd()
    this.#closing()
    this.flush()
  }

  /** Whether a message may be sent now; else the slow policy has been applied, or the connection is over. */
  #hasRoom(): boolean {
    if (this.state !== 'open') return this.#drop()
    const { maxSendBuffer } = this.limits
    const buffered = this.bufferedAmount
    if (buffered <= maxSendBuffer) return true
    if (this.#slow === 'close') this.#closeSlow(buffered)
    return this.#drop()
  }

  #closeSlow(buffered: number): void {
    const max = this.limits.maxSendBuffer
    const message = `${buffered} bytes wait to be sent, more than ${max}`
    const details = { limit: 'maxSendBuffer', actual: buffered, max }
    const error = new LimitError('ERR_WS_SEND_BUFFER_FULL', CloseCode.TryAgainLater, message, details)
    this.close(CloseCode.TryAgainLater, 'too slow', error)
  }

  #drop(): false {
    this.#messagesDropped++
    return false
  }

  #flushLater(): void {
    if (this.#receiving || this.#flushQueued) return
    this.#flushQueued = true
    flushSoon(this)
  }

  /**
   * Writes what is pending, unless an earlier write is still under way: then it waits in the output, where a message
   * costs no more than its bytes.
   */
  #write(): void {
    const { output } = this.#protocol
    const socket = this.#socket
    while (output.pending > 0 && !output.held) {
      // The stream may have ended under us: then there is nobody left to write to.
      const ended = socket.destroyed || socket.writableEnded
      const bytes = output.take(ended ? undefined : LARGEST_WRITE)
      if (ended) return output.recycle(true)
      if (Array.isArray(bytes)) {
        const last = bytes.pop() as Uint8Array
        socket.cork()
        for (const piece of bytes) this.#writePiece(piece)
        this.#writePiece(last, this.#onWritten)
        socket.uncork()
      } else {
        this.#writePiece(bytes, this.#onWritten)
      }
      const complete = socket.writableLength === 0
      output.recycle(complete && this.#recycles)
      output.held = !complete
      this.#heldAt = this.#wheel.time
    }
    this.#protocol.congested = this.bufferedAmount > PONG_MARK
  }

  #writePiece(piece: Uint8Array, done?: (error?: Error | null) => void): void {
    this.#bytesSent += piece.length
    this.#socket.write(piece, done)
  }

  readonly #onWritten = (error?: Error | null): void => {
    if (error || this.#closeInfo !== undefined || this.#socket.writableLength > 0) return
    const { output } = this.#protocol
    if (output.held) {
      output.held = false
      // The kernel had no room, and now it has: the peer reads, so it lives. What the kernel takes at once tells nothing.
      if (this.#wheel.time - this.#heldAt > 2 * TICK) this.#heard()
    }
    // That may send a pong that was held up.
    this.#protocol.congested = this.bufferedAmount > PONG_MARK
    if (output.pending === 0) this.#closeLeft ||= this.#protocol.closeSent !== undefined
    this.flush()
    if (this.bufferedAmount <= HIGH_MARK) this.#settleDrained()
  }

  /** The end has begun, from whichever side: from here on the close timeout counts. */
  #closing(): void {
    if (!this.#closeTimed) {
      this.#closeTimed = true
      if (this.limits.closeTimeout > 0) this.#wheel.schedule(this, this.limits.closeTimeout)
      else this.#wheel.cancel(this)
    }
    this.#flushLater()
    // What the inbox has no room for is dropped from now on: the peer's Close frame must come through.
    this.resume()
  }

  /** Ends our half of the stream once nothing more is to be said. A client lets the server go first (RFC 6455 section 7.1.1). */
  #endIfFinal(): void {
    const { closing, output } = this.#protocol
    if (
      output.pending > 0 ||
      this.#ended ||
      closing === 'open' ||
      closing === 'closeSent' ||
      closing === 'closeReceived'
    )
      return
    if (closing === 'done' && this.#role === 'client' && !this.#socket.readableEnded) return
    this.#ended = true
    this.#socket.end()
  }

  #streamClosed(): void {
    if (this.#closeInfo !== undefined) return
    this.#receiveRest()
    const protocol = this.#protocol
    if (this.#terminated && protocol.closedBy === undefined) protocol.closedBy = 'local'
    protocol.receiveEnd()
    protocol.dispose()
    this.#wheel.cancel(this)
    this.#rest = undefined
    this.#closeInfo = this.#describeEnd()
    this.inbox.end()
    if (this.#drainWaiters !== undefined) for (const { reject } of this.#drainWaiters) reject(this.closeError)
    this.#drainWaiters = undefined
    this.#roundTrips?.end(this.closeError)
    this.#resolveClosed?.(this.#closeInfo)
    this.#onClosed()
  }

  #describeEnd(): CloseInfo {
    const { closedBy: by = 'network', closeReceived: received, closeSent } = this.#protocol
    const sent = this.#closeLeft || this.#socket.writableFinished ? closeSent : undefined
    const first = by === 'local' ? sent : by === 'remote' ? received : undefined
    return {
      code: first?.code ?? CloseCode.Abnormal,
      reason: first?.reason ?? '',
      wasClean: received !== undefined && sent !== undefined,
      by,
      received,
      sent,
      error: this.#error,
      stats: this.stats,
    }
  }

  #settleDrained(): void {
    const waiters = this.#drainWaiters
    if (waiters === undefined || this.state !== 'open') return
    this.#drainWaiters = undefined
    for (const { resolve } of waiters) resolve()
  }

  /** For what can only be told once the connection has ended, when it is ending already. */
  #afterClose(): Promise<never> {
    return silent(
      this.closed.then(() => {
        throw this.closeError
      }),
    )
  }
}

/** The bytes to keep: a view, unless that would keep a much larger buffer alive. */
function own(bytes: Buffer, start: number, end: number): Buffer {
  if ((end - start) * 4 >= bytes.buffer.byteLength) return bytes.subarray(start, end)
  const copy = Buffer.allocUnsafe(end - start)
  bytes.copy(copy, 0, start, end)
  return copy
}

/** Nobody need wait for a promise: its rejection alone must not end the process. */
function silent<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {})
  return promise
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error('what was thrown is no Error', { cause: error })
}
