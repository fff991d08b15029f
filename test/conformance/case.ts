// What a case of the catalogue is, and the words to write one with. Nothing here knows the engine.

import type { CompressionOptions } from '../../src/protocol.ts'
import { type Fill, type FillKind, type Payload, sizeOf } from './payload.ts'

/** The role of the endpoint that is tested; the peer, which is ours, plays the other. */
export type Role = 'server' | 'client'

/** Both roles, in the order of the tables. */
export const roles: readonly Role[] = ['server', 'client']

/** One frame that the peer sends, right or wrong, or a message that is cut into several. */
export interface FramePart {
  readonly opcode: number
  /** Set by default. */
  readonly fin?: boolean
  /** RSV1-3 as the number 0-7, RSV1 being 4. */
  readonly rsv?: number
  readonly payload?: Payload
  /** The length to declare where it is to differ from the payload's. */
  readonly length?: number | bigint
  /** How many bits the length is written in; as few as possible by default. */
  readonly form?: 7 | 16 | 64
  /** Masked where it must not be, or not where it must. */
  readonly wrongMask?: boolean
  /** A whole message in frames of so many bytes of payload, `fin` on the last. */
  readonly pieces?: number
  /** The message is deflated under what was agreed on, before it is cut. */
  readonly deflated?: boolean
}

/** A frame, or bytes as they are. */
export type Part = FramePart | Uint8Array

/** What the application at the endpoint has to hear. */
export type Heard = readonly [kind: 'text' | 'binary' | 'ping' | 'pong', payload: Payload]

/** What the application at the endpoint does of its own accord. */
export type Action =
  | { readonly send: 'text' | 'binary'; readonly payload: Payload }
  | { readonly ping: Payload }
  | { readonly close: number; readonly reason: string }

/** One turn of a case: the peer sends and the endpoint hears, or the endpoint acts. The next begins when that is done. */
export type Step =
  | {
      readonly peer: readonly Part[]
      readonly hears: readonly Heard[]
      /** The size of the writes, where nothing else chops them. */
      readonly writes?: number
    }
  | { readonly endpoint: Action }

/** The byte that decides: the first so many of a frame's header, or of its payload, have come. */
export interface At {
  /** Counts the frames of the whole case from 0. */
  readonly frame: number
  readonly header?: number
  readonly payload?: number | 'end'
}

/** How a case ends. There is no third way, and none is lenient. */
export type End =
  | {
      readonly kind: 'closed'
      /** Who sent the first Close frame. */
      readonly by: 'peer' | 'endpoint'
      /** What that frame said; 1005 without a code. */
      readonly code: number
      readonly reason: string
    }
  | {
      readonly kind: 'refused'
      /** The error that the application at the endpoint gets. */
      readonly error: string
      /** The code of the Close frame that the peer gets. */
      readonly code: number
      readonly at: At
    }
  | {
      readonly kind: 'no connection'
      /** The status that a server answers with. */
      readonly status?: number
      /** The error that a client fails with. */
      readonly error?: string
    }

/** The opening handshake, where compression is spoken of. */
export interface Handshake {
  /** The option of that name at the endpoint. */
  readonly compression: boolean | CompressionOptions
  /** With a server: the header that the peer sends, and the one that it must be answered with. `''` is none. */
  readonly server?: { readonly offer: string; readonly answer: string }
  /** With a client: the header that it must send, and the one that the peer answers with. */
  readonly client?: { readonly offer: string; readonly answer: string }
}

/** Limits of the endpoint that are not the defaults. */
export interface RaisedLimits {
  readonly maxMessageSize?: number
  readonly fragmentSize?: number
  readonly maxSendBuffer?: number
}

/** One case of the catalogue. */
export interface Case {
  /** Such as `framing.text.126`. */
  readonly id: string
  /** What is sent and what has to come of it, in a sentence. */
  readonly about: string
  /** The number of the Autobahn group, or of its part, that looks at the same rule. */
  readonly autobahn: string
  /** The roles in which the endpoint is tested; both by default. */
  readonly roles?: readonly Role[]
  readonly limits?: RaisedLimits
  readonly handshake?: Handshake
  /** Whether the endpoint must have deflated some message, or must not have deflated any. */
  readonly deflates?: boolean
  readonly steps: readonly Step[]
  readonly end: End
}

/** Cases on one subject. */
export interface Group {
  /** The beginning of its cases' ids. */
  readonly name: string
  readonly title: string
  readonly about: string
  /** The group of the Autobahn suite whose ground it covers. */
  readonly autobahn: string
  readonly cases: readonly Case[]
}

