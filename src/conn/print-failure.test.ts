import assert from 'node:assert/strict'
import { it } from 'node:test'
import { format, inspect } from 'node:util'
import { printFailure } from './print-failure.ts'

it('prints what failed, and with what', (t) => {
  const print = t.mock.method(console, 'error', () => {})
  const error = new Error('disk full')
  printFailure('log failed', error)
  assert.deepEqual(print.mock.calls[0]?.arguments, ['silverback: log failed:', error])
})

it('prints what it can of what throws when it is printed', (t) => {
  // Not every runtime prints by `process.stderr`.
  const written: string[] = []
  t.mock.method(console, 'error', (...given: unknown[]) => void written.push(format(...given)))
  const error = Object.assign(new Error('disk full'), {
    [inspect.custom]() {
      throw new Error('not to be looked at')
    },
  })
  printFailure('log failed', error)
  assert.deepEqual(written, ['silverback: log failed: disk full'])
})
