import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { retryAfter } from './retry-after.ts'

const now = Date.parse('Sun, 22 Nov 2026 10:00:00 GMT')

function parse(value: string | undefined, date?: string): number | undefined {
  return retryAfter({ ...(value === undefined ? {} : { 'retry-after': value }), date }, now)
}

describe('retryAfter', () => {
  it('takes seconds', () => {
    assert.deepEqual([parse('0'), parse('120'), parse(' 7 ')], [0, 120_000, 7_000])
    // Whoever bounds it has something to bound.
    assert.ok((parse('9'.repeat(400)) as number) > 1e300)
  })

  it('takes a date, against the one of the server, or else against ours', () => {
    assert.equal(parse('Sun, 22 Nov 2026 10:01:30 GMT'), 90_000)
    const date = 'Sun, 22 Nov 2026 08:00:00 GMT'
    assert.equal(parse('Sun, 22 Nov 2026 08:00:05 GMT', date), 5_000)
    assert.equal(parse('Sun, 22 Nov 2026 10:00:05 GMT', 'yesterday, or so'), 5_000)
    assert.equal(parse('Sun, 22 Nov 2026 09:00:00 GMT'), 0)
  })

  it('takes nothing else', () => {
    for (const value of [
      undefined,
      '',
      ' ',
      'soon',
      'now GMT',
      '-1',
      '1.5',
      '1e3',
      '0x10',
      '1 2',
      '2026-11-22',
    ]) {
      assert.equal(parse(value), undefined, String(value))
    }
    assert.equal(retryAfter(undefined, now), undefined)
  })
})
