import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, IncomingMessage, type Server, type ServerOptions } from 'node:http'
import { type AddressInfo, Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { after, describe, it } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { frame } from '../../test/frames.ts'
import { assertNoLeaks } from '../../test/leaks.ts'
import { eachAtOnce, RawClient, upgradeRequest } from '../../test/raw-client.ts'
import { certificate, privateKey } from '../../test/support/certificate.ts'
import { FakeClock } from '../../test/support/fake-clock.ts'
import { until } from '../../test/support/until.ts'
import { TICK, TimerWheel } from '../conn/timer-wheel.ts'
import { openFastLane } from './fast-lane.ts'
import { serve } from './serve.ts'
import { parseUpgradeHead } from './upgrade-head.ts'

after(() => assertNoLeaks())

/** Why there is no lane here. */
const noLane = openFastLane(createServer()) ? false : 'the lane is for Node alone, see docs/runtimes.md'

/** A server on a port, with the lane or without. */
class Station implements AsyncDisposable {
  readonly server: Server
  readonly clock = new FakeClock()
  /** The server's ends of all connections. */
  readonly sockets: Socket[] = []
  readonly clients: RawClient[] = []

  private constructor(options: ServerOptions, lane: boolean) {
    this.server = createServer(options)
    if (lane) assert.ok(openFastLane(this.server, new TimerWheel(this.clock)))
    this.server.on('connection', (socket: Socket) => this.sockets.push(socket))
  }

  static async open(options: ServerOptions = {}, lane = true): Promise<Station> {
    const station = new Station(options, lane)
    station.server.listen(0, '127.0.0.1')
    await once(station.server, 'listening')
    return station
  }

  client(bytes = ''): RawClient {
    const client = new RawClient((this.server.address() as AddressInfo).port)
    this.clients.push(client)
    if (bytes !== '') client.write(bytes)
    return client
  }

  /** A client that has connected, and the server's end of it. */
  async waiting(): Promise<{ client: RawClient; socket: Socket }> {
    const { length } = this.sockets
    const client = this.client()
    await until(() => this.sockets.length > length, 'the connection')
    return { client, socket: this.sockets[length] as Socket }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.sockets) socket.destroy()
    for (const client of this.clients) client.socket.destroy()
    this.server.close()
    await once(this.server, 'close')
  }
}

const kinds = ['data', 'readable', 'end', 'error', 'close', 'timeout', 'drain', 'pause', 'resume']

/** All that a listener for upgrades can see. */
async function upgradeOf(bytes: string, lane: boolean): Promise<unknown> {
  await using station = await Station.open({}, lane)
  const upgraded = once(station.server, 'upgrade')
  station.client(bytes)
  const [request, socket, rest] = (await upgraded) as [IncomingMessage, Socket, Buffer]
  const { method, url, httpVersion, httpVersionMajor, httpVersionMinor, complete, aborted, readable } =
    request
  const { headers, headersDistinct, rawHeaders, trailers, trailersDistinct, rawTrailers, statusCode } =
    request
  const { readableFlowing, allowHalfOpen, writable, readableLength, timeout = 0, bytesRead } = socket
  request.resume()
  await once(request, 'end')
  return {
    ...{
      method,
      url,
      httpVersion,
      httpVersionMajor,
      httpVersionMinor,
      complete,
      aborted,
      readable,
      statusCode,
    },
    ...{ headers, headersDistinct, rawHeaders, trailers, trailersDistinct, rawTrailers },
    upgrade: (request as { upgrade?: unknown }).upgrade,
    message: request instanceof IncomingMessage && request.socket === socket && socket instanceof Socket,
    socket: { readableFlowing, allowHalfOpen, writable, readableLength, timeout, bytesRead },
    server: (socket as { server?: unknown }).server === station.server,
    paused: socket.isPaused(),
    listeners: kinds.map((kind) => [kind, socket.listenerCount(kind)]),
    newcomer: Object.getOwnPropertySymbols(socket)
      .filter((symbol) => symbol.description === 'silverback.newcomer')
      .flatMap((symbol) => (socket as unknown as Record<symbol, unknown>)[symbol] ?? []),
    rest,
  }
}

/** What a client hears that sends these pieces, each in a read of its own as far as the network goes along. */
async function heard(pieces: readonly Buffer[], lane: boolean, listen = true): Promise<string> {
  await using station = await Station.open({}, lane)
  station.server.on('request', async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    response.sendDate = false
    response.end(`${request.method} ${request.url} ${body}`)
  })
  if (listen)
    station.server.on('upgrade', (request, socket, rest) => {
      let text = `${request.url} upgraded: ${rest}`
      socket.on('data', (chunk: Buffer) => {
        text += chunk
      })
      socket.on('error', () => {})
      socket.on('end', () => socket.end(text))
    })
  const client = station.client()
  await once(client.socket, 'connect')
  for (const piece of pieces) {
    if (client.socket.writable) await new Promise((resolve) => client.socket.write(piece, resolve))
    await setImmediate()
  }
  client.socket.end()
  await client.until(() => client.closed, 'the end')
  return client.received.toString('latin1')
}

