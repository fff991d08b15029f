import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type LookupFunction, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { after, describe, it } from 'node:test'
import { createServer as createTlsServer, TLSSocket } from 'node:tls'
import { inspect } from 'node:util'
import { assertNoLeaks } from '../../test/leaks.ts'
import { certificate, foreignCertificate, privateKey } from '../../test/support/certificate.ts'
import { HttpProxy } from '../../test/support/http-proxy.ts'
import { SocksProxy } from '../../test/support/socks-proxy.ts'
import { until } from '../../test/support/until.ts'
import { HandshakeError, TimeoutError, UsageError } from '../session/errors.ts'
import type { ConnectTarget } from './connect-stream.ts'
import { type DialOptions, resolveDialOptions } from './dial-options.ts'
import { checkUrl, dialTarget } from './dial-target.ts'
import { HandshakeDeadline } from './handshake-deadline.ts'
import { openStream } from './open-stream.ts'

after(() => assertNoLeaks())

const tls = { cert: certificate, key: privateKey }
const ca = { ca: certificate }
const boom = new Error('boom')

async function open(url: string, options: DialOptions = {}): Promise<Duplex> {
  const resolved = resolveDialOptions({ handshakeTimeout: 5_000, ...options })
  const deadline = new HandshakeDeadline(resolved.limits.handshakeTimeout, resolved.signal)
  try {
    return await openStream(dialTarget(checkUrl(url)), { ...resolved, timeout: 5_000 }, deadline)
  } finally {
    deadline.end()
  }
}

async function refused(opened: Promise<Duplex>): Promise<HandshakeError> {
  const error = await opened.then(
    () => assert.fail('connected'),
    (reason: unknown) => reason,
  )
  assert.ok(error instanceof HandshakeError, String(error))
  assert.doesNotMatch(inspect(error, { depth: 9, showHidden: true }), /secret|dXNlcjpzZWNyZXQ/)
  return error
}

/** A server that sends back what it gets. */
class Echo implements AsyncDisposable {
  /** The server names that TLS clients asked for. */
  readonly names: unknown[] = []
  readonly #sockets = new Set<Socket>()
  readonly #server

  private constructor(secure: boolean) {
    const serve = (socket: Socket): void => void socket.on('error', () => {}).pipe(socket)
    this.#server = secure
      ? createTlsServer(tls, (socket) => {
          this.names.push((socket as TLSSocket & { servername: unknown }).servername)
          serve(socket)
        })
      : createServer(serve)
    this.#server.on('connection', (socket: Socket) => this.#sockets.add(socket))
  }

