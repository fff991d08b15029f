import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { renderEvent } from '../../test/engine.ts'
import { decodeReference } from '../../test/reference.ts'
import { FakeStream } from '../../test/support/fake-stream.ts'
import { isPending } from '../../test/support/until.ts'
import type { Extension } from '../protocol/extension.ts'
import { type Limits, resolveLimits } from '../protocol/limits.ts'
import { Protocol } from '../protocol/protocol.ts'
import type { CloseFrame } from '../session/close-info.ts'
import { LimitError } from '../session/errors.ts'
import { prepare } from '../session/prepared.ts'
import { Outbox } from './outbox.ts'
import { Sender, type SenderOwner, type SlowPolicy } from './sender.ts'

const KiB = 1024
const abandonFrame: CloseFrame = { code: 1011, reason: 'message abandoned' }

/** A sender whose owner only notes what it is told. */
class Setup implements SenderOwner {
  readonly stream = new FakeStream()
  readonly protocol: Protocol
  readonly outbox: Outbox
  readonly sender: Sender
  readonly limits: Limits
  state: 'open' | 'closing' | 'closed' = 'open'
  /** `flush`, `close 1013 too slow 101`. */
  readonly calls: string[] = []

  constructor(
    limits: Partial<Limits> = {},
    slow: SlowPolicy = 'close',
    role: 'server' | 'client' = 'server',
    extensions: readonly Extension[] = [],
  ) {
    this.limits = resolveLimits(limits)
    this.protocol = new Protocol({
      role,
      limits: this.limits,
      extensions,
      mask: () => 0x12345678,
      handler: { onMessage() {}, onPing() {}, onPong() {}, onClose() {}, onFault() {} },
    })
    this.outbox = new Outbox(this.stream, this.protocol.output, this, false)
    this.sender = new Sender(this.protocol, this.outbox, slow, this)
  }

  flushLater(): void {
    this.calls.push('flush')
  }

  close(code: number, reason: string, error?: Error): void {
    const actual = error instanceof LimitError ? ` ${error.actual}` : ''
    this.calls.push(`close ${code} ${reason}${actual}`)
  }

  onWritable(): void {
    this.flush()
  }

  flush(): void {
    do {
      this.sender.pump()
      this.outbox.flush()
    } while (this.protocol.output.pending === 0 && this.sender.ready)
  }

  /** What the peer has got, each message as its type and its length or short text. */
  sent(): string[] {
    this.flush()
    const limit = 1 << 30
    const peer = this.protocol.masks ? 'server' : 'client'
    const events = decodeReference(this.stream.written, peer, { maxFrameSize: limit, maxMessageSize: limit })
    return events.map((event) => {
      if (!('data' in event)) return renderEvent(event)
      return `${event.kind} ${event.data.length > 20 ? event.data.length : event.data.toString()}`
    })
  }
}

