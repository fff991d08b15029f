import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { getEventListeners } from 'node:events'
import { ReadableStream, TextDecoderStream, TransformStream, WritableStream } from 'node:stream/web'
import { after, describe, it } from 'node:test'
import { assertNoLeaks } from '../../test/leaks.ts'
import type { ConnectedPair } from '../../test/support/connected-pair.ts'
import { failure } from '../../test/support/failure.ts'
import { readAll, streamPair } from '../../test/support/stream-pair.ts'
import { TestLink, turn } from '../../test/support/test-link.ts'
import { isPending, until } from '../../test/support/until.ts'
import { CloseError, ProtocolError, UsageError } from '../session/errors.ts'
import type { Data } from '../session/message.ts'
import { prepare } from '../session/prepared.ts'
import { toWebStreams } from './to-web-streams.ts'

after(() => assertNoLeaks())

const KiB = 1024
const MiB = 1024 * KiB

const isCloseError = (error: unknown, code: number) => error instanceof CloseError && error.info.code === code

describe('toWebStreams, in bytes', () => {
  it('sends a message for each write, and reads the bytes of messages', async () => {
    await using ends = await streamPair()
    const { readable, writable } = toWebStreams(ends.client)
    const writer = writable.getWriter()
    await writer.write('héllo')
    await writer.write(Uint8Array.of(0, 255))
    await writer.write(new Uint16Array([258]).buffer)
    assert.deepEqual(await ends.server.read(), Buffer.from('héllo'))
    assert.deepEqual(await ends.server.read(), Buffer.from([0, 255]))
    assert.deepEqual(await ends.server.read(), Buffer.from([2, 1]))
    for (const text of ['one', '', 'two']) ends.server.send(Buffer.from(text))
    void ends.server.close()
    assert.equal(Buffer.concat(await readAll(readable)).toString(), 'onetwo')
  })

  it('does the same with text, through a decoder and an encoder', async () => {
    await using ends = await streamPair()
    const { readable, writable } = toWebStreams(ends.client, { type: 'text' })
    const text = 'a€😀'.repeat(1000)
    const bytes = Buffer.from(text)
    const pieces = Array.from({ length: Math.ceil(bytes.length / 7) }, (_, i) =>
      bytes.subarray(i * 7, i * 7 + 7),
    )
    const sending = ReadableStream.from(pieces).pipeTo(writable, { preventClose: true })
    let echo = ''
    while (echo.length < text.length) {
      const message = await ends.server.read()
      assert.equal(typeof message, 'string')
      echo += message
    }
    assert.equal(echo, text)
    await sending
    const writer = ends.server.writeStream('text')
    for (const piece of pieces) await writer.write(piece)
    await writer.close()
    void ends.server.close()
    const decoded = await readAll(readable.pipeThrough(new TextDecoderStream()))
    assert.equal(decoded.join(''), text)
  })

  it('puts a string behind half a character together with it, which cannot be sent', async () => {
    await using ends = await streamPair()
    const writer = toWebStreams(ends.client, { type: 'text' }).writable.getWriter()
    await writer.write(Uint8Array.of(0xe2, 0x82))
    assert.ok((await failure(writer.write('x'))) instanceof ProtocolError)
    assert.equal((await ends.server.closed).code, 1007)
  })

  it('refuses to end a text inside a character', async () => {
    await using ends = await streamPair()
    const writer = toWebStreams(ends.client, { type: 'text' }).writable.getWriter()
    await writer.write(Buffer.from('€').subarray(0, 2))
    assert.ok((await failure(writer.close())) instanceof ProtocolError)
    assert.equal((await ends.server.closed).code, 1007)
  })

  it('fails at a message of the other type, and closes with 1003', async () => {
    await using ends = await streamPair()
    const { readable, writable } = toWebStreams(ends.server)
    ends.client.send(Buffer.from('fine'))
    ends.client.send('text')
    const reader = readable.getReader()
    assert.deepEqual((await reader.read()).value, Buffer.from('fine'))
    const error = await failure(reader.read())
    assert.ok(error instanceof ProtocolError && error.code === 'ERR_WS_MESSAGE_TYPE')
    const { code, reason } = await ends.client.closed
    assert.deepEqual([code, reason], [1003, 'text message where only binary is taken'])
    assert.ok(isCloseError(await failure(writable.getWriter().closed), 1003))
  })
})

