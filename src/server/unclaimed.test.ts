import assert from 'node:assert/strict'
import { EventEmitter, once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { Duplex, Readable } from 'node:stream'
import { after, describe, it } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { connect as connectTls } from 'node:tls'
import { assertNoLeaks } from '../../test/leaks.ts'
import { RawClient, upgradeRequest } from '../../test/raw-client.ts'
import { certificate, privateKey } from '../../test/support/certificate.ts'
import { FakeClock } from '../../test/support/fake-clock.ts'
import { TestServer } from '../../test/support/test-server.ts'
import { until } from '../../test/support/until.ts'
import { TimerWheel } from '../conn/timer-wheel.ts'
import { serve } from './serve.ts'
import { claim, leave, register, STRANGER_PATIENCE, type UpgradeListener } from './unclaimed.ts'
import { Upgrader } from './upgrader.ts'

after(() => assertNoLeaks())

function newRequest(): IncomingMessage {
  return { url: '/', headers: { upgrade: 'websocket' } } as IncomingMessage
}

/** The server's end of a connection, with a client that says no more. */
class FakeSocket extends Duplex {
  text = ''

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk
    done()
  }

  /** What has been answered once all listeners of the turn had their say. */
  async answered(): Promise<string> {
    await setImmediate()
    this.destroy()
    return this.text
  }
}

function emitterOf(...listeners: UpgradeListener[]): EventEmitter {
  const emitter = new EventEmitter()
  for (const listener of listeners) emitter.on('upgrade', listener)
  return emitter
}

function ours(): UpgradeListener {
  const listener: UpgradeListener = () => {}
  register(listener)
  return listener
}

describe('claim', () => {
  it('lets the first have a request, and nobody after', () => {
    const taken = newRequest()
    assert.equal(claim(taken), true)
    assert.equal(claim(taken), false)
    assert.equal(claim(newRequest()), true)
  })
})

describe('leave', () => {
  it('answers 404 once, however many leave the request', async () => {
    const [socket, left] = [new FakeSocket(), newRequest()]
    const emitter = emitterOf(ours(), ours())
    leave(emitter, left, socket)
    leave(emitter, left, socket)
    assert.equal(socket.text, '', 'not before all listeners were asked')
    const text = await socket.answered()
    assert.match(text, /^HTTP\/1\.1 404 Not Found\r\n/)
    assert.equal(text.split('HTTP/1.1').length, 2)
    assert.ok(socket.writableEnded)
    assert.equal(claim(left), false, 'settled')
  })

  it('says nothing when another takes the request in that turn', async () => {
    const [socket, left] = [new FakeSocket(), newRequest()]
    leave(emitterOf(ours(), ours()), left, socket)
    claim(left)
    assert.equal(await socket.answered(), '')
  })

  it('says nothing where strangers listen', async () => {
    const socket = new FakeSocket()
    leave(
      emitterOf(ours(), () => {}),
      newRequest(),
      socket,
    )
    await setImmediate()
    assert.ok(socket.writable)
    assert.equal(await socket.answered(), '')
    socket.destroy()
  })

  for (const caller of [undefined, null, {}, { listeners: 1 }]) {
    it(`answers when called by hand, from ${JSON.stringify(caller)}`, async () => {
      const socket = new FakeSocket()
      leave(caller, newRequest(), socket)
      assert.match(await socket.answered(), /^HTTP\/1\.1 404 /)
    })
  }

  it('hears the errors of a socket that nobody wants', () => {
    const socket = new FakeSocket()
    leave(
      emitterOf(() => {}),
      newRequest(),
      socket,
    )
    assert.equal(socket.emit('error', new Error('reset')), true)
    socket.destroy()
  })
})

