import assert from 'node:assert/strict'
import type { IncomingMessage } from 'node:http'
import { describe, it } from 'node:test'
import { inspect } from 'node:util'
import { runInNewContext } from 'node:vm'
import { defaultLimits } from '../protocol/limits.ts'
import { HandshakeError, UsageError } from '../session/errors.ts'
import type { ServerConn } from './server-conn.ts'
import {
  type Rejection,
  resolveUpgraderOptions,
  type UpgraderOptions,
  upgraderOptionNames,
} from './upgrader-options.ts'

const request = { url: '/', headers: { host: 'example.com' } } as IncomingMessage
const conn = {} as ServerConn

function rejection(code: 'ERR_WS_SERVER' | 'ERR_WS_KEY', cause?: Error): Rejection {
  return { status: 500, headers: {}, body: '', reason: new HandshakeError(code, 'message', { cause }) }
}

/** An option that is wrong, and what the error must say of it. */
function throwsNaming(act: () => unknown, message: RegExp): void {
  assert.throws(act, (error: unknown) => {
    assert.ok(error instanceof UsageError)
    assert.equal(error.code, 'ERR_WS_INVALID_OPTION')
    assert.match(error.message, message)
    return true
  })
}

describe('resolveUpgraderOptions, defaults', () => {
  const defaults = resolveUpgraderOptions({})

  it('accepts every path, the same origin, no subprotocol, and adds no headers', () => {
    assert.equal(defaults.matches('/any', request), true)
    assert.equal(defaults.slow, 'close')
    assert.equal(defaults.limits(request, undefined), defaultLimits)
    assert.deepEqual(defaults.subprotocols(request), [])
    assert.deepEqual(defaults.headers(request, undefined), {})
    assert.equal(defaults.checkOrigin('https://example.com', request), true)
    assert.equal(defaults.checkOrigin('https://evil.example', request), false)
    assert.equal(defaults.onReject(rejection('ERR_WS_KEY'), request), undefined)
  })

  it('takes undefined for not given', () => {
    const resolved = resolveUpgraderOptions(
      Object.fromEntries(upgraderOptionNames.map((name) => [name, undefined])),
    )
    assert.equal(resolved.checkOrigin('https://evil.example', request), false)
    assert.equal(resolved.slow, 'close')
  })

  it('asks nobody, counts nothing and lets connections live', () => {
    const { authorize, maxConnections, maxConnectionsPerAddress, maxLifetime } = defaults
    assert.deepEqual(
      [authorize, maxConnections, maxConnectionsPerAddress, maxLifetime],
      Array(4).fill(undefined),
    )
    assert.deepEqual([defaults.lifetimeJitter, defaults.handshakeTimeout], [0.1, 10_000])
    assert.equal(defaults.addressOf(request), undefined)
  })

  it('prints what a handler threw', (t) => {
    const printed = t.mock.method(console, 'error', () => {})
    const error = new Error('boom')
    defaults.onError(error, conn)
    assert.deepEqual(printed.mock.calls[0]?.arguments, ['silverback: a connection handler failed:', error])
  })

  it('prints a refusal only when the application is its cause', (t) => {
    const printed = t.mock.method(console, 'error', () => {})
    const cause = new Error('boom')
    defaults.onReject(rejection('ERR_WS_KEY'), request)
    assert.equal(printed.mock.callCount(), 0)
    defaults.onReject(rejection('ERR_WS_SERVER', cause), request)
    assert.deepEqual(printed.mock.calls[0]?.arguments, ['silverback: an upgrade request failed:', cause])
  })
})

