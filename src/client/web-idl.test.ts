import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import {
  defineConstants,
  ensurePrototype,
  expose,
  illegalInvocation,
  isObject,
  requireArguments,
  toClampedShort,
  toDictionary,
  toDomString,
  toSequence,
  toUnsignedShort,
  toUsvString,
} from './web-idl.ts'

/** Values that Web IDL takes apart, each with what `Number` makes of it in JavaScript's own conversion. */
const anything = fc.oneof(
  fc.integer(),
  fc.double(),
  fc.string(),
  fc.boolean(),
  fc.constant(null),
  fc.constant(undefined),
)

describe('strings', () => {
  it('are made of anything but symbols', () => {
    for (const [value, text] of [
      [5, '5'],
      [null, 'null'],
      [undefined, 'undefined'],
      [10n, '10'],
      [{ toString: () => 'own' }, 'own'],
      [[1, [2]], '1,2'],
    ])
      assert.equal(toDomString(value), text)
    assert.throws(() => toDomString(Symbol('x')), TypeError)
    assert.throws(() => toUsvString(Symbol('x')), TypeError)
  })

  it('keep lone surrogates, or lose them', () => {
    assert.equal(toDomString('a\ud800'), 'a\ud800')
    assert.equal(toUsvString('a\ud800\udc00\udc00'), 'a\ud800\udc00\ufffd')
  })
})

describe('an unsigned short', () => {
  it('is clamped to the nearest integer, of two the even one', () => {
    for (const [value, short] of [
      [-1, 0],
      [-0.5, 0],
      [0.5, 0],
      [1.5, 2],
      [2.5, 2],
      [3000.4, 3000],
      [3000.7, 3001],
      [65_535.5, 65_535],
      [Number.POSITIVE_INFINITY, 65_535],
      [Number.NEGATIVE_INFINITY, 0],
      [Number.NaN, 0],
      ['1000', 1000],
      ['x', 0],
      [undefined, 0],
      [{ valueOf: () => 7 }, 7],
    ])
      assert.equal(toClampedShort(value), short, String(value))
  })

  it('is taken modulo 2^16', () => {
    for (const [value, short] of [
      [-1, 65_535],
      [1.9, 1],
      [-1.9, 65_535],
      [65_536, 0],
      [70_000, 4464],
      [2 ** 40 + 5, 5],
      [Number.NaN, 0],
      [Number.POSITIVE_INFINITY, 0],
      ['7', 7],
      [null, 0],
      [true, 1],
    ])
      assert.equal(toUnsignedShort(value), short, String(value))
  })

  it('is always one, and never made of symbols and bigints', () => {
    fc.assert(
      fc.property(anything, (value) => {
        for (const short of [toClampedShort(value), toUnsignedShort(value)])
          assert.ok(Number.isInteger(short) && short >= 0 && short <= 65_535)
      }),
    )
    for (const value of [Symbol('x'), 1n]) {
      assert.throws(() => toClampedShort(value), TypeError)
      assert.throws(() => toUnsignedShort(value), TypeError)
    }
  })
})

describe('toDictionary', () => {
  it('takes objects and functions, and nothing as an empty one', () => {
    const given = { a: 1 }
    assert.equal(toDictionary(given, 'f'), given)
    assert.equal(
      toDictionary(
        Object.assign(() => {}, given),
        'f',
      )['a'],
      1,
    )
    for (const nothing of [undefined, null]) assert.deepEqual(toDictionary(nothing, 'f'), {})
    for (const value of [5, 'x', true, Symbol('x')])
      assert.throws(() => toDictionary(value, 'f'), { name: 'TypeError', message: /^f: / })
  })
})

describe('ensurePrototype', () => {
  it('is for constructors without a prototype alone', () => {
    class Type {}
    class Other {}
    for (const [newTarget, expected] of [
      [{ prototype: null }, Type],
      [{ prototype: 5 }, Type],
      [Other, Other],
    ] as const) {
      const object = new Other()
      ensurePrototype(object, newTarget, Type)
      assert.equal(Object.getPrototypeOf(object), expected.prototype)
    }
  })
})

