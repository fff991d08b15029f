// The ways in which a case is played: over what, and in what pieces its bytes come.

import { type Case, type Role, roles } from './case.ts'
import { isFor } from './expectation.ts'
import { randomNumbers, sizeOf } from './payload.ts'

/** Over what. */
export type Transport = 'engine' | 'sockets'

/** Both, in the order of the tables. */
export const transports: readonly Transport[] = ['engine', 'sockets']

/** In what pieces. */
export type Chopping =
  /** As much as there is. */
  | 'whole'
  /** Byte by byte. */
  | 'bytes'
  /** At random places, the same each time. */
  | 'cuts'
  /** Of a case that is refused, no byte more than decides; in the engine, none is decisive before. */
  | 'edge'

/** All, in the order of the tables. */
export const choppings: readonly Chopping[] = ['whole', 'bytes', 'cuts', 'edge']

/** One way to play a case. */
export interface Way {
  readonly role: Role
  readonly transport: Transport
  readonly chopping: Chopping
}

/** Streams of more bytes are not chopped into single ones: that is a million calls, or a million packets. */
const LONGEST_BYTEWISE: { readonly [T in Transport]: number } = { engine: 128 * 1024, sockets: 2048 }

/** Longer rows of messages are played as they are. */
const LONGEST_CUT = 17 * 1024 * 1024

/** The same for rows of compressed messages, which take longer and are many. */
const LONGEST_CUT_ROW = 256 * 1024

function longestCut({ handshake, steps }: Case): number {
  const rows = steps.some((step) => 'hears' in step && step.hears.length > 8)
  return handshake !== undefined && rows ? LONGEST_CUT_ROW : LONGEST_CUT
}

/** All ways that a case is to be played in. */
export function waysOf(subject: Case): Way[] {
  const ways: Way[] = []
  for (const role of roles) {
    if (!isFor(subject, role)) continue
    for (const transport of transports) {
      for (const chopping of choppings)
        if (applies(subject, transport, chopping)) ways.push({ role, transport, chopping })
    }
  }
  return ways
}

function applies(subject: Case, transport: Transport, chopping: Chopping): boolean {
  if (chopping === 'whole') return true
  if (subject.end.kind === 'no connection') return false
  if (chopping === 'edge') return subject.end.kind === 'refused'
  return roughSize(subject) <= (chopping === 'cuts' ? longestCut(subject) : LONGEST_BYTEWISE[transport])
}

/** The bytes of the payloads that the peer sends, and some for their headers. */
export function roughSize(subject: Case): number {
  let size = 0
  for (const step of subject.steps) {
    if ('endpoint' in step) continue
    for (const part of step.peer) size += part instanceof Uint8Array ? part.length : 8 + sizeOf(part.payload)
  }
  return size
}

/** Cuts bytes; the pieces are copies, since an endpoint unmasks what it gets where it lies. */
export function* chop(
  bytes: Uint8Array,
  chopping: Chopping,
  seed: number,
  writes?: number,
): Generator<Buffer, void> {
  const next = randomNumbers(seed)
  const longest = Math.max(3, bytes.length / 6)
  const size = (): number => {
    if (chopping === 'bytes') return 1
    if (chopping !== 'cuts') return writes ?? bytes.length
    // Half of the pieces are tiny, since headers are.
    return 1 + (next() % (next() % 2 === 0 ? 12 : Math.ceil(longest)))
  }
  for (let at = 0; at < bytes.length; ) {
    const end = Math.min(bytes.length, at + Math.max(1, size()))
    yield Buffer.from(bytes.subarray(at, end))
    at = end
  }
}

/** A seed that is the case's own. */
export function seedOf({ id }: Case, role: Role): number {
  let seed = role === 'server' ? 7 : 11
  for (const character of id) seed = (Math.imul(seed, 31) + character.charCodeAt(0)) >>> 0
  return seed
}
