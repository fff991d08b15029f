import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { Backoff } from './backoff.ts'

/** Always takes half of what there is. */
const half = (): number => 0.5
const times = (count: number, delay: () => number): number[] => Array.from({ length: count }, delay)

describe('Backoff', () => {
  it('has bounds that grow by the factor, up to the largest', () => {
    const backoff = new Backoff({ minDelay: 500, maxDelay: 5_000, factor: 2, random: half })
    assert.deepEqual(
      times(6, () => backoff.next()),
      [250, 500, 1_000, 2_000, 2_500, 2_500],
    )
    backoff.reset()
    assert.equal(backoff.next(), 250)
  })

  it('chooses anywhere below the bound', () => {
    const random = [0, 0.25, 0.5, 0.75].values()
    const backoff = new Backoff({
      minDelay: 100,
      maxDelay: 100,
      factor: 1,
      random: () => random.next().value ?? 0,
    })
    assert.deepEqual(
      times(4, () => backoff.next()),
      [0, 25, 50, 75],
    )
  })

  it('soon: as the first, and does not grow', () => {
    const backoff = new Backoff({ minDelay: 100, maxDelay: 1_000, factor: 10, random: half })
    assert.deepEqual([backoff.soon(), backoff.soon(), backoff.next(), backoff.soon()], [50, 50, 50, 50])
    assert.equal(backoff.next(), 500)
  })

  it('late: the upper half, and grows', () => {
    const least = new Backoff({ minDelay: 100, maxDelay: 1_000, factor: 2, random: () => 0 })
    assert.equal(least.late(), 500)
    const backoff = new Backoff({ minDelay: 100, maxDelay: 1_000, factor: 2, random: half })
    assert.deepEqual([backoff.late(), backoff.next()], [750, 100])
  })

  it('keeps within its bounds, whatever they are, for ever', () => {
    const delays = fc.record({
      minDelay: fc.nat(10_000),
      maxDelay: fc.nat(100_000),
      factor: fc.double({ min: 1, max: 1e6, noNaN: true }),
    })
    const chance = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
    fc.assert(
      fc.property(delays, chance, (options, value) => {
        const backoff = new Backoff({ ...options, random: () => value })
        let bound = options.minDelay
        for (let i = 0; i < 100; i++) {
          const delay = backoff.next()
          const largest = Math.min(bound, options.maxDelay)
          assert.ok(delay >= 0 && delay <= largest, `${delay} of ${largest}`)
          bound = Math.min(bound * options.factor, Number.MAX_VALUE)
        }
        assert.ok(backoff.late() <= options.maxDelay)
      }),
    )
  })
})
