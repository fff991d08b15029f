import { hex } from '../frames.ts'
import { type Vector, type VectorGroup, vector } from './vector.ts'

/** Texts that are well-formed, among them all that is often refused by mistake. */
const wellFormed: readonly (readonly [name: string, bytes: string])[] = [
  ['ASCII with all controls', '00 01 09 0a 0d 1b 1f 20 7e 7f'],
  ['Greek', 'ce ba e1 bd b9 cf 83 ce bc ce b5'],
  ['the first of two bytes', 'c2 80'],
  ['the last of two bytes', 'df bf'],
  ['the first of three bytes', 'e0 a0 80'],
  ['the last before the surrogates', 'ed 9f bf'],
  ['the first behind the surrogates', 'ee 80 80'],
  ['the replacement character', 'ef bf bd'],
  ['a noncharacter, U+FFFE', 'ef bf be'],
  ['a noncharacter, U+FFFF', 'ef bf bf'],
  ['a noncharacter, U+FDD0', 'ef b7 90'],
  ['a byte order mark', 'ef bb bf'],
  ['a byte order mark in the middle', '61 ef bb bf 62'],
  ['the first of four bytes', 'f0 90 80 80'],
  ['a noncharacter, U+1FFFF', 'f0 9f bf bf'],
  ['the first of plane 4', 'f1 80 80 80'],
  ['the last of plane 15', 'f3 bf bf bf'],
  ['the last of all, U+10FFFF', 'f4 8f bf bf'],
  ['one, two, three and four bytes', '61 c3 a9 e2 82 ac f0 9f a6 8d 62'],
  [
    'four bytes, ten times',
    'f09f8d8c f09f8d8c f09f8d8c f09f8d8c f09f8d8c f09f8d8c f09f8d8c f09f8d8c f09f8d8c f09f8d8c',
  ],
]

/** Texts that are not, cut off behind the first byte that says so. */
const illFormed: readonly (readonly [name: string, bytes: string])[] = [
  ['a continuation byte alone, 80', '80'],
  ['a continuation byte alone, bf', 'bf'],
  ['a continuation byte after a whole character', '61 c3 a9 a9'],
  ['a lead of two, then ASCII', 'c3 28'],
  ['a lead of two, then a lead', 'df c3'],
  ['a lead of three, then ASCII', 'e2 28'],
  ['two of three, then ASCII', 'e2 82 28'],
  ['a lead of four, then ASCII', 'f0 28'],
  ['two of four, then ASCII', 'f0 9f 28'],
  ['three of four, then ASCII', 'f0 9f a6 28'],
  ['three of four, then a lead', 'f0 9f a6 f0'],
  ['overlong NUL in two', 'c0'],
  ['overlong in two', 'c1'],
  ['overlong in three', 'e0 80'],
  ['the last overlong in three', 'e0 9f'],
  ['overlong in four', 'f0 80'],
  ['the last overlong in four', 'f0 8f'],
  ['the first high surrogate', 'ed a0'],
  ['a low surrogate', 'ed b0'],
  ['the last surrogate', 'ed bf'],
  ['behind the last of all, U+110000', 'f4 90'],
  ['lead f5', 'f5'],
  ['lead f7', 'f7'],
  ['a lead of five', 'f8'],
  ['a lead of six', 'fc'],
  ['fe', 'fe'],
  ['ff', 'ff'],
  ['wrong after much that is right', `${'61'.repeat(40)} e2 82 ac f0 9f a6 8d ff`],
  ['a surrogate after Greek', 'ce ba e1 bd b9 cf 83 ce bc ce b5 ed a0'],
]

/** Texts that end inside a character. */
const unfinished: readonly string[] = [
  'c2',
  'df',
  'e0',
  'e0 a0',
  'ed 9f',
  'ef bb',
  'f0',
  'f0 90',
  'f0 90 80',
  'f4 8f bf',
  '61 62 63 e2 82',
  `${'78'.repeat(70)} f0 9f a6`,
]

/** Each byte a fragment of its own, the last one final or not. */
function byteFragments(bytes: Buffer, final: boolean): Vector['parts'] {
  return Array.from(bytes, (_, i) => ({
    opcode: i === 0 ? 1 : 0,
    fin: final && i === bytes.length - 1,
    payload: bytes.subarray(i, i + 1),
  }))
}

const bad = [['fault', 'ERR_WS_INVALID_UTF8']] as const

