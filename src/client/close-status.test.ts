import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { checkCloseStatus } from './close-status.ts'

describe('checkCloseStatus', () => {
  it('takes 1000 and 3000 to 4999', () => {
    for (const code of [1000, 3000, 3999, 4000, 4999])
      assert.deepEqual(checkCloseStatus(code, 'x'), { code, reason: 'x' })
    for (const code of [0, 999, 1001, 1005, 1006, 2999, 5000, 65_535])
      assert.throws(() => checkCloseStatus(code, ''), { name: 'InvalidAccessError', code: 15 })
  })

  it('takes 123 bytes of reason', () => {
    assert.equal(checkCloseStatus(1000, `${'é'.repeat(61)}x`).reason.length, 62)
    assert.throws(() => checkCloseStatus(1000, 'é'.repeat(62)), { name: 'SyntaxError', code: 12 })
    assert.throws(() => checkCloseStatus(undefined, 'x'.repeat(124)), { name: 'SyntaxError' })
  })

  it('looks at the code first', () => {
    assert.throws(() => checkCloseStatus(1, 'x'.repeat(124)), { name: 'InvalidAccessError' })
  })

  it('has 1000 for a reason alone, and no body for neither', () => {
    assert.deepEqual(checkCloseStatus(undefined, 'why'), { code: 1000, reason: 'why' })
    assert.deepEqual(checkCloseStatus(undefined, ''), { code: 1005, reason: '' })
  })
})
