import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { after, describe, it } from 'node:test'
import {
  CloseError,
  type Conn,
  type ConnStats,
  dial,
  LimitError,
  type Limits,
  type Server,
  serve,
  type WebSocketError,
} from 'silverback'
import { assertNoLeaks } from './leaks.ts'

after(() => assertNoLeaks())

const MiB = 1024 * 1024

/** A server that answers each message, read as a stream, with its type, size and hash. */
function digesting(options: { limits?: Partial<Limits>; compression?: boolean } = {}): Promise<Server> {
  return serve({ ...options, onError: () => {} }, async (conn) => {
    for await (const message of conn.streams()) {
      const hash = createHash('sha256')
      let size = 0
      for await (const chunk of message) {
        hash.update(chunk)
        size += chunk.length
      }
      conn.sendJson({ type: message.type, size, hash: hash.digest('hex') })
    }
  })
}

function digest(type: 'text' | 'binary', data: Uint8Array): string {
  return JSON.stringify({ type, size: data.length, hash: createHash('sha256').update(data).digest('hex') })
}

async function fails(promise: Promise<unknown>): Promise<Error> {
  return promise.then(
    () => assert.fail('should have failed'),
    (error: Error) => error,
  )
}

for (const compression of [false, true]) {
  describe(`messages read as streams${compression ? ', compressed' : ''}`, () => {
    it('come with their type and all their bytes, whatever their size, text and binary in turn', async () => {
      await using server = await digesting({ limits: { maxStreamSize: 64 * MiB }, compression })
      await using conn = await dial(server.url, { compression })
      const sizes = [0, 1, 125, 126, 65_535, 65_536, 200_000, MiB, MiB + 1, 5 * MiB]
      for (const [i, size] of sizes.entries()) {
        const type = i % 2 === 0 ? 'binary' : 'text'
        const data = type === 'binary' ? randomBytes(size) : Buffer.from('é'.repeat(size / 2))
        conn.send(data, type)
        assert.equal(await conn.read(), digest(type, data), `${size} bytes`)
      }
    })

    it('keep their order when they are sent at once, and leave none behind', async () => {
      await using server = await digesting({ limits: { maxStreamSize: 64 * MiB }, compression })
      await using conn = await dial(server.url, { compression, limits: { maxSendBuffer: 64 * MiB } })
      const messages = Array.from({ length: 40 }, (_, i) => randomBytes(i % 5 === 0 ? 3 * MiB : i * 100))
      for (const message of messages) conn.send(message)
      for (const message of messages) assert.equal(await conn.read(), digest('binary', message))
    })

    it('are sent as streams piece by piece', async () => {
      await using server = await digesting({ limits: { maxStreamSize: 64 * MiB }, compression })
      await using conn = await dial(server.url, { compression })
      const writer = conn.writeStream('text')
      conn.send('behind')
      const text = Array.from({ length: 300 }, (_, i) => `line ${i} äöü €😀 ${'x'.repeat(i * 7)}\n`)
      for (const line of text) {
        // Cut in the middle of a character made of two halves, and bytes in the middle of one of four bytes.
        const at = line.indexOf('😀') + 1
        await writer.write(line.slice(0, at))
        await writer.write(line.slice(at))
      }
      await writer.close()
      assert.equal(await conn.read(), digest('text', Buffer.from(text.join(''))))
      assert.equal(await conn.read(), digest('text', Buffer.from('behind')))
      const bytes = Buffer.from('😀 bytes')
      const other = conn.writeStream('text')
      await other.write(bytes.subarray(0, 2))
      await other.write(bytes.subarray(2))
      await other.close()
      assert.equal(await conn.read(), digest('text', bytes))
    })

    it('can be empty', async () => {
      await using server = await digesting({ compression })
      await using conn = await dial(server.url, { compression })
      await conn.writeStream('binary').close()
      assert.equal(await conn.read(), digest('binary', Buffer.alloc(0)))
    })

    it('reach a reader before their end', async () => {
      await using server = await serve({ compression }, async (conn) => {
        const message = await conn.readStream()
        const iterator = message[Symbol.asyncIterator]()
        let text = ''
        for (let result = await iterator.next(); result.done !== true; result = await iterator.next()) {
          text += Buffer.from(result.value).toString()
          conn.send(text)
        }
      })
      await using conn = await dial(server.url, { compression })
      const writer = conn.writeStream('text')
      await writer.write('beginning')
      assert.equal(await conn.read(), 'beginning')
      await writer.write(' and end')
      assert.equal(await conn.read(), 'beginning and end')
      await writer.close()
    })

    it('of other readers are whole, also behind a stream', async () => {
      const seen: unknown[] = []
      await using server = await serve({ compression }, async (conn) => {
        const stream = await conn.readStream()
        seen.push(await stream.text())
        seen.push(await conn.read())
        seen.push(await (await conn.readStream()).text())
        for await (const { type, data } of conn.messages({ text: 'bytes' }))
          seen.push(`${type} ${data.length}`)
      })
      const conn = await dial(server.url, { compression })
      for (const text of ['one', 'two', 'three', 'four']) conn.send(text)
      await conn.close()
      await Promise.all([...server.connections].map(({ closed }) => closed))
      assert.deepEqual(seen, ['one', 'two', 'three', 'text 4'])
    })
  })
}

