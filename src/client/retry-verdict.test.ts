import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { CloseInfo } from '../session/close-info.ts'
import {
  CloseError,
  HandshakeError,
  LimitError,
  ProtocolError,
  TimeoutError,
  UsageError,
} from '../session/errors.ts'
import { closeRules, judgeClose, judgeFailure, statusRules } from './retry-verdict.ts'

function ended(code: number, details: Partial<CloseInfo> = {}): CloseInfo {
  const stats = {
    bytesReceived: 0,
    bytesSent: 0,
    messagesReceived: 0,
    messagesSent: 0,
    sendsDropped: 0,
    receivesDropped: 0,
  }
  return {
    code,
    reason: '',
    wasClean: true,
    by: 'remote',
    received: undefined,
    sent: undefined,
    error: undefined,
    stats: { ...stats, rtt: undefined },
    ...details,
  }
}

function refused(status: number | undefined, code = 'ERR_WS_STATUS', cause?: unknown): HandshakeError {
  return new HandshakeError(code as 'ERR_WS_STATUS', 'refused', { status, cause })
}

const protocolError = new ProtocolError('ERR_WS_INVALID_UTF8', 1007, 'no UTF-8')
const tooSlow = new LimitError('ERR_WS_SEND_BUFFER_FULL', 1013, 'slow', { limit: 'x', actual: 2, max: 1 })
const tooLarge = new LimitError('ERR_WS_MESSAGE_TOO_LARGE', 1009, 'large', { limit: 'x', actual: 2, max: 1 })

describe('judgeClose', () => {
  it('has a verdict for every code that can be received, as the rules say', () => {
    const verdicts = (codes: readonly number[]): Record<number, string> =>
      Object.fromEntries(codes.map((code) => [code, judgeClose(ended(code))]))
    assert.deepEqual(verdicts([1000, 1001, 1002, 1003, 1005, 1006, 1007, 1008, 1009, 1010]), {
      1000: 'end',
      1001: 'retry',
      1002: 'stop',
      1003: 'stop',
      1005: 'retry',
      1006: 'retry',
      1007: 'stop',
      1008: 'stop',
      1009: 'stop',
      1010: 'stop',
    })
    assert.deepEqual(verdicts([1011, 1012, 1013, 1014]), {
      1011: 'retry',
      1012: 'soon',
      1013: 'later',
      1014: 'retry',
    })
    assert.deepEqual(verdicts([3000, 3001, 3003, 3008, 3999, 4000, 4499, 4500, 4999]), {
      3000: 'stop',
      3001: 'retry',
      3003: 'stop',
      3008: 'retry',
      3999: 'retry',
      4000: 'retry',
      4499: 'retry',
      4500: 'stop',
      4999: 'stop',
    })
  })

  it('ends where this side has had enough, and goes on where it wants another connection', () => {
    const own = (code: number): string => judgeClose(ended(code, { by: 'local' }))
    for (const code of [1000, 1001, 1008, 1011, 3000, 4500]) assert.equal(own(code), 'end', String(code))
    // `terminate` is 1006.
    for (const code of [1006, 1012, 1013, 3008, 4000]) assert.equal(own(code), 'retry', String(code))
  })

  it('stops where this side found a fault, and not where the peer was only slow or gone', () => {
    const own = (code: number, error: Error): string => judgeClose(ended(code, { by: 'local', error }))
    assert.equal(own(1007, protocolError), 'stop')
    assert.equal(own(1009, tooLarge), 'stop')
    assert.equal(own(1011, new Error('a listener threw')), 'stop')
    assert.equal(own(1013, tooSlow), 'retry')
    assert.equal(own(1006, new TimeoutError('ERR_WS_PONG_TIMEOUT', 'pong', 1)), 'retry')
    assert.equal(own(1000, new TimeoutError('ERR_WS_CLOSE_TIMEOUT', 'close', 1)), 'end')
    assert.equal(own(1000, new Error('ECONNRESET')), 'end')
  })
})

