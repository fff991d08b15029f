// What docs/from-ws.md says of ws, by ws itself.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, request } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { after, test } from 'node:test'
import { dial, HandshakeError } from 'silverback'
import { type RawData, type ServerOptions, WebSocket, WebSocketServer } from 'ws'
import { assertNoLeaks } from '../test/leaks.ts'
import { upgradeRequest } from '../test/raw-client.ts'

after(() => assertNoLeaks())

interface Started extends AsyncDisposable {
  readonly wss: WebSocketServer
  readonly port: number
  readonly url: string
  /** Its first socket. */
  readonly first: Promise<WebSocket>
}

async function start(options: ServerOptions = {}): Promise<Started> {
  const wss = new WebSocketServer({ port: 0, host: '127.0.0.1', ...options })
  await once(wss, 'listening')
  const first = once(wss, 'connection').then(([socket]) => socket as WebSocket)
  const { port } = wss.address() as AddressInfo
  return {
    wss,
    port,
    url: `ws://127.0.0.1:${port}`,
    first,
    async [Symbol.asyncDispose]() {
      for (const socket of wss.clients) socket.terminate()
      if (wss.address() !== null) wss.close()
      while (wss.clients.size > 0) await new Promise((resolve) => setImmediate(resolve))
    },
  }
}

test('ws: a message that comes before anybody listens is lost', async () => {
  await using server = await start()
  const conn = await dial(server.url)
  conn.send('early')
  const socket = await server.first
  // The answer to a ping behind it tells that it has been there.
  await conn.ping()
  const messages: string[] = []
  socket.on('message', (data: RawData) => messages.push(String(data)))
  conn.send('late')
  await once(socket, 'message')
  assert.deepEqual(messages, ['late'])
  conn.terminate()
  await conn.closed
})

test('ws: of two servers with paths, the first refuses what is for the second', async () => {
  const server = createServer()
  const [first, second] = ['/first', '/second'].map((path) => new WebSocketServer({ server, path }))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  await assert.rejects(dial(`ws://127.0.0.1:${port}/second`), (error) => {
    assert.ok(error instanceof HandshakeError)
    return error.status === 400
  })
  for (const wss of [first, second]) wss?.close()
  server.close()
  await once(server, 'close')
})

test('ws: one wrong frame of a client is an error event, which ends the process unless somebody listens', async () => {
  await using server = await start()
  const peer = connect(server.port, '127.0.0.1')
  peer.on('error', () => {})
  peer.write(upgradeRequest('/'))
  const socket = await server.first
  // An emitter throws an 'error' that nobody listens to; here somebody does.
  assert.equal(socket.listenerCount('error'), 0)
  const error = once(socket, 'error')
  peer.write(Buffer.from([0xff, 0xff]))
  const [thrown] = (await error) as [Error & { code: string }]
  assert.match(thrown.code, /^WS_ERR_/)
  peer.destroy()
})

test('ws: closing a server leaves its clients connected', async () => {
  await using server = await start()
  const conn = await dial(server.url)
  const socket = await server.first
  server.wss.close()
  conn.send('still here')
  await once(socket, 'message')
  assert.equal(conn.state, 'open')
  conn.terminate()
  await conn.closed
})

test('ws: without handleProtocols a server takes the first subprotocol that is offered', async () => {
  await using server = await start()
  const conn = await dial(server.url, { subprotocols: ['nobody.speaks.this', 'chat'] })
  assert.equal(conn.subprotocol, 'nobody.speaks.this')
  conn.terminate()
  await conn.closed
})

test('ws: a client that offers subprotocols fails when none is chosen', async () => {
  await using server = await start({ handleProtocols: () => false })
  const socket = new WebSocket(server.url, ['chat'])
  const [error] = (await once(socket, 'error')) as [Error]
  assert.match(error.message, /no subprotocol/)
})

test('ws: its defaults', async () => {
  await using server = await start()
  assert.equal(server.wss.options.maxPayload, 100 * 1024 * 1024)
  assert.equal(server.wss.options.perMessageDeflate, false)
  const conn = await dial(server.url, { headers: { origin: 'https://anywhere.example' } })
  const socket = await server.first
  // Without a code, which is told as 1005.
  socket.close()
  const { code, received } = await conn.closed
  assert.deepEqual([code, received], [1005, { code: 1005, reason: '' }])
  // Nobody asks a plain request for an upgrade where nothing else is served.
  const plain = request({ port: server.port, host: '127.0.0.1' }).end()
  const [response] = await once(plain, 'response')
  assert.equal(response.statusCode, 426)
  response.resume()
  await once(response, 'end')
  plain.destroy()
})