  static async start(secure = false): Promise<Echo> {
    const echo = new Echo(secure)
    echo.#server.listen(0, '127.0.0.1')
    await once(echo.#server, 'listening')
    return echo
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    this.#server.close()
    await once(this.#server, 'close')
  }
}

/** A server that hears and does not answer. */
class Silent implements AsyncDisposable {
  /** Somebody has sent something. */
  readonly asked: Promise<void>
  readonly #sockets = new Set<Socket>()
  readonly #server = createServer()

  private constructor() {
    this.asked = new Promise((resolve) => {
      this.#server.on('connection', (socket) => {
        this.#sockets.add(socket)
        socket.on('error', () => {})
        socket.on('data', () => resolve())
        socket.on('close', () => this.#sockets.delete(socket))
      })
    })
  }

  static async start(): Promise<Silent> {
    const silent = new Silent()
    silent.#server.listen(0, '127.0.0.1')
    await once(silent.#server, 'listening')
    return silent
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** Waits until whoever has connected has left. */
  deserted(): Promise<void> {
    return until(() => this.#sockets.size === 0, 'the end of the connections')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close()
    await once(this.#server, 'close')
  }
}

async function assertEchoes(stream: Duplex): Promise<void> {
  stream.write('hello')
  const [chunk] = (await once(stream, 'data')) as [Buffer]
  assert.equal(chunk.toString(), 'hello')
  stream.destroy()
}

interface TestProxy {
  readonly url: (login?: string) => string
  readonly asked: () => readonly string[]
}

const proxies: Record<string, (run: (proxy: TestProxy) => Promise<void>, login?: string) => Promise<void>> = {
  async http(run, login) {
    await using proxy = await HttpProxy.start(login === undefined ? {} : { login })
    await run({ url: (given) => proxy.url(given), asked: () => proxy.requests.map(({ url }) => url) })
  },
  async https(run, login) {
    await using proxy = await HttpProxy.start({ tls, ...(login === undefined ? {} : { login }) })
    await run({ url: (given) => proxy.url(given), asked: () => proxy.requests.map(({ url }) => url) })
  },
  async socks5h(run, login) {
    await using proxy = await SocksProxy.start(login === undefined ? {} : { login })
    const asked = (): string[] => proxy.requests.map(({ host, port }) => `${host}:${port}`)
    await run({ url: (given) => proxy.url('socks5h', given), asked })
    await until(() => proxy.sockets === 0, 'the end of the connections')
  },
}

describe('openStream, directly', () => {
  it('ws and wss', async () => {
    await using plain = await Echo.start()
    await assertEchoes(await open(`ws://127.0.0.1:${plain.port}`, { proxy: false }))
    await using secure = await Echo.start(true)
    await assertEchoes(await open(`wss://localhost:${secure.port}`, { proxy: false, tls: ca }))
    assert.deepEqual(secure.names, ['localhost'])
  })

  it('certificates that cannot be read are seen before anybody is asked', async () => {
    const connect = (): never => assert.fail('asked')
    const error = await refused(open('wss://a.example', { proxy: false, connect, tls: { cert: 'none' } }))
    assert.equal((error.cause as NodeJS.ErrnoException).code, 'ERR_OSSL_PEM_NO_START_LINE')
  })
})

for (const [scheme, withProxy] of Object.entries(proxies)) {
  describe(`openStream, through a proxy: ${scheme}`, () => {
    const proxyTls = scheme === 'https' ? { tls: ca } : {}

    it('ws and wss, by a name that only the proxy knows', async () => {
      await withProxy(async ({ url, asked }) => {
        await using plain = await Echo.start()
        const proxy = { url: url(), ...proxyTls }
        await assertEchoes(await open(`ws://a.example:${plain.port}`, { proxy }))
        await using secure = await Echo.start(true)
        const options = { proxy, tls: { ...ca, servername: 'localhost' } }
        await assertEchoes(await open(`wss://a.example:${secure.port}`, options))
        assert.deepEqual(asked(), [`a.example:${plain.port}`, `a.example:${secure.port}`])
        // The name is that of the server, and not the proxy's.
        await assertEchoes(await open(`wss://sub.localhost:${secure.port}`, { proxy, tls: ca }))
        assert.deepEqual(secure.names, ['localhost', 'sub.localhost'])
      })
    })

    it('the certificate is checked against the server, not the proxy', async () => {
      await withProxy(async ({ url }) => {
        await using server = await Echo.start(true)
        const proxy = { url: url(), ...proxyTls }
        const error = await refused(open(`wss://a.example:${server.port}`, { proxy, tls: ca }))
        assert.equal(error.code, 'ERR_WS_CONNECT')
        assert.equal((error.cause as NodeJS.ErrnoException).code, 'ERR_TLS_CERT_ALTNAME_INVALID')
      })
    })

    it('with user and password', async () => {
      await withProxy(async ({ url }) => {
        await using server = await Echo.start()
        const target = `ws://a.example:${server.port}`
        await assertEchoes(await open(target, { proxy: { url: url('us%40er:p%3Aw@'), ...proxyTls } }))
        for (const login of ['', 'user:secret@']) {
          const error = await refused(open(target, { proxy: { url: url(login), ...proxyTls } }))
          assert.equal(error.code, 'ERR_WS_PROXY')
          if (scheme.startsWith('http')) assert.deepEqual([error.status, error.body], [407, 'Who? \n'])
        }
      }, 'us@er:p:w')
    })

    it('the connect hook gives the way to the proxy', async () => {
      await withProxy(async ({ url }) => {
        await using server = await Echo.start()
        const told: Partial<ConnectTarget>[] = []
        const proxy = { url: url(), ...proxyTls }
        const { port } = new URL(proxy.url)
        const stream = await open(`ws://a.example:${server.port}`, {
          proxy,
          connect({ signal: _signal, ...target }) {
            told.push(target)
            return connect(target.port, target.host)
          },
        })
        await assertEchoes(stream)
        const secure = scheme === 'https'
        assert.deepEqual(told, [
          { host: '127.0.0.1', port: Number(port), socketPath: undefined, secure, proxy: true },
        ])
        const error = await refused(open('ws://a.example', { proxy, connect: () => assert.fail(boom) }))
        assert.deepEqual([error.code, error.cause], ['ERR_WS_PROXY', boom])
      })
    })

    it('a proxy that hears and says nothing: in time, or with the signal', async () => {
      {
        await using silent = await Silent.start()
        const proxy = { url: `${scheme}://127.0.0.1:${silent.port}`, ...proxyTls }
        await assert.rejects(open('wss://a.example', { proxy, handshakeTimeout: 50 }), TimeoutError)
        await silent.deserted()
      }
      await using silent = await Silent.start()
      const proxy = { url: `${scheme}://127.0.0.1:${silent.port}`, ...proxyTls }
      const controller = new AbortController()
      const opened = open('wss://a.example', { proxy, signal: controller.signal })
      await silent.asked
      controller.abort(boom)
      await assert.rejects(opened, boom)
      await silent.deserted()
    })

    it('nobody there', async () => {
      const error = await refused(open('wss://a.example', { proxy: `${scheme}://user:secret@127.0.0.1:1` }))
      assert.deepEqual(
        [error.code, error.message],
        ['ERR_WS_PROXY', 'no connection to the proxy 127.0.0.1:1: ECONNREFUSED'],
      )
    })

    it('a server that is not there: the proxy says so', async () => {
      await withProxy(async ({ url }) => {
        const error = await refused(open('ws://a.example:1', { proxy: { url: url(), ...proxyTls } }))
        assert.equal(error.code, 'ERR_WS_PROXY')
        if (scheme.startsWith('http')) assert.equal(error.status, 502)
      })
    })
  })
}

describe('openStream, proxies', () => {
  it('https: its certificate is checked by options of its own', async () => {
    await using proxy = await HttpProxy.start({ tls })
    const cause = async (options: DialOptions): Promise<unknown> => {
      const error = await refused(open('ws://a.example', options))
      assert.equal(error.code, 'ERR_WS_PROXY')
      return (error.cause as NodeJS.ErrnoException).code
    }
    const url = proxy.url()
    assert.equal(await cause({ proxy: url }), 'DEPTH_ZERO_SELF_SIGNED_CERT')
    assert.equal(await cause({ proxy: url, tls: ca }), 'DEPTH_ZERO_SELF_SIGNED_CERT')
    assert.equal(
      await cause({ proxy: { url, tls: { ca: foreignCertificate } } }),
      'DEPTH_ZERO_SELF_SIGNED_CERT',
    )
    const servername = 'other.example'
    assert.equal(await cause({ proxy: { url, tls: { ...ca, servername } } }), 'ERR_TLS_CERT_ALTNAME_INVALID')
  })

  it('https: TLS within TLS', async () => {
    await using server = await Echo.start(true)
    await using proxy = await HttpProxy.start({ tls })
    const stream = await open(`wss://localhost:${server.port}`, {
      proxy: { url: proxy.url(), tls: ca },
      tls: ca,
    })
    assert.ok(stream instanceof TLSSocket)
    const big = Buffer.alloc(300_000, 'x')
    stream.write(big)
    let received = 0
    for await (const chunk of stream) {
      received += (chunk as Buffer).length
      if (received === big.length) break
    }
    assert.equal(received, big.length)
  })

  it('further headers', async () => {
    await using server = await Echo.start()
    await using proxy = await HttpProxy.start({ login: 'a:b' })
    const headers = { 'Proxy-Authorization': 'Basic YTpi', 'User-Agent': 'test' }
    ;(await open(`ws://127.0.0.1:${server.port}`, { proxy: { url: proxy.url(), headers } })).destroy()
    assert.equal(proxy.requests[0]?.headers['user-agent'], 'test')
  })

  it('socks5: the name is resolved here, by the look-up of the options', async () => {
    await using server = await Echo.start()
    await using proxy = await SocksProxy.start()
    const target = `ws://a.example:${server.port}`
    const stream = await open(target, {
      proxy: proxy.url('socks5'),
      lookup: (_host, _options, done) => done(null, '127.0.0.9', 4),
    })
    stream.destroy()
    assert.equal(proxy.requests[0]?.host, '127.0.0.9')
    const lookup = (_host: string, _options: unknown, done: (error: Error, address: string) => void): void =>
      done(boom, '')
    const error = await refused(open(target, { proxy: proxy.url('socks5'), lookup }))
    assert.deepEqual([error.code, error.cause], ['ERR_WS_CONNECT', boom])
    assert.equal(proxy.requests.length, 1)
  })

  it('socks5: of several addresses an IPv4 address is asked for, or else the first', async () => {
    await using proxy = await SocksProxy.start({ status: 4 })
    const giving =
      (...found: string[]): LookupFunction =>
      (_host, _options, done) =>
        done(
          null,
          found.map((address) => ({ address, family: 0 })),
        )
    for (const lookup of [giving('2001:db8::1', '10.0.0.9', '10.0.0.8'), giving('::1', '::2')])
      await refused(open('ws://a.example:81', { proxy: proxy.url('socks5'), lookup }))
    assert.deepEqual(
      proxy.requests.map(({ host }) => host),
      ['10.0.0.9', `${'0'.repeat(31)}1`],
    )
  })

  it('socks: an IPv6 address', async () => {
    await using proxy = await SocksProxy.start({ status: 4 })
    await refused(open('ws://[2001:db8::1]:81', { proxy: proxy.url('socks5') }))
    assert.deepEqual(proxy.requests[0], {
      host: '20010db8000000000000000000000001',
      port: 81,
      login: undefined,
    })
  })

  it('a function chooses; its mistakes are its own', async () => {
    await using server = await Echo.start()
    await using proxy = await HttpProxy.start()
    const target = `ws://127.0.0.1:${server.port}`
    await assertEchoes(await open(target, { proxy: () => proxy.url() }))
    assert.equal(proxy.requests.length, 1)
    await assertEchoes(await open(target, { proxy: async () => undefined }))
    await assert.rejects(open(target, { proxy: () => 'gopher://proxy' }), UsageError)
    assert.equal(proxy.requests.length, 1)
  })

  it('the environment is asked, and not for this machine', async () => {
    await using server = await Echo.start()
    await using proxy = await HttpProxy.start()
    const names = ['http_proxy', 'HTTP_PROXY', 'no_proxy', 'NO_PROXY']
    const before = names.map((name) => process.env[name])
    try {
      for (const name of names) delete process.env[name]
      process.env['http_proxy'] = proxy.url('user:secret@')
      await assertEchoes(await open(`ws://127.0.0.1:${server.port}`))
      assert.equal(proxy.requests.length, 0)
      const error = await refused(open(`ws://a.example:${server.port}`))
      assert.deepEqual([error.code, error.status], ['ERR_WS_PROXY', 407])
    } finally {
      for (const [index, name] of names.entries()) {
        const value = before[index]
        if (value === undefined) delete process.env[name]
        else process.env[name] = value
      }
    }
  })
})
