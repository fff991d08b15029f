import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { runInNewContext } from 'node:vm'
import { connectionRefused, refusedWith } from '../../test/support/test-service.ts'
import { UsageError } from '../session/errors.ts'
import { FakeClock } from '../testing/fake-clock.ts'
import { type ReconnectOptions, resolveReconnectOptions } from './reconnect-options.ts'
import { RetrySchedule } from './retry-schedule.ts'

function setUp(options: ReconnectOptions = {}): { schedule: RetrySchedule; clock: FakeClock } {
  const clock = new FakeClock()
  const given = { clock, random: () => 0.5, minDelay: 100, maxDelay: 1_000, ...options }
  return { schedule: new RetrySchedule(resolveReconnectOptions('ws://localhost', given)), clock }
}

const lost = new Error('lost')

describe('RetrySchedule', () => {
  it('grows with each attempt, and begins anew behind a stable connection', () => {
    const { schedule } = setUp()
    const delays = [1, 2, 3].map(() => schedule.next(lost, 'retry'))
    assert.deepEqual([delays, schedule.attempt], [[50, 100, 200], 4])
    schedule.reset()
    assert.deepEqual([schedule.next(lost, 'retry'), schedule.attempt], [50, 1])
  })

  it('stops with the error, and ends without', () => {
    const { schedule } = setUp()
    assert.throws(
      () => schedule.next(lost, 'stop'),
      (error) => error === lost,
    )
    assert.equal(schedule.next(lost, 'end'), undefined)
  })

  it('a restart is waited for but shortly, the first time', () => {
    const { schedule } = setUp()
    for (let i = 0; i < 3; i++) schedule.next(lost, 'retry')
    assert.equal(schedule.next(lost, 'soon'), 50)
    assert.equal(schedule.next(lost, 'soon'), 400)
    schedule.reset()
    assert.equal(schedule.next(lost, 'soon'), 50)
    assert.equal(schedule.next(lost, 'retry'), 50)
  })

  it('comes back a few times from a refusal that may be due to chance, and anew behind a stable connection', () => {
    const { schedule } = setUp()
    const refused = refusedWith(400)
    for (let i = 0; i < 2; i++) {
      assert.deepEqual(
        [1, 2, 3].map(() => schedule.next(refused, 'few')),
        [50, 100, 200],
      )
      assert.throws(
        () => schedule.next(refused, 'few'),
        (error) => error === refused,
      )
      schedule.reset()
    }
  })

  it('asks the application first, also where a few times were enough', () => {
    const { schedule } = setUp({ retry: () => true })
    for (let i = 0; i < 10; i++) assert.ok(schedule.next(refusedWith(400), 'few') !== undefined)
  })

  it('later is the upper half of all delays', () => {
    const { schedule } = setUp()
    assert.deepEqual([schedule.next(lost, 'later'), schedule.next(lost, 'retry')], [750, 100])
  })

  it('waits as long as the server asks, and then as ever, within bounds', () => {
    const asks = (seconds: string, options: ReconnectOptions = {}): number | undefined =>
      setUp(options).schedule.next(refusedWith(503, { 'retry-after': seconds }), 'retry')
    assert.equal(asks('2'), 2_050)
    assert.equal(asks('86400'), 300_050)
    assert.equal(asks('86400', { maxDelay: 3_600_000 }), 3_600_050)
    assert.equal(asks('9'.repeat(400), { maxDelay: 2 ** 31 - 1 }), 2 ** 31 - 1, 'as timers take it')
    assert.equal(asks('in a while'), 50)
    assert.equal(setUp().schedule.next(connectionRefused(), 'retry'), 50)
  })

  it('bounds the attempts in a row', () => {
    const { schedule } = setUp({ maxAttempts: 2 })
    assert.equal(schedule.next(lost, 'retry'), 50)
    assert.throws(
      () => schedule.next(lost, 'retry'),
      (error) => error === lost,
    )
    schedule.reset()
    assert.equal(schedule.next(lost, 'retry'), 50)
  })

  it('bounds the time, and does not even wait when it would be over by then', async () => {
    const { schedule, clock } = setUp({ maxElapsed: 130 })
    await clock.advance(50)
    assert.deepEqual([schedule.left, schedule.next(lost, 'retry')], [80, 50])
    assert.throws(
      () => schedule.next(lost, 'retry'),
      (error) => error === lost,
    )
    schedule.reset()
    assert.equal(schedule.left, 130)
  })

  it('asks the application first, which overrules every verdict', () => {
    const asked: unknown[] = []
    const wishes: (boolean | number | undefined)[] = [true, true, 7, undefined, 0]
    const { schedule } = setUp({
      retry: (error, attempt) => {
        asked.push([error, attempt])
        return wishes.shift()
      },
    })
    assert.equal(schedule.next(lost, 'stop'), 50)
    assert.equal(schedule.next(lost, 'end'), 100)
    assert.equal(schedule.next(lost, 'stop'), 7)
    assert.equal(schedule.next(lost, 'retry'), 200)
    assert.equal(schedule.next(lost, 'retry'), 0)
    assert.deepEqual(
      asked,
      [2, 3, 4, 5, 6].map((attempt) => [lost, attempt]),
    )
    const never = setUp({ retry: () => false }).schedule
    assert.throws(
      () => never.next(lost, 'retry'),
      (error) => error === lost,
    )
    assert.equal(never.next(lost, 'end'), undefined)
  })

  it('takes no answer of the application that is none', () => {
    for (const answer of ['yes', -1, Number.NaN, 2 ** 31, null, {}, Promise.reject(new Error('late'))]) {
      const { schedule } = setUp({ retry: () => answer as number })
      assert.throws(
        () => schedule.next(lost, 'retry'),
        (error) => error instanceof UsageError && /^retry must return/.test(error.message),
      )
    }
    const { schedule } = setUp({
      retry: () => {
        throw new RangeError('on purpose')
      },
    })
    assert.throws(() => schedule.next(lost, 'retry'), RangeError)
  })

  it('takes no promise, of whatever realm, and nothing that cannot be described', async () => {
    const wishes: [wish: () => unknown, given: string][] = [
      [runInNewContext('async () => { throw new Error("of another realm") }') as () => unknown, 'a promise'],
      [() => Object.create(null), 'something that cannot be described'],
    ]
    for (const [retry, given] of wishes) {
      const { schedule } = setUp({ retry: retry as () => boolean })
      assert.throws(() => schedule.next(lost, 'retry'), {
        code: 'ERR_WS_INVALID_ARGUMENT',
        message: `retry must return a boolean, milliseconds or undefined, not ${given}`,
      })
    }
    // Until then the runner has heard of a rejection.
    await new Promise(setImmediate)
  })
})
