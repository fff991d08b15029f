import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { FakeClock } from '../../test/support/fake-clock.ts'
import { TestLink } from '../../test/support/test-link.ts'
import { TimerWheel } from '../conn/timer-wheel.ts'
import { drawLifetime, Lifetime } from './lifetime.ts'

describe('Lifetime', () => {
  it('closes with 1001 when it is over, not before, and only once', async () => {
    const { conn, stream, clock, wheel, ...rest } = new TestLink({ limits: { pingInterval: 0 } })
    void rest
    new Lifetime(conn, 3_600_000, wheel)
    clock.advance(3_600_000)
    assert.equal(conn.state, 'open')
    clock.advance(300)
    assert.equal(conn.state, 'closing')
    stream.destroy()
    const { code, reason, by } = await conn.closed
    assert.deepEqual([code, reason, by], [1001, 'lifetime over', 'local'])
    assert.equal(clock.running, 0)
  })

  it('says so in a Close frame', async () => {
    const test = new TestLink({ limits: { pingInterval: 0 } })
    new Lifetime(test.conn, 1_000, test.wheel)
    await test.pass(1_300)
    assert.deepEqual(test.sent(), [`close 1001 "lifetime over"`])
    test.conn.terminate()
    await test.conn.closed
  })

  it('ends with the connection: nothing is left in the wheel', () => {
    const clock = new FakeClock()
    const wheel = new TimerWheel(clock)
    const closes: unknown[] = []
    const conn = { close: (...given: unknown[]) => closes.push(given) as never }
    const lifetimes = Array.from({ length: 1_000 }, (_, i) => new Lifetime(conn, 60_000 + i, wheel))
    assert.equal(clock.running, 1, 'one timer for all')
    for (const lifetime of lifetimes) {
      lifetime.cancel()
      lifetime.cancel()
    }
    assert.equal(clock.running, 0)
    clock.advance(120_000)
    assert.deepEqual(closes, [])
  })
})

describe('drawLifetime', () => {
  it('is never longer than it may be, nor shorter than the jitter allows', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1 }), fc.double({ min: 0, max: 1, noNaN: true }), (max, jitter) => {
        for (const random of [0, 0.5, 1 - 2 ** -53]) {
          const drawn = drawLifetime(max, jitter, () => random)
          assert.ok(drawn <= max && drawn >= max * (1 - jitter), `${drawn} of ${max}`)
        }
      }),
    )
    assert.equal(
      drawLifetime(1_000, 0.5, () => 0.5),
      750,
    )
    assert.equal(drawLifetime(1_000, 0), 1_000)
  })

  it('spreads what began together', () => {
    const drawn = Array.from({ length: 1_000 }, () => drawLifetime(1_000, 0.5))
    assert.ok(Math.min(...drawn) < 600 && Math.max(...drawn) > 900)
  })
})