describe('sending', () => {
  it('counts what was encoded, not what an extension threw at', () => {
    const failing = (): never => {
      throw new Error('on purpose')
    }
    const extension: Extension = { name: 'x-e', rsv: 0x40, encode: failing, decode: failing }
    const { sender } = new Setup({}, 'close', 'server', [extension])
    for (const data of ['x', Buffer.from('x'), prepare('x')])
      assert.throws(() => sender.send(data, undefined), /on purpose/)
    assert.equal(sender.sent, 0)
  })

  it('encodes what is short at once, and what is long when it is about to leave', () => {
    const { sender, protocol, outbox } = new Setup({ fragmentSize: 1000 })
    assert.equal(sender.send('x'.repeat(1000), undefined), true)
    assert.equal(protocol.output.pending, 1004)
    const made = [
      'y'.repeat(1001),
      'é'.repeat(501),
      Buffer.alloc(1001),
      prepare('z'.repeat(1001)),
      new ArrayBuffer(1001),
    ]
    for (const data of made) sender.send(data, undefined)
    assert.equal(protocol.output.pending, 1004)
    assert.deepEqual([outbox.queued, sender.bufferedAmount], [5006, 6010])
    assert.equal(sender.sent, 6)
  })

  it('keeps the order of short and long, of all kinds', () => {
    const setUp = new Setup({ fragmentSize: 125 })
    const { sender } = setUp
    const long = 'x'.repeat(200)
    sender.send('first', undefined)
    sender.send(long, undefined)
    sender.send('second', 'binary')
    sender.send(Buffer.from(long), 'text')
    sender.send(Buffer.from('third'), 'text')
    sender.send(prepare(long), undefined)
    sender.send(prepare(Buffer.from('fourth')), undefined)
    sender.send(Buffer.from('fifth'), undefined)
    assert.deepEqual(setUp.sent(), [
      'text first',
      'text 200',
      'binary second',
      'text 200',
      'text third',
      'text 200',
      'binary fourth',
      'binary fifth',
    ])
    sender.send('at once again', undefined)
    assert.equal(setUp.outbox.queued, 0)
    assert.equal(setUp.sent().at(-1), 'text at once again')
  })

  it('tells when more than 64 KiB wait, wherever', () => {
    const { sender } = new Setup({ fragmentSize: 1000 })
    assert.equal(sender.send(Buffer.alloc(64 * KiB), undefined), true)
    assert.equal(sender.send(Buffer.alloc(1), undefined), false)
  })

  it('keeps long bytes of a server by reference, and all others as they were', () => {
    const queued: [Setup, number, string][] = [
      [new Setup(), 200 * KiB, 'after'],
      [new Setup(), 16 * KiB, 'before'],
      [new Setup(), 60 * KiB, 'after'],
      [new Setup(), 20 * KiB, 'before'],
      [new Setup({}, 'close', 'client'), 200 * KiB, 'before'],
      [new Setup({}, 'close', 'client'), 20 * KiB, 'before'],
    ]
    for (const [setUp, size, expected] of queued) {
      const { sender, stream } = setUp
      const writer = sender.open('binary')
      // In a chunk of 64 KiB, where it fits: of that no more is kept alive than counts.
      const bytes = Buffer.alloc(Math.max(size, 64 * KiB), 'before;').subarray(0, size)
      sender.send(bytes, undefined)
      bytes.fill('after;;')
      sender.complete(writer)
      setUp.flush()
      const [, event] = decodeReference(stream.written, setUp.protocol.masks ? 'server' : 'client', {
        maxFrameSize: 1 << 20,
        maxMessageSize: 1 << 20,
      })
      assert.ok(event !== undefined && 'data' in event)
      assert.equal(event.data.toString('utf8', 0, expected.length), expected)
    }
  })

  it('compresses as it was set when it was sent', () => {
    const setUp = new Setup()
    const writer = setUp.sender.open('text')
    assert.equal(writer.compress, true)
  })

  it('asks for a flush, each time', () => {
    const { sender, calls } = new Setup({ fragmentSize: 125 })
    sender.send('x', undefined)
    sender.send('x'.repeat(200), undefined)
    const writer = sender.open('text')
    sender.write(writer, Buffer.from('x'))
    sender.complete(writer)
    sender.abandon(sender.open('text'), abandonFrame)
    assert.deepEqual(calls, ['flush', 'flush', 'flush', 'flush', 'flush'])
  })

  it('refuses when the connection is over, and counts', () => {
    const setUp = new Setup()
    const writer = setUp.sender.open('text')
    setUp.state = 'closing'
    const { sender } = setUp
    assert.equal(sender.send('x', undefined), false)
    assert.equal(sender.write(writer, Buffer.from('x')), false)
    assert.equal(sender.complete(writer), false)
    sender.abandon(writer, abandonFrame)
    sender.abandon(sender.open('text'), abandonFrame)
    assert.deepEqual([sender.sent, sender.dropped, setUp.calls], [0, 1, []])
  })
})

describe('the slow policy', () => {
  it('counts what waits in the queue, with 128 bytes for each message beyond the 64th', () => {
    for (const slow of ['close', 'skip'] as const) {
      const setUp = new Setup({ maxSendBuffer: 2060 }, slow)
      const { sender } = setUp
      sender.open('text')
      for (let i = 0; i < 63; i++) assert.equal(sender.send('x', undefined), true)
      for (let i = 0; i < 16; i++) assert.equal(sender.send('x', undefined), true)
      // 79 messages and the open one: 79 + 16 * 128, which broadcasts must see too.
      assert.equal(sender.bufferedAmount, 2127)
      assert.equal(sender.send('x', undefined), false)
      assert.deepEqual(
        setUp.calls.filter((call) => call !== 'flush'),
        slow === 'close' ? ['close 1013 too slow 2127'] : [],
      )
      assert.deepEqual([sender.sent, sender.dropped], [79, 1])
    }
  })

  it('closes for a piece that there is no room for: the message could not go on', () => {
    const setUp = new Setup({ maxSendBuffer: 100 }, 'skip')
    const { sender } = setUp
    const writer = sender.open('text')
    assert.equal(sender.write(writer, Buffer.alloc(101)), true)
    assert.equal(sender.write(writer, Buffer.alloc(1)), false)
    assert.deepEqual(setUp.calls, ['flush', 'close 1013 too slow 101'])
  })
})

