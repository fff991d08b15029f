import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { hex } from '../../test/frames.ts'
import { TestLink, type TestLinkOptions, turn } from '../../test/support/test-link.ts'
import { isPending, until } from '../../test/support/until.ts'
import { Deflate } from '../protocol/deflate.ts'
import type { Extension } from '../protocol/extension.ts'
import { CloseError, LimitError, ProtocolError, UsageError } from '../session/errors.ts'
import type { MessageStream } from './message-stream.ts'

const hexOf = (text: string): string => Buffer.from(text).toString('hex')

const close = (code = 1000): { opcode: number; payload: Buffer } => {
  const payload = Buffer.alloc(2)
  payload.writeUInt16BE(code)
  return { opcode: 8, payload }
}

/** Messages of more than 1000 bytes are only taken as streams. */
const long: TestLinkOptions = { limits: { maxMessageSize: 1000, maxStreamSize: 100_000 } }

/** permessage-deflate that takes the context over both ways, as one end of it. */
function deflate(): Deflate {
  const kept = { takeover: true, windowBits: 15 }
  return new Deflate({ send: kept, receive: kept, threshold: 0, level: 6, memLevel: 8 })
}

/** A server that inflates, and the peer that deflates for it. */
function compressed(options: TestLinkOptions = {}): { peer: TestLink; theirs: Deflate } {
  return { peer: new TestLink({ ...options, extensions: [deflate()] }), theirs: deflate() }
}

/** Text that compresses to a third or so, none of it like another. */
function prose(length: number, seed = 1): Buffer {
  let state = seed
  const words = Array.from({ length: Math.ceil(length / 3) }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return (state >>> 16).toString(36)
  })
  return Buffer.from(words.join(' ').padEnd(length, '.').slice(0, length))
}

async function all(stream: MessageStream): Promise<string> {
  return stream.text(1 << 30)
}

