import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { after, describe, it } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { frame } from '../../test/frames.ts'
import { assertNoLeaks } from '../../test/leaks.ts'
import { RawClient } from '../../test/raw-client.ts'
import { fakedEverywhere, frameworkTimers } from '../../test/support/fake-timers.ts'
import { isPending } from '../../test/support/until.ts'
import { Dialer } from '../client/dialer.ts'
import type { CloseInfo } from '../session/close-info.ts'
import { TimeoutError, UsageError } from '../session/errors.ts'
import { checkDrain, type DrainOptions, drain } from './drain.ts'
import { serve } from './serve.ts'

after(() => assertNoLeaks())

describe('checkDrain', () => {
  it('completes what is not given', () => {
    assert.deepEqual(checkDrain({}), { code: 1001, reason: '', timeout: 5000, signal: undefined })
    const all = { code: 4000, reason: 'x', timeout: 0, signal: AbortSignal.abort() }
    assert.deepEqual(checkDrain(all), all)
  })

  const bad: [DrainOptions, RegExp][] = [
    [{ code: 1005 }, /1005 may not be sent/],
    [{ code: 999 }, /999 may not be sent/],
    [{ reason: 'x'.repeat(124) }, /at most 123 bytes/],
    [{ timeout: -1 }, /from 0 to 2147483647, not -1/],
    [{ timeout: Number.POSITIVE_INFINITY }, /not Infinity/],
    [{ signal: new AbortController() as never }, /the signal must be an AbortSignal/],
  ]
  for (const [options, message] of bad) {
    it(`refuses ${JSON.stringify(options).slice(0, 40)}`, () => {
      assert.throws(
        () => checkDrain(options),
        (error: unknown) => error instanceof UsageError && message.test(error.message),
      )
    })
  }
})

