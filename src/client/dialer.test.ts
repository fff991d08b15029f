import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import { type AddressInfo, connect as netConnect } from 'node:net'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import { Duplex } from 'node:stream'
import { after, describe, it } from 'node:test'
import { createServer as createTlsServer, type TLSSocket } from 'node:tls'
import { frame } from '../../test/frames.ts'
import { assertNoLeaks } from '../../test/leaks.ts'
import { AnsweringServer, switching } from '../../test/support/answering-server.ts'
import { certificate, foreignCertificate, privateKey } from '../../test/support/certificate.ts'
import { refused } from '../../test/support/failure.ts'
import { HttpProxy } from '../../test/support/http-proxy.ts'
import { SocksProxy } from '../../test/support/socks-proxy.ts'
import type { Conn } from '../conn/conn.ts'
import { type ServeOptions, type Server, serve } from '../server/serve.ts'
import type { ServerConn } from '../server/server-conn.ts'
import type { Handler } from '../server/upgrader.ts'
import { LimitError, ProtocolError, TimeoutError, UsageError } from '../session/errors.ts'
import type { DialOptions } from './dial-options.ts'
import { Dialer, dial } from './dialer.ts'

after(() => assertNoLeaks())

const echo: Handler = async (conn) => {
  for await (const message of conn) conn.send(message)
}

function hasIPv6(): boolean {
  return Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === '::1'))
}

/** The next connection of a server. */
function served(options: ServeOptions = {}): Promise<{ server: Server; conn: Promise<ServerConn> }> {
  let settle: ((conn: ServerConn) => void) | undefined
  const conn = new Promise<ServerConn>((resolve) => {
    settle = resolve
  })
  return serve(options, (given) => settle?.(given)).then((server) => ({ server, conn }))
}

