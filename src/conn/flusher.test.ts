import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { turn } from '../../test/support/test-link.ts'
import { flushSoon } from './flusher.ts'

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
})
