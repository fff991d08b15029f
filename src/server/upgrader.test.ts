import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { after, describe, it } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { frame } from '../../test/frames.ts'
import { assertNoLeaks } from '../../test/leaks.ts'
import { handshakeKey, upgradeRequest } from '../../test/raw-client.ts'
import { mask, parse, serving, text, upgraded } from '../../test/support/serving.ts'
import { TestServer } from '../../test/support/test-server.ts'
import { until } from '../../test/support/until.ts'
import { CloseError, HandshakeError, UsageError } from '../session/errors.ts'
import { reject } from './reject.ts'
import type { ServerConn } from './server-conn.ts'
import { type Handler, Upgrader } from './upgrader.ts'
import type { Rejection, UpgraderOptions } from './upgrader-options.ts'

after(() => assertNoLeaks())

const switching = [
  'HTTP/1.1 101 Switching Protocols',
  'Upgrade: websocket',
  'Connection: Upgrade',
  'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=',
]

function lines(...all: string[]): string {
  return `${all.join('\r\n')}\r\n\r\n`
}

function requestLine(line: string): string {
  return upgradeRequest('/').replace('GET / HTTP/1.1', line)
}

/** The good request with lines added behind the others. */
function plus(...added: string[]): string {
  return upgradeRequest('/').replace('\r\n\r\n', `\r\n${lines(...added)}`)
}

