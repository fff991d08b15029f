import { handshakeKey, upgradeRequest } from '../raw-client.ts'

/** What must come of a request. `refused` is any HTTP error, or the end of the connection without a word. */
export type Verdict = number | 'refused'

/** A request that a client should not send, or may and rarely does. */
export interface OddRequest {
  readonly name: string
  readonly bytes: string
  readonly verdict: Verdict
}

const crlf = '\r\n'
const key = `Sec-WebSocket-Key: ${handshakeKey}`
const good = upgradeRequest('/echo')

/** The good request to `/echo` with one header's value replaced. */
function withHeader(name: string, value: string | undefined): string {
  return upgradeRequest('/echo', { [name]: value })
}

/** The good request with further lines. */
function withLines(...lines: readonly string[]): string {
  return good.replace(crlf + crlf, `${crlf}${lines.join(crlf)}${crlf}${crlf}`)
}

function withRequestLine(line: string): string {
  return line + good.slice(good.indexOf(crlf))
}

type Row = readonly [name: string, bytes: string, verdict: Verdict]

const requestLines: readonly Row[] = [
  ['no version', withRequestLine('GET /echo'), 'refused'],
  ['HTTP/9.9', withRequestLine('GET /echo HTTP/9.9'), 'refused'],
  ['HTTP/1.0', withRequestLine('GET /echo HTTP/1.0'), 400],
  ['HTTP/2.0', withRequestLine('GET /echo HTTP/2.0'), 400],
  ['HTTP/2.1', withRequestLine('GET /echo HTTP/2.1'), 400],
  ['HTTP/3.0', withRequestLine('GET /echo HTTP/3.0'), 400],
  ['HTTP/0.9', withRequestLine('GET /echo HTTP/0.9'), 'refused'],
  ['another protocol', withRequestLine('GET /echo ICE/1.0'), 'refused'],
  ['no target', withRequestLine('GET HTTP/1.1'), 'refused'],
  ['no method', withRequestLine('/echo HTTP/1.1'), 'refused'],
  ['a space in front', withRequestLine(' GET /echo HTTP/1.1'), 'refused'],
  ['method in lower case', withRequestLine('get /echo HTTP/1.1'), 'refused'],
  ['an unknown method', withRequestLine('UPGRADE /echo HTTP/1.1'), 'refused'],
  ['NUL in the method', withRequestLine('G\0T /echo HTTP/1.1'), 'refused'],
  ['NUL in the target', withRequestLine('GET /ec\0ho HTTP/1.1'), 'refused'],
  ['a space in the target', withRequestLine('GET /echo x HTTP/1.1'), 'refused'],
  ['POST', withRequestLine('POST /echo HTTP/1.1'), 405],
  ['PUT', withRequestLine('PUT /echo HTTP/1.1'), 405],
  ['DELETE', withRequestLine('DELETE /echo HTTP/1.1'), 405],
  ['HEAD', withRequestLine('HEAD /echo HTTP/1.1'), 405],
  ['OPTIONS *', withRequestLine('OPTIONS * HTTP/1.1'), 404],
  ['CONNECT', withRequestLine('CONNECT 127.0.0.1:80 HTTP/1.1'), 'refused'],
  ['an unknown path', withRequestLine('GET /nowhere HTTP/1.1'), 404],
  ['a path in capitals', withRequestLine('GET /ECHO HTTP/1.1'), 404],
  ['a path with dots', withRequestLine('GET /x/../echo HTTP/1.1'), 404],
  ['an encoded slash', withRequestLine('GET /%65cho HTTP/1.1'), 404],
  ['two slashes', withRequestLine('GET //echo HTTP/1.1'), 404],
  ['a bad absolute target', withRequestLine('GET http://[::bad/echo HTTP/1.1'), 'refused'],
  ['a target that is no path', withRequestLine('GET echo HTTP/1.1'), 'refused'],
  ['a target of 10 000 characters', withRequestLine(`GET /${'e'.repeat(10_000)} HTTP/1.1`), 404],
  ['a target of 100 000 characters', withRequestLine(`GET /${'e'.repeat(100_000)} HTTP/1.1`), 'refused'],
  ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'refused'],
  ['the start of a TLS handshake', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 'refused'],
  ['a frame instead of a request', '\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58', 'refused'],
  ['an SMTP greeting', 'EHLO example.com\r\n', 'refused'],
  ['NULs', '\0'.repeat(100), 'refused'],
]

