import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Server as HttpServer } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { inspect } from 'node:util'
import { frame } from '../../test/frames.ts'
import { assertNoLeaks } from '../../test/leaks.ts'
import { RawClient, upgradeRequest } from '../../test/raw-client.ts'
import { certificate, privateKey } from '../../test/support/certificate.ts'
import { enableFakeTimers } from '../../test/support/fake-timers.ts'
import { TestServer } from '../../test/support/test-server.ts'
import { until } from '../../test/support/until.ts'
import { dial } from '../client/dialer.ts'
import type { LogEntry } from '../conn/observer.ts'
import { UsageError } from '../session/errors.ts'
import { refuse } from './refuse.ts'
import { type ServeOptions, type Server, serve } from './serve.ts'
import type { Handler } from './upgrader.ts'

after(() => assertNoLeaks())

const tls = { cert: certificate, key: privateKey }
const mask = Buffer.from([1, 2, 3, 4])

const echo: Handler = async (conn) => {
  for await (const message of conn) conn.send(message)
}

function portOf(server: Server): number {
  return Number(new URL(server.url).port)
}

/** A client that is upgraded and then does nothing of its own accord. */
function stuck(server: Server): Promise<RawClient> {
  return RawClient.upgraded(portOf(server), new URL(server.url).pathname)
}

/** All that a server answers to these bytes until it hangs up. */
async function answer(server: Server, bytes: string): Promise<string> {
  const client = new RawClient(portOf(server))
  client.write(bytes)
  await client.until(() => client.closed, 'the end of the connection')
  return client.received.toString('latin1')
}

async function echoes(url: string): Promise<void> {
  const conn = await dial(url, { tls: { ca: certificate } })
  conn.send('hello')
  assert.equal(await conn.read(), 'hello')
  conn.terminate()
  await conn.closed
}

function isUsageError(code: string, message: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof UsageError, String(error))
    assert.equal(error.code, code)
    assert.match(error.message, message)
    return true
  }
}

describe('serve, options', () => {
  const table: [options: unknown, message: RegExp][] = [
    [undefined, /^options must be an object/],
    [null, /^options must be an object/],
    [{ ports: 1 }, /^ports is not an option; the options are port, host, tls, server, path, checkOrigin/],
    ...[-1, 65_536, 1.5, Number.NaN, '80', null].map((port): [unknown, RegExp] => [
      { port },
      /^port must be an integer from 0 to 65535/,
    ]),
    ...['', 0, null, {}].map((host): [unknown, RegExp] => [{ host }, /^host must be a name or an address/]),
    ...[true, null, 'cert'].map((wrong): [unknown, RegExp] => [{ tls: wrong }, /^tls must be an object/]),
    ...[null, {}, 8080].map((server): [unknown, RegExp] => [{ server }, /^server must be a server/]),
    [{ server: createServer(), tls: {} }, /^tls: a server of your own/],
    [{ path: 'ws' }, /^path must be/],
    [{ limits: { handshakeTimeout: -1 } }, /^limits\.handshakeTimeout must be/],
    [{ checkOrigin: 'x' }, /^checkOrigin must be a function/],
    [{ authorize: true }, /^authorize must be a function/],
    [{ handshakeTimeout: -1 }, /handshakeTimeout must be an integer/],
    [{ maxConnections: 0 }, /^maxConnections must be an integer from 1/],
  ]
  for (const [options, message] of table) {
    it(`rejects ${inspect(options, { depth: 0, compact: true })}`, async () => {
      await assert.rejects(
        serve(options as ServeOptions, echo),
        isUsageError('ERR_WS_INVALID_OPTION', message),
      )
    })
  }

  it('rejects a handler that is none, and starts nothing', async () => {
    for (const handle of [undefined, null, {}]) {
      const given = createServer()
      const wrong = isUsageError('ERR_WS_INVALID_ARGUMENT', /^the handler must be a function/)
      await assert.rejects(serve({ server: given, port: 0 }, handle as never), wrong)
      assert.equal(given.listening, false)
      assert.equal(given.listenerCount('upgrade'), 0)
    }
  })
})

