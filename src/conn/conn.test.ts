import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { Duplex } from 'node:stream'
import { after, describe, it } from 'node:test'
import { assertNoLeaks } from '../../test/leaks.ts'
import {
  type ConnectedPair,
  type ConnectedPairOptions,
  connectedPair,
} from '../../test/support/connected-pair.ts'
import { turn } from '../../test/support/test-link.ts'
import { isPending, until } from '../../test/support/until.ts'
import type { CloseInfo } from '../session/close-info.ts'
import { CloseError, ProtocolError, TimeoutError, UsageError } from '../session/errors.ts'
import type { Data } from '../session/message.ts'
import { prepare } from '../session/prepared.ts'
import type { Conn } from './conn.ts'

after(() => assertNoLeaks())

const KiB = 1024
const MiB = 1024 * KiB

const transports: [string, ConnectedPairOptions][] = [
  ['TCP', {}],
  ['TLS', { tls: true }],
]

/** Counts what a stream hands on: several chunks that leave in one gathered write are one. */
function countWrites(stream: Duplex): () => number {
  let count = 0
  let within = false
  for (const name of ['_write', '_writev'] as const) {
    const own = stream[name] as (...args: unknown[]) => unknown
    stream[name] = (...args: unknown[]) => {
      // Some runtimes join the chunks of the one for the other.
      if (!within) count++
      const outer = within
      within = true
      try {
        return Reflect.apply(own, stream, args)
      } finally {
        within = outer
      }
    }
  }
  return () => count
}

/** Both ends, server first. */
function ends({ server, client }: ConnectedPair): [Conn, Conn] {
  return [server, client]
}

/** The reason of a signal has its name on its prototype. */
const named =
  (name: string) =>
  (error: unknown): boolean =>
    (error as Error).name === name

/** What an end says of the end, without the counters. */
async function summary(conn: Conn): Promise<Omit<CloseInfo, 'stats' | 'error'>> {
  const { stats, error, ...rest } = await conn.closed
  assert.equal(error, undefined)
  assert.deepEqual(conn.stats, stats)
  return rest
}

