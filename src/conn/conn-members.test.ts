import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { getEventListeners } from 'node:events'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { after, describe, it } from 'node:test'
import { assertNoLeaks } from '../../test/leaks.ts'
import { connectedPair } from '../../test/support/connected-pair.ts'
import { TestLink, turn } from '../../test/support/test-link.ts'
import { isPending, until } from '../../test/support/until.ts'
import { CloseError, LimitError, UsageError } from '../session/errors.ts'
import type { ControlHandlers } from './control.ts'
import { MessageStream } from './message-stream.ts'
import { MessageWriter } from './message-writer.ts'

after(() => assertNoLeaks())

const KiB = 1024
const MiB = 1024 * KiB

const usage =
  (code: string, message = /./) =>
  (error: unknown): boolean =>
    error instanceof UsageError && error.code === code && message.test(error.message)

describe('the longest message of a connection', () => {
  it('can be changed on it, both ways', async () => {
    await using pair = await connectedPair({ server: { limits: { maxMessageSize: 100 } } })
    const { server, client } = pair
    assert.equal(server.maxMessageSize, 100)
    server.maxMessageSize = 2 * MiB
    assert.equal(server.maxMessageSize, 2 * MiB)
    const large = randomBytes(2 * MiB)
    client.send(large)
    assert.deepEqual(await server.read(), large)
    server.maxMessageSize = 100
    client.send(Buffer.alloc(100))
    assert.equal((await server.read()).length, 100)
    const read = server.read()
    client.send(Buffer.alloc(101))
    await assert.rejects(read, (error) => error instanceof CloseError && error.cause instanceof LimitError)
    assert.deepEqual([(await client.closed).code, pair.listener.connections.size], [1009, 0])
  })

  it('is an integer, at least 1', () => {
    const { conn } = new TestLink()
    for (const bad of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 40, '5', null])
      assert.throws(
        () => {
          conn.maxMessageSize = bad as number
        },
        usage('ERR_WS_INVALID_OPTION', /maxMessageSize/),
      )
    assert.equal(conn.maxMessageSize, MiB)
    conn.terminate()
  })
})

describe('compression of a connection', () => {
  it('can be set by level and turned off, message by message', async () => {
    await using pair = await connectedPair({ server: { compression: true }, client: { compression: true } })
    const { server, client } = pair
    const text = Array.from({ length: 5000 }, (_, i) => `{"id":${i},"name":"user ${i % 7}"}`).join()
    const sizes: number[] = []
    for (const act of [
      () => server.setCompressionLevel(0),
      () => server.setCompressionLevel(1),
      () => server.setCompressionLevel(9),
      () => {
        server.compress = false
      },
    ]) {
      act()
      const before = server.stats.bytesSent
      server.send(text)
      assert.equal(await client.read(), text)
      sizes.push(server.stats.bytesSent - before)
    }
    const [none, fast, small, off] = sizes as [number, number, number, number]
    assert.ok(none > text.length && off > text.length)
    assert.ok(fast < text.length / 2 && small < fast, `${sizes}`)
    assert.equal(server.compress, false)
    // A writer keeps to what holds when it is begun.
    const writer = server.writeStream('text')
    server.compress = true
    const before = server.stats.bytesSent
    await writer.write(text)
    await writer.close()
    assert.equal(await client.read(), text)
    assert.ok(server.stats.bytesSent - before > text.length)
  })

  it('takes levels from 0 to 9, and a boolean', () => {
    const { conn } = new TestLink()
    for (const bad of [-1, 10, 1.5, Number.NaN, '5', undefined])
      assert.throws(() => conn.setCompressionLevel(bad as number), usage('ERR_WS_INVALID_ARGUMENT', /level/))
    assert.throws(
      () => {
        conn.compress = 1 as unknown as boolean
      },
      usage('ERR_WS_INVALID_ARGUMENT', /compress/),
    )
    // Nothing was agreed on: that changes nothing.
    conn.setCompressionLevel(5)
    assert.equal(conn.compress, true)
    conn.terminate()
  })
})

describe('the socket of a connection', () => {
  it('is the one under it', async () => {
    await using pair = await connectedPair()
    assert.equal(pair.server.socket, pair.serverSocket)
    assert.equal(pair.client.socket, pair.clientSocket)
    const peer = new TestLink()
    assert.equal(peer.conn.socket, peer.stream)
    peer.conn.terminate()
  })
})