describe('resolveUpgraderOptions, what is given', () => {
  it('is passed on', () => {
    const seen: unknown[] = []
    const answer = { status: 418 }
    const see =
      <T>(result: T) =>
      (...given: unknown[]): T => {
        seen.push(given)
        return result
      }
    const resolved = resolveUpgraderOptions({
      path: "/a%20b/~!$&'()*+,;=:@",
      checkOrigin: see(true),
      subprotocols: see('two'),
      limits: { maxMessageSize: 5 },
      slow: 'skip',
      headers: see({ 'X-A': 'b' }),
      onReject: see(answer),
      onError: see(undefined),
    })
    const refused = rejection('ERR_WS_KEY')
    const error = new Error('x')
    assert.equal(resolved.matches("/a%20b/~!$&'()*+,;=:@", request), true)
    assert.equal(resolved.matches('/a b', request), false)
    assert.equal(resolved.checkOrigin('https://a.example', request), true)
    const select = resolved.subprotocols(request)
    assert.ok(typeof select === 'function')
    assert.equal(select(['one', 'two']), 'two')
    assert.deepEqual(resolved.headers(request, 'context'), { 'X-A': 'b' })
    assert.equal(resolved.onReject(refused, request), answer)
    resolved.onError(error, conn)
    assert.deepEqual(seen, [
      ['https://a.example', request],
      [['one', 'two'], request],
      [request, 'context'],
      [refused, request],
      [error, conn],
    ])
    const { maxMessageSize, maxFrameSize } = resolved.limits(request, undefined)
    assert.deepEqual([maxMessageSize, maxFrameSize], [5, 5])
    assert.equal(resolved.slow, 'skip')
  })

  it('takes a function for a path, whose answer is true', () => {
    const seen: unknown[] = []
    for (const answer of [true, false, undefined, 1, 'yes']) {
      const { matches } = resolveUpgraderOptions({
        path: (...given) => {
          seen.push(given)
          return answer as boolean
        },
      })
      assert.equal(matches('/rooms/7', request), answer === true)
    }
    assert.deepEqual(seen[0], ['/rooms/7', request])
  })

  it('passes an origin only by the answer true', () => {
    for (const answer of [false, undefined, null, 0, 1, 'yes', {}]) {
      const { checkOrigin } = resolveUpgraderOptions({ checkOrigin: () => answer as boolean })
      assert.equal(checkOrigin('https://example.com', request), false, String(answer))
    }
  })
})