describe('a message that was opened', () => {
  it('leaves as it comes, and others wait for it', () => {
    const setUp = new Setup()
    const { sender } = setUp
    const writer = sender.open('text')
    assert.equal(sender.ready, false)
    sender.send('behind', undefined)
    sender.write(writer, Buffer.from('one '))
    assert.equal(sender.ready, true)
    assert.deepEqual(setUp.sent(), [])
    assert.equal(sender.bufferedAmount, 'behind'.length)
    sender.write(writer, Buffer.from('two'))
    sender.complete(writer)
    assert.deepEqual(setUp.sent(), ['text one two', 'text behind'])
    assert.deepEqual([sender.sent, sender.bufferedAmount], [2, 0])
  })

  it('may be given up: without a trace before it has begun, else its owner must end the connection', async () => {
    const setUp = new Setup()
    const { sender } = setUp
    const ahead = sender.open('text')
    const writer = sender.open('text')
    sender.write(writer, Buffer.alloc(100 * KiB))
    const drained = setUp.outbox.drained()
    assert.equal(await isPending(drained), true)
    sender.abandon(writer, abandonFrame)
    await drained
    assert.equal(sender.bufferedAmount, 0)
    sender.write(ahead, Buffer.from('begun'))
    setUp.flush()
    sender.abandon(ahead, abandonFrame)
    assert.equal(setUp.calls.at(-1), 'close 1011 message abandoned')
  })

  it('has room by itself, whatever waits behind it', async () => {
    const { sender } = new Setup()
    const first = sender.open('text')
    const second = sender.open('text')
    sender.send(Buffer.alloc(100 * KiB), undefined)
    await sender.drained(first)
    await sender.drained(second)
    sender.write(first, Buffer.alloc(65 * KiB))
    const waiting = [sender.drained(first), sender.drained(second)]
    for (const each of waiting) assert.equal(await isPending(each), true)
  })
})

describe('the end', () => {
  it('comes at once where nothing waits', () => {
    const done: string[] = []
    const { sender } = new Setup()
    sender.end(() => done.push('end'))
    const queued = new Setup({ fragmentSize: 125 })
    queued.sender.send('x'.repeat(200), undefined)
    queued.flush()
    queued.sender.end(() => done.push('end'))
    assert.deepEqual([done, sender.closing], [['end', 'end'], false])
  })

  it('comes behind what waits, and all that is to follow in order', () => {
    const setUp = new Setup({ fragmentSize: 125 })
    const { sender } = setUp
    sender.send('x'.repeat(200), undefined)
    const order: string[] = []
    for (const each of ['one', 'two'])
      sender.end(() => order.push(`${each} ${setUp.protocol.output.pending > 200}`))
    assert.deepEqual([order, sender.closing], [[], true])
    sender.pump()
    assert.deepEqual([order, sender.closing], [['one true', 'two true'], false])
    assert.deepEqual(setUp.sent(), ['text 200'])
  })

  it('does not wait for messages that are not complete', () => {
    const setUp = new Setup()
    const { sender } = setUp
    const writer = sender.open('text')
    sender.write(writer, Buffer.from('begun'))
    setUp.flush()
    sender.send('one', undefined)
    sender.send('two', undefined)
    let ended = false
    sender.end(() => {
      ended = true
    })
    assert.equal(ended, true)
    assert.deepEqual([sender.sent, sender.dropped, sender.bufferedAmount], [0, 2, 0])

    const other = new Setup()
    other.sender.open('text')
    other.sender.send('sent', undefined)
    other.sender.end(() => void other.protocol.sendClose(1000))
    assert.deepEqual(other.sent(), ['text sent', 'close 1000 ""'])
  })

  it('of everything gives up what waits, and counts it', () => {
    const { sender } = new Setup({ fragmentSize: 125 })
    sender.clear()
    sender.send('x'.repeat(200), undefined)
    sender.send('y', undefined)
    sender.open('text')
    sender.clear()
    assert.deepEqual([sender.sent, sender.dropped, sender.bufferedAmount], [0, 2, 0])
  })
})