describe('serve, on a server of its own', () => {
  it('outlives an error of its HTTP server, and tells the log', async () => {
    const entries: LogEntry[] = []
    await using server = await serve({ log: (entry) => void entries.push(entry) }, echo)
    // As Node does when `accept` fails, and the system has no file for the connection.
    server.server.emit('error', Object.assign(new Error('accept ENFILE'), { code: 'ENFILE' }))
    assert.deepEqual(
      entries.map(({ level, event, message }) => [level, event, message]),
      [['error', 'accept-error', 'a connection was not accepted: accept ENFILE']],
    )
    await echoes(server.url)
  })

  it('listens on a free port of 127.0.0.1', async () => {
    await using server = await serve({}, echo)
    assert.match(server.url, /^ws:\/\/127\.0\.0\.1:\d+\/$/)
    await echoes(server.url)
  })

  it('serves one path, and 404 everywhere else', async () => {
    await using server = await serve({ path: '/a/b' }, echo)
    assert.match(server.url, /:\d+\/a\/b$/)
    await echoes(server.url)
    assert.match(await answer(server, upgradeRequest('/')), /^HTTP\/1\.1 404 /)
  })

  it('takes the port it is told, and rejects when that is taken', async () => {
    const first = await serve({}, echo)
    const port = portOf(first)
    await assert.rejects(serve({ port }, echo), { code: 'EADDRINUSE' })
    await echoes(first.url)
    await first.close()
    await using second = await serve({ port }, echo)
    assert.equal(portOf(second), port)
  })

  it('rejects when a host cannot be listened on', async () => {
    await assert.rejects(serve({ host: '192.0.2.1' }, echo), { code: 'EADDRNOTAVAIL' })
  })

  const ipv6 = Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === '::1'))
  const hosts: [host: string, url: RegExp][] = [
    ['::1', /^ws:\/\/\[::1\]:\d+\/$/],
    ['::', /^ws:\/\/localhost:\d+\/$/],
    ['0.0.0.0', /^ws:\/\/localhost:\d+\/$/],
    ['localhost', /^ws:\/\/(127\.0\.0\.1|\[::1\]):\d+\/$/],
  ]
  for (const [host, url] of hosts) {
    const skip = host.startsWith('::') && !ipv6 ? 'no IPv6 here' : false
    it(`has a URL that leads to it on ${host}`, { skip }, async () => {
      await using server = await serve({ host }, echo)
      assert.match(server.url, url)
      await echoes(server.url)
    })
  }

  it('speaks wss with a certificate', async () => {
    await using server = await serve({ tls, path: '/s' }, echo)
    assert.match(server.url, /^wss:\/\/127\.0\.0\.1:\d+\/s$/)
    await echoes(server.url)
    await echoes(server.url.replace('127.0.0.1', 'localhost'))
  })

  it('answers 426 to what is no upgrade', async () => {
    await using server = await serve({}, echo)
    const requests: [request: string, body: RegExp][] = [
      ['GET / HTTP/1.1\r\nHost: x\r\n\r\n', /^1e\r\nThis is a WebSocket endpoint\.\n\r\n0\r\n\r\n$/],
      ['GET /any?x HTTP/1.0\r\n\r\n', /^This is a WebSocket endpoint\.\n$/],
      ['HEAD / HTTP/1.1\r\nHost: x\r\n\r\n', /^$/],
      ['POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello', /WebSocket endpoint/],
      [upgradeRequest('/', { Upgrade: undefined }), /WebSocket endpoint/],
      [upgradeRequest('/', { Connection: 'keep-alive' }), /WebSocket endpoint/],
    ]
    for (const [request, body] of requests) {
      const text = await answer(server, request)
      assert.match(text, /^HTTP\/1\.1 426 Upgrade Required\r\n/, request)
      const [head = '', rest] = text.split(/\r\n\r\n(.*)/s)
      for (const line of ['Upgrade: websocket', 'Connection: Upgrade, close', 'Sec-WebSocket-Version: 13'])
        assert.ok(head.split('\r\n').includes(line), `${request} has no ${line}`)
      assert.match(rest ?? '', body, request)
    }
  })
})

