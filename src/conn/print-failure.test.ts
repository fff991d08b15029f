import assert from 'node:assert/strict'
import { it } from 'node:test'
import { inspect } from 'node:util'
import { printFailure } from './print-failure.ts'

it('prints what failed, and with what', (t) => {
  const print = t.mock.method(console, 'error', () => {})
  const error = new Error('disk full')
  printFailure('log failed', error)
  assert.deepEqual(print.mock.calls[0]?.arguments, ['silverback: log failed:', error])
})

it('prints what it can of what throws when it is printed', (t) => {
  const written = t.mock.method(process.stderr, 'write', () => true)
  const error = Object.assign(new Error('disk full'), {
    [inspect.custom]() {
      throw new Error('not to be looked at')
    },
  })
  printFailure('log failed', error)
  assert.deepEqual(
    written.mock.calls.map(({ arguments: [text] }) => text),
    ['silverback: log failed: disk full\n'],
  )
})
