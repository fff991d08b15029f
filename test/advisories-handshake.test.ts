// Advisories around the handshake, and those about what an application hands in. docs/advisories.md tells what went
// wrong elsewhere.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { broadcast, type Conn, dial, HandshakeError, type ServerConn, serve, UsageError } from 'silverback'
import { decideUpgrade } from '../src/protocol/server-handshake.ts'
import { listHasToken, parseExtensions, parseTokenList } from '../src/wire/header-grammar.ts'
import { frame } from './frames.ts'
import { assertNoLeaks } from './leaks.ts'
import { handshakeKey, RawClient, upgradeRequest } from './raw-client.ts'
import { filesBelow, root } from './repo.ts'
import { AnsweringServer, switching } from './support/answering-server.ts'
import { connectedPair } from './support/connected-pair.ts'
import { serving, upgraded } from './support/serving.ts'
import { until } from './support/until.ts'

after(() => assertNoLeaks())

const mask = Uint8Array.of(1, 2, 3, 4)
const usage = { name: 'UsageError' }
/** As one who does not heed the types. */
const wrongly = (value: unknown): never => value as never

test('CVE-2016-10518, GHSA-2mhh-w6q8-5hxw: a number is nothing that can be sent, so that no memory of ours can be asked for by one', async () => {
  await using pair = await connectedPair()
  const { client, server } = pair
  assert.throws(() => client.send(wrongly(200)), usage)
  assert.throws(() => client.sendControl('ping', wrongly(100)), usage)
  assert.throws(() => client.sendControl('pong', wrongly(100)), usage)
  await assert.rejects(async () => client.close(wrongly('1000'), wrongly(100)), usage)
  const writer = client.writeStream('binary')
  await assert.rejects(async () => writer.write(wrongly(100)), usage)
  writer.abort()
  assert.equal(server.stats.messagesReceived, 0)
})

test('GHSA-5v72-xg48-5rpm: extensions and parameters with names of Object.prototype are names like others', async () => {
  await using setup = await serving({ compression: true })
  for (const name of ['constructor', '__proto__', 'toString', 'hasOwnProperty', 'valueOf']) {
    for (const value of [
      name,
      `${name}; ${name}=${name}`,
      `permessage-deflate; ${name}`,
      `${name}, permessage-deflate`,
    ]) {
      const client = await upgraded(setup.server, upgradeRequest('/', { 'Sec-WebSocket-Extensions': value }))
      const agreed = /sec-websocket-extensions: (.*)\r\n/i.exec(client.received.toString('latin1'))?.[1] ?? ''
      assert.ok(!agreed.includes(name), agreed)
      await client.destroy()
    }
  }
})

test('CVE-2021-32640: a million spaces in a list of subprotocols are read once', () => {
  for (const value of [
    `a${' '.repeat(1_000_000)}b`,
    `${' '.repeat(1_000_000)},a`,
    `a ${', '.repeat(500_000)}!`,
  ]) {
    const request = {
      method: 'GET',
      httpVersion: '1.1',
      headers: {
        host: 'example.com',
        connection: 'Upgrade',
        upgrade: 'websocket',
        'sec-websocket-version': '13',
        'sec-websocket-key': handshakeKey,
        'sec-websocket-protocol': value,
      },
    }
    const decision = decideUpgrade(request, { checkOrigin: () => true, subprotocols: ['a'] })
    if (!decision.accepted) assert.equal(decision.code, 'ERR_WS_HEADER_SYNTAX')
    assert.equal(parseTokenList(`a${' '.repeat(1_000_000)}b`, 32), undefined)
  }
})

test('CVE-2024-37890: 2500 header fields, so many that Node drops Upgrade, are refused and harm nobody', async () => {
  await using setup = await serving()
  const many = 'a:b\r\n'.repeat(2500)
  for (const request of [
    upgradeRequest('/').replace('\r\n', `\r\n${many}`),
    upgradeRequest('/').replace('\r\n\r\n', `\r\n${many}\r\n`),
  ]) {
    assert.match(await setup.server.answer(request), /^HTTP\/1\.1 431 /)
  }
  assert.equal(setup.conns.length, 0)
  await (await upgraded(setup.server)).destroy()
})

