import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { pathToFileURL } from 'node:url'
import type { CloseInfo } from './close-info.ts'
import {
  CloseError,
  type ErrorKind,
  errorKinds,
  HandshakeError,
  LimitError,
  ProtocolError,
  TimeoutError,
  UsageError,
  WebSocketError,
} from './errors.ts'

const stats = {
  bytesReceived: 0,
  bytesSent: 0,
  messagesReceived: 0,
  messagesSent: 0,
  sendsDropped: 0,
  receivesDropped: 0,
  rtt: undefined,
}

function closeInfo(info: Partial<CloseInfo>): CloseInfo {
  return {
    code: 1000,
    reason: '',
    wasClean: true,
    by: 'remote',
    received: undefined,
    sent: undefined,
    error: undefined,
    stats,
    ...info,
  }
}

const classes = { ProtocolError, LimitError, HandshakeError, CloseError, TimeoutError, UsageError }

const samples: Record<ErrorKind, WebSocketError> = {
  ProtocolError: new ProtocolError('ERR_WS_RESERVED_BITS', 1002, 'reserved bit set'),
  LimitError: new LimitError('ERR_WS_FRAME_TOO_LARGE', 1009, 'too large', {
    limit: 'maxFrameSize',
    actual: 11,
    max: 10,
  }),
  HandshakeError: new HandshakeError('ERR_WS_ORIGIN', 'not allowed'),
  CloseError: new CloseError(closeInfo({})),
  TimeoutError: new TimeoutError('ERR_WS_PONG_TIMEOUT', 'pong', 45_000),
  UsageError: new UsageError('ERR_WS_INVALID_ARGUMENT', 'wrong'),
}

describe('the errors', () => {
  for (const [kind, error] of Object.entries(samples)) {
    it(`${kind} is an Error, a WebSocketError, and of its own class alone`, () => {
      assert.ok(error instanceof Error)
      assert.ok(error instanceof WebSocketError)
      for (const [name, type] of Object.entries(classes))
        assert.equal(error instanceof type, name === kind, name)
      assert.equal(error.name, kind)
      assert.equal(errorKinds[error.code], kind)
      assert.match(String(error.stack), new RegExp(`^${kind}: `))
    })

    it(`${kind} shows no more than what it has to say`, () => {
      assert.ok(!Object.keys(error).includes('name'))
      assert.deepEqual(
        Object.getOwnPropertySymbols(error).filter((key) => Object.hasOwn({ ...error }, key)),
        [],
      )
    })
  }

  it('have codes of one form', () => {
    for (const [code, kind] of Object.entries(errorKinds)) {
      assert.match(code, /^ERR_WS_[A-Z0-9]+(_[A-Z0-9]+)*$/)
      assert.ok(Object.hasOwn(classes, kind), `${code}: there is no ${kind}`)
    }
  })

  it('carry their details', () => {
    const limit = samples.LimitError as LimitError
    assert.deepEqual([limit.limit, limit.actual, limit.max, limit.closeCode], ['maxFrameSize', 11, 10, 1009])
    const cause = new Error('below')
    const protocol = new ProtocolError('ERR_WS_INVALID_JSON', 1007, 'not JSON', { cause })
    assert.deepEqual(
      [protocol.code, protocol.closeCode, protocol.cause],
      ['ERR_WS_INVALID_JSON', 1007, cause],
    )
    assert.equal(new UsageError('ERR_WS_INVALID_OPTION', 'wrong', { cause }).cause, cause)
  })

  it('of a handshake hold the answer, if there was one', () => {
    const cause = new Error('ECONNREFUSED')
    const refused = new HandshakeError('ERR_WS_STATUS', 'no', {
      status: 401,
      headers: { 'www-authenticate': 'Basic' },
      body: 'who are you?',
      cause,
    })
    assert.equal(refused.status, 401)
    assert.deepEqual(refused.headers, { 'www-authenticate': 'Basic' })
    assert.equal(refused.body, 'who are you?')
    assert.equal(refused.cause, cause)
    const { status, headers, body } = samples.HandshakeError as HandshakeError
    assert.deepEqual([status, headers, body], [undefined, undefined, undefined])
    assert.ok(!Object.hasOwn(samples.HandshakeError, 'cause'))
  })

  it('of time say what was waited for', () => {
    assert.equal(samples.TimeoutError.message, 'no sign of life within 45000 ms')
    assert.equal((samples.TimeoutError as TimeoutError).phase, 'pong')
    const close = new TimeoutError('ERR_WS_CLOSE_TIMEOUT', 'close', 5)
    assert.equal(close.message, 'no end of the closing handshake within 5 ms')
    const handshake = new TimeoutError('ERR_WS_HANDSHAKE_TIMEOUT', 'handshake', 7)
    assert.equal(handshake.message, 'no complete handshake within 7 ms')
  })
})