describe('toWebStreams, in messages', () => {
  it('keeps text and binary apart, both ways', async () => {
    await using ends = await streamPair()
    const messages = ['text', Buffer.from('binary'), '', Buffer.alloc(0), 'é', Buffer.from([0xff])]
    const { readable, writable } = toWebStreams(ends.server, { objectMode: true })
    const writer = writable.getWriter()
    for (const message of messages) await writer.write(message)
    await writer.write(prepare('prepared'))
    for (const message of messages) assert.deepEqual(await ends.client.read(), message)
    assert.equal(await ends.client.read(), 'prepared')
    for (const message of messages) ends.client.send(message)
    void ends.client.close()
    assert.deepEqual(await readAll(readable), messages)
  })

  it('fails at what is no message, and closes with 1011', async () => {
    await using ends = await streamPair()
    const writer = toWebStreams(ends.client, { objectMode: true }).writable.getWriter()
    assert.ok((await failure(writer.write(7 as unknown as Data))) instanceof UsageError)
    assert.equal((await ends.server.closed).code, 1011)
  })

  it('is piped through a transform and back', async () => {
    await using ends = await streamPair()
    const shout = new TransformStream<Data, Data>({
      transform: (message, controller) =>
        controller.enqueue(typeof message === 'string' ? message.toUpperCase() : message),
    })
    const { readable, writable } = toWebStreams(ends.server, { objectMode: true })
    const shouting = readable.pipeThrough(shout).pipeTo(writable)
    ends.client.send('hello')
    assert.equal(await ends.client.read(), 'HELLO')
    await ends.client.close()
    await shouting
  })
})

