import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { randomMask } from './random-mask.ts'

describe('randomMask', () => {
  it('gives 32-bit integers that do not repeat, beyond one filling of the pool', () => {
    const keys = Array.from({ length: 10_000 }, randomMask)
    for (const key of keys) assert.equal(key, key | 0)
    // Of 10 000 fair draws from 2^32 one pair alike is likely to happen in 1 % of the runs, five in none.
    assert.ok(new Set(keys).size > 9_995)
  })

  it('does not draw from Math.random', (t) => {
    t.mock.method(Math, 'random', () => 0.5)
    assert.ok(new Set(Array.from({ length: 5_000 }, randomMask)).size > 4_990)
  })

  it('uses all bits', () => {
    const ones = new Array<number>(32).fill(0)
    for (let i = 0; i < 4096; i++) {
      const key = randomMask()
      for (let bit = 0; bit < 32; bit++) ones[bit] = (ones[bit] as number) + ((key >>> bit) & 1)
    }
    // Ten standard deviations from the mean.
    for (const count of ones) assert.ok(Math.abs(count - 2048) < 320, `${ones}`)
  })
})
