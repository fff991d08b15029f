// npm's ws, the other end of most WebSockets on Node: its client at our server, our client at its server.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, describe, test } from 'node:test'
import {
  type Conn,
  dial,
  type Handler,
  HandshakeError,
  reject,
  type ServeOptions,
  type ServerConn,
  serve,
} from 'silverback'
import { type ClientOptions, type ServerOptions, WebSocket, WebSocketServer } from 'ws'
import { assertNoLeaks } from '../test/leaks.ts'
import { assertSame, ending, samples } from './samples.ts'

after(() => assertNoLeaks())

type Ended = readonly [code: number, reason: string]

/** A client of ws, with what it hears kept in order. */
class WsClient {
  readonly socket: WebSocket
  readonly closed: Promise<Ended>
  readonly #messages: (string | Buffer)[] = []
  #onMessage: (() => void) | undefined

  constructor(socket: WebSocket) {
    this.socket = socket
    this.closed = new Promise((resolve) => {
      socket.once('close', (code, reason) => resolve([code, String(reason)]))
    })
    socket.on('message', (data: Buffer, isBinary) => {
      this.#messages.push(isBinary ? data : data.toString())
      this.#onMessage?.()
    })
    // What goes wrong on purpose is judged by the close code.
    socket.on('error', () => {})
  }

  static async open(url: string, protocols: string[] = [], options: ClientOptions = {}): Promise<WsClient> {
    const socket = new WebSocket(url, protocols, options)
    const client = new WsClient(socket)
    await once(socket, 'open')
    return client
  }

  async read(): Promise<string | Buffer> {
    while (this.#messages.length === 0) {
      await new Promise<void>((resolve) => {
        this.#onMessage = resolve
      })
    }
    return this.#messages.shift() as string | Buffer
  }
}

const echo: Handler = async (conn) => {
  for await (const message of conn) if (!conn.send(message)) await conn.drained()
}

/** A server of ours whose first connection can be taken hold of. */
async function ourServer(
  options: ServeOptions = {},
  handle: Handler = echo,
): Promise<AsyncDisposable & { readonly url: string; readonly first: Promise<ServerConn> }> {
  let onFirst: (conn: ServerConn) => void = () => {}
  const first = new Promise<ServerConn>((resolve) => {
    onFirst = resolve
  })
  const server = await serve(options, (conn) => {
    onFirst(conn)
    return handle(conn)
  })
  return { url: server.url, first, [Symbol.asyncDispose]: () => server.close() }
}

/** A server of ws whose first socket can be taken hold of. */
async function wsServer(
  options: ServerOptions = {},
  handle: (client: WsClient, request: IncomingMessage) => void = ({ socket }) => {
    socket.on('message', (data, binary) => socket.send(data, { binary }))
  },
): Promise<AsyncDisposable & { readonly url: string; readonly first: Promise<WsClient> }> {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', ...options })
  await once(server, 'listening')
  const first = once(server, 'connection').then(([socket, request]) => {
    const client = new WsClient(socket as WebSocket)
    handle(client, request as IncomingMessage)
    return client
  })
  return {
    url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    first,
    async [Symbol.asyncDispose]() {
      for (const socket of server.clients) socket.terminate()
      server.close()
      await once(server, 'close')
    },
  }
}