describe('a message that is read as a stream', () => {
  it('reaches its reader before its end, however it is cut, with control frames between', async () => {
    const peer = new TestLink()
    const reading = peer.conn.readStream()
    await peer.receive({ opcode: 1, fin: false, payload: 'one ' })
    const stream = await reading
    const chunks = stream[Symbol.asyncIterator]()
    assert.equal(String(Buffer.from((await chunks.next()).value as Uint8Array)), 'one ')
    await peer.receive(
      { opcode: 9, payload: 'ping' },
      { opcode: 0, fin: false },
      { opcode: 0, fin: false, payload: 'two' },
      { opcode: 0 },
      { opcode: 1, payload: 'next' },
    )
    assert.equal(String(Buffer.from((await chunks.next()).value as Uint8Array)), 'two')
    assert.equal((await chunks.next()).done, true)
    assert.deepEqual([peer.sent(), peer.conn.stats.messagesReceived], [[`pong ${hexOf('ping')}`], 2])
    assert.equal(await peer.conn.read(), 'next')
    peer.conn.terminate()
  })

  it('may have begun before somebody asks', async () => {
    for (const first of ['', 'one ']) {
      const peer = new TestLink()
      await peer.receive({ opcode: 1, fin: false, payload: first })
      const reading = peer.conn.readStream()
      assert.equal(await isPending(reading), first === '')
      await peer.receive({ opcode: 0, payload: 'two' })
      assert.equal(await all(await reading), `${first}two`)
      peer.conn.terminate()
    }
  })

  it('may have come whole before', async () => {
    const peer = new TestLink()
    await peer.receiveTexts('one', 'two')
    assert.equal(await all(await peer.conn.readStream()), 'one')
    assert.equal(await peer.conn.read(), 'two')
    peer.conn.terminate()
  })

  it('must be UTF-8 where it is a text: if not, the reader hears of the end', async () => {
    for (const [spec, behind] of [
      [
        { opcode: 1, fin: false, payload: hex('61') },
        { opcode: 0, payload: hex('ff') },
      ],
      [{ opcode: 1, fin: false, payload: hex('61c3') }, { opcode: 0 }],
    ] as const) {
      const peer = new TestLink()
      const reading = peer.conn.readStream()
      await peer.receive(spec, behind)
      assert.deepEqual(peer.sent(), ['close 1007 "text is not UTF-8"'])
      peer.stream.endInput()
      await assert.rejects(
        all(await reading),
        (error) => error instanceof CloseError && error.info.code === 1007,
      )
    }
  })

  it('holds the peer back while it is not read, also with a mark of one byte', async () => {
    for (const mark of [1, 5000]) {
      const peer = new TestLink({ limits: { maxQueuedBytes: mark } })
      const reading = peer.conn.readStream()
      const pieces = Array.from({ length: 200 }, (_, i) => ({
        opcode: i === 0 ? 2 : 0,
        fin: i === 199,
        payload: Buffer.alloc(100, i),
      }))
      await peer.receive(...pieces, { opcode: 1, payload: 'behind' })
      assert.equal(peer.stream.isPaused(), true)
      const stream = await reading
      assert.deepEqual(Buffer.from(await stream.bytes()), Buffer.concat(pieces.map(({ payload }) => payload)))
      assert.equal(await peer.conn.read(), 'behind')
      assert.equal(peer.stream.isPaused(), false)
      peer.conn.terminate()
    }
  })

  it('must be done with before the next one is taken, and before a listener is set', async () => {
    const peer = new TestLink()
    await peer.receiveTexts('one', 'two', 'three')
    const stream = await peer.conn.readStream()
    const concurrent = (error: unknown): boolean =>
      error instanceof UsageError && error.code === 'ERR_WS_CONCURRENT_READ'
    await assert.rejects(peer.conn.read(), concurrent)
    await assert.rejects(peer.conn.readStream(), concurrent)
    assert.throws(() => peer.conn.onMessage(() => {}), concurrent)
    stream.cancel()
    assert.equal(await peer.conn.read(), 'two')
    const heard: unknown[] = []
    peer.conn.onMessage((data) => heard.push(data))
    await assert.rejects(peer.conn.readStream(), concurrent)
    assert.deepEqual(heard, ['three'])
    peer.conn.terminate()
  })

  it('is not taken away by a second loop', async () => {
    const peer = new TestLink()
    const [one, two] = [0, 0].map(() => peer.conn.streams()[Symbol.asyncIterator]())
    const first = one?.next()
    await peer.receive({ opcode: 1, fin: false, payload: 'one ' })
    const stream = (await first)?.value as MessageStream
    await assert.rejects(two?.next() as Promise<unknown>, UsageError)
    await peer.receive({ opcode: 0, payload: 'two' }, { opcode: 1, payload: 'next' })
    assert.equal(await all(stream), 'one two')
    assert.equal(await all((await two?.next())?.value as MessageStream), 'next')
    peer.conn.terminate()
  })

  it('of a loop is dropped as far as the loop has left it', async () => {
    const peer = new TestLink({ limits: { maxQueuedBytes: 10 } })
    const got: string[] = []
    const loop = (async () => {
      for await (const stream of peer.conn.streams()) {
        if (got.push('') % 2 === 0) got[got.length - 1] = await all(stream)
      }
    })()
    for (let i = 0; i < 4; i++) {
      await peer.receive(
        { opcode: 1, fin: false, payload: `long beginning ${i}, ` },
        { opcode: 0, payload: 'end' },
      )
    }
    await peer.receive(close())
    peer.stream.endInput()
    await loop
    assert.deepEqual(got, ['', 'long beginning 1, end', '', 'long beginning 3, end'])
  })

  it('loses nothing when the wait for it is given up', async () => {
    const peer = new TestLink(long)
    const reason = new Error('no patience')
    for (const spec of [
      { opcode: 1, payload: 'whole' },
      { opcode: 1, payload: 'x'.repeat(2000) },
    ]) {
      const controller = new AbortController()
      const given = peer.conn.readStream({ signal: controller.signal })
      controller.abort(reason)
      await assert.rejects(given, reason)
      await peer.receive(spec)
      await assert.rejects(peer.conn.readStream({ signal: controller.signal }), reason)
      assert.equal(await all(await peer.conn.readStream()), spec.payload)
    }
    peer.conn.terminate()
  })
})

