import assert from 'node:assert/strict'
import { it, mock } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { tellListener } from './tell-listener.ts'

it('prints what a listener throws or rejects with, and nothing else comes of it', async () => {
  const print = mock.method(console, 'error', () => {})
  try {
    const failure = new Error('on purpose')
    tellListener('onA', () => {
      throw failure
    })
    tellListener('onB', () => Promise.reject(failure))
    tellListener('onC', () => Promise.resolve())
    tellListener('onD', () => {})
    await setImmediate()
    assert.deepEqual(
      print.mock.calls.map(({ arguments: given }) => given),
      [
        ['silverback: onA failed:', failure],
        ['silverback: onB failed:', failure],
      ],
    )
  } finally {
    print.mock.restore()
  }
})
