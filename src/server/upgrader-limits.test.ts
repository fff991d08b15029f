import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { frame } from '../../test/frames.ts'
import { assertNoLeaks } from '../../test/leaks.ts'
import { type RawClient, upgradeRequest } from '../../test/raw-client.ts'
import { mask, parse, type Serving, serving, text, upgraded } from '../../test/support/serving.ts'
import { until } from '../../test/support/until.ts'
import { refuse } from './refuse.ts'
import type { UpgraderOptions } from './upgrader-options.ts'

after(() => assertNoLeaks())

const request = upgradeRequest('/')

/** A request that says where it comes from, as a proxy would. */
function from(address: string): string {
  return upgradeRequest('/', { 'X-Forwarded-For': address })
}

const addressOf: UpgraderOptions['addressOf'] = ({ headers }) => {
  const value = headers['x-forwarded-for']
  return typeof value === 'string' ? value : undefined
}

function closeFrame(code: number): Buffer {
  return frame({ opcode: 8, payload: Buffer.from([code >> 8, code & 255]), mask })
}

async function statusOf(setup: Serving, bytes: string): Promise<number | undefined> {
  const client = setup.server.client(bytes)
  await client.until(() => client.status !== undefined, 'an answer')
  return client.status
}

describe('Upgrader, numbers of connections', () => {
  it('are limited in all: 503 with Retry-After', async () => {
    await using setup = await serving({ maxConnections: 2 })
    const first = await upgraded(setup.server)
    await upgraded(setup.server)
    assert.deepEqual(parse(await setup.server.answer(request)), {
      status: 'HTTP/1.1 503 Service Unavailable',
      headers: [
        'Connection: close',
        'Content-Length: 47',
        'Content-Type: text/plain; charset=utf-8',
        'Retry-After: 10',
      ],
      body: 'the server has as many connections as it takes\n',
    })
    await first.destroy()
    await setup.conns[0]?.closed
    await upgraded(setup.server)
    assert.deepEqual(setup.reasons, ['ERR_WS_CONNECTION_LIMIT'])
  })

  it('are limited by address: 429 with Retry-After', async () => {
    await using setup = await serving({ maxConnectionsPerAddress: 1 })
    await upgraded(setup.server)
    assert.deepEqual(parse(await setup.server.answer(request)), {
      status: 'HTTP/1.1 429 Too Many Requests',
      headers: [
        'Connection: close',
        'Content-Length: 39',
        'Content-Type: text/plain; charset=utf-8',
        'Retry-After: 10',
      ],
      body: 'too many connections from this address\n',
    })
    assert.deepEqual(setup.reasons, ['ERR_WS_ADDRESS_LIMIT'])
  })

  it('go by what addressOf says, with IPv6 by its network', async () => {
    await using setup = await serving({ maxConnectionsPerAddress: 1, addressOf })
    const expected: [address: string, status: number][] = [
      ['192.0.2.1', 101],
      ['192.0.2.1', 429],
      ['::ffff:192.0.2.1', 429],
      ['192.0.2.2', 101],
      ['2001:db8::1', 101],
      ['2001:db8::2', 429],
      ['2001:db8:0:1::1', 101],
    ]
    for (const [address, status] of expected)
      assert.equal(await statusOf(setup, from(address)), status, address)
  })

  for (const wrong of [() => assert.fail('boom'), async () => '192.0.2.1', () => 7]) {
    it(`answer 500 where addressOf fails: ${String(wrong)}`, async (t) => {
      const printed = t.mock.method(console, 'error', () => {})
      await using setup = await serving({ maxConnectionsPerAddress: 1, addressOf: wrong as never })
      assert.equal(await statusOf(setup, request), 500)
      assert.deepEqual([setup.reasons, printed.mock.callCount()], [['ERR_WS_SERVER'], 0])
    })
  }

  const never = (): Promise<true> => new Promise(() => {})
  const boom = (): never => assert.fail('boom')

  /** Each is one client that had a place, or nearly, and has none any more. */
  const exits: [name: string, options: UpgraderOptions, leave: (setup: Serving) => Promise<unknown>][] = [
    [
      'a key that is none',
      {},
      (setup) => setup.server.answer(upgradeRequest('/', { 'Sec-WebSocket-Key': 'x' })),
    ],
    [
      'a foreign origin',
      {},
      (setup) => setup.server.answer(upgradeRequest('/', { Origin: 'https://a.example' })),
    ],
    ['checkOrigin throws', { checkOrigin: boom }, (setup) => setup.server.answer(request)],
    ['authorize refuses', { authorize: () => refuse(401) }, (setup) => setup.server.answer(request)],
    ['authorize refuses later', { authorize: async () => false }, (setup) => setup.server.answer(request)],
    ['authorize throws', { authorize: boom }, (setup) => setup.server.answer(request)],
    ['authorize rejects', { authorize: async () => boom() }, (setup) => setup.server.answer(request)],
    [
      'authorize takes too long',
      { authorize: never, handshakeTimeout: 1 },
      (setup) => setup.server.answer(request),
    ],
    [
      'the client vanishes before the answer',
      { authorize: never },
      async (setup) => {
        const client = setup.server.client(request)
        await until(() => setup.upgrader.stats.pending === 1, 'the request')
        await client.reset()
        await setup.server.empty()
      },
    ],
    ['headers throws', { headers: boom }, (setup) => setup.server.answer(request)],
    ['limits throws', { limits: boom }, (setup) => setup.server.answer(request)],
    ['onReject throws', { authorize: () => false, onReject: boom }, (setup) => setup.server.answer(request)],
    [
      'an orderly end',
      {},
      async (setup) => {
        const client = await upgraded(setup.server)
        client.write(closeFrame(1000))
        await client.until(() => client.closed, 'the end')
      },
    ],
    [
      'a reset',
      {},
      async (setup) => {
        await (await upgraded(setup.server)).reset()
        await setup.conns[0]?.closed
      },
    ],
    [
      'a close of ours',
      {},
      async (setup) => {
        const client = await upgraded(setup.server)
        void setup.conns[0]?.close(1011)
        client.write(closeFrame(1011))
        await client.until(() => client.closed, 'the end')
      },
    ],
    [
      'terminate',
      {},
      async (setup) => {
        const client = await upgraded(setup.server)
        setup.conns[0]?.terminate()
        await client.until(() => client.closed, 'the end')
      },
    ],
    [
      'the end of its lifetime',
      { maxLifetime: 1 },
      async (setup) => {
        const client = await upgraded(setup.server)
        await client.until(() => client.events.length > 0, 'a Close frame')
        client.write(closeFrame(1001))
        await client.until(() => client.closed, 'the end')
      },
    ],
    [
      'a fault of the protocol',
      {},
      async (setup) => {
        const client = await upgraded(setup.server)
        client.write('\xff\xff\xff')
        await client.until(() => client.closed, 'the end')
        await setup.conns[0]?.closed
      },
    ],
  ]
  for (const [name, options, leave] of exits) {
    it(`let the next one in after ${name}`, async (t) => {
      t.mock.method(console, 'error', () => {})
      let healthy = false
      const { authorize } = options
      await using setup = await serving({
        maxConnections: 1,
        maxConnectionsPerAddress: 1,
        ...options,
        ...(authorize === undefined
          ? {}
          : { authorize: (...given: Parameters<typeof authorize>) => healthy || authorize(...given) }),
        checkOrigin: (...given) => (options.checkOrigin === undefined || healthy ? !given[0] : boom()),
        headers: () => (options.headers === undefined || healthy ? {} : boom()),
        limits: () => (options.limits === undefined || healthy ? {} : boom()),
        onReject: () => (options.onReject === undefined || healthy ? undefined : boom()),
      })
      await leave(setup)
      await setImmediate()
      healthy = true
      const client = await upgraded(setup.server)
      assert.equal(await statusOf(setup, request), 503)
      await client.destroy()
    })
  }

  it('count what waits for authorize', async () => {
    const answers: ((answer: true) => void)[] = []
    const authorize = (): Promise<true> => new Promise((resolve) => answers.push(resolve))
    await using setup = await serving({ authorize, maxConnections: 2 })
    const clients = [0, 1].map(() => setup.server.client(request))
    await until(() => answers.length === 2, 'two questions')
    assert.equal(await statusOf(setup, request), 503)
    assert.equal(answers.length, 2, 'the third is not asked about')
    for (const answer of answers) answer(true)
    for (const client of clients) await client.until(() => client.status === 101, 'the upgrade')
    assert.equal(await statusOf(setup, request), 503)
  })
})

