import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { type Duplex, PassThrough, Readable, Transform, Writable } from 'node:stream'
import { finished, pipeline } from 'node:stream/promises'
import { after, describe, it } from 'node:test'
import { assertNoLeaks } from '../../test/leaks.ts'
import type { ConnectedPair, ConnectedPairOptions } from '../../test/support/connected-pair.ts'
import { failure } from '../../test/support/failure.ts'
import { readAll, streamLimits, streamPair } from '../../test/support/stream-pair.ts'
import { turn } from '../../test/support/test-link.ts'
import { isPending, until } from '../../test/support/until.ts'
import { CloseError, ProtocolError, UsageError } from '../session/errors.ts'
import type { Data } from '../session/message.ts'
import { prepare } from '../session/prepared.ts'
import { toDuplex } from './to-duplex.ts'

after(() => assertNoLeaks())

const KiB = 1024
const MiB = 1024 * KiB

const closedWith = (code: number) => (error: unknown) =>
  error instanceof CloseError && error.info.code === code

describe('toDuplex, in bytes', () => {
  it('sends a message for each write, and reads the bytes of messages', async () => {
    await using ends = await streamPair()
    const stream = toDuplex(ends.client)
    stream.write('héllo')
    stream.write(Buffer.from([0, 255]))
    stream.write(Buffer.alloc(0))
    stream.write('6869', 'hex')
    assert.deepEqual(await ends.server.read(), Buffer.from('héllo'))
    assert.deepEqual(await ends.server.read(), Buffer.from([0, 255]))
    assert.deepEqual(await ends.server.read(), Buffer.alloc(0))
    assert.deepEqual(await ends.server.read(), Buffer.from('hi'))
    for (const text of ['one', '', 'two']) ends.server.send(Buffer.from(text))
    void ends.server.close()
    assert.equal(Buffer.concat((await readAll(stream)) as Buffer[]).toString(), 'onetwo')
  })

  it('does the same with text, a character that is cut in two going with its second half', async () => {
    await using ends = await streamPair()
    const stream = toDuplex(ends.client, { type: 'text' })
    const bytes = Buffer.from('a€😀b')
    for (const byte of bytes) stream.write(Buffer.of(byte))
    stream.write('whole')
    const sent: Data[] = []
    while (sent.at(-1) !== 'whole') sent.push(await ends.server.read())
    assert.deepEqual(sent, ['a', '€', '😀', 'b', 'whole'])
    stream.write(bytes.subarray(0, 2))
    stream.end('x')
    const error = await failure(finished(stream))
    assert.ok(error instanceof ProtocolError)
    assert.equal((await ends.server.closed).code, 1007)
  })

  it('refuses to end a text inside a character', async () => {
    await using ends = await streamPair()
    const stream = toDuplex(ends.client, { type: 'text' })
    stream.end(Buffer.of(0xe2, 0x82))
    assert.ok((await failure(finished(stream))) instanceof ProtocolError)
    assert.equal((await ends.server.closed).code, 1007)
  })

  it('puts a character together that is cut between two strings, whatever the type', async () => {
    for (const type of ['text', 'binary'] as const) {
      await using ends = await streamPair()
      const stream = toDuplex(ends.client, { type })
      for (const half of ['a\ud83d', '\ude00b\ud83d', '\ude00\ud83d']) stream.write(half)
      stream.end()
      const sent: string[] = []
      for await (const data of ends.server) sent.push(String(data))
      assert.deepEqual(sent, ['a', '😀b', '😀', '\ufffd'])
    }
  })

  it('takes strings in the encoding that is said', async () => {
    await using ends = await streamPair()
    const stream = toDuplex(ends.client, { type: 'text' })
    stream.write('é', 'UTF-8' as 'utf-8')
    stream.write(Buffer.from('€').toString('base64').slice(0, 2), 'base64')
    stream.write(Buffer.from('€').subarray(1).toString('hex'), 'hex')
    assert.deepEqual([await ends.server.read(), await ends.server.read()], ['é', '€'])
  })

  it('reads text with setEncoding, wherever characters are cut', async () => {
    await using ends = await streamPair()
    const stream = toDuplex(ends.client, { type: 'text' }).setEncoding('utf8')
    const text = 'a€😀'.repeat(1000)
    const writer = ends.server.writeStream('text')
    void (async () => {
      for (let at = 0; at < Buffer.byteLength(text); at += 7)
        await writer.write(Buffer.from(text).subarray(at, at + 7))
      await writer.close()
      await ends.server.close()
    })()
    const chunks = await readAll(stream)
    assert.ok(chunks.every((chunk) => typeof chunk === 'string'))
    assert.equal(chunks.join(''), text)
  })

  it('fails at a message of the other type, and closes with 1003', async () => {
    for (const [type, other] of [
      ['binary', 'text'],
      ['text', Buffer.from('binary')],
    ] as const) {
      await using ends = await streamPair()
      const stream = toDuplex(ends.server, { type })
      ends.client.send(Buffer.from('fine'), type)
      ends.client.send(other)
      const chunks: string[] = []
      const error = await failure(
        (async () => {
          for await (const chunk of stream) chunks.push(String(chunk))
        })(),
      )
      assert.ok(error instanceof ProtocolError)
      assert.deepEqual([error.code, error.closeCode], ['ERR_WS_MESSAGE_TYPE', 1003])
      assert.deepEqual(chunks, ['fine'])
      const { code, reason } = await ends.client.closed
      const wrong = type === 'text' ? 'binary' : 'text'
      assert.deepEqual([code, reason], [1003, `${wrong} message where only ${type} is taken`])
    }
  })

  it('does not keep what was written: the buffer can be used again', async () => {
    for (const objectMode of [false, true]) {
      await using ends = await streamPair()
      // A server sends what is long from where it lies.
      const stream = toDuplex(ends.server, { objectMode })
      const buffer = Buffer.alloc(60 * KiB)
      for (let i = 1; i <= 20; i++) {
        buffer.fill(i)
        await new Promise((resolve) => stream.write(buffer, resolve))
      }
      for (let i = 1; i <= 20; i++)
        assert.ok(((await ends.client.read()) as Uint8Array).every((byte) => byte === i))
    }
  })
})

