import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { describe, it } from 'node:test'
import { inspect } from 'node:util'
import type { Conn } from '../conn/conn.ts'
import { Observer } from '../conn/observer.ts'
import { defaultLimits } from '../protocol/limits.ts'
import { UsageError } from '../session/errors.ts'
import { type DialOptions, resolveDialOptions } from './dial-options.ts'

function throwsUsage(act: () => unknown, code: string, message: RegExp): void {
  assert.throws(act, (error: unknown) => {
    assert.ok(error instanceof UsageError, String(error))
    assert.equal(error.code, code)
    assert.match(error.message, message)
    return true
  })
}

const named = (value: unknown): string =>
  inspect(value, { compact: true, breakLength: Number.POSITIVE_INFINITY, maxArrayLength: 3 })

describe('resolveDialOptions', () => {
  it('completes what is not given, or given as undefined', () => {
    const names = [
      'headers',
      'subprotocols',
      'limits',
      'handshakeTimeout',
      'slow',
      'tls',
      'proxy',
      'redirects',
      'jar',
      'connect',
      'lookup',
      'localAddress',
      'signal',
      'onError',
      'compression',
      'extensions',
    ]
    for (const options of [{}, Object.fromEntries(names.map((name) => [name, undefined]))]) {
      const { onError, observer, ...rest } = resolveDialOptions(options)
      assert.equal(typeof onError, 'function')
      assert.ok(observer instanceof Observer)
      assert.deepEqual(rest, {
        headers: {},
        subprotocols: [],
        extensions: [],
        limits: defaultLimits,
        slow: 'close',
        tls: {},
        proxy: { choice: 'environment', headers: {}, tls: {} },
        redirects: 0,
        jar: undefined,
        connect: undefined,
        lookup: undefined,
        localAddress: undefined,
        signal: undefined,
      })
    }
  })

  it('keeps what is given', () => {
    const options = {
      headers: { Authorization: 'Bearer x', 'X-Any': 'a\tb é', HOST: 'elsewhere' },
      subprotocols: ['a', 'b'],
      slow: 'skip',
      tls: { ca: 'x' },
      proxy: false,
      redirects: 100,
      jar: { getCookieString: () => '', setCookie() {} },
      connect: () => new PassThrough(),
      lookup: () => {},
      localAddress: '::1',
      signal: new AbortController().signal,
      onError: () => {},
    } as const
    const { limits, observer, ...rest } = resolveDialOptions({ ...options, limits: { maxMessageSize: 5 } })
    assert.deepEqual(rest, {
      ...options,
      proxy: { choice: false, headers: {}, tls: {} },
      extensions: [],
    })
    assert.deepEqual([limits.maxMessageSize, limits.maxFrameSize, limits.closeTimeout], [5, 5, 5_000])
  })

  it('takes what is undefined within tls for not given', () => {
    const tls = { ca: 'x', servername: undefined, ALPNProtocols: undefined, minDHSize: undefined }
    const options = { tls, proxy: { tls } } as unknown as DialOptions
    const resolved = resolveDialOptions(options)
    assert.deepEqual(Object.entries(resolved.tls), [['ca', 'x']])
    assert.deepEqual(Object.entries(resolved.proxy.tls), [['ca', 'x']])
  })

  it('takes handshakeTimeout before the limit of that name', () => {
    const timeout = (options: DialOptions): number => resolveDialOptions(options).limits.handshakeTimeout
    assert.equal(timeout({ limits: { handshakeTimeout: 1 } }), 1)
    assert.equal(timeout({ limits: { handshakeTimeout: 1 }, handshakeTimeout: 2 }), 2)
    assert.equal(timeout({ handshakeTimeout: 0 }), 0)
  })

  it('prints what a listener threw, unless told otherwise', (t) => {
    const printed = t.mock.method(console, 'error', () => {})
    const error = new Error('boom')
    resolveDialOptions({}).onError(error, {} as Conn)
    assert.deepEqual(printed.mock.calls[0]?.arguments, ['silverback: a message listener failed:', error])
  })

  const reserved = [
    'Upgrade',
    'connection',
    'Content-Length',
    'TRANSFER-ENCODING',
    'Sec-WebSocket-Key',
    'sec-websocket-version',
    'Sec-WebSocket-Protocol',
    'Sec-WebSocket-Extensions',
  ]
  const wrong: [options: unknown, message: RegExp][] = [
    [null, /^options must be an object/],
    ['x', /^options must be an object/],
    [{ protocols: ['a'] }, /^protocols is not an option; the options are headers, subprotocols, limits/],
    [{ rejectUnauthorized: false }, /^rejectUnauthorized is not an option/],
    ...['x', null, [['a', 'b']], new Headers({ a: 'b' }), new Map()].map((headers): [unknown, RegExp] => [
      { headers },
      /^headers must be an object/,
    ]),
    ...reserved.map((name): [unknown, RegExp] => [
      { headers: { [name]: 'x' } },
      new RegExp(`^headers: ${name} is set by the handshake`),
    ]),
    ...['Proxy-Authorization', 'proxy-connection'].map((name): [unknown, RegExp] => [
      { headers: { [name]: 'x' } },
      new RegExp(`^headers: ${name} is for a proxy: see proxy\\.headers$`),
    ]),
    ...['', 'a b', 'a:b', 'a\r\nb', 'é'].map((name): [unknown, RegExp] => [
      { headers: { [name]: 'x' } },
      /^headers: ".*" is not a header name/,
    ]),
    ...['a\r\nb: c', 'a\nb', '\0', '\x7f', '€', 1, undefined, ['a']].map((value): [unknown, RegExp] => [
      { headers: { 'X-A': value } },
      /^headers: the value of X-A is not a line of text/,
    ]),
    ...['a', null, {}].map((subprotocols): [unknown, RegExp] => [
      { subprotocols },
      /^subprotocols must be a list/,
    ]),
    [{ subprotocols: ['a,b'] }, /^subprotocols: "a,b" is not a token/],
    [{ subprotocols: ['a', 'b', 'a'] }, /^subprotocols: each may be named once/],
    [{ subprotocols: Array.from({ length: 33 }, (_, i) => `p${i}`) }, /^subprotocols: at most 32/],
    [{ limits: 5 }, /^limits must be an object/],
    [{ limits: { maxPayload: 5 } }, /^limits\.maxPayload is not a limit/],
    [{ limits: { maxSendBuffer: 0 } }, /^limits\.maxSendBuffer must be/],
    ...[-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 31, '5', null].map((value): [unknown, RegExp] => [
      { handshakeTimeout: value },
      /handshakeTimeout must be an integer from 0 to/,
    ]),
    [{ slow: 'queue' }, /^slow must be 'close' or 'skip', not queue/],
    ...[null, true, 'ca'].map((tls): [unknown, RegExp] => [{ tls }, /^tls must be an object/]),
    ...['host', 'port', 'path', 'socket', 'lookup', 'localAddress'].map((name): [unknown, RegExp] => [
      { tls: { ca: 'x', [name]: 'y' } },
      new RegExp(`^tls has ${name}, which is not for TLS`),
    ]),
    [{ proxy: 'ftp://user:secret@proxy.example' }, /^proxy: a proxy has the scheme http, .*(?!.*secret)/],
    [{ proxy: { port: 3128 } }, /^port is not an option; the options are url, headers, tls/],
    ...[-1, 1.5, 101, Number.NaN, '5', null, true].map((redirects): [unknown, RegExp] => [
      { redirects },
      /^redirects must be an integer from 0 to 100, not /,
    ]),
    ...[null, 'jar', {}, { getCookieString() {} }, { setCookie() {} }].map((jar): [unknown, RegExp] => [
      { jar },
      /^jar must have the methods getCookieString and setCookie/,
    ]),
    ...[null, {}, 'x'].map((connect): [unknown, RegExp] => [{ connect }, /^connect must be a function/]),
    ...[null, {}, 'x'].map((lookup): [unknown, RegExp] => [{ lookup }, /^lookup must be a function/]),
    ...[null, 5, '', 'localhost', '[::1]'].map((localAddress): [unknown, RegExp] => [
      { localAddress },
      /^localAddress must be an IP address, not /,
    ]),
    ...[null, {}, new AbortController()].map((signal): [unknown, RegExp] => [
      { signal },
      /^signal must be an AbortSignal/,
    ]),
    ...[null, {}, 'log'].map((log): [unknown, RegExp] => [{ log }, /^log must be a function/]),
    ...[null, {}, 'log'].map((onError): [unknown, RegExp] => [{ onError }, /^onError must be a function/]),
  ]
  for (const [options, message] of wrong) {
    it(`throws at ${named(options)}`, () =>
      throwsUsage(() => resolveDialOptions(options as DialOptions), 'ERR_WS_INVALID_OPTION', message))
  }
})
