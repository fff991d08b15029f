import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { frame, hex } from '../../test/frames.ts'
import { encodeFrame, encodeText } from './frame-encoder.ts'
import { Output } from './output.ts'

const key = 0x37fa213d
const mask = hex('37fa213d')

function written(output: Output): Buffer {
  const { pending } = output
  const taken = output.take()
  const bytes = Buffer.concat(taken instanceof Uint8Array ? [taken] : taken)
  assert.equal(bytes.length, pending)
  return bytes
}

function text(value: string, masked: boolean): Buffer {
  const output = new Output()
  // Not at the beginning of the slab.
  encodeText(output, '', undefined)
  encodeText(output, value, masked ? key : undefined)
  return written(output).subarray(2)
}

function binary(payload: Uint8Array, masked: boolean): Buffer {
  const output = new Output()
  encodeFrame(output, 0x82, payload, masked ? key : undefined)
  return written(output)
}

// Around the lengths at which header or way of writing change, in bytes of one, two, three and four a character.
const lengths = [
  0, 1, 41, 42, 62, 63, 125, 126, 127, 5461, 16_383, 16_384, 16_385, 21_845, 21_846, 32_768, 65_535, 65_536,
]
const characters = ['x', 'é', '€', '\u{1f98d}', '\ud800']

describe('encodeText', () => {
  for (const character of characters) {
    it(`frames texts of ${JSON.stringify(character)} of all lengths`, () => {
      for (const length of lengths) {
        const value = character.repeat(length)
        assert.ok(text(value, false).equals(frame({ opcode: 1, payload: value })), `${length}`)
        assert.ok(text(value, true).equals(frame({ opcode: 1, payload: value, mask })), `${length}, masked`)
      }
    })
  }

  it('frames any text', () => {
    const unit = fc.oneof(fc.constant(0x61), fc.integer({ min: 0, max: 0xffff }))
    fc.assert(
      fc.property(fc.array(unit, { maxLength: 300 }), fc.boolean(), (units, masked) => {
        const value = String.fromCharCode(...units)
        const expected = frame({ opcode: 1, payload: Buffer.from(value), ...(masked ? { mask } : {}) })
        assert.deepEqual(text(value, masked), expected)
      }),
    )
  })
})

describe('encodeFrame', () => {
  it('frames bytes of all lengths, and leaves them as they are', () => {
    for (const length of lengths) {
      const payload = Buffer.from(Uint8Array.from({ length }, (_, i) => (i * 31) & 0xff))
      const before = Buffer.from(payload)
      assert.ok(binary(payload, false).equals(frame({ opcode: 2, payload })), `${length}`)
      assert.ok(binary(payload, true).equals(frame({ opcode: 2, payload, mask })), `${length}, masked`)
      assert.ok(payload.equals(before), `${length}: changed`)
    }
  })

  it('sends more than 16 KiB from where they lie, unless they are masked', () => {
    const references = (length: number, masked: boolean): boolean => {
      const output = new Output()
      const payload = new Uint8Array(length)
      encodeFrame(output, 0x82, payload, masked ? key : undefined)
      const taken = output.take()
      return Array.isArray(taken) && taken.includes(payload)
    }
    assert.equal(references(16_385, false), true)
    assert.equal(references(16_384, false), false)
    assert.equal(references(16_385, true), false)
  })

  it('writes the first byte as it is given', () => {
    const output = new Output()
    encodeFrame(output, 0xc1, Buffer.from('x'), undefined)
    assert.equal(written(output).toString('hex'), 'c10178')
  })
})

describe('frames one behind the other', () => {
  it('come out whole and in order, whatever their sizes', () => {
    const size = fc.oneof(fc.nat(300), fc.nat(3000), fc.integer({ min: 16_000, max: 17_000 }))
    fc.assert(
      fc.property(
        fc.array(fc.tuple(size, fc.boolean()), { maxLength: 12 }),
        fc.boolean(),
        (messages, masked) => {
          const output = new Output()
          const expected: Buffer[] = []
          for (const [length, isText] of messages) {
            const payload = Buffer.alloc(length, `${length};`)
            if (isText) encodeText(output, payload.toString(), masked ? key : undefined)
            else encodeFrame(output, 0x82, payload, masked ? key : undefined)
            expected.push(frame({ opcode: isText ? 1 : 2, payload, ...(masked ? { mask } : {}) }))
          }
          assert.ok(written(output).equals(Buffer.concat(expected)))
        },
      ),
      { numRuns: 50 },
    )
  })
})
