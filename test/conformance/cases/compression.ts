import { deflateRawSync, constants as zlib } from 'node:zlib'
import {
  begun,
  binary,
  type Case,
  close,
  closedByPeer,
  fill,
  type Group,
  type Handshake,
  hex,
  last,
  more,
  type Part,
  passes,
  ping,
  refuses,
  text,
} from '../case.ts'
import { bytesOf, inWords, type Payload } from '../payload.ts'
import { nameOfRow, type RowKind, row, rowSizes } from './rows.ts'

const KiB = 1024

const PLAIN = 'permessage-deflate'
const ASKS = `${PLAIN}; client_max_window_bits`
const ALONE = `${PLAIN}; server_no_context_takeover; client_no_context_takeover`

/** Both sides may refer back to earlier messages. */
const takeover: Handshake = {
  compression: { threshold: 0, sendTakeover: true, receiveTakeover: true },
  server: { offer: ASKS, answer: PLAIN },
  client: { offer: ASKS, answer: PLAIN },
}

/** The defaults: each message stands for itself, and short ones are sent as they are. */
const alone: Handshake = {
  compression: true,
  server: { offer: ASKS, answer: ALONE },
  client: { offer: `${ALONE}; client_max_window_bits`, answer: ALONE },
}

const settings = [
  ['takeover', takeover, 'with context takeover'],
  ['alone', alone, 'without context takeover'],
] as const

const MiB = KiB * KiB

/** With the bytes that a row has at most: with context takeover, without, and in frames. */
const kinds: readonly (RowKind & {
  readonly name: string
  readonly most: { readonly takeover: number; readonly alone: number; readonly frames: number }
})[] = [
  {
    ...{ name: 'json', kind: 'json', type: 'text', about: 'JSON' },
    most: { takeover: 125 * MiB, alone: 16 * MiB, frames: 16 * MiB },
  },
  {
    ...{ name: 'utf8', kind: 'utf8', type: 'text', about: 'text that hardly repeats' },
    most: { takeover: 16 * MiB, alone: 16 * MiB, frames: 2 * MiB },
  },
  {
    ...{ name: 'noise', kind: 'noise', type: 'binary', about: 'bytes that cannot be deflated' },
    most: { takeover: 16 * MiB, alone: 16 * MiB, frames: 2 * MiB },
  },
  ...(
    [
      ['prose', 'prose', 'text', 'sentences'],
      ['prose-as-binary', 'prose', 'binary', 'sentences, as binary'],
      ['markup', 'markup', 'text', 'markup'],
      ['bitmap', 'bitmap', 'binary', 'a bitmap, which is binary and can be deflated'],
    ] as const
  ).map(([name, kind, type, about]) => ({
    ...{ name, kind, type, about },
    most: { takeover: 2 * MiB, alone: 2 * MiB, frames: 2 * MiB },
  })),
]

const rows = kinds.flatMap((kind) =>
  rowSizes.flatMap((size) =>
    settings
      .filter(([name]) => name === 'takeover' || size[1] === undefined)
      .map(([name, handshake, how]): Case => {
        const { takeover: whole, alone: single, frames } = kind.most
        const thousand = kind.name === 'json' && size[1] === KiB
        const unbroken = name === 'takeover' ? whole : size[0] <= 16 * KiB ? single : 2 * MiB
        const most = size[1] === undefined ? unbroken : thousand ? whole : frames
        return row(
          `compression.${kind.name}.${nameOfRow(size)}.${name}`,
          '12',
          kind,
          size,
          most,
          how,
          handshake,
          kind.name === 'json' ? { deflates: name === 'takeover' || size[0] >= 256 } : {},
        )
      }),
  ),
)

/** The endpoint cuts what it has deflated: RSV1 on the first frame alone, and none larger than it may be. */
const cutByEndpoint = [125, KiB, 32 * KiB].flatMap((fragmentSize) =>
  settings.map(([name, handshake, how]): Case => {
    const messages = [
      ['text', fill('json', 100_000, 1)],
      ['binary', fill('noise', 70_000, 2)],
      ['text', fill('prose', 100_000, 3)],
      ['text', fill('json', 100_000, 1)],
    ] as const
    return {
      id: `compression.cut-by-endpoint.${fragmentSize}.${name}`,
      about: `The endpoint sends deflated messages of 70000 bytes and more, and echoes them, in frames of at most ${fragmentSize}, ${how}.`,
      autobahn: '12',
      handshake,
      limits: { fragmentSize },
      deflates: true,
      steps: [
        ...messages.map(([send, payload]) => ({ endpoint: { send, payload } })),
        {
          peer: [
            ...messages.map(([type, payload]) =>
              (type === 'text' ? text : binary)(payload, { deflated: true }),
            ),
            close(1000),
          ],
          hears: messages,
        },
      ],
      end: closedByPeer,
    }
  }),
)

