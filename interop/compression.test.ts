// permessage-deflate with npm's ws and Debian's python3-websockets, both ways, with takeover and without: takeover is
// where two implementations can lose each other. Browsers are in browser/compression.test.ts.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { after, describe, test } from 'node:test'
import { type CompressionOptions, type Conn, dial, serve } from 'silverback'
import { type PerMessageDeflateOptions, type RawData, WebSocket, WebSocketServer } from 'ws'
import { assertNoLeaks } from '../test/leaks.ts'
import { LedPeer } from './led-peer.ts'
import { websockets } from './matrix/peer-kind.ts'
import { assertSame, samples } from './samples.ts'

after(() => assertNoLeaks())

const takeover: CompressionOptions = { sendTakeover: true, receiveTakeover: true, threshold: 0 }
const limits = { maxSendBuffer: 64 * 1024 * 1024, maxQueuedBytes: 64 * 1024 * 1024 }

/** JSON like the message before, but for its numbers. */
const ticks = Array.from(
  { length: 200 },
  (_, i) => `{"type":"tick","symbol":"S${i % 10}","price":${i / 4},"note":"${'as before '.repeat(i % 40)}"}`,
)

/** Everything that a peer has to carry, and then the same again, which takeover makes short. */
const messages: readonly (string | Buffer)[] = [
  ...samples.map(({ message }) => message),
  ...ticks,
  ...samples.map(({ message }) => message).filter((message) => message.length < 70_000),
]

/** Sends everything to a peer that echoes, and compares. */
async function assertEchoed(conn: Conn): Promise<void> {
  for (const [index, message] of messages.entries()) {
    if (!conn.send(message)) await conn.drained()
    if (index % 3 === 0) await conn.ping()
    assertSame(await conn.read(), message, `message ${index}`)
  }
  const { encoding } = conn.stats
  assert.ok(encoding !== undefined && encoding.encodedReceived < encoding.plainReceived)
  if (conn.extensions.includes('client_max_window_bits=8')) return
  assert.ok(encoding.encodedSent < encoding.plainSent, JSON.stringify(encoding))
}

const echo = async (conn: Conn): Promise<void> => {
  for await (const { type, data } of conn.messages()) if (!conn.send(data, type)) await conn.drained()
}

// For ws `false` is a refusal: it does without the connection rather than without takeover.
const flags = [undefined, true]
const matrix: PerMessageDeflateOptions[] = [
  ...flags.flatMap((serverNoContextTakeover) =>
    flags.flatMap((clientNoContextTakeover) =>
      [0, 1024].map((threshold) => ({ serverNoContextTakeover, clientNoContextTakeover, threshold })),
    ),
  ),
  ...[8, 9, 10, 12, 15].flatMap((bits) => [
    { serverMaxWindowBits: bits, threshold: 0 },
    { clientMaxWindowBits: bits, threshold: 0 },
    { serverMaxWindowBits: bits, clientMaxWindowBits: 23 - bits, threshold: 0 },
  ]),
]