describe('toDuplex, in messages', () => {
  it('keeps text and binary apart, both ways', async () => {
    await using ends = await streamPair()
    const messages = ['text', Buffer.from('binary'), '', Buffer.alloc(0), 'é', Buffer.from([0xff])]
    const stream = toDuplex(ends.server, { objectMode: true })
    for (const message of messages) stream.write(message)
    stream.write(prepare('prepared'))
    stream.write(new Uint16Array([258]).buffer)
    for (const message of messages) assert.deepEqual(await ends.client.read(), message)
    assert.equal(await ends.client.read(), 'prepared')
    assert.deepEqual(await ends.client.read(), Buffer.from([2, 1]))
    for (const message of messages) ends.client.send(message)
    void ends.client.close()
    assert.deepEqual(await readAll(stream), messages)
  })

  it('fails at what is no message, and closes with 1011', async () => {
    await using ends = await streamPair()
    const stream = toDuplex(ends.client, { objectMode: true })
    stream.write({ no: 'message' })
    assert.ok((await failure(finished(stream))) instanceof UsageError)
    assert.equal((await ends.server.closed).code, 1011)
  })

  it('is a source and a destination among transforms', async () => {
    await using ends = await streamPair()
    const { client, server } = ends
    const shout = new Transform({
      objectMode: true,
      transform: (message: Data, _encoding, callback) =>
        callback(null, typeof message === 'string' ? message.toUpperCase() : message),
    })
    const stream = toDuplex(server, { objectMode: true })
    const shouting = pipeline(stream, shout, stream)
    client.send('hello')
    assert.equal(await client.read(), 'HELLO')
    client.send(Buffer.of(1))
    assert.deepEqual(await client.read(), Buffer.of(1))
    await client.close()
    await shouting
  })
})

