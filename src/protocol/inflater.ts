import { createInflateRaw, type InflateRaw } from 'node:zlib'
import { DeflateHistory } from './deflate-history.ts'
import type { StreamDecoder } from './extension.ts'

/** The largest window there is; what follows a final block may refer that far back (RFC 7692 section 7.2.1). */
const LARGEST_WINDOW = 2 ** 15

/** Bytes of output made at a time. */
const OUTPUT_SIZE = 32 * 1024

/**
 * Behind the message comes what its sender took away (RFC 7692 section 7.2.2), an empty final block, which zlib takes
 * only where a block ends, and a byte that it leaves untaken once that block has ended its work.
 */
const TAIL: Buffer = Buffer.from([0x00, 0x00, 0xff, 0xff, 0x03, 0x00, 0x00])
const UNTAKEN = 1

/** Beyond the first ones, one final block in so many bytes is taken: each costs setting zlib up anew. */
const BYTES_PER_FINAL_BLOCK = 1024
const FREE_FINAL_BLOCKS = 8

/**
 * Inflates one message while it comes. Output is made when it is asked for, so that a small message which inflates to
 * an enormous one costs no memory.
 */
export class Inflater implements StreamDecoder {
  /** The end of what has come out: a dictionary for what follows a final block. */
  readonly #window = new DeflateHistory(LARGEST_WINDOW)
  /** What the connection remembers for its next message. */
  readonly #history: DeflateHistory | undefined
  #zlib: InflateRaw
  #disposed = false
  #error: Error | undefined
  #wake: (() => void) | undefined
  #received = 0
  #finalBlocks = 0

  /** @param history - what earlier messages left, where the context is taken over (RFC 7692 section 7.1.1) */
  constructor(history: DeflateHistory | undefined) {
    this.#history = history
    if (history !== undefined) this.#window.append(history.bytes)
    this.#zlib = this.#open()
  }

  async *decode(piece: Uint8Array, last: boolean): AsyncGenerator<Uint8Array, void> {
    this.#received += piece.length
    // A flush behind a flush gives nothing: so some peers write an empty message.
    if (last && this.#received === 0) return this.dispose()
    let input: Uint8Array = last ? Buffer.concat([piece, TAIL]) : piece
    while (input.length > 0) {
      const before = this.#zlib.bytesWritten
      yield* this.#inflate(input)
      const taken = this.#zlib.bytesWritten - before
      if (this.#disposed) return
      // What zlib leaves untaken lies behind a final block. Some end the message with that, and what they took away with it.
      input = input.subarray(taken)
      if (last && (input.length === UNTAKEN || input.length === TAIL.length)) return this.dispose()
      if (input.length > 0) this.#reopen()
    }
    if (last) throw new Error('the message ends inside a block')
  }

  dispose(): void {
    this.#disposed = true
    this.#zlib.close()
    this.#wake?.()
  }

  async *#inflate(input: Uint8Array): AsyncGenerator<Uint8Array, void> {
    const zlib = this.#zlib
    let written = false
    zlib.write(input, () => {
      written = true
      this.#wake?.()
    })
    for (;;) {
      if (this.#disposed) return
      const output = zlib.read() as Buffer | null
      if (this.#error !== undefined) throw this.#error
      if (output !== null) {
        this.#window.append(output)
        this.#history?.append(output)
        yield output
      } else if (written) {
        return
      } else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve
        })
      }
    }
  }

  /** A final block ends the work of zlib, but not the message. */
  #reopen(): void {
    if (++this.#finalBlocks > FREE_FINAL_BLOCKS + this.#received / BYTES_PER_FINAL_BLOCK)
      throw new Error('too many final blocks')
    this.#zlib.close()
    this.#zlib = this.#open()
  }

  #open(): InflateRaw {
    const { bytes } = this.#window
    // zlib takes a dictionary of no bytes for a mistake.
    const zlib = createInflateRaw({
      chunkSize: OUTPUT_SIZE,
      ...(bytes.length === 0 ? {} : { dictionary: Buffer.from(bytes) }),
    })
    const wake = (): void => this.#wake?.()
    zlib.on('readable', wake)
    zlib.on('error', (error: Error) => {
      if (zlib !== this.#zlib) return
      this.#error = error
      wake()
    })
    return zlib
  }
}