export const utf8Vectors: readonly VectorGroup[] = [
  {
    name: 'UTF-8, well-formed',
    vectors: wellFormed.flatMap(([name, digits]): Vector[] => {
      const bytes = hex(digits)
      const middle = bytes.length >> 1
      return [
        vector(name, [{ opcode: 1, payload: bytes }], [['text', bytes]]),
        vector(`${name}, a fragment for each byte`, byteFragments(bytes, true), [['text', bytes]]),
        vector(
          `${name}, a ping in the middle`,
          [
            { opcode: 1, fin: false, payload: bytes.subarray(0, middle) },
            { opcode: 9, payload: hex('ff') },
            { opcode: 0, payload: bytes.subarray(middle) },
          ],
          [
            ['ping', hex('ff')],
            ['text', bytes],
          ],
        ),
        vector(
          `${name}, long`,
          [{ opcode: 1, payload: Buffer.concat(Array.from({ length: 300 }, () => bytes)) }],
          [['text', Buffer.concat(Array.from({ length: 300 }, () => bytes))]],
        ),
      ]
    }),
  },
  {
    name: 'UTF-8, ill-formed, told at once',
    vectors: illFormed.flatMap(([name, digits]): Vector[] => {
      const bytes = hex(digits)
      const good = bytes.subarray(0, -1)
      const tail = bytes.subarray(-1)
      return [
        vector(name, [{ opcode: 1, payload: bytes }], bad),
        vector(
          `${name}, with more behind it`,
          [{ opcode: 1, payload: Buffer.concat([bytes, Buffer.from('more')]) }],
          bad,
        ),
        vector(`${name}, in a frame that never ends`, [{ opcode: 1, payload: bytes, length: 1000 }], bad),
        vector(`${name}, in a fragment`, [{ opcode: 1, fin: false, payload: bytes }], bad),
        vector(`${name}, a fragment for each byte`, byteFragments(bytes, false), bad),
        vector(
          `${name}, all but its last byte`,
          [{ opcode: 1, fin: false, payload: good, length: 1000 }],
          [],
        ),
        vector(
          `${name}, behind a ping`,
          [
            { opcode: 1, fin: false, payload: good },
            { opcode: 9, payload: 'p' },
            { opcode: 0, fin: false, payload: tail, length: 500 },
          ],
          [
            ['ping', 'p'],
            ['fault', 'ERR_WS_INVALID_UTF8'],
          ],
        ),
        vector(`${name}, as binary`, [{ opcode: 2, payload: bytes }], [['binary', bytes]]),
      ]
    }),
  },
  {
    name: 'UTF-8, unfinished',
    vectors: unfinished.flatMap((digits): Vector[] => {
      const bytes = hex(digits)
      return [
        vector(`${digits} and the end`, [{ opcode: 1, payload: bytes }], bad),
        vector(
          `${digits} and an empty last fragment`,
          [{ opcode: 1, fin: false, payload: bytes }, { opcode: 0 }],
          bad,
        ),
        vector(`${digits}, a fragment for each byte`, byteFragments(bytes, true), bad),
        vector(
          `${digits} may go on`,
          [
            { opcode: 1, fin: false, payload: bytes },
            { opcode: 0, fin: false },
          ],
          [],
        ),
        vector(
          `${digits} and a new message after the fault`,
          [
            { opcode: 1, payload: bytes },
            { opcode: 1, payload: 'unseen' },
          ],
          bad,
        ),
      ]
    }),
  },
  {
    name: 'UTF-8, one message leaves nothing behind',
    vectors: [
      vector(
        'a binary message that ends inside a character, then text',
        [
          { opcode: 2, payload: hex('e282') },
          { opcode: 1, payload: 'text' },
          { opcode: 1, payload: hex('ac') },
        ],
        [
          ['binary', hex('e282')],
          ['text', 'text'],
          ['fault', 'ERR_WS_INVALID_UTF8'],
        ],
      ),
      vector(
        'binary fragments that end inside a character, then text in fragments',
        [
          { opcode: 2, fin: false, payload: hex('f09f') },
          { opcode: 0, payload: hex('a6') },
          { opcode: 1, fin: false, payload: hex('f09f') },
          { opcode: 0, payload: hex('a68d') },
        ],
        [
          ['binary', hex('f09fa6')],
          ['text', '\u{1f98d}'],
        ],
      ),
    ],
  },
]