describe('serve, slow handshakes', () => {
  for (const [name, bytes] of [
    ['half a request', upgradeRequest('/').slice(0, -2)],
    ['half a line', 'GET /'],
    ['nothing at all', ''],
  ] as const) {
    it(`${name}: 408 after handshakeTimeout`, async () => {
      await using server = await serve({ limits: { handshakeTimeout: 60 } }, echo)
      const start = performance.now()
      assert.match(await answer(server, bytes), /^HTTP\/1\.1 408 Request Timeout\r\n/)
      const took = performance.now() - start
      assert.ok(took >= 40 && took < 5_000, `took ${took} ms`)
    })
  }

  it('a request in dribs and drabs: 408 all the same', async () => {
    await using server = await serve({ limits: { handshakeTimeout: 100 } }, echo)
    const client = new RawClient(portOf(server))
    const timer = setInterval(() => client.write('X: y\r\n'), 10)
    client.write('GET / HTTP/1.1\r\n')
    await client.until(() => client.closed, 'the end').finally(() => clearInterval(timer))
    assert.equal(client.status, 408)
  })

  it('a TLS handshake that does not begin: the connection ends', async () => {
    await using server = await serve({ tls, limits: { handshakeTimeout: 60 } }, echo)
    assert.equal(await answer(server, ''), '')
    await echoes(server.url)
  })

  it('an upgraded connection is not one', async () => {
    await using server = await serve({ limits: { handshakeTimeout: 50 } }, echo)
    const client = await stuck(server)
    assert.match(await answer(server, 'GET /'), /^HTTP\/1\.1 408 /)
    client.write(frame({ opcode: 1, payload: 'alive', mask }))
    await client.until(() => client.events.length > 0, 'the echo')
    await client.destroy()
  })

  it('has an option of its own, which comes before the limit', async () => {
    await using server = await serve({ handshakeTimeout: 60, limits: { handshakeTimeout: 5 } }, echo)
    const { headersTimeout, requestTimeout } = server.server
    assert.deepEqual([headersTimeout, requestTimeout], [60, 60])
    await using other = await serve({ handshakeTimeout: 70, limits: () => ({}) }, echo)
    assert.equal(other.server.headersTimeout, 70)
    await using third = await serve({ limits: () => ({ handshakeTimeout: 5 }) }, echo)
    assert.equal(third.server.headersTimeout, 10_000, 'a function is asked too late')
  })

  it('any handshakeTimeout will do, also one that is no multiple of four; 0 is none', async () => {
    for (const handshakeTimeout of [0, 1, 250, 999, 2 ** 31 - 1]) {
      await using server = await serve({ limits: { handshakeTimeout } }, echo)
      assert.deepEqual(
        [server.server.headersTimeout, server.server.requestTimeout],
        [handshakeTimeout, handshakeTimeout],
      )
    }
  })
})

describe('serve, authorize', () => {
  const users = new Map([['s3cret', { name: 'ann' }]])

  it('hands the handler what it returned, and refuses the others', async () => {
    await using server = await serve(
      {
        authorize: async ({ headers }) => users.get(headers.authorization?.slice(7) ?? '') ?? refuse(401),
        subprotocols: ['greet'],
      },
      (conn) => void conn.send(`hello, ${conn.context.name}`),
    )
    await assert.rejects(dial(server.url), { code: 'ERR_WS_STATUS', status: 401 })
    const conn = await dial(server.url, {
      headers: { authorization: 'Bearer s3cret' },
      subprotocols: ['greet'],
    })
    assert.equal(await conn.read(), 'hello, ann')
    const [served] = server.connections
    assert.deepEqual([served?.context, served?.subprotocol], [{ name: 'ann' }, 'greet'])
    await conn.close()
    await served?.closed
    const { accepted, refused, closed, open } = server.stats
    assert.deepEqual([accepted, refused, closed, open], [1, { ERR_WS_UNAUTHORIZED: 1 }, { 1000: 1 }, 0])
  })

  for (const options of [{}, { tls }]) {
    it(`is answered 503 when the server closes meanwhile${'tls' in options ? ', over TLS' : ''}`, async () => {
      let asked: (() => void) | undefined
      const question = new Promise<void>((resolve) => {
        asked = resolve
      })
      const server = await serve(
        {
          ...options,
          authorize: () => {
            asked?.()
            return new Promise<true>(() => {})
          },
        },
        () => assert.fail('let in'),
      )
      const refused = assert.rejects(dial(server.url, { tls: { ca: certificate } }), {
        code: 'ERR_WS_STATUS',
        status: 503,
      })
      await question
      assert.equal(server.stats.pending, 1)
      await server.close()
      await refused
      assert.deepEqual([server.stats.pending, server.stats.refused], [0, { ERR_WS_SERVER_CLOSING: 1 }])
    })
  }
})

