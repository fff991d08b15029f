import type { EncodingStats } from '../session/close-info.ts'
import type { Prepared, PreparedFrame } from '../session/prepared.ts'
import { isStrayPromise } from '../session/stray-promise.ts'
import { FIN, RSV } from '../wire/frame-header.ts'
import { Opcode } from '../wire/opcode.ts'
import type { Extension, StreamDecoder } from './extension.ts'
import { checkBytes, wrongAnswer } from './extension-answer.ts'
import { type Fault, payloadFault, sizeFault } from './fault.ts'
import { buildFrame } from './frame-encoder.ts'
import { encodedSize } from './limits.ts'

/** A payload and the first byte of the frame that it goes into: FIN, the reserved bits and the opcode. */
export interface EncodedMessage {
  /** The first header byte: FIN, the reserved bits and the opcode. */
  readonly first: number
  /** The payload as it is sent, before masking. */
  readonly payload: Uint8Array
}

/** What a prepared message is encoded by: empty for nothing, `undefined` where each connection encodes anew. */
type Variant = string | undefined

/** Encodes one message whose pieces are sent as they come. */
export interface PieceEncoder {
  /** The reserved bits of the message's first frame. */
  readonly rsv: number
  /** Encodes the next piece; all of them in order are the encoded message. */
  encode(piece: Uint8Array): Uint8Array
}

/** The negotiated extensions of one connection, in their order, at work on its messages. */
export class ExtensionPipeline {
  readonly #extensions: readonly Extension[]
  /** The reserved bits that they own. */
  readonly rsv: number
  /** Whether those that do no more than save bytes are applied to what is sent from now on. */
  compress = true
  /** What prepared messages are encoded by, with and without these. */
  #variant: Variant
  readonly #plainVariant: Variant
  /** Bytes of the messages that were encoded, before and after, as they are now. */
  readonly counters: { -readonly [Name in keyof EncodingStats]: number } = {
    plainSent: 0,
    encodedSent: 0,
    plainReceived: 0,
    encodedReceived: 0,
  }

  constructor(extensions: readonly Extension[]) {
    this.#extensions = extensions
    this.rsv = extensions.reduce((bits, extension) => bits | extension.rsv, 0)
    this.#variant = variantOf(extensions)
    this.#plainVariant = variantOf(extensions.filter(({ compresses }) => compresses !== true))
  }

  /** Applies the extensions, the first one first. */
  encode(opcode: number, plain: Uint8Array): EncodedMessage {
    const encoded = this.#encode(opcode, plain)
    this.#countSent(encoded, plain.length)
    return encoded
  }