describe('Upgrader, maxLifetime', () => {
  it('closes with 1001 and a reason, for the client to come back', async () => {
    await using setup = await serving({ maxLifetime: 50, lifetimeJitter: 0 })
    const client = await upgraded(setup.server)
    await client.until(() => client.events.length > 0, 'a Close frame')
    assert.deepEqual(
      client.events.map(({ at: _, ...event }) => event),
      [{ kind: 'close', code: 1001, reason: 'lifetime over' }],
    )
    client.write(closeFrame(1001))
    const info = await setup.conns[0]?.closed
    assert.deepEqual([info?.code, info?.by, info?.wasClean, info?.error], [1001, 'local', true, undefined])
  })
})

describe('Upgrader, limits by a function', () => {
  it('are those of each connection', async () => {
    await using setup = await serving({
      limits: ({ url }, context) => {
        assert.equal(context, undefined)
        return url === '/big' ? { maxMessageSize: 2_000_000 } : { maxMessageSize: 10, maxSendBuffer: 5 }
      },
    })
    const big = await upgraded(setup.server, upgradeRequest('/big'))
    const small = await upgraded(setup.server, upgradeRequest('/small'))
    for (const client of [big, small]) client.write(text('x'.repeat(1_500_000)))
    assert.deepEqual(
      setup.conns.map((conn) => conn.maxSendBuffer),
      [4 * 1024 * 1024, 5],
    )
    assert.equal(String(await setup.conns[0]?.read()).length, 1_500_000)
    const closed = async (client: RawClient): Promise<unknown> => {
      await client.until(() => client.events.length > 0, 'a Close frame')
      return client.events.map((event) => event.kind === 'close' && event.code)
    }
    assert.deepEqual(await closed(small), [1009])
  })

  const wrong: [name: string, given: unknown, cause: RegExp][] = [
    ['nothing', undefined, /limits must return an object/],
    ['null', null, /limits must be an object/],
    ['a promise', Promise.resolve({}), /limits must answer at once/],
    ['a name that is none', { maxMesageSize: 1 }, /limits\.maxMesageSize is not a limit/],
    ['a value out of range', { maxMessageSize: 0 }, /limits\.maxMessageSize must be an integer/],
  ]
  for (const [name, given, cause] of wrong) {
    it(`answer 500 when the function gives ${name}`, async () => {
      let reason: unknown
      await using setup = await serving({
        limits: () => given as never,
        onReject: (rejection) => {
          reason = rejection.reason.cause
          return undefined
        },
      })
      assert.equal(await statusOf(setup, request), 500)
      assert.match(String(reason), cause)
      assert.deepEqual([setup.reasons, setup.conns.length], [['ERR_WS_SERVER'], 0])
    })
  }
})