test('CVE-2026-45736: a reason is a string, so that no array of another width can stretch it', async () => {
  await using pair = await connectedPair()
  for (const reason of [
    new Float32Array(20),
    new Uint16Array(20),
    new DataView(new ArrayBuffer(8)),
    Buffer.from('x'),
    {},
  ])
    await assert.rejects(async () => pair.client.close(1000, wrongly(reason)), usage)
  // Of a view, its own bytes leave and no others.
  const { buffer } = Uint8Array.of(9, 9, 1, 2, 3, 4, 5, 6, 9, 9)
  const views = [
    new Uint8Array(buffer, 2, 6),
    new Int8Array(buffer, 2, 6),
    new DataView(buffer, 2, 6),
    new Uint16Array(buffer, 2, 3),
    new Int16Array(buffer, 2, 3),
  ]
  for (const view of views) pair.client.send(wrongly(view))
  for (const _ of views) assert.deepEqual([...((await pair.server.read()) as Uint8Array)], [1, 2, 3, 4, 5, 6])
})

test('CVE-2021-33880: a secret is compared in constant time wherever one is compared', () => {
  // The library has no passwords, tokens or sessions of its own, and no code that could compare any.
  for (const file of filesBelow('src', '.ts').filter((path) => !path.endsWith('.test.ts'))) {
    const source = readFileSync(join(root, file), 'utf8')
    assert.doesNotMatch(
      source,
      /\b(password|secret|token|credentials?)\s*[!=]==(?!\s*(undefined|null|''))/i,
      file,
    )
  }
  // What users copy does it right.
  const guide = readFileSync(join(root, 'docs/auth.md'), 'utf8')
  assert.match(guide, /timingSafeEqual\(hash\(token\), secret\)/)
  assert.doesNotMatch(guide, /\b(password|secret|token)\s*[!=]==(?!\s*(undefined|null|''))/i)
})

test('CVE-2023-43669: a request and an answer in single bytes are served, and of those without end only so much is read', async () => {
  /** The end that reads, of the connection in hand. */
  let reader: Socket | undefined
  /** Sends a text, the next byte when the one before has been read. */
  const dribble = async (socket: Socket, text: string): Promise<void> => {
    const before = reader?.bytesRead ?? 0
    for (const [index, byte] of Buffer.from(text).entries()) {
      socket.write(Uint8Array.of(byte))
      while ((reader?.bytesRead ?? 0) < before + index + 1 && !socket.destroyed) await setImmediate()
    }
  }
  const endless = async (socket: Socket, begin: string): Promise<void> => {
    socket.write(begin)
    while (socket.writable) await new Promise((resolve) => socket.write('X: y\r\n'.repeat(100), resolve))
  }
  const filler = Array.from({ length: 60 }, (_, i) => `X-${i}: ${'y'.repeat(20)}\r\n`).join('')
  await using setup = await serving()
  setup.server.http.on('connection', (socket: Socket) => {
    reader = socket
  })
  const client = setup.server.client()
  await once(setup.server.http, 'connection')
  await dribble(client.socket, upgradeRequest('/').replace('\r\n\r\n', `\r\n${filler}\r\n`))
  await client.until(() => client.status === 101, 'the answer to a request in single bytes')
  await client.destroy()
  const endlessClient = setup.server.client()
  await once(setup.server.http, 'connection')
  await endless(endlessClient.socket, 'GET / HTTP/1.1\r\n')
  await endlessClient.until(() => endlessClient.closed, 'the end of a request without end')
  assert.ok((reader?.bytesRead ?? 0) < 256 * 1024, `${reader?.bytesRead} bytes of a request`)

  // The same for an answer.
  const dialled = (server: AnsweringServer): Promise<Conn> => {
    reader = connect(server.port, '127.0.0.1')
    return dial(server.url, { connect: () => reader as Socket })
  }
  await using slow = await AnsweringServer.start((socket, accept) =>
    dribble(socket, switching(accept, filler)),
  )
  const conn = await dialled(slow)
  assert.equal(conn.state, 'open')
  conn.terminate()
  await conn.closed
  await using server = await AnsweringServer.start((socket) =>
    endless(socket, 'HTTP/1.1 101 Switching Protocols\r\n'),
  )
  await assert.rejects(dialled(server), HandshakeError)
  assert.ok((reader?.bytesRead ?? 0) < 256 * 1024, `${reader?.bytesRead} bytes of an answer`)
})

