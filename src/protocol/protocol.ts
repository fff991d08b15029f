import { isUtf8 } from 'node:buffer'
import type { CloseFrame, EncodingStats } from '../session/close-info.ts'
import { UsageError } from '../session/errors.ts'
import type { MessageType } from '../session/message.ts'
import type { Prepared, PreparedFrame } from '../session/prepared.ts'
import { CloseCode, isSendableCloseCode } from '../wire/close-code.ts'
import { FIN, MAX_CONTROL_PAYLOAD, RSV } from '../wire/frame-header.ts'
import { isControl, Opcode } from '../wire/opcode.ts'
import { Utf8Validator } from '../wire/utf8.ts'
import { Assembler } from './assembler.ts'
import { type CloseReasonBytes, encodeCloseReason } from './close-payload.ts'
import { type ClosedBy, type ClosingEvent, type ClosingState, closedBy, nextClosingState } from './closing.ts'
import type { Extension } from './extension.ts'
import { type Fault, payloadFault, protocolFault, sizeFault } from './fault.ts'
import { FrameDecoder } from './frame-decoder.ts'
import { buildFrame, encodeFrame, encodeText } from './frame-encoder.ts'
import { encodedSize, type Limits } from './limits.ts'
import { Output, type SlabSource } from './output.ts'

/** What an engine tells its owner, while `receive` runs. */
export interface ProtocolHandler {
  /**
   * A whole message at `[start, end)` of `bytes`; text has been checked. The engine does not touch these bytes again.
   *
   * @param ascii - text only: whether all of it is known to be ASCII, so that it can be decoded byte by byte
   */
  onMessage(type: MessageType, bytes: Buffer, start: number, end: number, ascii: boolean): void
  /** A ping came; the engine answers it by itself. The payload is a view, valid during the call. */
  onPing(payload: Buffer): void
  /** A pong came, asked for or not. The payload is a view, valid during the call. */
  onPong(payload: Buffer): void
  /** The peer's Close frame came; the engine answers it by itself. Code 1005 when it had none. */
  onClose(frame: CloseFrame): void
  /** The peer broke a rule. Called once; the Close frame that tells the peer is in the output. */
  onFault(fault: Fault): void
}

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
  /**
   * Leaves a Close frame or a fault that `receive` comes upon without effect until the owner says {@link Protocol.conclude}:
   * so that what answers the messages before it can go out first (RFC 6455 section 5.5.1). Default false.
   */
  readonly holdEnd?: boolean | undefined
}

