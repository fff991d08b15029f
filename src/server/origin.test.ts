import assert from 'node:assert/strict'
import type { IncomingMessage } from 'node:http'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { UsageError } from '../session/errors.ts'
import { allowOrigins, sameOrigin } from './origin.ts'

function to(host: string | undefined): IncomingMessage {
  return { headers: { host } } as IncomingMessage
}

const long = 'a'.repeat(60_000)

/** Not a serialized http or https origin, whatever the server is called. */
const malformed = [
  '',
  'null',
  'NULL',
  'example.com',
  '//example.com',
  'https:',
  'https:/',
  'https://',
  'https:///example.com',
  'https:example.com',
  'https:\\\\example.com',
  'https://example.com/',
  'https://example.com/path',
  'https://example.com\\',
  'https://example.com?',
  'https://example.com#',
  'https://user@example.com',
  'https://user:pass@example.com',
  'https://@example.com',
  'https://:@example.com',
  'https://example.com@example.com',
  'https://example.com, https://example.com',
  'https://example.com https://example.com',
  'https://example.com:',
  'https://example.com:0',
  'https://example.com:0443',
  'https://example.com:+443',
  'https://example.com:-1',
  'https://example.com:44e1',
  'https://example.com:443:443',
  'https://example.com: 443',
  'https://example.com:65536',
  'https://example.com:99999999999999999999',
  'https://:443',
  ' https://example.com',
  'https://example.com ',
  'https:// example.com',
  'https://exam ple.com',
  '\thttps://example.com',
  'https://example.com\n',
  'https://example.com\r\nOrigin: x',
  'https://exa\tmple.com',
  'https://example.com\0',
  'https://example.com\x7f',
  'https://ex%61mple.com',
  'https://example%2ecom',
  'https://b\u00fccher.example',
  'https://e\uff58ample.com',
  'https://example\u3002com',
  'https://\u212aelvin.example',
  'https://.example.com',
  'https://example..com',
  'https://example.com..',
  'https://.',
  'https://[::1',
  'https://::1',
  'https://::1]',
  'https://[]',
  'https://[',
  'https://[::1]]',
  'https://[::1]x',
  'https://[::1]:',
  'https://[::g]',
  'https://[::1%25eth0]',
  'https://[fe80::1%eth0]',
  'https://[1.2.3.4]',
  'https://[example.com]',
  'https://*',
  'https://*.example.com',
  'ws://example.com',
  'wss://example.com',
  'ftp://example.com',
  'file://',
  'httpss://example.com',
  'http+s://example.com',
  'xhttps://example.com',
  'javascript://example.com',
  `https://[${long}]`,
  `https://example.com:${'1'.repeat(60_000)}`,
]

/** What follows the scheme: the Host header that would make a naive comparison succeed. */
function authorityOf(origin: string): string {
  return origin.slice(origin.indexOf('://') + 3)
}

