import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { UsageError } from '../session/errors.ts'
import { FakeClock } from './fake-clock.ts'

describe('FakeClock', () => {
  it('calls what is due, in the order of time and then of age', async () => {
    const clock = new FakeClock()
    const calls: string[] = []
    const note = (name: string) => () => void calls.push(`${name} ${clock.now()}`)
    clock.after(30, note('c'))
    clock.after(10, note('a'))
    clock.every(10, note('tick'))
    clock.after(10, note('b'))
    await clock.advance(9.5)
    assert.deepEqual([calls, clock.now()], [[], 9.5])
    await clock.advance(25.5)
    assert.deepEqual(calls, ['a 10', 'tick 10', 'b 10', 'tick 20', 'c 30', 'tick 30'])
    assert.deepEqual([clock.now(), clock.pending], [35, 1])
  })

  it('lets what a call sets off happen before the next: promises, immediates, and timers that it sets', async () => {
    const clock = new FakeClock()
    const calls: string[] = []
    clock.after(5, async () => {
      await null
      calls.push(`promise ${clock.now()}`)
      await new Promise((resolve) => setImmediate(resolve))
      calls.push(`immediate ${clock.now()}`)
      clock.after(2, () => calls.push(`set on the way ${clock.now()}`))
    })
    clock.after(6, () => calls.push(`next ${clock.now()}`))
    await clock.advance(10)
    assert.deepEqual(calls, ['promise 5', 'immediate 5', 'next 6', 'set on the way 7'])
  })

  it('forgets what is taken back, also while it calls', async () => {
    const clock = new FakeClock()
    let calls = 0
    const stop = clock.every(10, () => {
      if (++calls === 3) stop()
    })
    clock.after(5, () => assert.fail('it was taken back'))()
    await clock.advance(100)
    assert.deepEqual([calls, clock.pending], [3, 0])
  })

  it('has calls of advance wait for each other', async () => {
    const clock = new FakeClock()
    const seen: number[] = []
    clock.after(15, () => seen.push(clock.now()))
    await Promise.all([clock.advance(10), clock.advance(10).then(() => seen.push(clock.now()))])
    assert.deepEqual(seen, [15, 20])
  })

  it('rejects with what a callback throws, and can go on', async () => {
    const clock = new FakeClock()
    clock.after(10, () => {
      throw new Error('on purpose')
    })
    const later = clock.advance(20)
    const next = clock.advance(5)
    await assert.rejects(later, /on purpose/)
    await next
    assert.equal(clock.now(), 15)
  })

  it('goes on when nothing comes to rest', async () => {
    const clock = new FakeClock()
    let restless = true
    const again = (): void => {
      clock.stir()
      if (restless) setImmediate(again)
    }
    again()
    await clock.settle()
    restless = false
    await clock.settle()
  })

  it('takes no time that is none', async () => {
    const clock = new FakeClock()
    const usage = (message: RegExp) => (error: unknown) =>
      error instanceof UsageError && error.code === 'ERR_WS_INVALID_ARGUMENT' && message.test(error.message)
    await assert.rejects(clock.advance(-1), usage(/^advance takes milliseconds, at least 0, not -1$/))
    await assert.rejects(clock.advance(Number.POSITIVE_INFINITY), usage(/^advance/))
    assert.throws(() => clock.after(Number.NaN, () => {}), usage(/^after .* not NaN$/))
    // It would never let time pass.
    assert.throws(() => clock.every(0, () => {}), usage(/^every takes milliseconds, at least 1, not 0$/))
  })
})