describe('serve, on a given server', () => {
  /** A server that answers plain requests. */
  function own(): HttpServer {
    return createServer((_request, response) => {
      response.setHeader('connection', 'close')
      response.end('mine')
    })
  }

  it('takes upgrades and leaves the rest; closing leaves the server as it was', async () => {
    const http = own().listen(0, '127.0.0.1')
    await once(http, 'listening')
    const server = await serve({ server: http, path: '/ws' }, echo)
    assert.equal(server.server, http)
    assert.equal(server.url, `ws://127.0.0.1:${(http.address() as AddressInfo).port}/ws`)
    await echoes(server.url)
    const plain = 'GET /ws HTTP/1.1\r\nHost: x\r\n\r\n'
    assert.match(await answer(server, plain), /^HTTP\/1\.1 200 OK\r\n.*mine/s)
    assert.match(await answer(server, upgradeRequest('/other')), /^HTTP\/1\.1 404 /)
    const conn = await dial(server.url)
    await server.close({ code: 4001, reason: 'moved' })
    assert.deepEqual([(await conn.closed).code, (await conn.closed).reason], [4001, 'moved'])
    assert.equal(http.listening, true)
    assert.equal(http.listenerCount('upgrade'), 0)
    assert.match(await answer(server, plain), /mine/)
    http.close()
    await once(http, 'close')
    assert.equal(server.url, '')
  })

  it('makes it listen when a port is given', async () => {
    const http = own()
    const server = await serve({ server: http, port: 0, host: '127.0.0.1' }, echo)
    await echoes(server.url)
    await server.close()
    http.close()
    await once(http, 'close')
  })

  it('leaves nothing behind on one that cannot listen', async () => {
    await using taken = await serve({}, echo)
    const http = own()
    await assert.rejects(serve({ server: http, port: portOf(taken) }, echo), { code: 'EADDRINUSE' })
    assert.equal(http.listenerCount('upgrade'), 0)
    assert.equal(http.listenerCount('error'), 0)
    await assert.rejects(serve({ server: taken.server, port: 0 }, echo), {
      code: 'ERR_SERVER_ALREADY_LISTEN',
    })
    assert.equal(taken.server.listenerCount('upgrade'), 1)
    assert.equal(taken.server.listenerCount('error'), 1, 'that of the `serve` which made it')
    await echoes(taken.url)
  })

  it('can be given to several, each with its path', async () => {
    await using http = await TestServer.start()
    const say =
      (word: string): Handler =>
      (conn) =>
        void conn.send(word)
    const a = await serve({ server: http.http, path: '/a' }, say('a'))
    const b = await serve({ server: http.http, path: '/b' }, say('b'))
    for (const [server, word] of [
      [a, 'a'],
      [b, 'b'],
    ] as const) {
      const conn = await dial(server.url)
      assert.equal(await conn.read(), word)
      assert.deepEqual([a.connections.size, b.connections.size], word === 'a' ? [1, 0] : [0, 1])
      await conn.close()
    }
    await a.close()
    assert.match(await answer(b, upgradeRequest('/a')), /^HTTP\/1\.1 404 /)
    await (await dial(b.url)).close()
    await b.close()
  })

  it('may speak TLS', async () => {
    const https = createTlsServer(tls)
    const server = await serve({ server: https, port: 0 }, echo)
    assert.match(server.url, /^wss:/)
    await echoes(server.url)
    await server.close()
    https.close()
    await once(https, 'close')
  })

  it('may listen on a unix socket, where dial finds it by its url', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'silverback-'))
    const path = join(folder, 'a b:c%20#é')
    for (const [scheme, http] of [
      ['ws', own()],
      ['wss', createTlsServer(tls)],
    ] as const) {
      http.listen(path)
      await once(http, 'listening')
      const server = await serve({ server: http, path: '/x' }, echo)
      assert.equal(server.url, `${scheme}+unix:${folder}/a%20b%3Ac%2520%23%C3%A9:/x`)
      await echoes(server.url)
      await server.close()
      http.close()
      await once(http, 'close')
    }
    await rm(folder, { recursive: true })
  })
})