describe('sameOrigin', () => {
  const allowed: [string | undefined, string | undefined][] = [
    [undefined, 'example.com'],
    [undefined, undefined],
    ['https://example.com', 'example.com'],
    ['http://example.com', 'example.com'],
    ['https://example.com:8443', 'example.com:8443'],
    ['http://localhost:8080', 'localhost:8080'],
    ['HTTPS://EXAMPLE.com', 'example.COM'],
    ['https://example.com', 'EXAMPLE.COM:443'],
    ['https://example.com:443', 'example.com'],
    ['http://example.com', 'example.com:80'],
    ['http://example.com:80', 'example.com'],
    ['https://a_b.example-1.com', 'a_b.example-1.com'],
    ['https://xn--bcher-kva.example', 'XN--bcher-kva.example'],
    ['http://127.0.0.1:3000', '127.0.0.1:3000'],
    ['http://[::1]', '[::1]'],
    ['http://[::1]:8080', '[::1]:8080'],
    ['https://[2001:DB8::1]:443', '[2001:db8::1]'],
    ['http://[::ffff:1.2.3.4]:80', '[::ffff:1.2.3.4]'],
    ['https://example.com.', 'example.com.'],
    [`https://${long}.com`, `${long}.com`],
  ]
  for (const [origin, host] of allowed) {
    it(`lets ${origin?.slice(0, 60)} in at ${host?.slice(0, 60)}`, () =>
      assert.equal(sameOrigin(origin, to(host)), true))
  }

  const refused: [string, string | undefined][] = [
    ['https://example.com', undefined],
    ['https://example.com', ''],
    ['https://', ''],
    ['https://evil.example', 'example.com'],
    ['https://evilexample.com', 'example.com'],
    ['https://example.com.evil.example', 'example.com'],
    ['https://example.com.', 'example.com'],
    ['https://example.com', 'example.com.'],
    ['https://www.example.com', 'example.com'],
    ['https://example.com', 'www.example.com'],
    ['https://example.co', 'example.com'],
    ['https://example.com', 'example.com:80'],
    ['http://example.com', 'example.com:443'],
    ['https://example.com:80', 'example.com'],
    ['https://example.com:8443', 'example.com'],
    ['https://example.com', 'example.com:8443'],
    ['https://example.com:8443', 'example.com:8444'],
    ['https://example.com', 'user@example.com'],
    ['https://example.com', 'example.com/'],
    ['https://example.com', 'example.com, example.com'],
    ['https://example.com', 'example.com:'],
    ['http://[::1]', '[::2]'],
    ['http://[::1]:8080', '[::1]'],
    ['http://[::1]', '::1'],
    ['http://127.0.0.1', 'localhost'],
    ['http://2130706433', '127.0.0.1'],
    ['https://b\u00fccher.example', 'xn--bcher-kva.example'],
    ['https://xn--bcher-kva.example', 'b\u00fccher.example'],
  ]
  for (const [origin, host] of refused) {
    it(`keeps ${origin} out at ${host}`, () => assert.equal(sameOrigin(origin, to(host)), false))
  }

  for (const origin of malformed) {
    it(`keeps ${JSON.stringify(origin.slice(0, 60))} out`, () => {
      assert.equal(sameOrigin(origin, to('example.com')), false)
      assert.equal(sameOrigin(origin, to(authorityOf(origin))), false)
    })
  }

  it('agrees with a URL parser on what browsers send', () => {
    const urls = fc
      .webUrl({
        validSchemes: ['http', 'https'],
        authoritySettings: { withIPv4: true, withIPv6: true, withPort: true },
      })
      .map((url) => new URL(url))
      // Nothing can be served from port 0.
      .filter(({ port }) => port !== '0')
    const portOf = fc.constantFrom('', ':80', ':443', ':8080')
    fc.assert(
      fc.property(urls, urls, portOf, ({ origin, protocol, host, hostname }, other, port) => {
        assert.equal(sameOrigin(origin, to(host)), true)
        for (const own of [hostname + port, other.host, other.hostname + port]) {
          assert.equal(sameOrigin(origin, to(own)), new URL(`${protocol}//${own}`).host === host, own)
        }
      }),
      { numRuns: 500 },
    )
  })

  it('lets in no more than a URL parser would', () => {
    // Digits only in ports: a URL parser takes a name that ends in a number for a broken IPv4 address.
    const piece = fc.constantFrom(
      ...['a', 'B', '.', 'a.b', ':', ':80', ':443', ':8', '@', '/', '[', ']', '[::1]', '%', '\\', ' '],
    )
    const authority = fc.array(piece, { maxLength: 6 }).map((pieces) => pieces.join(''))
    const scheme = fc.constantFrom('http://', 'https://', 'HTTPS://')
    let passed = 0
    fc.assert(
      fc.property(scheme, authority, authority, fc.boolean(), (start, one, two, same) => {
        const host = same ? one : two
        if (!sameOrigin(start + one, to(host))) return
        passed++
        const [origin, own] = [new URL(start + one), new URL(start + host)]
        assert.deepEqual([origin.origin, origin.href], [own.origin, `${own.origin}/`])
      }),
      { numRuns: 3000 },
    )
    assert.ok(passed > 0)
  })
})

