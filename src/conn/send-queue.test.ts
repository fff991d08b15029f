import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { decodeReference } from '../../test/reference.ts'
import type { Extension } from '../protocol/extension.ts'
import { defaultLimits } from '../protocol/limits.ts'
import { Protocol } from '../protocol/protocol.ts'
import { prepare } from '../session/prepared.ts'
import { OutgoingMessage, SendQueue } from './send-queue.ts'

const KiB = 1024

function setUp(
  fragmentSize = 10,
  extensions: Extension[] = [],
): { queue: SendQueue; protocol: Protocol; sent: () => Buffer } {
  const protocol = new Protocol({
    role: 'server',
    limits: defaultLimits,
    extensions,
    handler: { onMessage() {}, onPing() {}, onPong() {}, onClose() {}, onFault() {} },
  })
  const sent = (): Buffer => {
    const taken = protocol.output.take()
    const bytes = Buffer.concat(taken instanceof Uint8Array ? [taken] : taken)
    protocol.output.recycle(true)
    return bytes
  }
  return { queue: new SendQueue(protocol, fragmentSize), protocol, sent }
}

const whole = (data: string): OutgoingMessage => new OutgoingMessage('text', true, Buffer.from(data))
const open = (): OutgoingMessage => new OutgoingMessage('binary', true)

/** Frames as a server sends them: `1 first`, `0 more`, and with an exclamation mark the last. */
function frames(bytes: Buffer): string[] {
  const lines: string[] = []
  for (let at = 0; at < bytes.length; ) {
    const first = bytes[at] as number
    const length = bytes[at + 1] as number
    assert.ok(length < 126)
    const payload = bytes.toString('latin1', at + 2, at + 2 + length)
    const rsv = first & 0x70 ? ` rsv ${(first & 0x70).toString(16)}` : ''
    lines.push(`${first & 0x0f} ${payload}${rsv}${first >= 0x80 ? '!' : ''}`)
    at += 2 + length
  }
  return lines
}

describe('an outgoing message', () => {
  it('is taken in pieces of at most so many bytes; small ones leave together', () => {
    const message = open()
    for (const piece of ['abc', 'de', '', 'fghijk', 'l']) message.add(Buffer.from(piece))
    assert.equal(message.bytes, 12)
    const taken = [5, 5, 1, 100, 100].map((most) => Buffer.from(message.take(most)).toString())
    assert.deepEqual([taken, message.bytes], [['abcde', 'fghij', 'k', 'l', ''], 0])
  })

  it('is complete when it was given at once, empty or not', () => {
    assert.deepEqual([whole('').complete, whole('x').complete, open().complete], [true, true, false])
    const prepared = new OutgoingMessage('text', true, prepare('text'))
    assert.deepEqual([prepared.bytes, prepared.complete], [4, true])
  })
})

