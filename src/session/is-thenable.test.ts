import assert from 'node:assert/strict'
import { it } from 'node:test'
import { isThenable } from './is-thenable.ts'

it('is a promise of whatever make', () => {
  // biome-ignore lint/suspicious/noThenProperty: that is what it is about
  for (const value of [Promise.resolve(), { then() {} }, Object.assign(() => {}, { then() {} })])
    assert.equal(isThenable(value), true)
  // biome-ignore lint/suspicious/noThenProperty: as above
  for (const value of [undefined, null, 0, '', 'then', {}, { then: 1 }])
    assert.equal(isThenable(value), false)
})
