import type { EncodedMessage, PieceEncoder } from '../protocol/extension-pipeline.ts'
import { GONE } from '../protocol/output.ts'
import type { Protocol } from '../protocol/protocol.ts'
import type { MessageType } from '../session/message.ts'
import { Prepared } from '../session/prepared.ts'
import { FIN } from '../wire/frame-header.ts'
import { Opcode } from '../wire/opcode.ts'

/** While more bytes than this are pending, nothing is taken out of the queue: what is sent urgently waits for no more. */
const PUMP_MARK = 512 * 1024

/** What a queued message costs beside its bytes, once there are more than a few. */
const OVERHEAD = 128
const FREE = 64

/** Pieces of fewer bytes are put together, up to so many. */
const JOINED = 16 * 1024

const EMPTY: Uint8Array = new Uint8Array(0)

/** A message that leaves in frames of its own time: it is long, or not complete yet, or waits behind one that is. */
export class OutgoingMessage {
  readonly type: MessageType
  /** Whether what only saves bytes is applied to it: as it was set when it was sent. */
  readonly compress: boolean
  /** Given at once, so that it is encoded as a whole. */
  readonly whole: Uint8Array | Prepared | undefined
  /** What has not left, in order. */
  readonly pieces: Uint8Array[] = []
  bytes = 0
  /** Where the small pieces at the end are put together. */
  #joined: Buffer | undefined
  #joinedLength = 0
  /** No more pieces will come. */
  complete: boolean
  /** Its first frame has been encoded: it can only go on. */
  begun = false
  next: OutgoingMessage | undefined = undefined
  encoder: PieceEncoder | undefined
  /** The first byte of the first frame, with FIN. */
  first = 0

  constructor(type: MessageType, compress: boolean, whole?: Uint8Array | Prepared) {
    this.type = type
    this.compress = compress
    this.whole = whole
    this.complete = whole !== undefined
    if (whole === undefined) return
    const payload = whole instanceof Prepared ? whole.payload : whole
    if (payload.length > 0) this.pieces.push(payload)
    this.bytes = payload.length
  }