describe('backpressure of a Duplex', () => {
  it('holds the peer back while nobody reads, and loses nothing', async () => {
    for (const objectMode of [false, true]) {
      await using ends = await streamPair()
      const { client, server } = ends
      const stream = toDuplex(server, { objectMode })
      const block = randomBytes(64 * KiB)
      const sending = pipeline(
        Readable.from(Array.from({ length: 512 }, () => block)),
        toDuplex(client, { objectMode }),
      )
      await until(() => server.stats.bytesReceived > MiB, 'the first MiB')
      assert.ok(await isPending(sending))
      assert.ok(server.stats.bytesReceived < 8 * MiB, `${server.stats.bytesReceived} bytes were taken`)
      let length = 0
      for await (const chunk of stream) {
        assert.ok(
          block
            .subarray(length % block.length)
            .subarray(0, chunk.length)
            .equals(chunk),
        )
        length += chunk.length
      }
      await sending
      assert.equal(length, 32 * MiB)
    }
  })

  it('makes the writer wait while the peer does not read', async () => {
    for (const options of [
      {},
      { server: { slow: 'skip', limits: streamLimits } },
    ] as ConnectedPairOptions[]) {
      await using ends = await streamPair(options)
      const { client, server } = ends
      const stream = toDuplex(server)
      let written = 0
      const source = new Readable({
        read() {
          written += 64 * KiB
          this.push(written > 48 * MiB ? null : Buffer.alloc(64 * KiB))
        },
      })
      const sending = pipeline(source, stream)
      sending.catch(() => {})
      // What the kernel's buffers take differs from system to system.
      let before = -1
      while (before !== written) {
        before = written
        for (let i = 0; i < 100; i++) await turn()
      }
      assert.ok(written < 40 * MiB, `${written} bytes were taken from the source`)
      assert.ok(server.bufferedAmount < MiB, `${server.bufferedAmount} bytes wait`)
      let length = 0
      for await (const message of client) length += message.length
      await sending
      assert.equal(length, 48 * MiB)
    }
  })

  it('waits for room where others send, too: a slow policy never drops what is written', async () => {
    await using ends = await streamPair({
      server: { slow: 'skip', limits: { ...streamLimits, maxSendBuffer: 100 * KiB } },
    })
    const { client, server } = ends
    const stream = toDuplex(server)
    // The kernel takes so much at most.
    while (server.send(Buffer.alloc(64 * KiB)) || server.bufferedAmount <= 100 * KiB);
    stream.write('not dropped')
    await turn()
    let last: Data = ''
    while (String(last) !== 'not dropped') last = await client.read()
  })
})

