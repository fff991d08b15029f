import {
  begun,
  type Case,
  close,
  fill,
  type Group,
  hex,
  last,
  more,
  type Part,
  passes,
  ping,
  refuses,
  text,
} from '../case.ts'
import { illFormed, unfinished, wellFormed } from './utf8-table.ts'

const invalid = 'ERR_WS_INVALID_UTF8'

/** A text with each byte in a frame of its own. */
const bytewise = (bytes: Uint8Array): Part => text(bytes, { pieces: 1 })

const valid = wellFormed.flatMap(([name, about, digits]): Case[] => {
  const bytes = hex(digits)
  return [
    passes(`utf8.valid.${name}`, '6', `${about}.`, [text(bytes)], [['text', bytes]]),
    passes(
      `utf8.valid.${name}.in-fragments`,
      '6',
      `${about}, each byte in a frame of its own.`,
      [bytewise(bytes)],
      [['text', bytes]],
    ),
  ]
})

const wrong = illFormed.flatMap(([name, about, digits, rest = '']): Case[] => {
  const decisive = hex(digits)
  const bytes = Buffer.concat([decisive, hex(rest)])
  return [
    refuses(
      `utf8.invalid.${name}`,
      '6',
      `${about}.`,
      [text('before'), text(bytes), text('behind')],
      [['text', 'before']],
      [invalid, 1007, { frame: 1, payload: decisive.length }],
    ),
    refuses(
      `utf8.invalid.${name}.in-fragments`,
      '6',
      `${about}, each byte in a frame of its own.`,
      [bytewise(bytes), text('behind')],
      [],
      [invalid, 1007, { frame: decisive.length - 1, payload: 1 }],
    ),
    refuses(
      `utf8.invalid.${name}.within`,
      '6',
      `${about}, within text that is right.`,
      [text(Buffer.concat([hex('ceba'), bytes, Buffer.from('edited')]))],
      [],
      [invalid, 1007, { frame: 0, payload: 2 + decisive.length }],
    ),
  ]
})

const cutShort = unfinished.flatMap(([name, about, digits]): Case[] => {
  const bytes = hex(digits)
  return [
    refuses(
      `utf8.unfinished.${name}`,
      '6',
      `${about}: the end of the message decides.`,
      [text(bytes), text('behind')],
      [],
      [invalid, 1007, { frame: 0, payload: 'end' }],
    ),
    refuses(
      `utf8.unfinished.${name}.in-fragments`,
      '6',
      `${about}, and an empty last fragment, whose last byte decides.`,
      [text(bytes, begun), ping('alive'), last('')],
      [['ping', 'alive']],
      [invalid, 1007, { frame: 2, payload: 'end' }],
    ),
    refuses(
      `utf8.unfinished.${name}.then-ascii`,
      '6',
      `${about}, then a letter, in a fragment of its own.`,
      [text(bytes, begun), last('z')],
      [],
      [invalid, 1007, { frame: 1, payload: 1 }],
    ),
    passes(
      `utf8.unfinished.${name}.binary`,
      '6',
      `${about}, in a binary message, which may hold anything.`,
      [{ opcode: 2, payload: bytes }],
      [['binary', bytes]],
    ),
  ]
})

/** Every way to split four characters of one to four bytes over two and over three frames. */
const splits = (): Case[] => {
  const bytes = Buffer.from('aé€\u{1d11e}')
  const cases: Case[] = []
  for (let first = 0; first <= bytes.length; first++) {
    cases.push(
      passes(
        `utf8.split.at-${first}`,
        '6',
        `Characters of one to four bytes, cut behind byte ${first}, with a ping between.`,
        [text(bytes.subarray(0, first), begun), ping('p'), last(bytes.subarray(first))],
        [
          ['ping', 'p'],
          ['text', bytes],
        ],
      ),
    )
  }
  return cases
}

