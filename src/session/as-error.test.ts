import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { asError, describeThrown, isError } from './as-error.ts'

const onPurpose = (): never => {
  throw new Error('on purpose')
}
const revoked = Proxy.revocable({}, {})
revoked.revoke()

/** What a look at throws. */
const hostile: Readonly<Record<string, unknown>> = {
  'what came as JSON': JSON.parse('{"toString":0,"valueOf":0}'),
  'an object without prototype': Object.create(null),
  'a throwing toString': { toString: onPurpose },
  'an error with a throwing message': Object.defineProperty(new Error(''), 'message', { get: onPurpose }),
  'an error whose message is no text': Object.defineProperty(new Error(''), 'message', {
    value: { toString: 0 },
  }),
  'a proxy that throws': new Proxy(new Error(''), { get: onPurpose, getPrototypeOf: onPurpose }),
  'a revoked proxy': revoked.proxy,
}

describe('asError', () => {
  it('leaves an error as it is', () => {
    const error = new TypeError('seen')
    assert.equal(asError(error), error)
    assert.ok(isError(error))
    assert.equal(describeThrown(error), 'seen')
  })

  it('wraps anything else', () => {
    for (const thrown of [undefined, null, 0, 'text', Symbol('s'), {}]) {
      const error = asError(thrown)
      assert.deepEqual([error.message, error.cause], ['what was thrown is no Error', thrown])
      assert.equal(describeThrown(thrown), String(thrown))
    }
  })

  for (const [what, thrown] of Object.entries(hostile)) {
    it(`takes ${what}`, () => {
      const error = asError(thrown)
      assert.equal(error.message, 'what was thrown is no Error')
      assert.ok(error.cause === thrown)
      assert.equal(describeThrown(thrown), 'something that cannot be described')
    })
  }
})