describe('serve, close', () => {
  it('gives every connection 1001, and resolves when all have gone', async () => {
    const server = await serve({}, echo)
    const conns = await Promise.all([dial(server.url), dial(server.url), dial(server.url)])
    assert.equal(server.connections.size, 3)
    const { port } = new URL(server.url)
    await server.close()
    assert.equal(server.connections.size, 0)
    for (const conn of conns) {
      const { code, reason, wasClean, by } = await conn.closed
      assert.deepEqual([code, reason, wasClean, by], [1001, '', true, 'remote'])
    }
    assert.equal(server.server.listening, false)
    await assert.rejects(dial(`ws://127.0.0.1:${port}/`), { code: 'ERR_WS_CONNECT' })
  })

  it('says the code and the reason it is told', async () => {
    const server = await serve({}, echo)
    const conn = await dial(server.url)
    await server.close({ code: 1012, reason: 'back in a minute' })
    const { received } = await conn.closed
    assert.deepEqual(received, { code: 1012, reason: 'back in a minute' })
  })

  it('delivers what was sent before', async () => {
    const server = await serve({}, () => {})
    const conn = await dial(server.url)
    const big = 'x'.repeat(1_000_000)
    for (const served of server.connections) served.send(big)
    const closed = server.close()
    assert.equal(await conn.read(), big)
    await closed
    assert.equal((await conn.closed).code, 1001)
  })

  it('drops those who do not answer in time', async () => {
    const server = await serve({}, echo)
    const clients = [await stuck(server), await stuck(server)]
    const good = await dial(server.url)
    const start = performance.now()
    await server.close({ timeout: 60 })
    assert.ok(performance.now() - start < 4_000)
    assert.equal((await good.closed).wasClean, true)
    for (const client of clients) {
      await client.until(() => client.closed, 'the end')
      assert.deepEqual(
        client.events.map((event) => event.kind === 'close' && event.code),
        [1001],
      )
    }
  })

  it('with a timeout of 0 waits for nobody', async () => {
    const server = await serve({}, echo)
    const client = await stuck(server)
    await server.close({ timeout: 0 })
    await client.until(() => client.closed, 'the end')
    assert.equal(server.connections.size, 0)
  })

  it('may be called again, with whatever it was told then', async () => {
    const server = await serve({}, echo)
    const conn = await dial(server.url)
    await Promise.all([
      server.close({ code: 4000 }),
      server.close({ code: 4001 }),
      server[Symbol.asyncDispose](),
    ])
    await server.close()
    assert.equal((await conn.closed).code, 4000)
  })

  const wrong: [options: Record<string, unknown>, message: RegExp][] = [
    ...[0, 999, 1004, 1005, 1006, 1015, 2999, 5000, '1001', null].map(
      (code): [(typeof wrong)[0][0], RegExp] => [{ code }, /^close: the code .* may not be sent/],
    ),
    ...['x'.repeat(124), 'é'.repeat(62), 5, null].map((reason): [(typeof wrong)[0][0], RegExp] => [
      { reason },
      /^close: the reason must be a string of at most 123 bytes/,
    ]),
    ...[-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 31, '5', null].map(
      (timeout): [(typeof wrong)[0][0], RegExp] => [
        { timeout },
        /^close: the timeout must be an integer from 0 to/,
      ],
    ),
  ]
  it('closes nothing when it is called wrongly', async () => {
    const server = await serve({}, echo)
    const conn = await dial(server.url)
    for (const [options, message] of wrong) {
      await assert.rejects(server.close(options), isUsageError('ERR_WS_INVALID_ARGUMENT', message))
    }
    conn.send('still here')
    assert.equal(await conn.read(), 'still here')
    await server.close()
    assert.equal((await conn.closed).code, 1001)
  })

  it('answers 503 to a handshake that is completed meanwhile', async () => {
    const server = await serve({}, echo)
    const busy = await stuck(server)
    const request = upgradeRequest('/')
    const late = new RawClient(portOf(server))
    late.write(request.slice(0, 20))
    const [socket] = (await once(server.server, 'connection')) as [Socket]
    // A connection on which nothing has come yet is idle, and ends at once.
    await until(() => socket.bytesRead === 20, 'the first bytes')
    const closed = server.close({ timeout: 5_000 })
    late.write(request.slice(20))
    await late.until(() => late.closed, 'an answer')
    assert.equal(late.status, 503)
    await busy.destroy()
    await closed
  })

  it('does not wait for handshakes that are not completed', async () => {
    for (const options of [{}, { tls }]) {
      const server = await serve(options, echo)
      const clients = ['', 'GET / HT'].map((bytes) => {
        const client = new RawClient(portOf(server))
        client.write(bytes)
        return client
      })
      let connections = 0
      const connected = new Promise<void>((resolve) => {
        server.server.on('connection', () => ++connections === clients.length && resolve())
      })
      await connected
      const closed = server.close()
      try {
        for (const client of clients) await client.until(() => client.closed, 'the end')
      } finally {
        for (const client of clients) await client.destroy()
        await closed
      }
    }
  })

  it('does not wait for clients that were refused and do not hang up', async (t) => {
    using _timers = enableFakeTimers(t)
    const server = await serve({ path: '/a' }, echo)
    const client = new RawClient(portOf(server), { allowHalfOpen: true })
    client.write(upgradeRequest('/b'))
    await client.until(() => client.ended, 'the answer')
    const closing = server.close()
    let closed = false
    void closing.then(() => {
      closed = true
    })
    try {
      await until(() => closed, 'the server')
    } finally {
      await client.destroy()
      await closing
    }
  })

  it('ends what others do on a server of our own', async () => {
    const server = await serve({ path: '/a' }, echo)
    server.server.on('upgrade', ({ url }, socket) => {
      socket.on('error', () => {})
      if (url === '/theirs') socket.write('HTTP/1.1 101 Theirs\r\n\r\n')
    })
    const theirs = new RawClient(portOf(server))
    theirs.write(upgradeRequest('/theirs'))
    await theirs.until(() => theirs.status === 101, 'their upgrade')
    const closed = server.close()
    try {
      await theirs.until(() => theirs.closed, 'the end')
    } finally {
      await theirs.destroy()
      await closed
    }
  })

  it('keeps no list of its own of connections: no more listens on their sockets than on those of another server', async () => {
    const counts: number[] = []
    for (const given of [undefined, createServer()]) {
      const options = given === undefined ? {} : { server: given, port: 0 }
      await using server = await serve(options, ({ socket }) => {
        counts.push(socket.listenerCount('close'))
      })
      await using conn = await dial(server.url)
      await conn.close()
      given?.close()
    }
    assert.equal(counts.length, 2)
    assert.equal(counts[0], counts[1])
  })

  it('waits for a server that somebody else is closing', async () => {
    const server = await serve({}, echo)
    const conn = await dial(server.url)
    server.server.close()
    await server.close()
    assert.equal((await conn.closed).code, 1001)
  })

  it('drops TLS connections too', async () => {
    const server = await serve({ tls }, echo)
    const conns = await Promise.all([1, 2].map(() => dial(server.url, { tls: { ca: certificate } })))
    await server.close()
    for (const conn of conns) assert.equal((await conn.closed).code, 1001)
  })
})
