import assert from 'node:assert/strict'
import { getEventListeners, once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { after, describe, it } from 'node:test'
import { assertNoLeaks } from '../../test/leaks.ts'
import { AnsweringServer, switching } from '../../test/support/answering-server.ts'
import { enableFakeTimers } from '../../test/support/fake-timers.ts'
import { HandshakeError, TimeoutError } from '../session/errors.ts'
import { type DialOptions, resolveDialOptions } from './dial-options.ts'
import { dialTarget } from './dial-target.ts'
import { HandshakeDeadline } from './handshake-deadline.ts'
import { lowerCase } from './header-options.ts'
import { openStream } from './open-stream.ts'
import { requestUpgrade, type UpgradeResponse } from './request-upgrade.ts'

after(() => assertNoLeaks())

const offer = { key: 'dGhlIHNhbXBsZSBub25jZQ==', subprotocols: [], extensions: [] }

async function ask(url: string, options: DialOptions = {}): Promise<UpgradeResponse> {
  const resolved = resolveDialOptions(options)
  const { subprotocols, limits, signal, headers } = resolved
  const deadline = new HandshakeDeadline(limits.handshakeTimeout, signal)
  try {
    const target = dialTarget(new URL(url))
    const stream = await openStream(target, { ...resolved, timeout: 0 }, deadline)
    const request = {
      url: target.url,
      label: target.label,
      headers: lowerCase(headers),
      offer: { ...offer, subprotocols },
      redirects: false,
      onAnswer() {},
    }
    const answer = await requestUpgrade(stream, request, deadline)
    assert.ok('socket' in answer)
    return answer
  } finally {
    deadline.end()
  }
}

/** How the request fails, on a server that then has to be deserted. */
async function failure(
  answer: (socket: Socket, accept: string) => void,
  options: DialOptions = {},
): Promise<unknown> {
  await using server = await AnsweringServer.start(answer)
  const error = await ask(server.url, options).then(
    () => assert.fail('accepted'),
    (reason: unknown) => reason,
  )
  await server.deserted()
  return error
}

async function handshakeFailure(
  answer: string | ((socket: Socket, accept: string) => void),
  options?: DialOptions,
): Promise<HandshakeError> {
  const error = await failure(typeof answer === 'string' ? (socket) => socket.write(answer) : answer, options)
  assert.ok(error instanceof HandshakeError, String(error))
  return error
}

describe('requestUpgrade, the request', () => {
  async function sent(options: DialOptions, path = '', host = '127.0.0.1'): Promise<string[]> {
    await using server = await AnsweringServer.start((socket, accept) => socket.write(switching(accept)))
    const { socket } = await ask(`ws://${host}:${server.port}${path}`, options)
    socket.destroy()
    await server.deserted()
    const [text = ''] = server.requests
    return text.replaceAll(String(server.port), 'PORT').split('\r\n')
  }

  it('is what RFC 6455 asks for, and no more', async () => {
    assert.deepEqual(await sent({}), [
      'GET / HTTP/1.1',
      'host: 127.0.0.1:PORT',
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
      '',
      '',
    ])
  })

  it('has path and query as the URL writes them', async () => {
    const [line] = await sent({}, '/a b/%7e/../ü?x=[y]&z')
    assert.equal(line, 'GET /a%20b/%C3%BC?x=[y]&z HTTP/1.1')
  })

  it('carries subprotocols and headers, Host among them', async () => {
    const lines = await sent({
      headers: {
        Authorization: 'Bearer x',
        HOST: 'example.com',
        Origin: 'https://example.com',
        'X-Any': 'é',
      },
      subprotocols: ['b', 'a'],
    })
    assert.deepEqual(lines.slice(1, 5), [
      'host: example.com',
      'authorization: Bearer x',
      'origin: https://example.com',
      'x-any: é',
    ])
    assert.ok(lines.includes('Sec-WebSocket-Protocol: b, a'))
  })

  it('goes to a name', async () => {
    const [, host] = await sent({}, '/', 'localhost')
    assert.equal(host, 'host: localhost:PORT')
  })
})

describe('requestUpgrade, agreement', () => {
  it('resolves with answer, socket and what came behind', async () => {
    await using server = await AnsweringServer.start((socket, accept) =>
      socket.write(
        `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n${switching(accept)}behind`,
      ),
    )
    const { response, socket, head } = await ask(server.url)
    assert.equal(response.statusCode, 101)
    assert.equal(response.headers['upgrade'], 'websocket')
    assert.equal(head.toString(), 'behind')
    assert.equal(socket.destroyed, false)
    socket.destroy()
    await server.deserted()
  })

  it('leaves a socket whose errors end nothing', async () => {
    await using server = await AnsweringServer.start((socket, accept) => socket.write(switching(accept)))
    const { socket } = await ask(server.url)
    socket.destroy(new Error('reset before anybody listens'))
    await new Promise((resolve) => socket.once('close', resolve))
  })
})

describe('requestUpgrade, refusals', () => {
  const table: [answer: string, status: number, headers: Record<string, string>, body: string][] = [
    ['HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello', 200, { 'content-length': '5' }, 'hello'],
    [
      'HTTP/1.1 302 Found\r\nLocation: ws://x/\r\nContent-Length: 0\r\n\r\n',
      302,
      { location: 'ws://x/', 'content-length': '0' },
      '',
    ],
    [
      'HTTP/1.1 401 No\r\nWWW-Authenticate: Basic\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nfoo\r\n3\r\nbar\r\n0\r\n\r\n',
      401,
      { 'www-authenticate': 'Basic', 'transfer-encoding': 'chunked' },
      'foobar',
    ],
    ['HTTP/1.1 204 No Content\r\n\r\n', 204, {}, ''],
    ['HTTP/1.0 503 Busy\r\nContent-Length: 3\r\n\r\né\n', 503, { 'content-length': '3' }, 'é\n'],
    [
      'HTTP/1.1 200 OK\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 2\r\n\r\nhi',
      200,
      { connection: 'Upgrade', upgrade: 'websocket', 'content-length': '2' },
      'hi',
    ],
    ['HTTP/1.1 999 Odd\r\nContent-Length: 1\r\n\r\nx', 999, { 'content-length': '1' }, 'x'],
    [
      'HTTP/1.1 400 A\r\nContent-Length: 0\r\n\r\nHTTP/1.1 400 B\r\nContent-Length: 0\r\n\r\n',
      400,
      { 'content-length': '0' },
      '',
    ],
  ]
  for (const [answer, status, headers, body] of table) {
    it(JSON.stringify(answer.slice(0, 60)), async () => {
      const error = await handshakeFailure(answer)
      assert.equal(error.code, 'ERR_WS_STATUS')
      assert.equal(error.message, `the server answered with status ${status}, not 101`)
      assert.deepEqual([error.status, error.headers, error.body], [status, headers, body])
    })
  }

  const letters = Array.from({ length: 3000 }, (_, i) => String.fromCharCode(97 + (i % 26))).join('')
  const bodies: [name: string, length: number, write: (socket: Socket, body: string) => void][] = [
    ['in one piece', 3000, (socket, body) => socket.write(body)],
    ['to its end', 1023, (socket, body) => socket.end(body)],
    ['of a KiB', 1024, (socket, body) => socket.write(body)],
    ['of a byte more', 1025, (socket, body) => socket.end(body)],
    ['byte by byte, without an end', 1024, (socket, body) => drip(socket, body)],
    ['cut short by the end of the connection', 700, (socket, body) => socket.end(body)],
    ['cut short by a reset', 700, (socket, body) => resetAfter(socket, body)],
  ]
  for (const [name, length, write] of bodies) {
    it(`the first KiB of a body ${name}`, async () => {
      const body = letters.slice(0, length)
      const error = await handshakeFailure((socket) => {
        socket.setNoDelay(true)
        socket.write('HTTP/1.1 403 Forbidden\r\nContent-Length: 1000000\r\n\r\n')
        write(socket, body)
      })
      assert.deepEqual([error.status, error.body], [403, body.slice(0, 1024)])
    })
  }

  it('an endless body: what came is enough', async () => {
    const error = await handshakeFailure((socket) => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n')
      const timer = setInterval(() => socket.write('x'.repeat(10_000)), 1)
      socket.once('close', () => clearInterval(timer))
    })
    assert.equal(error.body, 'x'.repeat(1024))
  })

  it('a body that stalls: what came until the timeout', async () => {
    const error = await handshakeFailure('HTTP/1.1 403 Forbidden\r\nContent-Length: 9\r\n\r\nbeca', {
      handshakeTimeout: 50,
    })
    assert.deepEqual([error.code, error.status, error.body], ['ERR_WS_STATUS', 403, 'beca'])
  })
})