describe('leave, where strangers listen', () => {
  const stranger = (): void => {}

  /** A request that was left, and the time that passes. */
  function left(): { socket: FakeSocket; request: IncomingMessage; clock: FakeClock } {
    const [socket, clock] = [new FakeSocket(), new FakeClock()]
    const request = newRequest()
    const emitter = emitterOf(ours(), stranger, ours())
    const wheel = new TimerWheel(clock)
    leave(emitter, request, socket, wheel)
    leave(emitter, request, socket, wheel)
    return { socket, request, clock }
  }

  it('answers 404 after a while, when nobody touches the socket', async () => {
    const { socket, request, clock } = left()
    clock.advance(STRANGER_PATIENCE)
    await setImmediate()
    assert.equal(socket.text, '')
    clock.advance(300)
    assert.match(await socket.answered(), /^HTTP\/1\.1 404 Not Found\r\n/)
    assert.equal(socket.text.split('HTTP/1.1').length, 2, 'once')
    assert.equal(claim(request), false)
    assert.equal(clock.running, 0)
  })

  const signs: [name: string, touch: (socket: FakeSocket, request: IncomingMessage) => void][] = [
    ['listens for errors', (socket) => socket.on('error', stranger)],
    ['listens for data', (socket) => socket.on('data', stranger)],
    ['will read', (socket) => socket.on('readable', stranger)],
    ['has answered', (socket) => socket.end('HTTP/1.1 418 Mine\r\n\r\n')],
    ['has taken it by hand', (_socket, request) => claim(request)],
  ]
  for (const [name, touch] of signs) {
    it(`says nothing when one of them ${name}`, async () => {
      const { socket, request, clock } = left()
      touch(socket, request)
      const before = socket.text
      clock.advance(10 * STRANGER_PATIENCE)
      assert.equal(await socket.answered(), before)
    })
  }

  it('forgets a client that goes', async () => {
    const { socket, clock } = left()
    assert.equal(clock.running, 1)
    socket.destroy()
    await setImmediate()
    assert.equal(clock.running, 0)
  })

  /** A server where `stranger` listens and an upgrader that wants nothing, and a client of it. */
  async function beside(
    tls: boolean,
    stranger: UpgradeListener,
  ): Promise<{ http: Server; client: Socket; clock: FakeClock; heard: () => string }> {
    const clock = new FakeClock()
    const wheel = new TimerWheel(clock)
    const http = tls ? createTlsServer({ cert: certificate, key: privateKey }) : createServer()
    http.on('request', (_request, response) => response.end('page'))
    http.on('upgrade', stranger)
    function listener(this: unknown, request: IncomingMessage, socket: Duplex): void {
      leave(this, request, socket, wheel)
    }
    register(listener)
    http.on('upgrade', listener)
    http.listen(0, '127.0.0.1')
    await once(http, 'listening')
    const { port } = http.address() as AddressInfo
    const client = tls
      ? connectTls({ port, host: '127.0.0.1', ca: certificate, servername: 'localhost' })
      : connect({ port, host: '127.0.0.1' })
    let text = ''
    client.on('data', (chunk: Buffer) => {
      text += chunk
    })
    return { http, client, clock, heard: () => text }
  }

  for (const tls of [false, true]) {
    const carrier = tls ? 'TLS' : 'TCP'

    it(`answers on ${carrier}, whatever was answered on the connection before`, async () => {
      const { http, client, clock, heard } = await beside(tls, stranger)
      client.write('GET /page HTTP/1.1\r\nHost: a\r\n\r\n')
      await until(() => heard().includes('page'), 'the page')
      client.write(upgradeRequest('/none'))
      await once(http, 'upgrade')
      clock.advance(STRANGER_PATIENCE + 300)
      await once(client, 'close')
      assert.match(heard(), /HTTP\/1\.1 404 Not Found\r\n/)
      http.close()
      await once(http, 'close')
    })

    it(`leaves a stranger that has written on ${carrier} all the time there is`, async () => {
      let theirs: Duplex | undefined
      const { http, client, clock, heard } = await beside(tls, (_request, socket) => {
        theirs = socket
      })
      client.write(upgradeRequest('/theirs'))
      await once(http, 'upgrade')
      theirs?.write('HTTP/1.1 101 Theirs\r\n\r\n')
      clock.advance(STRANGER_PATIENCE + 300)
      theirs?.end('more')
      await once(client, 'close')
      assert.equal(heard(), 'HTTP/1.1 101 Theirs\r\n\r\nmore')
      http.close()
      await once(http, 'close')
    })
  }
})

