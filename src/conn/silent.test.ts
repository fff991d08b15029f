import assert from 'node:assert/strict'
import { it } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { silent } from './silent.ts'

it('a silent promise may reject unheard, and is heard by those who listen', async () => {
  const unhandled: unknown[] = []
  const note = (reason: unknown): void => void unhandled.push(reason)
  process.on('unhandledRejection', note)
  const error = new Error('over')
  silent(Promise.reject(error))
  await assert.rejects(silent(Promise.reject(error)), error)
  assert.equal(await silent(Promise.resolve(1)), 1)
  await setImmediate()
  process.off('unhandledRejection', note)
  assert.deepEqual(unhandled, [])
})
