// Compression and extensions as a user of the library meets them, over TCP.
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, test } from 'node:test'
import {
  broadcast,
  type CloseInfo,
  type CompressionOptions,
  type Conn,
  Dialer,
  dial,
  type Extension,
  type ExtensionFactory,
  prepare,
  type ServerConn,
  serve,
  Upgrader,
} from 'silverback'
import { assertNoLeaks } from './leaks.ts'

after(() => assertNoLeaks())

const none = 'permessage-deflate; server_no_context_takeover; client_no_context_takeover'
const long = JSON.stringify(Array.from({ length: 100 }, (_, id) => ({ id, name: `user ${id}` })))

/** An extension that turns all bits, and says what becomes of it. */
function turning(log: string[] = [], broken: Partial<ExtensionFactory & Extension> = {}): ExtensionFactory {
  const turn = (payload: Uint8Array): Uint8Array => payload.map((byte) => byte ^ 0xff)
  const make = (): Extension => ({
    name: 'x-turning',
    rsv: 0x20,
    encode: (payload) => {
      log.push('encode')
      return turn(payload)
    },
    decode: turn,
    dispose: () => void log.push('dispose'),
    ...broken,
  })
  return {
    name: 'x-turning',
    offers: () => [new Map([['v', '1']])],
    accept: () => make(),
    negotiate: ([params = new Map()]) => ({ params, extension: make() }),
    ...broken,
  }
}

async function echo(conn: ServerConn): Promise<void> {
  for await (const { type, data } of conn.messages()) conn.send(data, type)
}

test('off unless both sides turn it on', async () => {
  for (const [server, client, wanted] of [
    [undefined, undefined, ''],
    [true, undefined, ''],
    [false, true, ''],
    [undefined, true, ''],
    [true, true, none],
    [{ sendTakeover: true }, { receiveTakeover: true }, 'permessage-deflate; client_no_context_takeover'],
    [{ receiveWindowBits: 9 }, {}, `${none}; client_max_window_bits=9`],
  ] as const) {
    await using running = await serve({ compression: server }, echo)
    await using conn = await dial(running.url, { compression: client })
    assert.equal(conn.extensions, wanted)
    conn.send(long)
    assert.equal(await conn.read(), long)
    const [other] = running.connections
    assert.equal(other?.extensions, wanted)
    if (wanted === '') assert.equal(conn.stats.encoding, undefined)
    else assert.ok(conn.stats.bytesSent < long.length / 2, `${conn.stats.bytesSent} bytes`)
  }
})

test('the counters tell what it saves', async () => {
  await using server = await serve({ compression: true }, echo)
  await using conn = await dial(server.url, { compression: true })
  conn.send(long)
  conn.send('short')
  await conn.read()
  await conn.read()
  const { encoding } = conn.stats
  assert.ok(encoding !== undefined)
  assert.equal(encoding.plainSent, long.length)
  assert.equal(encoding.plainReceived, long.length)
  assert.equal(encoding.encodedSent, encoding.encodedReceived)
  assert.ok(encoding.encodedSent < long.length / 4)
})

test('the options are checked when they are given, by name', async () => {
  for (const [options, message] of [
    [{ compression: 'on' }, /^compression must be a boolean or an object/],
    [{ compression: { level: 10 } }, /^compression\.level/],
    [{ extensions: {} }, /^extensions must be a list/],
  ] as const) {
    const error = { name: 'UsageError', code: 'ERR_WS_INVALID_OPTION', message }
    assert.throws(() => new Upgrader(options as never), error)
    assert.throws(() => new Dialer(options as never), error)
    await assert.rejects(
      serve(options as never, () => {}),
      error,
    )
    await assert.rejects(dial('ws://127.0.0.1:1', options as never), error)
  }
})

test('conn.compress turns it off and on, for what is sent from then on', async () => {
  await using server = await serve({ compression: true }, echo)
  await using conn = await dial(server.url, { compression: true })
  assert.equal(conn.compress, true)
  const sent = (): number => conn.stats.encoding?.plainSent ?? Number.NaN
  for (const message of [long, prepare(long)]) {
    const before = sent()
    conn.compress = false
    conn.send(message)
    assert.equal(conn.compress, false)
    assert.equal(sent(), before)
    conn.compress = true
    conn.send(message)
    assert.equal(sent(), before + long.length)
    assert.deepEqual([await conn.read(), await conn.read()], [long, long])
  }
  assert.throws(
    () => {
      conn.compress = 1 as never
    },
    { code: 'ERR_WS_INVALID_ARGUMENT' },
  )
})