describe('dial', () => {
  it('opens a connection that knows what was agreed', async () => {
    const { server, conn: other } = await served({
      subprotocols: ['v1'],
      headers: { 'X-Server': 'here' },
      path: '/a',
    })
    await using _ = server
    await using conn = await dial(`${server.url}?token=x`, {
      subprotocols: ['v2', 'v1'],
      headers: { 'X-Client': 'there' },
    })
    assert.deepEqual([conn.state, conn.subprotocol, conn.extensions], ['open', 'v1', ''])
    assert.equal(conn.request, undefined)
    assert.equal(conn.response?.statusCode, 101)
    assert.equal(conn.response.headers['x-server'], 'here')
    assert.equal(conn.remoteAddress, '127.0.0.1')
    const { request } = await other
    assert.equal(request.url, '/a?token=x')
    assert.equal(request.headers['x-client'], 'there')
    assert.equal(request.headers['origin'], undefined)
  })

  it('sends another key each time', async () => {
    const keys = new Set<string | undefined>()
    await using server = await serve({}, (conn) => void keys.add(conn.request.headers['sec-websocket-key']))
    for (let i = 0; i < 3; i++) (await dial(server.url)).terminate()
    assert.equal(keys.size, 3)
  })

  for (const host of ['127.0.0.1', 'localhost', '[::1]']) {
    it(`reaches ${host}`, { skip: host === '[::1]' && !hasIPv6() ? 'no IPv6 here' : false }, async () => {
      await using server = await serve({ host: host.replace(/[[\]]/g, '') }, echo)
      await using conn = await dial(new URL(server.url.replace(/\/\/.*:/, `//${host}:`)))
      conn.send('hello')
      assert.equal(await conn.read(), 'hello')
    })
  }

  it('speaks to the Host it is told', async () => {
    const { server, conn: other } = await served()
    await using _ = server
    await using conn = await dial(server.url, {
      headers: { Host: 'example.com', Origin: 'https://example.com' },
    })
    assert.equal((await other).request.headers.host, 'example.com')
    assert.equal(conn.state, 'open')
  })

  it('has the limits it is given', async () => {
    await using server = await serve({}, (conn) => void conn.send('x'.repeat(100)))
    const conn = await dial(server.url, { limits: { maxMessageSize: 99 }, slow: 'skip' })
    const { code, error } = await conn.closed
    assert.equal(code, 1009)
    assert.ok(error instanceof LimitError)
  })

  it('rejects, and does not throw, when it is misused', async () => {
    const wrong: [url: unknown, options: unknown, code: string][] = [
      ['http://127.0.0.1/', {}, 'ERR_WS_INVALID_ARGUMENT'],
      ['ws://127.0.0.1/#x', {}, 'ERR_WS_INVALID_ARGUMENT'],
      [undefined, {}, 'ERR_WS_INVALID_ARGUMENT'],
      ['ws://127.0.0.1/', { subprotocols: ['a b'] }, 'ERR_WS_INVALID_OPTION'],
      ['ws://127.0.0.1/', { headers: { Upgrade: 'x' } }, 'ERR_WS_INVALID_OPTION'],
      ['ws://127.0.0.1/', null, 'ERR_WS_INVALID_OPTION'],
    ]
    for (const [url, options, code] of wrong) {
      const dialled = dial(url as string, options as DialOptions)
      await assert.rejects(dialled, (error: unknown) => error instanceof UsageError && error.code === code)
    }
  })

  it('rejects with the refusal of our own server', async () => {
    await using server = await serve({ path: '/a' }, echo)
    const origin = await refused(dial(server.url, { headers: { origin: 'https://evil.example' } }))
    assert.deepEqual(
      [origin.code, origin.status, origin.body],
      ['ERR_WS_STATUS', 403, 'Origin not allowed\n'],
    )
    assert.equal(origin.headers?.['sec-websocket-version'], '13')
    const path = await refused(dial(server.url.replace('/a', '/b')))
    assert.deepEqual([path.status, path.body], [404, 'Not Found\n'])
  })

  const unwanted: [name: string, lines: string, code: string][] = [
    ['a subprotocol that was not offered', 'Sec-WebSocket-Protocol: c\r\n', 'ERR_WS_SUBPROTOCOL'],
    ['two subprotocols', 'Sec-WebSocket-Protocol: a, b\r\n', 'ERR_WS_SUBPROTOCOL'],
    ['one in another case', 'Sec-WebSocket-Protocol: A\r\n', 'ERR_WS_SUBPROTOCOL'],
    ['an empty subprotocol', 'Sec-WebSocket-Protocol:\r\n', 'ERR_WS_SUBPROTOCOL'],
    [
      'an extension that was not offered',
      'Sec-WebSocket-Extensions: permessage-deflate\r\n',
      'ERR_WS_EXTENSION',
    ],
    ['extensions that are none', 'Sec-WebSocket-Extensions: ;\r\n', 'ERR_WS_HEADER_SYNTAX'],
    ['the accept key twice', 'Sec-WebSocket-Accept: x\r\n', 'ERR_WS_ACCEPT'],
    ['two upgrades', 'Upgrade: h2c\r\n', 'ERR_WS_UPGRADE_HEADER'],
    ['a Content-Length', 'Content-Length: 5\r\n', 'ERR_WS_HEADER_SYNTAX'],
    ['a Content-Length of 0', 'Content-Length: 0\r\n', 'ERR_WS_HEADER_SYNTAX'],
    ['a Transfer-Encoding', 'Transfer-Encoding: chunked\r\n', 'ERR_WS_HEADER_SYNTAX'],
  ]
  for (const [name, lines, code] of unwanted) {
    it(`refuses ${name}, and hangs up`, async () => {
      await using server = await AnsweringServer.start((socket, accept) =>
        socket.write(switching(accept, lines)),
      )
      const error = await refused(dial(server.url, { subprotocols: ['a', 'b'] }))
      assert.deepEqual([error.code, error.status, error.body], [code, 101, undefined])
      assert.equal(error.headers?.['connection'], 'Upgrade')
      await server.deserted()
    })
  }

  for (const version of ['1.0', '2.0']) {
    it(`refuses a 101 of HTTP/${version}, and hangs up`, async () => {
      await using server = await AnsweringServer.start((socket, accept) =>
        socket.write(switching(accept).replace('HTTP/1.1', `HTTP/${version}`)),
      )
      const error = await refused(dial(server.url))
      assert.deepEqual([error.code, error.status], ['ERR_WS_HTTP_VERSION', 101])
      await server.deserted()
    })
  }

  for (const accept of ['', 'x', 'dGhlIHNhbXBsZSBub25jZQ==']) {
    it(`refuses the accept key ${JSON.stringify(accept)}, and hangs up`, async () => {
      await using server = await AnsweringServer.start((socket) => socket.write(switching(accept)))
      assert.equal((await refused(dial(server.url))).code, 'ERR_WS_ACCEPT')
      await server.deserted()
    })
  }

  it('does not run after an abort, and is not touched by one later', async () => {
    const controller = new AbortController()
    await using server = await serve({}, echo)
    await using conn = await dial(server.url, { signal: controller.signal })
    controller.abort()
    conn.send('alive')
    assert.equal(await conn.read(), 'alive')
    await assert.rejects(dial(server.url, { signal: controller.signal }), { name: 'AbortError' })
  })

  it('survives many that are given up at any moment', async () => {
    await using server = await serve({}, echo)
    const outcomes = await Promise.allSettled(
      Array.from({ length: 30 }, async (_, turns) => {
        const controller = new AbortController()
        const dialled = dial(server.url, { signal: controller.signal })
        for (let i = 0; i < turns; i++) await new Promise((resolve) => setImmediate(resolve))
        controller.abort()
        await (await dialled).close()
      }),
    )
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') assert.equal(outcome.reason.name, 'AbortError')
    }
    await server.close()
    assert.equal(server.connections.size, 0)
  })
})

