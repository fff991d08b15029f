// Texts by their bytes. What is ill-formed is cut behind the byte that decides; what may follow stands behind it.

/** Name, what it is, bytes. */
export type Text = readonly [name: string, about: string, bytes: string]

/** Name, what it is, the bytes up to the one that decides, and those behind it. */
export type WrongText = readonly [name: string, about: string, decisive: string, rest?: string]

const hexOf = (text: string): string => Buffer.from(text).toString('hex')

const bytesInWords = (count: number): string => (count === 1 ? 'one byte' : `${count} bytes`)

/** The non-characters of each plane: its last two code points. */
const planes: readonly Text[] = Array.from({ length: 17 }, (_, plane) =>
  [0xfffe, 0xffff].map((low): Text => {
    const point = plane * 0x1_0000 + low
    const name = point.toString(16)
    return [
      `noncharacter-${name}`,
      `The noncharacter U+${name.toUpperCase()}`,
      hexOf(String.fromCodePoint(point)),
    ]
  }),
).flat()

export const wellFormed: readonly Text[] = [
  [
    'ascii',
    'All of ASCII, with its control characters',
    Array.from({ length: 128 }, (_, i) => i.toString(16).padStart(2, '0')).join(''),
  ],
  ['nul', 'The character NUL', '00'],
  ['del', 'The last character of one byte, U+7F', '7f'],
  ['two-first', 'The first character of two bytes, U+80', 'c280'],
  ['two-last', 'The last character of two bytes, U+7FF', 'dfbf'],
  ['three-first', 'The first character of three bytes, U+800', 'e0a080'],
  ['three-e0-last', 'The last character behind E0, U+FFF', 'e0bfbf'],
  ['three-e1-first', 'The first character behind E1, U+1000', 'e18080'],
  ['three-ec-last', 'The last character behind EC, U+CFFF', 'ecbfbf'],
  ['three-ed-first', 'The first character behind ED, U+D000', 'ed8080'],
  ['before-surrogates', 'The last character ahead of the surrogates, U+D7FF', 'ed9fbf'],
  ['behind-surrogates', 'The first character behind the surrogates, U+E000', 'ee8080'],
  ['private', 'A character of the private use area, U+F8FF', 'efa3bf'],
  ['replacement', 'The replacement character, U+FFFD', 'efbfbd'],
  ['annotation-anchor', 'The anchor of an annotation, U+FFF9', 'efbfb9'],
  ['annotation-separator', 'The separator of an annotation, U+FFFA', 'efbfba'],
  ['annotation-terminator', 'The end of an annotation, U+FFFB', 'efbfbb'],
  ['object-replacement', 'The object replacement character, U+FFFC', 'efbfbc'],
  ['bom', 'A byte order mark, which is kept', 'efbbbf'],
  ['bom-then-text', 'A byte order mark ahead of text', 'efbbbf6162'],
  ['noncharacter-fdd0', 'The noncharacter U+FDD0', 'efb790'],
  ['noncharacter-fdef', 'The noncharacter U+FDEF', 'efb7af'],
  ['four-first', 'The first character of four bytes, U+10000', 'f0908080'],
  ['four-f0-last', 'The last character behind F0, U+3FFFF', 'f0bfbfbf'],
  ['four-f1-first', 'The first character behind F1, U+40000', 'f1808080'],
  ['four-f3-last', 'The last character behind F3, U+FFFFF', 'f3bfbfbf'],
  ['four-f4-first', 'The first character behind F4, U+100000', 'f4808080'],
  ['last-of-all', 'The last character there is, U+10FFFF', 'f48fbfbf'],
  ['greek', 'A Greek word with an accent of its own', hexOf('κόσμε')],
  ...['$', '¢', '€', '\u{24b62}'].map(
    (character, i): Text => [
      `within-ascii-${i + 1}`,
      `One character of ${bytesInWords(i + 1)} between letters of ASCII`,
      hexOf(`hello${character}world`),
    ],
  ),
  ['mixed', 'Characters of one, two, three and four bytes', hexOf('a\u{e9}\u{20ac}\u{1f98d}b')],
  ['combining', 'A letter with combining marks', hexOf('e\u{301}\u{327}\u{30a}')],
  ['joined', 'Pictures joined by U+200D', hexOf('\u{1f469}\u{200d}\u{1f680}')],
  ['right-to-left', 'Hebrew and Arabic', hexOf('שלום سلام')],
  ['wide', 'Chinese, Japanese and Korean', hexOf('漢字かな한글')],
  ['all-twos', 'Forty characters of two bytes', hexOf('ж'.repeat(40))],
  ['all-fours', 'Forty characters of four bytes', hexOf('\u{1d11e}'.repeat(40))],
  ...planes,
]

const lone = Array.from({ length: 64 }, (_, i): string => (0x80 + i).toString(16))

/** A surrogate as if it were a character. */
function bytesOfUnit(unit: string): string {
  const point = Number.parseInt(unit, 16)
  return ['ed', ...[point >> 6, point].map((bits) => (0x80 | (bits & 0x3f)).toString(16))].join('')
}