describe('a queue of messages', () => {
  it('sends each in frames that are no longer than allowed', () => {
    const { queue, sent } = setUp(10)
    for (const data of ['', 'short', 'exactly 10', 'a little longer', '20 bytes altogether!'])
      queue.push(whole(data))
    assert.deepEqual([queue.bytes, queue.empty, queue.ready], [50, false, true])
    queue.pump()
    assert.deepEqual(frames(sent()), [
      '1 !',
      '1 short!',
      '1 exactly 10!',
      '1 a little l',
      '0 onger!',
      '1 20 bytes a',
      '0 ltogether!!',
    ])
    assert.deepEqual([queue.bytes, queue.cost, queue.empty, queue.ready], [0, 0, true, false])
    queue.pump()
    assert.equal(sent().length, 0)
  })

  it('counts the bytes, and 128 more for each message beyond the 64th', () => {
    const { queue } = setUp()
    queue.push(whole('12345'))
    const writer = open()
    queue.push(writer)
    queue.write(writer, Buffer.from('67'))
    assert.deepEqual([queue.bytes, queue.cost], [7, 7])
    assert.deepEqual([queue.bytesUpTo(writer), queue.bytesUpTo(whole('x'))], [7, 0])
    for (let i = 0; i < 64; i++) queue.push(whole('x'))
    assert.equal(queue.bytesUpTo(writer), 7)
    assert.deepEqual([queue.bytes, queue.cost], [71, 71 + 2 * 128])
  })

  it('sends of one that is not complete what there is, and nothing behind it', () => {
    const { queue, sent } = setUp()
    const writer = open()
    queue.push(writer)
    queue.push(whole('behind'))
    queue.pump()
    assert.deepEqual([queue.ready, sent().length], [false, 0])
    queue.write(writer, Buffer.from('one'))
    assert.equal(queue.ready, true)
    queue.pump()
    queue.write(writer, Buffer.alloc(0))
    queue.pump()
    queue.write(writer, Buffer.from('two'))
    queue.pump()
    assert.deepEqual(frames(sent()), ['2 one', '0 two'])
    writer.complete = true
    assert.equal(queue.ready, true)
    queue.pump()
    assert.deepEqual(frames(sent()), ['0 !', '1 behind!'])
    assert.deepEqual([queue.empty, queue.bytes], [true, 0])
  })

  it('ends a message with its last bytes where they are known to be the last', () => {
    const { queue, sent } = setUp()
    const writer = open()
    queue.push(writer)
    queue.write(writer, Buffer.from('all of it, in two'))
    writer.complete = true
    queue.pump()
    assert.deepEqual(frames(sent()), ['2 all of it,', '0  in two!'])
  })

  it('goes no further while more than 512 KiB are pending', () => {
    const { queue, protocol, sent } = setUp(64 * KiB)
    queue.push(new OutgoingMessage('binary', true, Buffer.alloc(1024 * KiB)))
    queue.push(new OutgoingMessage('binary', true, Buffer.alloc(10)))
    queue.pump()
    const { pending } = protocol.output
    assert.ok(pending >= 512 * KiB && pending < 590 * KiB, `${pending}`)
    queue.pump()
    assert.equal(protocol.output.pending, pending)
    let total = 0
    while (!queue.empty) {
      total += sent().length
      queue.pump()
    }
    total += sent().length
    assert.equal(total, 16 * 64 * KiB + 16 * 10 + 2 + 10)
  })

  it('gives up one that has not begun, wherever it stands', () => {
    for (const at of [0, 1, 2]) {
      const { queue, sent } = setUp()
      const messages = ['one', 'two', 'three'].map(whole)
      for (const message of messages) queue.push(message)
      queue.remove(messages[at] as OutgoingMessage)
      queue.remove(whole('of another queue'))
      queue.push(whole('four'))
      queue.pump()
      const expected = ['1 one!', '1 two!', '1 three!', '1 four!'].filter((_, i) => i !== at)
      assert.deepEqual(frames(sent()), expected)
      assert.deepEqual([queue.bytes, queue.cost], [0, 0])
    }
  })

  it('gives up what is not complete, and all that is behind one that has begun', () => {
    const waiting = setUp()
    for (const message of [open(), whole('one'), open(), whole('two')]) waiting.queue.push(message)
    assert.equal(waiting.queue.abandon(), 0)
    waiting.queue.pump()
    assert.deepEqual(frames(waiting.sent()), ['1 one!', '1 two!'])

    const begun = setUp()
    const writer = open()
    begun.queue.push(writer)
    begun.queue.write(writer, Buffer.from('begun'))
    begun.queue.pump()
    for (const message of [whole('one'), open(), whole('two')]) begun.queue.push(message)
    assert.equal(begun.queue.abandon(), 2)
    assert.deepEqual([begun.queue.empty, begun.queue.bytes, begun.queue.cost], [true, 0, 0])

    // One that has begun and is complete comes to its end.
    const { queue, protocol, sent } = setUp(64 * KiB)
    queue.push(new OutgoingMessage('binary', true, Buffer.alloc(1024 * KiB)))
    queue.push(open())
    queue.push(whole('behind'))
    queue.pump()
    assert.equal(queue.abandon(), 0)
    for (let all = 0; !queue.empty; queue.pump()) {
      all += sent().length
      assert.ok(all < 2048 * KiB)
    }
    assert.deepEqual(frames(sent()).slice(-1), ['1 behind!'])
    assert.equal(protocol.output.pending, 0)
  })

  it('gives up everything, and tells how many were complete', () => {
    const { queue, sent } = setUp()
    for (const message of [whole('one'), open(), whole('two')]) queue.push(message)
    assert.equal(queue.clear(), 2)
    assert.deepEqual([queue.empty, queue.bytes, queue.cost, queue.clear()], [true, 0, 0, 0])
    queue.pump()
    assert.equal(sent().length, 0)
    queue.push(whole('three'))
    queue.pump()
    assert.deepEqual(frames(sent()), ['1 three!'])
  })

  it('throws when bytes that were given by reference have gone', () => {
    const { queue, sent } = setUp()
    const bytes = new Uint8Array(100)
    queue.push(new OutgoingMessage('binary', true, bytes))
    structuredClone(bytes, { transfer: [bytes.buffer] })
    assert.throws(() => queue.pump(), /was transferred or resized before/)
    assert.equal(sent().length, 0)
  })
})