describe('Upgrader, refusing', () => {
  const version = 'Sec-WebSocket-Version: 13'
  const upgrade = [version, 'Connection: Upgrade, close', 'Upgrade: websocket']
  const kinds = {
    METHOD: ['405 Method Not Allowed', 'the request method is not GET', version, 'Allow: GET'],
    HTTP_VERSION: ['400 Bad Request', 'the HTTP version is not 1.1', version],
    UPGRADE_HEADER: ['426 Upgrade Required', 'no "websocket" in the Upgrade header', ...upgrade],
    HOST: ['400 Bad Request', 'no valid Host header', version],
    VERSION: ['426 Upgrade Required', 'the Sec-WebSocket-Version is not 13', ...upgrade],
    REQUEST_BODY: ['400 Bad Request', 'the request has a body', version],
    ORIGIN: ['403 Forbidden', 'Origin not allowed', version],
    KEY: ['400 Bad Request', 'the Sec-WebSocket-Key is not base64 of 16 bytes', version],
    HEADER_SYNTAX: ['400 Bad Request', /^the Sec-WebSocket-(Protocol|Extensions) is malformed/, version],
    HEADER_LIMIT: ['431 Request Header Fields Too Large', 'more than 100 header fields'],
  } as const
  const many = (count: number): string[] => Array.from({ length: count }, (_, i) => `X-${i}: y`)
  const table: [name: string, request: string, kind: keyof typeof kinds][] = [
    ['POST', requestLine('POST / HTTP/1.1'), 'METHOD'],
    ['HEAD', requestLine('HEAD / HTTP/1.1'), 'METHOD'],
    ['HTTP/1.0', requestLine('GET / HTTP/1.0'), 'HTTP_VERSION'],
    ['HTTP/2.0', requestLine('GET / HTTP/2.0'), 'HTTP_VERSION'],
    ['another Upgrade', upgradeRequest('/', { Upgrade: 'h2c' }), 'UPGRADE_HEADER'],
    ['no Host', upgradeRequest('/', { Host: undefined }), 'HOST'],
    ['an empty Host', upgradeRequest('/', { Host: '' }), 'HOST'],
    ['two Hosts', plus('Host: evil.example'), 'HOST'],
    ['the same Host twice', plus('host: 127.0.0.1'), 'HOST'],
    ['no version', upgradeRequest('/', { 'Sec-WebSocket-Version': undefined }), 'VERSION'],
    ['version 8', upgradeRequest('/', { 'Sec-WebSocket-Version': '8' }), 'VERSION'],
    ['the version twice', plus('Sec-WebSocket-Version: 13'), 'VERSION'],
    ['a body', `${plus('Content-Length: 5')}hello`, 'REQUEST_BODY'],
    ['a body in chunks', `${plus('Transfer-Encoding: chunked')}5\r\nhello\r\n0\r\n\r\n`, 'REQUEST_BODY'],
    ['a body that does not come', plus('Content-Length: 5'), 'REQUEST_BODY'],
    ['a foreign origin', plus('Origin: https://evil.example'), 'ORIGIN'],
    ['an opaque origin', plus('Origin: null'), 'ORIGIN'],
    ['two origins', plus('Origin: http://127.0.0.1', 'Origin: https://evil.example'), 'ORIGIN'],
    ['the same origin twice', plus('Origin: http://127.0.0.1', 'Origin: http://127.0.0.1'), 'ORIGIN'],
    ['no key', upgradeRequest('/', { 'Sec-WebSocket-Key': undefined }), 'KEY'],
    ['a short key', upgradeRequest('/', { 'Sec-WebSocket-Key': 'AAAA' }), 'KEY'],
    ['the key twice', plus(`Sec-WebSocket-Key: ${handshakeKey}`), 'KEY'],
    ['subprotocols that are none', plus('Sec-WebSocket-Protocol: a b'), 'HEADER_SYNTAX'],
    [
      'a subprotocol in two fields',
      plus('Sec-WebSocket-Protocol: a', 'Sec-WebSocket-Protocol: a'),
      'HEADER_SYNTAX',
    ],
    ['extensions that are none', plus('Sec-WebSocket-Extensions: ;'), 'HEADER_SYNTAX'],
    ['101 header fields', plus(...many(96)), 'HEADER_LIMIT'],
  ]
  for (const [name, request, kind] of table) {
    const [status, message, ...rest] = kinds[kind]
    const headers: readonly string[] = rest
    it(`${name}: ${status}`, async () => {
      await using setup = await serving()
      const answer = parse(await setup.server.answer(request))
      if (typeof message === 'string') assert.equal(answer.body, `${message}\n`)
      else assert.match(answer.body, message)
      const own = ['Content-Type: text/plain; charset=utf-8', `Content-Length: ${answer.body.length}`]
      if (!headers.includes('Connection: Upgrade, close')) own.push('Connection: close')
      assert.deepEqual(answer.headers, [...own, ...headers].sort())
      assert.equal(answer.status, `HTTP/1.1 ${status}`)
      assert.deepEqual(setup.reasons, [`ERR_WS_${kind}`])
      assert.equal(setup.conns.length, 0)
      await setup.server.empty()
      await (await upgraded(setup.server)).destroy()
    })
  }

  it('answers 431 to 2000 header fields, also where they stand in front of those of the handshake', async () => {
    await using setup = await serving()
    const inFront = upgradeRequest('/').replace('\r\n', `\r\n${'a:b\r\n'.repeat(2000)}`)
    // Node drops what comes behind the first 2000, so that it is ours to notice, or refuses them itself (24 and later).
    for (const request of [plus(...many(1995)), inFront])
      assert.match(await setup.server.answer(request), /^HTTP\/1\.1 431 /)
    assert.equal(setup.conns.length, 0)
    await (await upgraded(setup.server)).destroy()
  })

  it('leaves to Node what is no HTTP, a broken one, or none of ours', async () => {
    await using setup = await serving()
    const broken: [request: string, answer: RegExp][] = [
      ['\x16\x03\x01\x02\r\n\r\n', /^HTTP\/1\.1 400 /],
      ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', /^HTTP\/1\.1 400 /],
      [plus('Content-Length: 0', 'Content-Length: 0'), /^HTTP\/1\.1 400 /],
      [plus('Content-Length: 5', 'Transfer-Encoding: chunked'), /^HTTP\/1\.1 400 /],
      [plus(`X: ${'y'.repeat(20_000)}`), /^HTTP\/1\.1 431 /],
      [plus('X : y'), /^HTTP\/1\.1 400 /],
      [plus('X: \0'), /^HTTP\/1\.1 400 /],
      [requestLine('CONNECT a:1 HTTP/1.1'), /^$/],
    ]
    for (const [request, answer] of broken) assert.match(await setup.server.answer(request), answer, request)
    assert.deepEqual([setup.reasons, setup.conns], [[], []])
  })

  it('closes its connections when it is closed, and answers 503 from then on', async () => {
    await using setup = await serving({ path: '/a' })
    const before = await upgraded(setup.server, upgradeRequest('/a'))
    await assert.rejects(setup.upgrader.close({ code: 1006 }), UsageError)
    assert.equal(setup.conns[0]?.state, 'open')
    const closed = setup.upgrader.close({ code: 1012, timeout: 5000 })
    assert.match(
      await setup.server.answer(upgradeRequest('/a')),
      /^HTTP\/1\.1 503 .*\r\n\r\nthe server is closing\n$/s,
    )
    assert.match(await setup.server.answer(upgradeRequest('/b')), /^HTTP\/1\.1 404 /)
    assert.deepEqual(setup.reasons, ['ERR_WS_SERVER_CLOSING'])
    before.write(frame({ opcode: 8, payload: Buffer.from([0x03, 0xf4]), mask }))
    await closed
    assert.deepEqual([(await setup.conns[0]?.closed)?.code, setup.upgrader.connections.size], [1012, 0])
    await before.destroy()
  })
})