test('CVE-2020-7662, CVE-2020-7663: a quoted parameter that is not closed is read once', () => {
  for (const value of [
    `x; a="${'\\"'.repeat(500_000)}`,
    `x; a="${'\\c'.repeat(500_000)}`,
    `x; a="${'b'.repeat(1_000_000)}`,
    `${'x; a="b", '.repeat(30)}x; a="${'\\\\'.repeat(400_000)}`,
  ])
    assert.equal(parseExtensions(value), undefined)
})

test('CVE-2026-2229: window bits outside 8 to 15 are refused, in an offer and in an answer', async () => {
  const wrong = ['0', '7', '16', '-1', '1e1', '99999999999', '', '08', '"16"']
  await using setup = await serving({ compression: true })
  for (const name of ['server_max_window_bits', 'client_max_window_bits']) {
    for (const bits of wrong) {
      const value = `permessage-deflate; ${name}=${bits}`
      const client = setup.server.client(upgradeRequest('/', { 'Sec-WebSocket-Extensions': value }))
      await client.until(() => client.status !== undefined, 'an answer')
      const head = client.received.toString('latin1')
      assert.ok(client.status === 400 || !/permessage-deflate/.test(head), `${value}\n${head}`)
      await client.destroy()
      await using server = await AnsweringServer.start((socket, accept) => {
        socket.write(switching(accept, `Sec-WebSocket-Extensions: ${value}\r\n`))
      })
      await assert.rejects(dial(server.url, { compression: true }), HandshakeError, value)
    }
  }
})

test('CVE-2026-1527: no value that an application hands in begins a line of its own', async () => {
  await using server = await AnsweringServer.start((socket, accept) => socket.write(switching(accept)))
  const evil = ['a\r\nX-Evil: 1', 'a\nX-Evil: 1', 'a\rX', 'a\0b', 'ws\r\n\r\nGET / HTTP/1.1']
  for (const value of evil) {
    await assert.rejects(dial(server.url, { headers: { 'x-name': value } }), UsageError)
    await assert.rejects(dial(server.url, { headers: { [value]: 'x' } }), UsageError)
    await assert.rejects(dial(server.url, { headers: { upgrade: value } }), UsageError)
    await assert.rejects(dial(server.url, { subprotocols: [value] }), UsageError)
  }
  for (const request of server.requests) assert.doesNotMatch(request, /x-evil/i)
  // In a URL the characters are dropped or encoded, as URLs have it.
  const conn = await dial(`${server.url}a\r\nX-Evil: 1`)
  assert.doesNotMatch(server.requests.at(-1) ?? '', /^x-evil/im)
  conn.terminate()
  await conn.closed
})

test('CVE-2020-36048, CVE-2023-32695, CVE-2026-59725, CVE-2020-36049: bounds by default, and names of Object.prototype are no names here', async () => {
  const heard: unknown[] = []
  await using server = await serve({ subprotocols: ['chat'], onError() {} }, async (conn) => {
    for await (const value of conn.json()) heard.push(value)
  })
  const port = Number(new URL(server.url).port)
  for (const name of ['toString', '__proto__', 'constructor', 'hasOwnProperty']) {
    const client = new RawClient(port)
    client.write(upgradeRequest(`/?${name}=1`, { 'Sec-WebSocket-Protocol': name, [name]: 'x' }))
    await client.until(() => client.status !== undefined, 'an answer')
    assert.equal(client.status, 101)
    assert.doesNotMatch(client.received.toString('latin1'), /^sec-websocket-protocol/im)
    const before = heard.length
    client.write(frame({ opcode: 1, payload: `{"${name}":{"polluted":true}}`, mask }))
    await until(() => heard.length > before, 'the value')
    await client.destroy()
  }
  assert.equal(({} as Record<string, unknown>)['polluted'], undefined)
  // 100 MB in one message, and a POST with a body, which is no way in.
  const client = await RawClient.upgraded(port, '/')
  client.write(frame({ opcode: 1, length: 100_000_000, payload: 'x', mask }))
  await client.until(() => client.ended, 'the end')
  const end = client.events.at(-1)
  assert.ok(end?.kind === 'close' && end.code === 1009)
  await client.destroy()
  const post = new RawClient(port)
  post.write(
    'POST /?EIO=4&transport=polling HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 3\r\n\r\n\xff\xfe\xfd',
  )
  await post.until(() => post.status !== undefined, 'an answer')
  assert.equal(post.status, 426)
  await post.destroy()
})