/** What a prepared message is encoded by: empty for nothing, `undefined` where each connection encodes anew. */
type Variant = string | undefined

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
  readonly #assembler: Assembler
  readonly #utf8 = new Utf8Validator()
  readonly #maxMessageSize: number
  readonly #mask: (() => number) | undefined
  readonly #extensions: readonly Extension[]
  readonly #holdEnd: boolean
  /** Whether the extensions that do no more than save bytes are applied to what is sent from now on. */
  compress = true
  /** The counters as they are now; `undefined` without extensions. */
  readonly encoding: { -readonly [Name in keyof EncodingStats]: number } | undefined
  /** What prepared messages are encoded by, with and without compression. */
  readonly #variant: Variant
  readonly #plainVariant: Variant

  // The frame being received.
  #opcode: number = Opcode.Continuation
  #fin = true
  /** No payload of the frame has come yet. */
  #fresh = true

  // The message being received.
  #isText = false
  /** The reserved bits of its first frame. */
  #rsv = 0

  /** The peer's Close frame: it has been read, but has perhaps not taken effect. */
  #peerClose: CloseFrame | undefined
  /** A control frame's payload that came in pieces. */
  #control: Buffer | undefined
  #controlLength = 0
  /** The answer to the latest ping that could not be sent yet. */
  #pendingPong: Buffer | undefined

  /** @throws UsageError `ERR_WS_INVALID_OPTION` for a client without `mask` */
  constructor(options: ProtocolOptions) {
    const { role, handler, limits, mask, extensions = [], slabs, holdEnd = false } = options
    if (role === 'client' && mask === undefined) {
      throw new UsageError('ERR_WS_INVALID_OPTION', 'mask: a client must mask what it sends')
    }
    this.output = new Output(slabs)
    this.#handler = handler
    this.#maxMessageSize = limits.maxMessageSize
    this.#mask = role === 'client' ? mask : undefined
    this.#extensions = extensions
    this.#holdEnd = holdEnd
    this.encoding =
      extensions.length > 0
        ? { plainSent: 0, encodedSent: 0, plainReceived: 0, encodedReceived: 0 }
        : undefined
    this.#variant = variantOf(extensions)
    this.#plainVariant = variantOf(extensions.filter(({ compresses }) => compresses !== true))
    const { maxMessageSize } = limits
    this.#assembler = new Assembler(extensions.length > 0 ? encodedSize(maxMessageSize) : maxMessageSize)
    this.#decoder = new FrameDecoder(this, {
      masked: role === 'server',
      maxFrameSize: limits.maxFrameSize,
      maxMessageSize: limits.maxMessageSize,
      rsv: extensions.reduce((bits, extension) => bits | extension.rsv, 0),
    })
  }

  /**
   * Takes bytes from the peer, and unmasks them where they lie: the chunk is used up.
   *
   * @param at - where to begin in the chunk
   * @returns how far it came: the end of the chunk, unless {@link suspend} was called on the way
   */
  receive(chunk: Buffer, at = 0): number {
    if (!this.#listening || this.concluding) return chunk.length
    const stop = this.#decoder.push(chunk, at)
    if (!this.concluding) return stop
    if (!this.#holdEnd) this.conclude()
    return chunk.length
  }

  /** Whether a Close frame or a fault has been received that has not taken effect. */
  get concluding(): boolean {
    return this.#listening && (this.#peerClose !== undefined || this.#decoder.fault !== undefined)
  }

  /** Lets the Close frame or the fault that was received take effect: it is answered, and the handler is told. */
  conclude(): void {
    if (!this.concluding) return
    if (this.#decoder.fault !== undefined) return this.#fail(this.#decoder.fault)
    const frame = this.#peerClose as CloseFrame
    this.closeReceived = frame
    this.#advance('receiveClose')
    this.sendClose(frame.code)
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
    // Nothing is read behind a Close frame.
    this.#decoder.suspended = this.#peerClose !== undefined
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
    if (this.#extensions.length > 0) return this.#sendExtended(Opcode.Text, Buffer.from(text, 'utf8'))
    encodeText(this.output, text, this.#mask?.())
    return true
  }

  /** Sends text that is UTF-8 bytes already (not checked), or a binary message; `false` when the connection is closing. */
  sendBytes(type: MessageType, payload: Uint8Array): boolean {
    if (this.closing !== 'open') return false
    const opcode = type === 'text' ? Opcode.Text : Opcode.Binary
    if (this.#extensions.length > 0) return this.#sendExtended(opcode, payload)
    encodeFrame(this.output, FIN | opcode, payload, this.#mask?.())
    return true
  }

  /** Sends a message that was encoded once for many; `false` when the connection is closing. */
  sendPrepared(message: Prepared): boolean {
    const variant = this.compress ? this.#variant : this.#plainVariant
    if (variant === undefined) return this.sendBytes(message.type, message.payload)
    if (this.closing !== 'open') return false
    const { frame, payload } =
      variant === '' ? message : message.encodedBy(variant, () => this.#prepare(message))
    const first = frame[0] as number
    this.#countSent(first, message.payload, payload)
    if (this.#mask === undefined) this.output.append(frame)
    else encodeFrame(this.output, first, payload, this.#mask())
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
  idle(): void {
    for (const extension of this.#extensions) extension.idle?.()
  }

  /** Releases what the extensions hold. */
  dispose(): void {
    for (const extension of this.#extensions) extension.dispose?.()
  }

  /** @internal */
  onFrame(opcode: number, fin: boolean, rsv: number): void {
    this.#opcode = opcode
    this.#fin = fin
    this.#fresh = true
    if (opcode === Opcode.Continuation || isControl(opcode)) return
    this.#isText = opcode === Opcode.Text
    this.#rsv = rsv
  }

  /** @internal */
  onPayload(chunk: Buffer, start: number, end: number, last: boolean, bits: number): void {
    const fresh = this.#fresh
    this.#fresh = false
    if (isControl(this.#opcode)) {
      if (last && fresh) this.#onControl(chunk, start, end)
      else this.#collectControl(chunk, start, end, last)
    } else if (fresh && last && this.#fin && this.#opcode !== Opcode.Continuation) {
      this.#deliver(chunk, start, end, bits)
    } else {
      this.#assemble(chunk, start, end, last && this.#fin)
    }
  }

  /** Whether what the peer sends still matters: not behind its Close frame, a fault, or the end. */
  get #listening(): boolean {
    return this.closing === 'open' || this.closing === 'closeSent'
  }

  #assemble(chunk: Buffer, start: number, end: number, complete: boolean): void {
    const streaming = this.#isText && this.#rsv === 0
    if (streaming && !this.#utf8.push(chunk, start, end)) return this.#stop(invalidUtf8())
    this.#assembler.append(chunk, start, end)
    if (!complete) return
    const message = this.#assembler.take()
    if (this.#rsv !== 0) return this.#deliver(message, 0, message.length, -1)
    if (streaming) {
      if (!this.#utf8.complete) return this.#stop(invalidUtf8())
      this.#utf8.reset()
    }
    this.#handler.onMessage(this.#isText ? 'text' : 'binary', message, 0, message.length, false)
  }

  /** Hands over a message that nobody has checked yet. */
  #deliver(bytes: Buffer, start: number, end: number, bits: number): void {
    if (this.#rsv !== 0) {
      const decoded = this.#decode(bytes.subarray(start, end))
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

  /** Undoes the extensions whose bits are set, the last one first. */
  #decode(payload: Uint8Array): Buffer | undefined {
    const encodedLength = payload.length
    let bits = this.#rsv
    for (let i = this.#extensions.length - 1; i >= 0; i--) {
      const extension = this.#extensions[i] as Extension
      if ((bits & extension.rsv) === 0) continue
      bits &= ~extension.rsv
      // What another extension has to decode in turn may be as long as it would be in a frame.
      const maxSize = bits === 0 ? this.#maxMessageSize : encodedSize(this.#maxMessageSize)
      const decoded = decodeBy(extension, payload, maxSize)
      if (!(decoded instanceof Uint8Array)) {
        this.#stop(decoded)
        return undefined
      }
      payload = decoded
    }
    if (this.encoding !== undefined) {
      this.encoding.encodedReceived += encodedLength
      this.encoding.plainReceived += payload.length
    }
    return Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength)
  }

  #sendExtended(opcode: number, payload: Uint8Array): boolean {
    const { first, encoded } = this.#encode(opcode, payload)
    this.#countSent(first, payload, encoded)
    encodeFrame(this.output, first, encoded, this.#mask?.())
    return true
  }

  #countSent(first: number, payload: Uint8Array, encoded: Uint8Array): void {
    if (this.encoding === undefined || (first & RSV) === 0) return
    this.encoding.plainSent += payload.length
    this.encoding.encodedSent += encoded.length
  }

  #prepare({ type, payload }: Prepared): PreparedFrame {
    const { first, encoded } = this.#encode(type === 'text' ? Opcode.Text : Opcode.Binary, payload)
    return buildFrame(first, encoded)
  }

  /** Applies the extensions, the first one first. */
  #encode(opcode: number, payload: Uint8Array): { readonly first: number; readonly encoded: Uint8Array } {
    let first = FIN | opcode
    let encoded = payload
    for (const extension of this.#extensions) {
      const skipped = !this.compress && extension.compresses === true
      const transformed = skipped ? undefined : extension.encode(encoded)
      if (transformed === undefined) continue
      encoded = transformed
      first |= extension.rsv
    }
    return { first, encoded }
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
    if (this.#congested) this.#pendingPong = Buffer.from(payload)
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

function variantOf(extensions: readonly Extension[]): Variant {
  if (extensions.some(({ variant }) => variant === undefined)) return undefined
  return extensions.map(({ name, variant }) => `${name} ${variant}`).join()
}

/** Extensions may be the application's: that one throws is no reason for the process to end. */
function decodeBy(extension: Extension, payload: Uint8Array, maxSize: number): Uint8Array | Fault {
  const fault = payloadFault('ERR_WS_EXTENSION_DATA', `data that ${extension.name} cannot decode`)
  try {
    const decoded = extension.decode(payload, maxSize)
    if (decoded === 'corrupt') return fault
    // The limit holds whatever an extension does.
    const tooLarge = decoded === 'too large' || decoded.length > maxSize
    return tooLarge ? sizeFault('maxMessageSize', maxSize + 1, maxSize) : decoded
  } catch (cause) {
    return { ...fault, cause }
  }
}

function invalidUtf8(): Fault {
  return payloadFault('ERR_WS_INVALID_UTF8', 'text is not UTF-8')
}
