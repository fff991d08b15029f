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

/** What was made last: a case is played several times in a row, and its bytes are the same each time. */
let latest: { readonly subject: Case; readonly key: string; readonly stream: PeerStream } | undefined

/** The bytes for an endpoint of a role, not to be changed; `agreement` is what the handshake came to. */
export function peerStream(subject: Case, endpoint: Role, agreement: Agreement | undefined): PeerStream {
  const key = JSON.stringify([endpoint, agreement])
  if (latest?.subject !== subject || latest.key !== key)
    latest = { subject, key, stream: make(subject, endpoint, agreement) }
  return latest.stream
}

function make(subject: Case, endpoint: Role, agreement: Agreement | undefined): PeerStream {
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
    const start = this.size
    const frames = parts.flatMap((part): (Frame | Uint8Array)[] =>
      part instanceof Uint8Array ? [part] : this.#frames(part),
    )
    const total = frames.reduce((sum, one) => sum + (one instanceof Uint8Array ? one.length : sizeOf(one)), 0)
    const bytes = Buffer.allocUnsafe(total)
    for (const one of frames) {
      if (one instanceof Uint8Array) {
        bytes.set(one, this.size - start)
        this.size += one.length
      } else {
        this.#write(one, bytes, start)
      }
    }
    return bytes
  }

  #frames(part: FramePart): Frame[] {
    const plain = bytesOf(part.payload)
    if (part.deflated === true && this.#deflater === undefined)
      throw new Error('deflated, without an agreement')
    const payload = part.deflated === true ? (this.#deflater as PeerDeflater).deflate(plain) : plain
    const rsv = part.rsv ?? (part.deflated === true ? 4 : 0)
    const piece = part.pieces ?? Math.max(1, payload.length)
    const count = Math.max(1, Math.ceil(payload.length / piece))
    const masked = this.#masks !== (part.wrongMask === true)
    return Array.from({ length: count }, (_, i): Frame => {
      const from = i * piece
      const to = Math.min(payload.length, from + piece)
      const length = part.length ?? to - from
      const form = part.form ?? (length <= 125 ? 7 : length <= 0xffff ? 16 : 64)
      const fin = i === count - 1 && (part.fin ?? true)
      const first = (fin ? 0x80 : 0) | ((i === 0 ? rsv : 0) << 4) | (i === 0 ? part.opcode : 0)
      return { first, length, form, masked, payload, from, to }
    })
  }

  #write({ first, length, form, masked, payload, from, to }: Frame, bytes: Buffer, base: number): void {
    const start = this.size - base
    bytes[start] = first
    bytes[start + 1] = (masked ? 0x80 : 0) | (form === 7 ? Number(length) : form === 16 ? 126 : 127)
    if (form === 16) bytes.writeUInt16BE(Number(length), start + 2)
    if (form === 64) bytes.writeBigUInt64BE(BigInt(length), start + 2)
    let at = start + 2 + (form === 7 ? 0 : form / 8)
    const key = keys[this.places.length % keys.length] as Buffer
    if (masked) at += key.copy(bytes, at)
    const end = at + to - from
    if (masked) {
      for (let i = at; i < end; i++)
        bytes[i] = (payload[from + i - at] as number) ^ (key[(i - at) & 3] as number)
    } else {
      bytes.set(from === 0 && to === payload.length ? payload : payload.subarray(from, to), at)
    }
    this.places.push({ start: base + start, payload: base + at, end: base + end })
    this.size = base + end
  }
}

/** A frame that is about to be written. */
interface Frame {
  readonly first: number
  readonly length: number | bigint
  readonly form: 7 | 16 | 64
  readonly masked: boolean
  readonly payload: Uint8Array
  readonly from: number
  readonly to: number
}

function sizeOf({ form, masked, from, to }: Frame): number {
  return 2 + (form === 7 ? 0 : form / 8) + (masked ? 4 : 0) + to - from
}
