import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { FakeClock } from '../../test/support/fake-clock.ts'
import { RoundTrips } from './round-trips.ts'

function setUp(): {
  clock: FakeClock
  trips: RoundTrips
  ping: () => { payload: Buffer; results: unknown[] }
} {
  const clock = new FakeClock()
  const trips = new RoundTrips(clock)
  return {
    clock,
    trips,
    ping: () => {
      const results: unknown[] = []
      return { payload: Buffer.from(trips.next((result) => results.push(result))), results }
    },
  }
}

describe('RoundTrips', () => {
  it('measures from the ping to its pong', () => {
    const { clock, trips, ping } = setUp()
    assert.equal(trips.last, undefined)
    const { payload, results } = ping()
    clock.advance(7)
    trips.onPong(payload)
    assert.deepEqual(results, [7])
    assert.equal(trips.last, 7)
  })

  it('takes a pong as the answer to all pings before it, and to none behind it', () => {
    const { clock, trips, ping } = setUp()
    const first = ping()
    clock.advance(10)
    const second = ping()
    const third = ping()
    clock.advance(5)
    trips.onPong(second.payload)
    assert.deepEqual([first.results, second.results, third.results], [[15], [5], []])
    assert.equal(trips.last, 5)
  })

  it('takes the pong of a ping of the application as the answer to those before it', () => {
    const { clock, trips, ping } = setUp()
    trips.foreign(Buffer.from('nobody waits'))
    const payload = Buffer.from('mine')
    const first = ping()
    clock.advance(3)
    trips.foreign(payload)
    payload.fill(0)
    const second = ping()
    clock.advance(4)
    assert.equal(trips.onPong(Buffer.from('nobody waits')), undefined)
    assert.equal(trips.onPong(Buffer.from('mine')), 1)
    assert.deepEqual([first.results, second.results, trips.last], [[7], [], 4])
  })

  it('remembers a bounded number of pings, and those that somebody waits for first of all', () => {
    const { trips, ping } = setUp()
    const first = ping()
    for (let index = 0; index < 1000; index++) trips.foreign(Buffer.from(String(index)))
    assert.equal(trips.onPong(Buffer.from('900')), undefined)
    trips.onPong(Buffer.from('990'))
    assert.equal(first.results.length, 1)
  })

  it('ignores pongs that answer nothing: again, unasked, of another length, out of order', () => {
    const { trips, ping } = setUp()
    const first = ping()
    const second = ping()
    for (const payload of ['', '0', 'four', 'longer'].map((text) => Buffer.from(text))) trips.onPong(payload)
    assert.deepEqual([first.results, second.results], [[], []])
    trips.onPong(second.payload)
    trips.onPong(second.payload)
    trips.onPong(first.payload)
    assert.deepEqual([first.results.length, second.results.length], [1, 1])
  })

  it('forgets a ping that nobody waits for any more', () => {
    const { clock, trips } = setUp()
    const results: unknown[] = []
    const settle = (result: unknown): void => void results.push(result)
    const payload = Buffer.from(trips.next(settle))
    trips.forget(settle)
    clock.advance(3)
    trips.onPong(payload)
    trips.end(() => new Error('over'))
    assert.deepEqual(results, [])
    assert.equal(trips.last, undefined)
  })

  it('tells those who wait that it is over, once', () => {
    const { trips, ping } = setUp()
    const { payload, results } = ping()
    trips.next()
    const error = new Error('over')
    trips.end(() => error)
    trips.end(() => error)
    trips.onPong(payload)
    assert.deepEqual(results, [error])
  })

  it('remembers no more than 64 pings that nobody waits for', () => {
    const { clock, trips, ping } = setUp()
    const waited = ping()
    const payloads = Array.from({ length: 1000 }, () => Buffer.from(trips.next()))
    clock.advance(1)
    trips.onPong(payloads[0] as Buffer)
    assert.equal(trips.last, undefined)
    assert.deepEqual(waited.results, [])
    trips.onPong(payloads[937] as Buffer)
    assert.equal(trips.last, 1)
    assert.deepEqual(waited.results, [1])
  })

  it('forgets none that somebody waits for', () => {
    const { trips, ping } = setUp()
    const pings = Array.from({ length: 200 }, ping)
    trips.onPong((pings[199] as { payload: Buffer }).payload)
    assert.ok(pings.every(({ results }) => results.length === 1))
  })
})
