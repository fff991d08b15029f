import assert from 'node:assert/strict'
import { it } from 'node:test'
import { runInNewContext } from 'node:vm'
import { isStrayPromise } from './stray-promise.ts'

it('is a promise of whatever make, whose rejection harms nobody from then on', async () => {
  const stray: unknown[] = [
    Promise.reject(new Error('ours')),
    runInNewContext('Promise.reject(new Error("of another realm"))'),
    Object.assign(Promise.reject(new Error('without a catch')), { catch: undefined }),
    // biome-ignore lint/suspicious/noThenProperty: that is what it is about
    Object.assign(Promise.reject(new Error('with a then of its own')), { then: () => {} }),
    // biome-ignore lint/suspicious/noThenProperty: that is what it is about
    { then: (_: unknown, reject: (error: Error) => void) => reject(new Error('of their own make')) },
  ]
  for (const promise of stray) assert.equal(isStrayPromise(promise), true)
  for (const answer of [undefined, null, 0, 'then', {}]) assert.equal(isStrayPromise(answer), false)
  // A turn of the event loop behind: until then the runner would have heard of it.
  await new Promise(setImmediate)
})
