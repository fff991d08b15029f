import assert from 'node:assert/strict'
import { test } from 'node:test'
import { appendTo, refuseTaken } from './rest.ts'

test('a rest whose buffer was transferred is not read, whatever comes behind it', () => {
  const chunk = Buffer.from(Uint8Array.from([1, 2, 3]).buffer)
  const rest = chunk.subarray(1)
  assert.deepEqual([...refuseTaken(appendTo(rest, Buffer.of(4)))], [2, 3, 4])
  structuredClone(chunk.buffer, { transfer: [chunk.buffer] })
  assert.throws(() => refuseTaken(appendTo(rest, Buffer.of(4))), /transferred/)
})