const headerValues: readonly Row[] = [
  ...['Connection', 'Upgrade', 'Sec-WebSocket-Version', 'Sec-WebSocket-Key'].map(
    (name): Row => [`${name} empty`, withHeader(name, ''), 'refused'],
  ),
  ['no Host', withHeader('Host', undefined), 400],
  ['no Sec-WebSocket-Version', withHeader('Sec-WebSocket-Version', undefined), 426],
  ['no Sec-WebSocket-Key', withHeader('Sec-WebSocket-Key', undefined), 400],
  ...[
    '12',
    '14',
    '0',
    '-13',
    '013',
    '0x13',
    '1e1',
    '13.0',
    '13, 8',
    '8, 13',
    '13,13',
    '"13"',
    'x',
    '9'.repeat(500),
  ].map((value): Row => [`version ${value.slice(0, 20)}`, withHeader('Sec-WebSocket-Version', value), 426]),
  ...[
    'x',
    'dGhlIHNhbXBsZSBub25jZQ',
    'dGhlIHNhbXBsZSBub25jZQ=',
    'dGhlIHNhbXBsZSBub25jZQ===',
    'dGhlIHNhbXBsZSBub25j',
    'dGhlIHNhbXBsZSBub25jZXg=',
    'dGhlIHNhbXBsZSBub25jZXh4',
    'dGhlIHNhbXBsZS!ub25jZQ==',
    'dGhlIHNhbXBsZS ub25jZQ==',
    `${handshakeKey}, ${handshakeKey}`,
    `${handshakeKey},`,
    'A'.repeat(5000),
    '\xe9'.repeat(24),
  ].map((value): Row => [`key ${value.slice(0, 30)}`, withHeader('Sec-WebSocket-Key', value), 400]),
  ...[
    'websocketx',
    'web socket',
    'h2c',
    'TLS/1.0',
    'websocket/',
    '"websocket"',
    'websocket;q=1',
    ',',
    '(',
    '\xff',
  ].map((value): Row => [`Upgrade: ${value}`, withHeader('Upgrade', value), 426]),
  ...[
    '\xe9'.repeat(20),
    'null',
    'https://evil.example',
    'http://127.0.0.1.evil.example',
    'http://',
    '//',
    'x',
    'http://127.0.0.1, http://127.0.0.1',
  ].map((value): Row => [`Origin: ${value}`, withHeader('Origin', value), 403]),
  ...[
    ',',
    ';',
    'a;',
    'a b',
    'a=1',
    'a,a',
    '(',
    '"a"',
    '\xe9',
    `${'a'.repeat(20)},`.repeat(300),
    Array.from({ length: 40 }, (_, i) => `p${i}`).join(),
  ].map(
    (value): Row => [`subprotocols ${value.slice(0, 20)}`, withHeader('Sec-WebSocket-Protocol', value), 400],
  ),
  ...[
    ',',
    ';',
    'a;',
    ';a',
    'a;b=',
    'a;=b',
    'a;b="',
    'a;b="c',
    'a;b="c\\',
    'a b',
    'a;b=c d',
    '"a"',
    'a/b',
    '\xe9',
    `a${';b'.repeat(300)}`,
    'a,'.repeat(40),
    `x${' '.repeat(8000)}y`,
  ].map(
    (value): Row => [`extensions ${value.slice(0, 20)}`, withHeader('Sec-WebSocket-Extensions', value), 400],
  ),
]

const repeated: readonly Row[] = [
  ['two keys', withLines('Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=='), 400],
  ['the same key twice', withLines(key), 400],
  ['the version twice', withLines('Sec-WebSocket-Version: 13'), 426],
  ['two Origins', withLines('Origin: http://127.0.0.1', 'Origin: https://evil.example'), 403],
  [
    'two lists of extensions, one broken',
    withLines('Sec-WebSocket-Extensions: a', 'Sec-WebSocket-Extensions: ;'),
    400,
  ],
  ['150 headers', withLines(...Array.from({ length: 150 }, (_, i) => `X-${i}: y`)), 431],
  [
    '2000 headers in front',
    `GET /echo HTTP/1.1\r\n${'X: y\r\n'.repeat(1990)}${good.slice(good.indexOf(crlf) + 2)}`,
    'refused',
  ],
  [
    '2100 headers in front',
    `GET /echo HTTP/1.1\r\n${'X: y\r\n'.repeat(2100)}${good.slice(good.indexOf(crlf) + 2)}`,
    'refused',
  ],
  ['a header of 20 000 characters', withLines(`X-Long: ${'y'.repeat(20_000)}`), 431],
  ['a header name of 20 000 characters', withLines(`${'X'.repeat(20_000)}: y`), 431],
  ['a header without end', `${good.slice(0, -4)}\r\nX: ${'y'.repeat(200_000)}`, 431],
]

