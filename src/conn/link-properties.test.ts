import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { cut, type FrameSpec } from '../../test/frames.ts'
import { decodeReference } from '../../test/reference.ts'
import { TestLink, turn } from '../../test/support/test-link.ts'
import { until } from '../../test/support/until.ts'
import { Deflate } from '../protocol/deflate.ts'
import { CloseError } from '../session/errors.ts'
import { prepare } from '../session/prepared.ts'
import type { MessageWriter } from './message-writer.ts'

function deflate(): Deflate {
  const kept = { takeover: true, windowBits: 15 }
  return new Deflate({ send: kept, receive: kept, threshold: 0, level: 6, memLevel: 8 })
}

const close: FrameSpec = { opcode: 8, payload: Buffer.from('03e8', 'hex') }

/** Text of so many bytes or a little more, with characters of all lengths. */
function text(length: number, seed: number): string {
  const unit = `${seed} é€😀 `
  return unit.repeat(Math.ceil(length / Buffer.byteLength(unit)))
}

type Reader = 'read' | 'stream' | 'partial' | 'bytes'

/** Reads until the end; what was got of each message, with a star where that was only the beginning. */
async function readAll(peer: TestLink, readers: readonly Reader[]): Promise<string[]> {
  const got: string[] = []
  const { conn } = peer
  try {
    for (let i = 0; ; i++) {
      const reader = readers[i % readers.length] as Reader
      if (reader === 'read') got.push(String(await conn.read()))
      else if (reader === 'bytes') {
        const { value, done } = await conn.messages({ text: 'bytes' })[Symbol.asyncIterator]().next()
        if (done === true) return got
        got.push(Buffer.from(value.data).toString())
      } else {
        const stream = await conn.readStream()
        const chunks: Uint8Array[] = []
        for await (const chunk of stream) {
          chunks.push(chunk)
          if (reader === 'partial') break
        }
        got.push(`${Buffer.concat(chunks)}${reader === 'partial' ? '*' : ''}`)
      }
    }
  } catch (error) {
    if (!(error instanceof CloseError)) throw error
    return got
  }
}

/** Whether what was got is what was sent, where a star stands for any rest. */
function assertGot(got: readonly string[], sent: readonly string[], all: boolean): void {
  for (const [i, part] of got.entries()) {
    const whole = sent[i] as string
    if (part.endsWith('*')) {
      const beginning = Buffer.from(part.slice(0, -1).replace(/\ufffd+$/, ''))
      assert.ok(Buffer.from(whole).subarray(0, beginning.length).equals(beginning), `message ${i}: ${part}`)
    } else assert.equal(part, whole, `message ${i}`)
  }
  if (all) assert.equal(got.length, sent.length)
}

/** The frames of messages of such sizes, in so many fragments each, with pings between them. */
function framesOf(
  messages: readonly { size: number; fragments: number; ping: boolean }[],
  compress: boolean,
): [FrameSpec[], string[]] {
  const theirs = deflate()
  const sent: string[] = []
  const specs = messages.flatMap(({ size, fragments, ping }, seed) => {
    const content = text(size, seed)
    sent.push(content)
    const encoded = compress ? theirs.encode(Buffer.from(content)) : undefined
    const payload = Buffer.from(encoded ?? content)
    const step = Math.max(1, Math.ceil(payload.length / fragments))
    const frames: FrameSpec[] = []
    for (let at = 0; at === 0 || at < payload.length; at += step) {
      frames.push({
        opcode: at === 0 ? 1 : 0,
        fin: at + step >= payload.length,
        rsv: at === 0 && encoded !== undefined ? 4 : 0,
        payload: payload.subarray(at, at + step),
      })
      if (ping) frames.push({ opcode: 9, payload: 'ping' })
    }
    return frames
  })
  return [specs, sent]
}

const incoming = fc.array(
  fc.record({
    size: fc.oneof(fc.nat(30), fc.nat(2000), fc.nat(20_000)),
    fragments: fc.constantFrom(1, 1, 2, 5, 300),
    ping: fc.boolean(),
  }),
  { maxLength: 6 },
)

const readers = fc.array(fc.constantFrom<Reader[]>('read', 'stream', 'partial', 'bytes'), {
  minLength: 1,
  maxLength: 5,
})