/** What a listener on the socket sees that was set with `'connection'`, and what the server makes of the same bytes. */
async function overheard(
  pieces: readonly string[],
  kind: 'data' | 'readable',
  lane: boolean,
): Promise<{ seen: string; served: string[] }> {
  await using station = await Station.open({}, lane)
  let seen = ''
  const served: string[] = []
  station.server.on('connection', (socket: Socket) => {
    if (kind === 'data') socket.on('data', (chunk: Buffer) => (seen += chunk))
    else
      socket.on('readable', () => {
        for (let chunk = socket.read(); chunk !== null; chunk = socket.read()) seen += chunk
      })
  })
  station.server.on('request', async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    served.push(`${request.method} ${request.url} ${body}`)
    response.end()
  })
  station.server.on('upgrade', (request, socket, rest) => {
    socket.on('error', () => {}).on('data', () => {})
    served.push(`${request.url} upgraded: ${rest}`)
  })
  const { client } = await station.waiting()
  let sent = ''
  for (const piece of pieces) {
    client.write(piece)
    sent += piece
    await until(() => seen.length >= sent.length, 'the chunk to be seen')
  }
  await until(() => served.length >= (pieces.join('').match(/HTTP/g)?.length ?? 0), 'all to be served')
  return { seen, served }
}

const chrome = upgradeRequest('/chat?a=b', {
  Pragma: 'no-cache',
  'Cache-Control': 'no-cache',
  'User-Agent': 'Mozilla/5.0 (X11; Linux x86_64)',
  Origin: 'http://127.0.0.1:8080',
  'Accept-Encoding': 'gzip, deflate, br, zstd',
  Cookie: 'a=b; c=d',
  'Sec-WebSocket-Extensions': 'permessage-deflate; client_max_window_bits',
})
const odd = upgradeRequest('/', { 'X-Padding': ' two spaces' })
const get = 'GET /page HTTP/1.1\r\nHost: a\r\n\r\n'

