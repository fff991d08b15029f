import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { inspect } from 'node:util'
import type { Conn } from '../conn/conn.ts'
import { defaultLimits } from '../protocol/limits.ts'
import { UsageError } from '../session/errors.ts'
import { checkUrl, type DialOptions, resolveDialOptions } from './dial-options.ts'

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
      'signal',
      'onError',
      'compression',
      'extensions',
    ]
    for (const options of [{}, Object.fromEntries(names.map((name) => [name, undefined]))]) {
      const { onError, ...rest } = resolveDialOptions(options)
      assert.equal(typeof onError, 'function')
      assert.deepEqual(rest, {
        headers: {},
        subprotocols: [],
        extensions: [],
        limits: defaultLimits,
        slow: 'close',
        tls: {},
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
      signal: new AbortController().signal,
      onError: () => {},
    } as const
    const { limits, ...rest } = resolveDialOptions({ ...options, limits: { maxMessageSize: 5 } })
    assert.deepEqual(rest, { ...options, extensions: [] })
    assert.deepEqual([limits.maxMessageSize, limits.maxFrameSize, limits.closeTimeout], [5, 5, 5_000])
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
    ...[null, {}, new AbortController()].map((signal): [unknown, RegExp] => [
      { signal },
      /^signal must be an AbortSignal/,
    ]),
    ...[null, {}, 'log'].map((onError): [unknown, RegExp] => [{ onError }, /^onError must be a function/]),
  ]
  for (const [options, message] of wrong) {
    it(`throws at ${named(options)}`, () =>
      throwsUsage(() => resolveDialOptions(options as DialOptions), 'ERR_WS_INVALID_OPTION', message))
  }
})

describe('checkUrl', () => {
  const good: [given: string | URL, href: string][] = [
    ['ws://example.com', 'ws://example.com/'],
    ['wss://example.com:443/a?b=c', 'wss://example.com/a?b=c'],
    ['WS://EXAMPLE.com:80/A', 'ws://example.com/A'],
    ['ws://[::1]:8080/', 'ws://[::1]:8080/'],
    ['ws://bücher.example/ä ö?ü', 'ws://xn--bcher-kva.example/%C3%A4%20%C3%B6?%C3%BC'],
    ['  ws://example.com/\n', 'ws://example.com/'],
    [new URL('ws://example.com/x'), 'ws://example.com/x'],
  ]
  for (const [given, href] of good) {
    it(`takes ${named(given)}`, () => assert.equal(checkUrl(given).href, href))
  }

  it('gives a URL that later changes do not reach', () => {
    const given = new URL('ws://example.com/')
    const checked = checkUrl(given)
    given.hostname = 'evil.example'
    assert.equal(checked.hostname, 'example.com')
  })

  const bad: [given: unknown, message: RegExp][] = [
    ...['', 'example.com', '/chat', '//example.com', 'ws://', 'ws://a b/', 'ws://[::1', 'ws://x:65536/'].map(
      (given): [unknown, RegExp] => [given, /is not a URL$/],
    ),
    ...[undefined, null, 5, {}].map((given): [unknown, RegExp] => [given, /is not a URL$/]),
    ...['http', 'https', 'ftp', 'file', 'ws+unix', 'javascript'].map((scheme): [unknown, RegExp] => [
      `${scheme}://example.com/`,
      /^dial: the scheme must be ws or wss, not /,
    ]),
    ['localhost:8080', /the scheme must be ws or wss, not localhost$/],
    ['ws://example.com/#top', /has no fragment$/],
    ...['ws://user:secret@example.com/', 'wss://secret@example.com', 'ws://:secret@example.com'].map(
      (given): [unknown, RegExp] => [given, /^dial: no user name or password in the URL(?!.*secret)/],
    ),
  ]
  for (const [given, message] of bad) {
    it(`throws at ${named(given)}`, () =>
      throwsUsage(() => checkUrl(given as string), 'ERR_WS_INVALID_ARGUMENT', message))
  }
})
