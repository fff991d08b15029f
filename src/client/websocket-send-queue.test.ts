import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { TestLink, turn } from '../../test/support/test-link.ts'
import { until } from '../../test/support/until.ts'
import { readBlob } from './runtime.ts'
import { WebSocketSendQueue } from './websocket-send-queue.ts'

const hex = (text: string): string => Buffer.from(text).toString('hex')

/** A queue, and the connection below it; failures are counted. */
function setUp(patience?: number) {
  const peer = new TestLink({ role: 'client', limits: { maxSendBuffer: 2 ** 40 } })
  const failures = { count: 0 }
  const queue = new WebSocketSendQueue(peer.conn, () => failures.count++, readSlowly, patience)
  const text = (message: string): void => queue.send(message, Buffer.byteLength(message))
  const bytes = (message: Uint8Array): void => queue.send(message, message.length)
  const blob = (message: Blob): void => queue.send(message, message.size)
  return { peer, queue, failures, text, bytes, blob }
}

/** A Blob whose bytes are there when the test says so. */
class SlowBlob extends Blob {
  release: (() => void) | undefined
  fail: (() => void) | undefined

  read(): Promise<Uint8Array | undefined> {
    return new Promise((resolve) => {
      this.release = () => resolve(readBlob(this))
      this.fail = () => resolve(undefined)
    })
  }
}

const readSlowly: typeof readBlob = (blob) => (blob instanceof SlowBlob ? blob.read() : readBlob(blob))

describe('the queue of messages', () => {
  it('passes on what need not wait, at once', async () => {
    const { peer, queue, text, bytes } = setUp()
    const changing = new Uint8Array([1, 2])
    text('é')
    bytes(changing)
    changing.fill(9)
    assert.equal(queue.bufferedAmount, 4)
    await turn()
    assert.deepEqual(peer.sent(), [`text ${hex('é')}`, 'binary 0102'])
    assert.equal(queue.bufferedAmount, 0)
    peer.conn.terminate()
  })

  it('keeps the order behind a Blob, and copies what waits', async () => {
    const { peer, queue, text, bytes, blob } = setUp()
    const slow = new SlowBlob(['slow'])
    const changing = new Uint8Array([1, 2])
    text('first')
    blob(slow)
    text('second')
    bytes(changing)
    blob(new Blob(['quick']))
    text('last')
    changing.fill(9)
    queue.close({ code: 4000, reason: 'end' })
    await turn()
    assert.deepEqual(peer.sent(), [`text ${hex('first')}`])
    assert.equal(queue.bufferedAmount, 4 + 6 + 2 + 5 + 4)
    slow.release?.()
    await until(() => peer.conn.state === 'closing', 'the Close frame')
    await turn()
    const sent = [`text ${hex('first')}`, `binary ${hex('slow')}`, `text ${hex('second')}`, 'binary 0102']
    assert.deepEqual(peer.sent(), [
      ...sent,
      `binary ${hex('quick')}`,
      `text ${hex('last')}`,
      'close 4000 "end"',
    ])
    assert.equal(queue.bufferedAmount, 0)
    peer.conn.terminate()
  })

  it('needs no Blob to close in order', async () => {
    const { peer, queue, text } = setUp()
    text('x')
    queue.close({ code: 1005, reason: '' })
    await turn()
    assert.deepEqual(peer.sent(), ['text 78', 'close 1005 ""'])
    peer.conn.terminate()
  })

  it('drops the connection for a Blob that cannot be read', async () => {
    const { peer, queue, failures, text, blob } = setUp()
    const slow = new SlowBlob(['gone'])
    blob(slow)
    text('behind')
    slow.fail?.()
    await peer.conn.closed
    assert.equal(failures.count, 1)
    assert.deepEqual(peer.sent(), [])
    assert.equal(queue.bufferedAmount, 10)
  })

  it('drops the connection for a Blob that is never read, once it is to close', async () => {
    const { peer, queue, failures, blob } = setUp(5)
    const slow = new SlowBlob(['never'])
    blob(slow)
    queue.close({ code: 1000, reason: '' })
    await peer.conn.closed
    assert.equal(failures.count, 1)
    assert.deepEqual(peer.sent(), [])
  })

  it('counts what it was told of a Blob', async () => {
    const { peer, queue } = setUp()
    queue.send(new SlowBlob(['12345']), 5)
    queue.send('ab', 2)
    assert.equal(queue.bufferedAmount, 7)
    peer.conn.terminate()
  })

  it('drops the connection for a message for which there is no memory', async () => {
    const { peer, queue, failures, text } = setUp()
    peer.conn.send = () => {
      throw new RangeError('out of memory')
    }
    text('much')
    assert.equal(failures.count, 1)
    await peer.conn.closed
    assert.equal(queue.bufferedAmount, 4)
  })

  it('sends nothing of a Blob that comes too late', async () => {
    const { peer, queue, text, blob } = setUp()
    const slow = new SlowBlob(['late'])
    blob(slow)
    peer.conn.terminate()
    await peer.conn.closed
    slow.release?.()
    await turn()
    text('x')
    assert.equal(queue.bufferedAmount, 5)
    assert.deepEqual(peer.sent(), [])
  })
})

