import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { retainedMemory, unmeasured } from '../../test/memory.ts'
import { applyMask } from '../wire/mask.ts'
import { Assembler } from './assembler.ts'

// Small ones are copied, large ones kept: both, in any order.
const pieces = fc.oneof(
  fc.uint8Array({ maxLength: 3000 }),
  fc.integer({ min: 8000, max: 150_000 }).map((size) => new Uint8Array(size).fill(size)),
)

describe('Assembler', () => {
  it('joins pieces', () => {
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 12 }), (given) => {
        const whole = Buffer.concat(given)
        const assembler = new Assembler()
        for (const piece of given) {
          // In the middle of other bytes.
          const around = Buffer.concat([Buffer.from([1]), piece, Buffer.from([2])])
          assembler.append(around, 1, 1 + piece.length)
        }
        assert.equal(assembler.length, whole.length)
        assert.deepEqual(assembler.take(), whole)
        assert.equal(assembler.length, 0)
      }),
    )
  })

  it('unmasks each piece with its own key, whether and when it hears how long the message will be', () => {
    const masked = fc.tuple(pieces, fc.oneof(fc.constant(0), fc.integer()))
    fc.assert(
      fc.property(fc.array(masked, { maxLength: 8 }), fc.nat(8), (given, known) => {
        const whole = Buffer.concat(given.map(([piece]) => piece))
        const assembler = new Assembler()
        for (const [i, [piece, key]] of given.entries()) {
          const around = Buffer.concat([Buffer.from([1]), piece, Buffer.from([2])])
          applyMask(around, 1, 1 + piece.length, key)
          assembler.append(around, 1, 1 + piece.length, key, i >= known ? whole.length : 0)
        }
        assert.equal(assembler.length, whole.length)
        assert.ok(assembler.take().equals(whole))
        assert.equal(assembler.take().length, 0)
      }),
    )
  })

  it('takes no memory for what is only announced', { skip: unmeasured }, () => {
    const size = 65_536
    for (const total of [1 << 22, 1 << 30]) {
      const assembler = new Assembler()
      const before = retainedMemory()
      for (let length = 0; length < 1 << 22; ) {
        assembler.append(Buffer.allocUnsafeSlow(size), 14, size, 1, total)
        length += size - 14
        const kept = retainedMemory() - before
        assert.ok(kept <= 2.2 * length + 300_000, `${kept} kept for ${length} of ${total}`)
      }
    }
  })

  it('gives what there is before all has come', () => {
    const assembler = new Assembler()
    assembler.append(Buffer.from('half and'), 0, 8, 0, 10)
    assert.equal(assembler.take().toString(), 'half and')
    assert.equal(assembler.take().length, 0)
  })

  it('gives an empty message', () => {
    const assembler = new Assembler()
    assert.equal(assembler.take().length, 0)
    assembler.append(Buffer.alloc(3), 2, 2)
    assert.equal(assembler.take().length, 0)
  })

  it('never touches what was taken', () => {
    const assembler = new Assembler()
    assembler.append(Buffer.from('first'), 0, 5)
    const first = assembler.take()
    assembler.append(Buffer.from('second'), 0, 6)
    assert.equal(first.toString(), 'first')
    assert.equal(assembler.take().toString(), 'second')
  })

  it('holds little more than the bytes received, however they are cut', { skip: unmeasured }, () => {
    for (const size of [1, 97, 1000, 5000, 8191, 8192, 30_000, 61_440, 65_000, 65_536]) {
      for (const chunkSize of [size, size + 14, 2 * size, 65_536]) {
        if (chunkSize < size || chunkSize > 65_536) continue
        const assembler = new Assembler()
        const before = retainedMemory()
        let length = 0
        // As a stream reads: up to 64 KiB at a time, of which the header, or another frame, may be a part.
        while (length < 1 << 22) {
          assembler.append(Buffer.allocUnsafeSlow(chunkSize), chunkSize - size, chunkSize)
          length += size
          if (size < 1000 && length > 1 << 17) break
        }
        const kept = retainedMemory() - before
        assert.ok(kept <= 1.2 * length + 300_000, `${kept} kept for ${length} in ${size} of ${chunkSize}`)
        assert.equal(assembler.take().length, length)
      }
    }
  })

  it('keeps a large piece where it is, and copies one that would keep more alive', () => {
    const assembler = new Assembler()
    const chunk = Buffer.alloc(16_000, 'x')
    assembler.append(chunk, 0, 15_000)
    assert.equal(assembler.take().buffer, chunk.buffer)
    assembler.append(chunk, 0, 14_999)
    assert.notEqual(assembler.take().buffer, chunk.buffer)
  })

  it('does not pass off as empty a piece whose buffer was transferred', () => {
    const piece = Buffer.from(new ArrayBuffer(64 * 1024))
    const assembler = new Assembler()
    assembler.append(piece, 0, piece.length)
    structuredClone(piece, { transfer: [piece.buffer] })
    assert.throws(() => assembler.take(), /transferred/)
  })

  it('copies a byte a few times at most, however many pieces there are', () => {
    const assembler = new Assembler()
    const piece = Buffer.alloc(1, 1)
    let copied = 0
    const prototype = Object.getPrototypeOf(Uint8Array.prototype)
    const { set } = prototype
    prototype.set = function (this: Buffer, bytes: Uint8Array, at?: number) {
      copied += bytes.length
      set.call(this, bytes, at)
    }
    const { copy } = Buffer.prototype
    Buffer.prototype.copy = function (this: Buffer, ...args: Parameters<typeof copy>): number {
      const count = copy.apply(this, args)
      copied += count
      return count
    } as typeof copy
    try {
      for (let i = 0; i < 1 << 17; i++) assembler.append(piece, 0, 1, 0, i < 1 << 16 ? 0 : 1 << 17)
    } finally {
      prototype.set = set
      Buffer.prototype.copy = copy
    }
    assert.ok(copied >= 1 << 17 && copied <= 3 * (1 << 17), `${copied} bytes copied`)
    assert.equal(assembler.take().length, 1 << 17)
  })
})
