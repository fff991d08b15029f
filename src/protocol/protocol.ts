import { isUtf8 } from 'node:buffer'
import type { CloseFrame, EncodingStats } from '../session/close-info.ts'
import { UsageError } from '../session/errors.ts'
import type { MessageType } from '../session/message.ts'
import type { Prepared } from '../session/prepared.ts'
import { CloseCode, isSendableCloseCode } from '../wire/close-code.ts'
import { FIN, MAX_CONTROL_PAYLOAD } from '../wire/frame-header.ts'
import { applyMask } from '../wire/mask.ts'
import { isControl, Opcode } from '../wire/opcode.ts'
import { Utf8Validator } from '../wire/utf8.ts'
import { Assembler } from './assembler.ts'
import { type CloseReasonBytes, encodeCloseReason } from './close-payload.ts'
import { type ClosedBy, type ClosingEvent, type ClosingState, closedBy, nextClosingState } from './closing.ts'
import type { Extension } from './extension.ts'
import { type EncodedMessage, ExtensionPipeline, type PieceEncoder } from './extension-pipeline.ts'
import { type Fault, payloadFault, protocolFault, sizeFault } from './fault.ts'
import { FrameDecoder } from './frame-decoder.ts'
import { encodeFrame, encodeText } from './frame-encoder.ts'
import { encodedSize, type Limits } from './limits.ts'
import { copyApart, Output, type SlabSource } from './output.ts'
import type { ProtocolHandler, StreamHandler } from './protocol-handler.ts'

/** How to make a {@link Protocol}. */
export interface ProtocolOptions {
  /** Which side this is. */
  readonly role: 'server' | 'client'
  /** Whom it tells what came. */
  readonly handler: ProtocolHandler
  /** The sizes among them; times are the owner's affair. */
  readonly limits: Limits
  /** Client only: a fresh unpredictable 32-bit masking key for each frame (RFC 6455 section 10.3). */
  readonly mask?: (() => number) | undefined
  /** What was negotiated, in the order of the handshake. */
  readonly extensions?: readonly Extension[] | undefined
  /** Where output is written to; from the heap by default. */
  readonly slabs?: SlabSource | undefined
  /** Takes messages piece by piece; without it every message comes whole. */
  readonly streams?: StreamHandler | undefined
  /**
   * Leaves a Close frame or a fault that `receive` comes upon without effect until the owner says {@link Protocol.conclude}:
   * so that what answers the messages before it can go out first (RFC 6455 section 5.5.1). Default false.
   */
  readonly holdEnd?: boolean | undefined
}

/** All bits set: nothing is known to be ASCII. */
const HIGH_BITS = 0x80808080

/**
 * One WebSocket connection without any I/O, clock or randomness (RFC 6455 sections 5 to 8), for either role.
 *
 * Bytes go in by {@link receive}, what they mean comes out through the handler, and what is to be sent collects in
 * {@link output}. Pings and Close frames are answered here. Nothing that a peer sends makes a method throw.
 *
 * @example
 * ```ts
 * import { defaultLimits, Protocol } from 'silverback/protocol'
 *
 * const server = new Protocol({
 *   role: 'server',
 *   limits: defaultLimits,
 *   handler: {
 *     onMessage: (type, bytes, start, end) => console.log(type, bytes.toString('utf8', start, end)),
 *     onPing() {},
 *     onPong() {},
 *     onClose: ({ code }) => console.log('closed with', code),
 *     onFault: (fault) => console.log(fault.code),
 *   },
 * })
 * server.receive(Buffer.from('818537fa213d7f9f4d5158', 'hex')) // text Hello
 * ```
 */
export class Protocol {
  /** What is to be sent. */
  readonly output: Output
  /** Where the connection is on its way to the end. */
  closing: ClosingState = 'open'
  /** Who ended it; `undefined` while it is open. An owner that drops the transport itself says so here before. */
  closedBy: ClosedBy | undefined = undefined
  /** The peer's Close frame. */
  closeReceived: CloseFrame | undefined = undefined
  /** Our Close frame. */
  closeSent: CloseFrame | undefined = undefined
  /**
   * Set by the owner while output does not get away: pings are then answered by the latest alone
   * (RFC 6455 section 5.5.3), so that a peer that pings and never reads makes nothing grow.
   */
  #congested = false