function leadsThenSpaces(name: string, from: number, to: number, decisive: number): WrongText {
  const leads = Array.from({ length: to - from + 1 }, (_, i) => `${(from + i).toString(16)}20`).join('')
  const [low, high] = [from, to].map((lead) => lead.toString(16).toUpperCase())
  return [
    `leads-of-${name}-then-spaces`,
    `The bytes ${low} to ${high}, each with a space behind it`,
    leads.slice(0, 2 * decisive),
    leads.slice(2 * decisive),
  ]
}

/** Name, what it is, the bytes up to the one that decides, where there is one, and the others. */
const cutOff: readonly (readonly [name: string, about: string, bytes: readonly [string, string]])[] = [
  ['first-of-2', 'The first of two bytes, without its last', ['c0', '']],
  ['first-of-3', 'The first of three bytes, without its last', ['e080', '']],
  ['first-of-4', 'The first of four bytes, without its last', ['f080', '80']],
  ['first-of-5', 'The first of five bytes, without its last', ['f8', '808080']],
  ['first-of-6', 'The first of six bytes, without its last', ['fc', '80808080']],
  ['last-of-2', 'The last of two bytes, without its last', ['', 'df']],
  ['last-of-3', 'The last of three bytes, without its last', ['', 'efbf']],
  ['last-of-4', 'The last of four bytes, without its last', ['f7', 'bfbf']],
  ['last-of-5', 'The last of five bytes, without its last', ['fb', 'bfbfbf']],
  ['last-of-6', 'The last of six bytes, without its last', ['fd', 'bfbfbfbf']],
]