describe('a queue of messages that extensions encode', () => {
  /** Turns letters, and tells whole messages from pieces. */
  const upper: Extension = {
    name: 'upper',
    rsv: 0x40,
    compresses: true,
    variant: '',
    encode: (payload) => Buffer.from(`<${Buffer.from(payload).toString().toUpperCase()}>`),
    decode: (payload) => payload,
    pieceEncoder: () => {
      let count = 0
      return (piece) => Buffer.from(`${count++}${Buffer.from(piece).toString().toUpperCase()}`)
    },
  }

  it('encodes each when its turn comes, whole ones whole and others piece by piece', () => {
    const { queue, sent } = setUp(4, [upper])
    queue.push(whole('whole'))
    queue.push(new OutgoingMessage('text', true, prepare('prep')))
    const writer = open()
    queue.push(writer)
    queue.write(writer, Buffer.from('pieces'))
    writer.complete = true
    const empty = open()
    empty.complete = true
    queue.push(empty)
    queue.pump()
    assert.deepEqual(frames(sent()), [
      '1 <WHO rsv 40',
      '0 LE>!',
      '1 <PRE rsv 40',
      '0 P>!',
      '2 0PIEC rsv 40',
      '0 1ES!',
      '2 !',
    ])
    assert.deepEqual([queue.bytes, queue.cost, queue.empty], [0, 0, true])
  })

  it('leaves out what only saves bytes where the message was sent so, whatever holds now', () => {
    const { queue, protocol, sent } = setUp(10, [upper])
    const writer = new OutgoingMessage('binary', false)
    writer.add(Buffer.from('plain'))
    writer.complete = true
    for (const message of [
      new OutgoingMessage('text', false, Buffer.from('plain')),
      new OutgoingMessage('text', false, prepare('plain')),
      writer,
      new OutgoingMessage('text', true, Buffer.from('not')),
    ])
      queue.push(message)
    queue.pump()
    assert.deepEqual(frames(sent()), ['1 plain!', '1 plain!', '2 plain!', '1 <NOT> rsv 40!'])
    assert.equal(protocol.compress, true)
    protocol.compress = false
    queue.push(whole('yes'))
    queue.pump()
    assert.deepEqual([frames(sent()), protocol.compress], [['1 <YES> rsv 40!'], false])
  })
})

describe('whatever happens to a queue', () => {
  type Step =
    | { readonly do: 'whole' | 'prepared'; readonly size: number }
    | { readonly do: 'open' | 'pump' | 'ping' | 'end' | 'drop' }
    | { readonly do: 'write'; readonly size: number }
  const size = fc.oneof(fc.nat(40), fc.constantFrom(124, 125, 126, 250, 251, 1000))
  const step: fc.Arbitrary<Step> = fc.oneof(
    fc.record({ do: fc.constantFrom('whole' as const, 'prepared' as const), size }),
    { weight: 2, arbitrary: fc.record({ do: fc.constant('write' as const), size }) },
    fc.record({ do: fc.constantFrom('open', 'pump', 'pump', 'ping', 'end', 'drop') }),
  )

  it('each message arrives once, whole, in its place, with control frames only between frames', () => {
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 60 }),
        fc.constantFrom(125, 126, 300),
        (steps, fragmentSize) => {
          const { queue, protocol, sent } = setUp(fragmentSize)
          const bytes: Buffer[] = []
          const messages: { message: OutgoingMessage; expected: Buffer[] }[] = []
          let seed = 0
          const content = (length: number): Buffer => Buffer.alloc(length, `${seed++} `)
          const push = (message: OutgoingMessage, ...expected: Buffer[]): void => {
            queue.push(message)
            messages.push({ message, expected })
          }
          const writers = (): typeof messages => messages.filter(({ message }) => !message.complete)
          const complete = (at: number): void => {
            const writer = writers().at(at)
            if (writer !== undefined) writer.message.complete = true
          }
          for (const each of steps) {
            if (each.do === 'whole') {
              const data = content(each.size)
              push(new OutgoingMessage('binary', true, data), data)
            } else if (each.do === 'prepared') {
              const data = content(each.size)
              push(new OutgoingMessage('text', true, prepare(data, 'text')), data)
            } else if (each.do === 'open') push(open())
            else if (each.do === 'write') {
              const writer = writers().at(each.size % 2 === 0 ? 0 : -1)
              const data = content(each.size)
              writer?.expected.push(data)
              if (writer !== undefined) queue.write(writer.message, data)
            } else if (each.do === 'end') complete(-1)
            else if (each.do === 'drop') {
              const writer = writers().at(-1)
              if (writer === undefined || writer.message.begun) continue
              queue.remove(writer.message)
              messages.splice(messages.indexOf(writer), 1)
            } else if (each.do === 'ping') protocol.sendPing(Buffer.from('ping'))
            else {
              queue.pump()
              bytes.push(sent())
            }
            const waiting = messages.reduce((sum, { message }) => sum + message.bytes, 0)
            assert.equal(queue.bytes, waiting)
          }
          while (writers().length > 0) complete(0)
          queue.pump()
          bytes.push(sent())
          const limit = 1 << 20
          const events = decodeReference(Buffer.concat(bytes), 'client', {
            maxFrameSize: fragmentSize,
            maxMessageSize: limit,
          })
          const pings = steps.filter((each) => each.do === 'ping').length
          assert.equal(events.filter(({ kind }) => kind === 'ping').length, pings)
          assert.deepEqual(
            events.flatMap((event) =>
              'data' in event && event.kind !== 'ping' ? [event.data.toString()] : [],
            ),
            messages.map(({ expected }) => Buffer.concat(expected).toString()),
          )
          assert.equal(events.length, pings + messages.length)
        },
      ),
      { numRuns: 200 },
    )
  })
})