describe('handlers of control frames', () => {
  it('are replaced as a whole', async () => {
    await using pair = await connectedPair()
    const { server, client } = pair
    const heard: string[] = []
    server.onControl({ ping: () => heard.push('first'), pong: () => heard.push('pong') })
    server.onControl({ ping: () => heard.push('second') })
    await client.ping()
    await server.ping()
    assert.deepEqual(heard, ['second'])
    server.onControl({})
    await client.ping()
    assert.equal(heard.length, 1)
  })

  it('are checked', () => {
    const { conn } = new TestLink()
    for (const bad of [{ pings() {} }, { ping: 5 }, { autoPong: 'no' }, null, 5])
      assert.throws(() => conn.onControl(bad as ControlHandlers), usage('ERR_WS_INVALID_OPTION'))
    conn.terminate()
  })

  it('that answer themselves are waited for by who pings', async () => {
    await using pair = await connectedPair()
    const { server, client } = pair
    let payload: Uint8Array | undefined
    server.onControl({
      autoPong: false,
      ping(bytes) {
        payload = bytes
      },
    })
    const rtt = client.ping()
    await until(() => payload !== undefined, 'the ping')
    assert.equal(await isPending(rtt), true)
    server.sendControl('pong', payload)
    assert.ok((await rtt) >= 0)
  })
})

describe('streams', () => {
  it('carry bytes through Node and Web streams, both ways, with all that is sent beside them', async () => {
    await using pair = await connectedPair({
      server: { limits: { maxStreamSize: 64 * MiB } },
      client: { limits: { maxStreamSize: 64 * MiB } },
    })
    const { server, client } = pair
    const data = randomBytes(10 * MiB)
    const echo = (async () => {
      for await (const message of server.streams()) {
        assert.ok(message instanceof MessageStream)
        await message.readable.pipeTo(server.writeStream(message.type).writable)
      }
    })()
    const writer = client.writeStream()
    assert.ok(writer instanceof MessageWriter)
    const sending = pipeline(
      Readable.from(chunksOf(data, 100_000)),
      async (source: AsyncIterable<Uint8Array>) => {
        for await (const chunk of source) await writer.write(chunk)
        await writer.close()
      },
    )
    client.send('behind')
    const stream = await client.readStream()
    const echoed = stream.bytes(data.length)
    for (let i = 0; i < 5; i++) assert.ok((await client.ping()) >= 0)
    assert.deepEqual(Buffer.from(await echoed), data)
    assert.equal(await client.read(), 'behind')
    await sending
    await client.close()
    await echo
    assert.deepEqual([client.stats.messagesSent, client.stats.messagesReceived], [2, 2])
  })

  it('end quietly or by throwing, as messages do', async () => {
    for (const [code, quiet] of [
      [1000, true],
      [4000, false],
    ] as const) {
      await using pair = await connectedPair()
      const got: string[] = []
      const loop = (async () => {
        for await (const message of pair.server.streams()) got.push(await message.text())
      })()
      pair.client.send('one')
      pair.client.send('two')
      await pair.client.close(code)
      if (quiet) await loop
      else await assert.rejects(loop, CloseError)
      assert.deepEqual(got, ['one', 'two'])
    }
  })

  it('leave the next message to others when a loop is left, whatever was read of the last one', async () => {
    for (const chunks of [0, 1, 2]) {
      await using pair = await connectedPair()
      pair.client.send('x'.repeat(100_000))
      pair.client.send('next')
      for await (const message of pair.server.streams()) {
        const iterator = message[Symbol.asyncIterator]()
        for (let count = 0; count < chunks; count++) await iterator.next()
        break
      }
      assert.equal(await pair.server.read(), 'next')
    }
  })

  it('are waited for with a signal, in a loop too', async () => {
    await using pair = await connectedPair()
    const controller = new AbortController()
    const reason = new Error('no patience')
    const got: string[] = []
    const loop = (async () => {
      for await (const message of pair.server.streams({ signal: controller.signal }))
        got.push(await message.text())
    })()
    loop.catch(() => {})
    pair.client.send('one')
    await until(() => got.length === 1, 'the first message')
    controller.abort(reason)
    await assert.rejects(loop, reason)
    pair.client.send('two')
    assert.equal(await (await pair.server.readStream()).text(), 'two')
  })

  it('take turns with other ways to read', async () => {
    await using pair = await connectedPair({ server: { limits: { maxQueuedBytes: 1000 } } })
    const { server, client } = pair
    const texts = Array.from({ length: 20 }, (_, i) => `${i};`.repeat(500 * (i % 3)))
    for (const text of texts) client.send(text)
    for (const [i, text] of texts.entries()) {
      if (i % 4 === 0) assert.equal(await server.read(), text)
      else if (i % 4 === 1) assert.equal(await (await server.readStream()).text(), text)
      else if (i % 4 === 2) (await server.readStream()).cancel()
      else {
        for await (const { data } of server.messages({ text: 'bytes' })) {
          assert.equal(Buffer.from(data).toString(), text)
          break
        }
      }
    }
  })

  it('that nobody reads hold the peer back: what it sends stays with it', async () => {
    await using pair = await connectedPair({
      server: { limits: { maxStreamSize: 1024 * MiB } },
      client: { limits: { maxSendBuffer: 1024 * MiB } },
    })
    const { server, client } = pair
    const reading = server.readStream()
    client.send(Buffer.alloc(64 * MiB))
    const stream = await reading
    let stuck = 0
    let last = -1
    await until(() => {
      stuck = last === client.bufferedAmount && last > 0 ? stuck + 1 : 0
      last = client.bufferedAmount
      return stuck > 50
    }, 'the peer to be held back')
    assert.ok(server.stats.bytesReceived < 3 * MiB, `${server.stats.bytesReceived} bytes were read`)
    assert.ok(client.bufferedAmount > 50 * MiB)
    let size = 0
    for await (const chunk of stream) size += chunk.length
    assert.equal(size, 64 * MiB)
  })
})

