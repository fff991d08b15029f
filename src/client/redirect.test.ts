import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { dialTarget } from './dial-target.ts'
import { type Hop, nextHop } from './redirect.ts'

const everything = {
  authorization: 'Bearer x',
  cookie: 'a=b',
  host: 'front.example',
  origin: 'https://page.example',
  'x-api-key': 'secret',
  'proxy-authorization': 'x',
  'accept-language': 'de',
  'user-agent': 'test',
}
const tls = {
  ca: 'ca',
  cert: 'cert',
  key: 'key',
  pfx: 'pfx',
  passphrase: 'secret',
  servername: 'other.example',
  rejectUnauthorized: false,
  checkServerIdentity: () => undefined,
  minVersion: 'TLSv1',
  ciphers: 'DEFAULT@SECLEVEL=0',
  sigalgs: 'rsa_pkcs1_sha1',
  ecdhCurve: 'P-256',
  minDHSize: 512,
  maxVersion: 'TLSv1.2',
} as const
const from = (url: string): Hop => ({ target: dialTarget(new URL(url)), headers: everything, tls })

function follow(url: string, location: string): Hop {
  const next = nextHop(from(url), location)
  assert.ok(typeof next !== 'string', String(next))
  return next
}

describe('nextHop', () => {
  const allowed: [url: string, location: string, next: string][] = [
    ['ws://a.example/x/y?q', '/z', 'ws://a.example/z'],
    ['ws://a.example/x/y?q', 'z', 'ws://a.example/x/z'],
    ['ws://a.example/x/y?q', '?r', 'ws://a.example/x/y?r'],
    ['ws://a.example/x', '', 'ws://a.example/x'],
    ['ws://a.example/x', '#top', 'ws://a.example/x'],
    ['ws://a.example/x', '//b.example/z', 'ws://b.example/z'],
    ['ws://a.example/', 'ws://b.example:81/z', 'ws://b.example:81/z'],
    ['ws://a.example/', 'http://b.example/z#top', 'ws://b.example/z'],
    ['ws://a.example/', 'https://a.example/z', 'wss://a.example/z'],
    ['ws://a.example/', 'wss://a.example:8443/', 'wss://a.example:8443/'],
    ['wss://a.example/', 'HTTPS://b.example', 'wss://b.example/'],
    ['wss://a.example/', 'wss:/z', 'wss://a.example/z'],
    ['ws://a.example/', ' /z\t', 'ws://a.example/z'],
    ['ws://a.example/', '/z\r\nX-Injected: 1', 'ws://a.example/zX-Injected:%201'],
    ['ws://a.example/', '/ä', 'ws://a.example/%C3%A4'],
    // The bytes of UTF-8, as Node has them.
    ['ws://a.example/', '/\xc3\xbc?\xe2\x82\xac', 'ws://a.example/%C3%BC?%E2%82%AC'],
    ['ws://a.example/', '/€', 'ws://a.example/%E2%82%AC'],
  ]
  for (const [url, location, next] of allowed) {
    it(`${url} to ${JSON.stringify(location)}`, () =>
      assert.equal(follow(url, location).target.url.href, next))
  }

  const forbidden: [url: string, location: string, why: RegExp][] = [
    ['wss://a.example/', 'ws://a.example/', /^it leads from wss to ws$/],
    ['wss://a.example/', 'http://b.example/', /^it leads from wss to ws$/],
    ['ws://a.example/', 'ftp://a.example/', /^its Location has the scheme ftp$/],
    ['ws://a.example/', 'file:///etc/passwd', /^its Location has the scheme file$/],
    ['ws://a.example/', 'ws+unix:/run/docker.sock:/x', /^its Location has the scheme ws\+unix$/],
    ['ws://a.example/', 'http+unix:/run/docker.sock:/x', /^its Location has the scheme ws\+unix$/],
    ['ws://a.example/', 'javascript:alert(1)', /^its Location has the scheme javascript$/],
    ['ws://a.example/', 'ws://user:secret@b.example/', /^its Location has a user name or password$/],
    ['ws://a.example/', '//user@a.example/', /^its Location has a user name or password$/],
    ['ws://a.example/', 'ws://', /^its Location is not a URL$/],
    ['ws://a.example/', 'http://[::1', /^its Location is not a URL$/],
    ['ws://a.example/', '//a b', /^its Location is not a URL$/],
    ['ws+unix:/run/a.sock:/x', '//b.example/z', /^it leads away from a unix socket$/],
    ['ws+unix:/run/a.sock:/x', 'ws://localhost/z', /^it leads away from a unix socket$/],
    ['ws+unix:/run/a.sock:/x', 'https://b.example/', /^it leads away from a unix socket$/],
  ]
  for (const [url, location, why] of forbidden) {
    it(`not ${url} to ${location}`, () => {
      const next = nextHop(from(url), location)
      assert.ok(typeof next === 'string')
      assert.match(next, why)
    })
  }

  it('within an origin, all goes along', () => {
    for (const location of ['/z', 'ws://a.example:80/z', 'http://A.example/z', '//a.example']) {
      const { headers, tls: options } = follow('ws://a.example/', location)
      assert.deepEqual([headers, options], [everything, tls])
    }
  })

  it('to another host, port or scheme goes only what is safe anywhere', () => {
    for (const [url, location] of [
      ['ws://a.example/', 'ws://b.example/'],
      ['ws://a.example/', 'ws://sub.a.example/'],
      ['ws://a.example/', 'ws://a.example:81/'],
      ['ws://a.example/', 'wss://a.example/'],
      ['ws://a.example/', 'wss://a.example:80/'],
    ] as const) {
      const { headers, tls: options } = follow(url, location)
      assert.deepEqual(headers, {
        origin: 'https://page.example',
        'accept-language': 'de',
        'user-agent': 'test',
      })
      assert.deepEqual(options, { ca: 'ca' })
    }
  })

  it('what was left out does not come back', () => {
    const there = follow('wss://a.example/', 'wss://b.example/')
    const back = nextHop(there, 'wss://a.example/')
    assert.ok(typeof back !== 'string')
    assert.equal(back.target.url.href, 'wss://a.example/')
    assert.deepEqual([back.headers['authorization'], back.tls.cert], [undefined, undefined])
  })

  it('a unix socket leads to itself', () => {
    const { target, headers } = follow('wss+unix:/run/a.sock:/x/y', 'z?q')
    assert.deepEqual(
      [target.url.href, target.socketPath, target.secure, headers],
      ['wss://localhost/x/z?q', '/run/a.sock', true, everything],
    )
  })

  it('never leads from wss to anything else, whatever is sent', () => {
    const parts = fc.constantFrom(
      'ws',
      'http',
      'wss',
      'https',
      ':',
      '//',
      '/',
      '@',
      'a.example',
      '\\',
      '\t',
      '?',
      '#',
    )
    fc.assert(
      fc.property(fc.array(fc.oneof(parts, fc.string()), { maxLength: 8 }), (pieces) => {
        const next = nextHop(from('wss://a.example/x'), pieces.join(''))
        if (typeof next === 'string') return
        assert.equal(next.target.url.protocol, 'wss:')
        assert.equal(next.target.secure, true)
        if (next.target.url.host !== 'a.example') assert.equal(next.headers['authorization'], undefined)
      }),
      { numRuns: 500 },
    )
  })
})