describe('Upgrader, stats', () => {
  it('are those of what lives and of what has ended', async () => {
    await using setup = await serving({ compression: true }, (conn) =>
      conn.onMessage((data) => void conn.send(data)),
    )
    const clients: RawClient[] = []
    for (let i = 0; i < 3; i++) clients.push(await upgraded(setup.server))
    await setup.server.answer(upgradeRequest('/', { Origin: 'https://a.example' }))
    for (const [index, client] of clients.entries()) {
      client.write(text('x'.repeat(10 * (index + 1))))
      await client.until(() => client.events.length > 0, 'the echo')
    }
    const { stats } = setup.upgrader
    const { pending, open, accepted, refused, closed, encoding, ...counts } = stats
    assert.deepEqual([pending, open, accepted, refused, closed], [0, 3, 3, { ERR_WS_ORIGIN: 1 }, {}])
    assert.deepEqual(counts, {
      bytesReceived: 60 + 3 * 6,
      bytesSent: 60 + 3 * 2,
      messagesReceived: 3,
      messagesSent: 3,
      sendsDropped: 0,
      receivesDropped: 0,
    })
    assert.deepEqual(encoding, { plainSent: 0, encodedSent: 0, plainReceived: 0, encodedReceived: 0 })

    clients[0]?.write(closeFrame(4001))
    await setup.conns[0]?.closed
    await clients[1]?.reset()
    await setup.conns[1]?.closed
    const later = setup.upgrader.stats
    assert.deepEqual(
      [later.open, later.accepted, later.closed, later.messagesReceived],
      [1, 3, { 1006: 1, 4001: 1 }, 3],
    )
    // One Close frame each way has come on top.
    assert.deepEqual([later.bytesReceived, later.bytesSent], [78 + 8, 66 + 4])
    await clients[2]?.destroy()
    await setup.conns[2]?.closed
    assert.deepEqual(setup.upgrader.stats.closed, { 1006: 2, 4001: 1 })
    assert.equal(setup.upgrader.stats.open, 0)
  })

  it('sum what compression saves', async () => {
    await using setup = await serving({ compression: true })
    const offer = upgradeRequest('/', { 'Sec-WebSocket-Extensions': 'permessage-deflate' })
    const client = await upgraded(setup.server, offer)
    setup.conns[0]?.send('x'.repeat(10_000))
    await client.until(() => client.behindHead.length > 0, 'a message')
    const open = setup.upgrader.stats.encoding
    assert.equal(open.plainSent, 10_000)
    assert.ok(open.encodedSent > 0 && open.encodedSent < 200)
    await client.destroy()
    await setup.conns[0]?.closed
    assert.deepEqual(setup.upgrader.stats.encoding, open)
  })
})
