import { constants, deflateRawSync, inflateRawSync, type ZlibOptions } from 'node:zlib'
import { DeflateHistory } from './deflate-history.ts'
import type { Extension, StreamDecoder } from './extension.ts'
import { Inflater } from './inflater.ts'
import { type SharedZlib, sharedDeflater, sharedInflater } from './shared-zlib.ts'

/** What both sides agreed on, for one direction. */
export interface DeflateDirection {
  /** Whether messages may refer back to those before them (RFC 7692 section 7.1.1). */
  readonly takeover: boolean
  /** The size of the LZ77 window as a power of two, 8 to 15 (RFC 7692 section 7.1.2). */
  readonly windowBits: number
}

/** How one side of one connection compresses. */
export interface DeflateSettings {
  readonly send: DeflateDirection
  readonly receive: DeflateDirection
  /** Messages of fewer bytes are sent as they are. */
  readonly threshold: number
  /** zlib's effort, 0 to 9. */
  readonly level: number
  /** zlib's working memory while it compresses, 1 to 9. */
  readonly memLevel: number
  /** Whether messages of all connections take turns with one stream of zlib, where nothing is taken over. Default true. */
  readonly share?: boolean
}

/** RSV1 as it stands in the first header byte (RFC 7692 section 6). */
const RSV1 = 0x40

/** The end of a sync flush, which is not sent (RFC 7692 section 7.2.1). */
const FLUSH: Buffer = Buffer.from([0x00, 0x00, 0xff, 0xff])
const FLUSH_SIZE = FLUSH.length

/**
 * What is put behind a message to inflate it: first what the sender took away (RFC 7692 section 7.2.2), then an empty
 * final block, which zlib reaches only when the message ends where a block ends. A message that was cut off is so
 * found out, instead of being delivered as far as it goes. Not so one that lacks just as many plain bytes as are put
 * there: it gets those, as what the RFC has appended makes it anyhow where four are missing.
 */
const TAIL: Buffer = Buffer.from([0x00, 0x00, 0xff, 0xff, 0x03, 0x00])

const EMPTY: Buffer = Buffer.alloc(0)

/** zlib cannot deflate into a window of 256 bytes: asked to, it silently takes the next one. */
const SMALLEST_ZLIB_WINDOW = 9
const LARGEST_WINDOW = 2 ** 15

/** So many bytes of its window zlib never refers to. */
const ZLIB_LOOKAHEAD = 262
/** Of a `memLevel` zlib makes room for 2 to the power of it and this many bytes of a block. */
const ZLIB_SYMBOL_BITS = 6

/** Output is made in pieces of at most this many bytes, and of less where less is to be expected. */
const LARGEST_PIECE = 64 * 1024
const SMALLEST_PIECE = 1024

/** With takeover, messages of up to this many bytes are sent compressed even where that makes them a little longer. */
const LONGEST_LESSON = 1024

/** Beyond the first, one final block more in so many bytes is taken: each costs setting zlib up anew. */
const BYTES_PER_FINAL_BLOCK = 1024
const FREE_FINAL_BLOCKS = 8

/**
 * permessage-deflate at work (RFC 7692). Each message is one synchronous call of zlib: between messages a connection holds
 * no compressor and no window, only the bytes that both sides agreed to remember.
 */
export class Deflate implements Extension {
  readonly name = 'permessage-deflate'
  readonly rsv: number = RSV1
  readonly compresses = true
  readonly #threshold: number
  /** Messages of more bytes are sent as they are. */
  readonly #longest: number
  readonly #windowBits: number
  #options: ZlibOptions
  readonly #sent: DeflateHistory | undefined
  readonly #received: DeflateHistory | undefined
  readonly #share: boolean
  #deflater: SharedZlib | undefined
  readonly #inflater: SharedZlib | undefined

  constructor({ send, receive, threshold, level, memLevel, share = true }: DeflateSettings) {
    const windowBits = Math.max(send.windowBits, SMALLEST_ZLIB_WINDOW)
    this.#threshold = threshold
    this.#options = { windowBits, level, memLevel, finishFlush: constants.Z_SYNC_FLUSH }
    // A window smaller than zlib's is kept to all the same: in a message that fits it, no reference reaches beyond.
    const exact = windowBits === send.windowBits
    this.#longest = exact ? Number.POSITIVE_INFINITY : 2 ** send.windowBits
    this.#sent = send.takeover && exact ? new DeflateHistory(2 ** send.windowBits) : undefined
    this.#received = receive.takeover ? new DeflateHistory(2 ** receive.windowBits) : undefined
    this.#windowBits = send.windowBits
    this.#share = share
    this.#inflater = share && !receive.takeover ? sharedInflater() : undefined
    this.#deflater = this.#sharedDeflater()
  }

  get variant(): string | undefined {
    const { level, memLevel } = this.#options
    return this.#sent === undefined
      ? `${this.#windowBits} ${level} ${memLevel} ${this.#threshold}`
      : undefined
  }

  setLevel(level: number): void {
    this.#options = { ...this.#options, level }
    this.#deflater = this.#sharedDeflater()
  }