describe('allowOrigins', () => {
  const passes = (patterns: string[], origin: string | undefined): boolean =>
    allowOrigins(...patterns)(origin, to('server.example'))

  const table: { patterns: string[]; yes: (string | undefined)[]; no: string[] }[] = [
    {
      patterns: ['https://example.com'],
      yes: [undefined, 'https://example.com', 'https://example.com:443', 'HTTPS://Example.COM'],
      no: [
        'http://example.com',
        'https://example.com:8443',
        'https://example.com:80',
        'https://example.com.',
        'https://www.example.com',
        'https://evilexample.com',
        'https://example.com.evil.example',
        'https://server.example',
      ],
    },
    {
      patterns: ['HTTP://LocalHost:3000', 'https://[::1]:8443', 'http://example.com:80'],
      yes: [
        undefined,
        'http://localhost:3000',
        'https://[::1]:8443',
        'http://example.com',
        'http://example.com:80',
      ],
      no: [
        'http://localhost',
        'http://localhost:3001',
        'https://localhost:3000',
        'https://[::1]',
        'https://example.com',
      ],
    },
    {
      patterns: ['https://*.example.com'],
      yes: [undefined, 'https://a.example.com', 'https://a.b.example.com', 'https://A.Example.Com:443'],
      no: [
        'https://example.com',
        'https://.example.com',
        'https://..example.com',
        'https://a..example.com',
        'https://evilexample.com',
        'https://a.example.com.',
        'https://a.example.com.evil.example',
        'https://a.example.com@evil.example',
        'https://evil.example/.example.com',
        'https://evil.example#.example.com',
        'https://evil.example?.example.com',
        'https://evil.example\\.example.com',
        'https://evil.example:443.example.com',
        'https://evil.example\0.example.com',
        'https://evil.example%00.example.com',
        'https://evil.example,.example.com',
        'https://[::1].example.com',
        'https://*.example.com',
        'http://a.example.com',
        'https://a.example.com:8443',
        'https://a.example.org',
      ],
    },
    {
      patterns: ['http://*.dev.localhost:3000', 'https://*.a.example'],
      yes: ['http://x.dev.localhost:3000', 'https://x.a.example'],
      no: [
        'http://x.dev.localhost',
        'https://x.dev.localhost:3000',
        'http://x.a.example',
        'https://a.example',
      ],
    },
    {
      patterns: ['https://a.example', '*'],
      yes: [undefined, '', 'null', 'https://b.example', 'app://x', '\0'],
      no: [],
    },
    { patterns: [], yes: [undefined], no: ['https://server.example', 'null', ''] },
  ]
  for (const { patterns, yes, no } of table) {
    for (const origin of yes)
      it(`[${patterns}] lets ${origin} in`, () => assert.equal(passes(patterns, origin), true))
    for (const origin of no) {
      it(`[${patterns}] keeps ${JSON.stringify(origin)} out`, () =>
        assert.equal(passes(patterns, origin), false))
    }
  }

  for (const origin of malformed) {
    it(`keeps ${JSON.stringify(origin.slice(0, 60))} out`, () => {
      assert.equal(passes(['https://example.com', 'https://*.com', 'http://*.example'], origin), false)
    })
  }

  const badPatterns: unknown[] = [
    ...malformed.filter((pattern) => pattern !== 'https://*.example.com' && pattern.length < 1000),
    '**',
    '*.example.com',
    'https://*',
    'https://*.',
    'https://**.example.com',
    'https://*.*.example.com',
    'https://a.*.example.com',
    'https://*example.com',
    'https://example.*',
    'https://*.[::1]',
    'https://*.example.com/',
    'https://*.example.com:*',
    'https://example.com:*',
    '*://example.com',
    undefined,
    ['https://example.com'],
    /example/,
  ]
  for (const pattern of badPatterns) {
    it(`throws at the pattern ${JSON.stringify(pattern)}`, () => {
      assert.throws(
        () => allowOrigins('https://good.example', pattern as string),
        (error: unknown) =>
          error instanceof UsageError &&
          error.code === 'ERR_WS_INVALID_OPTION' &&
          error.message.includes(`allowOrigins: ${JSON.stringify(pattern)} is`),
      )
    })
  }

  it('lets in by a wildcard only what a URL parser sees below the name', () => {
    const piece = fc.constantFrom(
      'a',
      'evil',
      '.',
      'example',
      'com',
      '.example.com',
      ':',
      '443',
      '@',
      '/',
      '\\',
      '%2e',
      '#',
      '[',
      ']',
    )
    const end = fc.constantFrom('', '.example.com')
    const origin = fc
      .tuple(fc.array(piece, { maxLength: 7 }), end)
      .map(([pieces, last]) => `https://${pieces.join('')}${last}`)
    const check = allowOrigins('https://*.example.com')
    let passed = 0
    fc.assert(
      fc.property(origin, (value) => {
        if (!check(value, to('x'))) return
        passed++
        const url = new URL(value)
        assert.ok(url.hostname.length > '.example.com'.length && url.hostname.endsWith('.example.com'), value)
        assert.deepEqual([url.protocol, url.port, url.pathname + url.search + url.hash], ['https:', '', '/'])
      }),
      { numRuns: 5000 },
    )
    assert.ok(passed > 0)
  })
})
