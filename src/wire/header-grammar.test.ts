import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import {
  type ExtensionItem,
  type ExtensionParams,
  formatExtension,
  isToken,
  listHasToken,
  maxExtensionParams,
  maxExtensions,
  maxSubprotocols,
  parseExtensions,
  parseTokenList,
} from './header-grammar.ts'

type Params = [string, string | true][]

/** Plain data for comparisons: `assert` shows it better than maps. */
function plain(items: readonly ExtensionItem[] | undefined): [string, Params][] | undefined {
  return items?.map(({ name, params }) => [name, [...params]])
}

/** A string that counts how often its characters are looked at or copied. */
function counted(text: string): { readonly value: string; readonly steps: () => number } {
  let steps = 0
  const value = {
    length: text.length,
    charCodeAt(index: number): number {
      steps++
      return text.charCodeAt(index)
    },
    slice(start: number, end: number): string {
      steps += end - start
      return text.slice(start, end)
    },
  }
  return { value: value as unknown as string, steps: () => steps }
}

const tokenChars = [..."!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"]
const token = fc.string({ unit: fc.constantFrom(...tokenChars), minLength: 1, maxLength: 12 })
const space = fc.string({ unit: fc.constantFrom(' ', '\t'), maxLength: 3 })
const comma = fc.stringMatching(/^[ \t,]{0,3},[ \t,]{0,3}$/)
/** Strings that are nearly right, which all random text never is. */
const nearly = fc.string({
  unit: fc.constantFrom('a', 'b', ';', '=', '"', '\\', ',', ' ', '\t', '/'),
  maxLength: 24,
})

describe('isToken', () => {
  it('takes tchar and nothing else', () => {
    const taken: string[] = []
    for (let code = 0; code < 0x300; code++) {
      const char = String.fromCharCode(code)
      if (isToken(char)) taken.push(char)
      assert.equal(isToken(`a${char}`), isToken(char), `code ${code}, after a letter`)
      assert.equal(isToken(`${char}a`), isToken(char), `code ${code}, before a letter`)
    }
    assert.deepEqual(taken, tokenChars.toSorted())
  })

  it('refuses the empty string and what only looks like ASCII', () => {
    for (const value of ['', '\u212a', '\u0141', '\ud83d\ude00', 'a b', 'a,'])
      assert.equal(isToken(value), false)
  })
})

describe('parseTokenList', () => {
  const good: [string, string[]][] = [
    ['chat', ['chat']],
    ['chat, superchat', ['chat', 'superchat']],
    ['chat,superchat', ['chat', 'superchat']],
    [' \tchat\t ,\t superchat ', ['chat', 'superchat']],
    [',, chat ,, ,superchat,', ['chat', 'superchat']],
    ['Keep-Alive, Upgrade', ['Keep-Alive', 'Upgrade']],
    ['a, a', ['a', 'a']],
    ['__proto__, constructor', ['__proto__', 'constructor']],
  ]
  for (const [value, expected] of good) {
    it(`parses ${JSON.stringify(value)}`, () => assert.deepEqual(parseTokenList(value), expected))
  }

  const bad = [
    '',
    ' ',
    ',',
    ' , ,\t',
    'a b',
    'a;b',
    'a, b c',
    '"a"',
    'a/1',
    'a,\n',
    'a\r\nb',
    'a, \u00e9',
    'a\0',
    'a=b',
  ]
  for (const value of bad) {
    it(`refuses ${JSON.stringify(value)}`, () => assert.equal(parseTokenList(value), undefined))
  }

  it('takes up to maxItems elements', () => {
    const names = Array.from({ length: maxSubprotocols }, (_, index) => `p${index}`)
    assert.equal(maxSubprotocols, 32)
    assert.deepEqual(parseTokenList(names.join(), maxSubprotocols), names)
    assert.equal(parseTokenList(`${names.join()},more`, maxSubprotocols), undefined)
    assert.equal(parseTokenList(`${names.join()},more`)?.length, 33)
  })

  it('agrees with splitting and trimming', () => {
    fc.assert(
      fc.property(nearly, (value) => {
        const parts = value
          .split(',')
          .map((part) => part.replace(/^[ \t]+|[ \t]+$/g, ''))
          .filter((part) => part !== '')
        const valid = parts.length > 0 && parts.every((part) => /^[ab]+$/.test(part))
        assert.deepEqual(parseTokenList(value), valid ? parts : undefined)
      }),
    )
  })

  it('gives back what was joined', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(token, comma), { minLength: 1 }), (parts) => {
        const value = parts.map(([name, separator]) => name + separator).join('')
        assert.deepEqual(
          parseTokenList(value),
          parts.map(([name]) => name),
        )
      }),
    )
  })
})

