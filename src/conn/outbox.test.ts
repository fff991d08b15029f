import assert from 'node:assert/strict'
import { Duplex } from 'node:stream'
import { describe, it } from 'node:test'
import { Output } from '../protocol/output.ts'
import { Outbox } from './outbox.ts'

/** Takes a write when it is told to. */
class Sluggish extends Duplex {
  readonly writes: Buffer[] = []
  /** How many writes it takes at once. */
  eager = 0
  #done: (() => void) | undefined

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.writes.push(chunk)
    this.#take(done)
  }

  override _writev(chunks: { chunk: Buffer }[], done: () => void): void {
    this.writes.push(...chunks.map(({ chunk }) => chunk))
    this.#take(done)
  }

  #take(done: () => void): void {
    if (this.eager-- > 0) done()
    else this.#done = done
  }

  async release(): Promise<void> {
    const done = this.#done
    this.#done = undefined
    done?.()
    await new Promise(setImmediate)
  }
}

function setUp(): { stream: Sluggish; output: Output; outbox: Outbox; writable: () => number } {
  const stream = new Sluggish()
  const output = new Output()
  let count = 0
  const owner = {
    onWritable(): void {
      count++
      outbox.flush()
    },
  }
  const outbox = new Outbox(stream, output, owner, false)
  return { stream, output, outbox, writable: () => count }
}

const send = (output: Output, bytes: Uint8Array | string): void => {
  const data = Buffer.from(bytes)
  output.room(data.length).set(data, output.at)
  output.advance(output.at + data.length)
}

describe('Outbox', () => {
  it('writes once at a time: what comes meanwhile waits, joined', async () => {
    const { stream, output, outbox, writable } = setUp()
    send(output, 'first')
    outbox.flush()
    for (let i = 0; i < 1000; i++) {
      send(output, 'x')
      outbox.flush()
    }
    assert.equal(stream.writes.length, 1)
    assert.deepEqual([outbox.waiting, outbox.written, outbox.left], [1005, 5, 0])
    await stream.release()
    assert.equal(writable(), 1)
    assert.ok(stream.writes.length <= 3, `${stream.writes.length} writes`)
    assert.equal(Buffer.concat(stream.writes).toString(), `first${'x'.repeat(1000)}`)
    await stream.release()
    assert.deepEqual([outbox.waiting, outbox.written, outbox.left], [0, 1005, 1005])
  })

  it('is not misled by the end of a write that was over long before', async () => {
    const { stream, output, outbox } = setUp()
    stream.eager = 1
    for (const text of ['first', 'second']) {
      send(output, text)
      outbox.flush()
    }
    // The first one's end is told only now, while the second is under way.
    await new Promise(setImmediate)
    send(output, 'third')
    outbox.flush()
    assert.deepEqual([output.pending, stream.writableLength], ['third'.length, 'second'.length])
    await stream.release()
    assert.deepEqual(stream.writes.map(String), ['first', 'second', 'third'])
  })

  it('writes much in steps, so that its progress can be seen', async () => {
    const { stream, output, outbox } = setUp()
    const large = Buffer.alloc(1_000_000, 'L')
    send(output, 'head')
    output.append(large)
    outbox.flush()
    let previous = -1
    while (outbox.waiting > 0) {
      assert.ok(outbox.left > previous)
      assert.ok(stream.writableLength <= 528 * 1024)
      previous = outbox.left
      await stream.release()
    }
    assert.equal(Buffer.concat(stream.writes).compare(Buffer.concat([Buffer.from('head'), large])), 0)
  })

  it('tells when there is room, and when there will be none', async () => {
    const { stream, output, outbox } = setUp()
    await outbox.drained()
    send(output, Buffer.alloc(65 * 1024))
    assert.equal(outbox.hasRoom, false)
    let drained = false
    const room = outbox.drained().then(() => {
      drained = true
    })
    outbox.flush()
    await new Promise(setImmediate)
    assert.equal(drained, false)
    await stream.release()
    await room
    send(output, Buffer.alloc(65 * 1024))
    const never = outbox.drained()
    const error = new Error('over')
    outbox.end(() => error)
    await assert.rejects(never, error)
    outbox.end(() => error)
  })

  it('has no room while what is queued elsewhere is too much, unless that does not count', async () => {
    const { stream, output, outbox } = setUp()
    outbox.queued = 65 * 1024
    assert.deepEqual([outbox.waiting, outbox.hasRoom], [0, false])
    let own = 65 * 1024
    const [all, some] = [outbox.drained(), outbox.drained(undefined, () => own)]
    const done: string[] = []
    void all.then(() => done.push('all'))
    void some.then(() => done.push('some'))
    await outbox.drained(undefined, () => 0)
    outbox.wake()
    await new Promise(setImmediate)
    assert.deepEqual(done, [])
    own = 64 * 1024
    outbox.wake()
    await some
    assert.deepEqual(done, ['some'])
    outbox.queued = 0
    // Or with the next write that ends.
    stream.eager = 1
    send(output, 'x')
    outbox.flush()
    await all
    outbox.wake()
  })

  it('lets one who waits give up, and the others wait on', async () => {
    const { stream, output, outbox } = setUp()
    send(output, Buffer.alloc(65 * 1024))
    outbox.flush()
    const controller = new AbortController()
    const reason = new Error('no patience')
    let asked = 0
    const behind = (): number => {
      asked++
      return 0
    }
    const [impatient, patient] = [outbox.drained(controller.signal, behind), outbox.drained()]
    controller.abort(reason)
    await assert.rejects(impatient, reason)
    asked = 0
    outbox.wake()
    assert.equal(asked, 0, 'who gave up is still kept')
    await assert.rejects(outbox.drained(controller.signal), reason)
    await stream.release()
    await patient
    await assert.rejects(outbox.drained(controller.signal), reason)
  })

  it('gives its memory back when a payload has gone before it was written', () => {
    const stream = new Sluggish()
    let lent = 0
    const output = new Output({
      acquire: (size) => {
        lent++
        return Buffer.alloc(size)
      },
      release: () => {
        lent--
      },
    })
    const outbox = new Outbox(stream, output, { onWritable() {} }, true)
    const bytes = new Uint8Array(20_000)
    send(output, 'head')
    output.append(bytes)
    structuredClone(bytes, { transfer: [bytes.buffer] })
    assert.throws(() => outbox.flush(), /was transferred/)
    assert.deepEqual([lent, stream.writes.length], [0, 0])
  })

  it('drops what is left when the stream has ended', () => {
    const { stream, output, outbox } = setUp()
    stream.destroy()
    send(output, Buffer.alloc(300 * 1024))
    outbox.flush()
    assert.deepEqual([stream.writes.length, outbox.waiting, outbox.lost], [0, 0, true])
  })
})
