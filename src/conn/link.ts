import type { Duplex } from 'node:stream'
import { setImmediate } from 'node:timers'
import type { Fault } from '../protocol/fault.ts'
import type { Limits } from '../protocol/limits.ts'
import { Protocol } from '../protocol/protocol.ts'
import type { ProtocolHandler } from '../protocol/protocol-handler.ts'
import type { CloseFrame, CloseInfo, ConnStats } from '../session/close-info.ts'
import { CloseError, TimeoutError } from '../session/errors.ts'
import type { MessageType } from '../session/message.ts'
import { CloseCode } from '../wire/close-code.ts'
import { CloseDeadline } from './close-deadline.ts'
import { answerClose, type ControlHandlers, tellControl } from './control.ts'
import { describeEnd } from './describe-end.ts'
import { asError, faultToError } from './fault-to-error.ts'
import { type Flushable, flushSoon } from './flusher.ts'
import { Heartbeat } from './heartbeat.ts'
import { Inbox, type InboxFlow } from './inbox.ts'
import { isKernelSocket } from './is-kernel-socket.ts'
import type { LinkOptions, LinkOwner } from './link-options.ts'
import { Outbox, type OutboxOwner } from './outbox.ts'
import { own, SMALL_CHUNK } from './own.ts'
import { randomMask } from './random-mask.ts'
import { appendTo, refuseTaken } from './rest.ts'
import { RoundTrips } from './round-trips.ts'
import type { OutgoingMessage } from './send-queue.ts'
import { Sender, type SenderOwner } from './sender.ts'
import { silent } from './silent.ts'
import { pageSlabs, slabPool } from './slab-pool.ts'
import { listenToStream, type StreamListener } from './stream-events.ts'
import { tellListener } from './tell-listener.ts'
import { processWheel, TICK, type TimerWheel, type WheelEntry } from './timer-wheel.ts'

/** Milliseconds in which a message, or some of one, has to be taken: else those on their way are not waited for. */
const DRAIN_LOOK = 1000

/** Above this many waiting bytes only the latest ping is answered. */
const PONG_MARK = 16 * 1024

/**
 * The working half of a connection: one byte stream, one protocol engine, one deadline. It moves bytes between the
 * two, answers for time and for memory, and knows how the connection ended.
 */
