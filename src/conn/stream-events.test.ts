import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { test } from 'node:test'
import { listenToStream } from './stream-events.ts'

test('tells what happens to a stream, of each to its own listener', async () => {
  const heard: string[] = []
  const listener = (name: string): Parameters<typeof listenToStream>[1] => ({
    onStreamData: (chunk) => heard.push(`${name} ${String(chunk)}`),
    onStreamEnd: () => heard.push(`${name} end`),
    onStreamError: (error) => heard.push(`${name} ${error.message}`),
    onStreamClose: () => heard.push(`${name} close`),
  })
  const [a, b] = [new PassThrough(), new PassThrough()]
  listenToStream(a, listener('a'))
  listenToStream(b, listener('b'))
  a.end('x')
  b.destroy(new Error('reset'))
  await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual(heard.sort(), ['a close', 'a end', 'a x', 'b close', 'b reset'])
})
