import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { turn } from '../../test/support/test-link.ts'
import { expectListeners } from './expect-listeners.ts'

describe('expectListeners', () => {
  it('has Node warn of no number of listeners', async () => {
    const warnings: Error[] = []
    const onWarning = (warning: Error): void => void warnings.push(warning)
    process.on('warning', onWarning)
    const target = new EventTarget()
    expectListeners(target)
    for (let i = 0; i < 100; i++) target.addEventListener('x', () => i)
    await turn()
    process.off('warning', onWarning)
    assert.deepEqual(warnings, [])
  })

  it('leaves alone what is no EventTarget of Node', () => {
    const foreign = { addEventListener() {}, removeEventListener() {}, dispatchEvent: () => true }
    expectListeners(foreign)
  })
})
