import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { own } from './own.ts'

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
