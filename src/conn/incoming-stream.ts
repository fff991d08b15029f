import type { StreamDecoder } from '../protocol/extension.ts'
import { type Fault, payloadFault, sizeFault } from '../protocol/fault.ts'
import type { Limits } from '../protocol/limits.ts'
import type { MessageType } from '../session/message.ts'
import { Utf8Validator } from '../wire/utf8.ts'
import { ChunkList } from './chunk-list.ts'
import { ChunkQueue } from './chunk-queue.ts'
import { MessageStream } from './message-stream.ts'
import { tellListener } from './tell-listener.ts'

/** Whom a stream of one message tells. */
export interface StreamOwner {
  /** Whether there is room may have changed. */
  onStreamFlow(): void
  /** What came cannot be decoded, or is too long. */
  onStreamFault(fault: Fault): void
}

const EMPTY: Buffer = Buffer.alloc(0)

/**
 * The receiving end of one message that is read while it comes. Where extensions have encoded it, it is decoded and
 * checked here, no faster than it is read.
 */
export class IncomingStream {
  readonly reader: MessageStream
  readonly #owner: StreamOwner
  readonly #type: MessageType
  readonly #limits: Limits
  readonly #chunks: ChunkQueue
  readonly #decoder: StreamDecoder | undefined
  /** What has come and is not decoded yet. */
  readonly #encoded = new ChunkList()
  #decoding = false
  readonly #utf8 = new Utf8Validator()
  /** Bytes that have been decoded. */
  #length = 0
  /** All of the message has come. */
  #complete = false
  /** Nothing more will be delivered. */
  #stopped = false
  /** How the connection ended while this was being decoded. */
  #closed: { readonly error: unknown } | undefined
  #wake: (() => void) | undefined

  constructor(owner: StreamOwner, type: MessageType, decoder: StreamDecoder | undefined, limits: Limits) {
    this.#owner = owner
    this.#type = type
    this.#decoder = decoder
    this.#limits = limits
    this.#chunks = new ChunkQueue(() => {
      this.#wake?.()
      owner.onStreamFlow()
    })
    this.reader = new MessageStream(type, this.#chunks, limits.maxMessageSize)
  }

  /** Whether nothing more should come for now; also while the next message needs to know how this one ends. */
  get blocked(): boolean {
    if (this.#stopped) return false
    const { maxQueuedBytes } = this.#limits
    return this.#full || this.#encoded.bytes >= maxQueuedBytes || this.undecoded
  }

  /** Whether all of it has come, but not been decoded: an encoded message behind it may refer to the rest. */
  get undecoded(): boolean {
    return this.#complete && this.#decoding && !this.#stopped
  }

  piece(bytes: Buffer, start: number, end: number): void {
    if (this.#stopped) return
    if (this.#decoder === undefined) {
      this.#chunks.push(bytes, start, end)
    } else {
      this.#encoded.push(bytes, start, end)
      this.#decodeMore(this.#decoder)
    }
    this.#owner.onStreamFlow()
  }

  /** All of the message has come. */
  end(): void {
    if (this.#stopped) return
    this.#complete = true
    if (this.#decoder === undefined) this.#finish()
    else this.#decodeMore(this.#decoder)
    this.#owner.onStreamFlow()
  }

  /** The connection has ended: what has come can still be read, as far as it can be decoded. */
  close(error: unknown): void {
    this.#closed = { error }
    if (this.#stopped || !(this.#decoding || this.#complete)) this.#failClosed(error)
  }

  get #full(): boolean {
    return this.#chunks.bytes >= this.#limits.maxQueuedBytes
  }

  #finish(): void {
    this.#stop()
    this.#chunks.end()
  }

  #stop(): void {
    // The connection ends behind the message: that disposes of nothing again.
    const decoder = this.#stopped ? undefined : this.#decoder
    this.#stopped = true
    // An extension may be the application's: the reader and the connection have to hear of the end all the same.
    if (decoder !== undefined) tellListener('dispose of an extension', () => decoder.dispose())
    this.#wake?.()
  }

  #decodeMore(decoder: StreamDecoder): void {
    if (this.#decoding || this.#stopped) return
    this.#decoding = true
    this.#decode(decoder).catch((cause) => {
      this.#fail({ ...payloadFault('ERR_WS_EXTENSION_DATA', 'data that cannot be decoded'), cause })
    })
  }

  async #decode(decoder: StreamDecoder): Promise<void> {
    while (!this.#stopped) {
      const piece = this.#encoded.shift()
      if (piece === undefined && !this.#complete) break
      const last = this.#complete && this.#encoded.bytes === 0
      for await (const plain of decoder.decode(piece ?? EMPTY, last)) {
        if (this.#stopped) return
        const fault = this.#check(plain)
        if (fault !== undefined) return this.#fail(fault)
        this.#chunks.push(Buffer.from(plain.buffer, plain.byteOffset, plain.length), 0, plain.length)
        while (this.#full && !this.#stopped) await this.#room()
        // What follows on the connection may refer to what is decoded here; but nothing does now.
        if (this.#closed !== undefined && this.#chunks.cancelled) return this.#failClosed(this.#closed.error)
      }
      if (!last || this.#stopped) continue
      if (this.#type === 'text' && !this.#utf8.complete) return this.#fail(invalidUtf8())
      this.#finish()
    }
    this.#decoding = false
    if (this.#closed !== undefined && !this.#stopped) this.#failClosed(this.#closed.error)
    this.#owner.onStreamFlow()
  }

  /** The rest of the message will not come. */
  #failClosed(error: unknown): void {
    this.#stop()
    this.#chunks.fail(error)
  }

  #room(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve
    })
  }

  #check(plain: Uint8Array): Fault | undefined {
    this.#length += plain.length
    const max = Math.max(this.#limits.maxStreamSize, this.#limits.maxMessageSize)
    if (this.#length > max) return sizeFault('maxStreamSize', this.#length, max)
    return this.#type === 'text' && !this.#utf8.push(plain, 0, plain.length) ? invalidUtf8() : undefined
  }

  #fail(fault: Fault): void {
    if (this.#stopped) return
    this.#stop()
    if (this.#closed === undefined) this.#owner.onStreamFault(fault)
    else this.#chunks.fail(this.#closed.error)
  }
}

function invalidUtf8(): Fault {
  return payloadFault('ERR_WS_INVALID_UTF8', 'text is not UTF-8')
}