describe('dial, what comes behind the answer', () => {
  const text = (payload: string): Buffer => frame({ opcode: 1, payload })
  const close = frame({ opcode: 8, payload: Buffer.from([0x0f, 0xa0, 0x68, 0x69]) })

  it('is kept, whatever the cuts', async () => {
    const messages = ['one', 'two', 'x'.repeat(100_000)]
    for (const at of [0, 1, 2, 4, 5, 9, 12, 1000]) {
      await using server = await AnsweringServer.start((socket, accept) => {
        const behind = Buffer.concat([...messages.map(text), close])
        socket.write(Buffer.concat([Buffer.from(switching(accept)), behind.subarray(0, at)]))
        setImmediate(() => socket.end(behind.subarray(at)))
      })
      const conn = await dial(server.url)
      const got = [await conn.read(), await conn.read(), await conn.read()]
      assert.deepEqual(got, messages, `cut at ${at}`)
      // The peer's answer to our Close frame is not needed: its own came first.
      const { code, reason, by } = await conn.closed
      assert.deepEqual([code, reason, by], [4000, 'hi', 'remote'])
      await server.deserted()
    }
  })

  it('may be a frame that is none', async () => {
    await using server = await AnsweringServer.start((socket, accept) => {
      socket.write(Buffer.concat([Buffer.from(switching(accept)), Buffer.from('ffffff', 'hex')]))
      socket.on('data', () => socket.end())
    })
    const conn = await dial(server.url)
    const { code, error } = await conn.closed
    assert.equal(code, 1002)
    assert.ok(error instanceof ProtocolError)
    await server.deserted()
  })

  it('may be the end', async () => {
    await using server = await AnsweringServer.start((socket, accept) => socket.end(switching(accept)))
    const { code, by } = await (await dial(server.url)).closed
    assert.deepEqual([code, by], [1006, 'network'])
    await using reset = await AnsweringServer.start(async (socket, accept) => {
      socket.write(switching(accept))
      // Some turns in which the client, which shares our event loop, reads that.
      for (let i = 0; i < 4; i++) await new Promise((resolve) => setImmediate(resolve))
      socket.resetAndDestroy()
    })
    assert.equal((await (await dial(reset.url)).closed).code, 1006)
  })
})

