// The bytes that the peer of a case sends, and where its frames stand in them.

import type { At, Case, FramePart, Part, Role } from './case.ts'
import { bytesOf } from './payload.ts'
import { type Agreement, PeerDeflater } from './peer-deflate.ts'

/** Masking keys that frames take turns with: all kinds of bits, and a key that changes nothing. */
const keys = ['37fa213d', '00000000', 'ffffffff', '01020408', '80000000', '000000a5', 'fefdfcfb'].map((key) =>
  Buffer.from(key, 'hex'),
)

/** Where a frame stands among the bytes of all steps. */
interface Place {
  readonly start: number
  /** Where its payload begins: behind the masking key. */
  readonly payload: number
  readonly end: number
}

/** What a peer sends in one step. */
export interface PeerBytes {
  readonly bytes: Buffer
  readonly writes: number | undefined
}

/** What a peer sends in all. */
export interface PeerStream {
  /** One for each step of the case; `undefined` where the endpoint acts. */
  readonly steps: readonly (PeerBytes | undefined)[]
  /** Bytes in all. */
  readonly size: number
  /** How many bytes decide, where the case is refused. */
  readonly decided: number | undefined
}

/** Makes the bytes for an endpoint of a role; `agreement` is what the handshake came to. */
export function peerStream(subject: Case, endpoint: Role, agreement: Agreement | undefined): PeerStream {
  const writer = new FrameWriter(endpoint, agreement)
  const steps = subject.steps.map((step) =>
    'peer' in step ? { bytes: writer.write(step.peer), writes: step.writes } : undefined,
  )
  const decided = subject.end.kind === 'refused' ? position(writer.places, subject.end.at) : undefined
  return { steps, size: writer.size, decided }
}

function position(places: readonly Place[], { frame, header, payload }: At): number {
  const place = places[frame]
  if (place === undefined) throw new Error(`there is no frame ${frame}`)
  if (header !== undefined) return place.start + header
  return payload === 'end' || payload === undefined ? place.end : place.payload + payload
}

class FrameWriter {
  readonly places: Place[] = []
  size = 0
  readonly #masks: boolean
  readonly #deflater: PeerDeflater | undefined

  constructor(endpoint: Role, agreement: Agreement | undefined) {
    this.#masks = endpoint === 'server'
    const direction = agreement?.[endpoint === 'server' ? 'client' : 'server']
    this.#deflater = direction === undefined ? undefined : new PeerDeflater(direction)
  }

  write(parts: readonly Part[]): Buffer {
    const pieces: Uint8Array[] = []
    for (const part of parts) {
      for (const piece of part instanceof Uint8Array ? [part] : this.#part(part)) {
        pieces.push(piece)
        this.size += piece.length
      }
    }
    return Buffer.concat(pieces)
  }

  *#part(part: FramePart): Generator<Uint8Array, void> {
    const plain = bytesOf(part.payload)
    if (part.deflated === true && this.#deflater === undefined)
      throw new Error('deflated, without an agreement')
    const payload = part.deflated === true ? (this.#deflater as PeerDeflater).deflate(plain) : plain
    const rsv = part.rsv ?? (part.deflated === true ? 4 : 0)
    const piece = part.pieces ?? Math.max(1, payload.length)
    const count = Math.max(1, Math.ceil(payload.length / piece))
    for (let i = 0; i < count; i++) {
      yield this.#frame({
        ...part,
        opcode: i === 0 ? part.opcode : 0,
        rsv: i === 0 ? rsv : 0,
        fin: i === count - 1 && (part.fin ?? true),
        payload: payload.subarray(i * piece, (i + 1) * piece),
      })
    }
  }

  #frame(spec: FramePart & { readonly payload: Uint8Array }): Buffer {
    const { payload } = spec
    const length = BigInt(spec.length ?? payload.length)
    const form = spec.form ?? (length <= 125n ? 7 : length <= 0xffffn ? 16 : 64)
    const masked = this.#masks !== (spec.wrongMask === true)
    const extended = form === 7 ? 0 : form / 8
    const headSize = 2 + extended + (masked ? 4 : 0)
    const bytes = Buffer.allocUnsafe(headSize + payload.length)
    bytes[0] = ((spec.fin ?? true) ? 0x80 : 0) | ((spec.rsv ?? 0) << 4) | spec.opcode
    bytes[1] = (masked ? 0x80 : 0) | (form === 7 ? Number(length) : form === 16 ? 126 : 127)
    if (form === 16) bytes.writeUInt16BE(Number(length), 2)
    if (form === 64) bytes.writeBigUInt64BE(length, 2)
    bytes.set(payload, headSize)
    if (masked) {
      const key = keys[this.places.length % keys.length] as Buffer
      bytes.set(key, 2 + extended)
      for (let i = 0; i < payload.length; i++)
        bytes[headSize + i] = (payload[i] as number) ^ (key[i & 3] as number)
    }
    this.places.push({ start: this.size, payload: this.size + headSize, end: this.size + bytes.length })
    return bytes
  }
}