  /** Takes bytes that nobody else will change; small pieces are put together, so that a thousand cost no more than one. */
  add(piece: Uint8Array): void {
    if (piece.length === 0) return
    this.bytes += piece.length
    if (piece.length >= JOINED) {
      this.pieces.push(piece)
      this.#joined = undefined
      return
    }
    const length = this.#joinedLength + piece.length
    if (this.#joined === undefined || this.pieces.length === 0 || length > this.#joined.length) {
      this.#joined = Buffer.allocUnsafeSlow(
        Math.min(JOINED, Math.max(piece.length, 2 * this.#joinedLength, 256)),
      )
      this.#joinedLength = 0
      this.pieces.push(this.#joined)
    }
    this.#joined.set(piece, this.#joinedLength)
    this.#joinedLength += piece.length
    this.pieces[this.pieces.length - 1] = this.#joined.subarray(0, this.#joinedLength)
  }

  /** The next bytes, at most so many; pieces that are small leave together. */
  take(most: number): Uint8Array {
    const [piece = EMPTY] = this.pieces
    // What leaves is not added to.
    this.#joined = undefined
    if (piece.length > most) {
      this.pieces[0] = piece.subarray(most)
      this.bytes -= most
      return piece.subarray(0, most)
    }
    let count = 0
    let length = 0
    for (const { length: more } of this.pieces) {
      if (length + more > most) break
      length += more
      count++
    }
    // Else the rest of the message would be waited for without end.
    if (length === 0 && this.bytes > 0) throw new Error(GONE)
    const taken = this.pieces.splice(0, count)
    this.bytes -= length
    return taken.length <= 1 ? piece : Buffer.concat(taken, length)
  }
}

/**
 * The messages that wait for their turn because one ahead of them is long or not complete yet: a message's frames must
 * follow each other (RFC 6455 section 5.4), only control frames may pass. They are encoded when they are about to
 * leave, frame by frame.
 */
export class SendQueue {
  readonly #protocol: Protocol
  readonly #fragmentSize: number
  #head: OutgoingMessage | undefined
  #tail: OutgoingMessage | undefined
  #count = 0
  /** Bytes that wait. */
  bytes = 0

  constructor(protocol: Protocol, fragmentSize: number) {
    this.#protocol = protocol
    this.#fragmentSize = fragmentSize
  }

  get empty(): boolean {
    return this.#head === undefined
  }

  /** Whether there is something that can leave. */
  get ready(): boolean {
    return this.#head !== undefined && (this.#head.bytes > 0 || this.#head.complete)
  }

  /** What all that waits costs, in bytes. */
  get cost(): number {
    return this.bytes + Math.max(0, this.#count - FREE) * OVERHEAD
  }

  push(message: OutgoingMessage): void {
    if (this.#tail === undefined) this.#head = message
    else this.#tail.next = message
    this.#tail = message
    this.#count++
    this.bytes += message.bytes
  }

  /** The next piece of a message in the queue. */
  write(message: OutgoingMessage, piece: Uint8Array): void {
    message.add(piece)
    this.bytes += piece.length
  }

  /**
   * Encodes what is next, as far as there is room for it.
   *
   * @throws Error when a payload that was given by reference has gone
   */
  pump(): void {
    const { output } = this.#protocol
    while (this.#head !== undefined && output.pending < PUMP_MARK) {
      const message = this.#head
      if (!this.ready) return
      this.#encodeNext(message)
      if (message.complete && message.bytes === 0) this.#shift()
    }
  }

  /** Bytes that wait in a message of the queue, and ahead of it; 0 when it is not in the queue any more. */
  bytesUpTo(message: OutgoingMessage): number {
    if (message === this.#tail) return this.bytes
    let bytes = 0
    for (let other = this.#head; other !== undefined; other = other.next) {
      bytes += other.bytes
      if (other === message) return bytes
    }
    return 0
  }

  /**
   * Gives up the messages that are not complete, and where one of them has begun to leave, all behind it too: the peer
   * could not tell them from its end.
   *
   * @returns how many complete messages were lost by that
   */
  abandon(): number {
    if (this.#head?.begun === true && !this.#head.complete) return this.clear()
    this.#keep(({ complete }) => complete)
    return 0
  }

  /** Takes out one message that has not begun to leave. */
  remove(message: OutgoingMessage): void {
    this.#keep((other) => other !== message)
  }

  /** Gives up everything; returns how many complete messages that were. */
  clear(): number {
    let lost = 0
    for (let message = this.#head; message !== undefined; message = message.next) if (message.complete) lost++
    this.#head = this.#tail = undefined
    this.#count = this.bytes = 0
    return lost
  }

  #keep(wanted: (message: OutgoingMessage) => boolean): void {
    let message = this.#head
    this.#head = this.#tail = undefined
    this.#count = this.bytes = 0
    while (message !== undefined) {
      const { next } = message
      message.next = undefined
      if (wanted(message)) this.push(message)
      message = next
    }
  }

  #shift(): void {
    this.#head = this.#head?.next
    if (this.#head === undefined) this.#tail = undefined
    this.#count--
  }

  #encodeNext(message: OutgoingMessage): void {
    const opening = !message.begun
    if (opening) this.#begin(message)
    const before = message.bytes
    const plain = message.take(this.#fragmentSize)
    this.bytes += message.bytes - before
    const payload = plain.length > 0 ? (message.encoder?.encode(plain) ?? plain) : plain
    // An empty message is sent as it is.
    const rsv = plain.length > 0 ? (message.encoder?.rsv ?? 0) : 0
    const fin = message.complete && message.bytes === 0
    const first = opening ? (message.first | rsv) & (fin ? 0xff : ~FIN) : fin ? FIN : 0
    this.#protocol.sendFrame({ first, payload })
  }

  #begin(message: OutgoingMessage): void {
    const protocol = this.#protocol
    const { compress } = protocol
    const { whole } = message
    if (whole instanceof Uint8Array && whole.length !== message.bytes) throw new Error(GONE)
    message.begun = true
    protocol.compress = message.compress
    if (whole === undefined) {
      message.encoder = protocol.pieceEncoder()
      message.first = FIN | (message.type === 'text' ? Opcode.Text : Opcode.Binary)
    } else {
      const { first, payload } = this.#encodeWhole(message.type, whole)
      message.first = first
      this.bytes -= message.bytes
      message.pieces.splice(0, 1, payload)
      message.bytes = payload.length
      this.bytes += message.bytes
    }
    protocol.compress = compress
  }

  #encodeWhole(type: MessageType, whole: Uint8Array | Prepared): EncodedMessage {
    if (whole instanceof Prepared) return this.#protocol.encodePrepared(whole)
    return this.#protocol.encode(type, whole)
  }
}