describe('dial, listeners that fail', () => {
  const boom = new Error('boom')
  const throwing = (): never => {
    throw boom
  }

  for (const listener of [throwing, async () => throwing()]) {
    it(`close with 1011 and tell onError, also ${listener.constructor.name}s`, async () => {
      const { server, conn: other } = await served()
      await using _ = server
      const told: unknown[] = []
      const conn = await dial(server.url, { onError: (...given) => void told.push(...given) })
      conn.onMessage(listener)
      ;(await other).send('hello')
      const { code, wasClean, error } = await conn.closed
      assert.deepEqual([code, wasClean, error], [1011, true, boom])
      assert.deepEqual(told, [boom, conn])
      assert.equal((await (await other).closed).code, 1011)
    })
  }

  for (const [name, onError] of [
    ['throws', () => assert.fail('second')],
    ['rejects', async () => assert.fail('second')],
  ] as const) {
    it(`with an onError that ${name}: printed, nothing worse`, async (t) => {
      const printed = t.mock.method(console, 'error', () => {})
      const { server, conn: other } = await served()
      await using _ = server
      const conn = await dial(server.url, { onError })
      conn.onMessage(throwing)
      ;(await other).send('hello')
      assert.equal((await conn.closed).code, 1011)
      const [label, error] = printed.mock.calls[0]?.arguments ?? []
      assert.equal(label, 'silverback: onError failed:')
      assert.match(String(error), /second/)
    })
  }
})

describe('dial, over TLS', () => {
  const tls = { cert: certificate, key: privateKey }
  const ca = { ca: certificate }

  it('checks the certificate against name and address', async () => {
    await using server = await serve({ tls, host: 'localhost' }, echo)
    for (const host of ['localhost', new URL(server.url).hostname]) {
      await using conn = await dial(server.url.replace(/\/\/.*:/, `//${host}:`), { tls: ca })
      conn.send('hello')
      assert.equal(await conn.read(), 'hello')
    }
  })

  const wrong: [name: string, tls: NonNullable<DialOptions['tls']>, code: string][] = [
    ['that nobody vouches for', {}, 'DEPTH_ZERO_SELF_SIGNED_CERT'],
    ['that another vouches for', { ca: foreignCertificate }, 'DEPTH_ZERO_SELF_SIGNED_CERT'],
    ['for another name', { ...ca, servername: 'example.com' }, 'ERR_TLS_CERT_ALTNAME_INVALID'],
  ]
  for (const [name, options, code] of wrong) {
    it(`refuses a certificate ${name}`, async () => {
      await using server = await serve({ tls }, () => assert.fail('connected'))
      const error = await refused(dial(server.url, { tls: options }))
      assert.deepEqual([error.code, error.status], ['ERR_WS_CONNECT', undefined])
      assert.equal((error.cause as NodeJS.ErrnoException).code, code)
    })
  }

  it('leaves it to the caller not to check', async () => {
    await using server = await serve({ tls }, echo)
    await using conn = await dial(server.url, { tls: { rejectUnauthorized: false } })
    assert.equal(conn.state, 'open')
  })

  it('rejects options that TLS does not know', async () => {
    const error = await refused(dial('wss://127.0.0.1:1/', { tls: { minVersion: 'x' as 'TLSv1.3' } }))
    assert.equal(error.code, 'ERR_WS_CONNECT')
    assert.equal((error.cause as NodeJS.ErrnoException).code, 'ERR_TLS_INVALID_PROTOCOL_VERSION')
  })

  it('names the host it asks for, unless that is an address, and speaks HTTP/1.1', async () => {
    const seen: unknown[] = []
    const server = createTlsServer({ ...tls, ALPNProtocols: ['h2', 'http/1.1'] }, (socket: TLSSocket) => {
      const { servername } = socket as TLSSocket & { servername: string | false }
      seen.push([servername, socket.alpnProtocol])
      socket.on('error', () => {})
      socket.resume().end('no')
    }).listen(0, 'localhost')
    await once(server, 'listening')
    const { address, family, port } = server.address() as { address: string; family: string; port: number }
    for (const host of ['localhost', family === 'IPv6' ? `[${address}]` : address]) {
      await refused(dial(`wss://${host}:${port}/`, { tls: ca }))
    }
    server.close()
    await once(server, 'close')
    assert.deepEqual(seen, [
      ['localhost', 'http/1.1'],
      [false, 'http/1.1'],
    ])
  })

  it('fails against a server without it, and without it against a server with it', async () => {
    await using plain = await serve({}, echo)
    const error = await refused(dial(plain.url.replace('ws:', 'wss:'), { tls: ca }))
    assert.equal(error.code, 'ERR_WS_CONNECT')
    await using secure = await serve({ tls }, echo)
    assert.match(
      (await refused(dial(secure.url.replace('wss:', 'ws:')))).code,
      /^ERR_WS_(CONNECT|HEADER_SYNTAX)$/,
    )
  })

  it('gives up a TLS handshake that is not answered', async () => {
    await using server = await AnsweringServer.start(() => {})
    const url = server.url.replace('ws:', 'wss:')
    await assert.rejects(dial(url, { handshakeTimeout: 50 }), TimeoutError)
    const controller = new AbortController()
    const dialled = dial(url, { signal: controller.signal })
    setImmediate(() => controller.abort())
    await assert.rejects(dialled, { name: 'AbortError' })
    await server.deserted()
  })
})

