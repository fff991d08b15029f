import { FIN, MAX_CONTROL_PAYLOAD, MAX_HEADER_SIZE, RSV } from '../wire/frame-header.ts'
import { applyMask, rotateKey } from '../wire/mask.ts'
import { isControl, isKnownOpcode, Opcode } from '../wire/opcode.ts'
import { type Fault, protocolFault, sizeFault } from './fault.ts'
import { encodedSize } from './limits.ts'

/** Where a {@link FrameDecoder} delivers. Both methods get primitives: no object is made per frame. */
export interface FrameSink {
  /**
   * A legal header, within the limits. `rsv` holds the reserved bits as they stand in the first byte, `length` is that
   * of the payload. A sink that suspends the decoder here stops it before the payload.
   */
  onFrame(opcode: number, fin: boolean, rsv: number, length: number): void
  /**
   * A piece of that frame's payload at `[start, end)`; every frame has at least one, perhaps empty.
   *
   * @param last - whether the frame ends here
   * @param bits - all bytes of the piece or-ed together where that came for free, else all ones
   * @param key - 0 for a piece that is unmasked, as all are unless {@link FrameDecoder.leavesMasked} is set
   */
  onPayload(chunk: Buffer, start: number, end: number, last: boolean, bits: number, key: number): void
}

/** What a decoder must know of its connection. */
export interface FrameDecoderOptions {
  /** Whether frames must be masked (a server receives) or must not be (a client receives). */
  readonly masked: boolean
  /** The longest payload of a frame, in bytes. */
  readonly maxFrameSize: number
  /** The most that the fragments of a message may announce together, in bytes. */
  readonly maxMessageSize: number
  /** The message limit's name. */
  readonly messageLimit?: 'maxMessageSize' | 'maxStreamSize'
  /** The reserved bits that negotiated extensions own. */
  readonly rsv: number
}

/** Nothing is known of the payload's bytes. */
const UNKNOWN_BITS = -1

/**
 * Cuts a byte stream into frames (RFC 6455 section 5), in place and at any boundaries of the chunks.
 *
 * Every rule is checked on the first byte that can break it, so limits hold before any payload is kept; the only
 * bytes that the decoder itself keeps are those of a header that is split between chunks.
 */
export class FrameDecoder {
  readonly #sink: FrameSink
  readonly #masked: boolean
  #maxFrameSize: number
  #maxMessageSize: number
  readonly #messageLimit: 'maxMessageSize' | 'maxStreamSize'
  readonly #rsv: number

  /** Why decoding stopped for good; a sink may set it too. */
  fault: Fault | undefined = undefined
  /** Stops `push` behind the current frame until it is cleared. */
  suspended = false
  /**
   * Leaves it to the sink to unmask a frame that does not come in one piece: who has to put the pieces together can do
   * that on the way. Set it when the frame begins. Default false.
   */
  leavesMasked = false

  #inPayload = false
  /** Payload bytes of the current frame that have not come yet. */
  #remaining = 0
  #key = 0
  /** The frame comes in several pieces. */
  #inPieces = false
  /** Whether a message is under way whose final fragment has not come. */
  #inMessage = false
  /** Whether an extension has encoded this message. */
  #encoded = false
  /** The bytes that the frames of this message have announced so far. */
  #messageLength = 0
  /** The beginning of a header that is split between chunks. */
  #stash: Buffer | undefined
  #stashed = 0

  /** For one direction of one connection. */
  constructor(sink: FrameSink, options: FrameDecoderOptions) {
    this.#sink = sink
    this.#masked = options.masked
    this.#maxFrameSize = options.maxFrameSize
    this.#maxMessageSize = options.maxMessageSize
    this.#messageLimit = options.messageLimit ?? 'maxMessageSize'
    this.#rsv = options.rsv
  }

  /** Other limits, from the next header on. */
  setLimits(maxFrameSize: number, maxMessageSize: number): void {
    this.#maxFrameSize = maxFrameSize
    this.#maxMessageSize = maxMessageSize
  }