describe('ws as a server', () => {
  for (const perMessageDeflate of matrix) {
    test(JSON.stringify(perMessageDeflate), async () => {
      const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate })
      server.on('connection', (socket) => {
        socket.on('message', (data: RawData, isBinary) => socket.send(data as Buffer, { binary: isBinary }))
      })
      await once(server, 'listening')
      try {
        const url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}`
        for (const compression of [true, takeover]) {
          await using conn = await dial(url, { compression, limits })
          assert.match(conn.extensions, /^permessage-deflate/)
          await assertEchoed(conn)
        }
      } finally {
        server.close()
      }
    })
  }
})

describe('ws as a client', () => {
  for (const perMessageDeflate of matrix) {
    test(JSON.stringify(perMessageDeflate), async () => {
      for (const compression of [true, takeover]) {
        await using server = await serve({ compression, limits }, echo)
        const socket = new WebSocket(server.url, { perMessageDeflate })
        await once(socket, 'open')
        assert.match(socket.extensions, /^permessage-deflate/)
        const heard: (string | Buffer)[] = []
        let tell: () => void = () => {}
        const all = new Promise<void>((resolve) => {
          tell = resolve
        })
        socket.on('message', (data: Buffer, isBinary) => {
          heard.push(isBinary ? data : data.toString())
          if (heard.length === messages.length) tell()
        })
        const closed = once(socket, 'close').then(([code, reason]) =>
          assert.fail(`closed: ${code} ${reason}`),
        )
        closed.catch(() => {})
        for (const message of messages) socket.send(message)
        await Promise.race([all, closed])
        for (const [index, message] of messages.entries())
          assertSame(heard[index] ?? 'missing', message, `message ${index}`)
        socket.close()
        await closed.catch(() => {})
      }
    })
  }

  test('fragments that ws compresses one by one become one message', async () => {
    await using server = await serve({ compression: takeover }, echo)
    const socket = new WebSocket(server.url, { perMessageDeflate: { threshold: 0 } })
    await once(socket, 'open')
    for (let round = 0; round < 3; round++) {
      const answer = once(socket, 'message')
      for (const part of ticks) socket.send(part, { fin: false })
      socket.send('', { fin: true })
      assert.equal(String((await answer)[0]), ticks.join(''))
    }
    socket.close()
    await once(socket, 'close')
  })
})

const python = websockets.program()
const skip = python === undefined ? 'no Python with websockets (apt-get install python3-websockets)' : false
const newPeer = (): LedPeer => new LedPeer(python ?? { command: '', args: [] })

describe('python3-websockets, as it comes', { skip }, () => {
  const small = messages.filter((message) => message.length < 70_000)

  const assertBothWays = async (conn: Conn, peer: LedPeer): Promise<void> => {
    for (const [index, message] of small.entries()) {
      conn.send(message)
      assertSame(await peer.read(), message, `message ${index}, to Python`)
      await peer.send(message)
      assertSame(await conn.read(), message, `message ${index}, from Python`)
    }
    await peer.sendFragments('one part, ', '', 'one part, ', 'the end')
    assert.equal(await conn.read(), 'one part, one part, the end')
    const { encoding } = conn.stats
    assert.ok(encoding !== undefined && encoding.encodedSent < encoding.plainSent)
    assert.ok(encoding.encodedReceived < encoding.plainReceived)
  }

  for (const [name, compression, agreed] of [
    ['with the defaults', true, /server_no_context_takeover; client_no_context_takeover/],
    ['with takeover', takeover, /^permessage-deflate(; \w+_max_window_bits=12)*$/],
  ] as const) {
    test(`as a client, ${name}`, async () => {
      let accept: (conn: Conn) => void = () => {}
      const accepted = new Promise<Conn>((resolve) => {
        accept = resolve
      })
      await using server = await serve({ compression }, (conn) => accept(conn))
      await using peer = newPeer()
      const opened = await peer.connect(server.url, { compression: true })
      assert.deepEqual(opened.extensions, ['permessage-deflate'])
      const conn = await accepted
      assert.match(conn.extensions, agreed)
      await assertBothWays(conn, peer)
    })

    test(`as a server, ${name}`, async () => {
      await using peer = newPeer()
      const conn = await dial(`ws://127.0.0.1:${await peer.serve({ compression: true })}/`, { compression })
      try {
        const opened = await peer.accept()
        assert.deepEqual(opened.extensions, ['permessage-deflate'])
        assert.match(conn.extensions, agreed)
        await assertBothWays(conn, peer)
      } finally {
        conn.terminate()
        await conn.closed
      }
    })
  }

  test('incompressible messages of just the limit come through from its thrifty zlib', async () => {
    await using peer = newPeer()
    const conn = await dial(`ws://127.0.0.1:${await peer.serve({ compression: true, maxSize: 2 ** 21 })}/`, {
      compression: true,
    })
    try {
      await peer.accept()
      const message = Buffer.alloc(2 ** 20)
      let state = 1
      for (let i = 0; i < message.length; i++) {
        state = (Math.imul(state, 1664525) + 1013904223) | 0
        message[i] = state >>> 24
      }
      await peer.send(message)
      assertSame(await conn.read(), message, '1 MiB')
      const { encoding } = conn.stats
      assert.ok(encoding !== undefined && encoding.encodedReceived > encoding.plainReceived)
    } finally {
      conn.terminate()
      await conn.closed
    }
  })
})
