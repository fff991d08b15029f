// The time of day is set, by a year either way, while somebody counts: what is counted is another time.

import assert from 'node:assert/strict'
import { after, describe, it, type TestContext } from 'node:test'
import { dial, reconnect, serve } from 'silverback'
import { assertNoLeaks } from '../leaks.ts'

after(() => assertNoLeaks())

const YEAR = 365 * 24 * 3_600_000
const timeout = 20_000

/** Sets the clock each time it is called: as far again. */
function clockOf(t: TestContext, jump: number): () => void {
  const real = Date.now
  let offset = 0
  t.mock.method(Date, 'now', () => real() + offset)
  return () => {
    offset += jump
  }
}

describe('a clock that is set while', { timeout }, () => {
  for (const [name, jump] of Object.entries({ forward: YEAR, back: -YEAR })) {
    it(`a connection lives, ${name}: a short life is not taken for a stable one, nor a long one for a short`, async (t) => {
      const set = clockOf(t, jump)
      await using server = await serve({}, (conn) => conn.onMessage(() => conn.terminate()))
      /** Connects again and again; the numbers of the attempts, as they were told. */
      const attempts = async (stableAfter: number, most: number): Promise<number[]> => {
        const told: number[] = []
        const loop = reconnect(server.url, {
          stableAfter,
          retry: () => told.length < most && 20,
          onRetry: (_error, { attempt }) => void told.push(attempt),
        })
        await assert.rejects(async () => {
          for await (const conn of loop) {
            set()
            conn.send('end it')
            await conn.closed
          }
        })
        return told
      }
      assert.deepEqual(await attempts(60_000, 3), [2, 3, 4])
      assert.deepEqual(await attempts(0, 3), [1, 1, 1])
    })

    it(`reconnect() counts its whole time, ${name}: it goes on as long as it should, and no longer`, async (t) => {
      const set = clockOf(t, jump)
      await using server = await serve({}, (conn) => conn.terminate())
      const attempts = async (maxElapsed: number, most: number): Promise<number> => {
        let count = 0
        const loop = reconnect(server.url, {
          maxElapsed,
          stableAfter: 60_000,
          retry: () => count < most && 50,
          onRetry: () => {
            count++
            set()
          },
        })
        await assert.rejects(async () => {
          for await (const conn of loop) await conn.closed
        })
        return count
      }
      assert.equal(await attempts(60_000, 4), 4)
      const few = await attempts(300, 1_000)
      assert.ok(few >= 1 && few < 20, `${few} attempts`)
    })

    it(`a delay is under way, ${name}: it is as long as it was`, async (t) => {
      const set = clockOf(t, jump)
      await using server = await serve({}, (conn) => conn.terminate())
      const times: number[] = []
      const loop = reconnect(server.url, {
        retry: () => times.length < 2 && 300,
        onRetry: () => void setTimeout(set, 20),
      })
      await assert.rejects(async () => {
        for await (const conn of loop) {
          times.push(performance.now())
          await conn.closed
        }
      })
      const [first = 0, second = 0] = times
      assert.ok(second - first >= 290, `${second - first} ms`)
    })

    it(`a connection has a lifetime, ${name}: it ends behind it, not before, and ends`, async (t) => {
      const set = clockOf(t, jump)
      await using server = await serve({ maxLifetime: 600, lifetimeJitter: 0 }, (conn) => {
        conn.onMessage(() => {})
      })
      const before = performance.now()
      await using conn = await dial(server.url)
      set()
      const { code } = await conn.closed
      assert.equal(code, 1001)
      assert.ok(performance.now() - before >= 600)
    })
  }
})