/** One byte per turn of the event loop, until there is nobody to read. */
function drip(socket: Socket, body: string): void {
  let at = 0
  const next = (): void => {
    if (socket.destroyed || at === body.length) return
    socket.write(body.charAt(at++))
    setImmediate(next)
  }
  next()
}

/** A reset some turns later: the reader shares our event loop, and gets every turn what has arrived. */
function resetAfter(socket: Socket, body: string): void {
  const wait = (turns: number): void => {
    if (turns === 0) socket.resetAndDestroy()
    else setImmediate(wait, turns - 1)
  }
  socket.write(body, () => wait(4))
}

describe('requestUpgrade, a 101 that is none', () => {
  const table: [answer: (accept: string) => string, code: string, headers: string[]][] = [
    [() => 'HTTP/1.1 101 X\r\n\r\n', 'ERR_WS_UPGRADE_HEADER', []],
    [() => 'HTTP/1.1 101 X\r\nConnection: Upgrade\r\n\r\n', 'ERR_WS_UPGRADE_HEADER', ['connection']],
    [() => 'HTTP/1.1 101 X\r\nUpgrade: websocket\r\n\r\n', 'ERR_WS_CONNECTION_HEADER', ['upgrade']],
    [
      (accept) => switching(accept).replace('Connection: Upgrade', 'Connection: close'),
      'ERR_WS_CONNECTION_HEADER',
      ['upgrade', 'connection', 'sec-websocket-accept'],
    ],
  ]
  for (const [answer, code, headers] of table) {
    it(JSON.stringify(answer('...')), async () => {
      const error = await handshakeFailure((socket, accept) => socket.write(answer(accept)))
      assert.deepEqual([error.code, error.status, error.body], [code, 101, ''])
      assert.deepEqual(Object.keys(error.headers ?? {}), headers)
    })
  }
})