/** Every beginning of a word, each a message of its own: right where a character ends, and wrong elsewhere. */
const prefixes = (): Case[] => {
  const bytes = Buffer.from('κόσμε')
  return Array.from({ length: bytes.length }, (_, i): Case => {
    const prefix = bytes.subarray(0, i + 1)
    const next = bytes[i + 1] ?? 0
    const id = `utf8.prefix.${i + 1}`
    const about = `The first ${i + 1 === 1 ? 'byte' : `${i + 1} bytes`} of a Greek word of ${bytes.length}`
    if (next >> 6 !== 0b10)
      return passes(id, '6.6', `${about}, which end a character.`, [text(prefix)], [['text', prefix]])
    return refuses(
      id,
      '6.6',
      `${about}, which end inside a character: the end of the message decides.`,
      [text(prefix), text('behind')],
      [],
      [invalid, 1007, { frame: 0, payload: 'end' }],
    )
  })
}

/** What is wrong is refused while more of the frame, or of the message, is to come. */
const early: Case[] = [
  refuses(
    'utf8.early.in-a-long-frame',
    '6.4',
    'A byte that is wrong near the beginning of a frame of 60000 bytes, the rest of which never has to come.',
    [text(Buffer.concat([Buffer.from('right '), hex('ff'), Buffer.alloc(60_000, 'x')]))],
    [],
    [invalid, 1007, { frame: 0, payload: 7 }],
  ),
  refuses(
    'utf8.early.in-the-first-fragment',
    '6.4',
    'A surrogate in the first of three fragments.',
    [text(hex('ce ba ed a0 80 65'), begun), more('more'), last('end')],
    [],
    [invalid, 1007, { frame: 0, payload: 4 }],
  ),
  refuses(
    'utf8.early.across-fragments',
    '6.4',
    'Two fragments that are each a possible piece of text, and together are none: F4 then 90.',
    [text(hex('ce ba f4'), begun), more(hex('90')), more(hex('80 80')), last('')],
    [],
    [invalid, 1007, { frame: 1, payload: 1 }],
  ),
  refuses(
    'utf8.early.across-a-ping',
    '6.4',
    'The same with a ping between, which is answered.',
    [text(hex('e1 bd'), begun), ping('p'), last(hex('c3 a9'))],
    [['ping', 'p']],
    [invalid, 1007, { frame: 2, payload: 1 }],
  ),
  refuses(
    'utf8.early.behind-much-that-is-right',
    '6.4',
    'One wrong byte behind 36000 bytes that are right.',
    [text(Buffer.concat([Buffer.from('é€a'.repeat(6000)), hex('c3 28')])), text('behind')],
    [],
    [invalid, 1007, { frame: 0, payload: 36_002 }],
  ),
]

const others: Case[] = [
  passes('utf8.empty', '6.1', 'A text without bytes.', [text('')], [['text', '']]),
  passes(
    'utf8.empty.in-fragments',
    '6.1',
    'A text of three fragments without bytes.',
    [text('', begun), more(''), last('')],
    [['text', '']],
  ),
  passes(
    'utf8.empty.around',
    '6.1',
    'Text between two empty fragments.',
    [text('', begun), more('κόσμε'), last('')],
    [['text', 'κόσμε']],
  ),
  passes(
    'utf8.state.forgotten',
    '6',
    'A text that ends in the middle of nothing leaves nothing behind for the next one.',
    [text('é', { pieces: 1 }), text('€', { pieces: 2 }), text('a'), text('\u{1f98d}', { pieces: 3 })],
    [
      ['text', 'é'],
      ['text', '€'],
      ['text', 'a'],
      ['text', '\u{1f98d}'],
    ],
  ),
  passes(
    'utf8.long',
    '6.2',
    'Text of 100000 bytes with characters of all lengths, in frames of 999.',
    [text(fill('utf8', 100_000, 6), { pieces: 999 })],
    [['text', fill('utf8', 100_000, 6)]],
  ),
  refuses(
    'utf8.then-close',
    '6',
    'A wrong text ahead of a Close frame: what came first counts.',
    [text(hex('c0 80')), close(1000)],
    [],
    [invalid, 1007, { frame: 0, payload: 1 }],
  ),
]

export const utf8: Group = {
  name: 'utf8',
  title: 'UTF-8',
  about:
    'Well-formed and ill-formed texts, after table 3-7 of the Unicode standard: each is sent whole, byte by byte in fragments, and within other text. What is ill-formed is refused at the first byte that no continuation can mend.',
  autobahn: '6',
  cases: [...valid, ...wrong, ...cutShort, ...splits(), ...prefixes(), ...early, ...others],
}
