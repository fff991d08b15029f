// One request, one answer: nothing behind a handshake is taken for another request, by us or by a proxy in front, and
// nothing that an application or a client hands in can begin a line, or an answer, of its own.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { refuse, serve } from 'silverback'
import { frame } from './frames.ts'
import { entryNames, openEntry } from './hostile/entries.ts'
import { assertNoLeaks } from './leaks.ts'
import { RawClient, upgradeRequest } from './raw-client.ts'
import { serving } from './support/serving.ts'

after(() => assertNoLeaks())

const mask = Uint8Array.of(1, 2, 3, 4)
const good = upgradeRequest('/')
const smuggled = 'GET /admin HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n'

/** The good request with lines added, and bytes behind it. */
function plus(lines: readonly string[], behind = ''): string {
  return good.replace('\r\n\r\n', `\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n`) + behind
}

const chunks = `${smuggled.length.toString(16)}\r\n${smuggled}\r\n0\r\n\r\n`
const requests: readonly (readonly [name: string, bytes: string])[] = [
  ['a body by length, which is a request', plus([`Content-Length: ${smuggled.length}`], smuggled)],
  ['a body in chunks, which is a request', plus(['Transfer-Encoding: chunked'], chunks)],
  [
    'both lengths, the chunks empty',
    plus(['Content-Length: 4', 'Transfer-Encoding: chunked'], `0\r\n\r\n${smuggled}`),
  ],
  [
    'both lengths, in the other order',
    plus(['Transfer-Encoding: chunked', 'Content-Length: 4'], `0\r\n\r\n${smuggled}`),
  ],
  ['chunked, hidden by a tab', plus(['Transfer-Encoding:\tchunked'], chunks)],
  ['chunked, hidden by a space before the colon', plus(['Transfer-Encoding : chunked'], chunks)],
  ['chunked twice', plus(['Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'], chunks)],
  ['chunked and identity', plus(['Transfer-Encoding: chunked', 'Transfer-Encoding: identity'], chunks)],
  ['a coding that only looks like chunked', plus(['Transfer-Encoding: xchunked'], chunks)],
  ['chunked on a folded line', plus(['Transfer-Encoding:', ' chunked'], chunks)],
  ['two lengths', plus(['Content-Length: 0', `Content-Length: ${smuggled.length}`], smuggled)],
  ['a length with a sign', plus([`Content-Length: +${smuggled.length}`], smuggled)],
  ['a length in hexadecimal', plus(['Content-Length: 0x10'], smuggled)],
  ['a list of lengths', plus([`Content-Length: 0, ${smuggled.length}`], smuggled)],
  ['HTTP/1.0', good.replace('HTTP/1.1', 'HTTP/1.0') + smuggled],
  [
    'HTTP/1.0 that wants to go on',
    plus(['Connection: keep-alive']).replace('HTTP/1.1', 'HTTP/1.0') + smuggled,
  ],
  [
    'a wrong version, and a request behind it',
    upgradeRequest('/', { 'Sec-WebSocket-Version': '12' }) + smuggled,
  ],
  ['a foreign origin, and a good request behind it', plus(['Origin: https://evil.example']) + good],
  ['lines that end in LF alone', good.replaceAll('\r\n', '\n') + smuggled],
  ['a bare CR in a value', plus(['X-Name: a\rContent-Length: 5'], smuggled)],
  ['a NUL in a name', plus(['X\0Y: a'], smuggled)],
]

for (const name of entryNames) {
  test(`${name}: a handshake that could hide another request gets one answer, no connection, and the end`, async () => {
    const seen: string[] = []
    let upgrades = 0
    await using entry = await openEntry(name, {}, () => void upgrades++)
    entry.http.on('request', (request) => seen.push(String(request.url)))
    for (const [what, bytes] of requests) {
      const client = entry.client(bytes)
      await client.until(() => client.closed, `the end of ${what}`)
      const answer = client.received.toString('latin1')
      assert.ok(answer.split('HTTP/1.1 ').length <= 2, `${what}: ${answer}`)
      assert.doesNotMatch(answer, /^HTTP\/1\.1 (101|2)/, what)
    }
    assert.deepEqual(seen, [], 'a hidden request was served')
    assert.equal(upgrades, 0)
  })

  test(`${name}: what comes behind a good handshake in the same packet is frames, and nothing else`, async () => {
    const seen: string[] = []
    await using entry = await openEntry(name, { onError() {} }, async (conn) => {
      for await (const message of conn) conn.send(message)
    })
    entry.http.on('request', (request) => seen.push(String(request.url)))
    const pipelined = entry.client(good + smuggled)
    await pipelined.until(() => pipelined.ended, 'the end of a connection that speaks HTTP')
    const end = pipelined.events.at(-1)
    assert.ok(end?.kind === 'close' && end.code === 1002)
    assert.equal(pipelined.received.toString('latin1').split('HTTP/1.1 ').length, 2)
    const early = entry.client(
      Buffer.concat([Buffer.from(good), frame({ opcode: 1, payload: smuggled, mask })]),
    )
    await early.until(() => early.events.length > 0, 'the echo of what came early')
    assert.equal(early.events[0]?.kind, 'text')
    assert.deepEqual(seen, [])
  })
}

test('no answer is split: values of the application, and of the client, stay in their line', async () => {
  const evil = 'x\r\nX-Evil: 1\r\n\r\nHTTP/1.1 200 OK\r\n\r\n'
  await using setup = await serving({
    subprotocols: ['chat'],
    headers: () => ({ 'X-Name': evil, 'X-Other': ['a\nX-Evil: 1', 'b\rX-Evil: 1'] }),
    authorize: ({ url }) => (url === '/no' ? refuse(401, { headers: { 'X-Name': evil }, body: 'no\n' }) : {}),
  })
  for (const [path, status] of [
    ['/', 101],
    ['/no', 401],
  ] as const) {
    const client = setup.server.client(upgradeRequest(path, { 'Sec-WebSocket-Protocol': 'chat' }))
    await client.until(() => client.status !== undefined, 'an answer')
    assert.equal(client.status, status)
    const head = client.received.toString('latin1').split('\r\n\r\n')[0] ?? ''
    assert.doesNotMatch(head, /[\r\n]X-Evil|[^\r]\n|\r[^\n]/)
    assert.equal(head.split('\r\n').filter((line) => line.startsWith('HTTP/1.1')).length, 1)
    await client.destroy()
  }
  // What a client names comes back only where it was listed, in the words of the list.
  const reflected = await setup.server.answer(
    upgradeRequest('/', { 'Sec-WebSocket-Protocol': 'chat\tX', Connection: 'Upgrade, close' }),
  )
  assert.doesNotMatch(reflected, /chat\t/)
})

test('every entry refuses pages of other origins by default', async () => {
  await using server = await serve({}, () => {})
  await using own = await serving()
  const given = await serve({ server: own.server.http, path: '/given' }, () => {})
  const origins = [
    'null',
    'https://evil.example',
    'http://127.0.0.1:1',
    'http://127.0.0.1@evil.example',
    'file://',
  ]
  for (const [port, path] of [
    [Number(new URL(server.url).port), '/'],
    [own.server.port, '/'],
    [own.server.port, '/given'],
  ] as const) {
    for (const origin of origins) {
      const client = new RawClient(port)
      client.write(upgradeRequest(path, { Origin: origin }))
      await client.until(() => client.closed, 'a refusal')
      assert.equal(client.status, 403, `${path} from ${origin}`)
    }
  }
  assert.equal(server.connections.size + given.connections.size + own.conns.length, 0)
  await given.close()
})