describe('requestUpgrade, answers that are no HTTP', () => {
  const table: [name: string, answer: string, code: string][] = [
    ['another protocol', 'SSH-2.0-server\r\n', 'ERR_WS_HEADER_SYNTAX'],
    ['HTTP/2', '\0\0\x12\x04\0\0\0\0\0', 'ERR_WS_HEADER_SYNTAX'],
    ['a TLS alert', '\x15\x03\x01\0\x02\x02\x28', 'ERR_WS_HEADER_SYNTAX'],
    ['frames at once', '\x81\x02hi', 'ERR_WS_HEADER_SYNTAX'],
    ['lines without CR', 'HTTP/1.1 101 X\nUpgrade: websocket\n\n', 'ERR_WS_HEADER_SYNTAX'],
    ['folded headers', 'HTTP/1.1 101 X\r\nA: b\r\n c\r\n\r\n', 'ERR_WS_HEADER_SYNTAX'],
    ['NUL in a header', 'HTTP/1.1 101 X\r\nA: \0\r\n\r\n', 'ERR_WS_HEADER_SYNTAX'],
    [
      'headers that are too long',
      `HTTP/1.1 101 X\r\nA: ${'b'.repeat(20_000)}\r\n\r\n`,
      'ERR_WS_HEADER_LIMIT',
    ],
    ['headers without end', `HTTP/1.1 101 X\r\n${'A: b\r\n'.repeat(10_000)}`, 'ERR_WS_HEADER_LIMIT'],
  ]
  for (const [name, answer, code] of table) {
    it(name, async () => {
      const error = await handshakeFailure((socket) => socket.write(Buffer.from(answer, 'latin1')))
      assert.deepEqual(
        [error.code, error.status, error.headers, error.body],
        [code, undefined, undefined, undefined],
      )
      assert.ok(error.cause instanceof Error)
      assert.match(error.message, /127\.0\.0\.1:\d+/)
    })
  }

  const broken: [name: string, answer: (socket: Socket) => void][] = [
    ['nothing, and the end', (socket) => socket.end()],
    ['nothing, and a reset', (socket) => socket.resetAndDestroy()],
    ['half a status line', (socket) => socket.end('HTTP/1.1 10')],
    ['half a head', (socket) => socket.end('HTTP/1.1 101 Switching Protocols\r\nUpgrade: webs')],
  ]
  for (const [name, answer] of broken) {
    it(name, async () => {
      const error = await handshakeFailure(answer)
      assert.deepEqual([error.code, error.status], ['ERR_WS_CONNECT', undefined])
      assert.match(error.message, /^no connection to 127\.0\.0\.1:\d+: ECONNRESET$/)
      assert.equal((error.cause as NodeJS.ErrnoException).code, 'ECONNRESET')
    })
  }

  it('a stream that is gone', async () => {
    const deadline = new HandshakeDeadline(0, undefined)
    const url = new URL('ws://a.example')
    const request = { url, label: 'a.example', headers: {}, offer, redirects: false, onAnswer() {} }
    await assert.rejects(
      requestUpgrade(new Duplex().destroy(), request, deadline),
      /^HandshakeError: no connection to a\.example: ECONNRESET$/,
    )
  })

  it('nobody there', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as { port: number }
    server.close()
    await once(server, 'close')
    for (const host of ['127.0.0.1', 'localhost']) {
      await assert.rejects(ask(`ws://${host}:${port}`), (error: unknown) => {
        assert.ok(error instanceof HandshakeError)
        assert.deepEqual([error.code, error.status], ['ERR_WS_CONNECT', undefined])
        assert.equal(error.message, `no connection to ${host}:${port}: ECONNREFUSED`)
        return true
      })
    }
  })
})