describe('Upgrader, onReject', () => {
  it('hears what is to be answered, and changes it', async () => {
    const seen: [Rejection, IncomingMessage][] = []
    await using setup = await serving({
      onReject(rejection, request) {
        seen.push([rejection, request])
        return { status: 404, headers: { 'x-a': 'b', ALLOW: 'PUT', Connection: 'keep-alive' }, body: 'no' }
      },
    })
    assert.deepEqual(parse(await setup.server.answer(requestLine('PUT /x?y HTTP/1.1'))), {
      status: 'HTTP/1.1 404 Not Found',
      headers: [
        'ALLOW: PUT',
        'Connection: close',
        'Content-Length: 2',
        'Content-Type: text/plain; charset=utf-8',
        'Sec-WebSocket-Version: 13',
        'x-a: b',
      ],
      body: 'no',
    })
    const [rejection, request] = seen[0] ?? assert.fail('not called')
    assert.equal(request.url, '/x?y')
    assert.equal(rejection.status, 405)
    assert.deepEqual(rejection.headers, { 'Sec-WebSocket-Version': '13', Allow: 'GET' })
    assert.equal(rejection.body, 'the request method is not GET\n')
    assert.ok(rejection.reason instanceof HandshakeError)
    assert.equal(rejection.reason.status, 405)
    assert.deepEqual(rejection.reason.headers, { 'sec-websocket-version': '13', allow: 'GET' })
  })

  it('may change a part only', async () => {
    await using setup = await serving({ onReject: () => ({ body: 'another' }) })
    const answer = parse(await setup.server.answer(requestLine('PUT / HTTP/1.1')))
    assert.deepEqual([answer.status, answer.body], ['HTTP/1.1 405 Method Not Allowed', 'another'])
  })

  const wrong: [name: string, answer: () => unknown][] = [
    ['throws', () => assert.fail('boom')],
    ['rejects', async () => assert.fail('boom')],
    ['gives a promise', async () => ({ status: 404 })],
    ['gives a status that is none', () => ({ status: 200 })],
    ['gives a header name that is none', () => ({ headers: { 'a\r\nb': 'c' } })],
    ['gives a body that is no text', () => ({ body: 7 })],
  ]
  for (const [name, answer] of wrong) {
    it(`${name}: 500, and the process lives`, async (t) => {
      const printed = t.mock.method(console, 'error', () => {})
      await using setup = await serving({ onReject: answer as NonNullable<UpgraderOptions['onReject']> })
      assert.deepEqual(parse(await setup.server.answer(requestLine('PUT / HTTP/1.1'))), {
        status: 'HTTP/1.1 500 Internal Server Error',
        headers: ['Connection: close', 'Content-Length: 22', 'Content-Type: text/plain; charset=utf-8'],
        body: 'Internal Server Error\n',
      })
      assert.equal(printed.mock.calls[0]?.arguments[0], 'silverback: onReject failed:')
    })
  }
})