describe('a message that is longer than is taken whole', () => {
  const large = { opcode: 1, payload: 'x'.repeat(2000) }

  it('waits, and the peer with it, until a reader of streams comes', async () => {
    for (const specs of [
      [large],
      [
        { opcode: 1, fin: false, payload: 'x'.repeat(900) },
        { opcode: 9, payload: 'ping' },
        { opcode: 0, payload: 'x'.repeat(1100) },
      ],
    ]) {
      const peer = new TestLink(long)
      await peer.receive({ opcode: 1, payload: 'before' }, ...specs, { opcode: 1, payload: 'behind' })
      assert.equal(peer.stream.isPaused(), true)
      assert.equal(await peer.conn.read(), 'before')
      assert.equal(await all(await peer.conn.readStream()), large.payload)
      assert.equal(await peer.conn.read(), 'behind')
      assert.equal(peer.conn.state, 'open')
      peer.conn.terminate()
    }
  })

  it('is refused with 1009 to every other reader, early or late', async () => {
    const readers: [string, (peer: TestLink) => unknown][] = [
      ['read', (peer) => peer.conn.read()],
      ['onMessage', (peer) => peer.conn.onMessage(() => assert.fail('a message'))],
      ['messages', (peer) => peer.conn.messages()[Symbol.asyncIterator]().next()],
      ['a read ahead of a stream', (peer) => [peer.conn.read(), peer.conn.readStream()]],
    ]
    for (const [name, read] of readers) {
      for (const early of [true, false]) {
        const peer = new TestLink(long)
        let results: unknown
        if (early) results = read(peer)
        await peer.receive(large, { opcode: 1, payload: 'never seen' })
        if (!early) results = read(peer)
        await turn()
        assert.deepEqual(peer.sent(), ['close 1009 "message of more than 1000 bytes"'], `${name} ${early}`)
        peer.stream.endInput()
        const { error } = await peer.conn.closed
        assert.ok(error instanceof LimitError)
        assert.deepEqual([error.limit, error.actual, error.max], ['maxMessageSize', 2000, 1000])
        for (const each of [results].flat())
          if (each instanceof Promise) await assert.rejects(each, CloseError)
      }
    }
  })

  it('that comes while we close is read over: the closing handshake comes to its end', async () => {
    const peer = new TestLink(long)
    void peer.conn.close(4000)
    await peer.receive(large, { opcode: 9, payload: 'ping' }, close(4000))
    // A server hangs up first.
    assert.equal(peer.stream.ended, true)
    peer.stream.endInput()
    const { wasClean, stats } = await peer.conn.closed
    assert.deepEqual([wasClean, stats.receivesDropped], [true, 1])
    assert.equal(peer.stream.written.toString('latin1'), '\x88\x02\x0f\xa0\x8a\x04ping')
  })

  it('that waits when we begin to close is dropped, as what is behind it', async () => {
    const peer = new TestLink(long)
    await peer.receive(large, { opcode: 1, payload: 'behind' }, close(4000))
    void peer.conn.close(4001)
    await turn()
    peer.stream.endInput()
    const { wasClean, by, stats } = await peer.conn.closed
    assert.deepEqual([wasClean, by, stats.receivesDropped], [true, 'local', 1])
    await assert.rejects(peer.conn.readStream(), CloseError)
  })

  it('waits also behind the end of what the peer sends', async () => {
    const peer = new TestLink(long)
    await peer.receive(large, { opcode: 1, payload: 'behind' }, close())
    peer.stream.endInput()
    await turn()
    const got: string[] = []
    for await (const stream of peer.conn.streams()) got.push(await all(stream))
    assert.deepEqual(got, [large.payload, 'behind'])
    assert.equal((await peer.conn.closed).wasClean, true)
  })

  it('that an extension cannot decode piece by piece is refused with 1009, early or late', async () => {
    const broken = (): never => {
      throw new Error('no decoder today')
    }
    for (const decoder of [undefined, () => undefined, broken]) {
      for (const early of [true, false]) {
        const extension: Extension = {
          name: 'x',
          rsv: 0x40,
          encode: () => undefined,
          decode: (payload) => payload,
          ...(decoder === undefined ? {} : { decoder }),
        }
        const peer = new TestLink({ ...long, extensions: [extension] })
        const reading = early ? peer.conn.readStream() : undefined
        await peer.receive({ ...large, rsv: 4 })
        const late = reading ?? peer.conn.readStream()
        await turn()
        assert.deepEqual(peer.sent(), ['close 1009 "message of more than 1000 bytes"'], `${decoder} ${early}`)
        peer.stream.endInput()
        await assert.rejects(late, CloseError)
      }
    }
  })

  it('counts from its first frame, whatever the limit was then', async () => {
    const peer = new TestLink({ limits: { maxMessageSize: 50_000 } })
    await peer.receive({ opcode: 1, payload: 'x'.repeat(900) }, { opcode: 1, fin: false, payload: 'one ' })
    peer.conn.maxMessageSize = 1000
    await peer.receive({ opcode: 0, payload: 'two' })
    assert.equal((await peer.conn.read()).length, 900)
    assert.equal(await peer.conn.read(), 'one two')
    // One that is too long by now is refused at its next frame.
    await peer.receive({ opcode: 1, fin: false, payload: 'x'.repeat(900) })
    peer.conn.maxMessageSize = 500
    await peer.receive({ opcode: 0 })
    assert.equal(peer.sent().at(-1), 'close 1009 "message of more than 500 bytes"')
    peer.conn.terminate()
  })
})