describe('dial, the ways to a server', () => {
  const tls = { cert: certificate, key: privateKey }
  const ca = { ca: certificate }

  /** Messages each way, and the closing handshake. */
  async function assertWorks(conn: Conn): Promise<void> {
    for (const message of ['hello', 'x'.repeat(300_000)]) {
      conn.send(message)
      assert.equal(await conn.read(), message)
    }
    const { code, wasClean } = await conn.close()
    assert.deepEqual([code, wasClean], [1000, true])
  }

  for (const secure of [false, true]) {
    const scheme = secure ? 'wss' : 'ws'
    const options = secure ? { tls } : {}

    it(`${scheme} through proxies`, async () => {
      await using server = await serve(options, echo)
      const { port } = new URL(server.url)
      const url = `${scheme}://sub.localhost:${port}/`
      await using http = await HttpProxy.start({ login: 'user:secret' })
      await using https = await HttpProxy.start({ tls })
      await using socks = await SocksProxy.start({ login: 'user:secret' })
      for (const proxy of [
        http.url('user:secret@'),
        new URL(http.url('user:secret@')),
        { url: https.url(), tls: ca },
        socks.url('socks5h', 'user:secret@'),
      ]) {
        const conn = await dial(url, { proxy, tls: ca })
        assert.equal(conn.remoteAddress, '127.0.0.1')
        await assertWorks(conn)
      }
      assert.deepEqual([http.requests.length, https.requests.length, socks.requests.length], [2, 1, 1])
    })

    it(`${scheme} over a stream of the caller's`, async () => {
      await using server = await serve(options, echo)
      const { port } = new URL(server.url)
      const told: unknown[] = []
      const connect: NonNullable<DialOptions['connect']> = ({ host, port: asked, secure: isSecure }) => {
        told.push([host, asked, isSecure])
        const socket = netConnect(Number(port), '127.0.0.1')
        // No socket that the library would know: a stream like any other.
        return new Duplex({
          allowHalfOpen: true,
          construct(done) {
            socket.on('data', (chunk) => this.push(chunk) || socket.pause())
            socket.on('end', () => this.push(null))
            socket.on('error', (error) => this.destroy(error))
            socket.on('close', () => this.destroy())
            done()
          },
          read: () => void socket.resume(),
          write: (chunk, _encoding, done) => void socket.write(chunk, done),
          final: (done) => void socket.end(done),
          destroy(error, done) {
            socket.destroy()
            done(error)
          },
        })
      }
      const conn = await dial(`${scheme}://localhost:7/`, { connect, tls: ca })
      assert.equal(conn.remoteAddress, undefined)
      await assertWorks(conn)
      assert.deepEqual(told, [['localhost', 7, secure]])
    })
  }

  it('what the hook throws is the cause', async () => {
    const boom = new Error('boom')
    const error = await refused(dial('wss://a.example', { connect: () => Promise.reject(boom) }))
    assert.deepEqual(
      [error.code, error.message, error.cause],
      ['ERR_WS_CONNECT', 'no connection to a.example: boom', boom],
    )
  })

  it('a unix socket, with localhost as its host', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'silverback-'))
    const path = join(folder, 'socket')
    const http = createServer().listen(path)
    await once(http, 'listening')
    const hosts: unknown[] = []
    const server = await serve({ server: http }, (conn) => {
      hosts.push(conn.request.headers.host, conn.request.url)
      return echo(conn)
    })
    await assertWorks(await dial(`ws+unix:${path}`))
    await assertWorks(await dial(new URL(`ws+unix://${path}:/a?b`), { headers: { host: 'a.example' } }))
    assert.deepEqual(hosts, ['localhost', '/', 'a.example', '/a?b'])
    await server.close()
    http.close()
    await once(http, 'close')
    const error = await refused(dial(`ws+unix:${path}`))
    assert.equal(error.message, `no connection to ${path}: ENOENT`)
    await rm(folder, { recursive: true })
  })

  it('every address of a name is tried, and told when all fail', async () => {
    await using server = await serve({}, echo)
    const { port } = new URL(server.url)
    const lookup: NonNullable<DialOptions['lookup']> = (_host, _options, done) =>
      done(null, [
        { address: '::1', family: 6 },
        { address: '127.0.0.1', family: 4 },
      ])
    await assertWorks(await dial(`ws://a.example:${port}`, { lookup, proxy: false }))
    await server.close()
    for (const scheme of ['ws', 'wss']) {
      const error = await refused(dial(`${scheme}://a.example:${port}`, { lookup, proxy: false }))
      assert.ok(error.cause instanceof AggregateError)
      assert.match(
        error.message,
        /^no connection to a\.example:\d+: E\w+ \(::1: E\w+, 127\.0\.0\.1: ECONNREFUSED\)$/,
      )
    }
  })

  it('from an address of its own', async () => {
    const { server, conn: other } = await served()
    await using _ = server
    await using conn = await dial(server.url, { localAddress: '127.0.0.5' })
    assert.equal((await other).remoteAddress, '127.0.0.5')
    assert.equal(conn.state, 'open')
  })

  it('a server that speaks nothing but HTTP/2 is told apart', async () => {
    const server = createTlsServer({ ...tls, ALPNProtocols: ['h2'] }).listen(0, '127.0.0.1')
    server.on('tlsClientError', () => {})
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const error = await refused(dial(`wss://127.0.0.1:${port}`, { tls: ca }))
    assert.equal(error.code, 'ERR_WS_CONNECT')
    assert.match(error.message, /: it does not speak HTTP\/1\.1 over TLS \(ALPN\), which a WebSocket needs$/)
    server.close()
    await once(server, 'close')
  })

  it('redirects, when they are wanted, to a connection like any other', async () => {
    await using server = await serve({ path: '/new' }, echo)
    await using old = await AnsweringServer.start((socket) =>
      socket.write(
        `HTTP/1.1 308 X\r\nLocation: ${server.url.replace('ws', 'http')}\r\nContent-Length: 0\r\n\r\n`,
      ),
    )
    await assertWorks(await dial(old.url, { redirects: 1 }))
    assert.equal((await refused(dial(old.url))).status, 308)
  })
})