describe('bufferedAmount', () => {
  it('goes down as messages leave, not all at once', async () => {
    const { peer, queue, text } = setUp()
    peer.stream.hold()
    // Two writes of 528 KiB at the most, held one by one.
    for (let i = 0; i < 20; i++) text('x'.repeat(40_000))
    assert.equal(queue.bufferedAmount, 800_000)
    await turn()
    assert.equal(queue.bufferedAmount, 800_000)
    peer.stream.release(true)
    await turn()
    const rest = queue.bufferedAmount
    assert.ok(rest > 200_000 && rest < 320_000, `${rest}`)
    peer.stream.release()
    await turn()
    assert.equal(queue.bufferedAmount, 0)
    peer.conn.terminate()
  })

  it('counts a long message until it has left whole', async () => {
    const { peer, queue, text } = setUp()
    peer.stream.hold()
    text('x'.repeat(1_400_000))
    for (let step = 0; step < 2; step++) {
      await turn()
      assert.equal(queue.bufferedAmount, 1_400_000)
      peer.stream.release(true)
    }
    await turn()
    peer.stream.release()
    await turn()
    assert.equal(queue.bufferedAmount, 0)
    peer.conn.terminate()
  })

  it('counts messages that came while others were leaving', async () => {
    const { peer, queue, text } = setUp()
    peer.stream.hold()
    text('abc')
    await turn()
    for (let i = 0; i < 100; i++) text('abc')
    peer.stream.release(true)
    await turn()
    assert.ok(queue.bufferedAmount >= 300, `${queue.bufferedAmount}`)
    peer.stream.release()
    await turn()
    assert.equal(queue.bufferedAmount, 0)
    peer.conn.terminate()
  })

  it('is right for many small messages', async () => {
    const { peer, queue, text } = setUp()
    peer.stream.hold()
    for (let i = 0; i < 10_000; i++) text('abc')
    assert.equal(queue.bufferedAmount, 30_000)
    peer.stream.release()
    await until(() => queue.bufferedAmount === 0, 'the messages to leave')
    peer.conn.terminate()
  })

  it('keeps what comes when the server has begun to close', async () => {
    const { peer, queue, text } = setUp()
    text('in time')
    await peer.receive({ opcode: 8 })
    text('too late')
    await turn()
    assert.deepEqual(peer.sent(), [`text ${hex('in time')}`, 'close 1005 ""'])
    assert.equal(queue.bufferedAmount, 8)
    peer.conn.terminate()
  })

  it('is without what was sent in time, when the connection has ended in order', async () => {
    const { peer, queue, text } = setUp()
    text('in time')
    queue.close({ code: 1000, reason: '' })
    await peer.receive({ opcode: 8 })
    text('too late')
    peer.stream.endInput()
    assert.equal((await peer.conn.closed).wasClean, true)
    queue.endInOrder()
    assert.equal(queue.bufferedAmount, 8)
  })

  it('stays what it is when the connection ends', async () => {
    const { peer, queue, text } = setUp()
    text('sent')
    await turn()
    peer.stream.hold()
    text('x'.repeat(600_000))
    text('y'.repeat(50_000))
    await turn()
    peer.conn.terminate()
    await peer.conn.closed
    assert.equal(queue.bufferedAmount, 650_000)
  })
})
