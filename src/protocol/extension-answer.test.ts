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
    await aTurn()
  })

  it('is an extension of which every member is right', () => {
    const whole = {
      variant: 'v',
      compresses: false,
      pieceEncoder: same,
      decoder: same,
      setLevel: same,
      idle: same,
    }
    for (const right of [{ rsv: 0 }, { rsv: 0x70 }, whole, { variant: undefined, dispose: undefined }])
      assert.equal(checkExtension('accept of x-e', { ...made, ...right }).name, 'x-e')
    const wrong: [keyof Extension, ...unknown[]][] = [
      ['name', 1, undefined],
      // 8 would make a ping of a message, and -1 any frame.
      ['rsv', '64', 8, -1, 0x80, 0x170, 1, 0.5, 64.5, Number.NaN, undefined],
      ['encode', undefined, null],
      ['decode', 'x', undefined],
      ['variant', 1, null, Symbol('v'), Object.create(null)],
      ['compresses', 1, 'yes', null],
      ['pieceEncoder', 1],
      ['decoder', null],
      ['setLevel', {}],
      ['idle', 'x'],
      ['dispose', 5],
    ]
    for (const [member, ...values] of wrong) {
      for (const value of values) {
        const check = (): Extension => checkExtension('accept of x-e', { ...made, [member]: value })
        const message = new RegExp(`^UsageError: accept of x-e must return an extension, whose ${member} is `)
        assert.throws(check, message)
      }
    }
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