describe('a message longer than is taken whole', () => {
  const limits = { maxMessageSize: 1000, maxStreamSize: 10 * MiB }

  it('waits for a reader of streams', async () => {
    let conn!: Conn
    await using server = await serve({ limits }, (accepted) => {
      conn = accepted
    })
    await using client = await dial(server.url)
    client.send('small')
    client.send(Buffer.alloc(5000))
    client.send('behind')
    await new Promise((resolve) => setTimeout(resolve, 50))
    assert.equal(await conn.read(), 'small')
    assert.equal((await (await conn.readStream()).bytes(5000)).length, 5000)
    assert.equal(await conn.read(), 'behind')
  })

  it('is refused with 1009 when somebody wants it whole', async () => {
    for (const take of [
      (conn: Conn) => conn.read(),
      (conn: Conn) => conn.onMessage(() => {}),
      async (conn: Conn) => {
        for await (const _ of conn);
      },
    ]) {
      for (const late of [true, false]) {
        await using server = await serve({ limits, onError() {} }, async (conn) => {
          if (late) await new Promise((resolve) => setTimeout(resolve, 30))
          await take(conn)
        })
        await using client = await dial(server.url)
        client.send(Buffer.alloc(5000))
        const { code, reason } = await client.closed
        assert.deepEqual([code, reason], [1009, 'message of more than 1000 bytes'])
      }
    }
  })

  it('is refused whole even as a stream beyond the limit for streams', async () => {
    await using server = await serve(
      { limits: { maxMessageSize: 1000, maxStreamSize: 2000 } },
      async (conn) => {
        await conn.readStream()
      },
    )
    for (const size of [2001, 100_000]) {
      const client = await dial(server.url)
      client.send(Buffer.alloc(size))
      assert.equal((await client.closed).code, 1009)
    }
  })

  it('waits too when it turns out so only once inflated', async () => {
    await using server = await serve({ limits, compression: true }, async (conn) => {
      await new Promise((resolve) => setTimeout(resolve, 30))
      const message = await conn.readStream()
      conn.send(String((await message.bytes(10 * MiB)).length))
    })
    await using client = await dial(server.url, { compression: true })
    client.send(Buffer.alloc(500_000))
    assert.equal(await client.read(), '500000')
  })

  it('ends as soon as what is inflated is too long', async () => {
    await using server = await serve(
      { limits: { maxMessageSize: 1000, maxStreamSize: MiB }, compression: true },
      async (conn) => {
        for await (const _ of await conn.readStream());
      },
    )
    const client = await dial(server.url, { compression: true })
    client.send(Buffer.alloc(500 * MiB))
    const { code, reason } = await client.closed
    assert.deepEqual([code, reason], [1009, 'message of more than 1048576 bytes'])
  })
})

describe('a stream that does not come to its end', () => {
  it('throws the CloseError to its reader, behind what has come', async () => {
    let result: Promise<[string, Error]> | undefined
    await using server = await serve({}, (conn) => {
      result = (async () => {
        let text = ''
        try {
          for await (const chunk of await conn.readStream()) text += Buffer.from(chunk).toString()
        } catch (error) {
          return [text, error as Error]
        }
        return assert.fail('ended')
      })()
    })
    const conn = await dial(server.url)
    const writer = conn.writeStream('text')
    await writer.write('only the beginning')
    conn.send('never sent')
    // It has left by then.
    await conn.ping()
    const { stats }: { stats: ConnStats } = await conn.close(4000)
    assert.equal(stats.sendsDropped, 1)
    assert.ok((await fails(writer.write('more'))) instanceof CloseError)
    const [text, error] = (await result) as [string, Error]
    assert.equal(text, 'only the beginning')
    assert.ok(error instanceof CloseError)
    assert.equal(error.info.code, 4000)
  })

  it('closes the connection when it was aborted with a part on its way, and only then', async () => {
    await using server = await serve({}, (conn) => conn.onMessage((data) => conn.send(data)))
    const conn = await dial(server.url)
    conn.writeStream('text').abort()
    conn.send('fine')
    assert.equal(await conn.read(), 'fine')
    const writer = conn.writeStream('text')
    await writer.write('begun')
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)))
    writer.abort()
    const { code, reason, by } = await conn.closed
    assert.deepEqual([code, reason, by], [1011, 'message abandoned', 'local'])
  })
})

