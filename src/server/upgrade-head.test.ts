import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { readByHttp } from '../../test/read-by-http.ts'
import { MAX_SIMPLE_FIELDS, MAX_SIMPLE_HEAD, parseUpgradeHead } from './upgrade-head.ts'

const line = 'GET /chat?room=1 HTTP/1.1'
const fields = [
  'Host: example.com:8080',
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
]

function head(...lines: string[]): string {
  return `${lines.join('\r\n')}\r\n\r\n`
}

function parse(text: string, limit?: number): ReturnType<typeof parseUpgradeHead> {
  return parseUpgradeHead(Buffer.from(text, 'latin1'), limit)
}

describe('parseUpgradeHead', () => {
  it('reads a handshake', () => {
    const text = head(line, ...fields, 'Cookie: a=b; c="d"', 'x-empty:', 'X-Tab: a\tb')
    assert.deepEqual(parse(`${text}rest`), {
      url: '/chat?room=1',
      headers: {
        host: 'example.com:8080',
        connection: 'Upgrade',
        upgrade: 'websocket',
        'sec-websocket-version': '13',
        'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
        cookie: 'a=b; c="d"',
        'x-empty': '',
        'x-tab': 'a\tb',
      },
      rawHeaders: [
        ...fields.flatMap((field) => field.split(': ')),
        ...['Cookie', 'a=b; c="d"', 'x-empty', '', 'X-Tab', 'a\tb'],
      ],
      end: text.length,
    })
  })

  const [host, connection, upgrade, ...others] = fields as [string, string, string, ...string[]]

  for (const value of ['upgrade', 'UPGRADE', 'keep-alive, Upgrade', 'Keep-Alive, upgrade']) {
    it(`takes Connection: ${value}`, () => {
      assert.ok(parse(head(line, host, `connection: ${value}`, 'UPGRADE: WebSocket')))
    })
  }

  const refused: Record<string, string> = {
    'another method': head('POST / HTTP/1.1', ...fields),
    'a method in lower case': head('get / HTTP/1.1', ...fields),
    'an absolute target': head('GET http://a/ HTTP/1.1', ...fields),
    'the target *': head('GET * HTTP/1.1', ...fields),
    'no target': head('GET  HTTP/1.1', ...fields),
    'a fragment': head('GET /a#b HTTP/1.1', ...fields),
    'a target beyond ASCII': head('GET /\xe4 HTTP/1.1', ...fields),
    'two spaces': head('GET /  HTTP/1.1', ...fields),
    'HTTP/1.0': head('GET / HTTP/1.0', ...fields),
    'HTTP/0.9': 'GET /\r\n\r\n',
    'an empty line before': `\r\n${head(line, ...fields)}`,
    'bare line feeds': head(line, ...fields).replaceAll('\r', ''),
    'bare carriage returns': head(line, ...fields).replaceAll('\n', ''),
    'one bare line feed': head(line, ...fields).replace('13\r', '13'),
    'a carriage return in a value': head(line, ...fields, 'X: a\rb'),
    'a carriage return at the end': head(line, ...fields).replace(/\n$/, 'x'),
    'a folded value': head(line, ...fields, 'X: a', ' b'),
    'space before the colon': head(line, ...fields, 'X : a'),
    'a name beyond ASCII': head(line, ...fields, 'X\xe4: a'),
    'no name': head(line, ...fields, ': a'),
    'no colon': head(line, ...fields, 'X'),
    'a value beyond ASCII': head(line, ...fields, 'X: \xe4'),
    'a control character': head(line, ...fields, 'X: \x01'),
    'a DEL': head(line, ...fields, 'X: \x7f'),
    'two spaces before a value': head(line, ...fields, 'X:  a'),
    'a tab before a value': head(line, ...fields, 'X: \ta'),
    'space behind a value': head(line, ...fields, 'X: a '),
    'a tab behind a value': head(line, ...fields, 'X: a\t'),
    'a value of two spaces': head(line, ...fields, 'X:  '),
    'a field twice': head(line, ...fields, 'X: a', 'x: b'),
    'an empty field twice': head(line, ...fields, 'X:', 'X:'),
    'the name __proto__': head(line, ...fields, '__proto__: a'),
    'an inherited name': head(line, ...fields, 'Constructor: a'),
    'no Host': head(line, connection, upgrade, ...others),
    'no Upgrade': head(line, host, connection, ...others),
    'no Connection': head(line, host, upgrade, ...others),
    'another protocol': head(line, host, connection, 'Upgrade: h2c'),
    'two protocols': head(line, host, connection, 'Upgrade: websocket, h2c'),
    'another Connection': head(line, host, 'Connection: close, Upgrade', upgrade),
    'no field': head(line),
    nothing: '',
    'a TLS hello': '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
  }
  for (const name of [
    ...['Content-Length', 'Transfer-Encoding', 'Expect', 'Trailer', 'TE', 'HTTP2-Settings'],
    ...['Proxy-Connection', 'Set-Cookie'],
  ])
    refused[`the field ${name}`] = head(line, ...fields, `${name}: 0`)
  for (const [what, text] of Object.entries(refused)) {
    it(`leaves to HTTP: ${what}`, () => {
      assert.equal(parse(text), undefined)
    })
  }

  it('leaves every part of a head to HTTP', () => {
    const whole = head(line, ...fields)
    for (let length = 0; length < whole.length; length++)
      assert.equal(parse(whole.slice(0, length)), undefined)
    assert.ok(parse(whole))
  })

  it('takes heads of so many fields, and no longer ones', () => {
    const most = Array.from({ length: MAX_SIMPLE_FIELDS - fields.length }, (_, index) => `X-${index}: a`)
    assert.equal(parse(head(line, ...fields, ...most))?.rawHeaders.length, 2 * MAX_SIMPLE_FIELDS)
    assert.equal(parse(head(line, ...fields, ...most, 'X: a')), undefined)
  })

  it('takes heads that are shorter than the limit', () => {
    const whole = head(line, ...fields)
    assert.ok(parse(whole, whole.length + 1))
    assert.equal(parse(`${whole}more`, whole.length), undefined)
    assert.equal(parse(whole, 100), undefined)
    const bulk = head(line, ...fields, `X: ${'a'.repeat(MAX_SIMPLE_HEAD)}`)
    assert.equal(parse(bulk), undefined)
    assert.equal(parse(head(`GET /${'a'.repeat(MAX_SIMPLE_HEAD)} HTTP/1.1`, ...fields)), undefined)
  })

  it('reads nothing that HTTP reads otherwise', async () => {
    let taken = 0
    await fc.assert(
      fc.asyncProperty(anyBytes, async (bytes) => {
        const ours = parseUpgradeHead(bytes)
        if (ours === undefined) return
        taken++
        const theirs = await readByHttp(bytes)
        assert.ok(theirs !== undefined, 'HTTP takes it for an upgrade')
        const { url, headers, rawHeaders } = theirs.request
        assert.deepEqual(
          {
            method: 'GET',
            version: '1.1',
            url: ours.url,
            headers: ours.headers,
            rawHeaders: ours.rawHeaders,
          },
          { method: theirs.request.method, version: theirs.request.httpVersion, url, headers, rawHeaders },
        )
        assert.deepEqual(bytes.subarray(ours.end), theirs.rest)
      }),
      { numRuns: 5_000 },
    )
    // Else this says nothing.
    assert.ok(taken > 500, `${taken} were taken`)
  })
})

