import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { after, describe, it } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { connect as connectTls } from 'node:tls'
import { assertNoLeaks } from '../../test/leaks.ts'
import { type RawClient, upgradeRequest } from '../../test/raw-client.ts'
import { certificate, privateKey } from '../../test/support/certificate.ts'
import { parse, type Serving, serving, text, upgraded } from '../../test/support/serving.ts'
import { TestServer } from '../../test/support/test-server.ts'
import { until } from '../../test/support/until.ts'
import type { Extension } from '../protocol/extension.ts'
import { HandshakeError } from '../session/errors.ts'
import type { Authorize, AuthorizeDetails } from './authorize.ts'
import { allowOrigins } from './origin.ts'
import { refuse } from './refuse.ts'
import type { ServerConn } from './server-conn.ts'
import { Upgrader } from './upgrader.ts'
import type { Rejection, UpgraderOptions } from './upgrader-options.ts'

after(() => assertNoLeaks())

interface User {
  readonly name: string
}

const ann: User = { name: 'ann' }

/** An `authorize` that is asked, and answers when the test says so. */
class Asked {
  readonly requests: IncomingMessage[] = []
  readonly details: AuthorizeDetails[] = []
  readonly #answers: ((answer: unknown) => void)[] = []

  readonly authorize: Authorize<User> = (request, details) => {
    this.requests.push(request)
    this.details.push(details)
    return new Promise<User>((resolve) => this.#answers.push(resolve as (answer: unknown) => void))
  }

  /** Waits until so many have asked. */
  count(count: number): Promise<void> {
    return until(() => this.requests.length >= count, `${count} questions`)
  }

  answer(index: number, answer: unknown): void {
    this.#answers[index]?.(answer)
  }

  /** The signal, as it was when the hook was asked. */
  signal(index: number): AbortSignal {
    return this.details[index]?.signal ?? assert.fail(`not asked ${index} times`)
  }
}

/** A server whose `authorize` waits, and one client that waits for it. */
async function waiting(
  options: UpgraderOptions<string, User> = {},
  bytes = upgradeRequest('/'),
): Promise<Serving<User> & { asked: Asked; client: RawClient; signal: AbortSignal }> {
  const asked = new Asked()
  const setup = await serving<User>({ ...options, authorize: asked.authorize })
  const client = setup.server.client(bytes)
  await asked.count(1)
  return { ...setup, asked, client, signal: asked.signal(0) }
}

/** Nothing is left of what was pending. */
function assertNothingPending(setup: Serving<User>): void {
  const { pending, open } = setup.upgrader.stats
  assert.deepEqual({ pending, open }, { pending: 0, open: 0 })
}

describe('authorize, letting in', () => {
  const ways: [name: string, authorize: Authorize<User>][] = [
    ['at once', () => ann],
    ['by a promise', async () => ann],
    ['later', () => setImmediate(ann)],
    // biome-ignore lint/suspicious/noThenProperty: a thenable of somebody else's
    ['by a thenable', () => ({ then: (resolve: (user: User) => void) => resolve(ann) }) as Promise<User>],
  ]
  for (const [name, authorize] of ways) {
    it(`${name}: the handler gets what it returned`, async () => {
      const users: unknown[] = []
      await using setup = await serving<User>({ authorize }, (conn) => {
        users.push(conn.context)
        conn.send(`hello, ${conn.context.name}`)
      })
      const client = await upgraded(setup.server)
      await client.until(() => client.events.length > 0, 'a message')
      assert.equal(users[0], ann)
      assert.deepEqual(setup.reasons, [])
      assert.equal(setup.conns[0]?.request.url, '/')
      await client.destroy()
      await setup.conns[0]?.closed
      assertNothingPending(setup)
    })
  }

  it('leaves the context undefined where there is no authorize', async () => {
    await using setup = await serving()
    await upgraded(setup.server)
    assert.equal(setup.conns[0]?.context, undefined)
  })

  it('gets the request, the subprotocol and a signal that stays quiet', async () => {
    const { asked, client, signal, server, ...setup } = await waiting(
      { subprotocols: ['b', 'a'] },
      upgradeRequest('/x?y', { 'Sec-WebSocket-Protocol': 'a, b' }),
    )
    await using _ = server
    assert.equal(asked.requests[0]?.url, '/x?y')
    assert.equal(asked.details[0]?.subprotocol, 'a')
    assert.equal(asked.signal(0), signal, 'one and the same')
    assert.deepEqual(setup.upgrader.stats.pending, 1)
    asked.answer(0, ann)
    await client.until(() => client.status === 101, 'the upgrade')
    assert.equal(setup.conns[0]?.subprotocol, 'a')
    await client.destroy()
    await setup.conns[0]?.closed
    assert.equal(signal.aborted, false)
  })

  it('tells limits and headers who it is', async () => {
    await using setup = await serving<User>({
      authorize: async () => ann,
      limits: (request, user) => ({ maxMessageSize: user.name.length + (request.url ?? '').length }),
      headers: (request, user) => ({ 'Set-Cookie': `user=${user.name}`, 'X-Url': request.url ?? '' }),
    })
    const client = await upgraded(setup.server, upgradeRequest('/x'))
    assert.match(client.received.toString(), /\r\nSet-Cookie: user=ann\r\nX-Url: \/x\r\n/)
    client.write(text('12345'))
    client.write(text('123456'))
    await client.until(() => client.events.length > 0, 'a Close frame')
    assert.deepEqual(
      client.events.map((event) => event.kind === 'close' && event.code),
      [1009],
    )
    assert.equal(await setup.conns[0]?.read(), '12345')
  })

  it('answers for upgrade too', async () => {
    const upgrader = new Upgrader({ authorize: async () => ann })
    const conns: Promise<{ readonly context: User }>[] = []
    await using server = await TestServer.start((http) => {
      http.on('upgrade', (...event) => conns.push(upgrader.upgrade(...event)))
    })
    await upgraded(server)
    assert.equal((await conns[0])?.context, ann)
  })
})

describe('authorize, keeping out', () => {
  const no = refuse(401, { headers: { 'WWW-Authenticate': 'Bearer' }, body: 'who are you?\n' })
  const refused = {
    status: 'HTTP/1.1 401 Unauthorized',
    headers: [
      'Connection: close',
      'Content-Length: 13',
      'Content-Type: text/plain; charset=utf-8',
      'WWW-Authenticate: Bearer',
    ],
    body: 'who are you?\n',
  }
  const forbidden = {
    status: 'HTTP/1.1 403 Forbidden',
    headers: ['Connection: close', 'Content-Length: 15', 'Content-Type: text/plain; charset=utf-8'],
    body: 'not authorized\n',
  }
  const failed = {
    status: 'HTTP/1.1 500 Internal Server Error',
    headers: ['Connection: close', 'Content-Length: 40', 'Content-Type: text/plain; charset=utf-8'],
    body: 'the server could not answer the request\n',
  }
  const boom = (): never => assert.fail('boom: a secret')
  const ways: [name: string, authorize: unknown, answer: typeof refused, code: string][] = [
    ['returns a refusal', () => no, refused, 'UNAUTHORIZED'],
    ['resolves with one', async () => no, refused, 'UNAUTHORIZED'],
    [
      'throws one',
      () => {
        throw no
      },
      refused,
      'UNAUTHORIZED',
    ],
    ['rejects with one', () => Promise.reject(no), refused, 'UNAUTHORIZED'],
    ['returns false', () => false, forbidden, 'UNAUTHORIZED'],
    ['forgets to return', () => void refuse(401), forbidden, 'UNAUTHORIZED'],
    ['finds nobody', async () => undefined, forbidden, 'UNAUTHORIZED'],
    ['throws', boom, failed, 'SERVER'],
    ['rejects', async () => boom(), failed, 'SERVER'],
    ['rejects with nothing', () => Promise.reject(), failed, 'SERVER'],
    ['returns an Error', () => new Error('boom: a secret'), failed, 'SERVER'],
    ['returns a Response', async () => new Response('boom: a secret', { status: 401 }), failed, 'SERVER'],
    [
      'returns what cannot be looked at',
      () => ({
        // biome-ignore lint/suspicious/noThenProperty: what is tested
        get then() {
          return boom()
        },
      }),
      failed,
      'SERVER',
    ],
  ]
  for (const [name, authorize, answer, code] of ways) {
    it(`${name}: ${answer.status.slice(9)}, and no word more`, async () => {
      let reason: HandshakeError | undefined
      await using setup = await serving<User>({
        authorize: authorize as Authorize<User>,
        onReject: (rejection) => {
          reason = rejection.reason
          return undefined
        },
      })
      assert.deepEqual(parse(await setup.server.answer(upgradeRequest('/'))), answer)
      assert.deepEqual(setup.reasons, [`ERR_WS_${code}`])
      assert.equal(reason?.status, Number(answer.status.slice(9, 12)))
      assert.equal(setup.conns.length, 0)
      assert.deepEqual(setup.upgrader.stats.refused, { [`ERR_WS_${code}`]: 1 })
      assertNothingPending(setup)
      await setup.server.empty()
    })
  }

  it('may be changed by onReject, like every refusal', async () => {
    const seen: Rejection[] = []
    await using setup = await serving<User>({
      authorize: async () => no,
      onReject(rejection) {
        seen.push(rejection)
        return { status: 404, headers: { 'X-A': 'b' } }
      },
    })
    const answer = parse(await setup.server.answer(upgradeRequest('/')))
    assert.deepEqual([answer.status, answer.body], ['HTTP/1.1 404 Not Found', 'who are you?\n'])
    assert.ok(answer.headers.includes('X-A: b') && answer.headers.includes('WWW-Authenticate: Bearer'))
    const { status, headers, body, reason } = seen[0] ?? assert.fail('not told')
    assert.deepEqual([status, headers, body], [401, { 'WWW-Authenticate': 'Bearer' }, 'who are you?\n'])
    assert.deepEqual([reason.status, reason.headers], [401, { 'www-authenticate': 'Bearer' }])
  })

  it('prints what was thrown where nobody else is told, and no refusal', async (t) => {
    const printed = t.mock.method(console, 'error', () => {})
    for (const authorize of [async () => no, () => boom()]) {
      const upgrader = new Upgrader({ authorize })
      await using server = await TestServer.start((http) => {
        http.on(
          'upgrade',
          upgrader.handler(() => {}),
        )
      })
      await server.answer(upgradeRequest('/'))
    }
    assert.equal(printed.mock.callCount(), 1)
    assert.match(String(printed.mock.calls[0]?.arguments[1]), /boom/)
  })

  it('rejects upgrade with what was answered', async () => {
    const upgrader = new Upgrader({ authorize: async () => no })
    const outcomes: Promise<unknown>[] = []
    await using server = await TestServer.start((http) => {
      http.on('upgrade', (...event) => {
        const outcome = upgrader.upgrade(...event)
        outcome.catch(() => {})
        outcomes.push(outcome)
      })
    })
    await server.answer(upgradeRequest('/'))
    await assert.rejects(outcomes[0] ?? Promise.resolve(), (error: unknown) => {
      assert.ok(error instanceof HandshakeError)
      const { code, status, headers } = error
      assert.deepEqual(
        [code, status, headers],
        ['ERR_WS_UNAUTHORIZED', 401, { 'www-authenticate': 'Bearer' }],
      )
      return true
    })
  })

  it('is asked last: not for what is refused anyhow', async () => {
    await using setup = await serving<User>({
      path: '/a',
      authorize: () => assert.fail('asked'),
      checkOrigin: allowOrigins('https://example.com'),
      subprotocols: () => 'b',
      maxConnectionsPerAddress: 1,
      addressOf: ({ url }) => (url === '/a?full' ? assert.fail('boom') : undefined),
    })
    const requests: [request: string, status: number][] = [
      [upgradeRequest('/b'), 404],
      [upgradeRequest('/a?full'), 500],
      [upgradeRequest('/a', { Upgrade: 'h2c' }), 426],
      [upgradeRequest('/a').replace('GET', 'PUT'), 405],
      [upgradeRequest('/a', { 'Sec-WebSocket-Version': '8' }), 426],
      [upgradeRequest('/a', { Origin: 'https://evil.example' }), 403],
      [upgradeRequest('/a', { 'Sec-WebSocket-Key': 'x' }), 400],
      [upgradeRequest('/a', { 'Sec-WebSocket-Protocol': 'a b' }), 400],
      [upgradeRequest('/a', { 'Sec-WebSocket-Extensions': ';' }), 400],
      [upgradeRequest('/a', { 'Sec-WebSocket-Protocol': 'a' }), 500],
    ]
    for (const [request, status] of requests) {
      const answer = await setup.server.answer(request)
      assert.match(answer, new RegExp(`^HTTP/1\\.1 ${status} `), request)
    }
    assert.ok(!setup.reasons.includes('ERR_WS_UNAUTHORIZED'))
  })

  for (const [name, authorize] of [
    ['at once', () => no],
    ['later', async () => no],
  ] as const) {
    it(`${name} disposes of the extensions that were negotiated`, async () => {
      const disposed: string[] = []
      const extension: Extension = {
        name: 'x',
        rsv: 0x40,
        encode: (bytes) => bytes,
        decode: (bytes) => bytes,
        dispose: () => void disposed.push('x'),
      }
      const factory = {
        name: 'x',
        offers: () => [],
        accept: () => undefined,
        negotiate: () => ({ extension, params: new Map() }),
      }
      await using setup = await serving<User>({ authorize, extensions: [factory] })
      await setup.server.answer(upgradeRequest('/', { 'Sec-WebSocket-Extensions': 'x' }))
      assert.deepEqual(disposed, ['x'])
    })
  }
})

describe('headers with several values', () => {
  const cookies = { 'Set-Cookie': ['a=1', 'b=2'] }
  const twice = /\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n/

  it('go out with the 101, with what refuse says, and with what onReject makes of it', async () => {
    await using open = await serving({ headers: cookies })
    const client = open.server.client(upgradeRequest('/'))
    await client.until(() => client.status === 101, 'the upgrade')
    assert.match(client.received.toString(), twice)
    await using refusing = await serving({ authorize: () => refuse(401, { headers: cookies }) })
    assert.match(await refusing.server.answer(upgradeRequest('/')), twice)
    await using changed = await serving({ authorize: () => null, onReject: () => ({ headers: cookies }) })
    assert.match(await changed.server.answer(upgradeRequest('/')), twice)
  })
})

describe('the compiler', () => {
  it('has a handler that wants a context get it from an authorize', () => {
    const handle = (conn: ServerConn<string, User>): void => void conn.send(conn.context.name)
    assert.ok(new Upgrader({ authorize: () => ann }).handler(handle))
    assert.ok(new Upgrader().handler(() => {}))
    const without: UpgraderOptions<string, User> = {}
    // @ts-expect-error: no authorize
    assert.ok(new Upgrader<string, User>())
    // @ts-expect-error: no authorize
    assert.ok(new Upgrader<string, User>({}))
    // @ts-expect-error: perhaps no authorize
    assert.ok(new Upgrader(without))
    // @ts-expect-error: no authorize
    assert.ok(new Upgrader({}).handler(handle))
  })
})

describe('authorize, while it is pending', () => {
  const ways: [name: string, leave: (client: RawClient) => Promise<void>][] = [
    ['resets the connection', (client) => client.reset()],
    ['closes it', (client) => client.destroy()],
    [
      'ends its half',
      async (client) => {
        client.socket.end()
        await client.until(() => client.closed, 'the end')
      },
    ],
  ]
  for (const [name, leave] of ways) {
    for (const early of ['', 'and was early']) {
      it(`a client that ${name} ${early} aborts the signal, and leaves nothing`, async () => {
        const { asked, client, signal, server, ...setup } = await waiting()
        await using _ = server
        const aborted = once(signal, 'abort')
        if (early !== '') client.write(text('early'))
        await leave(client)
        await aborted
        assert.equal((signal.reason as HandshakeError).code, 'ERR_WS_SOCKET_CLOSED')
        await server.empty()
        assert.deepEqual(setup.reasons, ['ERR_WS_SOCKET_CLOSED'])
        assertNothingPending({ ...setup, server })
        // It comes too late to be of any use.
        asked.answer(0, ann)
        await setImmediate()
        assert.deepEqual(setup.conns, [])
      })
    }
  }

  it('rejects upgrade when the client goes, without waiting for the answer', async () => {
    const upgrader = new Upgrader({ authorize: () => new Promise<User>(() => {}) })
    let outcome: Promise<unknown> | undefined
    await using server = await TestServer.start((http) => {
      http.on('upgrade', (...event) => {
        outcome = upgrader.upgrade(...event)
        outcome.catch(() => {})
      })
    })
    const client = server.client(upgradeRequest('/'))
    await until(() => outcome !== undefined, 'the request')
    await client.reset()
    await assert.rejects(outcome ?? Promise.resolve(), { code: 'ERR_WS_SOCKET_CLOSED' })
  })

  for (const options of [{ handshakeTimeout: 60 }, { limits: { handshakeTimeout: 60 } }]) {
    it(`${JSON.stringify(options)}: 408, the signal is aborted, a late answer is nobody's`, async () => {
      const { asked, client, signal, server, ...setup } = await waiting(options)
      await using _ = server
      await client.until(() => client.closed, 'the end')
      assert.deepEqual(parse(client.received.toString()), {
        status: 'HTTP/1.1 408 Request Timeout',
        headers: ['Connection: close', 'Content-Length: 28', 'Content-Type: text/plain; charset=utf-8'],
        body: 'the handshake took too long\n',
      })
      assert.deepEqual(setup.reasons, ['ERR_WS_AUTHORIZE_TIMEOUT'])
      assert.equal((signal.reason as HandshakeError).code, 'ERR_WS_AUTHORIZE_TIMEOUT')
      asked.answer(0, ann)
      await setImmediate()
      assert.deepEqual(setup.conns, [])
      assertNothingPending({ ...setup, server })
    })
  }

  it('keeps what a client sends early, whatever the cuts', async () => {
    const messages = ['one', 'two', 'x'.repeat(3_000)]
    const stream = Buffer.concat([Buffer.from(upgradeRequest('/')), ...messages.map(text)])
    const head = stream.indexOf('\r\n\r\n') + 4
    for (const at of [head, head + 1, head + 8, head + 9, head + 20, stream.length]) {
      const { asked, client, server, ...setup } = await waiting({}, stream.subarray(0, at).toString('latin1'))
      await using _ = server
      const socket = asked.requests[0]?.socket ?? assert.fail('not asked')
      client.write(stream.subarray(at))
      await until(() => socket.bytesRead === stream.length, 'all bytes')
      await setImmediate()
      asked.answer(0, ann)
      await client.until(() => client.status === 101, 'the upgrade')
      const [conn] = setup.conns
      const got: unknown[] = []
      for (let i = 0; i < messages.length; i++) got.push(await conn?.read())
      assert.deepEqual(got, messages, `cut at ${at}`)
    }
  })

  it('refuses a client that sends much without waiting, and notices that it goes', async () => {
    const { asked, client, signal, server, ...setup } = await waiting()
    await using _ = server
    client.write(Buffer.concat(Array.from({ length: 20 }, () => text('x'.repeat(20_000)))))
    await client.until(() => client.closed, 'the end')
    assert.match(client.received.toString(), /^HTTP\/1\.1 400 Bad Request\r\n/)
    assert.equal((signal.reason as HandshakeError).code, 'ERR_WS_REQUEST_BODY')
    assert.deepEqual(setup.reasons, ['ERR_WS_REQUEST_BODY'])
    assertNothingPending({ ...setup, server })
    asked.answer(0, ann)
    await setImmediate()
    assert.deepEqual(setup.conns, [])
  })

  it('answers 503 when the upgrader is closed, and waits until that has left', async () => {
    const { asked, client, signal, server, ...setup } = await waiting()
    await using _ = server
    const closed = setup.upgrader.close({ timeout: 5_000 })
    assert.equal((signal.reason as HandshakeError).code, 'ERR_WS_SERVER_CLOSING')
    await Promise.all([closed, setup.upgrader.close()])
    await client.until(() => client.closed, 'the end')
    assert.match(client.received.toString(), /^HTTP\/1\.1 503 .*\r\n\r\nthe server is closing\n$/s)
    assert.deepEqual(setup.reasons, ['ERR_WS_SERVER_CLOSING'])
    asked.answer(0, ann)
    await setImmediate()
    assert.deepEqual(setup.conns, [])
    assertNothingPending({ ...setup, server })
  })

  it('does not wait longer than the time for closing', async () => {
    const { client, server, ...setup } = await waiting({ handshakeTimeout: 0 })
    await using _ = server
    client.socket.pause()
    await setup.upgrader.close({ timeout: 0 })
    client.socket.resume()
    await client.until(() => client.status === 503, 'the answer')
  })

  it('lets nobody in when it closes the upgrader itself', async () => {
    const upgrader: Upgrader<string, User> = new Upgrader({
      authorize: () => {
        void upgrader.close()
        return ann
      },
    })
    await using server = await TestServer.start((http) => {
      http.on(
        'upgrade',
        upgrader.handler(() => assert.fail('let in')),
      )
    })
    assert.match(await server.answer(upgradeRequest('/')), /^HTTP\/1\.1 503 /)
  })

  it('has nothing to say where another has answered meanwhile', async () => {
    const { asked, client, server, ...setup } = await waiting()
    await using _ = server
    asked.requests[0]?.socket.end('HTTP/1.1 418 Mine\r\nContent-Length: 0\r\n\r\n')
    asked.answer(0, ann)
    await client.until(() => client.closed, 'the end')
    assert.equal(client.status, 418)
    assert.equal(client.received.toString().split('HTTP/1.1').length, 2)
    assert.deepEqual([setup.reasons, setup.conns], [['ERR_WS_SOCKET_CLOSED'], []])
  })

  it('answers out of order, each client its own', async () => {
    const asked = new Asked()
    await using setup = await serving<User>({ authorize: asked.authorize })
    const clients = ['/0', '/1', '/2'].map((path) => setup.server.client(upgradeRequest(path)))
    await asked.count(3)
    for (const index of [2, 0, 1]) {
      const path = asked.requests[index]?.url ?? ''
      asked.answer(index, path === '/1' ? refuse(401) : { name: path })
    }
    const statuses = clients.map(async (client) => {
      await client.until(() => client.status !== undefined, 'an answer')
      return client.status
    })
    assert.deepEqual(await Promise.all(statuses), [101, 401, 101])
    for (const conn of setup.conns) assert.equal(conn.context.name, conn.request.url)
  })

  it('survives hundreds of clients that wait and vanish', async () => {
    const asked = new Asked()
    await using setup = await serving<User>({ authorize: asked.authorize, maxConnectionsPerAddress: 300 })
    const clients = Array.from({ length: 300 }, () => setup.server.client(upgradeRequest('/')))
    await asked.count(300)
    const signals = asked.details.map(({ signal }) => signal)
    assert.equal(setup.upgrader.stats.pending, 300)
    assert.match(await setup.server.answer(upgradeRequest('/')), /^HTTP\/1\.1 429 /)
    await Promise.all(
      clients.map((client, index) => {
        if (index % 2 === 0) client.write(text('early'))
        return index % 3 === 0 ? client.destroy() : client.reset()
      }),
    )
    await setup.server.empty()
    assert.ok(signals.every(({ aborted }) => aborted))
    assert.deepEqual(setup.upgrader.stats.refused, { ERR_WS_ADDRESS_LIMIT: 1, ERR_WS_SOCKET_CLOSED: 300 })
    assertNothingPending(setup)
    const next = setup.server.client(upgradeRequest('/'))
    await asked.count(301)
    asked.answer(300, ann)
    await next.until(() => next.status === 101, 'the upgrade')
  })

  it('works behind TLS, with bytes that come early and clients that vanish', async () => {
    const asked = new Asked()
    const upgrader = new Upgrader<string, User>({ authorize: asked.authorize, onReject: () => undefined })
    const conns: Promise<unknown>[] = []
    const server = createTlsServer({ cert: certificate, key: privateKey })
    server.on(
      'upgrade',
      upgrader.handler((conn) => void conns.push(conn.read())),
    )
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const clients = [0, 1].map(() => {
      const client = connectTls({ port, host: '127.0.0.1', ca: certificate, servername: 'localhost' })
      client.on('error', () => {})
      client.write(upgradeRequest('/'))
      return client
    })
    await asked.count(2)
    const [staying, leaving] = clients
    const mine = asked.requests.findIndex((request) => request.socket.remotePort === staying?.localPort)
    const aborted = once(asked.signal(1 - mine), 'abort')
    staying?.write(text('early'))
    leaving?.destroy()
    await aborted
    await setImmediate()
    asked.answer(mine, ann)
    await until(() => conns.length === 1, 'the upgrade')
    assert.equal(await conns[0], 'early')
    staying?.destroy()
    server.close()
    await once(server, 'close')
  })
})
