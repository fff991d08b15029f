import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Extension } from './extension.ts'
import { checkBytes, checkExtension, discard, wrongAnswer } from './extension-answer.ts'

const same = (bytes: Uint8Array): Uint8Array => bytes
const made: Extension = { name: 'x-e', rsv: 0x40, encode: same, decode: same }
const rejecting = (): Promise<never> => Promise.reject(new Error('on purpose'))
/** Until then the runner has heard of a rejection. */
const aTurn = (): Promise<void> => new Promise(setImmediate)

function mistake(message: string): object {
  return { code: 'ERR_WS_INVALID_ARGUMENT', message }
}

describe('an answer of an extension', () => {
  it('is bytes, and nothing else', async () => {
    const bytes = Buffer.from('x')
    assert.equal(checkBytes('encode', made, bytes), bytes)
    const others: [unknown, string][] = [
      ['text', 'string'],
      [null, 'null'],
      [undefined, 'undefined'],
      [new ArrayBuffer(1), 'object'],
      [rejecting(), 'a promise'],
    ]
    for (const [answer, kind] of others) {
      const message = `encode of x-e must return a Uint8Array, not ${kind}`
      assert.throws(() => checkBytes('encode', made, answer), mistake(message))
    }
    assert.equal(wrongAnswer('f', 'a list', 1).message, 'f must return a list, not number')
    await aTurn()
  })

  it('is an extension', async () => {
    assert.equal(checkExtension('accept of x-e', made), made)
    for (const answer of [null, 1, 'x', rejecting(), undefined])
      assert.throws(
        () => checkExtension('accept of x-e', answer),
        /^UsageError: accept of x-e must return an extension, not/,
      )
    for (const wrong of [{ name: 1 }, { rsv: '64' }, { encode: undefined }, { decode: 'x' }]) {
      const check = (): Extension => checkExtension('accept of x-e', { ...made, ...wrong })
      assert.throws(check, /must return an extension: a name/)
    }
    await aTurn()
  })
})

it('what is discarded is disposed of, and harms nobody by that', async () => {
  let disposed = 0
  const fail = (): never => {
    disposed++
    throw new Error('on purpose')
  }
  discard(made)
  discard({ ...made, dispose: fail })
  discard({ ...made, dispose: async () => fail() })
  await aTurn()
  assert.equal(disposed, 2)
})