describe('what comes in', () => {
  it('gives the same messages however it is cut, and however each is read', async () => {
    await fc.assert(
      fc.asyncProperty(
        incoming,
        readers,
        fc.array(fc.nat(20_000), { maxLength: 12 }),
        fc.constantFrom(1, 500, 100_000),
        fc.boolean(),
        fc.boolean(),
        async (messages, ways, offsets, maxQueuedBytes, compress, late) => {
          const peer = new TestLink({ limits: { maxQueuedBytes }, extensions: compress ? [deflate()] : [] })
          const [specs, sent] = framesOf(messages, compress)
          const bytes = Buffer.concat([...specs, close].map((spec) => peer.frame(spec)))
          const early = late ? undefined : readAll(peer, ways)
          const at = offsets.map((offset) => Math.min(offset, bytes.length)).sort((a, b) => a - b)
          for (const chunk of cut(bytes, at)) {
            peer.stream.push(chunk)
            await turn()
          }
          const reading = early ?? readAll(peer, ways)
          peer.stream.endInput()
          assertGot(await reading, sent, true)
          const { wasClean, code, stats } = await peer.conn.closed
          assert.deepEqual([wasClean, code], [true, 1000])
          assert.deepEqual([stats.messagesReceived, stats.receivesDropped], [sent.length, 0])
        },
      ),
      { numRuns: 80 },
    )
  })

  it('may end at any byte, in any way: each reader gets a beginning and the end, and nothing is left behind', async () => {
    const messages = [
      { size: 5, fragments: 1, ping: true },
      { size: 300, fragments: 3, ping: false },
      { size: 40, fragments: 1, ping: false },
    ]
    const endings: ((peer: TestLink) => unknown)[] = [
      (peer) => peer.stream.destroy(new Error('lost')),
      (peer) => peer.stream.endInput(),
      (peer) => peer.conn.terminate(),
      (peer) => peer.conn.close(4000),
      (peer) => peer.stream.push(Buffer.alloc(20, 0xff)),
    ]
    for (const compress of [false, true]) {
      const [specs, sent] = framesOf(messages, compress)
      const { length } = Buffer.concat([...specs, close].map((spec) => new TestLink().frame(spec)))
      for (let at = 0; at <= length; at += compress ? 3 : 5) {
        for (const [i, end] of endings.entries()) {
          const peer = new TestLink({
            limits: { maxQueuedBytes: 50, closeTimeout: 500 },
            extensions: compress ? [deflate()] : [],
          })
          const bytes = Buffer.concat([...specs, close].map((spec) => peer.frame(spec)))
          const ways: Reader[] = [['stream'], ['read'], ['partial', 'stream'], ['stream', 'read']][
            at % 4
          ] as Reader[]
          const reading = readAll(peer, ways)
          const writer = peer.conn.writeStream()
          const others = [writer.write('unfinished'), peer.conn.ping(), peer.conn.drained()]
          peer.stream.push(bytes.subarray(0, at))
          if (at % 2 === 0) await turn()
          void end(peer)
          peer.conn.send('too late, or not')
          await peer.pass(800)
          peer.stream.destroy()
          assertGot(await reading, sent, false)
          for (const each of await Promise.allSettled([...others, writer.write('x'), writer.close()]))
            if (each.status === 'rejected') assert.ok(each.reason instanceof CloseError, String(each.reason))
          assert.deepEqual(
            [peer.ends, peer.clock.running, peer.errors],
            [1, 0, []],
            `${at} bytes, ending ${i}`,
          )
        }
      }
    }
  })

  it('holds no more of a stream than its mark and a chunk, with a peer that sends all it can', async () => {
    for (const compress of [false, true]) {
      const mark = 10_000
      const peer = new TestLink({ limits: { maxQueuedBytes: mark }, extensions: compress ? [deflate()] : [] })
      const [specs] = framesOf([{ size: 900_000, fragments: 2000, ping: false }], compress)
      const reading = peer.conn.readStream()
      let received = 0
      for (const spec of specs) {
        peer.stream.push(peer.frame(spec))
        if (peer.stream.isPaused()) break
        await turn()
        received = peer.conn.stats.bytesReceived
      }
      const stream = await reading
      // Compressed, the mark holds for what is decoded and for what is not.
      assert.ok(received < (compress ? 4 : 2) * mark, `${received} bytes were taken`)
      stream.cancel()
      peer.conn.terminate()
    }
  })
})

