import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { UsageError } from '../session/errors.ts'
import { prepare } from '../session/prepared.ts'
import { checkOutboxOptions, type OutboxOptions, type OverflowPolicy, SendQueue } from './send-queue.ts'

function setUp(options: OutboxOptions = {}): { queue: SendQueue; dropped: string[] } {
  const dropped: string[] = []
  const queue = new SendQueue(options, ({ data }, reason) => dropped.push(`${String(data)} ${reason}`))
  return { queue, dropped }
}

function fill(queue: SendQueue, ...texts: string[]): boolean[] {
  return texts.map((data) => queue.add({ data, type: undefined }))
}

function rest(queue: SendQueue): unknown[] {
  return Array.from({ length: queue.length }, () => queue.take()?.data)
}

describe('SendQueue', () => {
  it('gives back what it took, in order, and counts it in bytes', () => {
    const { queue } = setUp()
    const news = prepare('news')
    queue.add({ data: 'é', type: undefined })
    queue.add({ data: new Uint8Array(3), type: 'text' })
    queue.add({ data: news, type: undefined })
    assert.deepEqual([queue.length, queue.bytes], [3, 2 + 3 + 4])
    assert.deepEqual(queue.take(), { data: 'é', type: undefined })
    assert.deepEqual(queue.take(), { data: Buffer.alloc(3), type: 'text' })
    assert.equal(queue.take()?.data, news)
    assert.deepEqual([queue.take(), queue.length, queue.bytes], [undefined, 0, 0])
  })

  it('copies bytes: they stay those of the caller', () => {
    const { queue } = setUp()
    const data = new Uint8Array([1, 2])
    queue.add({ data, type: undefined })
    data.fill(9)
    assert.deepEqual(queue.take()?.data, Buffer.from([1, 2]))
  })

  it('rejects what is too much, by number or by bytes, and reports nothing', () => {
    const byNumber = setUp({ maxMessages: 2 })
    assert.deepEqual(fill(byNumber.queue, 'a', 'b', 'c'), [true, true, false])
    const byBytes = setUp({ maxBytes: 5 })
    assert.deepEqual(fill(byBytes.queue, 'aaa', 'bbb', 'cc', ''), [true, false, true, true])
    assert.deepEqual([byNumber.dropped, byBytes.dropped], [[], []])
  })

  it('drops the newest', () => {
    const { queue, dropped } = setUp({ maxMessages: 2, overflow: 'dropNewest' })
    assert.deepEqual(fill(queue, 'a', 'b', 'c'), [true, true, false])
    assert.deepEqual([rest(queue), dropped], [['a', 'b'], ['c overflow']])
  })

  it('drops the oldest, as many as it takes, but none for what will never fit', () => {
    const { queue, dropped } = setUp({ maxMessages: 3, maxBytes: 4, overflow: 'dropOldest' })
    assert.deepEqual(fill(queue, 'a', 'b', 'c', 'd', 'eee', 'fffff'), [true, true, true, true, true, false])
    assert.deepEqual(dropped, ['a overflow', 'b overflow', 'c overflow', 'fffff overflow'])
    assert.deepEqual(rest(queue), ['d', 'eee'])
  })

  it('keeps nothing where that is wanted', () => {
    for (const options of [{ maxMessages: 0 }, { maxBytes: 0 }])
      assert.deepEqual(fill(setUp(options).queue, 'a'), [false])
    assert.deepEqual(fill(setUp({ maxMessages: 0, overflow: 'dropOldest' }).queue, ''), [false])
  })

  it('reports what is left at the end', () => {
    const { queue, dropped } = setUp()
    fill(queue, 'a', 'b')
    queue.clear()
    queue.clear()
    assert.deepEqual([dropped, queue.length, queue.bytes], [['a closed', 'b closed'], 0, 0])
  })

  it('has options that are checked', () => {
    assert.deepEqual(checkOutboxOptions({}), {
      maxMessages: 1_000,
      maxBytes: 1_048_576,
      overflow: 'reject',
    })
    for (const [options, message] of [
      [{ maxMessages: -1 }, /^outbox\.maxMessages must be an integer from 0 on, not -1$/],
      [{ maxBytes: Number.POSITIVE_INFINITY }, /^outbox\.maxBytes must be/],
      [{ overflow: 'drop' as OverflowPolicy }, /^outbox\.overflow must be .* not drop$/],
    ] as const) {
      assert.throws(
        () => checkOutboxOptions(options),
        (error) =>
          error instanceof UsageError &&
          error.code === 'ERR_WS_INVALID_OPTION' &&
          message.test(error.message),
      )
    }
  })

  it('does as a plain list does, by every policy: each message ends in one place, in order, within bounds', () => {
    const step = fc.oneof(
      { weight: 3, arbitrary: fc.nat(12) },
      { weight: 2, arbitrary: fc.constant('take' as const) },
    )
    const setting = fc.record({
      maxMessages: fc.nat(6),
      maxBytes: fc.nat(30),
      overflow: fc.constantFrom<OverflowPolicy>('reject', 'dropOldest', 'dropNewest'),
    })
    fc.assert(
      fc.property(setting, fc.array(step, { maxLength: 60 }), (options, steps) => {
        const { maxMessages, maxBytes, overflow } = options
        const dropped: string[] = []
        const queue = new SendQueue(options, ({ data }) => dropped.push(data as string))
        let model: string[] = []
        const modelDropped: string[] = []
        const bytes = (): number => model.join('').length
        for (const [number, what] of steps.entries()) {
          if (what === 'take') {
            assert.equal(queue.take()?.data, model.shift())
            continue
          }
          const text = String.fromCharCode(97 + (number % 26)).repeat(what)
          const fits = what <= maxBytes && maxMessages > 0
          if (overflow === 'dropOldest' && fits) {
            while (model.length >= maxMessages || bytes() + what > maxBytes)
              modelDropped.push(model.shift() as string)
          }
          const taken = fits && model.length < maxMessages && bytes() + what <= maxBytes
          if (taken) model = [...model, text]
          else if (overflow !== 'reject') modelDropped.push(text)
          assert.equal(queue.add({ data: text, type: undefined }), taken)
          assert.deepEqual([queue.length, queue.bytes], [model.length, bytes()])
          assert.ok(queue.length <= maxMessages && queue.bytes <= maxBytes)
        }
        assert.deepEqual([dropped, rest(queue)], [modelDropped, model])
      }),
      { numRuns: 500 },
    )
  })
})
