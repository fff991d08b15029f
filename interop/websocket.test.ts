// Our WebSocket and WebSocketStream at servers of npm's ws, and as the global of a library that was written for pages.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { serve } from 'silverback'
import { WebSocket, WebSocketStream } from 'silverback/websocket'
import { type ServerOptions, WebSocketServer, type WebSocket as WsSocket } from 'ws'
import { assertNoLeaks } from '../test/leaks.ts'
import { runProgram } from '../test/program.ts'
import { root } from '../test/repo.ts'
import { until } from '../test/support/until.ts'
import { watchSocket } from '../test/support/watch-socket.ts'

after(() => assertNoLeaks())

/** A server of ws, gone at the end of the block. */
async function wsServer(
  handle: (socket: WsSocket) => void,
  options: ServerOptions = {},
): Promise<AsyncDisposable & { readonly url: string }> {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', ...options }, undefined)
  await once(server, 'listening')
  server.on('connection', (socket) => {
    socket.on('error', () => {})
    handle(socket)
  })
  return {
    url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    async [Symbol.asyncDispose]() {
      for (const client of server.clients) client.terminate()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

const echo = (socket: WsSocket): void =>
  void socket.on('message', (data: Buffer, isBinary) => socket.send(data, { binary: isBinary }))

for (const [how, options] of [
  ['without compression', {}],
  ['with compression', { perMessageDeflate: { threshold: 0 } }],
  [
    'with compression and no takeover',
    { perMessageDeflate: { threshold: 0, serverNoContextTakeover: true, clientNoContextTakeover: true } },
  ],
] as const) {
  describe(`WebSocket at ws, ${how}`, () => {
    test('carries all kinds of data, in order', async () => {
      await using server = await wsServer(echo, options)
      const { socket, opened, closed } = watchSocket(new WebSocket(server.url))
      socket.binaryType = 'arraybuffer'
      const values = [
        'é🦍',
        '',
        'again and '.repeat(50_000),
        new Uint8Array(300_000).fill(7),
        new Blob(['blob']),
        'end',
      ]
      const heard: unknown[] = []
      const all = new Promise<void>((resolve) => {
        socket.onmessage = ({ data }) => {
          heard.push(data instanceof ArrayBuffer ? new Uint8Array(data) : data)
          if (data === 'end') resolve()
        }
      })
      await opened
      assert.equal(socket.extensions.startsWith('permessage-deflate'), how !== 'without compression')
      for (const value of values) socket.send(value)
      await all
      assert.deepEqual(
        heard,
        values.map((value) => (value instanceof Blob ? new Uint8Array(Buffer.from('blob')) : value)),
      )
      socket.close(4000, 'enough')
      await closed
    })

    test('streams with backpressure', async () => {
      await using server = await wsServer(echo, options)
      const stream = new WebSocketStream(server.url)
      const { readable, writable } = await stream.opened
      const count = 200
      const chunk = new Uint8Array(50_000).fill(3)
      const writing = (async () => {
        const writer = writable.getWriter()
        for (let i = 0; i < count; i++) await writer.write(chunk)
      })()
      let bytes = 0
      for await (const data of readable.values({ preventCancel: true })) {
        bytes += (data as ArrayBuffer).byteLength
        if (bytes === count * chunk.length) break
      }
      await writing
      stream.close({ closeCode: 3000, reason: 'all' })
      assert.equal((await stream.closed).closeCode, 3000)
    })
  })
}

describe('WebSocket at ws', () => {
  test('takes fragments and pings, and tells how it was closed', async () => {
    await using server = await wsServer((socket) => {
      socket.ping('there?')
      socket.send('frag', { fin: false })
      socket.on('pong', () => {
        socket.send('mented', { fin: true })
        socket.close(4001, 'enough')
      })
    })
    const { log, closed } = watchSocket(new WebSocket(server.url))
    await closed
    assert.deepEqual(log, ['open 1', 'message 1 fragmented', 'close 3 4001 enough'])
  })

  test('closes so that ws understands it', async () => {
    const ends: unknown[] = []
    await using server = await wsServer(
      (socket) => socket.on('close', (code, reason) => ends.push([code, String(reason)])),
      { handleProtocols: (names) => [...names][1] ?? false },
    )
    for (const args of [[], [1000], [4000, 'why'], [undefined, 'why']] as [number?, string?][]) {
      const { socket, opened, closed } = watchSocket(new WebSocket(server.url, ['a', 'b']))
      await opened
      assert.equal(socket.protocol, 'b')
      socket.close(...args)
      await closed
    }
    await until(() => ends.length === 4, 'the ends')
    assert.deepEqual(ends, [
      [1005, ''],
      [1000, ''],
      [4000, 'why'],
      [1000, 'why'],
    ])
  })

  test('is told of a connection that ws drops', async () => {
    await using server = await wsServer((socket) => socket.on('message', () => socket.terminate()))
    const { socket, log, opened, closed } = watchSocket(new WebSocket(server.url))
    await opened
    socket.send('x')
    await closed
    assert.deepEqual(log, ['open 1', 'error 3', 'close 3 1006  unclean'])
  })
})

test('as the global WebSocket of Node 20', async () => {
  const fixture = (name: string): string => join(root, 'test/fixtures', name)
  const tls = {
    cert: await readFile(fixture('localhost.crt')),
    key: await readFile(fixture('localhost.key')),
  }
  await using server = await serve({}, (conn) => conn.onMessage((data) => conn.send(data)))
  await using secure = await serve({ tls }, (conn) => conn.onMessage((data) => conn.send(data)))
  const before = process.env['NODE_EXTRA_CA_CERTS']
  process.env['NODE_EXTRA_CA_CERTS'] = fixture('localhost.crt')
  await using program = runProgram('interop/polyfill.js', server.url.replace('ws:', 'http:'), secure.url)
  if (before === undefined) delete process.env['NODE_EXTRA_CA_CERTS']
  else process.env['NODE_EXTRA_CA_CERTS'] = before
  const { code, stdout, stderr } = await program.exit
  const skipped = process.versions.node.startsWith('20.') ? 'true' : 'false'
  assert.deepEqual(
    [code, stdout.split('\n')],
    [0, [skipped, 'hello from hono', '1000 true', 'hello from TLS', '1000 true', '']],
    stderr,
  )
})