describe('several upgraders on one server', () => {
  const paths = ['/a', '/b', '/a/b']

  async function withUpgraders(
    attach: (http: TestServer['http'], listeners: UpgradeListener[]) => void,
  ): Promise<{ server: TestServer; upgraders: Upgrader[]; got: string[] }> {
    const got: string[] = []
    const upgraders = paths.map((path) => new Upgrader({ path }))
    const listeners = upgraders.map((upgrader, i) => upgrader.handler(() => void got.push(paths[i] ?? '')))
    const server = await TestServer.start((http) => attach(http, listeners))
    return { server, upgraders, got }
  }

  it('each gets the requests for its path, and one 404 answers the rest', async () => {
    const { server, got } = await withUpgraders((http, listeners) => {
      for (const listener of listeners) http.on('upgrade', listener)
    })
    await using _ = server
    for (const path of ['/b?x', '/a', '/a/b#', '/a/b', '/a?', 'http://elsewhere/b?y']) {
      const client = server.client(upgradeRequest(path))
      await client.until(() => client.status !== undefined, 'an answer')
      assert.equal(client.status, path.endsWith('#') ? 404 : 101, path)
      await client.destroy()
    }
    assert.deepEqual(got, ['/b', '/a', '/a/b', '/a', '/b'])
    for (const path of ['/', '/c', '/A', '/a/', '//a', '/%61', '/a/../b', '*', '/?/a', 'http://a']) {
      const answer = await server.answer(upgradeRequest(path))
      assert.match(answer, /^HTTP\/1\.1 404 Not Found\r\n.*\r\n\r\nNot Found\n$/s, path)
      assert.equal(answer.split('HTTP/1.1').length, 2, 'one answer')
    }
    await server.empty()
  })

  describe('and requests that offer another protocol', () => {
    const offer = (start: string, more = ''): string =>
      `${start} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAM\r\n${more}\r\n`

    it('give them back to HTTP where they want none of its paths', async () => {
      const upgrader = new Upgrader({ path: '/ws' })
      await using server = await TestServer.start((http) => {
        http.on(
          'upgrade',
          upgrader.handler(() => {}),
        )
        http.on('request', (request, response) => {
          response.setHeader('X-Method', request.method ?? '')
          request.resume().on('end', () => response.end(`page ${request.url}`))
        })
      })
      const page = await server.answer(offer('GET /page'))
      assert.match(page, /^HTTP\/1\.1 200 OK\r\nX-Method: GET\r\n.*Connection: close\r\n/s)
      assert.match(page, /page \/page/)
      assert.match(await server.answer(offer('HEAD /page')), /^HTTP\/1\.1 200 OK\r\nX-Method: HEAD\r\n/)
      assert.match(await server.answer(offer('GET /ws')), /^HTTP\/1\.1 426 /)
    })

    for (const path of ['/ws', undefined]) {
      it(`answer 501 to those with a body, as nobody can read it any more: path ${path}`, async () => {
        await using server = await TestServer.start((http) => {
          http.on(
            'upgrade',
            new Upgrader({ path }).handler(() => assert.fail('upgraded')),
          )
          http.on('request', (_request, response) => response.end('page'))
        })
        const length = 'Content-Length: 1\r\n'
        const answer = await server.answer(`${offer('POST /page', length)}x`)
        assert.match(
          answer,
          /^HTTP\/1\.1 501 Not Implemented\r\n.*Connection: close\r\n.*without the Upgrade/s,
        )
        const chunked = 'Transfer-Encoding: chunked\r\n'
        assert.match(await server.answer(`${offer('POST /page', chunked)}0\r\n\r\n`), /^HTTP\/1\.1 501 /)
        assert.match(await server.answer(offer('PUT /page', 'Content-Length: 0\r\n')), /^HTTP\/1\.1 200 /)
      })
    }

    it('give them back also where an upgrader has no path', async () => {
      await using server = await TestServer.start((http) => {
        http.on(
          'upgrade',
          new Upgrader().handler(() => assert.fail('upgraded')),
        )
        http.on('request', (request, response) => response.end(`page ${request.url}`))
      })
      assert.match(await server.answer(offer('GET /page')), /^HTTP\/1\.1 200 OK\r\n.*page \/page/s)
    })

    it('give them back at once where a stranger listens that does not touch them', async () => {
      await using server = await TestServer.start((http) => {
        const upgrader = new Upgrader({ path: '/ws' })
        http.on(
          'upgrade',
          upgrader.handler(() => {}),
        )
        http.on('upgrade', ({ url }, socket) => {
          if (url === '/theirs') socket.end('HTTP/1.1 299 Theirs\r\n\r\n')
        })
        http.on('request', (request, response) => response.end(`page ${request.url}`))
      })
      assert.match(await server.answer(offer('GET /page')), /^HTTP\/1\.1 200 OK\r\n.*page \/page/s)
      assert.equal(await server.answer(offer('GET /theirs')), 'HTTP/1.1 299 Theirs\r\n\r\n')
    })

    it('are answered 426 by the own server of serve, which has no pages', async () => {
      const refused: string[] = []
      await using server = await serve({ onReject: ({ reason }) => void refused.push(reason.code) }, () => {})
      const client = new RawClient(Number(new URL(server.url).port))
      client.write(offer('GET /'))
      await client.until(() => client.closed, 'the answer')
      assert.match(client.received.toString(), /^HTTP\/1\.1 426 /)
      assert.deepEqual(refused, ['ERR_WS_UPGRADE_HEADER'])
    })

    it('let a long answer stream, and keep nothing of a client that stays or goes', async () => {
      const upgrader = new Upgrader({ path: '/ws' })
      const gone: string[] = []
      const polls = new EventEmitter()
      const polled = once(polls, 'poll')
      await using server = await TestServer.start((http) => {
        http.on(
          'upgrade',
          upgrader.handler(() => {}),
        )
        http.on('request', (request, response) => {
          if (request.url === '/poll') {
            response.once('close', () => gone.push('/poll'))
            polls.emit('poll')
          } else Readable.from(Array.from({ length: 64 }, () => Buffer.alloc(65_536, 'x'))).pipe(response)
        })
      })
      const answer = await server.answer(offer('GET /long'))
      assert.equal(answer.match(/x{65536}/g)?.length, 64)
      const waiting = server.client(offer('GET /poll'))
      await polled
      await waiting.destroy()
      const staying = server.client(offer('GET /long'), { allowHalfOpen: true })
      await staying.until(() => staying.ended, 'the answer')
      await staying.destroy()
      await server.empty()
      assert.deepEqual(gone, ['/poll'])
    })

    it('end what comes behind a request that is still being answered: nothing could be said in order', async () => {
      const upgrader = new Upgrader({ path: '/ws' })
      const answers: ServerResponse[] = []
      await using server = await TestServer.start((http) => {
        http.on(
          'upgrade',
          upgrader.handler(() => assert.fail('upgraded')),
        )
        http.on('request', (_request, response) => answers.push(response))
      })
      const slow = 'GET /slow HTTP/1.1\r\nHost: a\r\n\r\n'
      for (const next of [offer('GET /page'), upgradeRequest('/ws'), upgradeRequest('/none')]) {
        assert.equal(await server.answer(slow + next), '')
      }
      assert.equal(answers.length, 3)
      await server.empty()
    })

    it('answer 404 where there is no HTTP', async () => {
      const upgrader = new Upgrader({ path: '/ws' })
      await using server = await TestServer.start((http) =>
        http.on(
          'upgrade',
          upgrader.handler(() => {}),
        ),
      )
      assert.match(await server.answer(offer('GET /page')), /^HTTP\/1\.1 404 /)
    })
  })

  it('may choose their requests by a function of the path', async () => {
    const got: (string | undefined)[] = []
    await using server = await TestServer.start((http) => {
      const rooms = new Upgrader({ path: (path) => /^\/rooms\/\d+$/.test(path) })
      http.on(
        'upgrade',
        rooms.handler((conn) => void got.push(conn.request.url)),
      )
      const news = new Upgrader({ path: '/news' })
      http.on(
        'upgrade',
        news.handler(() => void got.push('news')),
      )
    })
    for (const path of ['/rooms/7?x=/news', '/news', '/rooms/12']) {
      const client = server.client(upgradeRequest(path))
      await client.until(() => client.status === 101, path)
    }
    assert.deepEqual(got, ['/rooms/7?x=/news', 'news', '/rooms/12'])
    for (const path of ['/rooms/', '/rooms/x', '*'])
      assert.match(await server.answer(upgradeRequest(path)), /^HTTP\/1\.1 404 /)
  })

  it('answer 500, once, where that function fails, and no other upgrader is asked to', async () => {
    const reasons: unknown[] = []
    await using server = await TestServer.start((http) => {
      const broken = new Upgrader({
        path: () => assert.fail('boom'),
        onReject: ({ reason }) => void reasons.push(reason.code, String(reason.cause)) as undefined,
      })
      for (const upgrader of [broken, broken, new Upgrader()])
        http.on(
          'upgrade',
          upgrader.handler(() => assert.fail('taken')),
        )
    })
    const answer = await server.answer(upgradeRequest('/'))
    assert.match(answer, /^HTTP\/1\.1 500 .*\r\n\r\nthe server could not answer the request\n$/s)
    assert.equal(answer.split('HTTP/1.1').length, 2)
    assert.deepEqual(reasons, ['ERR_WS_SERVER', 'AssertionError [ERR_ASSERTION]: boom'])
  })

  it('do not pile up listeners on a socket', async () => {
    const warnings: unknown[] = []
    const onWarning = (warning: unknown): void => void warnings.push(warning)
    process.on('warning', onWarning)
    await using server = await TestServer.start((http) => {
      http.setMaxListeners(40)
      for (let i = 0; i < 30; i++)
        http.on(
          'upgrade',
          new Upgrader({ path: `/${i}` }).handler(() => {}),
        )
    })
    assert.match(await server.answer(upgradeRequest('/none')), /^HTTP\/1\.1 404 /)
    await setImmediate()
    process.off('warning', onWarning)
    assert.deepEqual(warnings, [])
  })

  it('leave alone what a stranger on the server may want', async () => {
    const strange: string[] = []
    const { server, got } = await withUpgraders((http, listeners) => {
      for (const listener of listeners) http.on('upgrade', listener)
      http.on('upgrade', ({ url = '' }, socket) => {
        strange.push(url)
        // A stranger takes its time, and has a handshake of its own.
        if (url === '/theirs') void setImmediate().then(() => socket.end('HTTP/1.1 299 Theirs\r\n\r\n'))
      })
    })
    await using _ = server
    assert.equal(await server.answer(upgradeRequest('/theirs')), 'HTTP/1.1 299 Theirs\r\n\r\n')
    const mine = server.client(upgradeRequest('/a'))
    await mine.until(() => mine.status === 101, 'the upgrade')
    assert.deepEqual([got, strange], [['/a'], ['/theirs', '/a']])
  })

  it('share it with a stranger and with HTTP routes, each keeping its own', async () => {
    const polled: string[] = []
    const { server, got } = await withUpgraders((http, listeners) => {
      http.on('request', ({ url }, response) => {
        polled.push(url ?? '')
        response.statusCode = url === '/page' ? 200 : 404
        response.end(`page ${url}`)
      })
      http.on('upgrade', ({ url }, socket) => {
        // As a dev server does: its own path, answered at once, and nothing else.
        if (url === '/hmr')
          socket.write('HTTP/1.1 101 Theirs\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
      })
      for (const listener of listeners) http.on('upgrade', listener)
    })
    await using _ = server
    const plain = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`
    const theirs = server.client(upgradeRequest('/hmr'))
    await theirs.until(() => theirs.status === 101, 'their upgrade')
    for (const path of paths) {
      const client = server.client(upgradeRequest(path))
      await client.until(() => client.status === 101, path)
      assert.match(
        await server.answer(plain(path)),
        /^HTTP\/1\.1 404 .*page/s,
        'without an upgrade it is a page',
      )
      // Kept alive, a connection may ask for a page first.
      const both = server.client(plain('/page').replace('close', 'keep-alive'))
      await both.until(() => both.received.includes('page /page'), 'the page')
      both.write(upgradeRequest(path))
      await both.until(() => both.received.includes('101 Switching Protocols'), 'the upgrade')
    }
    assert.match(theirs.received.toString(), /^HTTP\/1\.1 101 Theirs\r\n/)
    assert.equal(theirs.received.toString().split('HTTP/1.1').length, 2)
    assert.deepEqual(
      got,
      paths.flatMap((path) => [path, path]),
    )
    assert.deepEqual(
      polled,
      paths.flatMap((path) => [path, '/page']),
    )
  })

  it('called by hand they answer what none of them takes', async () => {
    const { server, got } = await withUpgraders((http, listeners) => {
      http.on('upgrade', (...event) => {
        for (const listener of listeners) listener(...event)
      })
    })
    await using _ = server
    const mine = server.client(upgradeRequest('/a/b'))
    await mine.until(() => mine.status === 101, 'the upgrade')
    assert.deepEqual(got, ['/a/b'])
    assert.match(await server.answer(upgradeRequest('/c')), /^HTTP\/1\.1 404 /)
  })

  for (const wrapperFirst of [true, false]) {
    it(`called by hand they answer at once where others are registered: wrapper first ${wrapperFirst}`, async () => {
      const byHand = new Upgrader({ path: '/b' }).handler(() => {})
      const registered = new Upgrader({ path: '/a' }).handler(() => {})
      await using server = await TestServer.start((http) => {
        const wrapper: UpgradeListener = (request, socket, head) => {
          // As examples for servers have it: that says nothing about who wants the request.
          socket.on('error', () => {})
          byHand(request, socket, head)
        }
        for (const listener of wrapperFirst ? [wrapper, registered] : [registered, wrapper])
          http.on('upgrade', listener)
      })
      const client = server.client(upgradeRequest('/c'))
      await client.until(() => client.ended, 'the answer, long before the patience with strangers is over')
      assert.match(client.received.toString(), /^HTTP\/1\.1 404 /)
      await client.destroy()
    })
  }

  for (const wrapperFirst of [true, false]) {
    it(`called by hand they leave alone what another library answers: wrapper first ${wrapperFirst}`, async () => {
      const accept = new Upgrader({ path: '/mine' }).handler(() => {})
      const theirs = 'HTTP/1.1 101 Theirs\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'
      await using server = await TestServer.start((http) => {
        const wrapper: UpgradeListener = (request, socket, head) => accept(request, socket, head)
        const library: UpgradeListener = ({ url }, socket) => {
          if (url === '/hmr') socket.write(theirs)
          // One that asks elsewhere first, and listens for nothing meanwhile.
          if (url === '/later') void setImmediate().then(() => socket.write(theirs))
        }
        for (const listener of wrapperFirst ? [wrapper, library] : [library, wrapper])
          http.on('upgrade', listener)
      })
      for (const path of ['/hmr', '/later']) {
        const client = server.client(upgradeRequest(path))
        await client.until(() => client.status === 101, 'their answer')
        await setImmediate()
        await setImmediate()
        await client.destroy()
        assert.equal(client.received.toString(), theirs)
      }
    })
  }

  it('called by hand leave alone what their caller hands to somebody else too', async () => {
    const accept = new Upgrader({ path: '/mine' }).handler(() => {})
    const theirs = 'HTTP/1.1 101 Theirs\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'
    await using server = await TestServer.start((http) =>
      http.on('upgrade', (request, socket, head) => {
        accept(request, socket, head)
        if (request.url === '/theirs') socket.write(theirs)
      }),
    )
    const client = server.client(upgradeRequest('/theirs'))
    await client.until(() => client.status === 101, 'their answer')
    await client.destroy()
    assert.equal(client.received.toString(), theirs)
  })

  it('only the first of two that want the same path gets a request', async () => {
    const got: string[] = []
    await using server = await TestServer.start((http) => {
      http.on(
        'upgrade',
        new Upgrader({ path: '/a' }).handler(() => void got.push('first')),
      )
      http.on(
        'upgrade',
        new Upgrader().handler(() => void got.push('second')),
      )
    })
    const client = server.client(upgradeRequest('/a'))
    await client.until(() => client.status === 101, 'the upgrade')
    const other = server.client(upgradeRequest('/b'))
    await other.until(() => other.status === 101, 'the upgrade')
    assert.deepEqual(got, ['first', 'second'])
    assert.equal(client.received.toString().split('101').length, 2)
  })

  it('survive clients that hang up on a request that nobody wants', async () => {
    const { server } = await withUpgraders((http, listeners) => {
      for (const listener of listeners) http.on('upgrade', listener)
      http.on('upgrade', () => {})
    })
    await using _ = server
    const client = server.client()
    const upgrade = new Promise((resolve) => server.http.once('upgrade', resolve))
    client.write(upgradeRequest('/c'))
    await upgrade
    await client.reset()
    // Nobody reads from that socket; the server lives on.
    const next = server.client(upgradeRequest('/a'))
    await next.until(() => next.status === 101, 'the upgrade')
  })
})
