import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { Duplex } from 'node:stream'
import { after, describe, it } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { assertNoLeaks } from '../../test/leaks.ts'
import { upgradeRequest } from '../../test/raw-client.ts'
import { TestServer } from '../../test/support/test-server.ts'
import { claim, leave, register, type UpgradeListener } from './unclaimed.ts'
import { Upgrader } from './upgrader.ts'

after(() => assertNoLeaks())

function request(): IncomingMessage {
  return { url: '/' } as IncomingMessage
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
    const taken = request()
    assert.equal(claim(taken), true)
    assert.equal(claim(taken), false)
    assert.equal(claim(request()), true)
  })
})

describe('leave', () => {
  it('answers 404 once, however many leave the request', async () => {
    const [socket, left] = [new FakeSocket(), request()]
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
    const [socket, left] = [new FakeSocket(), request()]
    leave(emitterOf(ours(), ours()), left, socket)
    claim(left)
    assert.equal(await socket.answered(), '')
  })

  it('says nothing where strangers listen', async () => {
    const socket = new FakeSocket()
    leave(
      emitterOf(ours(), () => {}),
      request(),
      socket,
    )
    await setImmediate()
    assert.ok(socket.writable)
    assert.equal(await socket.answered(), '')
  })

  for (const caller of [undefined, null, {}, { listeners: 1 }]) {
    it(`answers when called by hand, from ${JSON.stringify(caller)}`, async () => {
      const socket = new FakeSocket()
      leave(caller, request(), socket)
      assert.match(await socket.answered(), /^HTTP\/1\.1 404 /)
    })
  }

  it('hears the errors of a socket that nobody wants', () => {
    const socket = new FakeSocket()
    leave(
      emitterOf(() => {}),
      request(),
      socket,
    )
    assert.equal(socket.emit('error', new Error('reset')), true)
  })
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