const syntax: readonly Row[] = [
  ['a header without a colon', withLines('no colon here'), 'refused'],
  ['a header without a name', withLines(': value'), 'refused'],
  ['a space before the colon', withLines('X-Space : y'), 'refused'],
  ['a space in a name', withLines('X Space: y'), 'refused'],
  ['a folded header', withLines('X-Fold: a', ' b'), 'refused'],
  [
    'a folded first line',
    `GET /echo HTTP/1.1\r\n folded: x\r\n${good.slice(good.indexOf(crlf) + 2)}`,
    'refused',
  ],
  ['NUL in a value', withLines('X-Nul: a\0b'), 'refused'],
  ['a bare CR in a value', withLines('X-Cr: a\rb'), 'refused'],
  ['bare LF everywhere', good.replaceAll(crlf, '\n'), 'refused'],
  ['bare CR everywhere', good.replaceAll(crlf, '\r'), 'refused'],
  ['letters that are not ASCII in a name', withLines('X-\xe9: y'), 'refused'],
]

const bodies: readonly Row[] = [
  ['a body by length', `${withLines('Content-Length: 5')}hello`, 400],
  ['a promised body', withLines('Content-Length: 1000000'), 400],
  ['a body in chunks', `${withLines('Transfer-Encoding: chunked')}5\r\nhello\r\n0\r\n\r\n`, 400],
  [
    'a body announced twice',
    `${withLines('Content-Length: 5', 'Transfer-Encoding: chunked')}0\r\n\r\n`,
    'refused',
  ],
  ['an unknown transfer coding', withLines('Transfer-Encoding: rot13'), 'refused'],
  ['chunked, but not last', withLines('Transfer-Encoding: chunked, gzip'), 'refused'],
  ['a negative length', withLines('Content-Length: -1'), 'refused'],
  ['a length that is no number', withLines('Content-Length: five'), 'refused'],
  ['two lengths', withLines('Content-Length: 0', 'Content-Length: 5'), 'refused'],
  ['a refused request and a good one behind it', withHeader('Sec-WebSocket-Key', 'x') + good, 400],
]

/** Requests that must not end in a WebSocket connection. */
export const badRequests: readonly OddRequest[] = [
  ...requestLines,
  ...headerValues,
  ...repeated,
  ...syntax,
  ...bodies,
].map(([name, bytes, verdict]) => ({ name, bytes, verdict }))

/** Requests that look odd and are right: each must end in a WebSocket connection. */
export const goodRequests: readonly OddRequest[] = (
  [
    [
      'tokens in lists',
      upgradeRequest('/echo', { Connection: 'keep-alive , \t,UPGRADE', Upgrade: 'h2c, WebSocket' }),
    ],
    ['Upgrade with a version beside it', withHeader('Upgrade', 'foo/2, websocket')],
    ['names in any case', good.replace(/^[^:\r\n]+:/gm, (name) => name.toUpperCase())],
    ['no space behind the colons', good.replaceAll(': ', ':')],
    ['tabs behind the colons', good.replaceAll(': ', ':\t ')],
    ['an empty body', withLines('Content-Length: 0')],
    ['a query', withRequestLine('GET /echo?a=b&c=%00 HTTP/1.1')],
    ['an absolute target', withRequestLine('GET http://127.0.0.1/echo HTTP/1.1')],
    ['line ends in front', `\r\n\r\n${good}`],
    ['unknown extensions', withHeader('Sec-WebSocket-Extensions', 'x-foo; a="b", constructor, __proto__; y')],
    ['unknown subprotocols', withHeader('Sec-WebSocket-Protocol', 'toString, hasOwnProperty')],
    ['its own origin', upgradeRequest('/echo', { Host: '127.0.0.1:80', Origin: 'http://127.0.0.1:80' })],
    ['ninety headers', withLines(...Array.from({ length: 90 }, (_, i) => `X-${i}: y`))],
    ['letters that are not ASCII in a value', withLines('X-Name: J\xf6rg')],
    ['names of Object.prototype', withLines('constructor: x', '__proto__: y', 'toString: z')],
  ] as const
).map(([name, bytes]) => ({ name, bytes, verdict: 101 }))
