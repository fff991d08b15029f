// Debian's python3-websockets: a client at our server, and a server for our client.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, describe, test } from 'node:test'
import { type Conn, dial, HandshakeError, reject, type Server, type ServerConn, serve } from 'silverback'
import { assertNoLeaks } from '../test/leaks.ts'
import { pythonWithWebsockets } from './peers.ts'
import { type Opened, PythonError, PythonPeer } from './python/peer.ts'
import { assertSame, ending, samples } from './samples.ts'

const python = pythonWithWebsockets()
const skip = python === undefined ? 'no Python with websockets (apt-get install python3-websockets)' : false
const newPeer = (): PythonPeer => new PythonPeer(python ?? '')

after(() => assertNoLeaks())

/** Two ends of one connection. */
interface Pair<Ours extends Conn> extends AsyncDisposable {
  readonly conn: Ours
  readonly peer: PythonPeer
  readonly opened: Opened
}

/** Sets up a pair; what cannot be set up is cleared away. */
async function pairOf<Ours extends Conn>(
  peer: PythonPeer,
  ends: Promise<readonly [Ours, Opened]>,
  end: (conn?: Ours) => Promise<unknown>,
): Promise<Pair<Ours>> {
  const clear = async (conn?: Ours): Promise<void> => {
    await peer[Symbol.asyncDispose]()
    await end(conn)
  }
  try {
    const [conn, opened] = await ends
    return { conn, peer, opened, [Symbol.asyncDispose]: () => clear(conn) }
  } catch (error) {
    await clear()
    throw error
  }
}

/** Python connects to our server. */
async function pythonConnects(
  subprotocols: readonly string[],
  compression?: 'deflate' | null,
): Promise<Pair<ServerConn> & { readonly server: Server }> {
  let onConn: (conn: ServerConn) => void = () => {}
  const accepted = new Promise<ServerConn>((resolve) => {
    onConn = resolve
  })
  const server = await serve({ subprotocols: ['v1', 'v2'] }, (conn) => onConn(conn))
  const options = {
    // An empty list would become an empty header, which RFC 6455 section 4.1 does not allow.
    ...(subprotocols.length > 0 && { subprotocols }),
    ...(compression !== undefined && { compression }),
  }
  const peer = newPeer()
  const ends = peer.connect(server.url, options).then(async (opened) => [await accepted, opened] as const)
  return { server, ...(await pairOf(peer, ends, () => server.close())) }
}

/** We connect to Python's server. */
async function weConnect(subprotocols: readonly string[]): Promise<Pair<Conn>> {
  const peer = newPeer()
  const limits = { maxSendBuffer: 16 * 1024 * 1024 }
  const ends = peer.serve({ subprotocols: ['v1', 'v2'] }).then(async (port) => {
    const conn = await dial(`ws://127.0.0.1:${port}/`, { subprotocols, limits })
    return [conn, await peer.accept()] as const
  })
  return pairOf(peer, ends, async (conn) => {
    conn?.terminate()
    await conn?.closed
  })
}

const directions = {
  'Python as the client of our server': pythonConnects,
  "we as the client of Python's": weConnect,
}

for (const [direction, open] of Object.entries(directions)) {
  describe(direction, { skip }, () => {
    test('all messages come back', async () => {
      await using pair = await open([])
      const { conn, peer } = pair
      const echoed = peer.echo(2 * samples.length)
      for (const { name, message } of samples) {
        conn.send(message)
        assertSame(await conn.read(), message, name)
      }
      for (const { message } of samples) conn.send(message)
      for (const { name, message } of samples) assertSame(await conn.read(), message, `${name}, pipelined`)
      await echoed
    })

    test('messages mean the same on both sides', async () => {
      await using pair = await open([])
      const { conn, peer } = pair
      for (const { name, message } of samples.filter((sample) => sample.message.length <= 65_537)) {
        conn.send(message)
        assertSame(await peer.read(), message, `${name}, to Python`)
        await peer.send(message)
        assertSame(await conn.read(), message, `${name}, from Python`)
      }
    })

    test('fragments become one message', async () => {
      await using pair = await open([])
      const { conn, peer } = pair
      await peer.sendFragments('sil', 'ver', '', 'back 🦍')
      assert.equal(await conn.read(), 'silverback 🦍')
      await peer.sendFragments(...Array.from({ length: 300 }, (_, i) => Buffer.from([i & 0xff])))
      const expected = Buffer.from(Array.from({ length: 300 }, (_, i) => i & 0xff))
      assertSame(await conn.read(), expected, '300 fragments')
    })

    test('pings are answered on both sides', async () => {
      await using pair = await open([])
      const { conn, peer } = pair
      await peer.ping()
      const rtt = await conn.ping()
      assert.ok(rtt >= 0 && rtt < 10_000)
      // The answer to a ping stands behind what was sent before it, and before what is sent later.
      conn.send('before')
      await conn.ping()
      assert.equal(await peer.read(), 'before')
    })

    test('Python closes', async () => {
      for (const [code, reason] of [
        [4321, 'até 🦍'],
        [1000, ''],
        [3000, 'r'.repeat(123)],
      ] as const) {
        await using pair = await open([])
        const { conn, peer } = pair
        await peer.close(code, reason)
        assert.deepEqual(ending(await conn.closed), { code, reason, by: 'remote', wasClean: true })
        // It reports our Close frame, which repeats its code.
        assert.deepEqual(await peer.closed(), { code, reason: '' })
      }
    })

    test('we close', async () => {
      for (const [code, reason] of [
        [4000, 'genug 🦍'],
        [1001, ''],
      ] as const) {
        await using pair = await open([])
        const { conn, peer } = pair
        const info = await conn.close(code, reason)
        assert.deepEqual(ending(info), { code, reason, by: 'local', wasClean: true })
        assert.equal(info.received?.code, code)
        assert.deepEqual(await peer.closed(), { code, reason })
      }
    })

    test('what was sent before closing arrives before it', async () => {
      await using pair = await open([])
      const { conn, peer } = pair
      conn.send('last words')
      const closed = conn.close()
      assert.equal(await peer.read(), 'last words')
      await closed
      await assert.rejects(
        peer.read(),
        (error) => error instanceof PythonError && error.name === 'ConnectionClosedOK',
      )
    })

    test('either side hangs up without a word', async () => {
      for (const who of ['ours', 'theirs'] as const) {
        await using pair = await open([])
        const { conn, peer } = pair
        if (who === 'ours') conn.terminate()
        else await peer.hangUp()
        const by = who === 'ours' ? 'local' : 'network'
        assert.deepEqual(ending(await conn.closed), { code: 1006, reason: '', by, wasClean: false })
        assert.deepEqual(await peer.closed(), { code: 1006, reason: '' })
      }
    })

    test('subprotocols: one that both speak, or none', async () => {
      for (const [offered, chosen] of [
        [['v9', 'v2'], 'v2'],
        [['v9'], null],
        [[], null],
      ] as const) {
        await using pair = await open(offered)
        assert.equal(pair.opened.subprotocol, chosen)
        assert.equal(pair.conn.subprotocol, chosen ?? '')
      }
    })

    test('no compression is agreed upon', async () => {
      await using pair = await open([])
      assert.deepEqual([pair.opened.extensions, pair.conn.extensions], [[], ''])
    })
  })
}