describe('a connection', () => {
  for (const [transport, options] of transports) {
    it(`carries messages of all kinds and sizes both ways, over ${transport}`, async () => {
      await using pair = await connectedPair(options)
      for (const [from, to] of [ends(pair), ends(pair).reverse()] as [Conn, Conn][]) {
        const messages: Data[] = [
          '',
          'ascii',
          'é€\u{1f98d}',
          Buffer.alloc(0),
          Buffer.from([0, 0xff]),
          ...[125, 126, 4096, 16 * KiB, 16 * KiB + 1, 65_535, 65_536, 300_000].flatMap((size) => [
            'x'.repeat(size),
            'é'.repeat(size / 2),
            Buffer.alloc(size, `${size};`),
          ]),
        ]
        for (const message of messages) from.send(message)
        from.send(prepare('prepared'))
        for (const message of messages) {
          const got = await to.read()
          assert.equal(typeof got, typeof message)
          assert.ok(Buffer.from(got as string).equals(Buffer.from(message as string)), `${message.length}`)
        }
        assert.equal(await to.read(), 'prepared')
        assert.equal(to.stats.messagesReceived, messages.length + 1)
        assert.equal(from.stats.messagesSent, messages.length + 1)
        assert.equal(to.stats.bytesReceived, from.stats.bytesSent)
      }
    })

    it(`ends in order, whoever begins, over ${transport}`, async () => {
      for (const begin of ['server', 'client'] as const) {
        await using pair = await connectedPair(options)
        const other = begin === 'server' ? 'client' : 'server'
        const { code, reason } = await pair[begin].close(4001, 'enough')
        assert.deepEqual([code, reason], [4001, 'enough'])
        const sent = { code: 4001, reason: 'enough' }
        const answer = { code: 4001, reason: '' }
        const end = { ...sent, wasClean: true }
        assert.deepEqual(await summary(pair[begin]), { ...end, by: 'local', sent, received: answer })
        assert.deepEqual(await summary(pair[other]), { ...end, by: 'remote', sent: answer, received: sent })
        assert.equal(pair.listener.connections.size, 0)
      }
    })

    it(`ends in order when both begin at a time, over ${transport}`, async () => {
      await using pair = await connectedPair(options)
      await Promise.all([pair.server.close(4001), pair.client.close(4002)])
      const [server, client] = await Promise.all([summary(pair.server), summary(pair.client)])
      assert.deepEqual([server.by, client.by], ['local', 'local'])
      assert.deepEqual([server.code, server.received?.code, server.wasClean], [4001, 4002, true])
      assert.deepEqual([client.code, client.received?.code, client.wasClean], [4002, 4001, true])
    })

    it(`knows what it said though it was never answered, over ${transport}`, async () => {
      await using pair = await connectedPair({ ...options, server: { limits: { closeTimeout: 100 } } })
      pair.clientSocket.pause()
      const { error, by, sent, code, received, wasClean } = await pair.server.close(4001)
      assert.ok(error instanceof TimeoutError)
      assert.deepEqual([by, code, received, wasClean], ['local', 4001, undefined, false])
      assert.deepEqual(sent, { code: 4001, reason: '' })
    })

    it(`is lost when the peer just hangs up, over ${transport}`, async () => {
      for (const end of ['server', 'client'] as const) {
        await using pair = await connectedPair(options)
        pair[`${end}Socket`].end()
        const other = end === 'server' ? pair.client : pair.server
        const { code, by, wasClean } = await other.closed
        assert.deepEqual([code, by, wasClean], [1006, 'network', false])
      }
    })

    it(`that is terminated is lost for the peer, over ${transport}`, async () => {
      await using pair = await connectedPair(options)
      pair.client.terminate()
      assert.deepEqual([(await pair.client.closed).by, (await pair.client.closed).code], ['local', 1006])
      assert.deepEqual([(await pair.server.closed).by, (await pair.server.closed).code], ['network', 1006])
    })

    it(`measures the round trip, over ${transport}`, async () => {
      await using pair = await connectedPair(options)
      for (const conn of ends(pair)) {
        const rtt = await conn.ping()
        assert.ok(rtt >= 0 && rtt < 10_000, `${rtt}`)
        assert.equal(conn.stats.rtt, rtt)
      }
    })
  }

  it('is lost when the peer resets it', async () => {
    for (const end of ['server', 'client'] as const) {
      await using pair = await connectedPair()
      pair[end].send('before')
      const other = end === 'server' ? pair.client : pair.server
      assert.equal(await other.read(), 'before')
      pair[`${end}Socket`].resetAndDestroy()
      const { code, by, error, wasClean } = await other.closed
      assert.deepEqual([code, by, wasClean], [1006, 'network', false])
      assert.equal((error as NodeJS.ErrnoException).code, 'ECONNRESET')
    }
  })

  for (const [transport, options] of transports)
    it(`writes once for all that a turn sends, over ${transport}`, async () => {
      await using pair = await connectedPair(options)
      for (const [conn, socket] of [
        [pair.server, pair.serverSocket],
        [pair.client, pair.clientSocket],
      ] as const) {
        const writes = countWrites(socket)
        for (let i = 0; i < 200; i++) conn.send(`message ${i}`)
        await turn()
        assert.equal(writes(), 1)
        const peer = conn === pair.server ? pair.client : pair.server
        for (let i = 0; i < 200; i++) assert.equal(await peer.read(), `message ${i}`)
      }
    })

  it('tells what the handshake settled', async () => {
    await using pair = await connectedPair({
      server: { subprotocols: ['news.v2'] },
      client: { subprotocols: ['news.v1', 'news.v2'], headers: { 'x-user': 'ada' } },
    })
    const { server, client } = pair
    assert.deepEqual([server.subprotocol, client.subprotocol], ['news.v2', 'news.v2'])
    assert.deepEqual([server.extensions, client.extensions], ['', ''])
    assert.deepEqual([server.remoteAddress, client.remoteAddress], ['127.0.0.1', '127.0.0.1'])
    assert.deepEqual([server.request.headers['x-user'], client.request], ['ada', undefined])
    assert.deepEqual([client.response?.statusCode, server.response], [101, undefined])
    assert.match(server.id, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    assert.equal(server.id, server.id)
    assert.notEqual(server.id, client.id)
  })

  it('is closed when it is disposed of', async () => {
    await using pair = await connectedPair()
    {
      await using conn = pair.client
      conn.send('bye')
    }
    assert.equal(pair.client.state, 'closed')
    assert.deepEqual([(await pair.server.closed).code, await pair.server.read()], [1000, 'bye'])
  })
})

describe('messages that nobody takes', () => {
  it('are kept, bounded; then the peer is held back, and nothing is lost or out of order', async () => {
    await using pair = await connectedPair({ client: { limits: { maxSendBuffer: 64 * MiB } } })
    const { server, client } = pair
    const count = 512
    const message = (i: number): Buffer => Buffer.alloc(64 * KiB, `${i};`)
    for (let i = 0; i < count; i++) client.send(message(i))
    // What the peer has sent stops growing: its buffer stays as it is for many turns.
    let stuck = 0
    let last = -1
    await until(() => {
      stuck = last === client.bufferedAmount && last > 0 ? stuck + 1 : 0
      last = client.bufferedAmount
      return stuck > 50
    }, 'the peer to be held back')
    const { messagesReceived, bytesReceived } = server.stats
    assert.ok(messagesReceived <= 17, `${messagesReceived} messages were taken`)
    assert.ok(bytesReceived < 2 * MiB, `${bytesReceived} bytes were read`)
    assert.ok(client.bufferedAmount > 10 * MiB, `only ${client.bufferedAmount} bytes are held back`)
    for (let i = 0; i < count; i++) {
      const got = (await server.read()) as Buffer
      assert.ok(got.equals(message(i)), `message ${i}`)
    }
    assert.equal(server.stats.receivesDropped, 0)
  })

  it('are given to a listener in order with those to come', async () => {
    await using pair = await connectedPair({ server: { limits: { maxQueuedMessages: 3 } } })
    for (let i = 0; i < 100; i++) pair.client.send(`${i}`)
    await until(() => pair.serverSocket.isPaused(), 'the peer to be held back')
    const heard: Data[] = []
    await new Promise<void>((resolve) => {
      pair.server.onMessage((data) => {
        if (heard.push(data) === 100) resolve()
      })
    })
    assert.deepEqual(
      heard,
      Array.from({ length: 100 }, (_, i) => `${i}`),
    )
  })

  it('hold back a peer whose Close frame comes behind them, until they are taken', async () => {
    await using pair = await connectedPair({ server: { limits: { maxQueuedMessages: 2 } } })
    for (let i = 0; i < 50; i++) pair.client.send(`${i}`)
    const closed = pair.client.close()
    await until(() => pair.serverSocket.isPaused(), 'the peer to be held back')
    assert.equal(await isPending(closed), true)
    const got: Data[] = []
    for await (const data of pair.server) got.push(data)
    assert.equal(got.length, 50)
    assert.equal((await closed).wasClean, true)
  })
})

describe('reading', () => {
  it('that is given up loses nothing and kills nothing', async () => {
    await using pair = await connectedPair()
    for (let i = 0; i < 20; i++) {
      const controller = new AbortController()
      const read = pair.server.read({ signal: controller.signal })
      // Before the message is sent, on its way, or has come.
      if (i % 3 === 0) controller.abort()
      pair.client.send(`${i}`)
      if (i % 3 === 1) controller.abort()
      if (i % 3 === 2) assert.equal(await read, `${i}`)
      controller.abort()
      if (i % 3 === 2) continue
      await assert.rejects(read, named('AbortError'))
      assert.equal(await pair.server.read(), `${i}`)
    }
    await assert.rejects(pair.server.read({ signal: AbortSignal.timeout(1) }), named('TimeoutError'))
    assert.equal(pair.server.state, 'open')
  })

  it('by two loops gives every message to one of them', async () => {
    await using pair = await connectedPair()
    const got: Data[][] = [[], []]
    const loops = got.map(async (into) => {
      for await (const data of pair.server) into.push(data)
    })
    for (let i = 0; i < 100; i++) pair.client.send(`${i}`)
    await pair.client.close()
    await Promise.all(loops)
    assert.deepEqual(
      got.flat().sort((a, b) => Number(a) - Number(b)),
      Array.from({ length: 100 }, (_, i) => `${i}`),
    )
    for (const each of got) assert.ok(each.length > 0)
  })

  it('goes on behind a loop that was left', async () => {
    await using pair = await connectedPair()
    for (let i = 0; i < 6; i++) pair.client.send(`${i}`)
    const got: Data[] = []
    for (let i = 0; i < 2; i++) {
      for await (const data of pair.server) {
        got.push(data)
        break
      }
      for await (const { data } of pair.server.messages()) {
        got.push(data)
        break
      }
      got.push(await pair.server.read())
    }
    assert.deepEqual(got, ['0', '1', '2', '3', '4', '5'])
  })

  it('leaves text as bytes for those who ask, and these can be sent on as text', async () => {
    await using pair = await connectedPair()
    const { server, client } = pair
    const forward = (async () => {
      for await (const { type, data } of server.messages({ text: 'bytes' })) server.send(data, type)
    })()
    client.send('é')
    client.send(Buffer.from([0xff]))
    assert.equal(await client.read(), 'é')
    assert.deepEqual(Buffer.from((await client.read()) as Uint8Array), Buffer.from([0xff]))
    await client.close()
    await forward
  })

  it('as JSON closes with 1007 for what is none', async () => {
    await using pair = await connectedPair()
    const { server, client } = pair
    const loop = (async () => {
      for await (const value of server.json<{ Num: number }>()) server.sendJson({ Num: value.Num + 1 })
    })()
    client.sendJson({ Num: 41 })
    assert.equal(await client.read(), '{"Num":42}')
    client.send('{"Num":')
    await assert.rejects(loop, (error) => error instanceof CloseError && error.cause instanceof ProtocolError)
    const { code, reason, by, wasClean } = await client.closed
    assert.deepEqual([code, reason, by, wasClean], [1007, 'message is not JSON', 'remote', true])
  })

  it('refuses a listener or a form that does not exist', async () => {
    await using pair = await connectedPair()
    const { server } = pair
    const usage =
      (code: string) =>
      (error: unknown): boolean =>
        error instanceof UsageError && error.code === code
    assert.throws(() => server.onMessage('x' as unknown as () => void), usage('ERR_WS_INVALID_ARGUMENT'))
    const text = 'buffer' as unknown as 'bytes'
    assert.throws(() => server.onMessage(() => {}, { text }), usage('ERR_WS_INVALID_OPTION'))
    assert.throws(() => server.messages({ text }), usage('ERR_WS_INVALID_OPTION'))
    server.onMessage(() => {})
    assert.throws(() => server.onMessage(() => {}), usage('ERR_WS_CONCURRENT_READ'))
    await assert.rejects(server.read(), usage('ERR_WS_CONCURRENT_READ'))
    for (const loop of [server, server.messages(), server.streams(), server.json()])
      assert.throws(() => loop[Symbol.asyncIterator](), usage('ERR_WS_CONCURRENT_READ'))
  })
})

describe('a peer that does not read', () => {
  it('makes send say so; drained() wakes when it reads again', async () => {
    await using pair = await connectedPair({ server: { limits: { maxSendBuffer: 64 * MiB } } })
    const { server, clientSocket } = pair
    clientSocket.pause()
    let sent = 0
    let drained: Promise<void> | undefined
    // Until the buffers of both kernels are full.
    for (; drained === undefined; sent++) {
      if (server.send(Buffer.alloc(256 * KiB))) continue
      const wait = server.drained()
      if (await isPending(wait)) drained = wait
    }
    assert.ok(server.bufferedAmount > 64 * KiB)
    clientSocket.resume()
    for (let i = 0; i < sent; i++) assert.equal((await pair.client.read()).length, 256 * KiB)
    await drained
    assert.equal(server.bufferedAmount, 0)
  })

  it('is found dead, when it answered pings before', async () => {
    await using pair = await connectedPair({ server: { limits: { pingInterval: 50, pongTimeout: 100 } } })
    const { server, clientSocket } = pair
    await until(() => server.stats.rtt !== undefined, 'a pong')
    clientSocket.pause()
    const { error, by, code } = await server.closed
    assert.ok(error instanceof TimeoutError)
    assert.deepEqual([error.phase, by, code], ['pong', 'local', 1006])
  })

  it('and floods us with pings makes nothing grow', async () => {
    await using pair = await connectedPair({ server: { limits: { pingInterval: 0 } } })
    const { server, clientSocket } = pair
    clientSocket.pause()
    // Masked with zeros: what is on the wire is the ping itself.
    const ping = Buffer.concat([Buffer.from('89fd00000000', 'hex'), Buffer.alloc(125, 'p')])
    const flood = Buffer.concat(Array.from({ length: 4000 }, () => ping))
    let most = 0
    for (let i = 0; i < 60; i++) {
      if (!clientSocket.write(flood)) await once(clientSocket, 'drain')
      most = Math.max(most, server.bufferedAmount)
    }
    assert.ok(server.stats.bytesReceived > 24 * MiB)
    assert.ok(most < 256 * KiB, `${most} bytes wait`)
    assert.equal(server.state, 'open')
    clientSocket.resume()
    pair.client.send('still there')
    assert.equal(await server.read(), 'still there')
  })
})
