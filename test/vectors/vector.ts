import { type FrameSpec, frame, hex } from '../frames.ts'
import type { DecoderLimits, Role } from '../reference.ts'

/** A frame as a vector names it: masked as the sender's role demands, or just not so. */
export interface VectorFrame extends Omit<FrameSpec, 'mask'> {
  /** Masked by a server, unmasked by a client. */
  readonly wrongMask?: boolean
}

/** What a vector expects, in order and without anything left over. */
export type Expected =
  | readonly ['text' | 'binary' | 'ping' | 'pong', string | Uint8Array]
  | readonly ['close', number, string]
  | readonly ['fault', string]

/** One protocol case: what is sent and what it means. */
export interface Vector {
  readonly name: string
  /** Frames, or bytes as they are. */
  readonly parts: readonly (VectorFrame | Uint8Array)[]
  readonly expect: readonly Expected[]
  /** Where the defaults (1 MiB each) won't do. */
  readonly limits?: Partial<DecoderLimits>
  /** The receiver's role; both by default. */
  readonly roles?: readonly Role[]
}

/** Vectors on one subject. */
export interface VectorGroup {
  readonly name: string
  readonly vectors: readonly Vector[]
}

/** Masking keys that frames take turns with. */
export const keys: readonly Buffer[] = [
  '37fa213d',
  '00000000',
  'ffffffff',
  '01020408',
  '80000000',
  '000000a5',
  'fefdfcfb',
].map(hex)

/** A vector's bytes as they reach a receiver of the given role. */
export function streamOf(vector: Pick<Vector, 'parts'>, receiver: Role): Buffer {
  const pieces = vector.parts.map((part, i) => {
    if (part instanceof Uint8Array) return part
    const { wrongMask = false, ...spec } = part
    const key = keys[i % keys.length]
    return frame((receiver === 'server') === wrongMask || key === undefined ? spec : { ...spec, mask: key })
  })
  return Buffer.concat(pieces)
}

type Options = Omit<VectorFrame, 'opcode' | 'payload'>
type Payload = string | Uint8Array

export const text = (payload: Payload, options: Options = {}): VectorFrame => ({
  opcode: 1,
  payload,
  ...options,
})
export const binary = (payload: Payload, options: Options = {}): VectorFrame => ({
  opcode: 2,
  payload,
  ...options,
})
export const more = (payload: Payload, options: Options = {}): VectorFrame => ({
  opcode: 0,
  payload,
  fin: false,
  ...options,
})
export const last = (payload: Payload, options: Options = {}): VectorFrame => ({
  opcode: 0,
  payload,
  ...options,
})
export const ping = (payload: Payload = '', options: Options = {}): VectorFrame => ({
  opcode: 9,
  payload,
  ...options,
})
export const pong = (payload: Payload = '', options: Options = {}): VectorFrame => ({
  opcode: 10,
  payload,
  ...options,
})
export const close = (code?: number, reason: Payload = '', options: Options = {}): VectorFrame => {
  const head = code === undefined ? [] : [code >> 8, code & 0xff]
  return { opcode: 8, payload: Buffer.concat([Buffer.from(head), Buffer.from(reason)]), ...options }
}
/** A first fragment. */
export const begun = { fin: false } as const

/** Bytes that are neither ASCII nor UTF-8, nor the same at any two places near each other. */
export function noise(length: number): Buffer {
  return Buffer.from(Array.from({ length }, (_, i) => (i * 151 + (i >> 8) * 7 + 0x80) & 0xff))
}

/** A case in one call. */
export function vector(
  name: string,
  parts: Vector['parts'],
  expect: Vector['expect'],
  rest: Pick<Vector, 'limits' | 'roles'> = {},
): Vector {
  return { name, parts, expect, ...rest }
}