  encode(payload: Uint8Array): Uint8Array | undefined {
    if (payload.length < this.#threshold || payload.length > this.#longest) return undefined
    const history = this.#sent
    const deflated = this.#deflater?.run(payload) ?? deflateRawSync(payload, this.#optionsFor(payload.length))
    const length = deflated.length - FLUSH_SIZE
    // What does not get smaller is sent as it is: that saves the peer the work, and the history what it cannot use.
    if (length >= payload.length && !this.#teaches(payload.length)) return undefined
    history?.append(payload)
    return deflated.subarray(0, length)
  }

  decode(payload: Uint8Array, maxSize: number): Uint8Array | 'too large' | 'corrupt' {
    // A flush behind a flush gives nothing: so some peers write an empty message.
    if (payload.length === 0) return EMPTY
    try {
      return this.#inflate(payload, maxSize)
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE' ? 'too large' : 'corrupt'
    }
  }

  /** Each piece ends with a flush, whose last bytes go ahead of the next piece: behind the last one they are not sent. */
  pieceEncoder(): ((piece: Uint8Array) => Uint8Array) | undefined {
    if (this.#longest !== Number.POSITIVE_INFINITY) return undefined
    let begun = false
    return (piece) => {
      const deflated = deflateRawSync(piece, {
        ...this.#options,
        ...dictionary(this.#sent),
        chunkSize: pieceSize(piece.length),
      })
      this.#sent?.append(piece)
      const payload = deflated.subarray(0, deflated.length - FLUSH_SIZE)
      if (begun) return Buffer.concat([FLUSH, payload])
      begun = true
      return payload
    }
  }

  decoder(): StreamDecoder {
    return new Inflater(this.#received)
  }

  /** What is sent next refers to nothing before: either side may always begin anew. */
  idle(): void {
    this.#sent?.clear()
  }

  dispose(): void {
    this.#sent?.clear()
    this.#received?.clear()
  }

  #sharedDeflater(): SharedZlib | undefined {
    const { windowBits = 0, level = 0, memLevel = 0 } = this.#options
    return this.#share && this.#sent === undefined ? sharedDeflater(windowBits, level, memLevel) : undefined
  }

  /**
   * A compressor that is made for one message needs no more memory than the message fills: to provide, and to clear,
   * 256 KiB takes longer than to compress a short message. What comes out is as small.
   */
  #optionsFor(length: number): ZlibOptions {
    if (this.#sent !== undefined)
      return { ...this.#options, ...dictionary(this.#sent), chunkSize: pieceSize(length) }
    const bits = Math.max(SMALLEST_ZLIB_WINDOW, 32 - Math.clz32(length + ZLIB_LOOKAHEAD))
    const { windowBits = bits, memLevel = bits } = this.#options
    return {
      ...this.#options,
      windowBits: Math.min(windowBits, bits),
      memLevel: Math.min(memLevel, bits - ZLIB_SYMBOL_BITS),
      chunkSize: pieceSize(length),
    }
  }

  /** A first short message may not get smaller, but those like it will, once there is something to refer to. */
  #teaches(length: number): boolean {
    return this.#sent !== undefined && length > 0 && length <= LONGEST_LESSON
  }

  #inflate(payload: Uint8Array, maxSize: number): Buffer | 'too large' | 'corrupt' {
    const input = Buffer.concat([payload, TAIL])
    const message = this.#inflater?.run(input)
    if (message !== undefined) return message.length > maxSize ? 'too large' : message
    const parts: Buffer[] = []
    let window = this.#received
    const remember = (message: Buffer): Buffer => {
      this.#received?.append(message)
      return message
    }
    let length = 0
    let used = 0
    // A final block ends the work of zlib, but not the message: more may follow (RFC 7692 section 7.2.1).
    let finalBlocks = FREE_FINAL_BLOCKS + payload.length / BYTES_PER_FINAL_BLOCK
    for (; finalBlocks > 0; finalBlocks--) {
      const { buffer, engine } = inflateRawSync(input.subarray(used), {
        ...dictionary(window),
        info: true,
        chunkSize: used === 0 ? pieceSize(8 * payload.length) : SMALLEST_PIECE,
        // The library wants at least 1: what is then too much is seen below.
        maxOutputLength: Math.max(1, maxSize - length),
      }) as unknown as { buffer: Buffer; engine: { bytesWritten: number } }
      parts.push(buffer)
      length += buffer.length
      used += engine.bytesWritten
      if (length > maxSize) return 'too large'
      const beyond = used - payload.length
      // What was appended has ended a block that the message was cut off in. Only a block of no bytes ends there rightly.
      if (beyond > 0 && beyond !== FLUSH.length && beyond !== TAIL.length) return 'corrupt'
      const complete = beyond >= 0
      if (complete) return remember(parts.length === 1 ? buffer : Buffer.concat(parts, length))
      if (window === this.#received) window = copyOf(window)
      window?.append(buffer)
    }
    return 'corrupt'
  }
}

/** Room for what a message that is not complete yet refers to: what it adds counts only if it turns out whole. */
function copyOf(history: DeflateHistory | undefined): DeflateHistory {
  const copy = new DeflateHistory(LARGEST_WINDOW)
  if (history !== undefined) copy.append(history.bytes)
  return copy
}

/** A word, and what zlib makes of it where it knows that word: a reference, and nothing else. */
const WORD: Buffer = Buffer.from('dictionary', 'latin1')
const REFERENCE: Buffer = Buffer.from([0x4b, 0x81, 0xb3, 0x00])

/** Whether zlib takes dictionaries, without which no message can refer to those before it. Deno's ignores them. */
export function takesDictionaries(inflate: typeof inflateRawSync = inflateRawSync): boolean {
  try {
    return inflate(REFERENCE, { dictionary: WORD }).equals(WORD)
  } catch {
    return false
  }
}

/** zlib takes a dictionary of no bytes for a mistake. */
function dictionary(history: DeflateHistory | undefined): { dictionary?: Buffer } {
  const bytes = history?.bytes ?? EMPTY
  return bytes.length === 0 ? {} : { dictionary: bytes }
}

function pieceSize(expected: number): number {
  return Math.min(LARGEST_PIECE, Math.max(SMALLEST_PIECE, expected))
}