describe('Upgrader, functions of the application that fail', () => {
  const boom = (): never => assert.fail('boom: a secret')
  const late = async (): Promise<never> => boom()
  const table: [name: string, options: Record<string, unknown>, cause: RegExp][] = [
    ['checkOrigin throws', { checkOrigin: boom }, /boom/],
    ['checkOrigin rejects', { checkOrigin: late }, /checkOrigin must answer at once/],
    ['subprotocols throws', { subprotocols: boom }, /boom/],
    ['subprotocols rejects', { subprotocols: late }, /subprotocols must answer at once/],
    ['subprotocols chooses another', { subprotocols: () => 'b' }, /"b", which the client did not offer/],
    ['headers throws', { headers: boom }, /boom/],
    ['headers rejects', { headers: late }, /headers must answer at once/],
    ['headers gives nothing', { headers: () => undefined }, /headers must be an object/],
    ['headers gives a reserved one', { headers: () => ({ connection: 'x' }) }, /headers: connection is set/],
    ['headers gives a name that is none', { headers: () => ({ 'a\r\nb': 'x' }) }, /is not a header name/],
  ]
  for (const [name, options, cause] of table) {
    it(`${name}: 500, without a word of the cause`, async () => {
      let reason: HandshakeError | undefined
      await using setup = await serving({
        ...options,
        onReject(rejection) {
          reason = rejection.reason
          return undefined
        },
      })
      const answer = parse(await setup.server.answer(plus('Sec-WebSocket-Protocol: a')))
      assert.deepEqual(answer, {
        status: 'HTTP/1.1 500 Internal Server Error',
        headers: ['Connection: close', 'Content-Length: 40', 'Content-Type: text/plain; charset=utf-8'],
        body: 'the server could not answer the request\n',
      })
      assert.ok(reason?.cause instanceof Error)
      assert.equal(reason.code, 'ERR_WS_SERVER')
      assert.match(reason.cause.message, cause)
      assert.equal(setup.conns.length, 0)
    })
  }
})