describe('backpressure of Web streams', () => {
  it('holds the peer back while nobody reads, and loses nothing', async () => {
    for (const objectMode of [false, true] as const) {
      await using ends = await streamPair()
      const { client, server } = ends
      const { readable } = objectMode ? toWebStreams(server, { objectMode }) : toWebStreams(server)
      const block = randomBytes(64 * KiB)
      const blocks = Array.from({ length: 512 }, () => block)
      const sending = ReadableStream.from(blocks).pipeTo(toWebStreams(client).writable)
      await until(() => server.stats.bytesReceived > MiB, 'the first MiB')
      assert.ok(await isPending(sending))
      assert.ok(server.stats.bytesReceived < 8 * MiB, `${server.stats.bytesReceived} bytes were taken`)
      let length = 0
      for await (const chunk of readable as ReadableStream<Uint8Array>) {
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

  it('takes nothing from the connection before it is asked', async () => {
    await using ends = await streamPair()
    const { readable } = toWebStreams(ends.server)
    await turn()
    ends.client.send('for another reader')
    assert.equal(await ends.server.read(), 'for another reader')
    ends.client.send(Buffer.from('for this one'))
    assert.deepEqual((await readable.getReader().read()).value, Buffer.from('for this one'))
  })

  it('can be read twice by tee', async () => {
    await using ends = await streamPair()
    const data = randomBytes(3 * MiB)
    ends.client.send(data)
    void ends.client.close()
    const [one, two] = toWebStreams(ends.server).readable.tee()
    const [first, second] = await Promise.all([readAll(one), readAll(two)])
    assert.ok(Buffer.concat(first).equals(data))
    assert.ok(Buffer.concat(second).equals(data))
  })
})

describe('the end of Web streams', () => {
  it('by close(): 1000 behind all that was written, resolved when the peer has answered', async () => {
    await using ends = await streamPair()
    const { readable, writable } = toWebStreams(ends.client)
    const reading = readAll(readable)
    const writer = writable.getWriter()
    void writer.write('question')
    const closing = writer.close()
    await ends.server.read()
    ends.server.send(Buffer.from('answer'))
    await closing
    assert.deepEqual(await reading, [Buffer.from('answer')])
    await writer.closed
    const { code, by } = await ends.client.closed
    assert.deepEqual([code, by], [1000, 'local'])
  })

  it('by the peer, in order: readable closes, and what is still written fails', async () => {
    await using ends = await streamPair()
    const { readable, writable } = toWebStreams(ends.client)
    const idle = new ReadableStream({})
    const sending = failure(idle.pipeTo(writable))
    ends.server.send(Buffer.from('bye'))
    void ends.server.close()
    assert.deepEqual(await readAll(readable), [Buffer.from('bye')])
    assert.ok(isCloseError(await sending, 1000))
  })

  it('by the peer, in order: one piped into the other ends in order, too', async () => {
    await using ends = await streamPair()
    const { readable, writable } = toWebStreams(ends.server)
    const echoing = readable.pipeTo(writable)
    ends.client.send(Buffer.from('echo'))
    assert.deepEqual(await ends.client.read(), Buffer.from('echo'))
    void ends.client.close()
    await echoing
  })

  it('by the peer, in order, with allowHalfOpen: what is written then is dropped, until close()', async () => {
    await using ends = await streamPair()
    const { readable, writable } = toWebStreams(ends.client, { allowHalfOpen: true })
    void ends.server.close()
    assert.deepEqual(await readAll(readable), [])
    await turn()
    const writer = writable.getWriter()
    await writer.write('too late')
    await writer.close()
  })

  it('by the peer, otherwise, with allowHalfOpen: both fail', async () => {
    await using ends = await streamPair()
    const { readable, writable } = toWebStreams(ends.client, { allowHalfOpen: true })
    const results = [failure(readAll(readable)), failure(writable.getWriter().closed)]
    void ends.server.close(4000)
    for (const error of await Promise.all(results)) assert.ok(isCloseError(error, 4000))
  })

  it('by the peer, in order: a bridge, and an echo through what takes its time, end in order', async () => {
    await using one = await streamPair()
    await using two = await streamPair()
    const [x, y] = [one.server, two.client].map((conn) => toWebStreams(conn, { allowHalfOpen: true }))
    assert.ok(x !== undefined && y !== undefined)
    const bridge = [x.readable.pipeTo(y.writable), y.readable.pipeTo(x.writable)]
    one.client.send(Buffer.from('over'))
    assert.deepEqual(await two.server.read(), Buffer.from('over'))
    void one.client.close()
    await Promise.all(bridge)
    assert.equal((await two.server.closed).code, 1000)

    await using three = await streamPair()
    const { readable, writable } = toWebStreams(three.server, { allowHalfOpen: true })
    const slow = new TransformStream<Uint8Array>({ flush: turn })
    const echo = readable.pipeThrough(slow).pipeTo(writable)
    three.client.send(Buffer.from('echo'))
    assert.deepEqual(await three.client.read(), Buffer.from('echo'))
    await three.client.close()
    await echo
  })

  it('by the peer, otherwise: both fail with the CloseError, behind all that came', async () => {
    await using ends = await streamPair()
    const { readable, writable } = toWebStreams(ends.client)
    const closed = failure(writable.getWriter().closed)
    ends.server.send(Buffer.from('last words'))
    void ends.server.close(4001, 'no')
    const reader = readable.getReader()
    assert.deepEqual((await reader.read()).value, Buffer.from('last words'))
    assert.ok(isCloseError(await failure(reader.read()), 4001))
    assert.ok(isCloseError(await closed, 4001))
  })

  it('by cancel(): 1000, or what the reason says', async () => {
    const cases: [unknown, number, string][] = [
      [undefined, 1000, ''],
      [new Error('secret'), 1011, ''],
      ['text', 1011, ''],
      [{ closeCode: 4000, reason: 'because' }, 4000, 'because'],
    ]
    for (const [why, code, reason] of cases) {
      await using ends = await streamPair()
      const { readable, writable } = toWebStreams(ends.client)
      await readable.cancel(why)
      const info = await ends.server.closed
      assert.deepEqual([info.code, info.reason], [code, reason])
      assert.ok(isCloseError(await failure(writable.getWriter().closed), code))
    }
  })

  it('by cancel() while a read waits', async () => {
    await using ends = await streamPair()
    const reader = toWebStreams(ends.client).readable.getReader()
    const waiting = reader.read()
    await turn()
    await reader.cancel()
    assert.deepEqual(await waiting, { done: true, value: undefined })
    assert.equal((await ends.server.closed).code, 1000)
  })

  it('by abort(): 1011, or what the reason says; what has come is read', async () => {
    for (const [why, code] of [
      [undefined, 1011],
      [{ closeCode: 4000, reason: 'because' }, 4000],
    ] as const) {
      await using ends = await streamPair()
      const { readable, writable } = toWebStreams(ends.client)
      ends.server.send(Buffer.from('before'))
      await ends.server.ping()
      await writable.abort(why)
      assert.equal((await ends.server.closed).code, code)
      assert.deepEqual(await readAll(readable), [Buffer.from('before')])
    }
  })

  it('by abort(), or the signal, while a write waits for the peer: at once', async () => {
    const reason = Object.assign(new Error('stop'), { closeCode: 4000 })
    for (const way of ['abort', 'close', 'signal'] as const) {
      const peer = new TestLink()
      peer.stream.hold()
      const controller = new AbortController()
      const { signal } = controller
      const { writable } = toWebStreams(peer.conn, way === 'signal' ? { signal } : {})
      if (way !== 'signal') {
        const writer = writable.getWriter()
        const waiting = [failure(writer.closed), failure(writer.write(new Uint8Array(100 * KiB)))]
        if (way === 'close') waiting[1] = failure(writer.close())
        assert.ok(await isPending(Promise.race(waiting)))
        await writer.abort(reason).catch(() => {})
        // What was written before the end is the stream's own affair.
        assert.equal(await waiting[0], reason)
      } else {
        const source = new ReadableStream({
          pull: (controller) => controller.enqueue(new Uint8Array(100 * KiB)),
        })
        const piping = failure(source.pipeTo(writable))
        assert.ok(await isPending(piping))
        controller.abort(reason)
        assert.equal(await piping, reason)
      }
      assert.equal(peer.conn.state, 'closing')
      peer.stream.release()
      await turn()
      assert.equal(peer.sent().at(-1), 'close 4000 ""')
      peer.conn.terminate()
      await peer.conn.closed
    }
  })

  it('by abort() while close() waits for the peer to answer', async () => {
    const peer = new TestLink()
    const writer = toWebStreams(peer.conn).writable.getWriter()
    writer.closed.catch(() => {})
    const closing = failure(writer.close())
    assert.ok(await isPending(closing))
    const reason = new Error('stop')
    await failure(writer.abort(reason))
    assert.equal(await closing, reason)
    assert.equal(peer.conn.state, 'closing')
    peer.conn.terminate()
    await peer.conn.closed
  })

  it('by a source or a destination that fails', async () => {
    const why = new Error('on purpose')
    for (const pipe of [
      (ends: ConnectedPair) => {
        const failing = new ReadableStream<string>({ pull: (controller) => controller.error(why) })
        return failing.pipeTo(toWebStreams(ends.client).writable)
      },
      (ends: ConnectedPair) => {
        const failing = new WritableStream<Uint8Array>({
          write() {
            throw why
          },
        })
        ends.server.send(Buffer.of(1))
        return toWebStreams(ends.client).readable.pipeTo(failing)
      },
    ]) {
      await using ends = await streamPair()
      // A write that fails is told to the pipe a turn later: by the next chunk, or the end.
      const piping = failure(pipe(ends))
      await turn()
      if (ends.server.state === 'open') ends.server.send(Buffer.of(2))
      assert.equal(await piping, why)
      assert.equal((await ends.server.closed).code, 1011)
    }
  })

  it('by the signal: both fail with its reason, and the connection is closed with 1011', async () => {
    for (const early of [true, false]) {
      await using ends = await streamPair()
      const controller = new AbortController()
      const reason = new Error('enough')
      if (early) controller.abort(reason)
      const { readable, writable } = toWebStreams(ends.client, { signal: controller.signal })
      const results = [failure(readAll(readable)), failure(writable.getWriter().closed)]
      await turn()
      controller.abort(reason)
      assert.deepEqual(await Promise.all(results), [reason, reason])
      assert.equal((await ends.server.closed).code, 1011)
    }
  })

  it('leaves no listener on the signal', async () => {
    await using ends = await streamPair()
    const { signal } = new AbortController()
    toWebStreams(ends.client, { signal })
    assert.equal(getEventListeners(signal, 'abort').length, 1)
    await ends.client.close()
    await turn()
    assert.equal(getEventListeners(signal, 'abort').length, 0)
  })

  it('fails when the peer does not answer the Close frame', async () => {
    await using ends = await streamPair({ client: { limits: { closeTimeout: 200 } } })
    ends.serverSocket.pause()
    const writer = toWebStreams(ends.client).writable.getWriter()
    void writer.write('x')
    assert.ok((await failure(writer.close())) instanceof CloseError)
    ends.serverSocket.destroy()
  })
})

describe('the options of toWebStreams', () => {
  it('are refused with all else where a listener takes the messages', async () => {
    await using ends = await streamPair()
    ends.client.onMessage(() => {})
    for (const objectMode of [false, true])
      assert.throws(() => toWebStreams(ends.client, { objectMode }), { code: 'ERR_WS_CONCURRENT_READ' })
  })

  it('are checked', async () => {
    await using ends = await streamPair()
    const bad: [object, RegExp][] = [
      [
        { highWaterMark: 1 },
        /highWaterMark is not an option; the options are type, objectMode, allowHalfOpen, signal/,
      ],
      [{ allowHalfOpen: 1 }, /allowHalfOpen must be a boolean/],
      [{ type: 1 }, /type must be 'text' or 'binary', not 1/],
      [{ signal: 'x' }, /signal must be an AbortSignal/],
    ]
    for (const [options, message] of bad) {
      assert.throws(
        () => toWebStreams(ends.client, options as { objectMode: true }),
        (error: unknown) => error instanceof UsageError && message.test(error.message),
      )
    }
  })
})
