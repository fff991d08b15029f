import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { fakedEverywhere, frameworkTimers } from '../../test/support/fake-timers.ts'
import { UsageError } from '../session/errors.ts'
import { type ReconnectOptions, resolveReconnectOptions, systemTimers } from './reconnect-options.ts'

function usage(code: string, message: RegExp): (error: unknown) => boolean {
  return (error) => error instanceof UsageError && error.code === code && message.test(error.message)
}

describe('resolveReconnectOptions', () => {
  it('has defaults', () => {
    const { minDelay, maxDelay, factor, stableAfter, maxAttempts, maxElapsed, random, clock, network } =
      resolveReconnectOptions('ws://localhost', {})
    assert.deepEqual([minDelay, maxDelay, factor, stableAfter], [500, 30_000, 2, 5_000])
    assert.deepEqual([maxAttempts, maxElapsed], [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY])
    assert.deepEqual([random, clock, network.online], [Math.random, systemTimers, true])
  })

  it('refuses what cannot be, by name', () => {
    const wrong: [unknown, RegExp][] = [
      [{ headers: {} }, /^headers is not an option; the options are signal, dial, /],
      [{ signal: 'x' }, /^signal must be an AbortSignal$/],
      [{ connect: {} }, /^connect must be a function, not object$/],
      [{ retry: true }, /^retry must be a function/],
      [{ onRetry: 1 }, /^onRetry must be a function/],
      [{ random: 0.5 }, /^random must be a function/],
      [{ minDelay: -1 }, /^minDelay must be an integer from 0 to 2147483647, not -1$/],
      [{ maxDelay: 2 ** 31 }, /^maxDelay must be/],
      [{ stableAfter: 1.5 }, /^stableAfter must be/],
      [{ minDelay: 50_000 }, /^minDelay, 50000, is more than maxDelay, 30000$/],
      [{ factor: 0.5 }, /^factor must be 1 or more, not 0\.5$/],
      [{ factor: Number.POSITIVE_INFINITY }, /^factor must be/],
      [{ maxAttempts: 0 }, /^maxAttempts must be an integer from 1 on, not 0$/],
      [{ maxElapsed: '1' }, /^maxElapsed must be/],
      [{ clock: null }, /^clock must have the methods now and after$/],
      [{ network: {} }, /^network must have online and onOnline$/],
      [{ dial: { signal: AbortSignal.abort() } }, /^dial\.signal: the signal belongs beside dial/],
      [{ dial: { subprotocol: 'x' } }, /^subprotocol is not an option/],
      [{ dial: null }, /^options must be an object/],
    ]
    for (const [options, message] of wrong) {
      const resolve = () => resolveReconnectOptions('ws://localhost', options as ReconnectOptions)
      assert.throws(resolve, usage('ERR_WS_INVALID_OPTION', message), JSON.stringify(options))
    }
  })

  it('refuses a URL that cannot be dialled, unless that is not what becomes of it', () => {
    const resolve = (url: string, options: ReconnectOptions = {}) => resolveReconnectOptions(url, options)
    assert.throws(() => resolve('ftp://localhost'), usage('ERR_WS_INVALID_ARGUMENT', /scheme/))
    resolve('memory', { connect: () => Promise.reject(new Error()) })
    resolveReconnectOptions(() => 'ftp://localhost', {})
  })

  it('the system has timers that can be taken back', async () => {
    const before = systemTimers.now()
    systemTimers.after(0, () => assert.fail('it was taken back'))()
    await new Promise<void>((resolve) => {
      systemTimers.after(1, resolve)
    })
    assert.ok(systemTimers.now() > before)
  })

  it('go on under the fake timers of a test framework', async (t) => {
    const why = fakedEverywhere(t)
    if (why !== undefined) return t.skip(why)
    using _timers = frameworkTimers(t, 'setTimeout')
    await new Promise<void>((resolve) => {
      systemTimers.after(1, resolve)
    })
  })
})