describe('Upgrader, accepting', () => {
  const table: [name: string, request: string][] = [
    ['the plainest request', upgradeRequest('/')],
    ['a query', upgradeRequest('/?a=/b')],
    [
      'lists of tokens in any case',
      upgradeRequest('/', { Connection: 'keep-alive, UPGRADE', Upgrade: 'h2c, WebSocket' }),
    ],
    ['Connection in two fields', plus('Connection: keep-alive')],
    ['a page of this host', plus('Origin: http://127.0.0.1')],
    ['an empty body', plus('Content-Length: 0')],
    ['an absolute target', requestLine('GET http://127.0.0.1/x HTTP/1.1')],
    ['an absolute ws target', requestLine('GET ws://127.0.0.1/x HTTP/1.1')],
    ['100 header fields', plus(...Array.from({ length: 95 }, (_, i) => `X-${i}: y`))],
    ['extensions that are not known', plus('Sec-WebSocket-Extensions: permessage-deflate; a=b, x')],
    ['subprotocols that are not spoken', plus('Sec-WebSocket-Protocol: a, b')],
  ]
  for (const [name, request] of table) {
    it(`${name}`, async () => {
      await using setup = await serving()
      const client = await upgraded(setup.server, request)
      assert.equal(client.received.toString(), lines(...switching))
      const [conn] = setup.conns
      assert.deepEqual([conn?.subprotocol, conn?.extensions, conn?.remoteAddress], ['', '', '127.0.0.1'])
      assert.equal(conn?.response, undefined)
      assert.ok(request.includes(` ${conn?.request.url} `))
    })
  }

  it('with a subprotocol from a list: the first of the client’s', async () => {
    await using setup = await serving({ subprotocols: ['c', 'b'] })
    const client = await upgraded(
      setup.server,
      plus('Sec-WebSocket-Protocol: a, b', 'Sec-WebSocket-Protocol: c'),
    )
    assert.equal(client.received.toString(), lines(...switching, 'Sec-WebSocket-Protocol: b'))
    assert.equal(setup.conns[0]?.subprotocol, 'b')
  })

  it('with a subprotocol from a function, which sees offer and request', async () => {
    const seen: unknown[] = []
    await using setup = await serving({
      subprotocols(offered, request) {
        seen.push(offered, request.url)
        return offered.at(-1)
      },
    })
    await upgraded(setup.server)
    assert.deepEqual(seen, [], 'nothing offered')
    const client = await upgraded(setup.server, plus('Sec-WebSocket-Protocol: a, b'))
    assert.deepEqual(seen, [['a', 'b'], '/'])
    assert.match(client.received.toString(), /\r\nSec-WebSocket-Protocol: b\r\n/)
  })

  it('with further headers, none of which can begin a line of its own', async () => {
    const headers = { 'Set-Cookie': 'a=b; HttpOnly', 'X-Evil': 'x\r\nSet-Cookie: c=d\r\n\r\n\x81\x02hi' }
    for (const given of [headers, () => headers]) {
      await using setup = await serving({ headers: given })
      const client = await upgraded(setup.server)
      assert.equal(
        client.received.toString(),
        lines(...switching, 'Set-Cookie: a=b; HttpOnly', 'X-Evil: x  Set-Cookie: c=d    \x81 hi'),
      )
    }
  })

  it('keeps what came behind the request, whatever the cuts', async () => {
    await using setup = await serving({}, (conn) => conn.onMessage((data) => void conn.send(data)))
    const messages = ['one', 'two', 'x'.repeat(70_000)]
    const stream = Buffer.concat([Buffer.from(upgradeRequest('/')), ...messages.map(text)])
    const head = stream.indexOf('\r\n\r\n') + 4
    for (const at of [0, head - 1, head, head + 1, head + 8, head + 9, head + 20, stream.length]) {
      const client = setup.server.client()
      client.write(stream.subarray(0, at))
      await setImmediate()
      client.write(stream.subarray(at))
      await client.until(() => client.receivedLength > 70_000, 'all echoes')
      assert.deepEqual(
        client.events.map((event) => 'data' in event && String(event.data)),
        messages,
        `cut at ${at}`,
      )
      await client.destroy()
    }
  })

  it('gives the handler what had come before it asks', async () => {
    const got: unknown[] = []
    await using setup = await serving({}, async (conn) => {
      await setImmediate()
      for await (const message of conn) got.push(message)
    })
    const client = setup.server.client()
    const close = frame({ opcode: 8, payload: Buffer.from([0x03, 0xe8]), mask })
    client.write(Buffer.concat([Buffer.from(upgradeRequest('/')), text('a'), text('b'), close]))
    await client.until(() => client.closed, 'the end')
    const info = await setup.conns[0]?.closed
    assert.deepEqual([got, info?.code, info?.wasClean], [['a', 'b'], 1000, true])
  })

  it('closes with 1002 what goes on with anything but frames', async () => {
    await using setup = await serving()
    const client = setup.server.client(`${upgradeRequest('/')}${upgradeRequest('/')}`)
    await client.until(() => client.closed, 'the end')
    assert.deepEqual(
      client.events.map((event) => event.kind === 'close' && event.code),
      [1002],
    )
    assert.equal((await setup.conns[0]?.closed)?.code, 1002)
  })
})

