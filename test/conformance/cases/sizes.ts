import type { Heard, Part } from '../case.ts'
import { type At, begun, binary, type Case, fill, type Group, last, passes, refuses, text } from '../case.ts'
import { inWords, type Payload } from '../payload.ts'

const KiB = 1024
const MiB = KiB * KiB

/** `limits.maxMessageSize` where no option says otherwise. */
const DEFAULT_LIMIT = MiB

/** For the cases that are larger. */
const raised = { maxMessageSize: 16 * MiB }

/** As it stands in an id. */
const nameOf = (size: number): string =>
  inWords(size)
    .replace(/ bytes?/, '')
    .replace(' ', '')

interface Sized {
  readonly id: string
  readonly autobahn: string
  readonly about: string
  readonly parts: readonly Part[]
  readonly heard: Heard
  readonly size: number
  /** Where a limit of 1 MiB is passed. */
  readonly at: At
  readonly error: 'ERR_WS_FRAME_TOO_LARGE' | 'ERR_WS_MESSAGE_TOO_LARGE'
  readonly writes?: number
}

/** A case; and where its message is above the default limit, the same with the limits as they are. */
function sized({ id, autobahn, about, parts, heard, size, at, error, writes }: Sized): Case[] {
  const rest = writes === undefined ? {} : { writes }
  if (size <= DEFAULT_LIMIT) return [passes(id, autobahn, `${about}.`, parts, [heard], rest)]
  return [
    passes(id, autobahn, `${about}, with a limit of 16 MiB.`, parts, [heard], { ...rest, limits: raised }),
    refuses(
      `${id}.by-default`,
      autobahn,
      `${about}, with the limits as they are: refused by the header that announces too much.`,
      parts,
      [],
      [error, 1009, at],
      rest,
    ),
  ]
}

const make = { text, binary }
const filled = (kind: 'text' | 'binary', size: number): Payload =>
  fill(kind === 'text' ? 'utf8' : 'noise', size, 9)

const whole = (['text', 'binary'] as const).flatMap((kind) =>
  [64 * KiB, 256 * KiB, MiB, MiB + 1, 4 * MiB, 8 * MiB, 16 * MiB].flatMap((size) =>
    sized({
      id: `sizes.${kind}.${nameOf(size)}`,
      autobahn: kind === 'text' ? '9.1' : '9.2',
      about: `A ${kind} message of ${inWords(size)} in one frame`,
      parts: [make[kind](filled(kind, size))],
      heard: [kind, filled(kind, size)],
      size,
      at: { frame: 0, header: 10 },
      error: 'ERR_WS_FRAME_TOO_LARGE',
    }),
  ),
)

/** Where the sum of equal fragments passes the default limit. */
function passed(piece: number): At {
  const header = piece <= 125 ? 2 : piece <= 65_535 ? 4 : 10
  return { frame: Math.floor(DEFAULT_LIMIT / piece), header }
}

const inFragments = (['text', 'binary'] as const).flatMap((kind) =>
  [
    ...[64, 256, KiB, 4 * KiB, 16 * KiB, 64 * KiB, 256 * KiB, MiB, 4 * MiB].map(
      (piece) => [4 * MiB, piece] as const,
    ),
    [16 * MiB, 64] as const,
    [MiB, 64] as const,
  ].flatMap(([size, piece]) =>
    sized({
      id: `sizes.${kind}.${nameOf(size)}-in-${nameOf(piece)}`,
      autobahn: kind === 'text' ? '9.3' : '9.4',
      about: `A ${kind} message of ${inWords(size)} in frames of ${inWords(piece)}`,
      parts: [make[kind](filled(kind, size), { pieces: piece })],
      heard: [kind, filled(kind, size)],
      size,
      at: passed(piece),
      error: piece > DEFAULT_LIMIT ? 'ERR_WS_FRAME_TOO_LARGE' : 'ERR_WS_MESSAGE_TOO_LARGE',
    }),
  ),
)

const inWrites = (['text', 'binary'] as const).flatMap((kind) =>
  [64, 128, 256, 512, KiB, 2 * KiB].flatMap((writes) =>
    sized({
      id: `sizes.${kind}.1MiB-written-in-${nameOf(writes)}`,
      autobahn: kind === 'text' ? '9.5' : '9.6',
      about: `A ${kind} message of 1 MiB in one frame, written in pieces of ${inWords(writes)}`,
      parts: [make[kind](filled(kind, MiB))],
      heard: [kind, filled(kind, MiB)],
      size: MiB,
      at: { frame: 0 },
      error: 'ERR_WS_FRAME_TOO_LARGE',
      writes,
    }),
  ),
)

const many = (['text', 'binary'] as const).flatMap((kind) =>
  [0, 16, 64, 256, KiB, 4 * KiB, 16 * KiB, 64 * KiB].map((size): Case => {
    const messages = Array.from({ length: 1000 }, (_, i) =>
      fill(kind === 'text' ? 'ascii' : 'noise', size, i % 16),
    )
    return passes(
      `sizes.thousand.${kind}.${nameOf(size)}`,
      kind === 'text' ? '9.7' : '9.8',
      `A thousand ${kind} messages of ${inWords(size)} in a row.`,
      messages.map((payload) => make[kind](payload)),
      messages.map((payload) => [kind, payload] as const),
    )
  }),
)

/** The limit itself, from both sides, in one frame and over several. */
const edges: Case[] = [
  passes(
    'sizes.limit.exactly',
    '9',
    'Fragments of 1 MiB in all, then a whole message of 1 MiB: each message has the whole limit.',
    [binary(fill('noise', MiB, 2), { pieces: 1000 }), binary(fill('noise', MiB, 2))],
    [
      ['binary', fill('noise', MiB, 2)],
      ['binary', fill('noise', MiB, 2)],
    ],
  ),
  refuses(
    'sizes.limit.one-more',
    '9',
    'A byte more than 1 MiB, in the last of two fragments.',
    [binary(fill('noise', MiB, 2), begun), last('x')],
    [],
    ['ERR_WS_MESSAGE_TOO_LARGE', 1009, { frame: 1, header: 2 }],
  ),
  ...[2n ** 32n, 2n ** 53n, 2n ** 63n - 1n].map((length) =>
    refuses(
      `sizes.limit.promise-of-${length}`,
      '9',
      `A frame that promises ${length} bytes is refused before one of them has come.`,
      [binary('', { length, form: 64 })],
      [],
      ['ERR_WS_FRAME_TOO_LARGE', 1009, { frame: 0, header: 10 }],
    ),
  ),
  refuses(
    'sizes.limit.control-frames-apart',
    '9',
    'A message above a limit of 10 bytes behind pings that are longer.',
    [{ opcode: 9, payload: fill('noise', 125, 1) }, text('0123456789'), text('0123456789a')],
    [
      ['ping', fill('noise', 125, 1)],
      ['text', '0123456789'],
    ],
    ['ERR_WS_FRAME_TOO_LARGE', 1009, { frame: 2, header: 2 }],
    { limits: { maxMessageSize: 10 } },
  ),
]

export const sizes: Group = {
  name: 'sizes',
  title: 'Sizes and limits',
  about:
    'Messages of up to 16 MiB, in frames and writes of down to 64 bytes, and a thousand in a row. A message above 1 MiB is played twice: with a higher limit it passes, with the defaults it ends in 1009.',
  autobahn: '9',
  cases: [...whole, ...inFragments, ...inWrites, ...many, ...edges],
}