describe('Python as a client, what only a server of ours can do', { skip }, () => {
  test('its offer of permessage-deflate may be missing too', async () => {
    await using pair = await pythonConnects([], null)
    assert.equal(pair.conn.request.headers['sec-websocket-extensions'], undefined)
    pair.conn.send('plain')
    assert.equal(await pair.peer.read(), 'plain')
  })

  test('draining tells it 1001', async () => {
    await using pair = await pythonConnects([])
    await pair.server.close()
    assert.deepEqual(await pair.peer.closed(), { code: 1001, reason: '' })
  })

  test('a message that is too long is answered with 1009', async () => {
    await using server = await serve({ limits: { maxMessageSize: 1000 } }, () => {})
    await using peer = newPeer()
    await peer.connect(server.url)
    await peer.send('x'.repeat(1001))
    assert.equal((await peer.closed()).code, 1009)
  })

  test('a foreign origin and another path are refused', async () => {
    await using server = await serve({ path: '/ws' }, () => {})
    await using peer = newPeer()
    const status = async (url: string, options: Parameters<PythonPeer['connect']>[1]): Promise<unknown> =>
      peer.connect(url, options).then(
        () => 101,
        (error: PythonError) => error.status,
      )
    assert.equal(await status(server.url, { origin: 'https://evil.example' }), 403)
    assert.equal(await status(`${server.url}/x`, {}), 404)
    assert.equal(await status(server.url, { origin: server.url.replace(/^ws(.*)\/ws$/, 'http$1') }), 101)
  })

  test('a refusal of the application reaches it', async () => {
    const http = createServer().listen(0, '127.0.0.1')
    await once(http, 'listening')
    http.on('upgrade', ({ headers }, socket) => {
      assert.equal(headers.authorization, 'Bearer x')
      reject(socket, 401, { body: 'Who are you?' })
    })
    await using peer = newPeer()
    const { port } = http.address() as AddressInfo
    await assert.rejects(
      peer.connect(`ws://127.0.0.1:${port}/`, { headers: { authorization: 'Bearer x' } }),
      (error) => error instanceof PythonError && error.status === 401,
    )
    http.close()
    await once(http, 'close')
  })
})

describe('Python as a server, what only a client of ours can do', { skip }, () => {
  test('its refusal arrives with status, headers and body', async () => {
    await using peer = newPeer()
    const port = await peer.serve({ refuse: true })
    await assert.rejects(dial(`ws://127.0.0.1:${port}/`), (error) => {
      assert.ok(error instanceof HandshakeError)
      assert.deepEqual([error.code, error.status, error.body], ['ERR_WS_STATUS', 401, 'Who are you?'])
      assert.equal(error.headers?.['www-authenticate'], 'Bearer')
      return true
    })
  })

  test('a message that is too long for it ends with its 1009', async () => {
    await using peer = newPeer()
    const port = await peer.serve({ maxSize: 1000 })
    const conn = await dial(`ws://127.0.0.1:${port}/`)
    await peer.accept()
    conn.send(Buffer.alloc(1001))
    const { code, by, wasClean } = await conn.closed
    assert.deepEqual({ code, by, wasClean }, { code: 1009, by: 'remote', wasClean: true })
  })
})