describe('Upgrader, clients that hang up', () => {
  it('with the request: the handler gets a connection that ends', async () => {
    await using setup = await serving()
    const client = setup.server.client()
    const upgrade = once(setup.server.http, 'upgrade')
    client.write(upgradeRequest('/'))
    client.socket.end()
    await upgrade
    const info = await setup.conns[0]?.closed
    assert.deepEqual([info?.code, info?.by, info?.wasClean], [1006, 'network', false])
    assert.equal(setup.upgrader.connections.size, 0)
    await setup.server.empty()
  })

  it('with a reset, at once: nothing is left', async () => {
    await using setup = await serving({ headers: { 'X-Long': 'y'.repeat(500_000) } })
    const client = setup.server.client()
    const upgrade = once(setup.server.http, 'upgrade')
    client.write(upgradeRequest('/'))
    await upgrade
    await client.reset()
    const info = await setup.conns[0]?.closed
    assert.equal(info?.code, 1006)
    assert.equal(setup.upgrader.connections.size, 0)
    await setup.server.empty()
  })

  it('before they are answered: refused, the handler is not called', async () => {
    const upgrader = new Upgrader({ onReject: ({ reason }) => void reasons.push(reason.code) as undefined })
    const reasons: string[] = []
    let called = false
    const handle = upgrader.handler(() => {
      called = true
    })
    let handled: (() => void) | undefined
    const done = new Promise<void>((resolve) => {
      handled = resolve
    })
    await using server = await TestServer.start((http) => {
      http.on('upgrade', (request, socket, head) => {
        socket.on('error', () => {})
        socket.resume()
        socket.once('close', () => {
          handle(request, socket, head)
          handled?.()
        })
      })
    })
    const client = server.client()
    const upgrade = once(server.http, 'upgrade')
    client.write(upgradeRequest('/'))
    await upgrade
    await client.reset()
    await done
    assert.deepEqual([called, reasons, upgrader.connections.size], [false, ['ERR_WS_SOCKET_CLOSED'], 0])
  })

  it('in the middle of a request: nobody hears of it', async () => {
    await using setup = await serving()
    const client = setup.server.client(upgradeRequest('/').slice(0, -2))
    await once(setup.server.http, 'connection')
    await client.reset()
    await setup.server.empty()
    assert.deepEqual([setup.conns, setup.reasons], [[], []])
  })
})

describe('Upgrader, handlers that fail', () => {
  const boom = new Error('boom')
  const failing: [name: string, handle: Handler][] = [
    ['throws', () => assert.ifError(boom)],
    ['rejects', async () => assert.ifError(boom)],
    [
      'rejects later',
      async (conn) => {
        await conn.read()
        throw boom
      },
    ],
    ['gets messages in a listener that rejects', (conn) => conn.onMessage(async () => Promise.reject(boom))],
    [
      'gets messages in a listener that throws',
      (conn) =>
        conn.onMessage(() => {
          throw boom
        }),
    ],
  ]
  for (const [name, handle] of failing) {
    it(`${name}: closed with 1011, onError is told, the next client is served`, async () => {
      const errors: [unknown, string][] = []
      let healthy = false
      await using setup = await serving(
        { onError: (error, conn) => void errors.push([error, conn.state]) },
        (conn) => (healthy ? undefined : handle(conn)),
      )
      const client = await upgraded(setup.server)
      client.write(text('hello'))
      await client.until(() => client.events.length > 0, 'a Close frame')
      assert.deepEqual(
        client.events.map(({ at: _, ...event }) => event),
        [{ kind: 'close', code: 1011, reason: 'internal error' }],
      )
      client.write(frame({ opcode: 8, payload: Buffer.from([0x03, 0xf3]), mask }))
      await client.until(() => client.closed, 'the end')
      const [conn] = setup.conns
      const info = await conn?.closed
      assert.deepEqual([info?.code, info?.wasClean, info?.by], [1011, true, 'local'])
      assert.equal(errors.length, 1)
      assert.match(String(errors[0]?.[0]), /boom/)
      assert.equal(errors[0]?.[1], 'closing')
      assert.equal(info?.error, errors[0]?.[0])
      healthy = true
      await (await upgraded(setup.server)).destroy()
    })
  }

  for (const [name, onError] of [
    ['throws', () => assert.fail('second')],
    ['rejects', async () => assert.fail('second')],
  ] as const) {
    it(`and an onError that ${name}: printed, the connection closed`, async (t) => {
      const printed = t.mock.method(console, 'error', () => {})
      await using setup = await serving({ onError }, () => assert.fail('first'))
      const client = await upgraded(setup.server)
      await client.until(() => client.events.length > 0, 'a Close frame')
      await client.destroy()
      const [label, error] = printed.mock.calls[0]?.arguments ?? []
      assert.equal(label, 'silverback: onError failed:')
      assert.match(String(error), /second/)
    })
  }

  it('of their own accord, not because the connection ended', async () => {
    const errors: unknown[] = []
    let ended: Promise<unknown> | undefined
    await using setup = await serving({ onError: (error) => void errors.push(error) }, (conn) => {
      ended = conn.read()
      return ended.then(() => {})
    })
    const client = await upgraded(setup.server)
    await client.reset()
    await assert.rejects(ended ?? Promise.resolve(), CloseError)
    await setImmediate()
    assert.deepEqual(errors, [])
  })

  it('with what is no error: reported as it is', async () => {
    const errors: unknown[] = []
    await using setup = await serving({ onError: (error) => void errors.push(error) }, () =>
      Promise.reject('text'),
    )
    const client = await upgraded(setup.server)
    await client.until(() => client.events.length > 0, 'a Close frame')
    await client.destroy()
    assert.deepEqual(errors, ['text'])
    assert.equal((await setup.conns[0]?.closed)?.code, 1011)
  })

  it('are functions', () => {
    for (const handle of [undefined, null, {}, 'x']) {
      assert.throws(
        () => new Upgrader().handler(handle as never),
        (error: unknown) => error instanceof UsageError && error.code === 'ERR_WS_INVALID_ARGUMENT',
      )
    }
  })
})