export const illFormed: readonly WrongText[] = [
  // What can begin no character.
  ...['80', 'bf', 'a0'].map(
    (byte): WrongText => [`continuation-${byte}`, `The continuation byte ${byte.toUpperCase()} alone`, byte],
  ),
  ...[2, 3, 4, 5, 6, 7].map(
    (count): WrongText => [
      `continuations-${count}`,
      `${count} continuation bytes`,
      '80',
      'bf80bf80bf80'.slice(0, 2 * (count - 1)),
    ],
  ),
  ['continuations-all', 'All continuation bytes in a row', lone[0] as string, lone.slice(1).join('')],
  [
    'continuations-all-but-one',
    'The 63 continuation bytes below BF in a row',
    lone[0] as string,
    lone.slice(1, -1).join(''),
  ],
  // Every lead with a space behind it. The first of them decides, alone or with its space.
  leadsThenSpaces('two', 0xc0, 0xdf, 1),
  leadsThenSpaces('three', 0xe0, 0xef, 2),
  leadsThenSpaces('four', 0xf0, 0xf7, 2),
  leadsThenSpaces('five', 0xf8, 0xfb, 1),
  leadsThenSpaces('six', 0xfc, 0xfd, 1),
  leadsThenSpaces('two-right', 0xc2, 0xdf, 2),
  // The first and the last of every length without its last byte, ahead of nothing and of one another.
  ...cutOff.flatMap(([name, about, bytes]): WrongText[] => {
    const [decisive, rest] = bytes
    return [
      ...(decisive === '' ? [] : [[`cut-off-${name}`, about, decisive, rest] as WrongText]),
      [
        `cut-off-${name}-then-space`,
        `${about}, and a space`,
        decisive === '' ? `${rest}20` : decisive,
        decisive === '' ? '' : `${rest}20`,
      ],
    ]
  }),
  [
    'cut-off-all',
    'All of these in a row, none of which is whole',
    'c0',
    cutOff
      .map(([, , bytes]) => bytes.join(''))
      .join('')
      .slice(2),
  ],
  ...['c0', 'c1', 'f5', 'f6', 'f7', 'f8', 'f9', 'fa', 'fb', 'fc', 'fd', 'fe', 'ff'].map(
    (byte): WrongText => [`byte-${byte}`, `The byte ${byte.toUpperCase()}, which no text has`, byte],
  ),
  ['bytes-fe-fe-ff-ff', 'The bytes FE FE FF FF', 'fe', 'feffff'],
  ['extra-continuation', 'One continuation byte too many behind a whole character', 'c3a9a9'],
  // Leads without what they need.
  ...['c2', 'df'].flatMap((lead): WrongText[] => [
    [`lead-${lead}-then-space`, `The lead ${lead.toUpperCase()} and a space`, `${lead}20`],
    [`lead-${lead}-then-lead`, `The lead ${lead.toUpperCase()} twice`, `${lead}${lead}`, '80'],
  ]),
  ...['e0', 'e1', 'ed', 'ef'].flatMap((lead): WrongText[] => {
    const next = lead === 'e0' ? 'a0' : '80'
    return [
      [`lead-${lead}-then-space`, `The lead ${lead.toUpperCase()} and a space`, `${lead}20`],
      [
        `lead-${lead}-and-one-then-space`,
        `The lead ${lead.toUpperCase()}, one of two bytes, and a space`,
        `${lead}${next}20`,
      ],
      [
        `lead-${lead}-and-one-then-lead`,
        `The lead ${lead.toUpperCase()}, one of two bytes, and a lead`,
        `${lead}${next}c3`,
        'a9',
      ],
    ]
  }),
  ...['f0', 'f1', 'f4'].flatMap((lead): WrongText[] => {
    const next = lead === 'f0' ? '90' : '80'
    return [
      [`lead-${lead}-then-space`, `The lead ${lead.toUpperCase()} and a space`, `${lead}20`],
      [
        `lead-${lead}-and-one-then-space`,
        `The lead ${lead.toUpperCase()}, one of three bytes, and a space`,
        `${lead}${next}20`,
      ],
      [
        `lead-${lead}-and-two-then-space`,
        `The lead ${lead.toUpperCase()}, two of three bytes, and a space`,
        `${lead}${next}8020`,
      ],
      [
        `lead-${lead}-and-two-then-lead`,
        `The lead ${lead.toUpperCase()}, two of three bytes, and a lead`,
        `${lead}${next}80f0`,
        '9f',
      ],
    ]
  }),
  // More bytes than needed.
  ['overlong-slash-2', 'A slash in two bytes', 'c0', 'af'],
  ['overlong-slash-3', 'A slash in three bytes', 'e080', 'af'],
  ['overlong-slash-4', 'A slash in four bytes', 'f080', '80af'],
  ['overlong-slash-5', 'A slash in five bytes', 'f8', '808080af'],
  ['overlong-slash-6', 'A slash in six bytes', 'fc', '80808080af'],
  ['overlong-nul-2', 'NUL in two bytes', 'c0', '80'],
  ['overlong-nul-3', 'NUL in three bytes', 'e080', '80'],
  ['overlong-nul-4', 'NUL in four bytes', 'f080', '8080'],
  ['overlong-nul-5', 'NUL in five bytes', 'f8', '80808080'],
  ['overlong-nul-6', 'NUL in six bytes', 'fc', '8080808080'],
  ['overlong-last-2', 'The last that one byte would hold, in two', 'c1', 'bf'],
  ['overlong-last-3', 'The last that two bytes would hold, in three', 'e09f', 'bf'],
  ['overlong-last-4', 'The last that three bytes would hold, in four', 'f08f', 'bfbf'],
  ['overlong-last-5', 'The last that four bytes would hold, in five', 'f8', '87bfbfbf'],
  ['overlong-last-6', 'The last that five bytes would hold, in six', 'fc', '83bfbfbfbf'],
  // Surrogates, alone and in pairs.
  ...['d800', 'db7f', 'db80', 'dbff', 'dc00', 'df80', 'dfff'].map((unit): WrongText => {
    const bytes = bytesOfUnit(unit)
    return [`surrogate-${unit}`, `The surrogate U+${unit.toUpperCase()}`, bytes.slice(0, 4), bytes.slice(4)]
  }),
  ...['d800', 'db7f', 'db80', 'dbff'].flatMap((high) =>
    ['dc00', 'dfff'].map(
      (low): WrongText => [
        `surrogates-${high}-${low}`,
        `The surrogates U+${high.toUpperCase()} and U+${low.toUpperCase()}, a pair of UTF-16`,
        bytesOfUnit(high).slice(0, 4),
        bytesOfUnit(high).slice(4) + bytesOfUnit(low),
      ],
    ),
  ),
  // Beyond the last character.
  ['beyond-110000', 'U+110000, the first there is not', 'f490', '8080'],
  ['beyond-13ffff', 'U+13FFFF, the last behind F4', 'f4bf', 'bfbf'],
  ['beyond-140000', 'U+140000', 'f5', '808080'],
  ['beyond-1fffff', 'U+1FFFFF, the last that four bytes could hold', 'f7', 'bfbfbf'],
  ['beyond-200000', 'The first of five bytes', 'f8', '88808080'],
  ['beyond-3ffffff', 'The last of five bytes', 'fb', 'bfbfbfbf'],
  ['beyond-4000000', 'The first of six bytes', 'fc', '8480808080'],
  ['beyond-7fffffff', 'The last of six bytes', 'fd', 'bfbfbfbfbf'],
]

export const unfinished: readonly Text[] = [
  ['c2', 'The first byte of two', 'c2'],
  ['df', 'The last first byte of two', '61df'],
  ['df-alone', 'The same, with nothing ahead of it', 'df'],
  ['e0', 'The first byte of three', 'e0'],
  ['e0-a0', 'Two bytes of three', 'e0a0'],
  ['ed-9f', 'Two bytes of three, just ahead of the surrogates', 'ed9f'],
  ['ef-bf', 'Two bytes of three, the last ones', 'c3a9efbf'],
  ['ef-bf-alone', 'The same, with nothing ahead of it', 'efbf'],
  ['f0', 'The first byte of four', 'f0'],
  ['f0-90', 'Two bytes of four', 'f090'],
  ['f0-90-80', 'Three bytes of four', 'f09080'],
  ['f4-8f-bf', 'Three bytes of the last character', '61f48fbf'],
  ['greek-cut', 'A Greek word without its last byte', hexOf('κόσμε').slice(0, -2)],
  ['long-cut', 'Long text that ends inside a character', `${hexOf('long text '.repeat(30))}e282`],
]
