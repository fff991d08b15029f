// Debian's test programs of libwebsockets. They are as they are: the server has protocols of its own in place of an
// echo, the client draws on a board and takes numbers, and neither can be told to send anything else. What cannot be
// had from them: binary messages, fragments, pings of theirs, and codes of the client's choice.

import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { type Conn, type DialOptions, dial, HandshakeError, type ServerConn, serve } from 'silverback'
import { assertNoLeaks } from '../test/leaks.ts'
import { endForeignProcesses, ForeignProcess, ForeignServer } from './foreign-process.ts'
import { libwebsocketsClientPath, libwebsocketsServerPath } from './peers.ts'
import { ending } from './samples.ts'

after(async () => {
  await endForeignProcesses()
  await assertNoLeaks()
})

const serverPath = libwebsocketsServerPath()
const clientPath = libwebsocketsClientPath()
const hint = 'not installed (apt-get install libwebsockets-test-server)'

const numbers = 'dumb-increment-protocol'
const board = 'lws-mirror-protocol'
const status = 'lws-status'

/** Tells its user, by its log, what comes in. */
const talkative = ['-d', '15']

describe('libwebsockets as the server of our client', {
  skip: serverPath === undefined ? hint : false,
}, () => {
  const start = (): Promise<ForeignServer> =>
    ForeignServer.start(serverPath ?? '', (port) => [`--port=${port}`, '--interface=lo', ...talkative])

  const connect = (server: ForeignServer, subprotocol: string, options: DialOptions = {}): Promise<Conn> =>
    dial(`ws://127.0.0.1:${server.port}/`, { subprotocols: [subprotocol], ...options })

  test('numbers come in order, and start again when told to', async () => {
    await using server = await start()
    await using conn = await connect(server, numbers)
    assert.equal(conn.subprotocol, numbers)
    for (let i = 0; i < 5; i++) assert.equal(await conn.read(), String(i))
    assert.ok((await conn.ping()) >= 0)
    conn.send('reset\n')
    // One may have been on its way.
    let next = await conn.read()
    for (let i = 0; i < 3 && next !== '0'; i++) next = await conn.read()
    assert.equal(next, '0')
    assert.equal(await conn.read(), '1')
  })

  test('what one draws comes to both, text of every length in order', async () => {
    await using server = await start()
    await using first = await connect(server, board)
    await using second = await connect(server, board)
    const lines = [
      'd #1234 1 2 3 4;',
      'a é € 🦍',
      ...[1, 125, 126, 127, 1000, 4000].map((n) => 'x'.repeat(n)),
    ]
    for (const line of lines) {
      first.send(line)
      assert.equal(await first.read(), line)
      assert.equal(await second.read(), line)
    }
    for (const line of lines) {
      second.send(line)
      assert.equal(await first.read(), line)
    }
  })

  test('compressed, both ways', async () => {
    await using server = await start()
    await using conn = await connect(server, status, { compression: { threshold: 0 } })
    assert.match(conn.extensions, /^permessage-deflate/)
    assert.match(String(await conn.read()), /^\{.*"conns":\[\{"peer":"::ffff:127\.0\.0\.1"/)
    conn.send('inflated by the peer '.repeat(10))
    await server.printed((log) => /pmd test: RX len 210\b/.test(log))
    const { encoding } = conn.stats
    assert.ok(encoding !== undefined)
    assert.ok(encoding.encodedSent > 0 && encoding.encodedSent < encoding.plainSent)
    assert.ok(encoding.encodedReceived > 0 && encoding.encodedReceived < encoding.plainReceived)
  })

  test('it declines compression for a protocol with small buffers', async () => {
    await using server = await start()
    await using conn = await connect(server, board, { compression: true })
    assert.equal(conn.extensions, '')
    conn.send('x'.repeat(1000))
    assert.equal(await conn.read(), 'x'.repeat(1000))
  })

  test('it closes with code and reason', async () => {
    await using server = await start()
    const conn = await connect(server, numbers)
    conn.send('closeme\n')
    const info = await conn.closed
    assert.deepEqual(ending(info), { code: 1001, reason: 'seeya', by: 'remote', wasClean: true })
  })

  test('we close with code and reason', async () => {
    await using server = await start()
    for (const [code, reason] of [
      [1000, ''],
      [4000, 'genug 🦍'],
      [4999, 'r'.repeat(123)],
    ] as const) {
      const conn = await connect(server, board)
      const info = await conn.close(code, reason)
      assert.deepEqual(ending(info), { code, reason, by: 'local', wasClean: true })
      // It repeats the reason too.
      assert.deepEqual(info.received, { code, reason })
    }
  })

  test('it hangs up on a subprotocol that it does not know', async () => {
    await using server = await start()
    await assert.rejects(
      connect(server, 'nobody-speaks-this'),
      (error) => error instanceof HandshakeError && error.code === 'ERR_WS_CONNECT',
    )
  })

  test('when it is ended, the connection is: 1006', async () => {
    await using server = await start()
    const conn = await connect(server, numbers)
    server.signal('SIGKILL')
    const info = await conn.closed
    assert.deepEqual(ending(info), { code: 1006, reason: '', by: 'network', wasClean: false })
  })
})

interface Drawing extends AsyncDisposable {
  readonly client: ForeignProcess
  readonly numbers: ServerConn
  readonly board: ServerConn
}

/** What came by the protocol of numbers, by the client's log: it has a buffer of 20 bytes there, and tells each piece. */
function received(log: string): string {
  return [...log.matchAll(/: rx \d+ '(.*)'$/gm)].map(([, piece]) => piece).join('')
}

describe('libwebsockets as the client of our server', {
  skip: clientPath === undefined ? hint : false,
}, () => {
  /** Starts the client, and takes both connections that it opens. */
  const draw = async (compression: boolean, ...args: string[]): Promise<Drawing> => {
    const conns = new Map<string, ServerConn>()
    let tell: () => void = () => {}
    const both = new Promise<void>((resolve) => {
      tell = resolve
    })
    const server = await serve({ compression, subprotocols: [numbers, board] }, (conn) => {
      conns.set(conn.subprotocol, conn)
      if (conns.size === 2) tell()
    })
    const port = new URL(server.url).port
    const client = new ForeignProcess(clientPath ?? '', [
      '127.0.0.1',
      `--port=${port}`,
      ...talkative,
      ...args,
    ])
    await both
    return {
      client,
      numbers: conns.get(numbers) as ServerConn,
      board: conns.get(board) as ServerConn,
      async [Symbol.asyncDispose]() {
        await client[Symbol.asyncDispose]()
        await server.close()
      },
    }
  }

  for (const compression of [false, true]) {
    test(`it draws${compression ? ', compressed' : ''}`, async () => {
      await using drawing = await draw(compression)
      const { board: conn } = drawing
      assert.match(conn.extensions, compression ? /^permessage-deflate/ : /^$/)
      for (let i = 0; i < 200; i++) assert.match(String(await conn.read()), /^c #[0-9A-F]{6} \d+ \d+ \d+;$/)
      const { encoding } = conn.stats
      if (compression) assert.ok(encoding !== undefined && encoding.encodedReceived > 0)
      else assert.equal(encoding, undefined)
      const info = await conn.close(4002, 'enough')
      assert.deepEqual(ending(info), { code: 4002, reason: 'enough', by: 'local', wasClean: true })
      assert.deepEqual(info.received, { code: 4002, reason: 'enough' })
      await drawing.client.printed((log) => /mirror: LWS_CALLBACK_CLOSED/.test(log))
    })
  }

  test('text of every length arrives, and pings are answered', async () => {
    await using drawing = await draw(false, '--nomirror')
    const { client, numbers: conn } = drawing
    const texts = ['0', 'x'.repeat(125), 'y'.repeat(126), 'z'.repeat(65_536), 'a é € 🦍']
    for (const text of texts) conn.send(text)
    await client.printed((log) => received(log) === texts.join(''))
    assert.ok((await conn.ping()) >= 0)
    const info = await conn.close(4001, 'até 🦍')
    assert.deepEqual(ending(info), { code: 4001, reason: 'até 🦍', by: 'local', wasClean: true })
  })

  // It offers permessage-deflate, and then cannot set it up where the buffers of its protocol are small: see its log.
  test('with compression agreed on that it does not have, plain messages arrive', async () => {
    await using drawing = await draw(true, '--nomirror')
    const { client, numbers: conn } = drawing
    assert.match(conn.extensions, /^permessage-deflate/)
    await client.printed((log) => /permessage-deflate failed construction/.test(log))
    conn.compress = false
    conn.send('x'.repeat(300))
    await client.printed((log) => received(log) === 'x'.repeat(300))
    conn.compress = true
    conn.send('x'.repeat(300))
    assert.deepEqual(ending(await conn.closed), { code: 1006, reason: '', by: 'network', wasClean: false })
    await client.printed((log) => /illegal rsv bits set/.test(log))
  })

  test('when it is ended, both connections are: 1006', async () => {
    await using drawing = await draw(false)
    drawing.client.signal('SIGKILL')
    for (const conn of [drawing.numbers, drawing.board]) {
      assert.deepEqual(ending(await conn.closed), { code: 1006, reason: '', by: 'network', wasClean: false })
    }
  })

  test('a refusal reaches it', async () => {
    await using server = await serve({ checkOrigin: () => false }, () => assert.fail('let in'))
    const port = new URL(server.url).port
    await using client = new ForeignProcess(clientPath ?? '', ['127.0.0.1', `--port=${port}`, ...talkative])
    await client.printed((log) => /lws_http_client_http_response 403/.test(log))
  })
})
