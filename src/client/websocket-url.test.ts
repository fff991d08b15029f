import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { checkWebSocketProtocols, isBlockedPort, parseWebSocketUrl } from './websocket-url.ts'

const syntaxError = (error: unknown): boolean =>
  error instanceof DOMException && error.name === 'SyntaxError' && error.code === 12

describe('parseWebSocketUrl', () => {
  for (const [given, url] of [
    ['ws://host', 'ws://host/'],
    ['WSS://HOST:443/a?b', 'wss://host/a?b'],
    ['ws://host:443', 'ws://host:443/'],
    ['http://host:80/x', 'ws://host/x'],
    ['https://host:443', 'wss://host/'],
    ['https://host:80', 'wss://host:80/'],
    ['ws:host/x', 'ws://host/x'],
    ['ws:///host', 'ws://host/'],
    [' ws://host/ \n', 'ws://host/'],
    ['ws://host/a b/ö?ü', 'ws://host/a%20b/%C3%B6?%C3%BC'],
    ['ws://ä.example', 'ws://xn--4ca.example/'],
    ['ws://[::1]:8080', 'ws://[::1]:8080/'],
    ['ws://1.2.3', 'ws://1.2.0.3/'],
    ['ws://user:secret@host', 'ws://user:secret@host/'],
  ] as const)
    it(`makes ${url} of ${JSON.stringify(given)}`, () => assert.equal(parseWebSocketUrl(given).href, url))

  for (const given of [
    '',
    'foo',
    '/path',
    '//host/path',
    '?query',
    'ws:',
    'ws://',
    'ws://a b/',
    'ws://host:65536',
    'ws://[::1',
    'ftp://host/',
    'file:///x',
    'mailto:x@host',
    'javascript:0',
    'about:blank',
    'blob:ws://host/',
    'ws://host/#',
    'ws://host/#x',
    'http://host/?a#b',
  ])
    it(`takes no ${JSON.stringify(given)}`, () => assert.throws(() => parseWebSocketUrl(given), syntaxError))
})

describe('parseWebSocketUrl, a URL that cannot be', () => {
  it('is not quoted: it may hold a password or a token', () => {
    for (const given of ['ws://user:secret@a b/', 'ws://h/#secret', '/x?token=secret'])
      assert.throws(
        () => parseWebSocketUrl(given),
        ({ message }: Error) => !message.includes('secret'),
      )
  })
})

describe('checkWebSocketProtocols', () => {
  it('takes tokens, whose case counts', () => {
    for (const names of [[], ['a'], ['a', 'A'], ["!#$%&'*+-.^_`|~09azAZ"], ['toString', '__proto__']])
      assert.equal(checkWebSocketProtocols(names), names)
  })

  it('takes none twice, and nothing else', () => {
    assert.throws(() => checkWebSocketProtocols(['a', 'b', 'a']), syntaxError)
    for (const name of ['', ' ', 'a b', 'a,b', 'a\t', '\0', '\x7f', 'é', ...'()<>@,;:\\"/[]?={}'])
      assert.throws(() => checkWebSocketProtocols(['a', name]), syntaxError, JSON.stringify(name))
  })
})

describe('isBlockedPort', () => {
  it('is true for ports of other services, whatever the scheme', () => {
    for (const port of [1, 22, 25, 6000, 6667, 10_080]) {
      assert.ok(isBlockedPort(new URL(`ws://host:${port}`)))
      assert.ok(isBlockedPort(new URL(`wss://host:${port}`)))
    }
    assert.ok(isBlockedPort(new URL('ws://host:0')))
  })

  it('is false for all others', () => {
    for (const port of [80, 443, 8080, 6001, 65_535]) assert.ok(!isBlockedPort(new URL(`ws://host:${port}`)))
    for (const url of ['ws://host', 'wss://host']) assert.ok(!isBlockedPort(new URL(url)))
  })
})
