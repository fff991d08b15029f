import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { HandshakeError } from '../session/errors.ts'
import { denialError, deny, serverError } from './denial.ts'

describe('a denial', () => {
  it('becomes the error that says why', () => {
    const cause = new Error('boom')
    const error = denialError(
      deny(429, 'ERR_WS_ADDRESS_LIMIT', 'too many', { headers: { 'Retry-After': '1' }, cause }),
    )
    assert.ok(error instanceof HandshakeError)
    const { code, message, status, headers } = error
    assert.deepEqual(
      [code, message, status, headers],
      ['ERR_WS_ADDRESS_LIMIT', 'too many', 429, { 'retry-after': '1' }],
    )
    assert.equal(error.cause, cause)
  })

  it('becomes one with what was answered, where that is something else', () => {
    const denial = deny(403, 'ERR_WS_ORIGIN', 'Origin not allowed', { headers: { A: 'b' } })
    const { status, headers } = denialError(denial, { status: 404, headers: { 'X-Y': 'z' } })
    assert.deepEqual([status, headers], [404, { 'x-y': 'z' }])
    assert.deepEqual(denialError(denial, { status: 404, headers: undefined }).headers, {})
  })

  it('for a failure of the application tells nothing of it', () => {
    const denial = serverError(new Error('a secret'))
    assert.deepEqual([denial.status, denial.code, denial.headers], [500, 'ERR_WS_SERVER', undefined])
    assert.doesNotMatch(denial.message, /secret/)
  })
})