describe('resolveUpgraderOptions, what is wrong', () => {
  const wrong: [options: Record<string, unknown>, message: RegExp][] = [
    [
      { pth: '/' },
      /^pth is not an option; the options are path, checkOrigin, subprotocols, authorize, limits/,
    ],
    [{ compress: true }, /^compress is not an option/],
    ...['', 'ws', 'ws://x/', '/a?b', '/a?', '/a#b', '/a b', '/ä', '/a/../b', '/a\\b', '/{id}', 1, null].map(
      (path): [Record<string, unknown>, RegExp] => [{ path }, /^path must be as in a request/],
    ),
    [{ checkOrigin: true }, /^checkOrigin must be a function, not boolean/],
    [{ checkOrigin: ['https://a.example'] }, /^checkOrigin must be a function, not object/],
    [{ checkOrigin: null }, /^checkOrigin must be a function/],
    [{ onReject: {} }, /^onReject must be a function/],
    [{ authorize: {} }, /^authorize must be a function, not object/],
    [{ authorize: null }, /^authorize must be a function/],
    [{ addressOf: 'x-forwarded-for' }, /^addressOf must be a function, not string/],
    ...['maxConnections', 'maxConnectionsPerAddress', 'maxLifetime'].flatMap((name) =>
      [0, -1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 31, '5', null].map(
        (value): [Record<string, unknown>, RegExp] => [
          { [name]: value },
          new RegExp(`^${name} must be an integer from 1 to 2147483647, not `),
        ],
      ),
    ),
    ...[-0.1, 1.1, Number.NaN, '0', null].map((lifetimeJitter): [Record<string, unknown>, RegExp] => [
      { lifetimeJitter },
      /^lifetimeJitter must be a number from 0 to 1, not /,
    ]),
    ...[-1, 0.5, '5', null].map((handshakeTimeout): [Record<string, unknown>, RegExp] => [
      { handshakeTimeout },
      /handshakeTimeout must be an integer from 0 to/,
    ]),
    [{ onError: 'log' }, /^onError must be a function/],
    [{ subprotocols: 'chat' }, /^subprotocols must be a list/],
    [{ subprotocols: null }, /^subprotocols must be a list/],
    [{ subprotocols: ['a b'] }, /^subprotocols: "a b" is not a token/],
    [{ subprotocols: [''] }, /^subprotocols: "" is not a token/],
    [{ subprotocols: [1] }, /^subprotocols: 1 is not a token/],
    [{ subprotocols: ['a', 'a'] }, /^subprotocols: each may be named once/],
    [{ subprotocols: Array.from({ length: 33 }, (_, i) => `p${i}`) }, /^subprotocols: at most 32/],
    [{ limits: 1 }, /^limits must be an object/],
    [{ limits: null }, /^limits must be an object/],
    [{ limits: { maxMesageSize: 1 } }, /^limits\.maxMesageSize is not a limit/],
    [{ limits: { maxMessageSize: 0 } }, /^limits\.maxMessageSize must be an integer/],
    [{ limits: { pingInterval: '1' } }, /^limits\.pingInterval must be an integer/],
    [{ slow: 'queue' }, /^slow must be 'close' or 'skip', not queue/],
    [{ slow: null }, /^slow must be/],
    [{ headers: 'X-A: b' }, /^headers must be an object/],
    [{ headers: null }, /^headers must be an object/],
    [{ headers: ['X-A', 'b'] }, /^headers must be an object/],
    [{ headers: new Headers({ a: 'b' }) }, /^headers must be an object/],
    [{ headers: new Map([['a', 'b']]) }, /^headers must be an object/],
    [{ headers: { 'X A': 'b' } }, /^headers: "X A" is not a header name/],
    [{ headers: { 'X\r\nY': 'b' } }, /^headers: "X\\r\\nY" is not a header name/],
    [{ headers: { 'X-A': 1 } }, /^headers: the value of X-A is neither a string nor/],
    [{ headers: { 'X-A': ['b', 1] } }, /^headers: the value of X-A is neither a string nor/],
    [{ headers: { 'X-A': undefined } }, /^headers: the value of X-A is neither a string nor/],
    ...[
      'Upgrade',
      'CONNECTION',
      'content-length',
      'Transfer-Encoding',
      'Sec-WebSocket-Accept',
      'sec-websocket-protocol',
      'Sec-Websocket-Extensions',
    ].map((name): [Record<string, unknown>, RegExp] => [
      { headers: { [name]: 'x' } },
      new RegExp(`^headers: ${name} is set by the handshake`),
    ]),
  ]
  for (const [options, message] of wrong) {
    it(`throws at ${inspect(options, { compact: true, breakLength: Number.POSITIVE_INFINITY, maxArrayLength: 3 })}`, () =>
      throwsNaming(() => resolveUpgraderOptions(options as UpgraderOptions), message))
  }

  for (const options of [null, 1, 'x']) {
    it(`throws at ${JSON.stringify(options)} in place of options`, () =>
      throwsNaming(() => resolveUpgraderOptions(options as never), /^options must be an object/))
  }

  it('throws when the headers that a function gives are wrong', () => {
    for (const [headers, message] of [
      [undefined, /^headers must be an object/],
      [{ Upgrade: 'x' }, /^headers: Upgrade is set/],
      [{ a: 1 }, /^headers: the value of a/],
    ] as const) {
      const resolved = resolveUpgraderOptions({ headers: () => headers as never })
      throwsNaming(() => resolved.headers(request, 'context'), message)
    }
  })

  it('throws when a function answers with a promise, whose rejection ends nothing', () => {
    // Of another realm, as of a plugin or a test framework: its promises are no instances of our Promise.
    const late: unknown = runInNewContext('async () => { throw new Error("too late") }')
    const resolved = resolveUpgraderOptions({
      checkOrigin: late as never,
      path: late as never,
      subprotocols: late as never,
      headers: late as never,
      limits: late as never,
      addressOf: late as never,
      onReject: late as never,
    })
    throwsNaming(() => resolved.matches('/', request), /^path must answer at once/)
    throwsNaming(() => resolved.limits(request, undefined), /^limits must answer at once/)
    throwsNaming(() => resolved.addressOf(request), /^addressOf must answer at once/)
    const select = resolved.subprotocols(request)
    assert.ok(typeof select === 'function')
    throwsNaming(() => resolved.checkOrigin(undefined, request), /^checkOrigin must answer at once/)
    throwsNaming(() => select(['a']), /^subprotocols must answer at once/)
    throwsNaming(() => resolved.headers(request, 'context'), /^headers must answer at once/)
    throwsNaming(() => resolved.onReject(rejection('ERR_WS_KEY'), request), /^onReject must answer at once/)
  })
})