const pieces = [1, 3, 256, KiB, 32 * KiB].flatMap((piece) =>
  settings.map(([name, handshake, how]): Case => {
    const messages = [fill('json', 20_000, 1), fill('utf8', 2000, 2), fill('json', 20_000, 1)]
    return passes(
      `compression.fragments.${piece}.${name}`,
      '12',
      `Deflated messages in frames of ${inWords(piece)}, RSV1 on the first alone, ${how}.`,
      messages.map((payload) => text(payload, { deflated: true, pieces: piece })),
      messages.map((payload) => ['text', payload] as const),
      { handshake, deflates: true },
    )
  }),
)

/** As a sender of no particular kind would: what ends a flush is taken away. */
function deflated(payload: Payload, options: Parameters<typeof deflateRawSync>[1] = {}): Buffer {
  const bytes = deflateRawSync(bytesOf(payload), { finishFlush: zlib.Z_SYNC_FLUSH, ...options })
  return bytes.subarray(0, -4)
}

const sample = fill('json', 3000, 5)
const sent = (payload: Uint8Array): Part => text(payload, { rsv: 4 })

const forms: Case[] = [
  passes(
    'compression.form.stored',
    '12',
    'Blocks that are stored, not deflated.',
    [sent(deflated(sample, { level: 0 }))],
    [['text', sample]],
    { handshake: alone },
  ),
  passes(
    'compression.form.fixed-codes',
    '12',
    'Blocks with fixed codes.',
    [sent(deflated(sample, { strategy: zlib.Z_FIXED }))],
    [['text', sample]],
    { handshake: alone },
  ),
  passes(
    'compression.form.huffman-only',
    '12',
    'Blocks without any reference.',
    [sent(deflated(sample, { strategy: zlib.Z_HUFFMAN_ONLY }))],
    [['text', sample]],
    { handshake: alone },
  ),
  passes(
    'compression.form.several-blocks',
    '12',
    'A message of several blocks with flushes between them.',
    [
      sent(
        Buffer.concat([
          deflateRawSync('one ', { finishFlush: zlib.Z_SYNC_FLUSH }),
          deflateRawSync('two ', { finishFlush: zlib.Z_FULL_FLUSH }),
          deflated('three'),
        ]),
      ),
    ],
    [['text', 'one two three']],
    { handshake: alone },
  ),
  passes(
    'compression.form.final-block',
    '12',
    'A message whose last block is marked as final, as RFC 7692 section 7.2.3.4 shows one.',
    [sent(Buffer.concat([deflateRawSync('final'), hex('00')])), text('next', { deflated: true })],
    [
      ['text', 'final'],
      ['text', 'next'],
    ],
    { handshake: alone },
  ),
  passes(
    'compression.form.two-in-one',
    '12',
    'A final block, and another block behind it, in one message.',
    [sent(Buffer.concat([deflateRawSync('one '), deflated('two')]))],
    [['text', 'one two']],
    { handshake: alone },
  ),
  passes(
    'compression.form.empty',
    '12',
    'An empty message, as the one byte of an empty block.',
    [sent(hex('00')), binary(hex('00'), { rsv: 4 })],
    [
      ['text', ''],
      ['binary', ''],
    ],
    { handshake: alone },
  ),
  passes(
    'compression.form.empty-between',
    '12',
    'Empty messages between others, with context takeover.',
    ['abcabcabc', '', 'abcabcabc', '', 'abc'].map((payload) => text(payload, { deflated: true })),
    ['abcabcabc', '', 'abcabcabc', '', 'abc'].map((payload) => ['text', payload] as const),
    { handshake: takeover },
  ),
]

const mixed: Case[] = [
  passes(
    'compression.mixed',
    '12',
    'Messages with and without RSV1 in turn: those without are as they are, and leave the context alone.',
    [
      text(sample, { deflated: true }),
      text('as it is'),
      text(sample, { deflated: true }),
      binary(fill('noise', 300, 2)),
      text(sample, { deflated: true }),
    ],
    [
      ['text', sample],
      ['text', 'as it is'],
      ['text', sample],
      ['binary', fill('noise', 300, 2)],
      ['text', sample],
    ],
    { handshake: takeover, deflates: true },
  ),
  {
    id: 'compression.ping-inside',
    about:
      'A ping between the fragments of a deflated message is answered ahead of it, and is not deflated itself.',
    autobahn: '12',
    handshake: alone,
    deflates: true,
    steps: [
      {
        peer: [text(deflated(sample).subarray(0, 100), { rsv: 4, fin: false }), ping('p')],
        hears: [['ping', 'p']],
      },
      { peer: [last(deflated(sample).subarray(100)), close(1000)], hears: [['text', sample]] },
    ],
    end: closedByPeer,
  },
  passes(
    'compression.threshold',
    '12',
    'Short messages come back as they are, with the defaults.',
    [text('short', { deflated: true }), text(fill('json', 255, 1), { deflated: true })],
    [
      ['text', 'short'],
      ['text', fill('json', 255, 1)],
    ],
    { handshake: alone, deflates: false },
  ),
  passes(
    'compression.limit.exactly',
    '12',
    'A message that inflates to 1 MiB, which is the limit.',
    [binary(fill('zeros', KiB * KiB, 1), { deflated: true })],
    [['binary', fill('zeros', KiB * KiB, 1)]],
    { handshake: alone, deflates: true },
  ),
]

