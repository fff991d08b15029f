import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { headerSize, MAX_HEADER_SIZE, writeHeader } from './frame-header.ts'

/** A header written at an offset, with bytes around it that must stay. */
function write(first: number, length: number, key?: number): string {
  const target = new Uint8Array(3 + MAX_HEADER_SIZE + 3).fill(0xaa)
  const end = writeHeader(target, 3, first, length, key)
  assert.equal(end - 3, headerSize(length, key !== undefined))
  assert.ok(target.subarray(0, 3).every((byte) => byte === 0xaa))
  assert.ok(target.subarray(end).every((byte) => byte === 0xaa))
  return Buffer.from(target.subarray(3, end)).toString('hex')
}

describe('a frame header', () => {
  const lengths: [number, string][] = [
    [0, '8200'],
    [1, '8201'],
    [125, '827d'],
    [126, '827e007e'],
    [127, '827e007f'],
    [255, '827e00ff'],
    [256, '827e0100'],
    [65_535, '827effff'],
    [65_536, '827f0000000000010000'],
    [2 ** 31, '827f0000000080000000'],
    [2 ** 32 - 1, '827f00000000ffffffff'],
    [2 ** 32, '827f0000000100000000'],
    [2 ** 40 + 3, '827f0000010000000003'],
    [Number.MAX_SAFE_INTEGER, '827f001fffffffffffff'],
  ]
  for (const [length, expected] of lengths) {
    it(`has the shortest form of the length ${length}`, () => assert.equal(write(0x82, length), expected))
  }

  it('of a masked frame ends with the key', () => {
    assert.equal(write(0x81, 5, 0x37fa213d), '818537fa213d')
    assert.equal(write(0x81, 126, 0x00000001), '81fe007e00000001')
    assert.equal(write(0x81, 65_536, 0xffffffff), '81ff0000000000010000ffffffff')
    assert.equal(write(0x88, 0, 0), '888000000000')
  })

  it('takes a key with its highest bit set in either form of the integer', () => {
    assert.equal(write(0x82, 1, 0x80000001), '828180000001')
    assert.equal(write(0x82, 1, 0x80000001 | 0), '828180000001')
  })

  it('is never longer than the longest', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), fc.boolean(), (length, masked) => {
        assert.ok(headerSize(length, masked) <= MAX_HEADER_SIZE)
      }),
    )
    assert.equal(headerSize(65_536, true), MAX_HEADER_SIZE)
  })
})