describe('requestUpgrade, in time', () => {
  const slow: [name: string, answer: (socket: Socket) => void][] = [
    ['never answers', () => {}],
    ['answers without end', (socket) => every(socket, 'X: y\r\n', 'HTTP/1.1 101 X\r\n')],
    ['only asks for patience', (socket) => every(socket, 'HTTP/1.1 102 Processing\r\n\r\n')],
  ]
  for (const [name, answer] of slow) {
    it(`a server that ${name}: TimeoutError`, async () => {
      const error = await failure(answer, { handshakeTimeout: 60 })
      assert.ok(error instanceof TimeoutError, String(error))
      assert.deepEqual([error.code, error.phase], ['ERR_WS_HANDSHAKE_TIMEOUT', 'handshake'])
      assert.equal(error.message, 'no complete handshake within 60 ms')
    })
  }

  function every(socket: Socket, text: string, first = ''): void {
    socket.write(first)
    const timer = setInterval(() => socket.write(text), 5)
    socket.once('close', () => clearInterval(timer))
  }

  it('without a limit when that is 0', async () => {
    await using server = await AnsweringServer.start((socket, accept) =>
      setTimeout(() => socket.write(switching(accept)), 30),
    )
    const { socket } = await ask(server.url, { handshakeTimeout: 0 })
    socket.destroy()
  })

  it('no longer once there is an answer', async (t) => {
    using _timers = enableFakeTimers(t)
    await using server = await AnsweringServer.start((socket, accept) => socket.write(switching(accept)))
    const { socket } = await ask(server.url, { handshakeTimeout: 10 })
    t.mock.timers.tick(1_000)
    assert.equal(socket.destroyed, false)
    socket.destroy()
  })
})

describe('requestUpgrade, given up', () => {
  const reason = new Error('enough')

  it('before it begins: nobody is asked', async () => {
    await using server = await AnsweringServer.start(() => {})
    await assert.rejects(ask(server.url, { signal: AbortSignal.abort(reason) }), reason)
    await assert.rejects(ask(server.url, { signal: AbortSignal.abort() }), { name: 'AbortError' })
    assert.equal(server.clients, 0)
  })

  it('while it connects', async () => {
    await using server = await AnsweringServer.start((socket, accept) => socket.write(switching(accept)))
    const controller = new AbortController()
    const asked = ask(server.url, { signal: controller.signal })
    controller.abort(reason)
    await assert.rejects(asked, reason)
    await server.deserted()
  })

  it('while it waits, and while a refusal comes', async () => {
    for (const answer of ['', 'HTTP/1.1 101 X\r\n', 'HTTP/1.1 403 No\r\nContent-Length: 9\r\n\r\nno']) {
      const controller = new AbortController()
      const { signal } = controller
      const error = await failure(
        (socket) => socket.write(answer, () => setImmediate(() => controller.abort(reason))),
        { signal },
      )
      assert.equal(error, reason)
      assert.equal(getEventListeners(signal, 'abort').length, 0)
    }
  })

  it('afterwards: without effect, and nothing stays on the signal', async () => {
    await using server = await AnsweringServer.start((socket, accept) => socket.write(switching(accept)))
    const controller = new AbortController()
    const { socket } = await ask(server.url, { signal: controller.signal })
    assert.equal(getEventListeners(controller.signal, 'abort').length, 0)
    controller.abort(reason)
    assert.equal(socket.destroyed, false)
    socket.destroy()
    await handshakeFailure('HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n', {
      signal: new AbortController().signal,
    })
  })
})