describe('a reader of a stream', () => {
  it('that leaves it early drops the rest, and the next message comes', async () => {
    await using server = await serve({ limits: { maxStreamSize: 64 * MiB } }, async (conn) => {
      for await (const message of conn.streams()) {
        for await (const chunk of message) {
          conn.send(`${message.type} ${chunk.length > 0}`)
          break
        }
      }
    })
    await using conn = await dial(server.url)
    for (let i = 0; i < 3; i++) {
      conn.send(Buffer.alloc(10 * MiB))
      assert.equal(await conn.read(), 'binary true')
      await conn.drained()
    }
  })

  it('that is not awaited in its loop, or left behind by it, never takes a part for the whole', async () => {
    for (const leave of [false, true]) {
      const texts: Promise<Error>[] = []
      const loop = async (conn: Conn): Promise<void> => {
        for await (const message of conn.streams()) {
          texts.push(fails(message.text()))
          if (leave) break
        }
      }
      await using server = await serve({}, loop)
      await using conn = await dial(server.url)
      const writer = conn.writeStream('text')
      await writer.write('one half ')
      await writer.write('and the other')
      await writer.close()
      await conn.ping()
      await conn.close()
      for (const error of await Promise.all(texts))
        assert.equal((error as WebSocketError).code, 'ERR_WS_STREAM_CANCELLED')
      assert.equal(texts.length, 1)
    }
  })

  it('cannot take the next message before it is done', async () => {
    await using server = await serve({}, async (conn) => {
      const first = await conn.readStream()
      const errors = [await fails(conn.read()), await fails(conn.readStream())]
      conn.sendJson(errors.map((error) => (error as { code?: string }).code))
      await first.text()
      conn.send(await conn.read())
    })
    await using conn = await dial(server.url)
    conn.send('one')
    conn.send('two')
    assert.equal(await conn.read(), '["ERR_WS_CONCURRENT_READ","ERR_WS_CONCURRENT_READ"]')
    assert.equal(await conn.read(), 'two')
  })

  it('may take it as a Web stream', async () => {
    await using server = await serve({ limits: { maxStreamSize: 64 * MiB } }, async (conn) => {
      for await (const message of conn.streams()) {
        await message.readable.pipeTo(conn.writeStream(message.type).writable)
      }
    })
    await using conn = await dial(server.url, { limits: { maxStreamSize: 64 * MiB } })
    const data = randomBytes(3 * MiB)
    conn.send(data)
    const echo = await conn.readStream()
    assert.deepEqual(await echo.bytes(10 * MiB), data)
  })

  it('that wants all of it gets at most so much', async () => {
    await using server = await serve({ limits: { maxStreamSize: 64 * MiB } }, async (conn) => {
      const error = await fails((await conn.readStream()).bytes(100))
      conn.send(String(error instanceof LimitError && error.limit))
      conn.send(await (await conn.readStream()).text())
    })
    await using conn = await dial(server.url)
    conn.send(Buffer.alloc(101))
    conn.send('fits')
    assert.equal(await conn.read(), 'maxMessageSize')
    assert.equal(await conn.read(), 'fits')
  })
})

describe('a busy reader of streams', () => {
  it('is not left waiting when the last piece of a message found the queue full', async () => {
    const limits = { maxStreamSize: 64 * MiB, maxQueuedBytes: MiB }
    await using server = await serve({ limits }, async (conn) => {
      const first = await conn.readStream()
      // It comes meanwhile, one byte more than is kept.
      while (conn.stats.bytesReceived < MiB) await new Promise((resolve) => setImmediate(resolve))
      conn.send(String((await first.bytes(2 * MiB)).length))
      conn.send(await (await conn.readStream()).text())
    })
    await using conn = await dial(server.url)
    conn.send(Buffer.alloc(MiB + 1))
    assert.equal(await conn.read(), String(MiB + 1))
    conn.send('next')
    assert.equal(await conn.read(), 'next')
  })
})

describe('a long message', () => {
  it('lets pings pass, in both directions', async () => {
    await using server = await serve(
      { limits: { maxStreamSize: 256 * MiB, maxSendBuffer: 256 * MiB } },
      async (conn) => {
        for await (const message of conn.streams()) for await (const _ of message);
      },
    )
    await using conn = await dial(server.url, { limits: { maxSendBuffer: 256 * MiB } })
    conn.send(Buffer.alloc(100 * MiB))
    assert.ok(conn.bufferedAmount > 90 * MiB)
    await conn.ping()
    assert.ok(conn.bufferedAmount > MiB, `${conn.bufferedAmount} bytes still wait`)
  })

  it('is cut into frames of the given size', async () => {
    await using server = await serve({}, (conn) => conn.onMessage(() => {}))
    const conn = await dial(server.url, { limits: { fragmentSize: 1000 } })
    conn.send(Buffer.alloc(10_000))
    const { stats } = await conn.close()
    assert.equal(stats.bytesSent, 10 * (1000 + 8) + 8)
  })
})
