import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { CloseDeadline } from './close-deadline.ts'

describe('CloseDeadline', () => {
  it('is put off while something leaves', () => {
    const deadline = new CloseDeadline(100)
    assert.equal(deadline.goesOn(101), true)
    assert.equal(deadline.goesOn(5000), true)
    assert.equal(deadline.goesOn(5000), false)
    assert.equal(new CloseDeadline(100).goesOn(100), false)
  })

  it('comes all the same in the end', () => {
    const deadline = new CloseDeadline(0)
    for (let round = 1; round < 12; round++) assert.equal(deadline.goesOn(round), true)
    assert.equal(deadline.goesOn(12), false)
  })
})