describe('listHasToken', () => {
  const cases: [string | undefined, boolean][] = [
    ['upgrade', true],
    ['Upgrade', true],
    ['UPGRADE', true],
    ['keep-alive, Upgrade', true],
    [',upgrade,', true],
    ['h2c, IRC/6.9, upgrade', true],
    [undefined, false],
    ['', false],
    ['upgraded', false],
    ['not-upgrade', false],
    ['keep-alive', false],
    ['upgrade/13', false],
    ['upgrade/', false],
    ['/upgrade', false],
    ['a/b/c, upgrade', false],
    ['upgrade; a', false],
    ['foo bar, upgrade', false],
    ['upgrade, foo bar', false],
    ['"upgrade"', false],
  ]
  for (const [value, expected] of cases) {
    it(`says ${expected} of ${JSON.stringify(value)}`, () =>
      assert.equal(listHasToken(value, 'upgrade'), expected))
  }

  it('folds the case of ASCII only', () => {
    assert.equal(listHasToken('WEBSOCKET', 'websocket'), true)
    assert.equal(listHasToken('webso\u0063\u212aet', 'websocket'), false)
  })
})

describe('parseExtensions', () => {
  const good: [string, [string, Params][]][] = [
    ['foo', [['foo', []]]],
    [
      'foo, bar; baz=2',
      [
        ['foo', []],
        ['bar', [['baz', '2']]],
      ],
    ],
    [
      'foo;a;b=c',
      [
        [
          'foo',
          [
            ['a', true],
            ['b', 'c'],
          ],
        ],
      ],
    ],
    ['foo; b="c"', [['foo', [['b', 'c']]]]],
    ['foo; b="\\c\\d"', [['foo', [['b', 'cd']]]]],
    [
      'foo ;\ta = 1 ; b\t=\t"2" ,bar',
      [
        [
          'foo',
          [
            ['a', '1'],
            ['b', '2'],
          ],
        ],
        ['bar', []],
      ],
    ],
    [
      ',, foo ,, bar,',
      [
        ['foo', []],
        ['bar', []],
      ],
    ],
    [
      'foo; a=1, foo; a=2',
      [
        ['foo', [['a', '1']]],
        ['foo', [['a', '2']]],
      ],
    ],
    [
      'x; A; a',
      [
        [
          'x',
          [
            ['A', true],
            ['a', true],
          ],
        ],
      ],
    ],
    [
      'permessage-deflate; client_max_window_bits; server_max_window_bits=10',
      [
        [
          'permessage-deflate',
          [
            ['client_max_window_bits', true],
            ['server_max_window_bits', '10'],
          ],
        ],
      ],
    ],
    [
      'constructor; __proto__; toString=hasOwnProperty',
      [
        [
          'constructor',
          [
            ['__proto__', true],
            ['toString', 'hasOwnProperty'],
          ],
        ],
      ],
    ],
  ]
  for (const [value, expected] of good) {
    it(`parses ${JSON.stringify(value)}`, () => assert.deepEqual(plain(parseExtensions(value)), expected))
  }

  const bad = [
    '',
    ' ',
    ',,',
    ';',
    ';a',
    '=',
    'foo;',
    'foo; ',
    'foo;;a',
    'foo;,bar',
    'foo a',
    'foo; a b',
    'foo; a=',
    'foo; a= ',
    'foo; =1',
    'foo; a==1',
    'foo; a=1=2',
    'foo; a=1 2',
    'foo=1',
    'foo; a="',
    'foo; a="b',
    'foo; a=""',
    'foo; a="b c"',
    'foo; a="b,c"',
    'foo; a="\\"',
    'foo; a="\\""',
    'foo; a="\\\\"',
    'foo; a="b"c',
    'foo; a=b"c"',
    'foo; "a"',
    '"foo"',
    'foo\0',
    'foo; a=\u00e9',
    'foo; a="\u00e9"',
    'foo\r\n',
  ]
  for (const value of bad) {
    it(`refuses ${JSON.stringify(value)}`, () => assert.equal(parseExtensions(value), undefined))
  }

  it('tells which elements name a parameter twice, and keeps the first', () => {
    const items = parseExtensions('foo; a=1; a=2, foo; a=1, bar; b; b, bar; b; a; b=1') ?? []
    assert.deepEqual(
      items.map(({ repeats }) => repeats),
      [true, false, true, true],
    )
    assert.equal(items[0]?.params.get('a'), '1')
    assert.equal(parseExtensions(`x${'; a'.repeat(maxExtensionParams)}`)?.[0]?.repeats, true)
    assert.equal(parseExtensions(`x${'; a'.repeat(maxExtensionParams + 1)}`), undefined)
  })

  it('knows no names but those of the header', () => {
    const [item] = parseExtensions('foo; a') ?? []
    assert.equal(item?.params.get('constructor'), undefined)
    assert.equal(item?.params.has('toString'), false)
  })

  it('takes so many elements and parameters, and no more', () => {
    const params = Array.from({ length: maxExtensionParams }, (_, index) => `; p${index}`).join('')
    const items = Array.from({ length: maxExtensions }, () => `x${params}`).join()
    assert.deepEqual([maxExtensions, maxExtensionParams], [32, 16])
    assert.equal(parseExtensions(items)?.length, 32)
    assert.equal(parseExtensions(items)?.[31]?.params.size, 16)
    assert.equal(parseExtensions(`${items}, x`), undefined)
    assert.equal(parseExtensions(`x${params}; more`), undefined)
  })

  it('agrees with a grammar written as one expression', () => {
    const parameter = String.raw`[ \t]*;[ \t]*[ab]+(?:[ \t]*=[ \t]*(?:[ab]+|"(?:\\?[ab])+"))?`
    const item = `[ab]+(?:${parameter})*`
    const grammar = new RegExp(String.raw`^[ \t,]*${item}(?:[ \t]*,[ \t,]*${item})*[ \t,]*$`)
    const repeats = (element: string): boolean => {
      const names = element
        .split(';')
        .slice(1)
        .map((part) => part.split('=')[0]?.trim())
      return new Set(names).size < names.length
    }
    const elements = (value: string): string[] => value.split(',').filter((element) => element.trim() !== '')
    fc.assert(
      fc.property(nearly, (value) => {
        const expected = grammar.test(value) ? elements(value).map(repeats) : undefined
        assert.deepEqual(
          parseExtensions(value)?.map((item) => item.repeats),
          expected,
        )
      }),
      { numRuns: 2000 },
    )
  })
})

