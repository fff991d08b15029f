import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { isPending } from '../../test/support/until.ts'
import { ChunkQueue } from './chunk-queue.ts'

const failure = new Error('went wrong')

const push = (queue: ChunkQueue, text: string): void => queue.push(Buffer.from(text), 0, text.length)

/** All that is left, as text. */
async function rest(queue: ChunkQueue): Promise<string> {
  let text = ''
  for (let chunk = await queue.take(); chunk !== undefined; chunk = await queue.take())
    text += Buffer.from(chunk)
  return text
}

describe('a queue of chunks', () => {
  it('gives what waits, then what comes, then nothing', async () => {
    const queue = new ChunkQueue()
    push(queue, 'one ')
    assert.equal(queue.bytes, 4)
    assert.equal(String(await queue.take()), 'one ')
    assert.equal(queue.bytes, 0)
    const taken = queue.take()
    assert.equal(await isPending(taken), true)
    push(queue, '')
    assert.equal(await isPending(taken), true)
    push(queue, 'two ')
    push(queue, 'three')
    assert.deepEqual([String(await taken), queue.bytes], ['two ', 5])
    queue.end()
    assert.equal(await rest(queue), 'three')
    assert.equal(await queue.take(), undefined)
  })

  it('gives each who waits a chunk, in the order of their calls, and at the end nothing', async () => {
    const queue = new ChunkQueue()
    const taken = [queue.take(), queue.take(), queue.take(), queue.take()]
    push(queue, 'one')
    push(queue, 'two')
    queue.end()
    assert.deepEqual(
      (await Promise.all(taken)).map((chunk) => chunk && String(chunk)),
      ['one', 'two', undefined, undefined],
    )
  })

  it('gives bytes that keep nothing else alive', async () => {
    const queue = new ChunkQueue()
    const read = Buffer.alloc(64 * 1024, 'x')
    const taken = queue.take()
    queue.push(read, 0, 10)
    assert.notEqual((await taken)?.buffer, read.buffer)
    queue.push(read, 0, 10_000)
    assert.notEqual((await queue.take())?.buffer, read.buffer)
  })

  it('tells of a failure behind what waits, each time', async () => {
    const queue = new ChunkQueue()
    push(queue, 'before')
    queue.fail(failure)
    assert.equal(String(await queue.take()), 'before')
    for (let i = 0; i < 2; i++) await assert.rejects(queue.take(), failure)
  })

  it('tells those who wait of a failure', async () => {
    const queue = new ChunkQueue()
    const taken = [queue.take(), queue.take()]
    queue.fail(failure)
    for (const each of taken) await assert.rejects(each, failure)
  })

  it('has no failure behind its end', async () => {
    const queue = new ChunkQueue()
    push(queue, 'whole')
    queue.end()
    queue.fail(failure)
    assert.equal(await rest(queue), 'whole')
  })

  it('tells whenever there is less in it', async () => {
    let calls = 0
    const queue: ChunkQueue = new ChunkQueue(() => {
      calls++
    })
    push(queue, 'one')
    assert.equal(calls, 0)
    await queue.take()
    assert.equal(calls, 1)
    const taken = queue.take()
    push(queue, 'two')
    await taken
    assert.equal(calls, 1)
    push(queue, 'three')
    queue.cancel(undefined)
    assert.deepEqual([calls, queue.bytes], [2, 0])
  })

  it('takes what comes while it tells', async () => {
    const more = ['two', 'three']
    const queue: ChunkQueue = new ChunkQueue(() => {
      const next = more.shift()
      if (next === undefined) queue.end()
      else push(queue, next)
    })
    push(queue, 'one')
    assert.equal(await rest(queue), 'onetwothree')
  })

  it('that is cancelled drops what waits and what comes, and tells whoever reads', async () => {
    for (const end of ['end', 'fail', 'nothing']) {
      const queue = new ChunkQueue()
      const reason = new Error('no use for it')
      const taken = [queue.take()]
      queue.cancel(reason)
      queue.cancel(new Error('again'))
      push(queue, 'dropped')
      if (end === 'end') queue.end()
      if (end === 'fail') queue.fail(failure)
      taken.push(queue.take())
      for (const result of taken) await assert.rejects(result, reason)
      assert.deepEqual([queue.bytes, queue.cancelled], [0, true])
    }
  })
})