describe('Upgrader, upgrade', () => {
  type Use = (request: IncomingMessage, socket: Duplex, head: Buffer) => Promise<unknown>

  /** A server whose listener awaits what `use` does, and keeps its outcome. */
  async function using(use: Use): Promise<{ server: TestServer; outcome: Promise<unknown> }> {
    let settle: ((outcome: Promise<unknown>) => void) | undefined
    const outcome = new Promise<unknown>((resolve) => {
      settle = resolve
    })
    outcome.catch(() => {})
    const server = await TestServer.start((http) => {
      http.on('upgrade', (...event) => settle?.(use(...event)))
    })
    return { server, outcome }
  }

  it('resolves with a connection that is among the upgrader’s until it ends', async () => {
    const upgrader = new Upgrader()
    const { server, outcome } = await using((...event) => upgrader.upgrade(...event))
    await using _ = server
    const client = await upgraded(server)
    const conn = (await outcome) as ServerConn
    assert.deepEqual([...upgrader.connections], [conn])
    conn.send('hello')
    await client.until(() => client.events.length > 0, 'a message')
    await client.destroy()
    await conn.closed
    assert.equal(upgrader.connections.size, 0)
  })

  it('after a while: what came meanwhile is there', async () => {
    const upgrader = new Upgrader()
    const { server, outcome } = await using(async (...event) => {
      await more
      return upgrader.upgrade(...event)
    })
    await using _ = server
    const client = server.client(upgradeRequest('/') + text('one').toString('latin1'))
    let sent: (() => void) | undefined
    const more = new Promise<void>((resolve) => {
      sent = resolve
    })
    await once(server.http, 'upgrade')
    client.socket.write(text('two'), () => sent?.())
    const conn = (await outcome) as ServerConn
    assert.deepEqual([await conn.read(), await conn.read()], ['one', 'two'])
  })

  it('after a while, on a socket that was paused for it: it is read', async () => {
    const upgrader = new Upgrader()
    const { server, outcome } = await using(async (request, socket, head) => {
      socket.pause()
      await setImmediate()
      return upgrader.upgrade(request, socket, head)
    })
    await using _ = server
    const client = await upgraded(server)
    const conn = (await outcome) as ServerConn
    client.write(text('hello'))
    await until(() => conn.stats.messagesReceived > 0, 'a message')
    assert.equal(await conn.read(), 'hello')
  })

  it('rejects with what was answered', async () => {
    const upgrader = new Upgrader({ path: '/a' })
    const { server, outcome } = await using((...event) => upgrader.upgrade(...event))
    await using _ = server
    assert.match(
      await server.answer(upgradeRequest('/b')),
      /^HTTP\/1\.1 404 .*no WebSocket endpoint at this path\n$/s,
    )
    await assert.rejects(outcome, (error: unknown) => {
      assert.ok(error instanceof HandshakeError)
      assert.deepEqual(
        [error.code, error.status, error.headers, error.body],
        ['ERR_WS_PATH', 404, {}, undefined],
      )
      return true
    })
    assert.equal(upgrader.connections.size, 0)
  })

  it('rejects with what onReject made of it', async () => {
    const upgrader = new Upgrader({
      onReject: () => ({ status: 401, headers: { 'WWW-Authenticate': 'Basic' } }),
    })
    const { server, outcome } = await using((...event) => upgrader.upgrade(...event))
    await using _ = server
    assert.match(await server.answer(requestLine('PUT / HTTP/1.1')), /^HTTP\/1\.1 401 /)
    await assert.rejects(outcome, {
      code: 'ERR_WS_METHOD',
      status: 401,
      headers: { 'sec-websocket-version': '13', allow: 'GET', 'www-authenticate': 'Basic' },
    })
  })

  it('rejects with the cause when a function of ours threw, also in onReject', async (t) => {
    t.mock.method(console, 'error', () => {})
    const cause = new Error('boom')
    const fail = (): never => {
      throw cause
    }
    for (const options of [
      { checkOrigin: fail },
      { headers: fail },
      { checkOrigin: () => false, onReject: fail },
    ]) {
      const upgrader = new Upgrader(options)
      const { server, outcome } = await using((...event) => upgrader.upgrade(...event))
      await using _ = server
      assert.match(await server.answer(upgradeRequest('/')), /^HTTP\/1\.1 500 /)
      await assert.rejects(outcome, { code: 'ERR_WS_SERVER', status: 500, cause })
    }
  })

  it('refuses a request that has been taken, and leaves its connection alone', async () => {
    const [first, second] = [new Upgrader(), new Upgrader()]
    const { server, outcome } = await using(async (...event) => {
      const conn = await first.upgrade(...event)
      await assert.rejects(second.upgrade(...event), { code: 'ERR_WS_INVALID_ARGUMENT' })
      second.handler(() => assert.fail('taken twice'))(...event)
      return conn
    })
    await using _ = server
    const client = await upgraded(server)
    const conn = (await outcome) as ServerConn
    client.write(text('still here'))
    assert.equal(await conn.read(), 'still here')
    assert.equal(client.received.toString(), lines(...switching))
  })

  it('takes no request that another listener has answered', async () => {
    const upgrader = new Upgrader({ onReject: ({ reason }) => void reasons.push(reason.code) as undefined })
    const reasons: string[] = []
    await using server = await TestServer.start((http) => {
      http.on('upgrade', (_request, socket) => reject(socket, 401))
      http.on(
        'upgrade',
        upgrader.handler(() => assert.fail('not authenticated')),
      )
    })
    const answer = await server.answer(upgradeRequest('/'))
    assert.match(answer, /^HTTP\/1\.1 401 Unauthorized\r\n/)
    assert.equal(answer.split('HTTP/1.1').length, 2)
    assert.deepEqual(reasons, ['ERR_WS_SOCKET_CLOSED'])
  })
})

describe('Upgrader, on any stream', () => {
  it('leaves the timeouts of the HTTP server behind', async () => {
    await using setup = await serving()
    setup.server.http.setTimeout(60_000)
    await upgraded(setup.server)
    const [conn] = setup.conns as [ServerConn]
    assert.equal((conn.socket as Socket).timeout, 0)
  })

  it('takes a stream that is no socket', async () => {
    const upgrader = new Upgrader()
    const request = await parsed(upgradeRequest('/'))
    let written = ''
    const stream = new Duplex({
      read() {},
      write(chunk, _encoding, done) {
        written += chunk
        done()
      },
    })
    const conn = await upgrader.upgrade(request, stream, text('hi'))
    assert.equal(written, lines(...switching))
    assert.equal(await conn.read(), 'hi')
    conn.terminate()
    assert.equal((await conn.closed).code, 1006)
  })
})

/** A request as Node parses it. */
async function parsed(bytes: string): Promise<IncomingMessage> {
  await using server = await TestServer.start()
  const upgrade = once(server.http, 'upgrade')
  server.client(bytes)
  const [request] = (await upgrade) as [IncomingMessage]
  return request
}