describe('openFastLane', { skip: noLane }, () => {
  for (const [what, bytes] of [
    ['a plain handshake', upgradeRequest('/')],
    ['the handshake of a browser', chrome],
    ['a handshake with early bytes', `${chrome}early`],
    ['a handshake that is not simple', odd],
  ] as const) {
    it(`${what}: an upgrade as HTTP makes it`, async () => {
      assert.equal(parseUpgradeHead(Buffer.from(bytes)) !== undefined, bytes !== odd)
      assert.deepEqual(await upgradeOf(bytes, true), await upgradeOf(bytes, false))
    })
  }

  const conversations: Record<string, string> = {
    'a handshake': chrome,
    'a handshake and early bytes': `${upgradeRequest('/')}early bytes`,
    'a handshake that is not simple, and early bytes': `${odd}early bytes`,
    'a request': get,
    'a request with a body': 'POST /form HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello',
    'a request with chunks':
      'PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n',
    'two requests': `${get}${get.replace('page', 'other')}`,
    'a request and a handshake behind it': `${get.replace('\r\n\r\n', '\r\nX: y\r\n\r\n')}${upgradeRequest('/')}early`,
    h2c: upgradeRequest('/', {
      Upgrade: 'h2c',
      Connection: 'Upgrade, HTTP2-Settings',
      'HTTP2-Settings': 'AA',
    }),
    'a handshake without Host': upgradeRequest('/', { Host: undefined }),
    'a head without end': upgradeRequest('/').slice(0, -2),
    'no HTTP': '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
    nothing: '',
  }
  for (const [what, text] of Object.entries(conversations)) {
    it(`${what}: is answered as by HTTP, whole and in pieces`, async () => {
      const bytes = Buffer.from(text, 'latin1')
      const expected = await heard([bytes], false)
      const size = Math.ceil(bytes.length / 5)
      const fifths = Array.from({ length: 5 }, (_, index) => bytes.subarray(index * size, (index + 1) * size))
      const single = Array.from(bytes, (byte) => Buffer.of(byte))
      const two = [bytes.subarray(0, -2), bytes.subarray(-2)]
      for (const pieces of [[bytes], fifths, two, single]) assert.equal(await heard(pieces, true), expected)
    })
  }

  it('nobody listens for upgrades: they are ordinary requests', async () => {
    const bytes = Buffer.from(upgradeRequest('/plain'))
    const answer = await heard([bytes], true, false)
    assert.match(answer, /^HTTP\/1\.1 200 OK\r\n(.|\r\n)*GET \/plain $/)
    assert.equal(answer, await heard([bytes], false, false))
  })

  it('what comes before anybody listens is not lost', async () => {
    await using station = await Station.open()
    const upgraded = once(station.server, 'upgrade')
    const client = station.client(`${upgradeRequest('/')}one `)
    const [, socket, rest] = (await upgraded) as [unknown, Socket, Buffer]
    const { bytesRead } = socket
    client.write('two')
    await until(() => socket.bytesRead > bytesRead, 'more bytes')
    let text = rest.toString()
    socket.on('data', (chunk) => {
      text += chunk
    })
    client.socket.end()
    await once(socket, 'end')
    assert.equal(text, 'one two')
  })

  it('who says nothing gets 408 after the shorter of the two times', async () => {
    await using station = await Station.open({ headersTimeout: 3_000, requestTimeout: 5_000 })
    const { client, socket } = await station.waiting()
    station.clock.advance(2_900)
    assert.ok(!socket.destroyed)
    station.clock.advance(100 + 2 * TICK)
    await client.until(() => client.closed, 'the end')
    assert.equal(client.received.toString(), 'HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n')
    assert.equal(station.clock.running, 0)
  })

  it('either time alone counts, and none is no limit', async () => {
    for (const [headersTimeout, requestTimeout, limit] of [
      [0, 1_000, true],
      [1_000, 0, true],
      [0, 0, false],
    ] as const) {
      await using station = await Station.open()
      Object.assign(station.server, { headersTimeout, requestTimeout })
      const { client, socket } = await station.waiting()
      station.clock.advance(1_000 + 2 * TICK)
      assert.equal(socket.destroyed, limit)
      assert.equal(station.clock.running, 0)
      if (limit) await client.until(() => client.closed, 'the end')
    }
  })

  it('who has said something has no time of the lane any more', async () => {
    await using station = await Station.open({ headersTimeout: 1_000 })
    station.server.on('upgrade', () => {})
    for (const bytes of [upgradeRequest('/'), 'GET']) {
      const { client, socket } = await station.waiting()
      assert.equal(station.clock.running, 1)
      client.write(bytes)
      await until(() => station.clock.running === 0, 'the first bytes')
      station.clock.advance(5_000)
      assert.ok(!socket.destroyed)
    }
  })

  it('a listener for clientError hears of the timeout, and the rest is up to it', async () => {
    await using station = await Station.open({ headersTimeout: 1_000 })
    const heardOf = once(station.server, 'clientError')
    const { client, socket } = await station.waiting()
    station.clock.advance(1_000 + 2 * TICK)
    const [error, which] = (await heardOf) as [NodeJS.ErrnoException, Socket]
    assert.equal(error.code, 'ERR_HTTP_REQUEST_TIMEOUT')
    assert.equal(which, socket)
    assert.ok(!socket.destroyed)
    socket.end('bye')
    client.socket.end()
    await client.until(() => client.closed, 'the end')
    assert.equal(client.received.toString(), 'bye')
  })

  it('who hangs up, is reset or destroyed without a word is gone', async () => {
    await using station = await Station.open({ headersTimeout: 1_000 })
    for (const end of ['end', 'reset', 'destroy'] as const) {
      const { client, socket } = await station.waiting()
      assert.equal(station.clock.running, 1)
      const closed = once(socket, 'close')
      if (end === 'end') client.socket.end()
      else if (end === 'reset') client.socket.resetAndDestroy()
      else socket.destroy()
      await closed.catch(() => {})
      await client.until(() => client.closed, 'the end')
      assert.equal(client.receivedLength, 0)
      assert.equal(station.clock.running, 0, end)
    }
  })

  it('a listener for clientError hears of a reset', async () => {
    await using station = await Station.open()
    const heardOf = once(station.server, 'clientError')
    const { client, socket } = await station.waiting()
    client.socket.resetAndDestroy()
    const [error, which] = (await heardOf) as [NodeJS.ErrnoException, Socket]
    assert.equal(error.code, 'ECONNRESET')
    assert.equal(which, socket)
  })

  it('what only HTTP sees to is left to it: timeout', async () => {
    await using station = await Station.open()
    station.server.timeout = 1
    const timedOut = once(station.server, 'timeout')
    const { socket } = await station.waiting()
    assert.equal((await timedOut)[0], socket)
  })

  it('what only HTTP sees to is left to it: maxHeadersCount', async () => {
    await using station = await Station.open()
    station.server.maxHeadersCount = 3
    // Node 20 leaves out what is more, later versions refuse the request.
    const told = Promise.race([
      once(station.server, 'upgrade').then(([request]) => Object.keys((request as IncomingMessage).headers)),
      once(station.server, 'clientError').then(() => []),
    ])
    station.client(upgradeRequest('/'))
    assert.ok((await told).length <= 3)
  })

  it('streams that are handed over by hand are left to HTTP', async () => {
    await using station = await Station.open()
    const upgraded = once(station.server, 'upgrade')
    const stream = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() })
    station.server.emit('connection', stream)
    stream.push(upgradeRequest('/by-hand'))
    const [request, socket] = (await upgraded) as [IncomingMessage, Duplex]
    assert.equal(request.url, '/by-hand')
    assert.equal(socket, stream)
    stream.destroy()
  })

  for (const kind of ['data', 'readable'] as const) {
    for (const [what, pieces] of [
      ['a request', [get]],
      ['requests that follow each other', [get, get.replace('page', 'other'), get]],
      ['a request in pieces', [get.slice(0, 9), get.slice(9)]],
      ['a request and a body', ['POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n', 'hello']],
      ['a handshake that is not simple', [odd, 'more']],
      ['a handshake in pieces', [chrome.slice(0, 50), chrome.slice(50), 'more']],
    ] as const) {
      it(`a listener of others for ${kind} sees each chunk once, as beside HTTP: ${what}`, async () => {
        const expected = await overheard(pieces, kind, false)
        assert.equal(expected.seen, pieces.join(''))
        assert.deepEqual(await overheard(pieces, kind, true), expected)
      })
    }
  }

  it('opens only where HTTP has one listener for connections', () => {
    const none = createServer()
    none.removeAllListeners('connection')
    assert.equal(openFastLane(none), false)
    const two = createServer().on('connection', () => {})
    const before = two.listeners('connection')
    assert.equal(openFastLane(two), false)
    assert.deepEqual(two.listeners('connection'), before)
  })
})