describe('toSequence', () => {
  it('takes no iterator, nor a step of one, that is no object: it would never be done', () => {
    for (const step of [1, undefined, null, 'done'])
      assert.throws(() => toSequence({ [Symbol.iterator]: () => ({ next: () => step }) }, 'f'), TypeError)
    for (const iterator of [1, undefined, null, 'x'])
      assert.throws(() => toSequence({ [Symbol.iterator]: () => iterator }, 'f'), TypeError)
  })

  it('takes what is iterable, and converts each element', () => {
    assert.deepEqual(toSequence(['a', 5, null], 'f'), ['a', '5', 'null'])
    assert.deepEqual(toSequence(new Set(['a', 'b']), 'f'), ['a', 'b'])
    assert.deepEqual(toSequence(new String('ab'), 'f'), ['a', 'b'])
    assert.deepEqual(toSequence(new Array(2), 'f'), ['undefined', 'undefined'])
  })

  it('leaves what is not', () => {
    for (const value of ['ab', 5, null, undefined, {}, () => {}, { [Symbol.iterator]: null }])
      assert.equal(toSequence(value, 'f'), undefined)
  })

  it('throws for what only seems to be', () => {
    for (const iterator of [5, {}, () => 1, () => ({})])
      assert.throws(() => toSequence({ [Symbol.iterator]: iterator }, 'f'), TypeError)
    assert.throws(() => toSequence([Symbol('x')], 'f'), TypeError)
  })

  it('looks up each method once, and converts before it goes on', () => {
    const log: string[] = []
    const say = (text: string) => ({ toString: () => `${log.push(text)}` })
    const rest = ['one', 'two']
    const step = () => {
      log.push('step')
      const text = rest.shift()
      return text === undefined ? { done: true } : { done: false, value: say(text) }
    }
    const iterator = {
      get next() {
        log.push('next')
        return step
      },
    }
    const iterable = {
      get [Symbol.iterator]() {
        log.push('iterator')
        return () => iterator
      },
    }
    toSequence(iterable, 'f')
    assert.deepEqual(log, ['iterator', 'next', 'step', 'one', 'step', 'two', 'step'])
  })
})

describe('members', () => {
  it('are made such that they are seen', () => {
    class Thing {
      get name(): string {
        return 'x'
      }
      act(): void {}
    }
    expose(Thing)
    defineConstants(Thing, { ONE: 1 })
    assert.equal(String(new Thing()), '[object Thing]')
    const names: string[] = []
    for (const name in new Thing()) names.push(name)
    assert.deepEqual(names, ['name', 'act', 'ONE'])
    const wanted = { value: 1, writable: false, enumerable: true, configurable: false }
    assert.deepEqual(Object.getOwnPropertyDescriptor(Thing, 'ONE'), wanted)
    assert.deepEqual(Object.getOwnPropertyDescriptor(Thing.prototype, 'ONE'), wanted)
    assert.deepEqual(Object.getOwnPropertyDescriptor(Thing.prototype, Symbol.toStringTag), {
      value: 'Thing',
      writable: false,
      enumerable: false,
      configurable: true,
    })
  })

  it('say what they miss', () => {
    requireArguments('f', 1, 1)
    requireArguments('f', 3, 2)
    assert.throws(
      () => requireArguments('f', 0, 1),
      new TypeError('f: 1 argument required, but only 0 present'),
    )
    assert.throws(
      () => requireArguments('f', 1, 2),
      new TypeError('f: 2 arguments required, but only 1 present'),
    )
    assert.deepEqual(illegalInvocation(), new TypeError('Illegal invocation'))
    assert.deepEqual([{}, () => {}, null, undefined, 5].map(isObject), [true, true, false, false, false])
  })
})