describe('a stream on a connection that ends', () => {
  const stages: [string, (peer: TestLink) => unknown][] = [
    ['closed by us', (peer) => peer.conn.close(4000)],
    ['closed by the peer', (peer) => peer.receive(close(4000))],
    ['lost', (peer) => peer.stream.destroy(new Error('reset'))],
    ['terminated', (peer) => peer.conn.terminate()],
    ['ended by the peer without a word', (peer) => peer.stream.endInput()],
    ['failed by a fault of the peer', (peer) => peer.receive({ opcode: 3 })],
  ]

  for (const [what, end] of stages) {
    for (const progress of ['before it', 'in the middle', 'behind it']) {
      it(`${what}, ${progress}`, async () => {
        const peer = new TestLink()
        const reading = peer.conn.readStream()
        reading.catch(() => {})
        if (progress !== 'before it') await peer.receive({ opcode: 1, fin: false, payload: 'beginning' })
        if (progress === 'behind it') await peer.receive({ opcode: 0, payload: ' and end' })
        void end(peer)
        await turn()
        peer.stream.endInput()
        await turn()
        peer.stream.destroy()
        await peer.conn.closed
        if (progress === 'before it') return assert.rejects(reading, CloseError)
        const stream = await reading
        if (progress === 'behind it') assert.equal(await all(stream), 'beginning and end')
        else {
          const chunks = stream[Symbol.asyncIterator]()
          assert.equal(String(Buffer.from((await chunks.next()).value as Uint8Array)), 'beginning')
          await assert.rejects(chunks.next(), CloseError)
          assert.equal(stream.done, true)
        }
        const first = await peer.conn.read().catch((error: unknown) => error)
        for (const late of [peer.conn.readStream(), peer.conn.read()])
          assert.equal(await late.catch((error: unknown) => error), first)
        assert.deepEqual([peer.ends, peer.clock.running, peer.errors], [1, 0, []])
      })
    }
  }

  it('while it is full, closed by us: what has no room is dropped, once, and the reader hears of it', async () => {
    const peer = new TestLink({ limits: { maxQueuedBytes: 100 } })
    const reading = peer.conn.readStream()
    await peer.receive({ opcode: 2, fin: false, payload: Buffer.alloc(200) })
    const stream = await reading
    const closed = peer.conn.close(4000)
    await peer.receive(
      { opcode: 0, payload: Buffer.alloc(200) },
      { opcode: 1, payload: 'dropped too' },
      close(4000),
    )
    peer.stream.endInput()
    const { wasClean, stats } = await closed
    assert.deepEqual([wasClean, stats.receivesDropped], [true, 1])
    const chunks = stream[Symbol.asyncIterator]()
    assert.equal(((await chunks.next()).value as Uint8Array).length, 200)
    await assert.rejects(chunks.next(), CloseError)
  })

  it('closed by us, is not begun behind a message that there was no room for', async () => {
    for (const size of [10, 2000]) {
      const peer = new TestLink({
        limits: { maxQueuedMessages: 1, maxMessageSize: 1000, maxStreamSize: 5000 },
      })
      await peer.receiveTexts('kept', 'dropped')
      void peer.conn.close(4000)
      await turn()
      assert.equal(await peer.conn.read(), 'kept')
      const reading = peer.conn.readStream()
      const piece = 'x'.repeat(size)
      await peer.receive(
        { opcode: 1, fin: false, payload: piece },
        { opcode: 0, payload: piece },
        close(4000),
      )
      peer.stream.endInput()
      await assert.rejects(reading, CloseError)
      const { wasClean, stats } = await peer.conn.closed
      assert.deepEqual([wasClean, stats.receivesDropped >= 1], [true, true])
    }
  })

  it('while it is decoded, closed by us: it still comes to its end, and nothing counts as dropped', async () => {
    const { peer, theirs } = compressed({ limits: { maxQueuedBytes: 100 } })
    const text = prose(200_000)
    const reading = peer.conn.readStream()
    const encoded = theirs.encode(text) as Uint8Array
    await peer.receive(
      { opcode: 2, rsv: 4, fin: false, payload: encoded.subarray(0, 10) },
      { opcode: 0, payload: encoded.subarray(10) },
    )
    const stream = await reading
    void peer.conn.close()
    assert.ok(Buffer.from(await stream.bytes(1 << 20)).equals(text))
    assert.equal(peer.conn.stats.receivesDropped, 0)
    peer.conn.terminate()
  })
})