describe('drain', () => {
  it('lets handlers take all that was sent before, though they are slow and it is more than is kept for them', async () => {
    let taken = 0
    await using server = await serve({ limits: { maxQueuedMessages: 4 } }, async (conn) => {
      for await (const message of conn) {
        assert.equal(message, String(taken++))
        await nextTurn()
      }
    })
    await using conn = await new Dialer().dial(server.url)
    for (let i = 0; i < 1000; i++) conn.send(String(i))
    while (taken === 0) await nextTurn()
    await drain(server.connections, {})
    // Of what is kept for it, the handler takes the rest behind the end.
    assert.ok(taken >= 996)
    for (let turns = 0; taken < 1000 && turns < 100; turns++) await nextTurn()
    assert.equal(taken, 1000)
    const { code, wasClean, stats } = await conn.closed
    assert.deepEqual([code, wasClean, stats.messagesSent], [1001, true, 1000])
  })

  for (const [kind, reads] of [
    ['takes no more', 1],
    ['has never taken any', 0],
  ] as const) {
    it(`drops and counts what a handler that ${kind} has no room for, and ends in order`, async () => {
      let info: CloseInfo | undefined
      let begun = false
      await using server = await serve(
        { limits: { maxQueuedMessages: 4, closeTimeout: 100 } },
        async (conn) => {
          for (let i = 0; i < reads; i++) await conn.read()
          begun = true
          info = await conn.closed
        },
      )
      await using conn = await new Dialer().dial(server.url)
      for (let i = 0; i < 1000; i++) conn.send(String(i))
      while (!begun) await nextTurn()
      await drain(server.connections, {})
      const { code, wasClean, stats } = info as unknown as CloseInfo
      assert.deepEqual([code, wasClean, stats.messagesReceived], [1001, true, 1000])
      assert.ok(stats.receivesDropped > 900)
    })
  }

  it('waits for a message that is read piece by piece', async () => {
    const text = 'x'.repeat(3_000_000)
    let read = 0
    let ended = false
    await using server = await serve(
      { limits: { maxMessageSize: 1000, maxStreamSize: 4_000_000 } },
      async (conn) => {
        try {
          for await (const message of conn.streams()) {
            for await (const chunk of message) {
              read += chunk.length
              await nextTurn()
            }
          }
        } finally {
          ended = true
        }
      },
    )
    await using conn = await new Dialer().dial(server.url)
    conn.send('begin')
    while (read === 0) await nextTurn()
    conn.send(text)
    while (read === 5) await nextTurn()
    await drain(server.connections, {})
    while (!ended) await nextTurn()
    assert.equal(read, text.length + 5)
    assert.equal((await conn.closed).wasClean, true)
  })

  it('closes all in order', async () => {
    await using server = await serve({}, () => {})
    const conns = await Promise.all([1, 2, 3].map(() => new Dialer().dial(server.url)))
    await drain(server.connections, { code: 1012, reason: 'restart' })
    assert.equal(server.connections.size, 0)
    for (const conn of conns) {
      const { received, wasClean } = await conn.closed
      assert.deepEqual([received, wasClean], [{ code: 1012, reason: 'restart' }, true])
    }
  })

  for (const before of [true, false]) {
    it(`drops what has not ended when its signal is aborted, ${before ? 'also before' : 'and not earlier'}`, async () => {
      // Long, so that nothing else ends the connection.
      await using server = await serve({ limits: { closeTimeout: 60_000 } }, () => {})
      const mute = await RawClient.upgraded(Number(new URL(server.url).port), '/')
      const [conn] = server.connections
      assert.ok(conn !== undefined)
      const controller = new AbortController()
      const { signal } = controller
      if (before) controller.abort()
      const drained = drain(server.connections, { timeout: 2 ** 31 - 1, signal })
      if (!before) {
        assert.equal(getEventListeners(signal, 'abort').length, 1)
        assert.ok(await isPending(drained))
        controller.abort()
      }
      await drained
      assert.equal((await conn.closed).error, undefined)
      assert.deepEqual([server.connections.size, getEventListeners(signal, 'abort').length], [0, 0])
      await mute.until(() => mute.closed, 'the end of the connection')
    })
  }

  it('leaves no listener on its signal', async () => {
    const { signal } = new AbortController()
    await drain(new Set(), { signal })
    assert.equal(getEventListeners(signal, 'abort').length, 0)
  })

  it('drops what does not answer in time, and nothing else', async () => {
    await using server = await serve({}, () => {})
    const polite = await new Dialer().dial(server.url)
    const mute = await RawClient.upgraded(Number(new URL(server.url).port), '/')
    const [first, second] = server.connections
    await drain(server.connections, { timeout: 100 })
    assert.equal((await polite.closed).wasClean, true)
    await mute.until(() => mute.closed, 'the end of the connection')
    assert.equal((await first?.closed)?.error, undefined)
    // What was dropped says for what.
    const error = (await second?.closed)?.error
    assert.ok(error instanceof TimeoutError)
    assert.deepEqual([error.code, error.phase], ['ERR_WS_CLOSE_TIMEOUT', 'close'])
    assert.match(error.message, /within 100 ms$/)
  })

  it('drops it under the fake timers of a test framework too', async (t) => {
    const why = fakedEverywhere(t)
    if (why !== undefined) return t.skip(why)
    using _timers = frameworkTimers(t, 'setTimeout', 'setInterval')
    await using server = await serve({}, () => {})
    const mute = await RawClient.upgraded(Number(new URL(server.url).port), '/')
    await drain(server.connections, { timeout: 100 })
    await mute.until(() => mute.closed, 'the end of the connection')
  })

  it('finds nothing wrong with who has answered and does not hang up', async () => {
    await using server = await serve({}, () => {})
    const slow = await RawClient.upgraded(Number(new URL(server.url).port), '/', { allowHalfOpen: true })
    const [conn] = server.connections
    slow.write(frame({ opcode: 8, payload: Buffer.from([0x03, 0xe8]), mask: Buffer.from('mask') }))
    await slow.until(() => slow.ended, 'our Close frame and the end of our half')
    await drain(server.connections, { timeout: 100 })
    await slow.destroy()
    const info = await conn?.closed
    assert.deepEqual([info?.code, info?.wasClean, info?.error], [1000, true, undefined])
  })
})
