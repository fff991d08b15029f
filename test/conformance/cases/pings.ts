import {
  type Case,
  close,
  fill,
  type Group,
  hex,
  type Part,
  passes,
  ping,
  pong,
  refuses,
  text,
} from '../case.ts'
import type { Payload } from '../payload.ts'

const payloads: readonly (readonly [name: string, about: string, payload: Payload])[] = [
  ['empty', 'without payload', ''],
  ['text', 'with a short text', 'Are you there?'],
  ['not-utf8', 'with bytes that are no text', hex('00 ff fe fd fc fb 80 00 ff')],
  ['124', 'of 124 bytes', fill('noise', 124, 2)],
  ['125', 'of 125 bytes, the most there may be,', fill('noise', 125, 2)],
]

const answered = payloads.flatMap(([name, about, payload]): Case[] => [
  passes(
    `pings.ping.${name}`,
    '2',
    `A ping ${about} is answered by a pong with the same payload.`,
    [ping(payload)],
    [['ping', payload]],
  ),
  passes(
    `pings.pong.${name}`,
    '2',
    `A pong ${about} for which nobody asked is not answered.`,
    [pong(payload), ping('after')],
    [
      ['pong', payload],
      ['ping', 'after'],
    ],
  ),
])

const tooLong = [126, 127, 65_535, 65_536].flatMap((size): Case[] =>
  [ping, pong].map((make) => {
    const kind = make === ping ? 'ping' : 'pong'
    return refuses(
      `pings.${kind}.${size}`,
      '2',
      `A ${kind} of ${size} bytes: its second byte says that it is too long.`,
      [ping('before'), make(fill('zeros', size, size))],
      [['ping', 'before']],
      ['ERR_WS_CONTROL_TOO_LONG', 1002, { frame: 1, header: 2 }],
    )
  }),
)

const longForm = [16, 64].map((form) =>
  refuses(
    `pings.ping.short-in-${form}-bits`,
    '2',
    `A ping of 3 bytes whose length is written in ${form} bits.`,
    [ping('abc', { form: form as 16 | 64 })],
    [],
    ['ERR_WS_CONTROL_TOO_LONG', 1002, { frame: 0, header: 2 }],
  ),
)

const ten = Array.from({ length: 10 }, (_, i) => `ping ${i}`)

const rows: Case[] = [
  passes(
    'pings.ten',
    '2',
    'Ten pings are answered by ten pongs, in order.',
    ten.map((payload) => ping(payload)),
    ten.map((payload) => ['ping', payload] as const),
  ),
  passes(
    'pings.ten-of-125',
    '2',
    'Ten pings of 125 bytes are answered by ten pongs.',
    ten.map((_, i) => ping(fill('noise', 125, i))),
    ten.map((_, i) => ['ping', fill('noise', 125, i)] as const),
  ),
  passes(
    'pings.between-messages',
    '2',
    'Pings and pongs between messages change nothing about them.',
    [ping('1'), text('a'), pong('2'), ping('3'), text('b'), ping('4')],
    [
      ['ping', '1'],
      ['text', 'a'],
      ['pong', '2'],
      ['ping', '3'],
      ['text', 'b'],
      ['ping', '4'],
    ],
  ),
  {
    id: 'pings.of-the-endpoint',
    about: 'The endpoint sends pings itself; the pong to one of them, and one to none, are heard.',
    autobahn: '2',
    steps: [
      { endpoint: { ping: 'one' } },
      { endpoint: { ping: fill('noise', 125, 9) } },
      {
        peer: [pong('one'), pong('none'), close(1000)],
        hears: [
          ['pong', 'one'],
          ['pong', 'none'],
        ],
      },
    ],
    end: { kind: 'closed', by: 'peer', code: 1000, reason: '' },
  },
]

const inside = (before: readonly Part[]): readonly Part[] => [...before, ping('in between', { fin: false })]

const fragmented: Case[] = [
  refuses(
    'pings.ping.fragmented',
    '2',
    'A ping that is not final: its first byte is enough.',
    inside([]),
    [],
    ['ERR_WS_CONTROL_FRAGMENTED', 1002, { frame: 0, header: 1 }],
  ),
  refuses(
    'pings.pong.fragmented',
    '2',
    'A pong that is not final, behind a message.',
    [text('a'), pong('', { fin: false })],
    [['text', 'a']],
    ['ERR_WS_CONTROL_FRAGMENTED', 1002, { frame: 1, header: 1 }],
  ),
]

export const pings: Group = {
  name: 'pings',
  title: 'Pings and pongs',
  about: 'Answers to pings, pongs without a question, and control frames that are too long or in parts.',
  autobahn: '2',
  cases: [...answered, ...tooLong, ...longForm, ...rows, ...fragmented],
}
