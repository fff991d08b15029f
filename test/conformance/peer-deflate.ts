// permessage-deflate as the peer does it: zlib, and the window that was agreed on, kept to the byte.

import { deflateRawSync, inflateRawSync, constants as zlib } from 'node:zlib'

/** What one direction may do. */
export interface Direction {
  readonly takeover: boolean
  readonly windowBits: number
}

/** What was agreed on for both directions. */
export interface Agreement {
  readonly server: Direction
  readonly client: Direction
}

/** Reads a server's answer (RFC 7692 section 7.1); `undefined` without compression. */
export function readAgreement(answer: string): Agreement | undefined {
  if (answer === '') return undefined
  const parameters = new Map(
    answer
      .split(';')
      .slice(1)
      .map((parameter) => {
        const [name = '', value = ''] = parameter.split('=')
        return [name.trim(), value.trim().replaceAll('"', '')] as const
      }),
  )
  const direction = (side: Role): Direction => ({
    takeover: !parameters.has(`${side}_no_context_takeover`),
    windowBits: Number(parameters.get(`${side}_max_window_bits`) ?? 15),
  })
  return { server: direction('server'), client: direction('client') }
}

type Role = 'server' | 'client'

/** The window of 2^n bytes that messages may refer back to. */
class Window {
  readonly #direction: Direction
  #bytes: Buffer = Buffer.alloc(0)

  constructor(direction: Direction) {
    this.#direction = direction
  }

  get dictionary(): { readonly dictionary?: Buffer } {
    return this.#bytes.length === 0 ? {} : { dictionary: this.#bytes }
  }

  add(message: Uint8Array): void {
    if (!this.#direction.takeover) return
    const size = 2 ** this.#direction.windowBits
    if (message.length >= size) this.#bytes = Buffer.from(message.subarray(message.length - size))
    else this.#bytes = Buffer.concat([this.#bytes, message]).subarray(-size)
  }
}

/** Deflates the peer's messages. */
export class PeerDeflater {
  readonly #direction: Direction
  readonly #window: Window

  constructor(direction: Direction) {
    this.#direction = direction
    this.#window = new Window(direction)
  }

  deflate(message: Uint8Array): Buffer {
    // zlib has no window of 256 bytes: then runs of one byte, which reach back by one, are all that is looked for.
    const narrow = this.#direction.windowBits === 8
    const deflated = deflateRawSync(message, {
      ...this.#window.dictionary,
      windowBits: Math.max(9, this.#direction.windowBits),
      level: 1,
      strategy: narrow ? zlib.Z_RLE : zlib.Z_DEFAULT_STRATEGY,
      finishFlush: zlib.Z_SYNC_FLUSH,
    })
    this.#window.add(message)
    return deflated.subarray(0, -4)
  }
}

const TAIL = Buffer.from('0000ffff', 'hex')

/** zlib finds a reference out of its window only where what it refers to is not in the piece of output at hand. */
const SMALL_PIECE = 64

/** Inflates what the endpoint sends, and throws where that refers back farther than was agreed on. */
export class PeerInflater {
  readonly #direction: Direction
  readonly #window: Window

  constructor(direction: Direction) {
    this.#direction = direction
    this.#window = new Window(direction)
  }

  inflate(payload: Uint8Array): Buffer {
    const { windowBits } = this.#direction
    const message = inflateRawSync(Buffer.concat([payload, TAIL]), {
      ...this.#window.dictionary,
      windowBits,
      finishFlush: zlib.Z_SYNC_FLUSH,
      chunkSize: windowBits === 15 ? 128 * 1024 : SMALL_PIECE,
    })
    this.#window.add(message)
    return message
  }
}
