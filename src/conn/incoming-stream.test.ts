import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { hex } from '../../test/frames.ts'
import { turn } from '../../test/support/test-link.ts'
import { isPending } from '../../test/support/until.ts'
import type { StreamDecoder } from '../protocol/extension.ts'
import type { Fault } from '../protocol/fault.ts'
import { type Limits, resolveLimits } from '../protocol/limits.ts'
import type { MessageType } from '../session/message.ts'
import { IncomingStream } from './incoming-stream.ts'

const closeError = new Error('the connection has ended')

/** Doubles each byte, in pieces of at most so many bytes, each a turn later; what it has done is there to see. */
class Doubling implements StreamDecoder {
  readonly pieces: [string, boolean][] = []
  readonly most: number
  disposed = 0
  made = 0

  constructor(most = 1000) {
    this.most = most
  }

  async *decode(piece: Uint8Array, last: boolean): AsyncGenerator<Uint8Array, void> {
    this.pieces.push([String(Buffer.from(piece)), last])
    const plain = Buffer.from([...piece].flatMap((byte) => [byte, byte]))
    for (let at = 0; at < plain.length; at += this.most) {
      await new Promise((resolve) => setImmediate(resolve))
      const made = plain.subarray(at, at + this.most)
      this.made += made.length
      yield made
    }
    if (String(Buffer.from(piece)).includes('!')) throw new Error('broken data')
  }

  dispose(): void {
    this.disposed++
  }
}

class Setup {
  readonly stream: IncomingStream
  readonly faults: Fault[] = []
  flows = 0

  constructor(decoder?: StreamDecoder, limits: Partial<Limits> = {}, type: MessageType = 'binary') {
    const all = resolveLimits({ maxQueuedBytes: 100, maxMessageSize: 1000, ...limits })
    const owner = {
      onStreamFlow: () => void this.flows++,
      onStreamFault: (fault: Fault) => void this.faults.push(fault),
    }
    this.stream = new IncomingStream(owner, type, decoder, all)
  }

  piece(data: string | Uint8Array): void {
    const bytes = Buffer.from(data as string)
    this.stream.piece(bytes, 0, bytes.length)
  }
}

/** Reads all the time; what it has got so far, with a full stop at the end. */
function reading(stream: IncomingStream): () => Promise<string> {
  let text = ''
  void (async () => {
    for await (const chunk of stream.reader) text += Buffer.from(chunk)
    text += '.'
  })()
  return async () => {
    for (let i = 0; i < 3; i++) await turn()
    return text
  }
}

describe('a stream that nothing encodes', () => {
  it('is read as it comes', async () => {
    const setUp = new Setup(undefined, {}, 'text')
    const { stream } = setUp
    assert.equal(stream.reader.type, 'text')
    setUp.piece('one ')
    setUp.piece('two')
    stream.end()
    assert.equal(await stream.reader.text(), 'one two')
    assert.deepEqual([stream.blocked, stream.undecoded], [false, false])
    stream.close(closeError)
    assert.deepEqual(setUp.faults, [])
  })

  it('is blocked at its mark, until it is read', async () => {
    const setUp = new Setup()
    const { stream } = setUp
    setUp.piece(Buffer.alloc(99))
    assert.equal(stream.blocked, false)
    setUp.piece(Buffer.alloc(1))
    assert.deepEqual([stream.blocked, setUp.flows], [true, 2])
    await stream.reader[Symbol.asyncIterator]().next()
    assert.deepEqual([stream.blocked, setUp.flows], [false, 3])
    setUp.piece(Buffer.alloc(200))
    assert.equal(stream.blocked, true)
    // With its end it holds nobody back.
    stream.end()
    assert.equal(stream.blocked, false)
    assert.equal((await stream.reader.bytes()).length, 200)
  })

  it('holds nobody back when it is cancelled', () => {
    const setUp = new Setup()
    setUp.piece(Buffer.alloc(200))
    assert.equal(setUp.stream.blocked, true)
    setUp.stream.reader.cancel()
    assert.equal(setUp.stream.blocked, false)
    setUp.piece(Buffer.alloc(200))
    assert.equal(setUp.stream.blocked, false)
    setUp.stream.end()
  })

  it('ends with the error of the connection, behind what has come', async () => {
    const setUp = new Setup()
    setUp.piece('beginning')
    setUp.stream.close(closeError)
    setUp.piece('too late')
    setUp.stream.end()
    assert.equal(setUp.stream.blocked, false)
    const iterator = setUp.stream.reader[Symbol.asyncIterator]()
    assert.equal(String((await iterator.next()).value), 'beginning')
    await assert.rejects(iterator.next(), closeError)
  })
})