  readonly #handler: ProtocolHandler
  readonly #decoder: FrameDecoder
  /** Made, like the validator, for the first message that comes in pieces. */
  #assembler: Assembler | undefined
  #utf8: Utf8Validator | undefined
  readonly #streams: StreamHandler | undefined
  #maxMessageSize: number
  #maxStreamSize: number
  readonly #mask: (() => number) | undefined
  readonly #extensions: ExtensionPipeline | undefined
  readonly #holdEnd: boolean

  // The frame being received.
  #opcode: number = Opcode.Continuation
  #fin = true
  /** No payload of the frame has come yet. */
  #fresh = true

  // The message being received.
  #isText = false
  /** The reserved bits of its first frame. */
  #rsv = 0
  /** Bytes that its frames have announced so far. */
  #announced = 0
  /** It is delivered piece by piece. */
  #streamed = false
  /** It waits for somebody to take it piece by piece. */
  #held = false
  /** It has been received whole, and is longer than `maxMessageSize` once decoded. */
  #heldMessage: Buffer | undefined
  /** Messages are not wanted any more. */
  #ignoring: (() => void) | undefined
  /** `receive` is running: a fault takes effect at its end. */
  #receiving = false

  /** The peer's Close frame: it has been read, but has perhaps not taken effect. */
  #peerClose: CloseFrame | undefined
  /** A control frame's payload that came in pieces. */
  #control: Buffer | undefined
  #controlLength = 0
  /** The answer to the latest ping that could not be sent yet. */
  #pendingPong: Buffer | undefined