export class Link
  implements ProtocolHandler, InboxFlow, OutboxOwner, SenderOwner, StreamListener, WheelEntry, Flushable
{
  readonly inbox: Inbox
  readonly socket: Duplex
  limits: Limits
  /** Iterating ends quietly, however the connection ended: somebody else judges that. */
  quietEnd = false
  /** How it ended, once it has. */
  closeInfo: CloseInfo | undefined = undefined
  /** What the application does about control frames. */
  control: ControlHandlers | undefined = undefined
  wheelNext: WheelEntry | undefined = undefined
  wheelPrevious: WheelEntry | undefined = undefined
  wheelDue = 0

  readonly #protocol: Protocol
  readonly #wheel: TimerWheel
  readonly #owner: LinkOwner
  readonly #outbox: Outbox
  readonly #heartbeat: Heartbeat
  readonly sender: Sender
  /** The rest of a chunk in whose middle the inbox was full. */
  #rest: Buffer | undefined
  /** `receive` is running: what it sends is flushed at its end. */
  #receiving = false
  #flushQueued = false
  #paused = false
  #roundTrips: RoundTrips | undefined
  /** The deadline is that of the closing. */
  #closeDeadline: CloseDeadline | undefined
  #terminated = false
  /** While we close, but messages that are on their way wait for who takes them: how far that has come. */
  #drained = -1
  /** The kernel has taken our Close frame. */
  #closeLeft = false
  /** The stream has ended, but what came before has not been read. */
  #endWaits = false
  /** The peer says no more: what is left of its last chunk is read to the end, room or not. */
  #atEnd = false
  /** While closing, a message found no room. */
  #dropping = false
  /** Wheel time of the last write. */
  #wroteAt = 0
  /** Where the heartbeat's last ping ends in all that is sent. */
  #pingEnd = -1
  /** Its number. Nothing but small integers: others take memory of their own. */
  #pingNumber = 0x3fff_ffff
  #error: Error | undefined
  #closeError: CloseError | undefined
  #closed: Promise<CloseInfo> | undefined
  #resolveClosed: ((info: CloseInfo) => void) | undefined
  #bytesReceived = 0
  #messagesReceived = 0
  /** Messages received that there was no room for. */
  #receivesDropped = 0

  constructor(options: LinkOptions) {
    const { socket, role, limits, slow, extensions, wheel = processWheel } = options
    this.socket = socket
    this.limits = limits
    this.#wheel = wheel
    this.#heartbeat = new Heartbeat(limits, wheel.time)
    this.#owner = options.owner
    const recycles = isKernelSocket(socket)
    this.inbox = new Inbox(this, limits)
    this.#protocol = new Protocol({
      role,
      handler: this,
      limits,
      mask: role === 'client' ? randomMask : undefined,
      extensions,
      slabs: recycles ? slabPool : pageSlabs,
      streams: this.inbox,
      holdEnd: true,
    })
    this.#outbox = new Outbox(socket, this.#protocol.output, this, recycles, limits.maxSendBuffer)
    this.sender = new Sender(this.#protocol, this.#outbox, slow, this)
    this.#attach(options.head)
  }

  get state(): 'open' | 'closing' | 'closed' {
    if (this.closeInfo !== undefined) return 'closed'
    return this.#protocol.closing === 'open' && !this.sender.closing && !this.#terminated ? 'open' : 'closing'
  }

  get stats(): ConnStats {
    return {
      bytesReceived: this.#bytesReceived,
      bytesSent: this.#outbox.written + this.#protocol.output.pending,
      messagesReceived: this.#messagesReceived,
      messagesSent: this.sender.sent,
      sendsDropped: this.sender.dropped,
      receivesDropped: this.#receivesDropped,
      rtt: this.#roundTrips?.last,
      encoding: this.#protocol.encoding && { ...this.#protocol.encoding },
    }
  }

  /** Messages that somebody has taken. */
  get #handled(): number {
    return this.#messagesReceived - this.#receivesDropped - this.inbox.queued
  }

  get closed(): Promise<CloseInfo> {
    this.#closed ??= new Promise((resolve) => {
      this.#resolveClosed = resolve
      if (this.closeInfo !== undefined) resolve(this.closeInfo)
    })
    return this.#closed
  }

  /** How it ended; one and the same error for all who ask. Only once closed. */
  get closeError(): CloseError {
    this.#closeError ??= new CloseError(this.closeInfo as CloseInfo)
    return this.#closeError
  }

  // --- sending

  get compress(): boolean {
    return this.#protocol.compress
  }

  set compress(compress: boolean) {
    this.#protocol.compress = compress
  }

  set compressionLevel(level: number) {
    this.#protocol.compressionLevel = level
  }

  set maxMessageSize(maxMessageSize: number) {
    const { limits } = this
    // A limit for streams that was not set apart goes along.
    const maxStreamSize = limits.maxStreamSize > limits.maxMessageSize ? limits.maxStreamSize : maxMessageSize
    this.limits = this.inbox.limits = Object.freeze({ ...limits, maxMessageSize, maxStreamSize })
    this.#protocol.setMaxMessageSize(maxMessageSize, maxStreamSize)
  }

  /** @param message - one that was opened: what waits behind it does not count */
  drained(signal?: AbortSignal, message?: OutgoingMessage): Promise<void> {
    if (this.state !== 'open') return this.#afterClose()
    return silent(message === undefined ? this.#outbox.drained(signal) : this.sender.drained(message))
  }

  /** Once it has ended: why. */
  async ended(): Promise<CloseError> {
    await this.closed
    return this.closeError
  }

  ping(signal: AbortSignal | undefined): Promise<number> {
    if (this.state !== 'open') return this.#afterClose()
    const { overflow } = this.sender
    if (overflow !== undefined) return silent(Promise.reject(overflow))
    this.#roundTrips ??= new RoundTrips(this.#wheel)
    return this.#roundTrips.measure(signal, (payload) => {
      this.#protocol.sendPing(payload)
      this.flushLater()
    })
  }

  /** Sends a control frame of the application's own; `false` when it is too late, or too much waits. */
  sendControl(type: 'ping' | 'pong', payload: Uint8Array): boolean {
    // A peer that pings and does not read could make pongs pile up.
    if (this.sender.bufferedAmount > this.limits.maxSendBuffer) return false
    const sent = type === 'ping' ? this.#protocol.sendPing(payload) : this.#protocol.sendPong(payload)
    if (type === 'ping' && sent) this.#roundTrips?.foreign(payload)
    this.flushLater()
    return sent
  }

  /** Begins the closing handshake, unless it has begun; the caller has checked code and reason. */
  close(code: number, reason: string, error?: Error, drain = false): Promise<CloseInfo> {
    if (this.state === 'open') {
      this.#error ??= error
      if (drain && this.#handled > 0) this.#drained = 0
      const protocol = this.#protocol
      // The peer's own may come while ours waits for what was sent before: then ours answers it.
      this.sender.end(() => (protocol.concluding ? protocol.conclude() : protocol.sendClose(code, reason)))
      this.#closing()
    }
    return this.closed
  }

  terminate(): void {
    if (this.closeInfo !== undefined) return
    this.#terminated = true
    this.#protocol.suspend()
    this.socket.destroy()
  }

  /** Whoever closes it waits no longer for its end than so many milliseconds. */
  expire(milliseconds: number): void {
    this.#closeTimedOut(milliseconds)
    this.terminate()
  }

  flush(): void {
    this.#flushQueued = false
    const { output } = this.#protocol
    try {
      do {
        // What waits for its turn has not left: it is not lost by going out into nothing.
        if (!this.socket.destroyed) this.sender.pump()
        if (output.pending > 0 && !output.held) this.#wroteAt = this.#wheel.time
        this.#outbox.flush()
      } while (output.pending === 0 && this.sender.ready && !this.socket.destroyed)
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
    if (this.closeInfo !== undefined) return
    const now = this.#wheel.time
    // The kernel had no room, and now it has: the peer reads, so it lives. What the kernel takes at once tells nothing.
    if (now - this.#wroteAt > 2 * TICK) this.#alive()
    // That sends a pong that was held up: one for each write that got away is no danger, and it passes what is queued.
    this.#protocol.congested = false
    const { lost, waiting } = this.#outbox
    this.#closeLeft ||= this.#protocol.closeSent !== undefined && waiting === 0 && !lost
    // What has become ready, or has ended, meanwhile has asked for a flush of its own.
    if (waiting > 0) this.flush()
  }

  // --- the engine's handler

  onMessage(type: MessageType, bytes: Buffer, start: number, end: number, ascii: boolean): void {
    this.#messagesReceived++
    const { inbox } = this
    if (this.#dropping || inbox.full) {
      // Once one is missing the others are not delivered either: a reader sees no gap.
      this.#dropping = inbox.incomplete = true
      this.#receivesDropped++
      if (this.#atEnd) this.drop(false)
      return
    }
    const decodes = type === 'text' && inbox.text === 'string'
    if (decodes) inbox.push(bytes.toString(ascii ? 'latin1' : 'utf8', start, end), type)
    else inbox.push(own(bytes, start, end, inbox.taken ? SMALL_CHUNK : 0), type)
  }

  onPing(payload: Buffer): void {
    tellControl(this.control, 'ping', payload, this)
  }

  onPong(payload: Buffer): void {
    tellControl(this.control, 'pong', payload, this)
    const answered = this.#roundTrips?.onPong(payload)
    if (answered !== undefined && answered >= this.#pingNumber) this.#heartbeat.answered(this.#pingEnd)
  }

  get answersPings(): boolean {
    return this.control?.autoPong === false
  }

  closeAnswer(frame: CloseFrame): CloseFrame {
    try {
      return answerClose(this.control, frame)
    } catch (error) {
      this.#error ??= asError(error)
      this.#owner.onListenerError(error)
      return { code: CloseCode.InternalError, reason: 'internal error' }
    }
  }

  onClose(_frame: CloseFrame): void {
    this.#closing()
  }

  onFault(fault: Fault): void {
    this.#error ??= faultToError(fault)
    this.#closing()
  }

  // --- the inbox's flow

  pause(): boolean {
    if (this.state !== 'open' && !this.#atEnd && this.#drained < 0) return false
    this.#paused = true
    this.#protocol.suspend()
    this.socket.pause()
    return true
  }

  resume(): void {
    if (!this.#paused || this.#terminated || this.#atEnd) return
    this.#paused = false
    // What the peer said meanwhile has not been read: its silence begins anew.
    this.#alive()
    this.#protocol.resume()
    // Called back from within `receive`, that goes on by itself: only the stream does not.
    if (this.#receiving) this.socket.resume()
    else this.#readOn()
  }

  stream(): void {
    const within = this.#receiving
    // What has come of the message goes first: nothing more is read until then.
    this.#receiving = true
    this.#protocol.stream()
    this.#receiving = within
    if (within) return
    if (this.#protocol.concluding) this.#concludeLater()
    else if (!this.#paused) this.#readOn()
  }

  refuse(): void {
    this.#protocol.refuse()
    if (!this.#receiving) this.#concludeLater()
  }

  streamFailed(fault: Fault): void {
    this.sender.clear()
    this.#protocol.fail(fault)
    this.flushLater()
  }

  streamed(): void {
    this.#messagesReceived++
  }

  drop(begun: boolean): void {
    if (begun && !this.#dropping) this.#receivesDropped++
    this.#dropping = true
    this.#protocol.ignoreMessages(begun ? undefined : () => this.#receivesDropped++)
  }

  listenerFailed(error: unknown): void {
    // One that failed is not called again.
    this.control = undefined
    this.close(CloseCode.InternalError, 'internal error', asError(error))
    this.#owner.onListenerError(error)
  }

  // --- time

  onDue(): void {
    if (this.#drained >= 0) return this.#drain()
    if (this.state !== 'open') {
      const goesOn = !this.#closeLeft && this.#closeDeadline?.goesOn(this.#outbox.left) === true
      if (goesOn) return this.#wheel.schedule(this, this.limits.closeTimeout)
      this.#closeTimedOut(this.limits.closeTimeout)
      this.socket.destroy()
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

  #closeTimedOut(milliseconds: number): void {
    // A side that has all it waited for ends clean, however slow the other is to hang up.
    if (this.#protocol.closing === 'done' && this.#closeLeft) return
    this.#error ??= new TimeoutError('ERR_WS_CLOSE_TIMEOUT', 'close', milliseconds)
  }

  #alive(): void {
    const answered = this.#heartbeat.alive(this.#wheel.time)
    // The deadline was that of the answer, which may be far away.
    if (answered && this.state === 'open') this.#wheel.schedule(this, this.limits.pingInterval)
  }

  /** Returns when to look again. */
  #ping(now: number): number {
    tellListener('idle of an extension', () => this.#protocol.idle())
    // While the last ping waits to leave, another one behind it would only make what waits grow.
    if (this.#outbox.left >= this.#pingEnd) {
      this.#roundTrips ??= new RoundTrips(this.#wheel)
      this.#protocol.sendPing(this.#roundTrips.next())
      this.#pingNumber = this.#roundTrips.latest
      this.#pingEnd = this.#outbox.written + this.#protocol.output.pending
      this.flushLater()
    }
    return this.#heartbeat.pinged(now, this.#outbox.left)
  }

  // --- the stream

  #attach(head: Buffer): void {
    const { socket } = this
    // Else the stream would end with the peer's half, and what waits here with it. We end our half ourselves.
    socket.allowHalfOpen = true
    listenToStream(socket, this)
    if (this.limits.pingInterval > 0) this.#wheel.schedule(this, this.limits.pingInterval)
    // Whoever had it before may have paused it; what is in the head may have us do so.
    if (socket.isPaused()) socket.resume()
    if (head.length > 0) this.onStreamData(head)
    // What happened to the stream while nobody listened is not told again.
    if (socket.destroyed) process.nextTick(() => this.onStreamClose())
    else if (socket.readableEnded) process.nextTick(() => this.onStreamEnd())
  }

  onStreamData(chunk: Buffer): void {
    this.#bytesReceived += chunk.length
    this.#alive()
    // A stream may have a chunk on its way when it is paused.
    if (this.#terminated || chunk.length === 0) return
    if (this.#rest !== undefined) this.#rest = appendTo(this.#rest, chunk)
    else if (this.#paused) this.#rest = chunk
    else this.#receive(chunk)
  }

  #receive(chunk: Buffer): void {
    this.#receiving = true
    this.inbox.beginChunk()
    try {
      const stop = this.#protocol.receive(refuseTaken(chunk))
      if (stop < chunk.length) this.#rest = chunk.subarray(stop)
    } catch (error) {
      // The application has given away what was still to be read.
      this.#error ??= asError(error)
      this.terminate()
    }
    if (this.#protocol.concluding) {
      // Who waits for messages by promise gets them behind this call: the answers still go before our Close frame.
      if (this.inbox.listening) this.#conclude()
      else this.#concludeLater()
    }
    this.#receiving = false
    this.flush()
  }

  #readOn(): void {
    const rest = this.#rest
    this.#rest = undefined
    if (rest !== undefined) this.#receive(rest)
    if (this.#paused) return
    if (this.#endWaits) this.onStreamEnd()
    else this.socket.resume()
  }

  #concludeLater(): void {
    setImmediate(() => {
      if (this.#terminated) return
      this.#conclude()
      this.flush()
    })
  }

  /** Lets a Close frame or a fault that was received take effect; the answer goes behind the messages that wait. */
  #conclude(): void {
    if (!this.#protocol.concluding) return
    // Who breaks the rules gets no more than the reason.
    if (this.#protocol.faulty) this.sender.clear()
    this.sender.end(() => this.#protocol.conclude())
    this.#closing()
  }

  /** Takes what the peer said last, though the inbox had no room for it: nothing can follow. */
  #receiveRest(): void {
    if (this.#terminated) return
    this.#atEnd = true
    this.#paused = false
    this.#protocol.resume()
    this.inbox.finish()
    const rest = this.#rest
    this.#rest = undefined
    if (rest !== undefined) this.#receive(rest)
    this.#conclude()
  }

  onStreamEnd(): void {
    // Bun tells the end of a stream that we have dropped: that is our doing, and no word of the peer's.
    if (this.#terminated) return
    // A stream may tell its end though it is paused; what came before waits for somebody to take it.
    this.#endWaits = this.#paused
    if (this.#endWaits) return
    this.#receiveRest()
    this.sender.end(() => this.#protocol.receiveEnd())
    this.#closing()
    this.flush()
  }

  flushLater(): void {
    if (this.#receiving || this.#flushQueued) return
    this.#flushQueued = true
    flushSoon(this)
  }

  onStreamError(error: Error): void {
    this.#error ??= error
  }

  /** The end has begun, from whichever side: from here on the close timeout counts. */
  #closing(): void {
    if (this.#drained === 0) return this.#drain()
    this.#drained = -1
    if (this.#closeDeadline === undefined) {
      this.#closeDeadline = new CloseDeadline(this.#outbox.left)
      if (this.limits.closeTimeout > 0) this.#wheel.schedule(this, this.limits.closeTimeout)
      else this.#wheel.cancel(this)
    }
    this.flushLater()
    // What the inbox has no room for is dropped from now on: the peer's Close frame must come through.
    this.inbox.release()
    this.resume()
  }

  /** Holds the peer back while we close, as long as messages are taken: its Close frame is behind them. */
  #drain(): void {
    const before = this.#drained
    this.#drained = this.#handled + this.#outbox.left + (this.inbox.streaming ? this.#bytesReceived : 0)
    if (this.#drained === before) return this.#closing()
    this.#wheel.schedule(this, Math.min(this.limits.closeTimeout || DRAIN_LOOK, DRAIN_LOOK))
    this.flushLater()
  }

  /** Ends our half of the stream once nothing more is to be said. A client lets the server go first (RFC 6455 section 7.1.1). */
  #endIfFinal(): void {
    const { closing, output } = this.#protocol
    const over = closing === 'done' || closing === 'failed' || closing === 'lost'
    if (!over || output.pending > 0 || this.socket.writableEnded) return
    const isClient = this.#protocol.masks
    if (closing === 'done' && isClient && !this.socket.readableEnded) return
    this.socket.end()
  }

  onStreamClose(): void {
    if (this.closeInfo !== undefined) return
    this.#receiveRest()
    const protocol = this.#protocol
    // A Close frame that waited, ours or the peer's, still tells who ended it.
    this.sender.clear()
    if (this.#terminated && protocol.closedBy === undefined) protocol.closedBy = 'local'
    protocol.receiveEnd()
    tellListener('dispose of an extension', () => protocol.dispose())
    this.#wheel.cancel(this)
    this.#rest = undefined
    const left = this.#closeLeft || (this.socket.writableFinished && !this.#outbox.lost)
    this.closeInfo = describeEnd(protocol, left, this.#error, this.socket.errored, this.stats)
    // Made only where somebody hears of it: an error costs as much as all else of the end.
    const error = (): CloseError => this.closeError
    this.inbox.close(error)
    this.#outbox.end(error)
    this.#roundTrips?.end(error)
    this.#resolveClosed?.(this.closeInfo)
    this.#owner.onClosed()
  }

  /** For what can only be told once the connection has ended, when it is ending already. */
  #afterClose(): Promise<never> {
    return silent(this.ended().then((error) => Promise.reject(error)))
  }
}