describe("ws's client at our server", () => {
  // By default it offers permessage-deflate, which our server may leave out of its answer.
  for (const [offer, options] of [
    ['offering permessage-deflate', {}],
    ['offering nothing', { perMessageDeflate: false }],
  ] as const) {
    test(`${offer}: all messages come back`, async () => {
      await using server = await ourServer()
      const client = await WsClient.open(server.url, [], options)
      for (const { name, message } of samples) {
        client.socket.send(message)
        assertSame(await client.read(), message, name)
      }
      for (const { message } of samples) client.socket.send(message)
      for (const { name, message } of samples) assertSame(await client.read(), message, `${name}, pipelined`)
    })
  }

  test('fragments become one message, with a ping between them', async () => {
    await using server = await ourServer()
    const { socket } = await WsClient.open(server.url)
    const ponged = once(socket, 'pong')
    socket.send('sil', { fin: false })
    socket.ping('now')
    socket.send('ver', { fin: false })
    socket.send('', { fin: false })
    socket.send('back', { fin: true })
    const [[data]] = await Promise.all([once(socket, 'message'), ponged])
    assert.equal(String(data), 'silverback')
    assert.equal(String((await ponged)[0]), 'now')
    for (let i = 0; i < 1000; i++) socket.send(Buffer.from([i & 0xff]), { fin: i === 999 })
    const [bytes, isBinary] = (await once(socket, 'message')) as [Buffer, boolean]
    assert.equal(isBinary, true)
    assert.ok(bytes.length === 1000 && bytes.every((byte, i) => byte === (i & 0xff)))
  })

  test('a character cut in two by fragments is whole again', async () => {
    await using server = await ourServer()
    const client = await WsClient.open(server.url)
    const gorilla = Buffer.from('🦍')
    client.socket.send(gorilla.subarray(0, 1), { binary: false, fin: false })
    client.socket.send(gorilla.subarray(1), { fin: true })
    assert.equal(await client.read(), '🦍')
  })

  test('pings are answered on both sides', async () => {
    await using server = await ourServer()
    const { socket } = await WsClient.open(server.url)
    const conn = await server.first
    const [rtt] = await Promise.all([conn.ping(), once(socket, 'ping')])
    assert.ok(rtt >= 0 && rtt < 10_000)
    assert.equal(conn.stats.rtt, rtt)
    const ponged = once(socket, 'pong')
    socket.ping(Buffer.alloc(125, 'p'))
    assert.deepEqual((await ponged)[0], Buffer.alloc(125, 'p'))
  })

  for (const [name, code, reason] of [
    ['a code and a reason', 4321, 'até 🦍'],
    ['a code', 1000, ''],
    ['the longest reason', 3000, 'r'.repeat(123)],
    ['neither', undefined, ''],
  ] as const) {
    test(`it closes with ${name}`, async () => {
      await using server = await ourServer()
      const client = await WsClient.open(server.url)
      const conn = await server.first
      client.socket.close(code, reason)
      assert.deepEqual(ending(await conn.closed), {
        code: code ?? 1005,
        reason,
        by: 'remote',
        wasClean: true,
      })
      // RFC 6455 section 5.5.1: the answer typically echoes the code, and the reason is the closer's.
      assert.deepEqual(await client.closed, [code ?? 1005, ''])
    })
  }

  test('we close with a code and a reason', async () => {
    await using server = await ourServer()
    const client = await WsClient.open(server.url)
    const conn = await server.first
    const info = await conn.close(4000, 'genug')
    assert.deepEqual(ending(info), { code: 4000, reason: 'genug', by: 'local', wasClean: true })
    assert.equal(info.received?.code, 4000)
    assert.deepEqual(await client.closed, [4000, 'genug'])
  })

  test('what was sent before closing arrives before it', async () => {
    await using server = await ourServer({}, (conn) => {
      conn.send('last words')
      conn.send(Buffer.alloc(512 * 1024))
      void conn.close(1001)
    })
    const client = await WsClient.open(server.url)
    assert.equal(await client.read(), 'last words')
    assert.equal((await client.read()).length, 512 * 1024)
    assert.deepEqual(await client.closed, [1001, ''])
  })

  test('it hangs up without a word', async () => {
    await using server = await ourServer()
    const client = await WsClient.open(server.url)
    const conn = await server.first
    client.socket.terminate()
    assert.deepEqual(ending(await conn.closed), { code: 1006, reason: '', by: 'network', wasClean: false })
    assert.deepEqual(await client.closed, [1006, ''])
  })

  test('we hang up without a word', async () => {
    await using server = await ourServer()
    const client = await WsClient.open(server.url)
    ;(await server.first).terminate()
    assert.deepEqual(await client.closed, [1006, ''])
  })

  test('what we cannot take is answered with its close code', async () => {
    const cases: readonly [number, (socket: WebSocket) => void][] = [
      [1009, (socket) => socket.send('x'.repeat(1001))],
      [1009, (socket) => [false, true].forEach((fin) => void socket.send('x'.repeat(600), { fin }))],
      [1007, (socket) => socket.send(Buffer.from([0xc0, 0x80]), { binary: false })],
    ]
    for (const [code, offend] of cases) {
      await using server = await ourServer({ limits: { maxMessageSize: 1000 } })
      const client = await WsClient.open(server.url, [], { perMessageDeflate: false })
      offend(client.socket)
      assert.equal((await client.closed)[0], code)
      const info = await (await server.first).closed
      assert.deepEqual([info.code, info.by], [code, 'local'])
    }
  })

  test('the first of its subprotocols that we speak is chosen', async () => {
    await using server = await ourServer({ subprotocols: ['v1', 'v2'] })
    for (const [offered, chosen] of [
      [['v2', 'v1'], 'v2'],
      [['v9', 'v1'], 'v1'],
    ] as const) {
      const { socket } = await WsClient.open(server.url, [...offered])
      assert.equal(socket.protocol, chosen)
    }
    const { socket } = await WsClient.open(server.url)
    assert.equal(socket.protocol, '')
    // RFC 6455 section 4.2.2: no common one, so none is named; ws then fails on its side.
    await assert.rejects(WsClient.open(server.url, ['v9']), /Server sent no subprotocol/)
  })

  test('a refusal reaches it with status, headers and body', async () => {
    const http = createServer().listen(0, '127.0.0.1')
    await once(http, 'listening')
    http.on('upgrade', (_request, socket) => {
      reject(socket, 401, { headers: { 'WWW-Authenticate': 'Bearer' }, body: 'Who are you?' })
    })
    const socket = new WebSocket(`ws://127.0.0.1:${(http.address() as AddressInfo).port}/`)
    const [, response] = (await once(socket, 'unexpected-response')) as [unknown, IncomingMessage]
    let body = ''
    for await (const chunk of response) body += chunk
    assert.deepEqual([response.statusCode, body], [401, 'Who are you?'])
    assert.equal(response.headers['www-authenticate'], 'Bearer')
    http.close()
    await once(http, 'close')
  })

  test('a foreign origin, another path and another version are refused', async () => {
    await using server = await ourServer({ path: '/ws' })
    const refused = (url: string, options: ClientOptions): Promise<unknown> =>
      WsClient.open(url, [], options).catch(({ message }: Error) => message)
    assert.equal(
      await refused(server.url, { origin: 'https://evil.example' }),
      'Unexpected server response: 403',
    )
    assert.equal(await refused(`${server.url}/x`, {}), 'Unexpected server response: 404')
    assert.equal(await refused(server.url, { protocolVersion: 8 }), 'Unexpected server response: 426')
    await WsClient.open(server.url, [], { origin: server.url.replace('ws', 'http').replace('/ws', '') })
  })
})