describe('what goes out', () => {
  type Step =
    | { readonly do: 'text' | 'bytes' | 'prepared' | 'write'; readonly size: number }
    | { readonly do: 'open' | 'finish' | 'turn' | 'hold' | 'release' | 'ping' | 'drained' }
  const size = fc.oneof(fc.nat(300), fc.nat(3000), fc.constantFrom(0, 125, 126, 20_000))
  const step: fc.Arbitrary<Step> = fc.oneof(
    fc.record({ do: fc.constantFrom('text' as const, 'bytes' as const, 'prepared' as const), size }),
    fc.record({ do: fc.constant('write' as const), size }),
    fc.record({
      do: fc.constantFrom('open', 'finish', 'turn', 'turn', 'hold', 'release', 'ping', 'drained'),
    }),
  )

  it('is what was sent, in order, whole, with control frames between frames: for both roles, in any frames', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 40, size: 'max' }),
        fc.constantFrom(125, 126, 1000, 128 * 1024),
        fc.constantFrom('server' as const, 'client' as const),
        async (steps, fragmentSize, role) => {
          const peer = new TestLink({ role, limits: { fragmentSize, maxSendBuffer: 1 << 30 } })
          const { conn } = peer
          const sent: { kind: string; pieces: Buffer[] }[] = []
          const writers: { writer: MessageWriter; pieces: Buffer[] }[] = []
          const promises: Promise<unknown>[] = []
          let pings = 0
          for (const [i, each] of steps.entries()) {
            const content = 'size' in each ? text(each.size, i) : ''
            const bytes = Buffer.from(content)
            if (each.do === 'text') {
              conn.send(content)
              sent.push({ kind: 'text', pieces: [bytes] })
            } else if (each.do === 'bytes') {
              conn.send(bytes)
              sent.push({ kind: 'binary', pieces: [bytes] })
            } else if (each.do === 'prepared') {
              conn.send(prepare(bytes, 'text'))
              sent.push({ kind: 'text', pieces: [bytes] })
            } else if (each.do === 'open') {
              const kind = i % 2 === 0 ? 'text' : 'binary'
              const pieces: Buffer[] = []
              writers.push({ writer: conn.writeStream(kind), pieces })
              sent.push({ kind, pieces })
            } else if (each.do === 'write') {
              const open = writers[i % Math.max(1, writers.length)]
              open?.pieces.push(bytes)
              if (open !== undefined) promises.push(open.writer.write(i % 3 === 0 ? bytes : content))
            } else if (each.do === 'finish') {
              const open = writers.splice(i % Math.max(1, writers.length), 1)[0]
              if (open !== undefined) promises.push(open.writer.close())
            } else if (each.do === 'turn') await turn()
            else if (each.do === 'hold') peer.stream.hold()
            else if (each.do === 'release') peer.stream.release()
            else if (each.do === 'drained') promises.push(conn.drained())
            else {
              pings++
              conn.sendControl('ping', 'ping')
            }
          }
          for (const { writer } of writers) promises.push(writer.close())
          peer.stream.release()
          promises.push(conn.drained())
          await Promise.all(promises)
          // An end alone has no bytes yet.
          await turn()
          await until(() => conn.bufferedAmount === 0, 'all that was sent')
          const limit = 1 << 30
          const events = decodeReference(peer.stream.written, role === 'server' ? 'client' : 'server', {
            maxFrameSize: fragmentSize,
            maxMessageSize: limit,
          })
          const got = events.flatMap((event) =>
            'data' in event ? [`${event.kind} ${event.data}`] : [event.kind],
          )
          assert.equal(got.filter((line) => line === 'ping ping').length, pings)
          assert.deepEqual(
            got.filter((line) => line !== 'ping ping'),
            sent.map(({ kind, pieces }) => `${kind} ${Buffer.concat(pieces)}`),
          )
          assert.deepEqual([conn.stats.messagesSent, conn.stats.sendsDropped], [sent.length, 0])
          assert.equal(conn.stats.bytesSent, peer.stream.written.length)
          conn.terminate()
        },
      ),
      { numRuns: 100 },
    )
  })
})