describe('a stream that is decoded', () => {
  it('is read as it is decoded, the last piece told', async () => {
    const decoder = new Doubling()
    const setUp = new Setup(decoder)
    const read = reading(setUp.stream)
    setUp.piece('ab')
    assert.equal(await read(), 'aabb')
    setUp.piece('c')
    setUp.stream.end()
    assert.equal(setUp.stream.undecoded, true)
    assert.equal(await read(), 'aabbcc.')
    assert.deepEqual(decoder.pieces.at(-1)?.[1], true)
    assert.equal(decoder.pieces.map(([piece]) => piece).join(''), 'abc')
    assert.deepEqual([decoder.disposed, setUp.stream.undecoded, setUp.stream.blocked], [1, false, false])
  })

  it('may be empty, or end with nothing', async () => {
    const empty = new Setup(new Doubling())
    empty.stream.end()
    assert.equal(await empty.stream.reader.text(), '')
    const setUp = new Setup(new Doubling())
    const read = reading(setUp.stream)
    setUp.piece('a')
    assert.equal(await read(), 'aa')
    setUp.stream.end()
    assert.equal(await read(), 'aa.')
  })

  it('is decoded no faster than it is read', async () => {
    const decoder = new Doubling(10)
    const setUp = new Setup(decoder, { maxQueuedBytes: 50 })
    setUp.piece('x'.repeat(400))
    setUp.stream.end()
    for (let i = 0; i < 30; i++) await turn()
    assert.equal(decoder.made, 50)
    let read = 0
    for await (const chunk of setUp.stream.reader) {
      read += chunk.length
      assert.ok(decoder.made <= read + 60, `${decoder.made} bytes were made, ${read} read`)
    }
    assert.equal(read, 800)
  })

  it('is blocked while too much waits to be decoded, and behind its end until all is decoded', async () => {
    const decoder = new Doubling(10)
    const setUp = new Setup(decoder, { maxQueuedBytes: 50 })
    const { stream } = setUp
    setUp.piece('x'.repeat(20))
    await turn()
    assert.equal(stream.blocked, false)
    for (let i = 0; i < 49; i++) setUp.piece('y')
    assert.equal(stream.blocked, false)
    setUp.piece('y')
    assert.equal(stream.blocked, true)
    setUp.flows = 0
    assert.equal(Buffer.from(await stream.reader.bytes(20).catch(() => Buffer.alloc(0))).length, 0)
    // Cancelled: what comes is still decoded, since later messages may refer to it.
    for (let i = 0; decoder.made < 2 * 70; i++) {
      assert.ok(i < 100)
      await turn()
    }
    assert.ok(setUp.flows > 0)
    assert.equal(stream.blocked, false)
    stream.end()
    assert.equal(stream.blocked, true)
    while (stream.blocked) await turn()
    assert.deepEqual([decoder.disposed, setUp.faults], [1, []])
  })

  it('hands pieces that are tiny to the decoder together', async () => {
    const decoder = new Doubling()
    const setUp = new Setup(decoder, { maxQueuedBytes: 100_000, maxMessageSize: 100_000 })
    for (let i = 0; i < 30_000; i++) setUp.piece('x')
    setUp.stream.end()
    assert.equal((await setUp.stream.reader.bytes()).length, 60_000)
    assert.ok(decoder.pieces.length < 10, `${decoder.pieces.length} pieces`)
  })

  it('breaks a rule when it is too long, broken, or no text', async () => {
    const cases: [string, Partial<Limits>, MessageType, (string | Uint8Array)[], string, number][] = [
      ['too long', { maxStreamSize: 1000 }, 'binary', ['x'.repeat(501)], 'ERR_WS_MESSAGE_TOO_LARGE', 1009],
      ['broken', {}, 'binary', ['x', 'y!', 'z'], 'ERR_WS_EXTENSION_DATA', 1007],
      ['no text', {}, 'text', [hex('61ff')], 'ERR_WS_INVALID_UTF8', 1007],
      ['cut off', {}, 'text', ['x', hex('f0'), hex('9f')], 'ERR_WS_INVALID_UTF8', 1007],
    ]
    for (const [what, limits, type, pieces, code, closeCode] of cases) {
      const decoder = new Doubling()
      const setUp = new Setup(decoder, limits, type)
      for (const piece of pieces) setUp.piece(piece)
      setUp.stream.end()
      const whole = setUp.stream.reader.bytes(1 << 20)
      whole.catch(() => {})
      while (setUp.faults.length === 0) await turn()
      setUp.piece('ignored')
      setUp.stream.end()
      assert.deepEqual(
        setUp.faults.map((fault) => [fault.code, fault.closeCode]),
        [[code, closeCode]],
        what,
      )
      assert.deepEqual([decoder.disposed > 0, setUp.stream.blocked], [true, false])
      // The connection is closed for it: that is what the reader hears.
      assert.equal(await isPending(whole), true)
      setUp.stream.close(closeError)
      await assert.rejects(whole, closeError)
      if (code === 'ERR_WS_EXTENSION_DATA') assert.match(String(setUp.faults[0]?.cause), /broken data/)
    }
  })

  it('takes as much as a message may be, where that is more than a stream may be', async () => {
    const setUp = new Setup(new Doubling(), { maxStreamSize: 10, maxMessageSize: 1000 })
    setUp.piece('x'.repeat(500))
    setUp.stream.end()
    assert.equal((await setUp.stream.reader.bytes()).length, 1000)
  })

  it('ends with the error of the connection, when not all of it has come', async () => {
    const decoder = new Doubling()
    const setUp = new Setup(decoder)
    setUp.piece('a')
    await turn()
    setUp.stream.close(closeError)
    const iterator = setUp.stream.reader[Symbol.asyncIterator]()
    assert.equal(String((await iterator.next()).value), 'aa')
    await assert.rejects(iterator.next(), closeError)
    assert.equal(decoder.disposed, 1)
    setUp.piece('b')
    assert.deepEqual(decoder.pieces, [['a', false]])
  })

  it('comes to its end when the connection ends behind it', async () => {
    const setUp = new Setup(new Doubling(10), { maxQueuedBytes: 10 })
    setUp.piece('abc'.repeat(100))
    setUp.stream.end()
    setUp.stream.close(closeError)
    assert.equal((await setUp.stream.reader.bytes()).length, 600)
    assert.deepEqual(setUp.faults, [])
  })

  it('that cannot be decoded ends with the error of a connection that has ended meanwhile', async () => {
    const setUp = new Setup(new Doubling(10), { maxQueuedBytes: 10 })
    setUp.piece(`${'abc'.repeat(10)}!`)
    setUp.stream.end()
    const whole = setUp.stream.reader.bytes()
    setUp.stream.close(closeError)
    await assert.rejects(whole, closeError)
    assert.deepEqual(setUp.faults, [])
  })

  it('closed in the middle of its decoding gives all that has come, as it is read, and then fails', async () => {
    const decoder = new Doubling(10)
    const setUp = new Setup(decoder, { maxQueuedBytes: 20 })
    setUp.piece('x'.repeat(100))
    setUp.piece('y'.repeat(50))
    await new Promise((resolve) => setImmediate(resolve))
    setUp.stream.close(closeError)
    for (let i = 0; i < 10; i++) await turn()
    assert.ok(decoder.made <= 30, `${decoder.made} bytes are decoded`)
    let length = 0
    await assert.rejects(async () => {
      for await (const chunk of setUp.stream.reader) length += chunk.length
    }, closeError)
    assert.deepEqual([length, decoder.disposed], [300, 1])
  })

  it('closed while nobody reads any more is decoded no further', async () => {
    const decoder = new Doubling(10)
    const setUp = new Setup(decoder, { maxQueuedBytes: 20 })
    setUp.piece('x'.repeat(100))
    await turn()
    setUp.stream.close(closeError)
    setUp.stream.reader.cancel()
    for (let i = 0; i < 50; i++) await turn()
    assert.ok(decoder.made < 100, `${decoder.made} bytes are decoded`)
    assert.equal(decoder.disposed, 1)
  })
})