describe('closing with a signal', () => {
  it('drops the connection once that is aborted, and leaves no listener', async () => {
    const peer = new TestLink()
    const controller = new AbortController()
    const closed = peer.conn.close(4000, 'bye', { signal: controller.signal })
    await turn()
    assert.equal(await isPending(closed), true)
    assert.equal(getEventListeners(controller.signal, 'abort').length, 1)
    controller.abort()
    const { code, by, wasClean } = await closed
    assert.deepEqual([code, by, wasClean], [4000, 'local', false])
    assert.equal(getEventListeners(controller.signal, 'abort').length, 0)
  })

  it('that is aborted already drops it at once; one that never is changes nothing', async () => {
    const dropped = new TestLink()
    await dropped.conn.close(4000, '', { signal: AbortSignal.abort() })
    assert.deepEqual([dropped.stream.destroyed, dropped.sent()], [true, []])
    await using pair = await connectedPair()
    const { signal } = new AbortController()
    assert.equal((await pair.client.close(4000, '', { signal })).wasClean, true)
    assert.equal((await pair.client.close(4000, '', { signal })).wasClean, true)
    assert.equal(getEventListeners(signal, 'abort').length, 0)
  })
})

describe('a peer that reads nothing', () => {
  it('stops a writer, which goes on when it reads again', async () => {
    await using pair = await connectedPair({
      server: { limits: { maxSendBuffer: MiB } },
      client: { limits: { maxStreamSize: 1024 * MiB } },
    })
    const { server, client, clientSocket } = pair
    clientSocket.pause()
    const writer = server.writeStream()
    let sent = 0
    let stopped: Promise<void> | undefined
    while (stopped === undefined) {
      const write = writer.write(Buffer.alloc(256 * KiB))
      sent += 256 * KiB
      if (await isPending(write)) stopped = write
      else await write
    }
    assert.ok(server.bufferedAmount < MiB, `${server.bufferedAmount} bytes wait`)
    clientSocket.resume()
    const counted = (async () => {
      let size = 0
      for await (const chunk of await client.readStream()) size += chunk.length
      return size
    })()
    await stopped
    await writer.close()
    assert.equal(await counted, sent)
  })

  it('and is closed gets, or loses, what was sent to it in the time that it is given', async () => {
    await using pair = await connectedPair({
      server: { limits: { closeTimeout: 200, maxSendBuffer: 64 * MiB } },
    })
    const { server, clientSocket } = pair
    clientSocket.pause()
    const waiting = [server.drained()]
    server.send(Buffer.alloc(32 * MiB))
    waiting.push(server.drained())
    const writer = server.writeStream()
    const write = writer.write('behind')
    const { wasClean, by, stats } = await server.close(4000)
    assert.deepEqual([wasClean, by], [false, 'local'])
    assert.deepEqual([stats.messagesSent, stats.sendsDropped], [0, 1])
    await waiting[0]
    await assert.rejects(waiting[1] as Promise<void>, CloseError)
    await assert.rejects(write, CloseError)
    await turn()
  })
})

function* chunksOf(data: Buffer, size: number): Generator<Buffer> {
  for (let at = 0; at < data.length; at += size) yield data.subarray(at, at + size)
}

describe('the options of what waits', () => {
  it('are checked before anything is done: by promise where there is one', async () => {
    const peer = new TestLink()
    const { conn } = peer
    for (const options of [
      null,
      5,
      { singal: new AbortController().signal },
      { signal: {} },
      { signal: null },
      new AbortController().signal,
    ] as never[]) {
      const bad = { name: 'UsageError', code: 'ERR_WS_INVALID_OPTION' }
      for (const call of [
        () => conn.read(options),
        () => conn.readStream(options),
        () => conn.drained(options),
        () => conn.ping(options),
      ])
        await assert.rejects(call(), bad)
      for (const call of [
        () => conn.messages(options),
        () => conn.streams(options),
        () => conn.json(undefined, options),
        () => conn.close(1000, '', options),
      ])
        assert.throws(call, bad)
    }
    for (const options of [null, { txt: 'bytes' }] as never[])
      assert.throws(() => conn.onMessage(() => {}, options), { code: 'ERR_WS_INVALID_OPTION' })
    await peer.receiveTexts('taken by nobody')
    assert.deepEqual([conn.state, await conn.read(), peer.sent()], ['open', 'taken by nobody', []])
    conn.terminate()
  })
})