describe("our client at ws's server", () => {
  for (const [name, options] of [
    ['with permessage-deflate', { perMessageDeflate: true }],
    ['without', {}],
  ] as const) {
    test(`${name}: all messages come back`, async () => {
      await using server = await wsServer(options)
      await using conn = await dial(server.url, { limits: { maxSendBuffer: 16 * 1024 * 1024 } })
      assert.equal(conn.extensions, '')
      for (const { name, message } of samples) {
        conn.send(message)
        assertSame(await conn.read(), message, name)
      }
      for (const { message } of samples) conn.send(message)
      for (const { name, message } of samples) assertSame(await conn.read(), message, `${name}, pipelined`)
    })
  }

  test('fragments become one message, with a ping between them', async () => {
    await using server = await wsServer({}, ({ socket }) => {
      const gorilla = Buffer.from('🦍')
      socket.send(gorilla.subarray(0, 3), { binary: false, fin: false })
      socket.ping('now')
      socket.send(gorilla.subarray(3), { fin: false })
      socket.send('', { fin: true })
      for (let i = 0; i < 1000; i++) socket.send(Buffer.from([i & 0xff]), { fin: i === 999 })
    })
    const ponged = server.first.then(({ socket }) => once(socket, 'pong'))
    await using conn = await dial(server.url)
    assert.equal(await conn.read(), '🦍')
    const bytes = await conn.read()
    assert.ok(
      typeof bytes !== 'string' && bytes.length === 1000 && bytes.every((byte, i) => byte === (i & 0xff)),
    )
    assert.equal(String((await ponged)[0]), 'now')
  })

  test('pings are answered on both sides', async () => {
    await using server = await wsServer()
    await using conn = await dial(server.url)
    const { socket } = await server.first
    const [rtt] = await Promise.all([conn.ping(), once(socket, 'ping')])
    assert.ok(rtt >= 0 && rtt < 10_000)
    const ponged = once(socket, 'pong')
    socket.ping(Buffer.alloc(125, 'p'))
    assert.deepEqual((await ponged)[0], Buffer.alloc(125, 'p'))
  })

  test('it closes, with and without a code', async () => {
    for (const [code, reason] of [
      [4321, 'até 🦍'],
      [1001, 'r'.repeat(123)],
      [undefined, ''],
    ] as const) {
      await using server = await wsServer()
      const conn = await dial(server.url)
      const client = await server.first
      client.socket.close(code, reason)
      assert.deepEqual(ending(await conn.closed), {
        code: code ?? 1005,
        reason,
        by: 'remote',
        wasClean: true,
      })
      assert.deepEqual(await client.closed, [code ?? 1005, ''])
    }
  })

  test('we close with a code and a reason', async () => {
    await using server = await wsServer()
    const conn = await dial(server.url)
    const client = await server.first
    const info = await conn.close(4000, 'genug')
    assert.deepEqual(ending(info), { code: 4000, reason: 'genug', by: 'local', wasClean: true })
    assert.deepEqual(info.received, { code: 4000, reason: 'genug' })
    assert.deepEqual(await client.closed, [4000, 'genug'])
  })

  test('either side hangs up without a word', async () => {
    for (const who of ['ours', 'theirs'] as const) {
      await using server = await wsServer()
      const conn = await dial(server.url)
      const client = await server.first
      if (who === 'ours') conn.terminate()
      else client.socket.terminate()
      const by = who === 'ours' ? 'local' : 'network'
      assert.deepEqual(ending(await conn.closed), { code: 1006, reason: '', by, wasClean: false })
      assert.deepEqual(await client.closed, [1006, ''])
    }
  })

  test('what it cannot take is answered with its close code, which we report', async () => {
    await using server = await wsServer({ maxPayload: 1000 })
    const conn = await dial(server.url)
    conn.send('x'.repeat(1001))
    assert.deepEqual(ending(await conn.closed), { code: 1009, reason: '', by: 'remote', wasClean: true })
  })

  test('what we cannot take is answered with its close code', async () => {
    await using server = await wsServer()
    const conn = await dial(server.url, { limits: { maxMessageSize: 1000 } })
    const client = await server.first
    client.socket.send('x'.repeat(1001))
    assert.equal((await client.closed)[0], 1009)
    assert.equal((await conn.closed).code, 1009)
  })

  test('subprotocols: what it chose is told, what was not offered is refused', async () => {
    await using server = await wsServer({ handleProtocols: (offered) => offered.has('v2') && 'v2' })
    for (const [subprotocols, chosen] of [
      [['v1', 'v2'], 'v2'],
      [['v1'], ''],
      [[], ''],
    ] as const) {
      await using conn = await dial(server.url, { subprotocols })
      assert.equal(conn.subprotocol, chosen)
    }
    await using liar = await wsServer({ handleProtocols: () => 'v3' })
    await assert.rejects(
      dial(liar.url, { subprotocols: ['v1'] }),
      (error) => error instanceof HandshakeError && error.code === 'ERR_WS_SUBPROTOCOL',
    )
  })

  test('a refusal arrives with status, headers and body', async () => {
    await using server = await wsServer({
      verifyClient: (_info, answer) => answer(false, 401, 'Who are you?', { 'WWW-Authenticate': 'Bearer' }),
    })
    await assert.rejects(dial(server.url), (error) => {
      assert.ok(error instanceof HandshakeError)
      const { code, status, headers, body } = error
      assert.deepEqual([code, status, body], ['ERR_WS_STATUS', 401, 'Who are you?'])
      assert.equal(headers?.['www-authenticate'], 'Bearer')
      return true
    })
  })

  test('our headers reach it', async () => {
    let heard: IncomingMessage['headers'] = {}
    await using server = await wsServer({}, (_client, { headers }) => {
      heard = headers
    })
    const headers = { origin: 'https://here.example', authorization: 'Bearer x' }
    await using conn: Conn = await dial(server.url, { headers })
    await server.first
    assert.deepEqual([heard.origin, heard.authorization], [headers.origin, headers.authorization])
    assert.equal(conn.response?.statusCode, 101)
  })
})
