import {
  begun,
  binary,
  type Case,
  fill,
  type Group,
  hex,
  last,
  passes,
  ping,
  refuses,
  text,
} from '../case.ts'
import { inWords } from '../payload.ts'

/** Every length around the borders of the three forms in which lengths are written. */
const sizes = [0, 1, 124, 125, 126, 127, 128, 255, 256, 65_534, 65_535, 65_536, 65_537]

const messages = sizes.flatMap((size): Case[] => {
  const [letters, bytes] = [fill('utf8', size, size), fill('noise', size, size)]
  return [
    passes(
      `framing.text.${size}`,
      '1.1',
      `Text of ${inWords(size)} in one frame.`,
      [text(letters)],
      [['text', letters]],
    ),
    passes(
      `framing.binary.${size}`,
      '1.2',
      `Binary of ${inWords(size)} in one frame.`,
      [binary(bytes)],
      [['binary', bytes]],
    ),
  ]
})

const written = [50, 997, 4096].flatMap((writes): Case[] => {
  const [letters, bytes] = [fill('ascii', 65_536, writes), fill('noise', 65_536, writes)]
  return [
    passes(
      `framing.text.written-in-${writes}`,
      '1.1',
      `Text of 65536 bytes in one frame, which is written in pieces of ${writes}.`,
      [text(letters)],
      [['text', letters]],
      { writes },
    ),
    passes(
      `framing.binary.written-in-${writes}`,
      '1.2',
      `Binary of 65536 bytes in one frame, which is written in pieces of ${writes}.`,
      [binary(bytes)],
      [['binary', bytes]],
      { writes },
    ),
  ]
})

const rows = passes(
  'framing.several',
  '1',
  'Messages of all three forms of length in a row, a ping among them.',
  [text('a'), binary(fill('noise', 300, 3)), ping('p'), text(fill('utf8', 70_000, 4)), binary('')],
  [
    ['text', 'a'],
    ['binary', fill('noise', 300, 3)],
    ['ping', 'p'],
    ['text', fill('utf8', 70_000, 4)],
    ['binary', ''],
  ],
)

const notMinimal = [0, 1, 125].map((length) =>
  refuses(
    `framing.length.${length}-in-16-bits`,
    '1',
    `A length of ${length} written in 16 bits, which 7 would hold.`,
    [text('before'), text(fill('ascii', length, 5), { form: 16 })],
    [['text', 'before']],
    ['ERR_WS_LENGTH_NOT_MINIMAL', 1002, { frame: 1, header: 4 }],
  ),
)

const notMinimalLong = [0, 125, 126, 65_535].map((length) =>
  refuses(
    `framing.length.${length}-in-64-bits`,
    '1',
    `A length of ${length} written in 64 bits, which fewer would hold.`,
    [text('before'), binary(fill('noise', length, 5), { form: 64 })],
    [['text', 'before']],
    ['ERR_WS_LENGTH_NOT_MINIMAL', 1002, { frame: 1, header: 10 }],
  ),
)

const signed = [2n ** 63n, 2n ** 64n - 1n].map((length) =>
  refuses(
    `framing.length.sign-bit-${length === 2n ** 63n ? 'alone' : 'and-all-others'}`,
    '1',
    'A length of 64 bits whose highest bit is set: its first byte is enough.',
    [binary('', { length, form: 64 })],
    [],
    ['ERR_WS_LENGTH_SIGN_BIT', 1002, { frame: 0, header: 3 }],
  ),
)

const masking = [
  ...(['text', 'ping'] as const).flatMap((kind): Case[] => {
    const part = kind === 'text' ? text('no mask', { wrongMask: true }) : ping('', { wrongMask: true })
    return [
      refuses(
        `framing.mask.missing.${kind}`,
        '1',
        `A ${kind} frame of a client without a mask.`,
        [text('before'), part],
        [['text', 'before']],
        ['ERR_WS_UNMASKED_FRAME', 1002, { frame: 1, header: 2 }],
        { roles: ['server'] },
      ),
      refuses(
        `framing.mask.unexpected.${kind}`,
        '1',
        `A ${kind} frame of a server with a mask.`,
        [text('before'), part],
        [['text', 'before']],
        ['ERR_WS_MASKED_FRAME', 1002, { frame: 1, header: 2 }],
        { roles: ['client'] },
      ),
    ]
  }),
  refuses(
    'framing.mask.missing.continuation',
    '1',
    'A message whose second fragment alone has no mask.',
    [text('first', begun), last('second', { wrongMask: true })],
    [],
    ['ERR_WS_UNMASKED_FRAME', 1002, { frame: 1, header: 2 }],
    { roles: ['server'] },
  ),
  passes(
    'framing.mask.zero-key',
    '1',
    'A mask of four zero bytes leaves the payload as it is, and is a mask.',
    [hex('818500000000 48656c6c6f'), hex('828300000000 00ff80')],
    [
      ['text', 'Hello'],
      ['binary', hex('00ff80')],
    ],
    { roles: ['server'] },
  ),
]

export const framing: Group = {
  name: 'framing',
  title: 'Framing',
  about: 'Messages in one frame, of every form of length; lengths and masks that are written wrongly.',
  autobahn: '1',
  cases: [...messages, ...written, rows, ...notMinimal, ...notMinimalLong, ...signed, ...masking],
}