test('broadcast compresses once for all that have agreed on the same', async () => {
  const log: string[] = []
  // Of one variant, so that the count of its calls is that of all encoding.
  await using server = await serve(
    { compression: true, extensions: [turning(log, { variant: '' })], checkOrigin: () => true },
    () => {},
  )
  const audience: Conn[] = []
  for (const options of [
    { compression: true, extensions: [turning()] },
    { compression: { receiveWindowBits: 10 }, extensions: [turning()] },
    { extensions: [turning()] },
    {},
  ]) {
    for (let i = 0; i < 5; i++) audience.push(await dial(server.url, options))
  }
  assert.deepEqual(broadcast(server.connections, long), { sent: 20, skipped: 0 })
  for (const conn of audience) assert.equal(await conn.read(), long)
  assert.equal(log.filter((line) => line === 'encode').length, 3)
  await Promise.all(audience.map((conn) => conn.close()))
})

test('an extension of the application: negotiated, used beside compression, and disposed of once', async () => {
  const [there, here]: [string[], string[]] = [[], []]
  {
    await using server = await serve({ compression: true, extensions: [turning(there)] }, echo)
    await using conn = await dial(server.url, { compression: true, extensions: [turning(here)] })
    assert.equal(conn.extensions, `x-turning; v=1, ${none}`)
    for (const message of [long, 'x']) {
      conn.send(message)
      assert.equal(await conn.read(), message)
    }
  }
  for (const log of [there, here]) assert.deepEqual(log, ['encode', 'encode', 'dispose'])
})

test('an extension that throws: in the handshake it is an error there, on data it ends its connection with 1007', async () => {
  const fail = (): never => {
    throw new Error('on purpose')
  }
  {
    await using server = await serve({ extensions: [turning()] }, echo)
    await assert.rejects(dial(server.url, { extensions: [turning([], { accept: fail })] }), /on purpose/)
    await assert.rejects(dial(server.url, { extensions: [turning([], { offers: fail })] }), /on purpose/)
    await using conn = await dial(server.url, { extensions: [turning([], { decode: fail })] })
    conn.send('x')
    const { code, error } = await conn.closed
    assert.equal(code, 1007)
    assert.ok(error !== undefined && 'code' in error && error.code === 'ERR_WS_EXTENSION_DATA')
    assert.match(String(error.cause), /on purpose/)
  }
  const reasons: unknown[] = []
  await using server = await serve(
    {
      extensions: [turning([], { negotiate: fail })],
      onReject: ({ reason }) => void reasons.push(reason.cause),
    },
    echo,
  )
  await assert.rejects(dial(server.url, { extensions: [turning()] }), { status: 500 })
  assert.match(String(reasons), /on purpose/)
})

test('a bomb closes its connection with 1009, and the server goes on', async () => {
  const limits = { maxMessageSize: 10_000 }
  const ends: Promise<CloseInfo>[] = []
  await using server = await serve({ compression: true, limits }, (conn) => void ends.push(conn.closed))
  const conn = await dial(server.url, { compression: true })
  conn.send(Buffer.alloc(1_000_000))
  const { received } = await conn.closed
  assert.equal(received?.code, 1009)
  const end = await ends[0]
  assert.match(String(end?.error), /message of more than 10000 bytes/)
  await using next = await dial(server.url, { compression: true })
  assert.equal(next.state, 'open')
})

test('an Upgrader on a server of yours, with takeover both ways: later messages cost little', async () => {
  const compression: CompressionOptions = { sendTakeover: true, receiveTakeover: true, threshold: 0 }
  const upgrader = new Upgrader({ compression })
  const server = createServer()
  server.on('upgrade', upgrader.handler(echo))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const conn = await dial(`ws://127.0.0.1:${port}`, { compression })
  assert.equal(conn.extensions, 'permessage-deflate')
  const message = '{"type":"tick","symbol":"ABC","price":12.5}'
  for (let i = 0; i < 50; i++) {
    conn.send(message)
    assert.equal(await conn.read(), message)
  }
  const { encoding } = conn.stats
  assert.ok(encoding !== undefined && encoding.encodedSent < encoding.plainSent / 2)
  await conn.close()
  server.close()
})