describe('the end of a Duplex', () => {
  it('by end(): 1000 behind all that was written, and finish when the peer has answered', async () => {
    await using ends = await streamPair()
    const stream = toDuplex(ends.client)
    const source = Readable.from(Array.from({ length: 100 }, () => Buffer.alloc(64 * KiB)))
    const sending = pipeline(source, stream)
    let length = 0
    for await (const message of ends.server) length += message.length
    assert.equal(length, 6400 * KiB)
    await sending
    const { code, by, wasClean } = await ends.client.closed
    assert.deepEqual([code, by, wasClean], [1000, 'local', true])
  })

  it('by end(): what the peer still says is read', async () => {
    await using ends = await streamPair()
    const { client, server } = ends
    const stream = toDuplex(client)
    const reading = readAll(stream)
    stream.end('question')
    await server.read()
    // The Close frame is there, too, but its answer goes behind what the handler sends now.
    server.send(Buffer.from('answer'))
    assert.deepEqual(await reading, [Buffer.from('answer')])
    await finished(stream)
    assert.equal(stream.destroyed, true)
  })

  it('by end(): fails instead of leaving a gap where the reader was too slow for what still came', async () => {
    for (const objectMode of [false, true]) {
      await using ends = await streamPair({ client: { limits: { maxQueuedMessages: 4 } } })
      const { client, server } = ends
      const stream = toDuplex(client, { objectMode })
      server.onMessage(() => {
        for (let i = 0; i < 100; i++) server.send(Buffer.of(i))
      })
      stream.write('question')
      stream.end()
      await client.closed
      const got: number[] = []
      const error = await failure(
        (async () => {
          for await (const chunk of stream) got.push(...(chunk as Buffer))
        })(),
      )
      assert.ok(closedWith(1000)(error))
      assert.ok(got.length >= 4 && got.length < 100)
      assert.ok(got.every((value, index) => value === index))
    }
  })

  it('by the peer, in order: end, finish and close, once all is read', async () => {
    for (const code of [1000, 1001]) {
      await using ends = await streamPair()
      const stream = toDuplex(ends.client)
      const events: string[] = []
      for (const name of ['end', 'finish', 'close', 'error']) stream.on(name, () => events.push(name))
      for (let i = 0; i < 50; i++) ends.server.send(Buffer.of(1))
      void ends.server.close(code)
      await ends.client.closed
      assert.deepEqual(events, [])
      let length = 0
      stream.on('data', (chunk: Buffer) => {
        length += chunk.length
      })
      await once(stream, 'close')
      assert.equal(length, 50)
      assert.deepEqual(events, ['end', 'finish', 'close'])
    }
  })

  it('by the peer, otherwise: the CloseError behind all that came, whenever it is read', async () => {
    await using ends = await streamPair()
    const stream = toDuplex(ends.client)
    for (let i = 0; i < 10; i++) ends.server.send(Buffer.of(i))
    void ends.server.close(4001, 'no')
    await ends.client.closed
    const got: number[] = []
    const error = await failure(
      (async () => {
        for await (const chunk of stream) {
          got.push(...(chunk as Buffer))
          await turn()
        }
      })(),
    )
    assert.ok(closedWith(4001)(error))
    assert.deepEqual(got, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
  })

  it('by the network: told to one who only writes, and has nothing to write', async () => {
    await using ends = await streamPair()
    const source = new PassThrough()
    const sending = pipeline(source, toDuplex(ends.client))
    ends.server.terminate()
    assert.ok(closedWith(1006)(await failure(sending)))
    assert.equal(source.destroyed, true)
  })

  it('by the peer while something is written: the reader gets all, then the writer fails', async () => {
    await using ends = await streamPair()
    const stream = toDuplex(ends.client)
    for (let i = 0; i < 50; i++) ends.server.send(Buffer.of(1))
    void ends.server.close()
    await ends.client.closed
    const reading = (async () => {
      let length = 0
      stream.on('data', (chunk: Buffer) => {
        length += chunk.length
      })
      await once(stream, 'end')
      return length
    })()
    stream.write('too late')
    let finish = false
    stream.once('finish', () => {
      finish = true
    })
    stream.end()
    assert.equal(await reading, 50)
    assert.ok(closedWith(1000)(await failure(finished(stream))))
    assert.deepEqual([closedWith(1000)(stream.errored), finish], [true, false])
  })

  it('by the peer while something is written: also for a reader that waits for its writes', async () => {
    const wait = 10 * KiB
    for (const echo of [
      async (stream: Duplex) => {
        for await (const chunk of stream) await new Promise((resolve) => stream.write(chunk, resolve))
      },
      async (stream: Duplex) => {
        for await (const chunk of stream) if (!stream.write(chunk)) await once(stream, 'drain')
      },
    ]) {
      await using ends = await streamPair()
      for (let i = 0; i < 3; i++) ends.server.send(Buffer.alloc(2 * wait))
      await ends.server.close()
      const stream = toDuplex(ends.client)
      const closed = new Promise((resolve) => stream.once('close', resolve))
      await echo(stream)
      await closed
      assert.ok(closedWith(1000)(stream.errored))
    }
    for (const allowHalfOpen of [false, true]) {
      await using ends = await streamPair()
      for (let i = 0; i < 5; i++) ends.server.send(Buffer.alloc(2 * wait))
      await ends.server.close()
      const stream = toDuplex(ends.client, { allowHalfOpen })
      const slow = new Transform({
        highWaterMark: 1,
        transform: (chunk, _encoding, callback) => void setImmediate(callback, null, chunk),
      })
      const piped = pipeline(stream, slow, stream)
      if (allowHalfOpen) await piped
      else assert.ok(closedWith(1000)(await failure(piped)))
    }
  })

  it('by the peer while nobody reads: the writer fails at once', async () => {
    await using ends = await streamPair()
    const stream = toDuplex(ends.client)
    ends.server.send(Buffer.from('unread'))
    await ends.server.close()
    stream.write('too late')
    assert.ok(closedWith(1000)(await failure(finished(stream))))
  })

  it('with allowHalfOpen: in order, what is written behind it is dropped, until end()', async () => {
    await using ends = await streamPair()
    const stream = toDuplex(ends.client, { allowHalfOpen: true })
    ends.server.send(Buffer.from('bye'))
    void ends.server.close()
    assert.deepEqual(await readAll(stream.iterator({ destroyOnReturn: false }) as unknown as Readable), [
      Buffer.from('bye'),
    ])
    await new Promise((resolve) => stream.write('too late', resolve))
    assert.equal(stream.writable, true)
    stream.end()
    await once(stream, 'close')
    assert.equal(stream.errored, null)
  })

  it('by destroy(): 1000 if nothing is missing, else 1011', async () => {
    await using ends = await streamPair()
    const stream = toDuplex(ends.client)
    stream.write('whole')
    stream.destroy()
    assert.deepEqual(await ends.server.read(), Buffer.from('whole'))
    assert.equal((await ends.server.closed).code, 1000)

    await using others = await streamPair()
    const other = toDuplex(others.client)
    while (other.write(Buffer.alloc(16 * KiB)));
    other.write('missing')
    other.destroy()
    assert.equal((await others.server.closed).code, 1011)
  })

  it('by destroy(error): 1011, or the code that the error has', async () => {
    const cases: [Error, number, string][] = [
      [new Error('secret'), 1011, ''],
      [Object.assign(new Error('x'), { closeCode: 4321, reason: 'because' }), 4321, 'because'],
      [Object.assign(new Error('x'), { closeCode: 1006, reason: 'because' }), 1011, ''],
      [Object.assign(new Error('x'), { closeCode: 4000, reason: 'é'.repeat(100) }), 4000, 'é'.repeat(61)],
      [new ProtocolError('ERR_WS_INVALID_MESSAGE', 1007, 'no good'), 1007, 'no good'],
    ]
    for (const [error, code, reason] of cases) {
      await using ends = await streamPair()
      const stream = toDuplex(ends.client)
      stream.destroy(error)
      const [told] = (await once(stream, 'error')) as [Error]
      assert.equal(told, error)
      const info = await ends.server.closed
      assert.deepEqual([info.code, info.reason], [code, reason])
    }
  })

  it('by leaving a loop over it, also in the middle of a message', async () => {
    for (const objectMode of [false, true]) {
      await using ends = await streamPair()
      ends.server.send(Buffer.alloc(MiB))
      const long = ends.server.writeStream()
      for (let i = 0; i < 20; i++) void long.write(Buffer.alloc(100 * KiB))
      for await (const _ of toDuplex(ends.client, { objectMode })) break
      assert.equal((await ends.server.closed).code, 1000)
      assert.equal((await ends.client.closed).wasClean, true)
    }
  })

  it('by its signal: the reason, and 1011', async () => {
    for (const reason of [new Error('enough'), undefined]) {
      await using ends = await streamPair()
      const controller = new AbortController()
      const stream = toDuplex(ends.client, { signal: controller.signal })
      const reading = failure(readAll(stream))
      controller.abort(reason)
      assert.equal(await reading, controller.signal.reason)
      assert.equal((await ends.server.closed).code, 1011)
      const late = toDuplex(ends.client, { signal: controller.signal })
      assert.equal(late.destroyed, true)
      assert.equal(late.errored, controller.signal.reason)
    }
  })

  it('fails when the peer does not answer the Close frame: then nobody knows what it has got', async () => {
    await using ends = await streamPair({ client: { limits: { closeTimeout: 200 } } })
    const stream = toDuplex(ends.client)
    const sending = pipeline(Readable.from(['x']), stream)
    // The other side is there, but reads nothing.
    ends.serverSocket.pause()
    const error = await failure(sending)
    assert.ok(error instanceof CloseError)
    ends.serverSocket.destroy()
  })

  it('ends no process, listened to or not, whatever the peer does, or is piped into it', async () => {
    for (const end of [
      (ends: ConnectedPair) => ends.server.terminate(),
      (ends: ConnectedPair) => ends.server.send(Buffer.from('binary')),
      (_ends: ConnectedPair, stream: Duplex) => Readable.from([Buffer.of(0xff)]).pipe(stream),
      (_ends: ConnectedPair, stream: Duplex) => stream.end(Buffer.of(0xe2)),
    ]) {
      await using ends = await streamPair()
      const stream = toDuplex(ends.client, { type: 'text' })
      stream.resume()
      end(ends, stream)
      await new Promise((resolve) => stream.once('close', resolve))
      assert.ok(stream.errored !== null)
    }
  })
})

describe('a Duplex beside other ways to read', () => {
  it('is refused at once where a listener takes the messages', async () => {
    await using ends = await streamPair()
    ends.client.onMessage(() => {})
    for (const objectMode of [false, true])
      assert.throws(() => toDuplex(ends.client, { objectMode }), { code: 'ERR_WS_CONCURRENT_READ' })
    await ends.client.ping()
    assert.equal(ends.client.state, 'open')
  })

  it('takes what waited before', async () => {
    await using ends = await streamPair()
    ends.server.send('text')
    ends.server.send(Buffer.from('binary'))
    await ends.server.ping()
    void ends.server.close()
    assert.deepEqual(await readAll(toDuplex(ends.client, { objectMode: true })), [
      'text',
      Buffer.from('binary'),
    ])
  })
})

describe('the options of toDuplex', () => {
  it('are checked', async () => {
    await using ends = await streamPair()
    const bad: [object, RegExp][] = [
      [{ typ: 'text' }, /typ is not an option; the options are type, objectMode, allowHalfOpen, signal/],
      [{ type: 'string' }, /type must be 'text' or 'binary', not string/],
      [{ objectMode: 1 }, /objectMode must be a boolean/],
      [{ objectMode: true, type: 'text' }, /type is for streams of bytes/],
      [{ allowHalfOpen: 'yes' }, /allowHalfOpen must be a boolean/],
      [{ signal: {} }, /signal must be an AbortSignal/],
    ]
    for (const [options, message] of bad) {
      assert.throws(
        () => toDuplex(ends.client, options),
        (error: unknown) => error instanceof UsageError && message.test(error.message),
      )
    }
    const streams: Duplex[] = [toDuplex(ends.client, { objectMode: false, type: 'text' })]
    assert.equal(
      streams.every((stream) => stream instanceof Writable),
      true,
    )
  })
})