test('uWebSockets #1469, #952, CVE-2020-36406: connections that end inside a broadcast, or broadcast themselves, break no loop', async () => {
  const conns = new Set<ServerConn>()
  await using server = await serve({ onError() {} }, (conn) => {
    conns.add(conn)
    conn.onMessage((data) => {
      // Everybody but the first is dropped while the loop is under way; then once more, from inside.
      const audience = function* (): Iterable<ServerConn> {
        let index = 0
        for (const member of conns) {
          if (index++ > 0) {
            member.terminate()
            conns.delete(member)
          }
          yield member
        }
      }
      const { sent } = broadcast(audience(), data)
      conn.send(`sent to ${sent}, then to ${broadcast(server.connections, data).sent}`)
    })
  })
  const clients = await Promise.all(Array.from({ length: 5 }, () => dial(server.url)))
  const heard = new Promise<unknown>((resolve) => {
    for (const client of clients)
      client.onMessage((data) => {
        if (String(data).startsWith('sent to')) resolve(data)
      })
  })
  for (const client of clients) client.send('go')
  assert.match(String(await heard), /^sent to [1-5], then to [1-5]$/)
  for (const client of clients) client.terminate()
  await Promise.all(clients.map((client) => client.closed))
})

test('CVE-2023-26103: a million spaces in Connection and Upgrade are read once', () => {
  const spaces = ' '.repeat(1_000_000)
  assert.equal(listHasToken(`keep-alive${spaces}x${spaces}`, 'upgrade'), false)
  assert.equal(listHasToken(`${spaces}a${spaces},${spaces}b`, 'upgrade'), false)
  assert.equal(listHasToken(`${','.repeat(1_000_000)}Upgrade`, 'upgrade'), true)
})

test('GHSA-c4j6-fc7j-m34r, GHSA-p773-8mf4-rjm5: a page of another site gets no connection, and a request makes none', async () => {
  const visited: string[] = []
  const inside = createServer((socket) => {
    visited.push('visited')
    socket.destroy()
  })
  await new Promise<void>((resolve) => inside.listen(0, '127.0.0.1', resolve))
  const { port } = inside.address() as { port: number }
  {
    await using setup = await serving()
    for (const origin of [
      'https://evil.example',
      'null',
      'http://127.0.0.1.evil.example',
      'http://evil.example#127.0.0.1',
    ])
      assert.match(await setup.server.answer(upgradeRequest('/', { Origin: origin })), /^HTTP\/1\.1 403 /)
    assert.deepEqual(setup.conns, [])
    // A target that names another server is a path here, and nothing to connect to.
    const target = upgradeRequest('/').replace('GET / ', `GET http://127.0.0.1:${port}/ `)
    const client = await upgraded(setup.server, target)
    assert.equal(setup.conns.length, 1)
    await client.destroy()
    // Nor does a client go where an answer sends it, unless it is told to.
    await using sends = await AnsweringServer.start((socket) => {
      socket.end(`HTTP/1.1 302 Found\r\nLocation: ws://127.0.0.1:${port}/\r\nContent-Length: 0\r\n\r\n`)
    })
    await assert.rejects(dial(sends.url), HandshakeError)
  }
  assert.deepEqual(visited, [])
  await new Promise((resolve) => inside.close(resolve))
})
