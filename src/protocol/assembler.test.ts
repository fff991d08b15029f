import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { Assembler } from './assembler.ts'

describe('Assembler', () => {
  it('joins pieces', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 3000 }), { maxLength: 12 }), (pieces) => {
        const whole = Buffer.concat(pieces)
        const assembler = new Assembler(whole.length)
        for (const piece of pieces) {
          // In the middle of other bytes.
          const around = Buffer.concat([Buffer.from([1]), piece, Buffer.from([2])])
          assembler.append(around, 1, 1 + piece.length)
          around.fill(0)
        }
        assert.equal(assembler.length, whole.length)
        assert.deepEqual(assembler.take(), whole)
        assert.equal(assembler.length, 0)
      }),
    )
  })

  it('gives an empty message', () => {
    const assembler = new Assembler(10)
    assert.equal(assembler.take().length, 0)
    assembler.append(Buffer.alloc(3), 2, 2)
    assert.equal(assembler.take().length, 0)
  })

  it('never touches what was taken', () => {
    const assembler = new Assembler(100)
    assembler.append(Buffer.from('first'), 0, 5)
    const first = assembler.take()
    assembler.append(Buffer.from('second'), 0, 6)
    assert.equal(first.toString(), 'first')
    assert.equal(assembler.take().toString(), 'second')
  })

  it('holds about twice the bytes received, and never more than the limit', () => {
    const max = 100_000
    const assembler = new Assembler(max)
    const byte = Buffer.from('x')
    for (let length = 1; length <= max; length++) {
      assembler.append(byte, 0, 1)
      if (length % 97 !== 0) continue
      const { byteLength } = bufferOf(assembler)
      assert.ok(byteLength <= Math.max(1024, Math.min(2 * length, max)), `${byteLength} for ${length} bytes`)
    }
    assert.equal(bufferOf(assembler).byteLength, max)
  })

  it('grows in steps that double: a thousand fragments are not copied a thousand times', () => {
    const assembler = new Assembler(1 << 20)
    const piece = Buffer.alloc(1024, 1)
    let buffers = 0
    let last: ArrayBufferLike | undefined
    for (let i = 0; i < 1024; i++) {
      assembler.append(piece, 0, piece.length)
      const target = bufferOf(assembler)
      if (target !== last) buffers++
      last = target
    }
    assert.ok(buffers <= 11, `${buffers} buffers`)
  })
})

/** The buffer that an assembler writes into. */
function bufferOf(assembler: Assembler): ArrayBufferLike {
  let target: ArrayBufferLike | undefined
  const probe = Buffer.alloc(0)
  probe.copy = (into: Uint8Array): number => {
    target = into.buffer
    return 0
  }
  assembler.append(probe, 0, 0)
  assert.ok(target !== undefined)
  return target
}
