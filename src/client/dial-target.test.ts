import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { inspect } from 'node:util'
import { UsageError } from '../session/errors.ts'
import { authority, checkUrl, type DialTarget, dialTarget, requestTarget } from './dial-target.ts'

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

describe('checkUrl', () => {
  const good: [given: string | URL, href: string][] = [
    ['ws://example.com', 'ws://example.com/'],
    ['wss://example.com:443/a?b=c', 'wss://example.com/a?b=c'],
    ['WS://EXAMPLE.com:80/A', 'ws://example.com/A'],
    ['ws://[::1]:8080/', 'ws://[::1]:8080/'],
    ['ws://bücher.example/ä ö?ü', 'ws://xn--bcher-kva.example/%C3%A4%20%C3%B6?%C3%BC'],
    ['  ws://example.com/\n', 'ws://example.com/'],
    [new URL('ws://example.com/x'), 'ws://example.com/x'],
    ['ws+unix:/run/a.sock:/chat', 'ws+unix:/run/a.sock:/chat'],
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
    ...['http', 'https', 'ftp', 'file', 'http+unix', 'javascript'].map((scheme): [unknown, RegExp] => [
      `${scheme}://example.com/`,
      /^dial: the scheme must be ws or wss, not /,
    ]),
    ['localhost:8080', /the scheme must be ws or wss, not localhost$/],
    ['ws://example.com/#top', /has no fragment$/],
    ['ws://example.com/#', /has no fragment$/],
    ['ws+unix:/run/a%00b.sock', /has no NUL$/],
    ['user:secret@exam ple/?token=secret', /^(?!.*secret)/],
    ['ws://user:secret@exam ple/?token=secret', /is not a URL$(?<!secret.*)/],
    ['ws+unix:/run/a.sock#top', /has no fragment$/],
    ['ws+unix://example.com/', /ws\+unix:\/\/example.com names a host: write ws\+unix:\/path/],
    ['ws+unix:', /names no unix socket$/],
    ['wss+unix:///', /names no unix socket$/],
    ['ws+unix::/chat', /names no unix socket$/],
    ['ws+unix:/run/a.sock:chat', /comes the path of the request, which begins with \/$/],
    ['ws+unix:/run/%ff.sock', /is not percent-encoded UTF-8$/],
    ...['ws://user:secret@example.com/', 'wss://secret@example.com', 'ws://:secret@example.com'].map(
      (given): [unknown, RegExp] => [given, /^dial: no user name or password in the URL(?!.*secret)/],
    ),
  ]
  for (const [given, message] of bad) {
    it(`throws at ${named(given)}`, () =>
      throwsUsage(() => checkUrl(given as string), 'ERR_WS_INVALID_ARGUMENT', message))
  }
})

describe('dialTarget', () => {
  const table: [given: string, target: Omit<DialTarget, 'url'>][] = [
    [
      'ws://Example.com/a?b',
      {
        secure: false,
        host: 'example.com',
        port: 80,
        socketPath: undefined,
        label: 'example.com',
      },
    ],
    [
      'wss://example.com',
      { secure: true, host: 'example.com', port: 443, socketPath: undefined, label: 'example.com' },
    ],
    [
      'ws://[::1]:8080/',
      { secure: false, host: '::1', port: 8080, socketPath: undefined, label: '[::1]:8080' },
    ],
  ]
  for (const [given, { secure, host, port, socketPath, label }] of table) {
    it(given, () => {
      const url = new URL(given)
      assert.deepEqual(dialTarget(url), { url, secure, host, port, socketPath, label })
    })
  }

  const sockets: [given: string, socketPath: string, url: string][] = [
    ['ws+unix:/run/a.sock', '/run/a.sock', 'ws://localhost/'],
    ['ws+unix:/run/a.sock:', '/run/a.sock', 'ws://localhost/'],
    ['ws+unix:/run/a.sock:/chat/b?c=d:e', '/run/a.sock', 'ws://localhost/chat/b?c=d:e'],
    ['ws+unix:///run/a.sock:/chat', '/run/a.sock', 'ws://localhost/chat'],
    ['ws+unix:/run/a.sock:/a:b', '/run/a.sock', 'ws://localhost/a:b'],
    ['ws+unix:/run/a b%3Ac%23%C3%A4.sock:/ä b', '/run/a b:c#ä.sock', 'ws://localhost/%C3%A4%20b'],
    ['ws+unix:./a.sock:/x y', './a.sock', 'ws://localhost/x%20y'],
    ['ws+unix:/run/a.sock://evil.example/x', '/run/a.sock', 'ws://localhost//evil.example/x'],
    ['wss+unix:/run/a.sock:/chat', '/run/a.sock', 'wss://localhost/chat'],
    ['ws+unix:\\\\.\\pipe\\a:/chat', '\\\\.\\pipe\\a', 'ws://localhost/chat'],
  ]
  for (const [given, socketPath, href] of sockets) {
    it(given, () => {
      const target = dialTarget(checkUrl(given))
      assert.deepEqual(
        [target.socketPath, target.url.href, target.host, target.label, target.secure],
        [socketPath, href, 'localhost', socketPath, href.startsWith('wss')],
      )
    })
  }
})

describe('requestTarget', () => {
  for (const [given, wanted] of [
    ['ws://h', '/'],
    ['ws://h/p?', '/p?'],
    ['wss://h:8443/p?q=?', '/p?q=?'],
    ['ws://[::1]:81/a//b', '/a//b'],
    ['ws+unix:/run/a.sock:/p?', '/p?'],
    ['ws+unix:/run/a.sock?q', '/?q'],
  ] as const)
    it(given, () => assert.equal(requestTarget(dialTarget(checkUrl(given)).url), wanted))
})

describe('authority', () => {
  it('has brackets around IPv6', () => {
    assert.equal(authority('example.com', 80), 'example.com:80')
    assert.equal(authority('::1', 443), '[::1]:443')
  })
})
