import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { after, describe, it } from 'node:test'
import { inspect } from 'node:util'
import { assertNoLeaks } from '../../test/leaks.ts'
import { AnsweringServer } from '../../test/support/answering-server.ts'
import { HandshakeError, TimeoutError } from '../session/errors.ts'
import { HandshakeDeadline } from './handshake-deadline.ts'
import { httpTunnel } from './http-tunnel.ts'
import { parseProxy } from './proxy.ts'

after(() => assertNoLeaks())

const boom = new Error('boom')

interface Asking {
  readonly login?: string
  readonly headers?: Record<string, string>
  readonly timeout?: number
  readonly signal?: AbortSignal
}

/** Asks a proxy that answers so for a tunnel to a.example:443. */
async function tunnel(
  answer: string | ((socket: Socket) => void),
  { login = '', headers = {}, timeout = 5_000, signal }: Asking = {},
): Promise<{ readonly error: unknown; readonly request: string }> {
  await using server = await AnsweringServer.start((socket) =>
    typeof answer === 'string' ? socket.write(answer, 'latin1') : answer(socket),
  )
  const stream = connect(server.port, '127.0.0.1').on('error', () => {})
  await once(stream, 'connect')
  const deadline = new HandshakeDeadline(timeout, signal)
  const proxy = parseProxy(`http://${login}proxy.example:3128`)
  assert.ok(typeof proxy !== 'string')
  const error = await httpTunnel(stream, 'a.example:443', proxy, headers, deadline).catch(
    (reason: unknown) => reason,
  )
  deadline.end()
  assert.equal(stream.destroyed, error !== undefined)
  stream.destroy()
  await server.deserted()
  return { error, request: server.requests[0] ?? '' }
}

async function refusal(
  answer: string | ((socket: Socket) => void),
  asking?: Asking,
): Promise<HandshakeError> {
  const { error } = await tunnel(answer, asking)
  assert.ok(error instanceof HandshakeError, String(error))
  assert.equal(error.code, 'ERR_WS_PROXY')
  assert.match(error.message, /proxy\.example:3128/)
  return error
}

describe('httpTunnel, the request', () => {
  const ok = 'HTTP/1.1 200 OK\r\n\r\n'

  it('is CONNECT, and says no more than needed', async () => {
    const { error, request } = await tunnel(ok)
    assert.equal(error, undefined)
    assert.equal(
      request,
      'CONNECT a.example:443 HTTP/1.1\r\nhost: a.example:443\r\nConnection: close\r\n\r\n',
    )
  })

  it('carries user and password, decoded', async () => {
    const { request } = await tunnel(ok, { login: 'us%40er:p%3Aw%C3%A4@' })
    const token = Buffer.from('us@er:p:wä').toString('base64')
    assert.match(request, new RegExp(`^proxy-authorization: Basic ${token}\r$`, 'm'))
  })

  it('carries headers, which come before those of ours', async () => {
    const headers = { 'Proxy-Authorization': 'Bearer x', 'User-Agent': 'test' }
    const { request } = await tunnel(ok, { login: 'user:secret@', headers })
    assert.deepEqual(request.match(/^(?:proxy-authorization|user-agent): .*$/gim), [
      'proxy-authorization: Bearer x',
      'user-agent: test',
    ])
  })

  it('any 2xx will do, and what it says of a body means nothing', async () => {
    for (const answer of [
      'HTTP/1.0 200 Connection established\r\n\r\n',
      'HTTP/1.1 299 X\r\nContent-Length: 5\r\n\r\n',
      'HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n',
    ])
      assert.equal((await tunnel(answer)).error, undefined)
  })

  it('over a stream that is no socket', async () => {
    const deadline = new HandshakeDeadline(0, undefined)
    const stream = new Duplex({
      read() {},
      write(chunk: Buffer, _encoding, done) {
        if (chunk.includes('\r\n\r\n')) this.push(ok)
        done()
      },
    })
    const proxy = parseProxy('proxy.example')
    assert.ok(typeof proxy !== 'string')
    await httpTunnel(stream, 'a.example:443', proxy, {}, deadline)
    assert.equal(stream.destroyed, false)
  })
})

describe('httpTunnel, refusals', () => {
  it('tell that it was the proxy, its status, headers and body, and no password', async () => {
    const error = await refusal(
      'HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm="x"\r\nContent-Length: 5\r\n\r\nwho?\n',
      { login: 'user:secret@' },
    )
    assert.equal(error.message, 'the proxy proxy.example:3128 answered with status 407')
    assert.deepEqual(
      [error.status, error.headers?.['proxy-authenticate'], error.body],
      [407, 'Basic realm="x"', 'who?\n'],
    )
    assert.doesNotMatch(inspect(error, { depth: 9, showHidden: true }), /secret|dXNlcjpzZWNyZXQ/)
  })

  const table: [answer: string, status: number, body: string][] = [
    ['HTTP/1.1 502 X\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nfoo\r\n3\r\nbar\r\n0\r\n\r\n', 502, 'foobar'],
    ['HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n', 503, ''],
    ['HTTP/1.1 302 X\r\nLocation: http://evil.example/\r\nContent-Length: 0\r\n\r\n', 302, ''],
    ['HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n', 101, ''],
    ['HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n', 100, ''],
    [`HTTP/1.1 403 X\r\n\r\n${'x'.repeat(5000)}`, 403, 'x'.repeat(1024)],
  ]
  for (const [answer, status, body] of table) {
    it(JSON.stringify(answer.slice(0, 50)), async () => {
      const error = await refusal(answer)
      assert.deepEqual([error.status, error.body], [status, body])
    })
  }

  it('with an endless body', async () => {
    const error = await refusal((socket) => {
      socket.write('HTTP/1.1 403 X\r\nTransfer-Encoding: chunked\r\n\r\n')
      const timer = setInterval(() => socket.write('1\r\nx\r\n'.repeat(1000)), 1)
      socket.once('close', () => clearInterval(timer))
    })
    assert.equal(error.body, 'x'.repeat(1024))
  })

  it('cut short by the end, by a reset, by the time', async () => {
    const head = 'HTTP/1.1 403 X\r\nContent-Length: 9\r\n\r\nbeca'
    for (const [answer, timeout] of [
      [(socket: Socket) => socket.end(head), 5_000],
      [(socket: Socket) => resetAfter(socket, head), 5_000],
      [head, 500],
    ] as const) {
      const error = await refusal(answer, { timeout })
      assert.deepEqual([error.status, error.body], [403, 'beca'])
    }
  })

  it('what comes behind a 200 is not taken for the answer of the server', async () => {
    const error = await refusal('HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 101 Switching Protocols\r\n\r\n')
    assert.match(error.message, /sent something behind its answer$/)
  })
})