describe('formatExtension', () => {
  it('writes names and values', () => {
    const params: ExtensionParams = new Map<string, string | true>([
      ['a', true],
      ['b', '10'],
    ])
    assert.equal(formatExtension('foo', params), 'foo; a; b=10')
    assert.equal(formatExtension('foo', new Map()), 'foo')
  })

  it('is undone by parseExtensions, spaced and quoted in any way', () => {
    const param = fc.tuple(token, fc.oneof(token, fc.constant(true as const)))
    const item = fc.record({
      name: token,
      params: fc.uniqueArray(param, { maxLength: maxExtensionParams, selector: ([name]) => name }),
    })
    const items = fc.array(item, { minLength: 1, maxLength: maxExtensions })
    fc.assert(
      fc.property(items, space, comma, fc.boolean(), (list, gap, separator, quoted) => {
        const expected = list.map(({ name, params }) => [name, params])
        const header = list.map(({ name, params }) => formatExtension(name, new Map(params))).join(', ')
        assert.deepEqual(plain(parseExtensions(header)), expected)
        const write = ([name, value]: [string, string | true]): string => {
          if (value === true) return `${gap};${gap}${name}`
          return `${gap};${gap}${name}${gap}=${gap}${quoted ? `"${[...value].map((char) => `\\${char}`).join('')}"` : value}`
        }
        const spaced = list.map(({ name, params }) => name + params.map(write).join('')).join(separator)
        assert.deepEqual(plain(parseExtensions(spaced)), expected)
      }),
    )
  })
})

describe('all parsers', () => {
  const parsers: Record<string, (value: string) => unknown> = {
    parseTokenList: (value) => parseTokenList(value),
    parseExtensions,
    listHasToken: (value) => listHasToken(value, 'upgrade'),
  }

  it('never throw, and give tokens only', () => {
    const text = fc.oneof(fc.string({ unit: 'binary', maxLength: 40 }), nearly)
    fc.assert(
      fc.property(text, (value) => {
        listHasToken(value, 'upgrade')
        for (const name of parseTokenList(value) ?? []) assert.ok(isToken(name))
        for (const { name, params } of parseExtensions(value) ?? []) {
          assert.ok(isToken(name))
          for (const [key, param] of params) assert.ok(isToken(key) && (param === true || isToken(param)))
        }
      }),
    )
  })

  const units = [
    ',',
    ' ',
    '\t',
    ', ',
    ' ,',
    ';',
    '=',
    '"',
    '\\',
    'a',
    'a,',
    'a ',
    'a;',
    'a;b ',
    'a;b=',
    'a; b="',
    'a;b="c"',
    'a/',
    'a/b,',
  ]
  for (const [name, parse] of Object.entries(parsers)) {
    it(`${name} takes steps in proportion to the length`, () => {
      for (const unit of units) {
        for (const [prefix, suffix] of [
          ['', ''],
          ['a; b="', ''],
          ['a; b=', ' "'],
          ['a', '\0'],
          ['a;b', ' c'],
        ] as const) {
          const text = prefix + unit.repeat(65_536 / unit.length) + suffix
          const { value, steps } = counted(text)
          parse(value)
          assert.ok(steps() <= 8 * text.length, `${steps()} steps for ${JSON.stringify(text.slice(0, 20))}`)
        }
      }
    })
  }

  it('are counted by that test: each character of a good list is looked at', () => {
    const { value, steps } = counted('a,'.repeat(1000))
    assert.equal(parseTokenList(value)?.length, 1000)
    assert.ok(steps() >= 2000)
  })
})