const data = 'ERR_WS_EXTENSION_DATA'
const end = (frame: number) => ({ frame, payload: 'end' }) as const
const rest = { handshake: alone }
const first = 'a secret of the first message, to be referred to'

const wrong: Case[] = [
  refuses(
    'compression.limit.one-more',
    '12',
    'A message that inflates to a byte more than 1 MiB, from about a thousand.',
    [binary(fill('zeros', KiB * KiB + 1, 1), { deflated: true })],
    [],
    ['ERR_WS_MESSAGE_TOO_LARGE', 1009, end(0)],
    rest,
  ),
  refuses(
    'compression.limit.bomb',
    '12',
    'A message of 16 KiB that inflates to 16 MiB.',
    [binary(fill('zeros', 16 * KiB * KiB, 1), { deflated: true })],
    [],
    ['ERR_WS_MESSAGE_TOO_LARGE', 1009, end(0)],
    rest,
  ),
  refuses(
    'compression.corrupt.reserved-block',
    '12',
    'A block of the type that is reserved.',
    [sent(hex('07 ff ff'))],
    [],
    [data, 1007, end(0)],
    rest,
  ),
  refuses(
    'compression.corrupt.noise',
    '12',
    'Bytes that are no deflate at all, behind a message that is.',
    [text('before', { deflated: true }), sent(Buffer.alloc(40, 0xff))],
    [['text', 'before']],
    [data, 1007, end(1)],
    rest,
  ),
  refuses(
    'compression.corrupt.stored-length',
    '12',
    'A stored block whose length and its complement do not fit together.',
    [sent(hex('00 05 00 05 00 61 62 63 64 65'))],
    [],
    [data, 1007, end(0)],
    rest,
  ),
  refuses(
    'compression.corrupt.cut-off',
    '12',
    'A message that ends inside a block.',
    [sent(deflated(sample).subarray(0, 200))],
    [],
    [data, 1007, end(0)],
    rest,
  ),
  refuses(
    'compression.corrupt.cut-off-in-fragments',
    '12',
    'The same in fragments: the end of the message decides.',
    [
      text(deflated(sample).subarray(0, 100), { rsv: 4, fin: false }),
      last(deflated(sample).subarray(100, 200)),
    ],
    [],
    [data, 1007, end(1)],
    rest,
  ),
  refuses(
    'compression.corrupt.too-far-back',
    '12',
    'A reference to an earlier message, where it was agreed that there are none.',
    [text(first, { deflated: true }), sent(deflated(`again: ${first}`, { dictionary: Buffer.from(first) }))],
    [['text', first]],
    [data, 1007, end(1)],
    rest,
  ),
  refuses(
    'compression.utf8.invalid',
    '12',
    'Text that is no UTF-8 once it is inflated.',
    [sent(deflated(hex('ceba eda080 6564')))],
    [],
    ['ERR_WS_INVALID_UTF8', 1007, end(0)],
    rest,
  ),
  refuses(
    'compression.utf8.unfinished',
    '12',
    'Text that ends inside a character once it is inflated, in fragments.',
    [text(deflated(hex('61 e282')), { rsv: 4, pieces: 1 })],
    [],
    ['ERR_WS_INVALID_UTF8', 1007, end(deflated(hex('61 e282')).length - 1)],
    rest,
  ),
  passes(
    'compression.utf8.binary',
    '12',
    'The same bytes in a binary message.',
    [binary(hex('ceba eda080 6564'), { deflated: true })],
    [['binary', hex('ceba eda080 6564')]],
    rest,
  ),
  ...(
    [
      ['continuation', [text('a', begun), more('b', { rsv: 4 })], 1],
      [
        'continuation-deflated',
        [text(deflated('abc').subarray(0, 2), { rsv: 4, fin: false }), last('', { rsv: 4 })],
        1,
      ],
      ['ping', [ping('p', { rsv: 4 })], 0],
      ['close', [close(1000, '', { rsv: 4 })], 0],
      ['rsv2', [text('a', { rsv: 2 })], 0],
      ['rsv3', [text('a', { rsv: 1 })], 0],
      ['rsv1-rsv2', [text(deflated('a'), { rsv: 6 })], 0],
    ] as const
  ).map(([name, parts, frame]) =>
    refuses(
      `compression.reserved.${name}`,
      '12',
      `A reserved bit where permessage-deflate has none: ${name.replaceAll('-', ', ')}.`,
      parts,
      [],
      ['ERR_WS_RESERVED_BITS', 1002, { frame, header: 1 }],
      rest,
    ),
  ),
]

export const compression: Group = {
  name: 'compression',
  title: 'Compression',
  about:
    'permessage-deflate (RFC 7692): messages of 16 bytes to 128 KiB of several kinds, in one frame and in many, every form of block, and data that is wrong once it is inflated. A row is of a thousand messages, or of as many as make 2 MiB (sentences, markup, bitmaps, most of what comes in frames, and beyond 16 KiB what has no context) or 16 MiB (the other kinds); JSON with context takeover is a thousand of every size.',
  autobahn: '12',
  cases: [...rows, ...pieces, ...cutByEndpoint, ...forms, ...mixed, ...wrong],
}