/** A reset some turns later: the reader shares our event loop, and gets every turn what has arrived. */
function resetAfter(socket: Socket, text: string): void {
  const wait = (turns: number): void => {
    if (turns === 0) socket.resetAndDestroy()
    else setImmediate(wait, turns - 1)
  }
  socket.write(text, () => wait(4))
}

describe('httpTunnel, proxies that are none', () => {
  const table: [name: string, answer: string | ((socket: Socket) => void), cause: RegExp][] = [
    ['hangs up', (socket) => socket.end(), /^ECONNRESET$/],
    ['resets', (socket) => socket.resetAndDestroy(), /^ECONNRESET$/],
    ['hangs up within its answer', (socket) => socket.end('HTTP/1.1 20'), /^ECONNRESET$/],
    ['hangs up within its headers', (socket) => socket.end('HTTP/1.1 200 OK\r\nA: b\r\n'), /^ECONNRESET$/],
    ['is no HTTP', 'SSH-2.0-server\r\n', /^HPE_/],
    ['is SOCKS', '\x05\x00\x05\x00', /^HPE_/],
    ['has a header too long', `HTTP/1.1 200 OK\r\nA: ${'b'.repeat(20_000)}\r\n\r\n`, /^HPE_HEADER_OVERFLOW$/],
    ['has headers without end', `HTTP/1.1 200 OK\r\n${'A: b\r\n'.repeat(10_000)}`, /^HPE_HEADER_OVERFLOW$/],
    ['folds its headers', 'HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n', /^HPE_/],
  ]
  for (const [name, answer, cause] of table) {
    it(name, async () => {
      const error = await refusal(answer, { login: 'user:secret@' })
      assert.match(error.message, /^no connection to the proxy proxy\.example:3128: /)
      assert.match(String((error.cause as NodeJS.ErrnoException).code), cause)
      assert.equal(error.status, undefined)
      assert.doesNotMatch(inspect(error, { depth: 9, showHidden: true }), /secret|dXNlcjpzZWNyZXQ/)
    })
  }

  const slow: [name: string, answer: (socket: Socket) => void][] = [
    ['never answers', () => {}],
    ['drips headers', (socket) => every(socket, 'X: y\r\n', 'HTTP/1.1 200 X\r\n')],
  ]
  for (const [name, answer] of slow) {
    it(`${name}: TimeoutError`, async () => {
      const { error } = await tunnel(answer, { timeout: 60 })
      assert.ok(error instanceof TimeoutError, String(error))
    })
  }

  function every(socket: Socket, text: string, first = ''): void {
    socket.write(first)
    const timer = setInterval(() => socket.write(text), 5)
    socket.once('close', () => clearInterval(timer))
  }
})

describe('httpTunnel, over a stream that is gone', () => {
  it('fails at once', async () => {
    const deadline = new HandshakeDeadline(0, undefined)
    const proxy = parseProxy('proxy.example')
    assert.ok(typeof proxy !== 'string')
    const tunnel = httpTunnel(new Duplex().destroy(), 'a.example:443', proxy, {}, deadline)
    await assert.rejects(tunnel, /^HandshakeError: no connection to the proxy proxy\.example:80: ECONNRESET$/)
  })
})

describe('httpTunnel, given up', () => {
  it('before it has begun: the stream is not left behind', async () => {
    const stream = new Duplex()
    const deadline = new HandshakeDeadline(0, undefined)
    const proxy = parseProxy('proxy.example')
    assert.ok(typeof proxy !== 'string')
    const given = Object.create(deadline, { signal: { value: AbortSignal.abort(boom) } }) as HandshakeDeadline
    await assert.rejects(httpTunnel(stream, 'a.example:443', proxy, {}, given), boom)
    assert.equal(stream.destroyed, true)
  })

  it('while it waits, and while a refusal comes', async () => {
    for (const answer of ['', 'HTTP/1.1 200', 'HTTP/1.1 403 X\r\nContent-Length: 9\r\n\r\nno']) {
      const controller = new AbortController()
      const { signal } = controller
      const { error } = await tunnel(
        (socket) => socket.write(answer, () => setImmediate(() => controller.abort(boom))),
        {
          signal,
        },
      )
      assert.equal(error, boom)
    }
  })
})
