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
import { Heartbeat } from './heartbeat.ts'
import { Inbox, type InboxFlow } from './inbox.ts'
import { Outbox, type OutboxOwner } from './outbox.ts'
import { randomMask } from './random-mask.ts'
import { RoundTrips } from './round-trips.ts'
import { silent } from './silent.ts'
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

/** Above this many waiting bytes only the latest ping is answered. */
const PONG_MARK = 16 * 1024

/**
 * The working half of a connection: one byte stream, one protocol engine, one deadline. It moves bytes between the
 * two, answers for time and for memory, and knows how the connection ended.
 */
export class Link implements ProtocolHandler, InboxFlow, OutboxOwner, WheelEntry, Flushable {
  readonly inbox: Inbox
  readonly limits: Limits
  /** Iterating ends quietly, however the connection ended: somebody else judges that. */
  quietEnd = false

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
  readonly #outbox: Outbox
  readonly #heartbeat: Heartbeat

  /** The rest of a chunk in whose middle the inbox was full. */
  #rest: Buffer | undefined
  /** `receive` is running: what it sends is flushed at its end. */
  #receiving = false
  #flushQueued = false
  #paused = false
  #roundTrips: RoundTrips | undefined
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
  /** Wheel time of the last write. */
  #wroteAt = 0
  /** Where the heartbeat's last ping ends in all that is sent. */
  #pingEnd = Number.NEGATIVE_INFINITY
  #pingNumber = 1
  #error: Error | undefined
  #closeInfo: CloseInfo | undefined
  #closeError: CloseError | undefined
  #closed: Promise<CloseInfo> | undefined
  #resolveClosed: ((info: CloseInfo) => void) | undefined

