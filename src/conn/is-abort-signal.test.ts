import assert from 'node:assert/strict'
import { it } from 'node:test'
import { isAbortSignal } from './is-abort-signal.ts'

it('a signal is one of the runtime, or of what has taken its place', () => {
  const { signal } = new AbortController()
  assert.equal(isAbortSignal(signal), true)
  const before = globalThis.AbortSignal
  class Other {}
  try {
    globalThis.AbortSignal = Other as unknown as typeof AbortSignal
    assert.equal(isAbortSignal(signal), true)
    assert.equal(isAbortSignal(new Other()), true)
  } finally {
    globalThis.AbortSignal = before
  }
  for (const value of [undefined, null, {}, new Other()]) assert.equal(isAbortSignal(value), false)
})
