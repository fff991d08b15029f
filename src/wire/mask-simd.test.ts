import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { maskByWords } from './mask.ts'
import { makeSimdMask, type SimdMask } from './mask-simd.ts'

/** RFC 6455 section 5.3, to the letter. */
function maskSlowly(bytes: Uint8Array, start: number, end: number, key: number): Uint8Array {
  const octets = [key >>> 24, (key >>> 16) & 0xff, (key >>> 8) & 0xff, key & 0xff]
  return bytes.map((byte, i) => (i < start || i >= end ? byte : byte ^ (octets[(i - start) % 4] as number)))
}

for (const [name, simd] of [
  ['masking by WebAssembly', makeSimdMask() as SimdMask],
  ['masking by words in its place', maskByWords],
] as const) {
  describe(name, () => {
    const mask = (bytes: Uint8Array, start: number, end: number, key: number): boolean =>
      simd(bytes, start, end, key, bytes, start)

    it('does as RFC 6455 says, wherever the bytes lie and however many blocks they are', () => {
      for (const count of [1, 2, 3, 4095, 4096, 4097, 8192, 8193, 12_289]) {
        for (const start of [0, 1, 2, 3, 4, 7, 15, 16, 17]) {
          const plain = Uint8Array.from(
            { length: start + 16 * count + 5 },
            (_, i) => (i * 167 + (i >>> 8)) & 0xff,
          )
          const bytes = plain.slice()
          const end = start + 16 * count
          mask(bytes, start, end, 0x81f3a50c)
          assert.ok(
            Buffer.from(bytes).equals(maskSlowly(plain, start, end, 0x81f3a50c)),
            `${count} from ${start}`,
          )
        }
      }
    })

    it('leaves the bytes as they are when it writes elsewhere', () => {
      for (const count of [1, 4096, 8193]) {
        const plain = Uint8Array.from({ length: 16 * count + 9 }, (_, i) => (i * 167) & 0xff)
        const bytes = plain.slice()
        const target = new Uint8Array(bytes.length)
        simd(bytes, 3, 3 + 16 * count, 0x81f3a50c, target, 7)
        const masked = maskSlowly(plain, 3, 3 + 16 * count, 0x81f3a50c).subarray(3, 3 + 16 * count)
        assert.ok(Buffer.from(bytes).equals(plain))
        assert.ok(Buffer.from(target).equals(Buffer.concat([Buffer.alloc(7), masked, Buffer.alloc(2)])))
      }
    })

    it('tells of any byte that is not ASCII, and of no other', () => {
      fc.assert(
        fc.property(
          fc.integer({ min: 1, max: 6000 }),
          fc.integer(),
          fc.option(fc.nat()),
          (count, key, at) => {
            const plain = new Uint8Array(16 * count).fill(0x7f)
            if (at !== null) plain[at % plain.length] = 0x80
            const bytes = plain.slice()
            mask(bytes, 0, bytes.length, key)
            assert.equal(mask(bytes, 0, bytes.length, key), at !== null)
            assert.ok(Buffer.from(bytes).equals(plain))
          },
        ),
        { numRuns: 50 },
      )
    })
  })
}

describe('makeSimdMask', () => {
  it('is not there where the runtime has no WebAssembly, or not these instructions', () => {
    const nothing = class {
      readonly exports = {}
    }
    const refusing = class {
      constructor() {
        throw new SyntaxError('wasm function: unknown opcode')
      }
    }
    assert.equal(makeSimdMask({ Module: refusing, Instance: nothing }), undefined)
    assert.equal(makeSimdMask(null as never), undefined)
  })
})
