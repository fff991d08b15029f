import assert from 'node:assert/strict'
import { test } from 'node:test'
import { UsageError } from '../session/errors.ts'
import { stringify } from './stringify.ts'

test('a value as JSON', () => {
  assert.equal(stringify({ Num: 1, list: [null, 'é'] }), '{"Num":1,"list":[null,"é"]}')
  assert.equal(stringify(null), 'null')
})

test('what has no form in JSON is refused, with the reason', () => {
  const cycle: unknown[] = []
  cycle.push(cycle)
  for (const value of [undefined, () => {}, Symbol('a')]) {
    assert.throws(
      () => stringify(value),
      new UsageError('ERR_WS_INVALID_ARGUMENT', `sendJson: JSON has no form for ${typeof value}`),
    )
  }
  for (const value of [
    1n,
    cycle,
    { toJSON: () => String(Symbol('a') as unknown as string).at(Object.create(null)) },
  ]) {
    assert.throws(
      () => stringify(value),
      (error: UsageError) => error.code === 'ERR_WS_INVALID_ARGUMENT' && error.cause instanceof TypeError,
    )
  }
})
