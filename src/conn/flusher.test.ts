import assert from 'node:assert/strict'
import { once } from 'node:events'
import { describe, it } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { turn } from '../../test/support/test-link.ts'
import { Flusher, flushSoon } from './flusher.ts'

describe('flushSoon', () => {
  it('flushes at the end of the turn, behind microtasks and ticks, in order', async () => {
    const flushed: string[] = []
    const target = (name: string): { flush(): void } => ({ flush: () => flushed.push(name) })
    flushSoon(target('a'))
    flushSoon(target('b'))
    await Promise.resolve()
    await new Promise<void>((resolve) => process.nextTick(resolve))
    assert.deepEqual(flushed, [])
    flushSoon(target('c'))
    await turn()
    assert.deepEqual(flushed, ['a', 'b', 'c'])
  })

  it('leaves what is asked for meanwhile to the next turn', async () => {
    let flushes = 0
    const target = {
      flush(): void {
        if (++flushes === 1) {
          flushSoon(target)
          assert.equal(flushes, 1)
        }
      },
    }
    flushSoon(target)
    await nextTurn()
    assert.equal(flushes, 1)
    await turn()
    assert.equal(flushes, 2)
  })

  it('lets others have their turn when a row is long, and keeps its order', async () => {
    let now = 0
    const flusher = new Flusher(() => now)
    const flushed: number[] = []
    for (let i = 0; i < 1000; i++) {
      flusher.soon({
        flush() {
          now += 0.1
          flushed.push(i)
        },
      })
    }
    const turns: number[] = []
    while (flushed.length < 1000) {
      await nextTurn()
      turns.push(flushed.length)
      if (turns.length === 2) flusher.soon({ flush: () => flushed.push(1000) })
    }
    await turn()
    assert.deepEqual(turns, [128, 256, 385, 513, 641, 769, 897, 1001])
    // What came meanwhile has not waited for the row.
    assert.equal(flushed.splice(256, 1)[0], 1000)
    assert.deepEqual(
      flushed,
      Array.from({ length: 1000 }, (_, i) => i),
    )
  })

  for (const busy of [31, 32, 33, 100]) {
    it(`goes on with a row while ${busy} others have much to write in every turn, and with those too`, async () => {
      let now = 0
      const flusher = new Flusher(() => now)
      let left = 1000
      for (let i = 0; i < left; i++) flusher.soon({ flush: () => left-- })
      now = 100
      const written = new Array<number>(busy).fill(0)
      const others = written.map((_, i) => ({
        flush(): void {
          now += 1
          written[i] = (written[i] as number) + 1
          if (left > 0) flusher.soon(this)
        },
      }))
      for (const other of others) flusher.soon(other)
      for (let turns = 0; left > 0; turns++) {
        assert.ok(turns < 100, `${left} wait`)
        await nextTurn()
      }
      for (let turns = 0; written.includes(0); turns++) {
        assert.ok(turns < 100, 'some have written nothing')
        await nextTurn()
      }
    })
  }

  it('goes on behind one that fails, whose error is seen', async () => {
    const flusher = new Flusher()
    // The runner's own would fail the test.
    const listeners = process.listeners('uncaughtException')
    process.removeAllListeners('uncaughtException')
    const failed = once(process, 'uncaughtException')
    const flushed: number[] = []
    flusher.soon({
      flush() {
        throw new Error('cannot')
      },
    })
    flusher.soon({ flush: () => flushed.push(1) })
    const [error] = (await failed) as [Error]
    for (const listener of listeners) process.on('uncaughtException', listener)
    assert.equal(error.message, 'cannot')
    assert.deepEqual(flushed, [1])
  })

  it('takes a short row at once, however long that takes', async () => {
    let now = 0
    const flusher = new Flusher(() => {
      now += 100
      return now
    })
    let flushes = 0
    for (let i = 0; i < 31; i++) flusher.soon({ flush: () => flushes++ })
    await turn()
    assert.equal(flushes, 31)
  })
})