describe('a compressed stream', () => {
  it('keeps the context for what is behind it, also when nobody reads its rest', async () => {
    for (const leave of [false, true]) {
      const { peer, theirs } = compressed({ limits: { maxQueuedBytes: 1000 } })
      const [one, two] = [prose(100_000, 1), prose(30_000, 2)]
      const texts = [Buffer.concat([one, two]), two, Buffer.concat([two.subarray(100), one])]
      const specs = texts.flatMap((text) => {
        const encoded = theirs.encode(text) as Uint8Array
        return [
          { opcode: 2, rsv: 4, fin: false, payload: encoded.subarray(0, 7) },
          { opcode: 0, payload: encoded.subarray(7) },
        ]
      })
      const reading = peer.conn.readStream()
      await peer.receive(...specs)
      const stream = await reading
      if (leave) stream.cancel()
      else assert.ok(Buffer.from(await stream.bytes()).equals(texts[0] as Buffer))
      assert.ok(Buffer.from((await peer.conn.read()) as Uint8Array).equals(texts[1] as Buffer))
      assert.ok(Buffer.from(await (await peer.conn.readStream()).bytes()).equals(texts[2] as Buffer))
      peer.conn.terminate()
    }
  })

  it('that was not read when the connection was lost gives way to no message that refers to it', async () => {
    const { peer, theirs } = compressed({ limits: { maxQueuedBytes: 1000 } })
    const [one, two] = [prose(200_000, 1), prose(30_000, 2)]
    const text = Buffer.concat([one, two])
    const encoded = theirs.encode(text) as Uint8Array
    const reading = peer.conn.readStream()
    await peer.receive(
      { opcode: 2, rsv: 4, fin: false, payload: encoded.subarray(0, 10) },
      { opcode: 0, payload: encoded.subarray(10) },
      { opcode: 2, rsv: 4, payload: theirs.encode(two) as Uint8Array },
      close(),
    )
    const stream = await reading
    peer.stream.destroy()
    const { code, error } = await peer.conn.closed
    assert.deepEqual([code, error], [1006, undefined])
    assert.ok(Buffer.from(await stream.bytes()).equals(text))
    await assert.rejects(peer.conn.read(), CloseError)
  })

  it('that is not read holds back the end of what the peer sends, and what is before it', async () => {
    const { peer, theirs } = compressed({ limits: { maxQueuedBytes: 1000 } })
    const [one, two] = [prose(200_000, 1), prose(30_000, 2)]
    const texts = [Buffer.concat([one, two]), two]
    const [first, second] = texts.map((text) => theirs.encode(text) as Uint8Array) as [Uint8Array, Uint8Array]
    const reading = peer.conn.readStream()
    await peer.receive({ opcode: 2, rsv: 4, fin: false, payload: first.subarray(0, 10) })
    const stream = await reading
    // The end is there, in the stream, before what comes ahead of it has been read.
    peer.stream.pause()
    peer.stream.push(
      Buffer.concat([
        peer.frame({ opcode: 0, payload: first.subarray(10) }),
        peer.frame({ opcode: 2, rsv: 4, payload: second }),
        peer.frame(close()),
      ]),
    )
    peer.stream.endInput()
    peer.stream.resume()
    await turn()
    assert.ok(Buffer.from(await stream.bytes()).equals(texts[0] as Buffer))
    assert.ok(Buffer.from((await peer.conn.read()) as Uint8Array).equals(texts[1] as Buffer))
    assert.equal((await peer.conn.closed).wasClean, true)
  })

  it('that is corrupt closes with 1007, whole or not, and its reader hears of it', async () => {
    for (const fin of [true, false]) {
      const { peer } = compressed()
      const reading = peer.conn.readStream()
      await peer.receive(
        { opcode: 2, rsv: 4, fin: false, payload: 'nothing that' },
        { opcode: 0, fin, payload: 'inflates' },
      )
      const whole = all(await reading)
      whole.catch(() => {})
      await until(() => peer.conn.state !== 'open', 'the fault')
      await turn()
      assert.deepEqual(peer.sent(), ['close 1007 "data that cannot be decoded"'])
      peer.stream.endInput()
      await assert.rejects(whole, CloseError)
      const { error } = await peer.conn.closed
      assert.ok(error instanceof ProtocolError && error.code === 'ERR_WS_EXTENSION_DATA')
      assert.ok(error.cause instanceof Error)
    }
  })

  it('that is corrupt and lost with the connection leaves no reader waiting', async () => {
    const { peer } = compressed()
    const reading = peer.conn.readStream()
    await peer
      .receive({ opcode: 2, rsv: 4, fin: false, payload: 'nothing that' }, { opcode: 0, payload: 'inflates' })
      .then(() => {})
    peer.stream.destroy()
    await assert.rejects(all(await reading), CloseError)
  })

  it('that inflates to more than is allowed closes with 1009, read or not', async () => {
    for (const read of [true, false]) {
      const { peer, theirs } = compressed({ limits: { maxStreamSize: 100_000, maxMessageSize: 1000 } })
      const reading = peer.conn.readStream()
      await peer.receive({ opcode: 2, rsv: 4, payload: theirs.encode(Buffer.alloc(100_001)) as Uint8Array })
      const stream = await reading
      const whole = read ? all(stream) : undefined
      whole?.catch(() => {})
      if (!read) stream.cancel()
      await until(() => peer.conn.state !== 'open', 'the fault')
      await turn()
      assert.deepEqual(peer.sent(), ['close 1009 "message of more than 100000 bytes"'])
      peer.stream.endInput()
      const { error } = await peer.conn.closed
      assert.ok(error instanceof LimitError)
      assert.equal(error.limit, 'maxStreamSize')
      if (whole !== undefined) await assert.rejects(whole, CloseError)
    }
  })
})