describe('judgeFailure', () => {
  it('goes by the status of a refusal', () => {
    assert.equal(judgeFailure(refused(400)), 'few')
    for (const status of [101, 200, 301, 401, 403, 404, 407, 410, 426])
      assert.equal(judgeFailure(refused(status)), 'stop', String(status))
    for (const status of [408, 425, 429, 500, 501, 502, 503, 504, 599, 999])
      assert.equal(judgeFailure(refused(status)), 'retry', String(status))
  })

  it('tells a network that fails from an answer that is none', () => {
    const code = (name: string): Error => Object.assign(new Error(name), { code: name })
    for (const name of ['ECONNREFUSED', 'ENOTFOUND', 'ECONNRESET', 'EAI_AGAIN', 'EPROTO'])
      assert.equal(judgeFailure(refused(undefined, 'ERR_WS_CONNECT', code(name))), 'retry', name)
    for (const name of ['ERR_SSL_TLSV1_ALERT_INTERNAL_ERROR', 'ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE'])
      assert.equal(judgeFailure(refused(undefined, 'ERR_WS_CONNECT', code(name))), 'retry', name)
    for (const name of ['CERT_HAS_EXPIRED', 'DEPTH_ZERO_SELF_SIGNED_CERT', 'ERR_TLS_CERT_ALTNAME_INVALID'])
      assert.equal(judgeFailure(refused(undefined, 'ERR_WS_CONNECT', code(name))), 'stop', name)
    for (const name of ['ERR_WS_HEADER_SYNTAX', 'ERR_WS_HEADER_LIMIT'])
      assert.equal(judgeFailure(refused(undefined, name)), 'stop', name)
    for (const name of ['ERR_WS_ACCEPT', 'ERR_WS_SUBPROTOCOL', 'ERR_WS_EXTENSION', 'ERR_WS_UPGRADE_HEADER'])
      assert.equal(judgeFailure(refused(101, name)), 'stop', name)
  })

  it('stops where a server refuses the certificate or the version, or speaks no TLS', () => {
    for (const name of [
      'ERR_SSL_WRONG_VERSION_NUMBER',
      'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED',
      'ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE',
      'ERR_SSL_SSL/TLS_ALERT_BAD_CERTIFICATE',
      'ERR_SSL_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE',
      'ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED',
      'ERR_SSL_SSLV3_ALERT_CERTIFICATE_REVOKED',
      'ERR_SSL_SSLV3_ALERT_CERTIFICATE_UNKNOWN',
      'ERR_SSL_TLSV1_ALERT_UNKNOWN_CA',
      'ERR_SSL_TLSV1_ALERT_ACCESS_DENIED',
      'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION',
    ]) {
      const cause = Object.assign(new Error(name), { code: name })
      assert.equal(judgeFailure(refused(undefined, 'ERR_WS_CONNECT', cause)), 'stop', name)
      assert.equal(judgeFailure(refused(undefined, 'ERR_WS_PROXY', cause)), 'stop', name)
    }
  })

  it('stops at what the application has to mend, and not at what a network or a proxy says', () => {
    const verdict = (cause: unknown): string => judgeFailure(refused(undefined, 'ERR_WS_PROXY', cause))
    assert.equal(verdict(undefined), 'retry')
    const error = (details: object): Error => Object.assign(new Error('x'), details)
    // No such socket yet; an address of another kind; and a file that is not there.
    assert.equal(verdict(error({ code: 'ENOENT', syscall: 'connect' })), 'retry')
    assert.equal(verdict(error({ code: 'EINVAL', syscall: 'connect' })), 'retry')
    assert.equal(verdict(error({ code: 'EAI_FAIL', syscall: 'getaddrinfo' })), 'retry')
    assert.equal(verdict(error({ code: 'ENOENT', syscall: 'open' })), 'stop')
    for (const code of ['ERR_OSSL_PEM_NO_START_LINE', 'ERR_SSL_NO_CIPHER_MATCH', 'ERR_MODULE_NOT_FOUND'])
      assert.equal(verdict(error({ code })), 'stop', code)
    for (const cause of [new TypeError('bug'), new UsageError('ERR_WS_INVALID_OPTION', 'wrong'), 'no', null])
      assert.equal(verdict(cause), 'stop', String(cause))
    assert.equal(verdict(new TypeError('fetch failed', { cause: error({ code: 'ECONNREFUSED' }) })), 'retry')
  })

  it('judges other errors of ours', () => {
    assert.equal(judgeFailure(new TimeoutError('ERR_WS_HANDSHAKE_TIMEOUT', 'handshake', 1)), 'retry')
    assert.equal(judgeFailure(new CloseError(ended(1006, { by: 'network' }))), 'retry')
    assert.equal(judgeFailure(new CloseError(ended(1008))), 'stop')
    assert.equal(judgeFailure(new UsageError('ERR_WS_INVALID_OPTION', 'wrong')), 'stop')
    assert.equal(judgeFailure(protocolError), 'stop')
  })

  it("takes a failing network in the application's own functions for what it is, and nothing else", () => {
    const refusedFetch = new TypeError('fetch failed', {
      cause: Object.assign(new AggregateError([], 'all failed'), { code: 'ECONNREFUSED' }),
    })
    assert.equal(judgeFailure(refusedFetch), 'retry')
    assert.equal(judgeFailure(new DOMException('too slow', 'TimeoutError')), 'retry')
    assert.equal(judgeFailure(new TypeError('x is not a function')), 'stop')
    assert.equal(judgeFailure(Object.assign(new Error('no such file'), { code: 'ENOENT' })), 'stop')
    for (const thrown of [undefined, null, 'no', { code: 'ECONNREFUSED' }])
      assert.equal(judgeFailure(thrown), 'stop')
    const circle = new Error('a')
    circle.cause = new Error('b', { cause: circle })
    assert.equal(judgeFailure(circle), 'stop')
  })
})

describe('the rules', () => {
  it('are ranges, and none is hidden behind those before it', () => {
    for (const rules of [closeRules, statusRules]) {
      for (const [index, { from, to }] of rules.entries()) {
        assert.ok(from <= to)
        const before = rules.slice(0, index)
        const codes = Array.from({ length: to - from + 1 }, (_, i) => from + i)
        assert.ok(codes.some((code) => !before.some((other) => code >= other.from && code <= other.to)))
      }
    }
  })
})

it('judgeFailure takes what it can read of an error whose getters throw', () => {
  const get = (): never => {
    throw new Error('on purpose')
  }
  const unreadable = Object.defineProperty(new Error('x'), 'code', { get })
  assert.equal(judgeFailure(unreadable), 'stop')
  assert.equal(judgeFailure(refused(undefined, 'ERR_WS_CONNECT', unreadable)), 'stop')
  const reset = Object.assign(new Error('x'), { code: 'ECONNRESET' })
  Object.defineProperty(reset, 'cause', { get })
  assert.equal(judgeFailure(refused(undefined, 'ERR_WS_CONNECT', reset)), 'retry')
})
