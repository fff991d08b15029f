import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { assertNoLeaks } from '../../test/leaks.ts'
import { type Answer, AnsweringServer, switching } from '../../test/support/answering-server.ts'
import { resolveLimits } from '../protocol/limits.ts'
import { HandshakeError } from '../session/errors.ts'
import { openWebSocket, webSocketLimits } from './websocket-handshake.ts'
import { parseWebSocketUrl } from './websocket-url.ts'

after(() => assertNoLeaks())

const good: Answer = (socket, accept) => socket.write(switching(accept))
const refusal = (status: string): string =>
  `HTTP/1.1 ${status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`

const open = (url: string, protocols: readonly string[] = [], signal = new AbortController().signal) =>
  openWebSocket(parseWebSocketUrl(url), protocols, signal)

/** Asks a server with credentials in the URL; the authorization of each request that it got. */
async function authorizations(credentials: string, answer: Answer): Promise<(string | undefined)[]> {
  await using server = await AnsweringServer.start(answer)
  const conn = await open(server.url.replace('://', `://${credentials}@`)).catch(() => undefined)
  conn?.terminate()
  await conn?.closed
  await server.deserted()
  return server.requests.map((request) => /^authorization: (.*)\r$/im.exec(request)?.[1])
}

const basic = (text: string): string => `Basic ${Buffer.from(text).toString('base64')}`

describe('openWebSocket', () => {
  it('asks as a page does, but for what a page has and a program has not', async () => {
    await using server = await AnsweringServer.start((socket, accept) =>
      socket.write(switching(accept, 'Sec-WebSocket-Protocol: b\r\n')),
    )
    const conn = await open(`${server.url}path?query`, ['a', 'b'])
    assert.equal(conn.subprotocol, 'b')
    conn.terminate()
    await server.deserted()
    const [request = ''] = server.requests
    assert.match(request, /^GET \/path\?query HTTP\/1\.1\r\n/)
    assert.match(request, /^sec-websocket-protocol: a, b\r$/im)
    assert.match(request, /^sec-websocket-extensions: permessage-deflate; client_max_window_bits\r$/im)
    assert.doesNotMatch(request, /^(?:origin|cookie|authorization):/im)
  })

  it('wants one of its subprotocols to be chosen', async () => {
    await using server = await AnsweringServer.start(good)
    await assert.rejects(
      open(server.url, ['a']),
      (error) => error instanceof HandshakeError && error.code === 'ERR_WS_SUBPROTOCOL',
    )
    await server.deserted()
  })

  it('goes to no port of another service', async () => {
    await assert.rejects(open('ws://127.0.0.1:22/'), { code: 'ERR_WS_CONNECT', message: /^port 22 / })
  })

  it('follows no redirect', async () => {
    await using server = await AnsweringServer.start((socket) =>
      socket.end('HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\nConnection: close\r\n\r\n'),
    )
    await assert.rejects(open(server.url), { code: 'ERR_WS_STATUS', status: 302 })
    assert.equal(server.requests.length, 1)
  })

  it('can be given up', async () => {
    await using server = await AnsweringServer.start(() => {})
    const controller = new AbortController()
    const opening = open(server.url, [], controller.signal)
    controller.abort(new Error('enough'))
    await assert.rejects(opening, new Error('enough'))
    await server.deserted()
  })

  it('has limits that are limits', () => {
    assert.equal(resolveLimits(webSocketLimits).maxFrameSize, 128 * 1024 * 1024)
  })
})

describe('credentials of a URL', () => {
  const challenge = (scheme: string): Answer => {
    let asked = false
    return (socket, accept) => {
      if (asked) return void socket.write(switching(accept))
      asked = true
      socket.end(refusal(`401 Who\r\nWWW-Authenticate: ${scheme}`))
    }
  }

  it('are sent when the server asks for them, and not before', async () => {
    assert.deepEqual(await authorizations('user:pass', good), [undefined])
    assert.deepEqual(await authorizations('user:pass', challenge('Basic realm="x"')), [
      undefined,
      basic('user:pass'),
    ])
    assert.deepEqual(await authorizations('user', challenge('Digest realm="x", basic realm="y"')), [
      undefined,
      basic('user:'),
    ])
  })

  it('are sent as the bytes that they stand for', async () => {
    for (const [given, sent] of [
      ['us%40er:p%3A%C3%A4', 'us@er:p:ä'],
      ['%zz:%', '%zz:%'],
      [':secret', ':secret'],
    ] as const)
      assert.deepEqual(await authorizations(given, challenge('BASIC')), [undefined, basic(sent)], given)
  })

  it('are sent once, to a server that asks for just that', async () => {
    const always: Answer = (socket) => socket.end(refusal('401 Who\r\nWWW-Authenticate: Basic realm="x"'))
    assert.equal((await authorizations('user:pass', always)).length, 2)
    for (const scheme of ['Digest realm="basic"', 'Basics realm="x"'])
      assert.deepEqual(await authorizations('user:pass', challenge(scheme)), [undefined], scheme)
    const forbidden: Answer = (socket) => socket.end(refusal('403 No\r\nWWW-Authenticate: Basic realm="x"'))
    assert.equal((await authorizations('user:pass', forbidden)).length, 1)
  })

  it('are not sent because a proxy asks for some', async () => {
    await using proxy = await AnsweringServer.start(challenge('Basic realm="x"'))
    const before = process.env['http_proxy']
    process.env['http_proxy'] = `http://127.0.0.1:${proxy.port}`
    try {
      await assert.rejects(open('ws://user:pass@a.example/'), { code: 'ERR_WS_PROXY', status: 401 })
    } finally {
      if (before === undefined) delete process.env['http_proxy']
      else process.env['http_proxy'] = before
    }
    assert.equal(proxy.requests.length, 1)
  })

  it('are not asked for where there are none', async () => {
    await using server = await AnsweringServer.start(challenge('Basic realm="x"'))
    await assert.rejects(open(server.url), { status: 401 })
    assert.equal(server.requests.length, 1)
  })
})