  /**
   * Decodes `chunk` from `at` on and returns how far it came: to the end unless suspended or failed.
   *
   * @throws Error when the sink has transferred the buffer of the chunk
   */
  push(chunk: Buffer, at: number): number {
    const end = chunk.length
    while (at < end && !this.suspended && this.fault === undefined) {
      if (!this.#inPayload) {
        at = this.#stashed === 0 ? this.#header(chunk, at, end) : this.#stashedHeader(chunk, at, end)
        if (!this.#inPayload) continue
        // An empty frame ends with its header.
        if (this.suspended || (this.#remaining > 0 && at === end)) return at
      }
      at = this.#payload(chunk, at, end)
    }
    return at
  }

  #payload(chunk: Buffer, at: number, end: number): number {
    const length = Math.min(this.#remaining, end - at)
    const stop = at + length
    this.#remaining -= length
    const last = this.#remaining === 0
    if (last) this.#inPayload = false
    else this.#inPieces = true
    let bits = UNKNOWN_BITS
    let key = 0
    if (this.#masked) {
      if (this.#inPieces && this.leavesMasked) key = this.#key
      else bits = applyMask(chunk, at, stop, this.#key)
      this.#key = rotateKey(this.#key, length)
    }
    this.#sink.onPayload(chunk, at, stop, last, bits, key)
    // Whoever was given a message has given its buffer away, and with it what follows there.
    if (stop < end && chunk.length === 0) throw new Error(TAKEN)
    return stop
  }

  #header(chunk: Buffer, at: number, end: number): number {
    const size = this.#parse(chunk, at, end - at)
    if (size > 0) return at + size
    if (this.fault !== undefined) return end
    this.#stash ??= Buffer.allocUnsafeSlow(MAX_HEADER_SIZE)
    this.#stashed = chunk.copy(this.#stash, 0, at, end)
    return end
  }

  #stashedHeader(chunk: Buffer, at: number, end: number): number {
    const stash = this.#stash as Buffer
    while (at < end && this.fault === undefined) {
      stash[this.#stashed++] = chunk[at++] as number
      if (this.#parse(stash, 0, this.#stashed) > 0) {
        this.#stashed = 0
        break
      }
    }
    return at
  }

  /**
   * Checks the `available` bytes of a header and returns its size once it is whole, else 0 (with `fault` set where a
   * rule is broken). Reading the beginning again when more has come is cheaper than remembering how far it was read.
   */
  #parse(bytes: Buffer, at: number, available: number): number {
    const first = bytes[at] as number
    const opcode = first & 0x0f
    const fault = this.#checkFirst(first, opcode)
    if (fault !== undefined) return this.#fail(fault)
    if (available < 2) return 0

    const second = bytes[at + 1] as number
    const masked = second >= 0x80
    if (masked !== this.#masked) {
      return this.#fail(
        masked
          ? protocolFault('ERR_WS_MASKED_FRAME', 'masked frame from a server')
          : protocolFault('ERR_WS_UNMASKED_FRAME', 'unmasked frame from a client'),
      )
    }
    let length = second & 0x7f
    let size = 2
    if (isControl(opcode)) {
      if (length > MAX_CONTROL_PAYLOAD) {
        return this.#fail(protocolFault('ERR_WS_CONTROL_TOO_LONG', 'control frame of more than 125 bytes'))
      }
      if (length === 1 && opcode === Opcode.Close) {
        return this.#fail(protocolFault('ERR_WS_CLOSE_PAYLOAD', 'Close frame with half a code'))
      }
    } else if (length >= 126) {
      size = length === 126 ? 4 : 10
      if (size === 10 && available > 2 && (bytes[at + 2] as number) >= 0x80) {
        return this.#fail(protocolFault('ERR_WS_LENGTH_SIGN_BIT', 'length with its highest bit set'))
      }
      if (available < size) return 0
      length = size === 4 ? readUint16(bytes, at + 2) : readUint64(bytes, at + 2)
      if (length < (size === 4 ? 126 : 65536)) {
        return this.#fail(protocolFault('ERR_WS_LENGTH_NOT_MINIMAL', 'length not in its shortest form'))
      }
    }
    if (!isControl(opcode)) {
      const fault = this.#checkSize(first, opcode, length)
      if (fault !== undefined) return this.#fail(fault)
    }
    if (masked) {
      if (available < size + 4) return 0
      this.#key = readUint32(bytes, at + size) | 0
      size += 4
    }
    this.#begin(first, opcode, length)
    return size
  }

  #checkFirst(first: number, opcode: number): Fault | undefined {
    const rsv = first & RSV
    // Extensions mark the first frame of a message; no negotiated one touches control frames or continuations.
    if (rsv !== 0 && ((rsv & ~this.#rsv) !== 0 || isControl(opcode) || opcode === Opcode.Continuation)) {
      return protocolFault('ERR_WS_RESERVED_BITS', 'reserved bit set')
    }
    if (!isKnownOpcode(opcode)) return protocolFault('ERR_WS_RESERVED_OPCODE', 'reserved opcode')
    if (isControl(opcode)) {
      return first < FIN ? protocolFault('ERR_WS_CONTROL_FRAGMENTED', 'fragmented control frame') : undefined
    }
    if (opcode === Opcode.Continuation) {
      return this.#inMessage
        ? undefined
        : protocolFault('ERR_WS_UNEXPECTED_CONTINUATION', 'continuation without a message')
    }
    return this.#inMessage
      ? protocolFault('ERR_WS_EXPECTED_CONTINUATION', 'new message inside a fragmented one')
      : undefined
  }

  #checkSize(first: number, opcode: number, length: number): Fault | undefined {
    const isFirst = opcode !== Opcode.Continuation
    const encoded = isFirst ? (first & RSV) !== 0 : this.#encoded
    const total = isFirst ? length : length + this.#messageLength
    const maxFrame = this.#maxFrameSize
    const maxMessage = this.#maxMessageSize
    if (length > (encoded ? encodedSize(maxFrame) : maxFrame))
      return sizeFault('maxFrameSize', length, maxFrame)
    if (total > (encoded ? encodedSize(maxMessage) : maxMessage))
      return sizeFault(this.#messageLimit, total, maxMessage)
    return undefined
  }

  #begin(first: number, opcode: number, length: number): void {
    const fin = first >= FIN
    if (!isControl(opcode)) {
      this.#inMessage = !fin
      if (opcode !== Opcode.Continuation) this.#encoded = (first & RSV) !== 0
      this.#messageLength = fin ? 0 : length + (opcode === Opcode.Continuation ? this.#messageLength : 0)
    }
    this.#remaining = length
    this.#inPayload = true
    this.#inPieces = false
    this.#sink.onFrame(opcode, fin, first & RSV, length)
  }

  #fail(fault: Fault): 0 {
    this.fault = fault
    return 0
  }
}

function readUint16(bytes: Buffer, at: number): number {
  return ((bytes[at] as number) << 8) | (bytes[at + 1] as number)
}

function readUint32(bytes: Buffer, at: number): number {
  return ((readUint16(bytes, at) << 16) | readUint16(bytes, at + 2)) >>> 0
}

/** Exact up to 2^53; beyond, still larger than every limit. */
function readUint64(bytes: Buffer, at: number): number {
  return readUint32(bytes, at) * 0x1_0000_0000 + readUint32(bytes, at + 4)
}

/** Why nothing more can be received. */
export const TAKEN =
  'the buffer of a message was transferred, and the beginning of the next was in it: copy a message before you transfer it'
