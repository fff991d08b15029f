// Rows of compressed messages: by size, and in frames of a size.

import { binary, type Case, fill, type Handshake, passes, text } from '../case.ts'
import { type FillKind, inWords } from '../payload.ts'

const KiB = 1024

/** What the messages of a row are. */
export interface RowKind {
  readonly kind: FillKind
  readonly type: 'text' | 'binary'
  readonly about: string
}

/** The sizes of messages, and those of messages in frames: `[of the message, deflated or not; of the frames]`. */
export const rowSizes: readonly (readonly [size: number, pieces?: number])[] = [
  ...[16, 64, 256, KiB, 4 * KiB, 8 * KiB, 16 * KiB, 32 * KiB, 64 * KiB, 128 * KiB].map(
    (size) => [size] as const,
  ),
  ...[8 * KiB, 16 * KiB, 32 * KiB, 64 * KiB, 128 * KiB].map((size) => [size, 256] as const),
  ...[KiB, 4 * KiB, 32 * KiB].map((pieces) => [128 * KiB, pieces] as const),
]

/** As it stands in an id. */
const nameOf = (size: number): string =>
  inWords(size)
    .replace(/ bytes?/, '')
    .replace(' ', '')

/** The part of an id that names the size. */
export function nameOfRow([size, pieces]: readonly [size: number, pieces?: number]): string {
  return pieces === undefined ? nameOf(size) : `${nameOf(size)}-in-${nameOf(pieces)}`
}

/** A row: a thousand messages, or fewer where they would come to more than `most` bytes. */
export function row(
  id: string,
  autobahn: string,
  { kind, type, about }: RowKind,
  [size, pieces]: readonly [size: number, pieces?: number],
  most: number,
  how: string,
  handshake: Handshake,
  rest: Pick<Case, 'roles' | 'deflates'> = {},
): Case {
  const count = Math.min(1000, Math.floor(most / size))
  const payloads = Array.from({ length: count }, (_, i) => fill(kind, size, i % 16))
  const frames = pieces === undefined ? '' : `, in frames of ${inWords(pieces)}`
  const options = { deflated: true, ...(pieces === undefined ? {} : { pieces }) }
  return passes(
    id,
    autobahn,
    `${count} messages of ${inWords(size)} of ${about}${frames}, ${how}.`,
    payloads.map((payload) => (type === 'text' ? text : binary)(payload, options)),
    payloads.map((payload) => [type, payload] as const),
    { handshake, ...rest },
  )
}
