import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { isPending } from '../../test/support/until.ts'
import { LimitError, UsageError } from '../session/errors.ts'
import { ChunkQueue } from './chunk-queue.ts'
import { MessageStream } from './message-stream.ts'

const failure = new Error('the connection has ended')

function setUp(maxMessageSize = 1000): {
  stream: MessageStream
  chunks: ChunkQueue
  push: (text: string) => void
} {
  const chunks = new ChunkQueue()
  const push = (text: string): void => {
    const bytes = Buffer.from(text)
    chunks.push(bytes, 0, bytes.length)
  }
  return { stream: new MessageStream('text', chunks, maxMessageSize), chunks, push }
}

const cancelled = (error: unknown): boolean =>
  error instanceof UsageError && error.code === 'ERR_WS_STREAM_CANCELLED'

const tooLarge =
  (actual: number, max: number) =>
  (error: unknown): boolean => {
    assert.ok(error instanceof LimitError)
    assert.deepEqual(
      [error.code, error.limit, error.actual, error.max, error.closeCode],
      ['ERR_WS_MESSAGE_TOO_LARGE', 'maxMessageSize', actual, max, 1009],
    )
    return true
  }

describe('a message that is read while it comes', () => {
  it('yields its chunks, and is done at its end', async () => {
    const { stream, chunks, push } = setUp()
    assert.deepEqual([stream.type, stream.done], ['text', false])
    push('one')
    const got: string[] = []
    for await (const chunk of stream) {
      assert.equal(stream.done, false)
      got.push(String(Buffer.from(chunk)))
      if (got.length === 1) push('two')
      else chunks.end()
    }
    assert.deepEqual([got, stream.done], [['one', 'two'], true])
    for await (const chunk of stream) assert.fail(`${chunk}`)
  })

  it('can be read by several, one chunk each', async () => {
    const { stream, chunks, push } = setUp()
    const [one, two] = [stream[Symbol.asyncIterator](), stream[Symbol.asyncIterator]()]
    const results = [one.next(), two.next(), one.next()]
    push('1')
    push('2')
    chunks.end()
    const values = await Promise.all(results)
    assert.deepEqual(
      values.map(({ value }) => value && String(Buffer.from(value))),
      ['1', '2', undefined],
    )
  })

  it('that is left early is cancelled', async () => {
    const { stream, chunks, push } = setUp()
    push('one')
    for await (const _ of stream) break
    assert.deepEqual([stream.done, chunks.cancelled], [true, true])
    push('dropped')
    assert.equal(chunks.bytes, 0)
    await assert.rejects(stream.text(), cancelled)
  })

  it('that is left early ends for who left it, and for nobody else', async () => {
    const { stream, push } = setUp()
    push('one')
    const [leaver, other] = [stream[Symbol.asyncIterator](), stream[Symbol.asyncIterator]()]
    await leaver.next()
    const [waiting, waitingToo] = [leaver.next(), other.next()]
    assert.deepEqual(await leaver.return?.(), { done: true, value: undefined })
    assert.deepEqual(await waiting, { done: true, value: undefined })
    assert.deepEqual(await leaver.next(), { done: true, value: undefined })
    await assert.rejects(waitingToo, cancelled)
    await assert.rejects(other.next(), cancelled)
  })

  it('can be looped over from where an iterator stands', async () => {
    const { stream, chunks, push } = setUp()
    const iterator = stream[Symbol.asyncIterator]()
    push('one')
    await iterator.next()
    push('two')
    chunks.end()
    for await (const chunk of iterator) assert.equal(String(chunk), 'two')
  })

  it('throws what went wrong, behind what had come, and is then done', async () => {
    const { stream, chunks, push } = setUp()
    push('before')
    chunks.fail(failure)
    const got: string[] = []
    await assert.rejects(async () => {
      for await (const chunk of stream) got.push(String(Buffer.from(chunk)))
    }, failure)
    assert.deepEqual([got, stream.done], [['before'], true])
    await assert.rejects(stream.bytes(), failure)
  })

  it('cancelled while somebody waits for it fails for them, and for who reads on', async () => {
    for (const reason of [undefined, new Error('no use for it')]) {
      const { stream, push } = setUp()
      push('cut')
      const text = stream.text()
      const read = stream.readable.getReader().read()
      assert.equal(await isPending(text), true)
      stream.cancel(reason)
      stream.cancel(new Error('again'))
      for (const result of [text, read, stream.bytes(), stream[Symbol.asyncIterator]().next()])
        await assert.rejects(result, reason ?? cancelled)
      assert.equal(stream.done, true)
    }
  })

  it('cancelled when it has come to its end, or has failed, is as it was', async () => {
    const [one, two] = [setUp(), setUp()]
    one.chunks.end()
    two.chunks.fail(failure)
    assert.equal(await one.stream.text(), '')
    await assert.rejects(two.stream.text(), failure)
    for (const { stream } of [one, two]) stream.cancel()
    assert.equal(await one.stream.text(), '')
    await assert.rejects(two.stream.text(), failure)
  })
})

