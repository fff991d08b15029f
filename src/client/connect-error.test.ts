import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { connectError, proxyError, proxyFailure } from './connect-error.ts'

const coded = (code: unknown, message = 'text'): Error => Object.assign(new Error(message), { code })
const at = (address: string, code: string): Error => Object.assign(coded(code), { address })

describe('connectError', () => {
  const table: [cause: unknown, code: string, message: string][] = [
    [coded('ECONNREFUSED'), 'ERR_WS_CONNECT', 'no connection to a.example: ECONNREFUSED'],
    [new Error('no way'), 'ERR_WS_CONNECT', 'no connection to a.example: no way'],
    [coded(5, 'no way'), 'ERR_WS_CONNECT', 'no connection to a.example: no way'],
    ['no way', 'ERR_WS_CONNECT', 'no connection to a.example: no way'],
    [undefined, 'ERR_WS_CONNECT', 'no connection to a.example: undefined'],
    [null, 'ERR_WS_CONNECT', 'no connection to a.example: null'],
    [coded('HPE_HEADER_OVERFLOW'), 'ERR_WS_HEADER_LIMIT', 'the headers that a.example sent are too long'],
    [coded('HPE_INVALID_CONSTANT'), 'ERR_WS_HEADER_SYNTAX', 'the answer of a.example is not HTTP'],
    [
      coded('ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL'),
      'ERR_WS_CONNECT',
      'no connection to a.example: it does not speak HTTP/1.1 over TLS (ALPN), which a WebSocket needs',
    ],
    [
      Object.assign(new AggregateError([at('::1', 'ECONNREFUSED'), at('127.0.0.1', 'ETIMEDOUT')]), {
        code: 'ECONNREFUSED',
      }),
      'ERR_WS_CONNECT',
      'no connection to a.example: ECONNREFUSED (::1: ECONNREFUSED, 127.0.0.1: ETIMEDOUT)',
    ],
    [
      new AggregateError([new Error('x'), null, at('::1', 'X')]),
      'ERR_WS_CONNECT',
      'no connection to a.example: failed',
    ],
  ]
  it('says what it can of what cannot be read', () => {
    const get = (): never => {
      throw new Error('on purpose')
    }
    const { proxy, revoke } = Proxy.revocable({}, {})
    revoke()
    for (const [cause, words] of [
      [Object.defineProperty(new Error('no way'), 'code', { get }), 'no way'],
      [Object.defineProperty(new AggregateError([], 'no way'), 'errors', { get }), 'no way'],
      [Object.assign(new AggregateError([], 'no way'), { errors: 5 }), 'no way'],
      [Object.defineProperty(new Error('x'), 'message', { get }), 'something that cannot be described'],
      [proxy, 'something that cannot be described'],
    ] as const) {
      const error = connectError(cause, 'a.example')
      assert.equal(error.message, `no connection to a.example: ${words}`)
      assert.ok(error.cause === cause)
    }
  })

  for (const [cause, code, message] of table) {
    it(message, () => {
      const error = connectError(cause, 'a.example')
      assert.deepEqual([error.code, error.message, error.status], [code, message, undefined])
      assert.equal(error.cause, cause)
    })
  }
})

describe('proxyError, proxyFailure', () => {
  it('name the proxy, and what it answered', () => {
    const answer = { status: 407, headers: { a: 'b' }, body: 'who?' }
    const { code, message, status, headers, body } = proxyError('proxy:3128', 'says no', answer)
    assert.deepEqual([code, message], ['ERR_WS_PROXY', 'the proxy proxy:3128 says no'])
    assert.deepEqual({ status, headers, body }, answer)
    assert.equal(proxyError('proxy:3128', 'says no').status, undefined)
  })

  it('name the proxy, and why it was not reached', () => {
    const cause = coded('ECONNREFUSED')
    const error = proxyFailure(cause, 'proxy:3128')
    assert.deepEqual(
      [error.code, error.message, error.cause],
      ['ERR_WS_PROXY', 'no connection to the proxy proxy:3128: ECONNREFUSED', cause],
    )
  })
})
