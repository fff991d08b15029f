// What can be set, or looked at, on one connection, over TCP.
import assert from 'node:assert/strict'
import { Socket } from 'node:net'
import { after, describe, it } from 'node:test'
import { CloseError, type Conn, dial, type ServerConn, serve } from 'silverback'
import { assertNoLeaks } from './leaks.ts'

after(() => assertNoLeaks())

/** A connection, and the server's end of it. */
async function connect(
  options: { readonly compression?: boolean; readonly limits?: { readonly maxStreamSize: number } } = {},
): Promise<AsyncDisposable & { readonly client: Conn; readonly server: ServerConn }> {
  let accept!: (conn: ServerConn) => void
  const accepted = new Promise<ServerConn>((resolve) => {
    accept = resolve
  })
  const listening = await serve(options, (conn) => accept(conn))
  const client = await dial(listening.url, options)
  return { client, server: await accepted, [Symbol.asyncDispose]: () => listening.close() }
}

function tcp(conn: Conn): Socket {
  assert.ok(conn.socket instanceof Socket)
  return conn.socket
}

describe('conn.socket', () => {
  it('is the stream under the connection, which knows both addresses', async () => {
    await using ends = await connect()
    const [client, server] = [tcp(ends.client), tcp(ends.server)]
    assert.equal(client.remoteAddress, '127.0.0.1')
    assert.deepEqual([client.localPort, client.remotePort], [server.remotePort, server.localPort])
  })
})

describe('conn.maxMessageSize', () => {
  it('holds for one connection, from the next message on', async () => {
    await using ends = await connect()
    assert.equal(ends.server.maxMessageSize, 1024 * 1024)
    ends.server.maxMessageSize = 5
    ends.client.send('12345')
    assert.equal(await ends.server.read(), '12345')
    ends.server.maxMessageSize = 6
    ends.client.send('123456')
    assert.equal(await ends.server.read(), '123456')
    ends.client.send('1234567')
    await assert.rejects(ends.server.read(), CloseError)
    const { code, error } = await ends.server.closed
    assert.deepEqual([code, error?.name], [1009, 'LimitError'])
  })

  it('refuses what is longer though nobody reads, unless streams have a limit of their own', async () => {
    await using ends = await connect()
    ends.server.maxMessageSize = 5
    ends.client.send('123456')
    assert.equal((await ends.client.closed).code, 1009)
    await using other = await connect({ limits: { maxStreamSize: 2 * 1024 * 1024 } })
    other.server.maxMessageSize = 5
    other.client.send('123456')
    assert.equal(await (await other.server.readStream()).text(6), '123456')
  })

  it('is checked as the limit of that name', async () => {
    await using ends = await connect()
    for (const size of [0, 1.5, Number.NaN, '5'] as number[]) {
      assert.throws(
        () => {
          ends.server.maxMessageSize = size
        },
        { code: 'ERR_WS_INVALID_OPTION' },
      )
    }
    assert.equal(ends.server.maxMessageSize, 1024 * 1024)
  })
})

describe('conn.setCompressionLevel', () => {
  it('holds for what is sent from then on', async () => {
    await using ends = await connect({ compression: true })
    const text = JSON.stringify(Array.from({ length: 500 }, (_, id) => ({ id, name: `user ${id % 37}` })))
    const sizes: number[] = []
    for (const level of [1, 9, 0]) {
      const before = ends.client.stats.bytesSent
      ends.client.setCompressionLevel(level)
      ends.client.send(text)
      assert.equal(await ends.server.read(), text)
      sizes.push(ends.client.stats.bytesSent - before)
    }
    const [fast = 0, best = 0, none = 0] = sizes
    assert.ok(best < fast && fast < text.length / 2 && none >= text.length, sizes.join())
  })

  it('is an integer from 0 to 9', async () => {
    await using ends = await connect()
    for (const level of [-1, 10, 1.5, '5'] as number[])
      assert.throws(() => ends.client.setCompressionLevel(level), { code: 'ERR_WS_INVALID_ARGUMENT' })
    ends.client.setCompressionLevel(9) // without compression there is nothing to set
  })
})
