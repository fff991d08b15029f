// The same through nginx and HAProxy as without: Debian's, with the configurations of docs/proxies.md.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { get, type IncomingMessage } from 'node:http'
import { after, before, describe, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import {
  allowOrigins,
  type CloseInfo,
  type Conn,
  type DialOptions,
  dial,
  type Handler,
  HandshakeError,
  prepare,
  serve,
} from 'silverback'
import { WebSocket } from 'ws'
import { assertNoLeaks } from '../test/leaks.ts'
import { selfSigned } from './certificate.ts'
import { endForeignProcesses } from './foreign-process.ts'
import { opensslPath } from './peers.ts'
import { changed, documented, type ProxyKind, proxyKinds } from './proxy.ts'
import { assertSame, ending, samples } from './samples.ts'
import { Way } from './way.ts'

after(async () => {
  await endForeignProcesses()
  await assertNoLeaks()
})

const MiB = 1024 * 1024
const openssl = opensslPath()

const echo: Handler = async (conn) => {
  for await (const { type, data } of conn.messages()) if (!conn.send(data, type)) await conn.drained()
}

/** All samples wait at once. */
const limits = { maxSendBuffer: 16 * MiB }

/** The same for all: whatever is between must change none of it. */
async function exchangeAll(conn: Conn): Promise<void> {
  for (const { name, message } of samples) {
    conn.send(message)
    assertSame(await conn.read(), message, name)
  }
  for (const { message } of samples) conn.send(message)
  // Its answer stands behind theirs.
  const pong = conn.ping()
  for (const { name, message } of samples) assertSame(await conn.read(), message, `${name}, pipelined`)
  await pong
  for (const { name, message } of samples) {
    const prepared = prepare(message)
    conn.send(prepared)
    assertSame(await conn.read(), message, `${name}, prepared`)
  }
  const pieces = ['a é ', '', '€ 🦍', 'x'.repeat(100_000)]
  const writer = conn.writeStream('text')
  for (const piece of pieces) {
    await writer.write(piece)
    await conn.ping()
  }
  await writer.close()
  assertSame(await conn.read(), pieces.join(''), 'a message in pieces, pings between them')
}

const lost = { code: 1006, reason: '', by: 'network', wasClean: false }

/** A proxy ends its connections in order or by a reset. */
function assertLost(info: CloseInfo): void {
  assert.deepEqual(ending(info), lost)
  const code = (info.error as NodeJS.ErrnoException | undefined)?.code
  assert.ok(code === undefined || code === 'ECONNRESET' || code === 'EPIPE', String(info.error))
}

async function refusalOf(dialled: Promise<Conn>): Promise<HandshakeError> {
  const conn = await dialled.catch((error: unknown) => error)
  if (conn instanceof HandshakeError) return conn
  return assert.fail(`no refusal: ${String(conn)}`)
}

const skipWithout = (kind: ProxyKind | undefined): string | false =>
  kind !== undefined && kind.path === undefined
    ? `${kind.name} is not installed (apt-get install ${kind.packages})`
    : false

for (const kind of [undefined, ...proxyKinds]) {
  describe(kind === undefined ? 'without a proxy' : `through ${kind.name}`, {
    skip: skipWithout(kind),
  }, () => {
    let way: Way
    before(async () => {
      way = await Way.open(kind)
    })
    after(() => way[Symbol.asyncDispose]())

    for (const [name, compression] of [
      ['', false],
      [', compressed', true],
      [', compressed with takeover', { sendTakeover: true, receiveTakeover: true, threshold: 0 }],
    ] as const) {
      test(`all messages come back${name}`, async () => {
        const options = { compression, limits }
        await using ends = await way.connect({ server: options, client: options, handler: echo })
        await exchangeAll(ends.client)
        const { encoding } = ends.client.stats
        if (compression === false) assert.equal(encoding, undefined)
        else assert.ok(encoding !== undefined && encoding.encodedReceived < encoding.plainReceived)
      })
    }

    test('pings are answered on both sides', async () => {
      await using ends = await way.connect()
      for (const conn of [ends.client, ends.server]) {
        const rtt = await conn.ping()
        assert.ok(rtt >= 0 && rtt < 10_000)
      }
    })

    test('either side closes with code and reason', async () => {
      for (const [code, reason] of [
        [4000, 'genug 🦍'],
        [1000, ''],
        [4999, 'r'.repeat(123)],
      ] as const) {
        for (const who of ['client', 'server'] as const) {
          await using ends = await way.connect()
          const [here, there] = who === 'client' ? [ends.client, ends.server] : [ends.server, ends.client]
          const [local, remote] = await Promise.all([here.close(code, reason), there.closed])
          assert.deepEqual(ending(local), { code, reason, by: 'local', wasClean: true })
          assert.deepEqual(local.received, { code, reason: '' })
          assert.deepEqual(ending(remote), { code, reason, by: 'remote', wasClean: true })
        }
      }
    })

    test('what was sent before closing arrives before it', async () => {
      const handler: Handler = (conn) => {
        conn.send('last words')
        conn.send(Buffer.alloc(MiB, 7))
        void conn.close(1001)
      }
      await using ends = await way.connect({ handler })
      assert.equal(await ends.client.read(), 'last words')
      assertSame(await ends.client.read(), Buffer.alloc(MiB, 7), '1 MiB')
      const info = await ends.client.closed
      assert.deepEqual(ending(info), { code: 1001, reason: '', by: 'remote', wasClean: true })
    })

    test('either side hangs up: 1006 on the other', async () => {
      for (const who of ['client', 'server'] as const) {
        await using ends = await way.connect()
        const [here, there] = who === 'client' ? [ends.client, ends.server] : [ends.server, ends.client]
        here.terminate()
        assertLost(await there.closed)
      }
    })

    test('a reader that is slow holds the sender back, and gets everything', async () => {
      const total = 48
      let sent = 0
      const handler: Handler = async (conn) => {
        for (; sent < total; sent++) {
          if (!conn.send(Buffer.alloc(MiB, sent))) await conn.drained()
        }
      }
      await using ends = await way.connect({ handler })
      // Until nothing moves any more.
      for (let before = -1; before !== sent; ) {
        before = sent
        await delay(200)
      }
      assert.ok(sent < total, `all ${sent} MiB were sent to nobody`)
      for (let i = 0; i < total; i++) assertSame(await ends.client.read(), Buffer.alloc(MiB, i), `${i}`)
    })

    test('a page of the same origin may connect, another may not', async () => {
      await using _server = await way.serve({ path: '/ws' })
      const status = async (options: DialOptions, path: string): Promise<number | undefined> =>
        (await refusalOf(way.dial(options, path))).status
      await (await way.dial({ headers: { origin: way.origin } }, '/ws')).close()
      assert.equal(await status({ headers: { origin: 'https://evil.example' } }, '/ws'), 403)
      assert.equal(await status({ headers: { origin: way.origin } }, '/other'), 404)
    })

    test('origins by name, subprotocols, the query and headers of both sides pass', async () => {
      await using ends = await way.connect({
        server: {
          checkOrigin: allowOrigins('https://example.com'),
          subprotocols: ['v2'],
          headers: { 'x-from': 'server' },
        },
        client: {
          subprotocols: ['v1', 'v2'],
          headers: { origin: 'https://example.com', cookie: 'a=b; c=d', 'x-from': 'client' },
        },
        path: '/a%20b?c=d&e',
      })
      const { headers, url } = ends.server.request
      assert.deepEqual([url, headers.cookie, headers['x-from']], ['/a%20b?c=d&e', 'a=b; c=d', 'client'])
      assert.equal(ends.client.response?.headers['x-from'], 'server')
      assert.deepEqual([ends.client.subprotocol, ends.server.subprotocol], ['v2', 'v2'])
    })

    test('the address of the client, whatever it claims', async () => {
      const claims = { 'x-forwarded-for': '192.0.2.1', 'x-forwarded-proto': 'https' }
      await using ends = await way.connect({ client: { headers: claims } })
      const { headers } = ends.server.request
      const seen = [headers['x-forwarded-for'], headers['x-forwarded-proto']]
      assert.deepEqual(seen, kind === undefined ? Object.values(claims) : ['127.0.0.1', 'http'])
      assert.equal(ends.server.remoteAddress, '127.0.0.1')
    })

    test('limits per address count clients, not the proxy', async () => {
      const addressOf = ({ headers }: IncomingMessage): string => String(headers['x-forwarded-for'])
      const server = { maxConnectionsPerAddress: 1, ...(kind !== undefined && { addressOf }) }
      await using _first = await way.connect({ server })
      assert.equal((await refusalOf(way.dial({ headers: { 'x-forwarded-for': '192.0.2.1' } }))).status, 429)
      const other = new WebSocket(`${way.url}/`, { localAddress: '127.0.0.2' })
      await once(other, 'open')
      other.close()
      await once(other, 'close')
    })

    test('headers that are too many or too long are refused', async () => {
      await using _server = await way.serve({}, () => assert.fail('let in'))
      const { bytes, fields } = kind?.answers ?? { bytes: 431, fields: 431 }
      const long = await refusalOf(way.dial({ headers: { 'x-long': 'x'.repeat(20_000) } }))
      assert.deepEqual([long.code, long.status], ['ERR_WS_STATUS', bytes])
      const names = Array.from({ length: 120 }, (_, i) => [`x-${i}`, 'x'])
      const many = await refusalOf(way.dial({ headers: Object.fromEntries(names) }))
      assert.deepEqual([many.code, many.status], ['ERR_WS_STATUS', fields])
    })

    test('an ordinary request beside it is answered by the page', async () => {
      await using _server = await way.serve({ path: '/ws' })
      const [response] = (await once(get(`${way.origin}/`, { agent: false }), 'response')) as [
        IncomingMessage,
      ]
      let body = ''
      for await (const chunk of response.setEncoding('utf8')) body += chunk
      assert.deepEqual([response.statusCode, body], [200, 'a page\n'])
    })

    test('when the server stops, its clients are told 1001', async () => {
      await using ends = await way.connect()
      await ends.listening.close()
      const info = await ends.client.closed
      assert.deepEqual(ending(info), { code: 1001, reason: '', by: 'remote', wasClean: true })
    })
  })
}

// What waits for time to pass waits together.
describe('where time has to pass', { concurrency: true }, () => {
  for (const kind of proxyKinds) {
    const skip = skipWithout(kind)
    const low = (config: string): string =>
      changed(config, kind.idleTimeout, kind.idleTimeout.replace('60s', '3s'))
    const never = { limits: { pingInterval: 0 } }
    const often = { limits: { pingInterval: 300 } }

    for (const [who, options] of [
      ['client', { client: often, server: never }],
      ['server', { client: never, server: often }],
    ] as const) {
      test(`${kind.name}: the ${who}'s heartbeat keeps an idle connection`, { skip }, async () => {
        await using way = await Way.open(kind, { change: low })
        await using ends = await way.connect(options)
        const pinged = who === 'client' ? ends.server : ends.client
        // Longer than the timeout; an unmasked ping is 6 bytes, a masked one 10.
        const pings = (): number => pinged.stats.bytesReceived / (who === 'client' ? 10 : 6)
        const since = performance.now()
        while ((pings() < 3 || performance.now() - since < 4_500) && pinged.state === 'open') await delay(20)
        assert.equal(pinged.state, 'open')
        assert.equal((await ends.client.close()).wasClean, true)
      })
    }

    test(`${kind.name}: without a heartbeat an idle connection is dropped: 1006 on both sides`, {
      skip,
    }, async () => {
      await using way = await Way.open(kind, { change: low })
      await using ends = await way.connect({ client: never, server: never })
      const infos = await Promise.all([ends.client.closed, ends.server.closed])
      for (const info of infos) assertLost(info)
    })

    test(`${kind.name}: without a server it refuses by itself`, { skip }, async () => {
      // Nobody listens on port 1.
      await using proxy = await kind.start({ backends: [1] })
      const { code, status } = await refusalOf(dial(`ws://127.0.0.1:${proxy.port}/`))
      assert.deepEqual([code, status], ['ERR_WS_STATUS', kind.answers.down])
    })
  }
})

for (const kind of proxyKinds) {
  const skip = skipWithout(kind)
  describe(`${kind.name} ends`, { skip }, () => {
    for (const how of ['stopped', 'killed'] as const) {
      test(`${how}: 1006 on both sides, and reading says so`, async () => {
        await using way = await Way.open(kind)
        await using ends = await way.connect()
        const reading = assert.rejects(ends.client.read(), { name: 'CloseError', code: 'ERR_WS_CLOSED' })
        if (how === 'stopped') way.proxy?.signal('SIGTERM')
        else way.proxy?.crash()
        for (const info of await Promise.all([ends.client.closed, ends.server.closed])) assertLost(info)
        await reading
      })
    }

    test('gracefully: its connections go on, new ones are refused', async () => {
      await using way = await Way.open(kind)
      await using ends = await way.connect({ handler: echo })
      way.proxy?.signal(kind.softStop)
      while (
        (await way.dial().then(
          (conn) => conn.close(),
          () => undefined,
        )) !== undefined
      )
        await delay(10)
      const refused = await refusalOf(way.dial())
      assert.deepEqual([refused.code, refused.status], ['ERR_WS_CONNECT', undefined])
      await exchangeAll(ends.client)
      assert.equal((await ends.client.close(1000, 'done')).wasClean, true)
      await way.proxy?.exit
    })
  })

  test(`${kind.name} spreads connections over two servers, and each stays where it is`, {
    skip,
  }, async () => {
    const names = ['one', 'two']
    const servers = await Promise.all(
      names.map((name) => serve({}, (conn) => conn.onMessage(() => conn.send(name)))),
    )
    try {
      const [first = 0, second = 0] = servers.map(({ url }) => Number(new URL(url).port))
      await using proxy = await kind.start({ backends: [first, second] })
      const conns: Conn[] = []
      for (let i = 0; i < 6; i++) conns.push(await dial(`ws://127.0.0.1:${proxy.port}/`))
      const homes: unknown[] = []
      for (const conn of conns) {
        const answers = new Set<unknown>()
        for (let i = 0; i < 3; i++) {
          conn.send('where?')
          answers.add(await conn.read())
        }
        assert.equal(answers.size, 1)
        homes.push(...answers)
      }
      assert.deepEqual(homes.sort(), ['one', 'one', 'one', 'two', 'two', 'two'])
      await Promise.all(conns.map((conn) => conn.close()))
    } finally {
      await Promise.all(servers.map((server) => server.close()))
    }
  })

  const noCertificate = openssl === undefined ? 'openssl is not installed (apt-get install openssl)' : skip
  test(`${kind.name} ends TLS: all messages come back over wss`, { skip: noCertificate }, async () => {
    await using way = await Way.open(kind, { certificate: selfSigned(openssl ?? '') })
    assert.match(way.url, /^wss:/)
    const options = { compression: true, limits }
    await using ends = await way.connect({
      server: options,
      client: { ...options, headers: { origin: way.origin } },
      handler: echo,
    })
    const { headers } = ends.server.request
    assert.deepEqual([headers['x-forwarded-proto'], headers.origin], ['https', way.origin])
    await exchangeAll(ends.client)
    const info = await ends.client.close(4000, 'done')
    assert.deepEqual(ending(info), { code: 4000, reason: 'done', by: 'local', wasClean: true })
    assert.equal((await refusalOf(way.dial({ headers: { origin: 'https://evil.example' } }))).status, 403)
  })
}

const nginx = proxyKinds.find(({ name }) => name === 'nginx') as ProxyKind

describe('nginx, told too little', { skip: skipWithout(nginx) }, () => {
  const without = (line: string) => (config: string) => changed(config, `        ${line}\n`, '')

  for (const [what, change, status, body] of [
    [
      'nothing but proxy_pass',
      (config: string) => config.replace(/^ {4}location .*?^ {4}\}\n/ms, documented('nginx mistake')),
      426,
      'This is a WebSocket endpoint.\n',
    ],
    ['no proxy_http_version', without('proxy_http_version 1.1;'), 400, 'the HTTP version is not 1.1\n'],
    [
      'no Upgrade',
      without('proxy_set_header Upgrade $http_upgrade;'),
      426,
      'This is a WebSocket endpoint.\n',
    ],
    [
      'no Connection',
      without('proxy_set_header Connection $connection_upgrade;'),
      426,
      'This is a WebSocket endpoint.\n',
    ],
    ['no Host', without('proxy_set_header Host $http_host;'), 403, 'Origin not allowed\n'],
    [
      'a Host without its port',
      (config: string) => changed(config, '$http_host', '$host'),
      403,
      'Origin not allowed\n',
    ],
  ] as const) {
    test(`${what}: ${status}`, async () => {
      await using server = await serve({}, () => assert.fail('let in'))
      await using proxy = await nginx.start({ backends: [Number(new URL(server.url).port)], change })
      const host = `127.0.0.1:${proxy.port}`
      const refusal = await refusalOf(dial(`ws://${host}/`, { headers: { origin: `http://${host}` } }))
      assert.deepEqual([refusal.code, refusal.status, refusal.body], ['ERR_WS_STATUS', status, body])
    })
  }

  test('reloaded: its connections go on, and new ones come', async () => {
    await using way = await Way.open(nginx)
    await using ends = await way.connect({ handler: echo })
    way.proxy?.signal('SIGHUP')
    await way.proxy?.printed((log) => log.includes('reconfiguring'))
    await (await way.dial()).close()
    await exchangeAll(ends.client)
    assert.equal((await ends.client.close(1000, 'done')).wasClean, true)
  })
})
