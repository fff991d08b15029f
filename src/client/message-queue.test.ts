import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { isPending } from '../../test/support/until.ts'
import type { Message } from '../session/message.ts'
import { MessageQueue } from './message-queue.ts'

function text(data: string): Message {
  return { type: 'text', data }
}

describe('MessageQueue', () => {
  it('gives messages in order, to those who wait and to those who come later', async () => {
    const queue = new MessageQueue()
    const taken = [queue.take(), queue.take()]
    for (const data of ['a', 'b', 'c']) assert.equal(queue.put(text(data)), undefined)
    taken.push(queue.take())
    assert.deepEqual(
      (await Promise.all(taken)).map((message) => message?.data),
      ['a', 'b', 'c'],
    )
  })

  it('has who brings more than 64 wait, until one is taken', async () => {
    const queue = new MessageQueue()
    for (let i = 1; i < 64; i++) assert.equal(queue.put(text('')), undefined)
    const room = queue.put(text('')) as Promise<void>
    assert.ok(await isPending(room))
    await queue.take()
    await room
  })

  it('has who brings more than 1 MiB wait', async () => {
    const queue = new MessageQueue()
    queue.put(text('small'))
    const room = queue.put(text('x'.repeat(1024 * 1024))) as Promise<void>
    assert.ok(await isPending(room))
    await queue.take()
    assert.ok(await isPending(room))
    await queue.take()
    await room
  })

  it('has nobody wait once it is stopped: what has room is still taken, the rest is dropped', async () => {
    const queue = new MessageQueue()
    const first = queue.take()
    for (let i = 0; i < 63; i++) queue.put(text(`${i}`))
    const last = queue.put(text('63'))
    assert.equal((await first)?.data, '0')
    assert.equal(last, undefined)
    const room = queue.put(text('64')) as Promise<void>
    queue.stop()
    await room
    assert.equal(queue.put(text('no room')), undefined)
    assert.equal((await queue.take())?.data, '1')
    assert.equal(queue.put(text('room again')), undefined)
    for (let i = 2; i <= 64; i++) assert.equal((await queue.take())?.data, `${i}`)
    assert.equal((await queue.take())?.data, 'room again')
    const waits = queue.take()
    queue.end()
    assert.deepEqual([await waits, await queue.take()], [undefined, undefined])
  })

  it('can be emptied after its end', async () => {
    const queue = new MessageQueue()
    queue.put(text('left'))
    queue.end()
    assert.equal((await queue.take())?.data, 'left')
    assert.equal(await queue.take(), undefined)
  })
})
