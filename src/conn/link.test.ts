import assert from 'node:assert/strict'
import { Socket } from 'node:net'
import { after, describe, it } from 'node:test'
import { constants, deflateRawSync } from 'node:zlib'
import { type FrameSpec, frame } from '../../test/frames.ts'
import { assertNoLeaks } from '../../test/leaks.ts'
import { FakeStream } from '../../test/support/fake-stream.ts'
import { TestLink, turn } from '../../test/support/test-link.ts'
import { isPending } from '../../test/support/until.ts'
import { Deflate } from '../protocol/deflate.ts'
import { defaultLimits } from '../protocol/limits.ts'
import { CloseError, LimitError, UsageError } from '../session/errors.ts'
import { prepare } from '../session/prepared.ts'
import { isKernelSocket } from './is-kernel-socket.ts'
import { Link } from './link.ts'
import { slabPool } from './slab-pool.ts'
import { TimerWheel } from './timer-wheel.ts'

after(() => assertNoLeaks())

const KiB = 1024

const hexOf = (text: string): string => Buffer.from(text).toString('hex')

describe('sending', () => {
  it('takes all kinds of data, as the type says', async () => {
    const peer = new TestLink()
    peer.conn.send('text')
    peer.conn.send(Buffer.from('bytes'))
    peer.conn.send(new Uint8Array([1]).buffer)
    peer.conn.send(prepare('prepared'))
    peer.conn.send(Buffer.from('é'), 'text')
    peer.conn.send('é', 'binary')
    peer.conn.sendJson({ a: 1 })
    await turn()
    assert.deepEqual(peer.sent(), [
      `text ${hexOf('text')}`,
      `binary ${hexOf('bytes')}`,
      'binary 01',
      `text ${hexOf('prepared')}`,
      `text ${hexOf('é')}`,
      `binary ${hexOf('é')}`,
      `text ${hexOf('{"a":1}')}`,
    ])
    assert.equal(peer.conn.stats.messagesSent, 7)
    assert.equal(peer.conn.stats.bytesSent, peer.stream.written.length)
    peer.conn.terminate()
  })

  it('writes once for all that a turn sends', async () => {
    const peer = new TestLink()
    for (let i = 0; i < 100; i++) peer.conn.send('x'.repeat(i))
    assert.equal(peer.stream.writes.length, 0)
    await turn()
    assert.equal(peer.stream.writes.length, 1)
    assert.equal(peer.sent().length, 100)
    peer.conn.send('small')
    peer.conn.send(Buffer.alloc(20 * KiB))
    peer.conn.send('small')
    await turn()
    assert.equal(peer.stream.writes.length, 2)
    peer.conn.terminate()
  })

  it('writes once for all that a chunk causes, at its end', async () => {
    const peer = new TestLink()
    peer.conn.onMessage((data) => peer.conn.send(data))
    const specs = Array.from({ length: 50 }, (_, i) => ({ opcode: i % 2 === 0 ? 1 : 9, payload: `${i}` }))
    await peer.receive(...specs)
    assert.equal(peer.stream.writes.length, 1)
    assert.equal(peer.sent().length, 50)
    peer.conn.terminate()
  })

  it('keeps a short message by itself when it has to wait, and lets a reader have it as it came', async () => {
    for (const waits of [true, false]) {
      const peer = new TestLink()
      const pongs = Array.from({ length: 200 }, () => ({ opcode: 10, payload: 'x'.repeat(100) }))
      const early = waits ? undefined : peer.conn.read()
      await peer.receive({ opcode: 2, payload: 'y' }, ...pongs)
      const message = (await (early ?? peer.conn.read())) as Uint8Array
      assert.equal(Buffer.from(message).toString(), 'y')
      assert.equal(message.buffer.byteLength > 20_000, !waits)
      peer.conn.terminate()
    }
  })

  it('lets others have their turn where much comes in one chunk: compressed, or in messages of nothing', async () => {
    const plain = Buffer.alloc(500 * KiB, 'x')
    const direction = { takeover: false, windowBits: 15 }
    const bomb = {
      opcode: 2,
      rsv: 4,
      payload: deflateRawSync(plain, { finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -4),
    }
    for (const [spec, count, atOnce] of [
      [bomb, 10, 3],
      [{ opcode: 1, payload: '' }, 10_000, 4096],
    ] as const) {
      const peer = new TestLink({
        extensions: [
          new Deflate({ send: direction, receive: direction, threshold: 0, level: 6, memLevel: 8 }),
        ],
      })
      let [inTurn, most, got] = [0, 0, 0]
      const nextTurn = (): void => {
        inTurn = 0
      }
      peer.conn.onMessage(() => {
        if (inTurn === 0) setImmediate(nextTurn)
        got++
        most = Math.max(most, ++inTurn)
      })
      peer.stream.push(Buffer.concat(Array.from({ length: count }, () => peer.frame(spec))))
      for (let i = 0; i < 20 && got < count; i++) await turn()
      assert.deepEqual([got, most], [count, atOnce])
      peer.conn.terminate()
    }
  })

  describe('a message whose buffer is transferred', () => {
    // As from the network: not from Node's pool, which cannot be transferred.
    const segment = (...specs: FrameSpec[]): Buffer => {
      const bytes = Buffer.concat(specs.map((spec) => frame(spec)))
      return Buffer.from(Uint8Array.from(bytes).buffer)
    }
    const transfer = (data: unknown): void => {
      const { buffer } = data as Uint8Array<ArrayBuffer>
      structuredClone(buffer, { transfer: [buffer] })
    }
    const small = { opcode: 2, payload: 'small', mask: Uint8Array.of(0, 0, 0, 1) }
    const large = { opcode: 2, payload: 'x'.repeat(20_000), mask: Uint8Array.of(0, 0, 0, 1) }
    const dropped = async (peer: TestLink): Promise<void> => {
      const { code, by, error } = await peer.conn.closed
      assert.deepEqual([code, by], [1006, 'local'])
      assert.match((error as Error).message, /transferred.*copy a message before/)
    }

    it('ends the connection, and nothing else, when the next begins in it', async () => {
      const peer = new TestLink()
      const got: number[] = []
      peer.conn.onMessage((data) => {
        got.push(data.length)
        setImmediate(() => transfer(data))
      })
      const bytes = segment(small, large).buffer as ArrayBuffer
      peer.stream.push(Buffer.from(bytes.slice(0, 9000)))
      await turn()
      await turn()
      peer.stream.push(Buffer.from(bytes.slice(9000)))
      await dropped(peer)
      assert.deepEqual(got, [5])
    })

    it('does so when that is done at once, and blames nobody else', async () => {
      const peer = new TestLink()
      peer.conn.onMessage((data) => transfer(data))
      peer.stream.push(segment(small, small))
      await dropped(peer)
    })

    it('does so when the rest waited for room', async () => {
      const peer = new TestLink({ limits: { maxQueuedMessages: 3 } })
      // So long that it is kept as a view.
      peer.stream.push(segment({ ...small, payload: 'x'.repeat(100) }, small, small, small))
      await turn()
      transfer(await peer.conn.read())
      for (let i = 0; i < 2; i++) await peer.conn.read()
      await dropped(peer)
    })

    it('does no harm when nothing else was in it', async () => {
      const peer = new TestLink()
      peer.conn.onMessage((data) => transfer(data))
      peer.stream.push(segment(small))
      await turn()
      peer.stream.push(segment(large))
      await turn()
      assert.equal(peer.conn.stats.messagesReceived, 2)
      peer.conn.terminate()
    })
  })

  it('tells when more than 64 KiB wait, and when there is room again', async () => {
    const peer = new TestLink()
    peer.stream.hold()
    assert.equal(peer.conn.send(Buffer.alloc(64 * KiB - 4)), true)
    assert.equal(peer.conn.bufferedAmount, 64 * KiB)
    assert.equal(peer.conn.send('x'), false)
    const drained = [peer.conn.drained(), peer.conn.drained()]
    for (const each of drained) assert.equal(await isPending(each), true)
    peer.stream.release()
    await Promise.all(drained)
    assert.equal(peer.conn.bufferedAmount, 0)
    assert.equal(peer.conn.send('x'), true)
    peer.conn.terminate()
  })

  it('has no room before no more than the mark waits', async () => {
    const peer = new TestLink()
    peer.stream.hold()
    peer.conn.send(Buffer.alloc(1200 * KiB))
    const drained = peer.conn.drained()
    for (let i = 0; i < 2; i++) {
      await turn()
      peer.stream.release(true)
      assert.ok(peer.conn.bufferedAmount > 64 * KiB)
      assert.equal(await isPending(drained), true)
    }
    peer.stream.release()
    await drained
    assert.equal(peer.conn.bufferedAmount, 0)
    peer.conn.terminate()
  })

  it('has room at once below the mark, or when what waits leaves with the turn', async () => {
    const peer = new TestLink()
    await peer.conn.drained()
    peer.conn.send(Buffer.alloc(100 * KiB))
    await peer.conn.drained()
    assert.equal(peer.conn.bufferedAmount, 0)
    peer.conn.terminate()
  })

  it('waits for room whatever the stream thinks of it, and is woken', async () => {
    const peer = new TestLink({ stream: new FakeStream({ highWaterMark: 1 << 20 }) })
    peer.stream.hold()
    peer.conn.send(Buffer.alloc(200 * KiB))
    await turn()
    assert.equal(peer.conn.bufferedAmount > 200 * KiB, true)
    const room = peer.conn.drained()
    assert.equal(await isPending(room), true)
    peer.stream.release()
    await room
    peer.conn.terminate()
  })

  it('wakes all who wait whenever they began to', async () => {
    const peer = new TestLink()
    for (let round = 0; round < 3; round++) {
      peer.stream.hold()
      const waiting: Promise<void>[] = []
      for (let i = 0; i < 5; i++) {
        peer.conn.send(Buffer.alloc(70 * KiB))
        waiting.push(peer.conn.drained())
        if (i % 2 === 0) await turn()
      }
      peer.stream.release()
      await Promise.all(waiting)
    }
    peer.conn.terminate()
  })

  it('refuses what cannot be sent, and sends nothing of it', () => {
    const peer = new TestLink()
    const cycle: unknown[] = []
    cycle.push(cycle)
    for (const send of [
      () => peer.conn.send(5 as unknown as string),
      () => peer.conn.send(Buffer.from([0xff]), 'text'),
      () => peer.conn.sendJson(undefined),
      () => peer.conn.sendJson(() => {}),
      () => peer.conn.sendJson(1n),
      () => peer.conn.sendJson(cycle),
    ])
      assert.throws(send, (error) => error instanceof UsageError && error.code === 'ERR_WS_INVALID_ARGUMENT')
    assert.deepEqual([peer.conn.bufferedAmount, peer.conn.stats.messagesSent], [0, 0])
    peer.conn.terminate()
  })

  it('ends the connection, and no other, when bytes have gone before they left', async () => {
    const peers = [new TestLink(), new TestLink()]
    const bytes = new Uint8Array(20 * KiB)
    peers[0]?.conn.send(bytes)
    peers[1]?.conn.send('fine')
    structuredClone(bytes.buffer, { transfer: [bytes.buffer] })
    const { error, by, code } = await (peers[0] as TestLink).conn.closed
    assert.match((error as Error).message, /transferred/)
    assert.deepEqual([by, code], ['local', 1006])
    assert.deepEqual(peers[1]?.sent(), [`text ${hexOf('fine')}`])
    peers[1]?.conn.terminate()
  })

  for (const [kind, size] of [
    ['at once', 20 * KiB],
    ['piece by piece', 2048 * KiB],
  ] as const) {
    it(`sends ${kind} what bytes were when they were sent, though their buffer grows, and ends when it shrinks`, async () => {
      for (const change of [2, 0.5]) {
        const peer = new TestLink({ limits: { maxSendBuffer: 8192 * KiB } })
        const buffer = new (ArrayBuffer as unknown as new (size: number, more: object) => ArrayBuffer)(size, {
          maxByteLength: 2 * size,
        })
        peer.stream.hold()
        peer.conn.send(new Uint8Array(buffer))
        if (size > 1024 * KiB) await turn()
        ;(buffer as unknown as { resize(size: number): void }).resize(change * size)
        peer.stream.release()
        if (change < 1) {
          const { error, code } = await peer.conn.closed
          assert.match((error as Error).message, /transferred or resized/)
          assert.equal(code, 1006)
        } else {
          await turn()
          await turn()
          assert.match(peer.sent().join(), new RegExp(`^binary \\(${size}\\) [0-9a-f]+$`))
          peer.conn.terminate()
        }
      }
    })
  }

  it('passes over a chunk of no bytes, also where the inbox has no room', async () => {
    const peer = new TestLink({ limits: { maxQueuedMessages: 1 } })
    peer.link.onStreamData(Buffer.alloc(0))
    await peer.receiveTexts('one')
    peer.link.onStreamData(Buffer.alloc(0))
    peer.link.onStreamData(peer.frame({ opcode: 1, payload: 'two' }))
    assert.deepEqual([await peer.conn.read(), await peer.conn.read()], ['one', 'two'])
    peer.conn.terminate()
  })

  it('after the end drops and counts', async () => {
    const peer = new TestLink()
    peer.conn.terminate()
    assert.equal(peer.conn.send('x'), false)
    await peer.conn.closed
    assert.equal(peer.conn.send('x'), false)
    assert.deepEqual([peer.conn.stats.messagesSent, peer.conn.stats.sendsDropped], [0, 2])
    await assert.rejects(peer.conn.drained(), CloseError)
  })
})

describe('the slow policy', () => {
  const limits = { maxSendBuffer: 100 * KiB }

  it('close: ends with 1013 and a LimitError', async () => {
    const peer = new TestLink({ limits })
    assert.equal(peer.conn.maxSendBuffer, 100 * KiB)
    peer.stream.hold()
    assert.equal(peer.conn.send(Buffer.alloc(100 * KiB)), false)
    assert.equal(peer.conn.state, 'open')
    assert.equal(peer.conn.send('one too many'), false)
    assert.equal(peer.conn.state, 'closing')
    const drained = peer.conn.drained()
    peer.stream.release()
    await turn()
    const [, ...rest] = peer.sent()
    assert.deepEqual(rest, ['close 1013 "too slow"'])
    peer.stream.destroy()
    const { error, code, by, stats } = await peer.conn.closed
    assert.deepEqual([code, by, stats.sendsDropped], [1013, 'local', 1])
    assert.ok(error instanceof LimitError)
    const { limit, actual, max, closeCode } = error
    assert.deepEqual(
      [error.code, limit, actual, max, closeCode],
      ['ERR_WS_SEND_BUFFER_FULL', 'maxSendBuffer', 100 * KiB + 10, 100 * KiB, 1013],
    )
    await assert.rejects(drained, (reason) => reason instanceof CloseError && reason.cause === error)
  })

  it('skip: drops the message, and sends those behind once there is room', async () => {
    const peer = new TestLink({ limits, slow: 'skip' })
    peer.stream.hold()
    peer.conn.send(Buffer.alloc(100 * KiB))
    assert.equal(peer.conn.send('dropped'), false)
    assert.deepEqual([peer.conn.state, peer.conn.stats.sendsDropped], ['open', 1])
    const drained = peer.conn.drained()
    await turn()
    peer.stream.release()
    await drained
    assert.equal(peer.conn.send('later'), true)
    await turn()
    assert.equal(peer.sent()[1], `text ${hexOf('later')}`)
    peer.conn.terminate()
  })

  it('bounds what a peer that does not read makes us hold', async () => {
    const peer = new TestLink({ limits, slow: 'skip' })
    peer.stream.hold()
    for (let i = 0; i < 2000; i++) {
      peer.conn.send('x'.repeat(1000))
      if (i % 10 === 0) await turn()
    }
    assert.ok(peer.conn.bufferedAmount <= 102 * KiB, `${peer.conn.bufferedAmount}`)
    peer.conn.terminate()
  })
})

describe('receiving', () => {
  it('counts messages and bytes', async () => {
    const peer = new TestLink()
    await peer.receiveTexts('a', 'b')
    await peer.receive({ opcode: 9 }, { opcode: 2, payload: 'c' })
    const { messagesReceived, bytesReceived } = peer.conn.stats
    assert.deepEqual([messagesReceived, bytesReceived], [3, 7 + 7 + 6 + 7])
    peer.conn.terminate()
  })

  it('begins with what came behind the handshake', async () => {
    const { frame } = new TestLink()
    const first = new TestLink()
    const head = first.frame({ opcode: 1, payload: 'early' })
    const peer = new TestLink({ head })
    await peer.receiveTexts('late')
    assert.deepEqual([await peer.conn.read(), await peer.conn.read()], ['early', 'late'])
    assert.ok(frame)
    for (const { conn } of [first, peer]) conn.terminate()
  })

  it('reads a stream that somebody has paused before', async () => {
    const stream = new FakeStream()
    stream.pause()
    const peer = new TestLink({ stream })
    await peer.receiveTexts('hello')
    assert.equal(peer.conn.stats.messagesReceived, 1)
    peer.conn.terminate()
  })

  it('leaves a paused stream so while what came behind the handshake fills the inbox', async () => {
    const other = new TestLink()
    const head = Buffer.concat(['a', 'b'].map((payload) => other.frame({ opcode: 1, payload })))
    const stream = new FakeStream()
    stream.pause()
    const peer = new TestLink({ stream, head, limits: { maxQueuedMessages: 1 } })
    await peer.receiveTexts('c')
    assert.equal(stream.isPaused(), true)
    assert.ok(stream.readableLength > 0)
    for (const text of ['a', 'b', 'c']) assert.equal(await peer.conn.read(), text)
    for (const { conn } of [other, peer]) conn.terminate()
  })

  it('holds the peer back when nobody takes the messages, and loses none', async () => {
    for (const limits of [{ maxQueuedMessages: 4 }, { maxQueuedBytes: 300 }]) {
      const peer = new TestLink({ limits })
      const texts = Array.from({ length: 1000 }, (_, i) => `message ${i}`)
      await peer.receiveTexts(...texts.slice(0, 500))
      const { messagesReceived } = peer.conn.stats
      assert.ok(messagesReceived <= 5, `${messagesReceived} messages`)
      assert.equal(peer.stream.isPaused(), true)
      await peer.receiveTexts(...texts.slice(500))
      assert.equal(peer.conn.stats.messagesReceived, messagesReceived)
      // What has not been decoded waits in the stream, which then reads no more from its peer.
      assert.ok(peer.stream.readableLength > 0)
      for (const text of texts) assert.equal(await peer.conn.read(), text)
      assert.equal(peer.stream.isPaused(), false)
      const next = peer.conn.read()
      await peer.receiveTexts('more')
      assert.equal(await next, 'more')
      peer.conn.terminate()
    }
  })

  it('keeps a chunk that comes though the stream was told to pause', async () => {
    const peer = new TestLink({ limits: { maxQueuedMessages: 1 } })
    await peer.receiveTexts('a', 'b')
    peer.stream.emit('data', peer.frame({ opcode: 1, payload: 'c' }))
    const whole = peer.frame({ opcode: 1, payload: 'd' })
    peer.stream.emit('data', whole.subarray(0, 5))
    peer.stream.emit('data', whole.subarray(5))
    assert.equal(peer.conn.stats.messagesReceived, 1)
    for (const text of ['a', 'b', 'c', 'd']) assert.equal(await peer.conn.read(), text)

    const exact = new TestLink({ limits: { maxQueuedMessages: 1 } })
    await exact.receiveTexts('a')
    exact.stream.emit('data', exact.frame({ opcode: 1, payload: 'b' }))
    assert.equal(exact.conn.stats.messagesReceived, 1)
    assert.deepEqual([await exact.conn.read(), await exact.conn.read()], ['a', 'b'])
    for (const { conn } of [peer, exact]) conn.terminate()
  })

  it('gives a listener what waits and all that comes, in order', async () => {
    const peer = new TestLink({ limits: { maxQueuedMessages: 2 } })
    const texts = Array.from({ length: 20 }, (_, i) => `${i}`)
    await peer.receiveTexts(...texts.slice(0, 10))
    const heard: unknown[] = []
    peer.conn.onMessage((data) => heard.push(data))
    assert.deepEqual(heard, texts.slice(0, 10))
    await peer.receiveTexts(...texts.slice(10))
    assert.deepEqual(heard, texts)
    peer.conn.terminate()
  })

  it('leaves text as bytes for those who ask', async () => {
    const peer = new TestLink()
    await peer.receiveTexts('early')
    const heard: [string, string][] = []
    peer.conn.onMessage((data, type) => heard.push([type, data.toString()]), { text: 'bytes' })
    await peer.receive(
      { opcode: 1, payload: 'é' },
      { opcode: 2, payload: 'b' },
      { opcode: 1, payload: 'ascii' },
    )
    assert.deepEqual(heard, [
      ['text', 'early'],
      ['text', 'é'],
      ['binary', 'b'],
      ['text', 'ascii'],
    ])
    peer.conn.terminate()
  })

  it('decodes text, ASCII or not', async () => {
    const peer = new TestLink()
    await peer.receiveTexts('ascii', 'é€\u{1f98d}', '', '\ufeffmark')
    for (const text of ['ascii', 'é€\u{1f98d}', '', '\ufeffmark']) assert.equal(await peer.conn.read(), text)
    peer.conn.terminate()
  })

  it('copies a small binary message out of a large chunk', async () => {
    const peer = new TestLink()
    await peer.receive({ opcode: 2, payload: 'small' }, { opcode: 2, payload: Buffer.alloc(60_000, 'x') })
    const small = (await peer.conn.read()) as Buffer
    const large = (await peer.conn.read()) as Buffer
    assert.equal(small.toString(), 'small')
    assert.notEqual(small.buffer, large.buffer)
    assert.ok(large.equals(Buffer.alloc(60_000, 'x')))
    peer.conn.terminate()
  })

  it('gives binary messages that may share a buffer: a copy outlives the transfer of another', async () => {
    const peer = new TestLink()
    const views: Uint8Array[] = []
    peer.conn.onMessage((data) => views.push(data as Uint8Array))
    const frames = Buffer.concat(['one', 'two'].map((payload) => peer.frame({ opcode: 2, payload })))
    // As from the network: not from Node's pool, which cannot be transferred.
    const chunk = Buffer.allocUnsafeSlow(frames.length)
    frames.copy(chunk)
    peer.stream.push(chunk)
    await turn()
    const [first, second] = views as [Uint8Array, Uint8Array]
    assert.equal(first.buffer, second.buffer)
    const copy = Uint8Array.from(second)
    structuredClone(first, { transfer: [first.buffer as ArrayBuffer] })
    assert.deepEqual([second.length, Buffer.from(copy).toString()], [0, 'two'])
    peer.conn.terminate()
  })

  it('answers pings, one for each, with what they carry', async () => {
    const peer = new TestLink()
    await peer.receive({ opcode: 9, payload: 'a' }, { opcode: 9, payload: 'b' })
    assert.deepEqual(peer.sent(), ['pong 61', 'pong 62'])
    peer.conn.terminate()
  })

  it('answers a flood of pings whose pongs nobody reads by the latest alone', async () => {
    const peer = new TestLink()
    peer.stream.hold()
    const flood = Array.from({ length: 400 }, (_, i) => ({ opcode: 9, payload: `${i}`.padEnd(125) }))
    let most = 0
    for (let i = 0; i < 50; i++) {
      await peer.receive(...flood)
      most = Math.max(most, peer.conn.bufferedAmount)
    }
    assert.ok(most < 120_000, `${most} bytes wait`)
    peer.stream.release()
    await turn()
    const sent = peer.sent()
    assert.ok(sent.length < 1000, `${sent.length} pongs`)
    assert.equal(sent.at(-1), `pong (125) ${sent.at(-1)?.split(') ')[1]}`)
    peer.conn.terminate()
  })
})

describe('a listener that throws', () => {
  it('closes with 1011, is told once, and gets nothing more', async () => {
    const peer = new TestLink()
    const oops = new Error('oops')
    let calls = 0
    peer.conn.onMessage(() => {
      calls++
      throw oops
    })
    await peer.receiveTexts('a', 'b')
    await peer.receiveTexts('c')
    assert.deepEqual([calls, peer.errors], [1, [oops]])
    assert.deepEqual(peer.sent(), ['close 1011 "internal error"'])
    peer.stream.destroy()
    const { code, by, error } = await peer.conn.closed
    assert.deepEqual([code, by, error], [1011, 'local', oops])
  })

  it('may throw anything', async () => {
    for (const thrown of ['a string', undefined, Object.create(null)]) {
      const peer = new TestLink()
      peer.conn.onMessage(() => {
        throw thrown
      })
      await peer.receiveTexts('a')
      assert.deepEqual(peer.errors, [thrown])
      peer.stream.destroy()
      const { error } = await peer.conn.closed
      assert.ok(error instanceof Error)
      assert.equal(error.cause, thrown)
    }
  })
})

describe('the slabs of a socket', () => {
  /** A socket that is connecting for ever, so its writes never end. */
  function stuck(): { socket: Socket; link: Link } {
    const socket = Object.assign(new Socket(), { connecting: true })
    assert.ok(isKernelSocket(socket), 'it writes from the slabs')
    const link = new Link({
      socket,
      role: 'server',
      limits: defaultLimits,
      slow: 'skip',
      extensions: [],
      head: Buffer.alloc(0),
      owner: { onListenerError: () => {}, onClosed: () => {} },
      wheel: new TimerWheel(),
    })
    return { socket, link }
  }

  /** Fails unless the whole pool can be lent. */
  function assertPoolIsWhole(): void {
    const slabs = Array.from({ length: 32 }, () => slabPool.acquire(1))
    const sizes = new Set(slabs.map(({ length }) => length))
    for (const slab of slabs) slabPool.release(slab, true)
    assert.deepEqual([...sizes], [64 * KiB])
  }

  it('all come back, however a connection ends', async () => {
    for (let i = 0; i < 40; i++) {
      const { socket, link } = stuck()
      link.sender.send('waits', undefined)
      await turn()
      link.sender.send(Buffer.alloc(30 * KiB), undefined)
      link.sender.send('waits behind', undefined)
      await turn()
      link.sender.send('never flushed', undefined)
      if (i % 2 === 0) link.terminate()
      else socket.destroy(new Error('lost'))
      await link.closed
    }
    await turn()
    assertPoolIsWhole()
  })

  it('come back when a listener ends the connection while pongs are held up', async () => {
    const { frame } = new TestLink()
    const make = frame.bind(new TestLink())
    for (let i = 0; i < 40; i++) {
      const { socket, link } = stuck()
      link.sender.send(Buffer.alloc(100 * KiB), undefined)
      await turn()
      link.inbox.listen(() => {
        link.sender.send('answer', undefined)
        link.terminate()
      }, 'string')
      socket.emit('data', Buffer.concat([make({ opcode: 9 }), make({ opcode: 1, payload: 'x' })]))
      await link.closed
    }
    await turn()
    assertPoolIsWhole()
  })

  it('do not stay with a write that waits behind another', async () => {
    const { socket, link } = stuck()
    link.sender.send(Buffer.alloc(100 * KiB), undefined)
    await turn()
    for (let i = 0; i < 100; i++) {
      link.sender.send('x', undefined)
      await turn()
    }
    assertPoolIsWhole()
    socket.destroy()
    await link.closed
  })
})
