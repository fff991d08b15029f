import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { describeIssue } from './schema.ts'

describe('describeIssue', () => {
  it('is the first issue', () => {
    assert.equal(
      describeIssue([{ message: 'expected a number' }, { message: 'and more' }]),
      'expected a number',
    )
  })

  it('names the place, whose parts are keys or objects with a key', () => {
    const path = ['items', 2, { key: 'price' }, Symbol('s'), { key: 0 }]
    assert.equal(
      describeIssue([{ message: 'expected a number', path }]),
      'items.2.price.Symbol(s).0: expected a number',
    )
    assert.equal(describeIssue([{ message: 'wrong', path: [] }]), 'wrong')
  })

  it('has words for a refusal without a reason', () => {
    assert.equal(describeIssue([]), 'not valid')
  })
})