describe('a message that is taken whole from its stream', () => {
  it('comes as bytes or as text, characters cut or not', async () => {
    const bytes = Buffer.from('é€😀')
    for (const cut of [0, 1, 3, 5, bytes.length]) {
      const [one, two] = [setUp(), setUp()]
      for (const { chunks } of [one, two]) {
        chunks.push(bytes, 0, cut)
        chunks.push(Buffer.alloc(5000), 0, 0)
        chunks.push(bytes, cut, bytes.length)
        chunks.end()
      }
      assert.deepEqual(Buffer.from(await one.stream.bytes()), bytes)
      assert.equal(await two.stream.text(), 'é€😀')
    }
  })

  it('comes as it is when it is one chunk', async () => {
    const { stream, chunks } = setUp(10_000)
    const bytes = Buffer.alloc(5000, 'x')
    chunks.push(bytes, 0, bytes.length)
    chunks.end()
    assert.equal((await stream.bytes()).buffer, bytes.buffer)
  })

  it('is taken up to a size that is one', async () => {
    for (const size of [Number.NaN, -1, '5', null]) {
      const { stream, chunks } = setUp()
      chunks.end()
      for (const taken of [stream.bytes(size as number), stream.text(size as number)])
        await assert.rejects(taken, { code: 'ERR_WS_INVALID_ARGUMENT' })
      assert.equal(await stream.text(Number.POSITIVE_INFINITY), '')
    }
  })

  it('may be empty', async () => {
    const { stream, chunks } = setUp()
    chunks.end()
    assert.equal(await stream.text(), '')
  })

  it('is at most as long as any other message, or as was said', async () => {
    const cases: [number, number | undefined, boolean][] = [
      [1000, undefined, true],
      [1001, undefined, false],
      [5000, 5000, true],
      [5000, 4999, false],
      [1, 0, false],
      [0, 0, true],
    ]
    for (const [size, max, fits] of cases) {
      for (const take of [
        (stream: MessageStream) => stream.bytes(max),
        (stream: MessageStream) => stream.text(max),
      ]) {
        const { stream, chunks } = setUp()
        for (let left = size; left > 0; left -= 4999) {
          const chunk = Buffer.alloc(Math.min(left, 4999), 'x')
          chunks.push(chunk, 0, chunk.length)
        }
        chunks.end()
        if (fits) assert.equal((await take(stream)).length, size)
        else await assert.rejects(take(stream), tooLarge(size, max ?? 1000))
        assert.deepEqual([stream.done, chunks.cancelled], [true, !fits])
      }
    }
  })

  it('that had come whole is read in the same way', async () => {
    const texts = ['', 'é', 'x'.repeat(10_000)]
    for (const text of texts) {
      for (const data of [text, Buffer.from(text), new Uint8Array(Buffer.from(`..${text}`)).subarray(2)]) {
        const stream = MessageStream.of({ type: 'text', data }, 1 << 20)
        assert.deepEqual([stream.type, stream.done], ['text', false])
        assert.equal(await stream.text(), text)
        assert.equal(stream.done, true)
      }
    }
    await assert.rejects(
      MessageStream.of({ type: 'binary', data: Buffer.alloc(11) }, 10).bytes(),
      tooLarge(11, 10),
    )
  })
})

describe('a message as a Web stream', () => {
  it('is one and the same, and holds nothing itself', async () => {
    const { stream, chunks, push } = setUp()
    assert.equal(stream.readable, stream.readable)
    push('one')
    await new Promise((resolve) => setImmediate(resolve))
    assert.equal(chunks.bytes, 3)
    const reader = stream.readable.getReader()
    assert.equal(String(Buffer.from((await reader.read()).value as Uint8Array)), 'one')
    const next = reader.read()
    assert.equal(await isPending(next), true)
    chunks.end()
    assert.deepEqual([(await next).done, stream.done], [true, true])
  })

  it('that is cancelled passes the reason on to who waits beside it', async () => {
    const reason = new Error('enough')
    const { stream } = setUp()
    const waiting = stream[Symbol.asyncIterator]().next()
    await stream.readable.cancel(reason)
    await assert.rejects(waiting, reason)
    await assert.rejects(stream.text(), reason)
  })

  it('can be cancelled', async () => {
    const { stream, chunks, push } = setUp()
    push('one')
    await stream.readable.cancel()
    assert.deepEqual([stream.done, chunks.cancelled], [true, true])
  })

  it('fails as the message does', async () => {
    const { stream, chunks } = setUp()
    const reader = stream.readable.getReader()
    reader.closed.catch(() => {})
    const next = reader.read()
    chunks.fail(failure)
    await assert.rejects(next, failure)
    assert.equal(stream.done, true)
  })
})
