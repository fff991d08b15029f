import assert from 'node:assert/strict'
import { isUtf8 } from 'node:buffer'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { Utf8Validator } from './utf8.ts'

function encode(point: number): number[] {
  if (point < 0x80) return [point]
  if (point < 0x800) return [0xc0 | (point >> 6), 0x80 | (point & 63)]
  if (point < 0x10000) return [0xe0 | (point >> 12), 0x80 | ((point >> 6) & 63), 0x80 | (point & 63)]
  return [0xf0 | (point >> 18), 0x80 | ((point >> 12) & 63), 0x80 | ((point >> 6) & 63), 0x80 | (point & 63)]
}

/** Whether some text begins with these bytes: the definition of failing fast, from the table of RFC 3629 section 4. */
function isPrefixOfText(bytes: readonly number[]): boolean {
  for (let at = 0; at < bytes.length; ) {
    const lead = bytes[at] as number
    const size = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0
    if (size === 0) return false
    for (let i = 1; i < size && at + i < bytes.length; i++) {
      const byte = bytes[at + i] as number
      const low = i > 1 ? 0x80 : lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80
      const high = i > 1 ? 0xbf : lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf
      if (byte < low || byte > high) return false
    }
    at += size
  }
  return true
}

/** Pushes one piece after the other; the number of bytes after which it failed, or -1. */
function failsAt(pieces: readonly (readonly number[])[], validator = new Utf8Validator()): number {
  let seen = 0
  for (const piece of pieces) {
    seen += piece.length
    // In the middle of other bytes, which must not count.
    const around = Uint8Array.from([0xff, ...piece, 0xff])
    if (!validator.push(around, 1, 1 + piece.length)) return seen
  }
  return -1
}

const singly = (bytes: readonly number[]): number[][] => bytes.map((byte) => [byte])

// Bytes at which the rules change, so that random sequences of them often go wrong late.
const edge = fc.constantFrom(
  ...[0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed],
  ...[0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff],
)

const point = fc.integer({ min: 0, max: 0x10ffff }).filter((value) => value < 0xd800 || value > 0xdfff)

describe('Utf8Validator', () => {
  it('takes the first and last code points of every length, whole and byte by byte', () => {
    const points = [0, 0x7f, 0x80, 0x7ff, 0x800, 0xd7ff, 0xe000, 0xfffd, 0xffff, 0x10000, 0x3ffff, 0x10ffff]
    for (const point of points) {
      const bytes = encode(point)
      for (const pieces of [[bytes], singly(bytes)]) {
        const validator = new Utf8Validator()
        assert.equal(failsAt(pieces, validator), -1, point.toString(16))
        assert.equal(validator.complete, true)
      }
    }
  })

  const wrong: [string, number[], number][] = [
    ['a continuation byte alone', [0x80], 1],
    ['overlong, two bytes', [0xc0, 0x80], 1],
    ['overlong, two bytes, highest', [0xc1, 0xbf], 1],
    ['overlong, three bytes', [0xe0, 0x9f, 0xbf], 2],
    ['the first surrogate', [0xed, 0xa0, 0x80], 2],
    ['the last surrogate', [0xed, 0xbf, 0xbf], 2],
    ['overlong, four bytes', [0xf0, 0x8f, 0xbf, 0xbf], 2],
    ['beyond Unicode', [0xf4, 0x90, 0x80, 0x80], 2],
    ['far beyond Unicode', [0xf5, 0x80, 0x80, 0x80], 1],
    ['five bytes', [0xf8, 0x88, 0x80, 0x80, 0x80], 1],
    ['a byte that is never used', [0xff], 1],
    ['a sequence that ends too early', [0xe2, 0x82, 0x41], 3],
    ['a sequence begun inside another', [0xf0, 0x9f, 0xf0], 3],
  ]
  for (const [what, bytes, at] of wrong) {
    it(`refuses ${what} at the first byte that shows it`, () => {
      assert.equal(failsAt(singly(bytes)), at)
      assert.equal(failsAt(singly([0x61, ...bytes])), 1 + at)
      assert.notEqual(failsAt([bytes]), -1)
      assert.notEqual(failsAt([[0x61, 0x61, 0x61, 0x61, ...bytes]]), -1)
    })
  }

  it('tells an unfinished code point from an error', () => {
    const bytes = encode(0x1f98d)
    for (let length = 1; length < 4; length++) {
      const validator = new Utf8Validator()
      assert.equal(failsAt([[0x41, ...bytes.slice(0, length)]], validator), -1)
      assert.equal(validator.complete, false)
      assert.equal(failsAt([bytes.slice(length)], validator), -1)
      assert.equal(validator.complete, true)
    }
  })

  it('begins anew after reset, whatever was unfinished', () => {
    for (const lead of [0xc3, 0xe0, 0xed, 0xf0, 0xf4]) {
      const validator = new Utf8Validator()
      failsAt([[lead]], validator)
      validator.reset()
      assert.equal(validator.complete, true)
      assert.equal(failsAt([[0xe1, 0x80, 0x80]], validator), -1)
      assert.equal(validator.complete, true)
    }
  })

  it('takes nothing for nothing', () => {
    const validator = new Utf8Validator()
    assert.equal(failsAt([[], [0xc3], [], [0xa9], []], validator), -1)
    assert.equal(validator.complete, true)
  })

  it('fails exactly where no text can begin so, cut anywhere', () => {
    fc.assert(
      fc.property(
        fc.array(fc.array(fc.oneof(edge, fc.nat(255)), { maxLength: 6 }), { maxLength: 6 }),
        (pieces) => {
          const validator = new Utf8Validator()
          const failed = failsAt(pieces, validator)
          const bytes = pieces.flat()
          const good = isPrefixOfText(bytes)
          assert.equal(failed === -1, good)
          if (failed !== -1) {
            // Not before it had to, and not later than in the piece that shows it.
            assert.equal(isPrefixOfText(bytes.slice(0, failed)), false)
          } else {
            assert.equal(validator.complete, isUtf8(Uint8Array.from(bytes)))
          }
        },
      ),
      { numRuns: 2000 },
    )
  })

  it('takes any text, cut anywhere', () => {
    fc.assert(
      fc.property(
        fc.array(point, { maxLength: 20 }),
        fc.array(fc.nat(60), { maxLength: 5 }),
        (points, cuts) => {
          const bytes = points.flatMap(encode)
          const ends = [...cuts.map((cut) => Math.min(cut, bytes.length)), bytes.length].sort((a, b) => a - b)
          const validator = new Utf8Validator()
          let start = 0
          for (const end of ends) {
            assert.equal(failsAt([bytes.slice(start, end)], validator), -1)
            start = end
          }
          assert.equal(validator.complete, true)
        },
      ),
    )
  })
})