  /** What a prepared message is sent as: encoded once for all connections of like settings. */
  prepared(message: Prepared): EncodedMessage & { readonly frame: Uint8Array | undefined } {
    const opcode = message.type === 'text' ? Opcode.Text : Opcode.Binary
    const variant = this.compress ? this.#variant : this.#plainVariant
    if (variant === undefined) return { ...this.encode(opcode, message.payload), frame: undefined }
    const { frame, payload } =
      variant === '' ? message : message.encodedBy(variant, () => this.#prepare(opcode, message.payload))
    const encoded = { first: frame[0] as number, payload, frame }
    this.#countSent(encoded, message.byteLength)
    return encoded
  }

  /** For a message that is sent piece by piece. Extensions that can only encode it whole are left out. */
  pieceEncoder(): PieceEncoder {
    const encoders = this.#extensions
      .filter(({ compresses }) => this.compress || compresses !== true)
      .map((extension) => ({ extension, rsv: extension.rsv, encode: pieceEncoderOf(extension) }))
      .filter(({ encode }) => encode !== undefined)
    const { counters } = this
    return {
      rsv: encoders.reduce((bits, { rsv }) => bits | rsv, 0),
      encode(piece) {
        if (encoders.length === 0) return piece
        let encoded = piece
        for (const { encode, extension } of encoders)
          encoded = checkBytes('pieceEncoder', extension, encode?.(encoded))
        counters.plainSent += piece.length
        counters.encodedSent += encoded.length
        return encoded
      },
    }
  }

  /** Undoes the extensions whose bits are set, the last one first. */
  decode(rsv: number, encoded: Uint8Array, maxMessageSize: number): Uint8Array | Fault {
    let payload = encoded
    let bits = rsv
    for (let i = this.#extensions.length - 1; i >= 0; i--) {
      const extension = this.#extensions[i] as Extension
      if ((bits & extension.rsv) === 0) continue
      bits &= ~extension.rsv
      // What another extension has to decode in turn may be as long as it would be in a frame.
      const maxSize = bits === 0 ? maxMessageSize : encodedSize(maxMessageSize)
      const decoded = decodeBy(extension, payload, maxSize)
      if (!(decoded instanceof Uint8Array)) return decoded
      payload = decoded
    }
    this.counters.encodedReceived += encoded.length
    this.counters.plainReceived += payload.length
    return payload
  }

  /** For a message that is read piece by piece; `undefined` when it can only be decoded whole. */
  decoder(rsv: number): StreamDecoder | undefined {
    const [extension, ...others] = this.#extensions.filter((other) => (other.rsv & rsv) !== 0)
    if (extension === undefined || others.length > 0) return undefined
    const decoder = decoderOf(extension)
    if (decoder === undefined) return undefined
    const { counters } = this
    return {
      async *decode(piece, last) {
        counters.encodedReceived += piece.length
        const pieces: unknown = decoder.decode(piece, last)
        if (isStrayPromise(pieces)) throw wrongAnswer(`decode of ${extension.name}`, 'an iterable', pieces)
        for await (const answer of pieces as AsyncIterable<unknown>) {
          const plain = checkBytes('decode', extension, answer)
          counters.plainReceived += plain.length
          yield plain
        }
      },
      dispose: () => decoder.dispose(),
    }
  }

  /** Sets the effort of those that compress. */
  set level(level: number) {
    for (const extension of this.#extensions) {
      const answer: unknown = extension.setLevel?.(level)
      if (isStrayPromise(answer)) throw wrongAnswer(`setLevel of ${extension.name}`, 'nothing', answer)
    }
    this.#variant = variantOf(this.#extensions)
  }

  /**
   * The peer has been silent for a while: what can be made again is released.
   *
   * @returns what the extensions answered, if that has to be waited for
   * @throws what the first of the extensions throws that fails, once all have been called
   */
  idle(): Promise<unknown> | undefined {
    return forAll(this.#extensions, (extension) => extension.idle?.())
  }

  /**
   * Releases what the extensions hold.
   *
   * @returns as {@link idle}
   * @throws as {@link idle}
   */
  dispose(): Promise<unknown> | undefined {
    return forAll(this.#extensions, (extension) => extension.dispose?.())
  }

  #encode(opcode: number, plain: Uint8Array): EncodedMessage {
    let first = FIN | opcode
    let payload = plain
    for (const extension of this.#extensions) {
      const skipped = !this.compress && extension.compresses === true
      const transformed = skipped ? undefined : extension.encode(payload)
      if (transformed === undefined) continue
      payload = checkBytes('encode', extension, transformed)
      first |= extension.rsv
    }
    return { first, payload }
  }

  #prepare(opcode: number, plain: Uint8Array): PreparedFrame {
    const { first, payload } = this.#encode(opcode, plain)
    return buildFrame(first, payload)
  }

  #countSent({ first, payload }: EncodedMessage, plainLength: number): void {
    if ((first & RSV) === 0) return
    this.counters.plainSent += plainLength
    this.counters.encodedSent += payload.length
  }
}

function forAll(
  extensions: readonly Extension[],
  call: (extension: Extension) => unknown,
): Promise<unknown> | undefined {
  let failure: { readonly thrown: unknown } | undefined
  const answers: unknown[] = []
  for (const extension of extensions) {
    try {
      const answer = call(extension)
      if (answer !== undefined) answers.push(answer)
    } catch (thrown) {
      failure ??= { thrown }
    }
  }
  const all = answers.length === 0 ? undefined : Promise.all(answers)
  if (failure === undefined) return all
  // One is told: the others' must not end the process.
  all?.catch(() => {})
  throw failure.thrown
}

function variantOf(extensions: readonly Extension[]): Variant {
  if (extensions.some(({ variant }) => variant === undefined)) return undefined
  return extensions.map(({ name, variant }) => `${name} ${variant}`).join()
}

/** What throws here, or gives no decoder, can only be asked to decode the message whole. */
function decoderOf(extension: Extension): StreamDecoder | undefined {
  try {
    const decoder: unknown = extension.decoder?.()
    const usable = typeof decoder === 'object' && decoder !== null && !isStrayPromise(decoder)
    return usable ? (decoder as StreamDecoder) : undefined
  } catch {
    return undefined
  }
}

/** Extensions may be the application's: that one throws is no reason for the process to end. */
function decodeBy(extension: Extension, payload: Uint8Array, maxSize: number): Uint8Array | Fault {
  try {
    const decoded = extension.decode(payload, maxSize)
    if (decoded === 'corrupt') return undecodable(extension)
    if (decoded === 'too large') return sizeFault('maxMessageSize', maxSize + 1, maxSize)
    const bytes = checkBytes('decode', extension, decoded)
    // The limit holds whatever an extension does.
    return bytes.length > maxSize ? sizeFault('maxMessageSize', maxSize + 1, maxSize) : bytes
  } catch (cause) {
    return { ...undecodable(extension), cause }
  }
}

function undecodable({ name }: Extension): Fault {
  return payloadFault('ERR_WS_EXTENSION_DATA', `data that ${name} cannot decode`)
}

function pieceEncoderOf(extension: Extension): ReturnType<NonNullable<Extension['pieceEncoder']>> {
  const encode: unknown = extension.pieceEncoder?.()
  if (encode === undefined || typeof encode === 'function')
    return encode as PieceEncoder['encode'] | undefined
  throw wrongAnswer(`pieceEncoder of ${extension.name}`, 'a function', encode)
}