describe('CloseError', () => {
  it('tells code, reason, who and why', () => {
    const fault = samples.ProtocolError
    const received = { code: 4001, reason: 'enough' }
    const sent = { code: 4001, reason: '' }
    const info = closeInfo({ code: 4001, reason: 'enough', received, sent, error: fault })
    const error = new CloseError(info)
    assert.equal(error.message, 'connection closed with 4001 "enough" by the remote side: reserved bit set')
    assert.deepEqual([error.received, error.sent, error.by, error.info], [received, sent, 'remote', info])
    assert.equal(error.cause, fault)
  })

  it('without a reason or a fault says less', () => {
    const error = new CloseError(closeInfo({ code: 1006, by: 'network', wasClean: false }))
    assert.equal(error.message, 'connection closed with 1006 by the network')
    assert.ok(!Object.hasOwn(error, 'cause'))
    assert.equal(
      new CloseError(closeInfo({ by: 'local' })).message,
      'connection closed with 1000 by the local side',
    )
  })
})

describe('instanceof', () => {
  it('holds for the errors of another copy of the package', async () => {
    const url = pathToFileURL(import.meta.filename.replace('.test.ts', '.ts'))
    const copy = (await import(`${url}?copy`)) as typeof import('./errors.ts')
    assert.notEqual(copy.UsageError, UsageError)
    const theirs = new copy.UsageError('ERR_WS_INVALID_OPTION', 'wrong')
    assert.ok(theirs instanceof UsageError)
    assert.ok(theirs instanceof WebSocketError)
    assert.ok(!(theirs instanceof ProtocolError))
    assert.ok(samples.UsageError instanceof copy.UsageError)
  })

  it('holds for nothing else, and does not throw at what cannot be looked at', () => {
    const revoked = Proxy.revocable({}, {})
    revoked.revoke()
    const others = [
      undefined,
      null,
      0,
      'ERR_WS_CLOSED',
      Symbol.iterator,
      {},
      new Error('x'),
      { code: 'ERR_WS_CLOSED' },
      revoked.proxy,
    ]
    for (const value of others) {
      assert.ok(!(value instanceof WebSocketError))
      for (const type of Object.values(classes)) assert.ok(!(value instanceof type))
    }
  })

  it('of a class that an application derives holds for that class alone', () => {
    class QuotaError extends UsageError {}
    class BrokenError extends WebSocketError {
      override readonly name = 'BrokenError'
    }
    const quota = new QuotaError('ERR_WS_INVALID_ARGUMENT', 'used up')
    assert.ok(quota instanceof QuotaError && quota instanceof UsageError && quota instanceof WebSocketError)
    assert.ok(!(samples.UsageError instanceof QuotaError))
    assert.ok(!(quota instanceof BrokenError))
    assert.ok(!(samples.UsageError instanceof BrokenError))
    const broken = new BrokenError('ERR_WS_INVALID_ARGUMENT', 'broken')
    assert.ok(broken instanceof BrokenError && broken instanceof WebSocketError)
    assert.ok(!(broken instanceof UsageError))
  })
})