const token = fc.string({ unit: fc.constantFrom(..."aZ09-_!#$%&*+.^`|~'"), minLength: 1, maxLength: 20 })
const value = fc.string({ unit: fc.constantFrom(...'aZ0 \t,;:="/?<>@[]\\{}()~!'), maxLength: 30 })
const knownNames = [
  ...['Cookie', 'cookie', 'Set-Cookie', 'Age', 'ETag', 'Origin', 'Date', 'Server', 'Content-Type', 'Host'],
  ...['X-Forwarded-For', 'Retry-After', 'Content-Length', 'Keep-Alive', 'toString', '0', '7', 'Referer'],
]
const field = fc
  .tuple(
    fc.oneof(token, fc.constantFrom(...knownNames)),
    often(': ', ':', ':  ', ' :'),
    fc.oneof(
      value.map((text) => text.trim()),
      value,
    ),
  )
  .map((parts) => parts.join(''))
const path = fc.string({ unit: fc.constantFrom(...'/a0?&=%<>"{}|\\^`[]~!:@;,*\''), maxLength: 30 })
const start = fc
  .tuple(
    often('GET', 'POST', 'CONNECT'),
    fc.tuple(path, often('', '#')).map(([some, mark]) => `/${some}${mark}`),
    often('HTTP/1.1', 'HTTP/1.0', 'HTTP/2.0'),
  )
  .map((parts) => parts.join(' '))
const anyHead = fc
  .tuple(
    start,
    fc.array(field, { maxLength: 3 }),
    fc.constantFrom('Upgrade', 'upgrade', 'keep-alive, Upgrade', 'Keep-Alive,Upgrade', 'Upgrade, close'),
    often('websocket', 'WebSocket', 'websocket/13', 'h2c'),
  )
  .chain(([first, extra, connection, upgrade]) => {
    const last = [`Connection: ${connection}`, `Upgrade: ${upgrade}`]
    return fc
      .shuffledSubarray([...fields.slice(3), ...extra, ...last], { minLength: 3 + extra.length })
      .map((some) => head(first, fields[0] as string, ...some))
  })
const oddBytes = fc.constantFrom(...[0, 9, 10, 11, 13, 32, 35, 44, 58, 97, 127, 128, 160, 255])
const change = fc.record({
  at: fc.nat(),
  cut: fc.constantFrom(0, 0, 1, 1, 2, 10),
  bytes: fc.array(fc.oneof(oddBytes, fc.integer({ min: 32, max: 126 })), { maxLength: 2 }),
})
const anyBytes = fc
  .tuple(
    anyHead,
    fc.constantFrom('', '', '\x81\x80abcd', 'GET / HTTP/1.1\r\n\r\n'),
    fc.oneof({ weight: 2, arbitrary: fc.constant([]) }, fc.array(change, { maxLength: 2 })),
  )
  .map(([text, behind, changes]) => {
    const bytes = [...Buffer.from(text + behind, 'latin1')]
    for (const { at, cut, bytes: added } of changes) bytes.splice(at % bytes.length, cut, ...added)
    return Buffer.from(bytes)
  })

/** The first value mostly. */
function often(usual: string, ...others: string[]): fc.Arbitrary<string> {
  return fc.oneof({ weight: 9, arbitrary: fc.constant(usual) }, fc.constantFrom(...others))
}
