import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Protocol } from '../src/protocol/protocol.ts'
import { fullLimits, takeAll } from './engine.ts'
import { frame } from './frames.ts'
import { retainedMemory } from './memory.ts'

const KiB = 1024
const MiB = 1024 * KiB
const mask = Uint8Array.of(1, 2, 3, 4)

const silentHandler = { onMessage() {}, onPing() {}, onPong() {}, onClose() {}, onFault() {} }

function makeServer(): Protocol {
  return new Protocol({ role: 'server', limits: fullLimits(), handler: silentHandler })
}

/** What `count` connections hold on to after each was given what `feed` gives, in bytes a connection. */
function retainedEach(count: number, feed: (engine: Protocol) => void): number {
  // Once for what is made only once: compiled code, and the like.
  feed(makeServer())
  const before = retainedMemory()
  const engines = Array.from({ length: count }, makeServer)
  for (const engine of engines) feed(engine)
  const each = (retainedMemory() - before) / count
  assert.ok(engines.every(({ closing }) => closing === 'open'))
  return each
}

/** A view of a read buffer as large as a socket's. */
function inLargeRead(bytes: Uint8Array): Buffer {
  const slab = Buffer.alloc(64 * KiB)
  slab.set(bytes, 100)
  return slab.subarray(100, 100 + bytes.length)
}

test('a promise of a large frame costs nothing until it is kept', () => {
  const header = frame({ opcode: 2, length: MiB, mask })
  const each = retainedEach(300, (engine) => {
    engine.receive(Buffer.from(header))
    engine.receive(Buffer.alloc(10))
  })
  assert.ok(each < 8 * KiB, `${each} bytes a connection`)
})

test('bytes that dribble in do not hold the reads that they came in', () => {
  const bytes = frame({ opcode: 2, length: 1000, payload: Buffer.alloc(200), mask })
  // Enough of them that what the process itself comes to hold meanwhile does not count.
  const each = retainedEach(100, (engine) => {
    for (const byte of bytes) engine.receive(inLargeRead(Uint8Array.of(byte)))
  })
  assert.ok(each < 16 * KiB, `${each} bytes a connection`)
})

test('half a header, half a ping: neither holds the read that it came in', () => {
  const halves = [
    frame({ opcode: 2, payload: Buffer.alloc(300), mask }).subarray(0, 5),
    frame({ opcode: 9, payload: Buffer.alloc(100), mask }).subarray(0, 50),
    frame({ opcode: 1, payload: Buffer.alloc(300, 0x61), mask }).subarray(0, 20),
  ]
  for (const half of halves) {
    const each = retainedEach(100, (engine) => engine.receive(inLargeRead(half)))
    assert.ok(each < 8 * KiB, `${each} bytes a connection`)
  }
})

test('a flood of tiny fragments costs its bytes, and empty ones cost nothing', () => {
  const begin = frame({ opcode: 2, fin: false, mask })
  const flood = (size: number): Buffer => {
    const fragment = frame({ opcode: 0, fin: false, payload: Buffer.alloc(size), mask })
    return Buffer.concat(Array.from({ length: 10_000 }, () => fragment))
  }
  const [empty, tiny] = [flood(0), flood(1)]
  const feed = (chunk: Buffer) => (engine: Protocol) => {
    engine.receive(Buffer.from(begin))
    for (let i = 0; i < 20; i++) engine.receive(Buffer.from(chunk))
  }
  const ofEmpty = retainedEach(3, feed(empty))
  assert.ok(ofEmpty < 64 * KiB, `${ofEmpty} bytes for 200 000 empty fragments`)
  const ofTiny = retainedEach(3, feed(tiny))
  assert.ok(ofTiny < 2 * 200_000 + 64 * KiB, `${ofTiny} bytes for 200 000 fragments of one byte`)
})

test('a message in fragments costs at most twice its bytes, whatever is promised', () => {
  const begin = frame({ opcode: 1, fin: false, payload: Buffer.alloc(300 * KiB, 0x61), mask })
  const each = retainedEach(5, (engine) => engine.receive(Buffer.from(begin)))
  assert.ok(each < 2 * 300 * KiB + 64 * KiB, `${each} bytes a connection`)
})

test('a peer that pings and reads nothing makes nothing grow', () => {
  const pings = Buffer.concat(
    Array.from({ length: 1000 }, () => frame({ opcode: 9, payload: Buffer.alloc(125), mask })),
  )
  const each = retainedEach(3, (engine) => {
    engine.congested = true
    for (let i = 0; i < 20; i++) engine.receive(Buffer.from(pings))
  })
  assert.ok(each < 64 * KiB, `${each} bytes for 20 000 pings`)
})

test('a connection that has done its work holds nothing of it', () => {
  const message = frame({ opcode: 2, payload: Buffer.alloc(500 * KiB), mask })
  const fragments = Buffer.concat([
    frame({ opcode: 1, fin: false, payload: Buffer.alloc(200 * KiB, 0x61), mask }),
    frame({ opcode: 0, payload: Buffer.alloc(200 * KiB, 0x61), mask }),
  ])
  const each = retainedEach(20, (engine) => {
    engine.receive(Buffer.from(message))
    engine.receive(Buffer.from(fragments))
    engine.sendBytes('binary', Buffer.alloc(100 * KiB))
    engine.sendText('x'.repeat(10 * KiB))
    takeAll(engine)
  })
  assert.ok(each < 64 * KiB, `${each} bytes a connection`)
})

test('a large message that was masked does not stay behind in the masking', () => {
  const pass = (size: number): void => {
    makeServer().receive(frame({ opcode: 2, payload: Buffer.alloc(size / 16), mask }))
    const client = new Protocol({
      role: 'client',
      limits: fullLimits(),
      handler: silentHandler,
      mask: () => 7,
    })
    client.sendBytes('binary', Buffer.alloc(size))
  }
  pass(32 * KiB)
  const before = retainedMemory()
  pass(16 * MiB)
  const growth = retainedMemory() - before
  assert.ok(growth < 2 * MiB, `${growth} bytes`)
})
