import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { UsageError } from '../session/errors.ts'
import { verdictOf, verdictOfError } from './authorize.ts'
import { refuse } from './refuse.ts'

describe('verdictOf', () => {
  for (const context of [{ name: 'ann' }, 'ann', 7, true, [], {}, Symbol.for('ann'), 7n]) {
    it(`lets in with ${String(context) || '[]'}`, () =>
      assert.deepEqual(verdictOf(context), { accepted: true, context }))
  }

  for (const falsy of [undefined, null, false, '', 0, Number.NaN, 0n]) {
    it(`answers ${typeof falsy === 'string' ? "''" : String(falsy)} with 403`, () =>
      assert.deepEqual(verdictOf(falsy), {
        accepted: false,
        status: 403,
        code: 'ERR_WS_UNAUTHORIZED',
        message: 'not authorized',
      }))
  }

  it('answers a refusal as it says', () => {
    assert.deepEqual(verdictOf(refuse(302, { headers: { Location: '/login' }, body: 'there\n' })), {
      accepted: false,
      status: 302,
      code: 'ERR_WS_UNAUTHORIZED',
      message: 'not authorized',
      headers: { Location: '/login' },
      body: 'there\n',
    })
  })

  for (const answer of [
    new Error('no'),
    new TypeError('no'),
    new DOMException('no'),
    new Response('no', { status: 401 }),
  ]) {
    it(`takes ${answer.constructor.name} for a mistake, not for a context`, () => {
      const verdict = verdictOf(answer)
      assert.ok(!verdict.accepted)
      assert.deepEqual([verdict.status, verdict.code], [500, 'ERR_WS_SERVER'])
      assert.ok(verdict.cause instanceof UsageError)
      assert.match(verdict.cause.message, /refuse\(status\)/)
      assert.equal(verdict.cause.cause, answer)
    })
  }
})

/** Throws at every look at it. */
const hostile = (): object => {
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  return proxy
}

it('takes an answer that cannot be looked at for a mistake', () => {
  const verdict = verdictOf(hostile())
  assert.ok(!verdict.accepted)
  assert.deepEqual([verdict.status, verdict.code], [500, 'ERR_WS_SERVER'])
  const unreadable = Object.defineProperty(new Error(''), 'message', { get: hostile })
  assert.equal(verdictOf(unreadable).accepted, false)
})

describe('verdictOfError', () => {
  it('is 500 also for what cannot be looked at', () => {
    const thrown = hostile()
    const verdict = verdictOfError(thrown)
    assert.ok(!verdict.accepted)
    assert.equal(verdict.status, 500)
    assert.ok(verdict.cause === thrown)
  })

  it('is 500, and keeps the cause from the client', () => {
    for (const cause of [new Error('a secret'), 'a secret', undefined]) {
      const verdict = verdictOfError(cause)
      assert.ok(!verdict.accepted)
      assert.deepEqual([verdict.status, verdict.code, verdict.cause], [500, 'ERR_WS_SERVER', cause])
      assert.doesNotMatch(verdict.message, /secret/)
    }
  })

  it('is the refusal that was thrown', () => {
    assert.deepEqual(verdictOfError(refuse(401)), verdictOf(refuse(401)))
  })
})