  #bytesReceived = 0
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
    this.#heartbeat = new Heartbeat(limits, wheel.time)
    this.#onListenerError = options.onListenerError
    this.#onClosed = options.onClosed
    // A plain socket hands the bytes to the kernel; other streams may still hold them when a write is done.
    const recycles = socket instanceof Socket && !(socket instanceof TLSSocket)
    this.inbox = new Inbox(this, limits.maxQueuedMessages, limits.maxQueuedBytes)
    this.#protocol = new Protocol({
      role,
      handler: this,
      limits,
      mask: role === 'client' ? randomMask : undefined,
      extensions,
      slabs: recycles ? slabPool : heapSlabs,
      holdEnd: true,
    })
    this.#outbox = new Outbox(socket, this.#protocol.output, this, recycles)
    this.#attach(options.head)
  }

  get state(): 'open' | 'closing' | 'closed' {
    if (this.#closeInfo !== undefined) return 'closed'
    return this.#protocol.closing === 'open' && !this.#terminated ? 'open' : 'closing'
  }

  get bufferedAmount(): number {
    return this.#outbox.waiting
  }

  get stats(): ConnStats {
    return {
      bytesReceived: this.#bytesReceived,
      bytesSent: this.#outbox.written + this.#protocol.output.pending,
      messagesReceived: this.#messagesReceived,
      messagesSent: this.#messagesSent,
      messagesDropped: this.#messagesDropped,
      rtt: this.#roundTrips?.last,
      encoding: this.#protocol.encoding && { ...this.#protocol.encoding },
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

  get compress(): boolean {
    return this.#protocol.compress
  }

  set compress(compress: boolean) {
    this.#protocol.compress = compress
  }

  send(data: Sendable, type: MessageType | undefined): boolean {
    const message = checkSendable(data, type)
    if (!this.#hasRoom()) return false
    if (message instanceof Prepared) this.#protocol.sendPrepared(message)
    else if (typeof message === 'string') this.#protocol.sendText(message)
    else this.#protocol.sendBytes(type ?? 'binary', message)
    this.#messagesSent++
    this.#flushLater()
    return this.#outbox.hasRoom
  }

  drained(): Promise<void> {
    if (this.state !== 'open') return this.#afterClose()
    return silent(this.#outbox.drained())
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
    const { output } = this.#protocol
    if (output.pending > 0 && !output.held) this.#wroteAt = this.#wheel.time
    try {
      this.#outbox.flush()
    } catch (error) {
      // Part of a frame may have left: nothing that follows could be understood.
      this.#error ??= asError(error)
      this.terminate()
      return
    }
    this.#protocol.congested = this.#outbox.waiting > PONG_MARK
    this.#endIfFinal()
  }

  onWritable(): void {
    if (this.#closeInfo !== undefined) return
    const now = this.#wheel.time
    // The kernel had no room, and now it has: the peer reads, so it lives. What the kernel takes at once tells nothing.
    if (now - this.#wroteAt > 2 * TICK) this.#heartbeat.alive(now)
    // That may send a pong that was held up.
    this.#protocol.congested = this.#outbox.waiting > PONG_MARK
    const { lost, waiting } = this.#outbox
    this.#closeLeft ||= this.#protocol.closeSent !== undefined && waiting === 0 && !lost
    this.flush()
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
    const answered = this.#roundTrips?.onPong(payload)
    if (answered !== undefined && answered >= this.#pingNumber) this.#heartbeat.answered(this.#pingEnd)
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
    this.#heartbeat.alive(this.#wheel.time)
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
    const now = this.#wheel.time
    const verdict = this.#heartbeat.judge(now, this.#outbox.left, this.#paused)
    if (verdict === 'dead') {
      const waited = this.limits.pingInterval + this.#heartbeat.patience(this.#outbox.left)
      this.#error ??= new TimeoutError('ERR_WS_PONG_TIMEOUT', 'pong', waited)
      return this.terminate()
    }
    this.#wheel.schedule(this, verdict === 'ping' ? this.#ping(now) : verdict)
  }

  /** Returns when to look again. */
  #ping(now: number): number {
    this.#protocol.idle()
    // While the last ping waits to leave, another one behind it would only make what waits grow.
    if (this.#outbox.left >= this.#pingEnd) {
      this.#roundTrips ??= new RoundTrips(this.#wheel)
      this.#protocol.sendPing(this.#roundTrips.next())
      this.#pingNumber = this.#roundTrips.latest
      this.#pingEnd = this.#outbox.written + this.#protocol.output.pending
      this.#flushLater()
    }
    return this.#heartbeat.pinged(now, this.#outbox.left)
  }

  // --- the stream

  #attach(head: Buffer): void {
    const socket = this.#socket
    // Else the stream would end with the peer's half, and what waits here with it. We end our half ourselves.
    socket.allowHalfOpen = true
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
    this.#heartbeat.alive(this.#wheel.time)
    // A stream may have a chunk on its way when it is paused.
    if (this.#terminated) return
    if (this.#rest !== undefined) this.#rest = Buffer.concat([this.#rest, chunk])
    else if (this.#paused) this.#rest = chunk
    else this.#receive(chunk)
  }

  #receive(chunk: Buffer): void {
    const { inbox } = this
    this.#receiving = true
    const stop = this.#protocol.receive(chunk)
    if (this.#protocol.concluding) {
      // Who waits for messages by promise gets them behind this call: the answers still go before our Close frame.
      if (inbox.listening) this.#protocol.conclude()
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
    this.#outbox.end(this.closeError)
    this.#roundTrips?.end(this.closeError)
    this.#resolveClosed?.(this.#closeInfo)
    this.#onClosed()
  }

  #describeEnd(): CloseInfo {
    const { closedBy: by = 'network', closeReceived: received, closeSent } = this.#protocol
    const left = this.#closeLeft || (this.#socket.writableFinished && !this.#outbox.lost)
    const sent = left ? closeSent : undefined
    const first = by === 'local' ? closeSent : by === 'remote' ? received : undefined
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

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error('what was thrown is no Error', { cause: error })
}