describe('whatever the pieces and whoever reads', () => {
  it('all bytes arrive, and no more is kept than the mark and a piece', async () => {
    const sizes = fc.array(fc.oneof(fc.constant(0), fc.constant(1), fc.nat(300), fc.nat(6000)), {
      maxLength: 20,
    })
    await fc.assert(
      fc.asyncProperty(
        sizes,
        fc.boolean(),
        fc.integer({ min: 1, max: 5000 }),
        async (pieces, decoded, mark) => {
          const decoder = decoded ? new Doubling(500) : undefined
          const setUp = new Setup(decoder, { maxQueuedBytes: mark, maxMessageSize: 1 << 20 })
          const { stream } = setUp
          const factor = decoded ? 2 : 1
          let given = 0
          let read = 0
          const all = (async () => {
            for await (const chunk of stream.reader) {
              read += chunk.length
              if (read % 3 === 0) await turn()
            }
          })()
          for (const size of pieces) {
            while (stream.blocked) await turn()
            const before = given - read
            assert.ok(
              before <= (decoded ? 3 * mark : mark) + 6000 * factor,
              `${before} bytes for a mark of ${mark}`,
            )
            setUp.piece(Buffer.alloc(size))
            given += size * factor
          }
          stream.end()
          await all
          assert.equal(read, given)
          assert.equal(stream.blocked, false)
          assert.deepEqual(setUp.faults, [])
        },
      ),
      { numRuns: 60 },
    )
  })
})