describe('openFastLane, under serve', () => {
  const mask = Buffer.from([1, 2, 3, 4])
  const early = upgradeRequest('/') + frame({ opcode: 1, payload: 'early', mask }).toString('latin1')

  function portOf(server: { readonly url: string }): number {
    return Number(new URL(server.url).port)
  }

  it('is not open on servers of others, and not with TLS', { skip: noLane }, async () => {
    const http = createServer()
    const before = http.listeners('connection')
    await using _given = await serve({ server: http }, () => {})
    assert.deepEqual(http.listeners('connection'), before)
    await using server = await serve({ tls: { cert: certificate, key: privateKey } }, () => {})
    const { name } = server.server.listeners('connection')[0] as { name: string }
    assert.notEqual(name, '')
    await using own = await serve({}, () => {})
    assert.equal((own.server.listeners('connection')[0] as { name: string }).name, '')
  })

  for (const authorize of [() => true, () => setImmediate(true)]) {
    it(`messages in the chunk of the handshake are heard; authorize: ${authorize}`, async () => {
      await using server = await serve({ authorize }, async (conn) => {
        for await (const message of conn) conn.send(message)
      })
      const client = new RawClient(portOf(server))
      client.write(early)
      client.write(frame({ opcode: 1, payload: 'later', mask }))
      await client.until(() => client.events.length === 2, 'two echoes')
      await client.destroy()
    })
  }

  it('close drops who has not said anything', async () => {
    const server = await serve({}, () => {})
    const silent = new RawClient(portOf(server))
    await once(server.server, 'connection')
    await server.close()
    await silent.until(() => silent.closed, 'the end')
  })

  it('a crowd of odd clients leaves nothing behind, and the next one is served', async () => {
    await using server = await serve({ handshakeTimeout: 100 }, (conn) => void conn.send('hi'))
    const begin = upgradeRequest('/')
    const first = [
      '',
      'GET',
      '\0',
      begin.slice(0, -1),
      `${begin}\xff\xff`,
      'x'.repeat(20_000),
      get,
      odd,
      early,
    ]
    const crowd = Array.from({ length: 1_000 }, (_, index) => index)
    await eachAtOnce(crowd, 50, async (index) => {
      const client = new RawClient(portOf(server))
      await once(client.socket, 'connect').catch(() => {})
      client.write(first[index % first.length] as string)
      if (index % 3 === 0) await client.reset()
      else if (index % 3 === 1) await client.destroy()
      else {
        client.socket.end()
        await client.until(() => client.closed, 'the end')
      }
    })
    const good = await RawClient.upgraded(portOf(server), '/')
    const count = (): Promise<number> =>
      new Promise((resolve) => server.server.getConnections((_error, connections) => resolve(connections)))
    while ((await count()) > 1) await setImmediate()
    assert.equal(server.connections.size, 1)
    await good.destroy()
  })
})
