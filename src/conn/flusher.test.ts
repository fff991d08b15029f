import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
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
    await new Promise((resolve) => setImmediate(resolve))
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
      await new Promise((resolve) => setImmediate(resolve))
      turns.push(flushed.length)
      if (turns.length === 2) flusher.soon({ flush: () => flushed.push(1000) })
    }
    await turn()
    assert.deepEqual(turns, [128, 256, 384, 512, 640, 768, 896, 1001])
    // What came meanwhile has not waited for the row.
    assert.equal(flushed.splice(256, 1)[0], 1000)
    assert.deepEqual(
      flushed,
      Array.from({ length: 1000 }, (_, i) => i),
    )
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