describe('a decoder that cannot be disposed of', () => {
  const ways: Readonly<Record<string, () => void>> = {
    throws: () => {
      throw closeError
    },
    rejects: () => Promise.reject(closeError) as unknown as undefined,
  }
  for (const [name, dispose] of Object.entries(ways)) {
    it(`harms nobody when it ${name}: that is printed`, async (t) => {
      const print = t.mock.method(console, 'error', () => {})
      for (const end of ['in order', 'closed', 'broken'] as const) {
        print.mock.resetCalls()
        const setUp = new Setup(Object.assign(new Doubling(), { dispose }))
        const read = setUp.stream.reader[Symbol.asyncIterator]()
        setUp.piece(end === 'broken' ? '!' : 'ab')
        assert.equal((await read.next()).done, false)
        if (end === 'closed') setUp.stream.close(closeError)
        else setUp.stream.end()
        if (end === 'in order') assert.equal((await read.next()).done, true)
        if (end === 'closed') await assert.rejects(read.next(), closeError)
        await turn()
        assert.equal(setUp.faults.length, end === 'broken' ? 1 : 0)
        setUp.stream.close(closeError)
        assert.equal(print.mock.callCount(), 1, 'once')
        assert.deepEqual(print.mock.calls[0]?.arguments, [
          'silverback: dispose of an extension failed:',
          closeError,
        ])
      }
    })
  }
})