type FrameOptions = Omit<FramePart, 'opcode' | 'payload'>

export const text = (payload: Payload, options: FrameOptions = {}): FramePart => ({
  opcode: 1,
  payload,
  ...options,
})
export const binary = (payload: Payload, options: FrameOptions = {}): FramePart => ({
  opcode: 2,
  payload,
  ...options,
})
export const more = (payload: Payload, options: FrameOptions = {}): FramePart => ({
  opcode: 0,
  fin: false,
  payload,
  ...options,
})
export const last = (payload: Payload, options: FrameOptions = {}): FramePart => ({
  opcode: 0,
  payload,
  ...options,
})
export const ping = (payload: Payload = '', options: FrameOptions = {}): FramePart => ({
  opcode: 9,
  payload,
  ...options,
})
export const pong = (payload: Payload = '', options: FrameOptions = {}): FramePart => ({
  opcode: 10,
  payload,
  ...options,
})
/** A Close frame; without a code it is empty. */
export function close(
  code?: number,
  reason: string | Uint8Array = '',
  options: FrameOptions = {},
): FramePart {
  const head = code === undefined ? [] : [code >> 8, code & 0xff]
  return { opcode: 8, payload: Buffer.concat([Buffer.from(head), Buffer.from(reason)]), ...options }
}
/** The first fragment of a message. */
export const begun = { fin: false } as const

const fills = new Map<string, Fill>()

/** Bytes that repeat nothing, or text, of a size. The same for the same arguments: it is made, and digested, once. */
export function fill(kind: FillKind, size: number, seed = 1): Fill {
  const key = `${kind} ${size} ${seed}`
  const known = fills.get(key)
  if (known !== undefined) return known
  const made: Fill = { kind, size, seed }
  fills.set(key, made)
  return made
}

/** Bytes of hexadecimal digits; white space is for the reader. */
export function hex(digits: string): Buffer {
  return Buffer.from(digits.replace(/\s+/g, ''), 'hex')
}

/** The peer closes in order with 1000: by that a case shows that the connection is still whole. */
export const closedByPeer: End = { kind: 'closed', by: 'peer', code: 1000, reason: '' }

type Rest = Pick<Case, 'roles' | 'limits' | 'handshake' | 'deflates'> & { readonly writes?: number }

/** All that is sent is heard, and the connection is still good for an orderly end. */
export function passes(
  id: string,
  autobahn: string,
  about: string,
  peer: readonly Part[],
  hears: readonly Heard[],
  { writes, ...rest }: Rest = {},
): Case {
  const rows = rowsOf(peer, hears)
  const steps = rows.map(
    (row, i): Step => ({
      peer: i === rows.length - 1 ? [...row.peer, close(1000)] : row.peer,
      hears: row.hears,
      ...(writes === undefined ? {} : { writes }),
    }),
  )
  return { id, autobahn, about, steps, end: closedByPeer, ...rest }
}

/** Beyond so many bytes a row of messages goes on when its echo has come: an echo cannot hold its peer back. */
const ROW = 1024 * 1024

/** A long row of messages in parts, each a step of its own. */
function rowsOf(peer: readonly Part[], hears: readonly Heard[]): { peer: Part[]; hears: Heard[] }[] {
  if (peer.length < 100 || peer.length !== hears.length) return [{ peer: [...peer], hears: [...hears] }]
  const rows: { peer: Part[]; hears: Heard[] }[] = []
  let size = 0
  for (const [i, part] of peer.entries()) {
    const heard = hears[i] as Heard
    if (rows.length === 0 || size + sizeOf(heard[1]) > ROW) {
      rows.push({ peer: [], hears: [] })
      size = 0
    }
    size += sizeOf(heard[1])
    rows.at(-1)?.peer.push(part)
    rows.at(-1)?.hears.push(heard)
  }
  return rows
}

/** What is sent breaks a rule; what stands before that is heard. */
export function refuses(
  id: string,
  autobahn: string,
  about: string,
  peer: readonly Part[],
  hears: readonly Heard[],
  [error, code, at]: readonly [error: string, code: number, at: At],
  { writes, ...rest }: Rest = {},
): Case {
  const step = { peer, hears, ...(writes === undefined ? {} : { writes }) }
  return { id, autobahn, about, steps: [step], end: { kind: 'refused', error, code, at }, ...rest }
}
