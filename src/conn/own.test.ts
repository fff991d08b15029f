import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { copyOf, own } from './own.ts'

describe('own', () => {
  it('gives a view of a buffer that the bytes fill for a quarter at least', () => {
    const buffer = Buffer.alloc(4000, 'abcd')
    for (const [start, end] of [
      [0, 4000],
      [1, 1001],
      [3000, 4000],
    ] as const) {
      const bytes = own(buffer, start, end)
      assert.equal(bytes.buffer, buffer.buffer)
      assert.ok(bytes.equals(buffer.subarray(start, end)))
    }
  })

  it('gives a view of a buffer that is small enough, whatever part of it', () => {
    const buffer = Buffer.alloc(4000, 'abcd')
    assert.equal(own(buffer, 1, 2, 4000).buffer, buffer.buffer)
    assert.notEqual(own(buffer, 1, 2, 3999).buffer, buffer.buffer)
  })

  it('copies fewer bytes, which would keep a much larger buffer alive', () => {
    const buffer = Buffer.alloc(4000, 'abcd')
    for (const end of [0, 1, 999]) {
      const bytes = own(buffer, 0, end)
      assert.notEqual(bytes.buffer, buffer.buffer)
      assert.ok(bytes.equals(buffer.subarray(0, end)))
    }
    // What counts is what is kept alive, not the view that the bytes came in.
    const bytes = own(buffer.subarray(0, 100), 0, 100)
    assert.notEqual(bytes.buffer, buffer.buffer)
    buffer.fill('x')
    assert.equal(bytes.toString('utf8', 0, 4), 'abcd')
  })
})

describe('copyOf', () => {
  it('copies, so that nothing changes the bytes but who was given them', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.oneof(fc.uint8Array({ maxLength: 64 }), fc.uint8Array({ size: 'max', maxLength: 3000 })),
          { maxLength: 40 },
        ),
        (given) => {
          const expected = given.map((bytes) => Buffer.from(bytes))
          const copies = given.map((bytes) => copyOf(bytes))
          for (const bytes of given) bytes.fill(0xee)
          for (const [i, copy] of copies.entries()) assert.ok(copy.equals(expected[i] as Buffer))
          // Those on the same page do not overlap.
          for (const copy of copies) copy.fill(0xdd)
          for (const copy of copies) assert.ok(copy.every((byte) => byte === 0xdd))
        },
      ),
    )
  })

  it('keeps no more alive than 8 KiB, on which there is nothing but such copies, whatever Buffer.poolSize is', () => {
    const { poolSize } = Buffer
    try {
      for (const size of [8 * 1024, 64 * 1024, 1024 * 1024]) {
        Buffer.poolSize = size
        const pages = new Map<ArrayBufferLike, Buffer[]>()
        for (let i = 0; i < 1000; i++) {
          // What the application has in between is not there.
          const other = Buffer.allocUnsafe(100).fill(0xaa)
          const length = (i * 37) % 2049
          const copy = copyOf(Buffer.alloc(length, 0x55))
          assert.equal(copy.length, length)
          assert.equal(copy.byteOffset % 8, 0)
          assert.notEqual(copy.buffer, other.buffer)
          assert.equal(copy.buffer.byteLength, 8 * 1024)
          pages.set(copy.buffer, [...(pages.get(copy.buffer) ?? []), copy])
        }
        // The first began with what was there before, the last goes on behind this.
        for (const [page, copies] of [...pages].slice(1)) {
          let kept = 0
          for (const copy of copies) kept += copy.fill(0).length
          assert.ok(copies === [...pages.values()].at(-1) || kept > 5 * 1024, `${kept} on a page`)
          assert.ok(new Uint8Array(page).every((byte) => byte === 0))
        }
      }
    } finally {
      Buffer.poolSize = poolSize
    }
  })

  it('gives long ones memory of their own', () => {
    for (const length of [2049, 8192, 100_000]) {
      const copy = copyOf(Buffer.alloc(length, 'x'))
      assert.equal(copy.buffer.byteLength, length)
      assert.ok(copy.equals(Buffer.alloc(length, 'x')))
    }
  })

  it('loses no other copy when somebody wants to give one away', () => {
    const [first, second] = [copyOf(Buffer.from('first')), copyOf(Buffer.from('second'))]
    assert.equal(first.buffer, second.buffer)
    // Some runtimes refuse, some give a copy.
    try {
      structuredClone(first, { transfer: [first.buffer as ArrayBuffer] })
    } catch {}
    assert.equal(`${first} ${second} ${copyOf(Buffer.from('third'))}`, 'first second third')
  })
})
