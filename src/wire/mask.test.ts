import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { retainedMemory, unmeasured } from '../../test/memory.ts'
import { applyMask, copyMasked, rotateKey } from './mask.ts'

/** RFC 6455 section 5.3, to the letter. */
function maskSlowly(bytes: Uint8Array, start: number, end: number, key: number): Uint8Array {
  const octets = [key >>> 24, (key >>> 16) & 0xff, (key >>> 8) & 0xff, key & 0xff]
  return bytes.map((byte, i) => (i < start || i >= end ? byte : byte ^ (octets[(i - start) % 4] as number)))
}

function random(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * 167 + (i >>> 3) * 59) & 0xff)
}

/** Bytes at an offset of a larger buffer whose length need not be whole words. */
function placed(bytes: Uint8Array, offset: number, behind: number): Uint8Array {
  const around = new Uint8Array(offset + bytes.length + behind)
  around.set(bytes, offset)
  return around.subarray(offset, offset + bytes.length)
}

const keys = [0, 1, 0x37fa213d, 0x80000000, 0xdeadbeef, 0xffffffff, -1, 0x00ff00ff]

describe('masking', () => {
  it('is that of the example in RFC 6455 section 5.7', () => {
    const bytes = Buffer.from('7f9f4d5158', 'hex')
    applyMask(bytes, 0, 5, 0x37fa213d)
    assert.equal(bytes.toString(), 'Hello')
  })

  it('touches its range and nothing else, at every alignment and length around the words', () => {
    for (let offset = 0; offset < 4; offset++) {
      for (const length of [0, 1, 2, 3, 4, 5, 7, 8, 62, 63, 64, 65, 66, 67, 68, 79, 80, 81, 127, 128, 131]) {
        for (let start = 0; start < 5; start++) {
          const plain = random(length + 9)
          const bytes = placed(plain, offset, length % 4)
          const key = keys[(offset + length + start) % keys.length] as number
          applyMask(bytes, start, start + length, key)
          assert.deepEqual(
            Buffer.from(bytes),
            Buffer.from(maskSlowly(plain, start, start + length, key)),
            `offset ${offset}, length ${length}, start ${start}`,
          )
        }
      }
    }
  })

  it('twice is nothing, and tells all bytes or-ed together', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 300 }),
        fc.integer(),
        fc.nat(7),
        fc.nat(3),
        (plain, key, offset, behind) => {
          const bytes = placed(plain, offset, behind)
          applyMask(bytes, 0, bytes.length, key)
          const all = applyMask(bytes, 0, bytes.length, key)
          assert.deepEqual(Buffer.from(bytes), Buffer.from(plain))
          assert.equal(
            (all & 0x80808080) === 0,
            plain.every((byte) => byte < 0x80),
          )
        },
      ),
    )
  })

  it('on the way into another buffer changes only that', () => {
    for (const length of [0, 1, 63, 64, 4095, 4096, 4103, 65_551, 150_001]) {
      for (const key of [0, 0x37fa213d, -1]) {
        const plain = random(length + 7)
        const bytes = placed(plain, 1, 2)
        const target = new Uint8Array(length + 12)
        copyMasked(bytes, 5, 5 + length, key, target, 9)
        const masked = maskSlowly(plain, 5, 5 + length, key).subarray(5, 5 + length)
        assert.ok(Buffer.from(bytes).equals(plain), `length ${length}`)
        assert.ok(
          Buffer.from(target).equals(Buffer.concat([Buffer.alloc(9), masked, Buffer.alloc(3)])),
          `length ${length}, key ${key}`,
        )
      }
    }
  })

  it('is the same for large payloads, at every alignment and for every rest', () => {
    for (const length of [4095, 4096, 4097, 4111, 4112, 65_535, 65_536, 65_551, 200_003]) {
      for (const start of [0, 1, 2, 3, 14]) {
        const plain = random(start + length + 5)
        const bytes = placed(plain, start % 4, 1)
        applyMask(bytes, start, start + length, 0x37fa213d)
        const slowly = maskSlowly(plain, start, start + length, 0x37fa213d)
        assert.ok(Buffer.from(bytes).equals(slowly), `length ${length}, start ${start}`)
      }
    }
  })

  it('sees a byte beyond ASCII at any place of a large text', () => {
    for (const length of [4096, 4109, 70_001]) {
      for (const at of [0, 15, 16, 4000, length - 14, length - 1]) {
        const bytes = new Uint8Array(length).fill(0x61)
        assert.equal(applyMask(bytes, 0, length, 0) & 0x80808080, 0)
        bytes[at] = 0xc3
        assert.notEqual(applyMask(bytes, 0, length, 0) & 0x80808080, 0, `${at} of ${length}`)
      }
    }
  })

  it('sees a byte beyond ASCII at any place of a long text', () => {
    for (let at = 0; at < 140; at++) {
      const bytes = placed(new Uint8Array(140).fill(0x61), at % 4, 1)
      bytes[at] = 0xc3
      applyMask(bytes, 0, 140, 0x12345678)
      assert.notEqual(applyMask(bytes, 0, 140, 0x12345678) & 0x80808080, 0, `at ${at}`)
    }
  })

  it('goes on in another piece with the key turned', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 1, maxLength: 400 }),
        fc.integer(),
        fc.array(fc.nat(400), { maxLength: 6 }),
        (plain, key, cuts) => {
          const whole = Buffer.from(plain)
          applyMask(whole, 0, whole.length, key)
          const pieces = Buffer.from(plain)
          const ends = [...cuts.map((cut) => cut % pieces.length), pieces.length].sort((a, b) => a - b)
          let start = 0
          let turned = key
          for (const end of ends) {
            applyMask(pieces, start, end, turned)
            turned = rotateKey(turned, end - start)
            start = end
          }
          assert.deepEqual(pieces, whole)
        },
      ),
    )
  })

  it('turns a key by whole bytes', () => {
    assert.equal(rotateKey(0x01020304, 0), 0x01020304)
    assert.equal(rotateKey(0x01020304, 1), 0x02030401)
    assert.equal(rotateKey(0x01020304, 2), 0x03040102)
    assert.equal(rotateKey(0x01020304, 3), 0x04010203)
    assert.equal(rotateKey(0x01020304, 4_000_000_001), 0x02030401)
    assert.equal(rotateKey(0x81828384, 1) >>> 0, 0x82838481)
  })

  it('keeps no large message alive', { skip: unmeasured }, () => {
    const mask = (length: number): void => void applyMask(new Uint8Array(length), 0, 100, 1)
    mask(65_536)
    const before = retainedMemory()
    mask(32 * 1024 * 1024)
    const kept = retainedMemory() - before
    assert.ok(kept < 8 * 1024 * 1024, `${kept} bytes are kept`)
  })
})