  /** @throws UsageError `ERR_WS_INVALID_OPTION` for a client without `mask` */
  constructor(options: ProtocolOptions) {
    const { role, handler, limits, mask, extensions = [], slabs, streams, holdEnd = false } = options
    if (role === 'client' && mask === undefined) {
      throw new UsageError('ERR_WS_INVALID_OPTION', 'mask: a client must mask what it sends')
    }
    this.output = new Output(slabs)
    this.#handler = handler
    this.#streams = streams
    this.#mask = role === 'client' ? mask : undefined
    this.#extensions = extensions.length > 0 ? new ExtensionPipeline(extensions) : undefined
    this.#holdEnd = holdEnd
    const { maxMessageSize, maxFrameSize, maxStreamSize } = limits
    this.#maxMessageSize = maxMessageSize
    this.#maxStreamSize = streams === undefined ? 0 : maxStreamSize
    this.#decoder = new FrameDecoder(this, {
      masked: role === 'server',
      maxFrameSize,
      maxMessageSize: Math.max(maxMessageSize, this.#maxStreamSize),
      messageLimit: this.#maxStreamSize > maxMessageSize ? 'maxStreamSize' : 'maxMessageSize',
      rsv: this.#extensions?.rsv ?? 0,
    })
  }

  /** Whether what is sent is masked: payloads are then copied. */
  get masks(): boolean {
    return this.#mask !== undefined
  }

  /** Whether the extensions that do no more than save bytes are applied to what is sent from now on. */
  get compress(): boolean {
    return this.#extensions?.compress ?? true
  }

  set compress(compress: boolean) {
    if (this.#extensions !== undefined) this.#extensions.compress = compress
  }

  /** Sets the effort of the extensions that compress, 0 to 9. */
  set compressionLevel(level: number) {
    if (this.#extensions !== undefined) this.#extensions.level = level
  }

  /** The counters as they are now; `undefined` without extensions. */
  get encoding(): EncodingStats | undefined {
    return this.#extensions?.counters
  }

  /** Sets `maxMessageSize` for the frames whose headers have not come. */
  setMaxMessageSize(maxMessageSize: number, maxStreamSize: number = this.#maxStreamSize): void {
    this.#maxMessageSize = maxMessageSize
    if (this.#streams !== undefined) this.#maxStreamSize = maxStreamSize
    const max = Math.max(maxMessageSize, this.#maxStreamSize)
    this.#decoder.setLimits(max, max)
  }

  /**
   * Takes bytes from the peer, and unmasks them where they lie. The chunk belongs to the engine from now on, which may
   * keep it until the message is complete.
   *
   * @param at - where to begin in the chunk
   * @returns how far it came: the end of the chunk, unless {@link suspend} was called on the way
   * @throws Error when a message was handed on by transfer of its buffer, and the beginning of the next was in it
   */
  receive(chunk: Buffer, at = 0): number {
    if (!this.#listening || this.concluding) return chunk.length
    this.#receiving = true
    const stop = this.#decoder.push(chunk, at)
    this.#receiving = false
    if (!this.concluding) return stop
    if (!this.#holdEnd) this.conclude()
    return chunk.length
  }

  /** Whether a Close frame or a fault has been received that has not taken effect. */
  get concluding(): boolean {
    return this.#listening && (this.#peerClose !== undefined || this.#decoder.fault !== undefined)
  }

  /** Whether a fault is what has not taken effect. */
  get faulty(): boolean {
    return this.concluding && this.#decoder.fault !== undefined
  }

  /** Lets the Close frame or the fault that was received take effect: it is answered, and the handler is told. */
  conclude(): void {
    if (!this.concluding) return
    if (this.#decoder.fault !== undefined) return this.#fail(this.#decoder.fault)
    const frame = this.#peerClose as CloseFrame
    this.closeReceived = frame
    this.#advance('receiveClose')
    const { code, reason } = this.#handler.closeAnswer?.(frame) ?? { code: frame.code, reason: '' }
    this.sendClose(code, reason)
    this.#handler.onClose(frame)
  }

  /** The transport has ended: nothing more will come. */
  receiveEnd(): void {
    this.#advance('transportEnd')
  }

  /** Stops `receive` behind the current frame, until {@link resume}. */
  suspend(): void {
    this.#decoder.suspended = true
  }

  /** Lets `receive` go on: give it the rest of the chunk. */
  resume(): void {
    // Nothing is read behind a Close frame, nor behind a message that is held.
    this.#decoder.suspended = this.#peerClose !== undefined || this.#held
  }

  /** Delivers piece by piece what has come of a message that has not come whole, and what will: held or not. */
  stream(): void {
    if (!this.#held && (this.#assembler?.length ?? 0) === 0) return
    if (this.#beginStream() || !this.#held) return
    this.refuse()
  }

  /** A message that is held is not taken: that is a fault, which takes effect as if it had just been received. */
  refuse(): void {
    if (!this.#held) return
    this.#held = false
    this.#heldMessage = undefined
    const max = this.#maxMessageSize
    this.#stop(sizeFault('maxMessageSize', Math.max(this.#announced, max + 1), max))
    if (!this.#holdEnd && !this.#receiving) this.conclude()
  }

  /**
   * From now on messages are read over, neither checked nor delivered; control frames are as always.
   *
   * @param onMessage - hears of each one that begins
   */
  ignoreMessages(onMessage: () => void = () => {}): void {
    this.#ignoring = onMessage
    if (this.#held) this.#decoder.suspended = this.#held = false
    this.#heldMessage = undefined
    this.#assembler?.take()
  }

  /** The owner has found what the peer sent to break a rule. */
  fail(fault: Fault): void {
    if (!this.#listening) return
    this.#stop(fault)
    this.conclude()
  }

  /** Whether `receive` stops behind the current frame. */
  get suspended(): boolean {
    return this.#decoder.suspended
  }

  /** Whether output does not get away at the moment; see RFC 6455 section 5.5.3. Set by the owner. */
  get congested(): boolean {
    return this.#congested
  }

  set congested(congested: boolean) {
    this.#congested = congested
    const pong = this.#pendingPong
    if (congested || pong === undefined) return
    this.#pendingPong = undefined
    this.sendPong(pong)
  }

  /** Sends a text message; `false` when the connection is closing. */
  sendText(text: string): boolean {
    if (this.closing !== 'open') return false
    if (this.#extensions !== undefined)
      return this.sendFrame(this.#extensions.encode(Opcode.Text, Buffer.from(text, 'utf8')))
    encodeText(this.output, text, this.#mask?.())
    return true
  }

  /** Sends text that is UTF-8 bytes already (not checked), or a binary message; `false` when the connection is closing. */
  sendBytes(type: MessageType, payload: Uint8Array): boolean {
    if (this.closing !== 'open') return false
    if (this.#extensions !== undefined) return this.sendFrame(this.encode(type, payload))
    encodeFrame(this.output, FIN | (type === 'text' ? Opcode.Text : Opcode.Binary), payload, this.#mask?.())
    return true
  }

  /** Applies the extensions to a message that is to be sent in frames of the owner's choice, by {@link sendFrame}. */
  encode(type: MessageType, payload: Uint8Array): EncodedMessage {
    const opcode = type === 'text' ? Opcode.Text : Opcode.Binary
    return this.#extensions?.encode(opcode, payload) ?? { first: FIN | opcode, payload }
  }

  /** For a message that is sent piece by piece, in frames of the owner's choice; `undefined` without extensions. */
  pieceEncoder(): PieceEncoder | undefined {
    return this.#extensions?.pieceEncoder()
  }

  /** Sends one frame of a message; `false` when the connection is closing. */
  sendFrame({ first, payload }: EncodedMessage): boolean {
    if (this.closing !== 'open') return false
    encodeFrame(this.output, first, payload, this.#mask?.())
    return true
  }

  /** Applies the extensions to a message that was prepared for many, once for all that are alike. */
  encodePrepared(message: Prepared): EncodedMessage & {
    /** The whole unmasked frame, where it is kept for all; else the message was encoded for this connection alone. */
    readonly frame: Uint8Array | undefined
  } {
    if (this.#extensions !== undefined) return this.#extensions.prepared(message)
    const { frame, payload } = message
    return { first: frame[0] as number, payload, frame }
  }

  /** Sends a message that was encoded once for many; `false` when the connection is closing. */
  sendPrepared(message: Prepared): boolean {
    if (this.closing !== 'open') return false
    if (this.#mask === undefined && this.#extensions === undefined) {
      this.output.share(message.frame)
      return true
    }
    const encoded = this.encodePrepared(message)
    if (this.#mask !== undefined || encoded.frame === undefined) return this.sendFrame(encoded)
    this.output.share(encoded.frame)
    return true
  }

  /**
   * Sends a ping; `false` when the connection is closing.
   *
   * @throws UsageError `ERR_WS_INVALID_ARGUMENT` for more than 125 bytes
   */
  sendPing(payload: Uint8Array): boolean {
    return this.#sendControl(Opcode.Ping, payload)
  }

  /**
   * Sends a pong that answers no ping (RFC 6455 section 5.5.3); `false` when the peer's Close frame has come.
   *
   * @throws UsageError `ERR_WS_INVALID_ARGUMENT` for more than 125 bytes
   */
  sendPong(payload: Uint8Array): boolean {
    return this.#sendControl(Opcode.Pong, payload)
  }

  /**
   * Sends a Close frame, once: begins the closing handshake, or answers the peer's. `false` when it is too late.
   *
   * @param code - 1005 sends a frame without a code
   * @param reason - cut at 123 bytes of UTF-8
   * @throws UsageError `ERR_WS_INVALID_ARGUMENT` for a code that may not be sent
   */
  sendClose(code: number = CloseCode.NoStatus, reason = ''): boolean {
    if (code !== CloseCode.NoStatus && !isSendableCloseCode(code)) {
      throw new UsageError('ERR_WS_INVALID_ARGUMENT', `close code ${String(code)} may not be sent`)
    }
    if (this.closing !== 'open' && this.closing !== 'closeReceived') return false
    this.#writeClose(encodeCloseReason(code, reason))
    this.#advance('sendClose')
    return true
  }

  /** The peer has been silent for a while: the extensions release what they can make again. */
  idle(): Promise<unknown> | undefined {
    return this.#extensions?.idle()
  }

  /** Releases what the extensions hold. */
  dispose(): Promise<unknown> | undefined {
    return this.#extensions?.dispose()
  }

  /** @internal */
  onFrame(opcode: number, fin: boolean, rsv: number, length: number): void {
    this.#opcode = opcode
    this.#fin = fin
    this.#fresh = true
    this.#decoder.leavesMasked = false
    if (isControl(opcode)) return
    if (opcode !== Opcode.Continuation) {
      this.#isText = opcode === Opcode.Text
      this.#rsv = rsv
      this.#announced = 0
    }
    this.#announced += length
    // Text is checked, and what is compressed inflated, as it comes.
    this.#decoder.leavesMasked = !this.#isText && this.#rsv === 0
    if (this.#maxStreamSize > this.#maxMessageSize && length > 0) this.#holdIfLarge()
  }

  /** @internal */
  onPayload(chunk: Buffer, start: number, end: number, last: boolean, bits: number, key: number): void {
    const fresh = this.#fresh
    this.#fresh = false
    if (isControl(this.#opcode)) {
      if (last && fresh) this.#onControl(chunk, start, end)
      else this.#collectControl(chunk, start, end, last)
    } else if (this.#ignoring !== undefined) {
      if (fresh && this.#opcode !== Opcode.Continuation) this.#ignoring()
    } else if (fresh && last && this.#fin && this.#opcode !== Opcode.Continuation && !this.#streamed) {
      this.#deliver(chunk, start, end, bits)
    } else {
      this.#assemble(chunk, start, end, last && this.#fin, key)
    }
  }

  /** Whether what the peer sends still matters: not behind its Close frame, a fault, or the end. */
  get #listening(): boolean {
    return this.closing === 'open' || this.closing === 'closeSent'
  }

  /** Only where messages may come that are longer than is taken whole. */
  #holdIfLarge(): void {
    const max = this.#rsv === 0 ? this.#maxMessageSize : encodedSize(this.#maxMessageSize)
    if (this.#announced > max && !this.#streamed && this.#ignoring === undefined) this.#hold()
  }

  /** A message is too long to be taken whole. */
  #hold(): void {
    const streams = this.#streams as StreamHandler
    this.#held = true
    this.#decoder.suspended = true
    if (streams.wanted) this.stream()
    else streams.held()
  }

  #beginStream(): boolean {
    const decoder = this.#rsv === 0 ? undefined : this.#extensions?.decoder(this.#rsv)
    if (this.#rsv !== 0 && decoder === undefined) return false
    const streams = this.#streams as StreamHandler
    const whole = this.#heldMessage
    this.#heldMessage = undefined
    if (this.#held) this.#decoder.suspended = this.#held = false
    this.#streamed = whole === undefined
    streams.begin(this.#isText ? 'text' : 'binary', decoder)
    const bytes = whole ?? this.#assembler?.take()
    if (bytes !== undefined && bytes.length > 0) streams.piece(bytes, 0, bytes.length)
    if (whole !== undefined) streams.end()
    return true
  }

  #assemble(chunk: Buffer, start: number, end: number, complete: boolean, key: number): void {
    const streaming = this.#streamed || (this.#streams?.wanted === true && this.#beginStream())
    const checked = this.#isText && this.#rsv === 0
    this.#utf8 ??= new Utf8Validator()
    if (checked && !this.#utf8.push(chunk, start, end)) return this.#stop(invalidUtf8())
    this.#assembler ??= new Assembler()
    if (!streaming) this.#assembler.append(chunk, start, end, key, this.#fin ? this.#announced : 0)
    else if (end > start) {
      if (key !== 0) applyMask(chunk, start, end, key)
      this.#streams?.piece(chunk, start, end)
    }
    if (!complete) return
    if (checked) {
      if (!this.#utf8.complete) return this.#stop(invalidUtf8())
      this.#utf8.reset()
    }
    if (streaming) {
      this.#streamed = false
      this.#streams?.end()
      return
    }
    const message = this.#assembler.take()
    if (this.#rsv !== 0) return this.#deliver(message, 0, message.length, -1)
    this.#handler.onMessage(this.#isText ? 'text' : 'binary', message, 0, message.length, false)
  }

  /** Hands over a message that nobody has checked yet. */
  #deliver(bytes: Buffer, start: number, end: number, bits: number): void {
    if (this.#rsv !== 0) {
      const decoded = this.#decode(bytes, start, end)
      if (decoded === undefined) return
      bytes = decoded
      start = 0
      end = decoded.length
      bits = -1
    }
    if (!this.#isText) return this.#handler.onMessage('binary', bytes, start, end, false)
    const ascii = (bits & HIGH_BITS) === 0
    if (!ascii && !isUtf8(bytes.subarray(start, end))) return this.#stop(invalidUtf8())
    this.#handler.onMessage('text', bytes, start, end, ascii)
  }

  /** Undoes the extensions whose bits are set; `undefined` when that ended in a fault, or in holding the message. */
  #decode(bytes: Buffer, start: number, end: number): Buffer | undefined {
    const payload = bytes.subarray(start, end)
    const decoded = (this.#extensions as ExtensionPipeline).decode(this.#rsv, payload, this.#maxMessageSize)
    if (decoded instanceof Uint8Array)
      return Buffer.from(decoded.buffer, decoded.byteOffset, decoded.byteLength)
    if (decoded.code === 'ERR_WS_MESSAGE_TOO_LARGE' && this.#maxStreamSize > this.#maxMessageSize) {
      this.#heldMessage = payload
      this.#hold()
    } else {
      this.#stop(decoded)
    }
    return undefined
  }

  #sendControl(opcode: number, payload: Uint8Array): boolean {
    if (payload.length > MAX_CONTROL_PAYLOAD) {
      throw new UsageError('ERR_WS_INVALID_ARGUMENT', 'a ping or pong has at most 125 bytes of payload')
    }
    // Pings are answered until the peer's Close frame has come (RFC 6455 section 5.5.2), also behind our own.
    if (this.closing !== 'open' && !(opcode === Opcode.Pong && this.closing === 'closeSent')) return false
    encodeFrame(this.output, FIN | opcode, payload, this.#mask?.())
    return true
  }

  #collectControl(chunk: Buffer, start: number, end: number, last: boolean): void {
    this.#control ??= Buffer.allocUnsafeSlow(MAX_CONTROL_PAYLOAD)
    this.#controlLength += chunk.copy(this.#control, this.#controlLength, start, end)
    if (!last) return
    const length = this.#controlLength
    this.#controlLength = 0
    this.#onControl(this.#control, 0, length)
  }

  #onControl(bytes: Buffer, start: number, end: number): void {
    const payload = bytes.subarray(start, end)
    if (this.#opcode === Opcode.Ping) this.#onPing(payload)
    else if (this.#opcode === Opcode.Pong) this.#handler.onPong(payload)
    else this.#onClose(payload)
  }

  #onPing(payload: Buffer): void {
    if (this.#handler.answersPings === true) {
      // The owner does.
    } else if (this.#congested) this.#pendingPong = copyApart(payload)
    else this.sendPong(payload)
    this.#handler.onPing(payload)
  }

  #onClose(payload: Buffer): void {
    const code = payload.length === 0 ? CloseCode.NoStatus : payload.readUInt16BE(0)
    if (payload.length > 0 && !isSendableCloseCode(code)) {
      return this.#stop(protocolFault('ERR_WS_CLOSE_CODE', `close code ${code} may not be sent`))
    }
    if (payload.length > 2 && !isUtf8(payload.subarray(2))) {
      return this.#stop(payloadFault('ERR_WS_CLOSE_REASON', 'reason of the Close frame is not UTF-8'))
    }
    this.#peerClose = { code, reason: payload.toString('utf8', 2) }
    this.#decoder.suspended = true
  }

  /** Ends decoding from within a sink call. */
  #stop(fault: Fault): void {
    this.#decoder.fault = fault
  }

  #fail(fault: Fault): void {
    if (this.closeSent === undefined) this.#writeClose(encodeCloseReason(fault.closeCode, fault.message))
    this.#advance('fault')
    this.#decoder.fault = fault
    this.#handler.onFault(fault)
  }

  #writeClose(close: CloseReasonBytes): void {
    encodeFrame(this.output, FIN | Opcode.Close, close.payload, this.#mask?.())
    this.closeSent = close.frame
  }

  #advance(event: ClosingEvent): void {
    if (this.closing === 'open') this.closedBy ??= closedBy[event]
    this.closing = nextClosingState(this.closing, event)
  }
}

function invalidUtf8(): Fault {
  return payloadFault('ERR_WS_INVALID_UTF8', 'text is not UTF-8')
}