describe('Dialer', () => {
  it('dials with its options, unless told otherwise', async () => {
    const seen: unknown[] = []
    await using server = await serve({ subprotocols: ['a', 'b'] }, ({ request, subprotocol }) => {
      seen.push([request.headers['x-a'], request.headers['x-b'], subprotocol])
    })
    const dialer = new Dialer({ headers: { 'X-A': '1' }, subprotocols: ['a'] })
    const open = async (options?: DialOptions): Promise<void> => {
      const conn = await dialer.dial(server.url, options)
      conn.terminate()
      await conn.closed
    }
    await open()
    await open({ headers: { 'X-B': '2' } })
    await open({ headers: undefined, subprotocols: ['b'] })
    assert.deepEqual(seen, [
      ['1', undefined, 'a'],
      [undefined, '2', 'a'],
      ['1', undefined, 'b'],
    ])
  })

  it('checks its options at once, and those of a call with it', async () => {
    assert.throws(() => new Dialer({ slow: 'x' as 'skip' }), UsageError)
    assert.throws(() => new Dialer(null as never), UsageError)
    const dialer = new Dialer()
    await assert.rejects(dialer.dial('ws://127.0.0.1/', { retries: 1 } as never), /retries is not an option/)
    await assert.rejects(dialer.dial('nowhere'), UsageError)
  })
})
