// Advisories on the wire: frames, fragments, lengths, compression. docs/advisories.md tells what went wrong elsewhere.
// Each attack is made here as it was there, by bytes on a socket or into the engine.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, before, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { constants, deflateRawSync } from 'node:zlib'
import { CloseError, defaultLimits, dial, type Server, serve } from 'silverback'
import { slabPool } from '../src/conn/slab-pool.ts'
import { Deflate } from '../src/protocol/deflate.ts'
import { Protocol } from '../src/protocol/protocol.ts'
import { fullLimits, takeAll } from './engine.ts'
import { type FrameSpec, frame } from './frames.ts'
import { assertNoLeaks } from './leaks.ts'
import { retainedMemory } from './memory.ts'
import { RawClient, upgradeRequest } from './raw-client.ts'
import { scriptedServer } from './support/scripted-server.ts'

const MiB = 1024 * 1024
const mask = Uint8Array.of(1, 2, 3, 4)
const deflateOffer = { 'Sec-WebSocket-Extensions': 'permessage-deflate' }

let server: Server
let port: number
/** What ended up where nothing a peer does may end up. */
const mishaps: unknown[] = []
const note = (error: unknown): void => void mishaps.push(error)

before(async () => {
  process.on('uncaughtException', note)
  process.on('unhandledRejection', note)
  server = await serve({ compression: true, onError() {} }, async (conn) => {
    for await (const message of conn) conn.send(message)
  })
  port = Number(new URL(server.url).port)
})

after(async () => {
  await server.close()
  process.off('uncaughtException', note)
  process.off('unhandledRejection', note)
  assert.deepEqual(mishaps, [])
  await assertNoLeaks()
})

/** Sends bytes behind a good handshake; returns the code of the Close frame that answers, once the server has hung up. */
async function closeCodeOf(
  bytes: Uint8Array,
  headers: Readonly<Record<string, string>> = {},
): Promise<number> {
  const client = new RawClient(port)
  client.write(upgradeRequest('/', headers))
  client.write(bytes)
  await client.until(() => client.ended, 'the end of the connection')
  await client.destroy()
  const end = client.events.at(-1)
  assert.equal(end?.kind, 'close')
  return end?.kind === 'close' ? end.code : 0
}

/** A server that says these frames to whoever connects; returns how a client of ours takes it. */
async function toClient(...frames: readonly FrameSpec[]): Promise<CloseError> {
  await using hostile = await scriptedServer({
    lines:
      'Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n',
    frames,
  })
  const conn = await dial(hostile.url, { compression: true, limits: { closeTimeout: 200 } })
  const error = await conn.read().then(
    () => undefined,
    (reason: unknown) => reason,
  )
  conn.terminate()
  await conn.closed
  assert.ok(error instanceof CloseError, String(error))
  return error
}

/** A header that promises `length` bytes, which may be more than a file system holds, and 100 of them. */
function promise(length: bigint, opcode = 2): Buffer {
  return frame({ opcode, length, form: 64, payload: Buffer.alloc(100), mask })
}

/** Zeros by the MiB, compressed to a thousandth. */
function bomb(mebibytes: number): Buffer {
  const unit = deflateRawSync(Buffer.alloc(MiB), { level: 9, finishFlush: constants.Z_FULL_FLUSH })
  return Buffer.concat(Array.from({ length: mebibytes }, () => unit)).subarray(0, -4)
}

/** A compressed message in frames of so many bytes, at most. */
function inFrames(payload: Buffer, size: number): Buffer {
  const parts = Math.ceil(payload.length / size)
  return Buffer.concat(
    Array.from({ length: parts }, (_, i) =>
      frame({
        opcode: i === 0 ? 2 : 0,
        rsv: i === 0 ? 4 : 0,
        fin: i === parts - 1,
        payload: payload.subarray(i * size, (i + 1) * size),
        mask,
      }),
    ),
  )
}

const silent = { onMessage() {}, onPing() {}, onPong() {}, onClose() {}, onFault() {} }

function silentServer(): Protocol {
  return new Protocol({ role: 'server', limits: fullLimits(), handler: silent })
}

/** Compression that remembers nothing, and lets no message pass. */
function memoryless(): Deflate {
  const direction = { takeover: false, windowBits: 15 }
  return new Deflate({ send: direction, receive: direction, threshold: 0, level: 1, memLevel: 8 })
}

test('CVE-2016-10542: a frame that announces 300 MB is refused by its header', async () => {
  const before = retainedMemory()
  assert.equal(await closeCodeOf(promise(300_000_000n)), 1009)
  assert.ok(retainedMemory() - before < 4 * MiB)
})

test('CVE-2026-48779: empty and tiny fragments cost their bytes, and no object each', async () => {
  const begin = frame({ opcode: 2, fin: false, mask })
  for (const [size, bound] of [
    [0, 256 * 1024],
    [1, 2 * 200_000 + 256 * 1024],
  ] as const) {
    const fragment = frame({ opcode: 0, fin: false, payload: Buffer.alloc(size), mask })
    const flood = Buffer.concat(Array.from({ length: 10_000 }, () => fragment))
    // Once for what is made only once: compiled code, and the like.
    silentServer().receive(Buffer.from(flood))
    const engine = silentServer()
    engine.receive(Buffer.from(begin))
    const before = retainedMemory()
    for (let i = 0; i < 20; i++) engine.receive(Buffer.from(flood))
    const growth = retainedMemory() - before
    assert.equal(engine.closing, 'open')
    assert.ok(growth < bound, `${growth} bytes for 200 000 fragments of ${size}`)
  }
  // What counts is the sum: the next message has the whole limit again.
  const half = frame({ opcode: 2, fin: false, payload: Buffer.alloc(MiB / 2), mask })
  const rest = frame({ opcode: 0, payload: Buffer.alloc(MiB / 2), mask })
  const client = await RawClient.upgraded(port, '/')
  for (let i = 0; i < 3; i++) client.write(Buffer.concat([half, rest]))
  await client.until(() => client.receivedLength > 3 * MiB, 'three echoes of the largest message')
  await client.destroy()
})

test('ws before 8.23 (pongs without end): a peer that pings and does not read makes nothing grow', async () => {
  const client = await RawClient.upgraded(port, '/')
  client.socket.pause()
  const pings = Buffer.concat(
    Array.from({ length: 2000 }, () => frame({ opcode: 9, payload: Buffer.alloc(125), mask })),
  )
  const before = retainedMemory()
  for (let sent = 0; sent < 60; sent++) {
    await new Promise<void>((resolve) => client.socket.write(pings, () => resolve()))
  }
  const growth = retainedMemory() - before
  assert.ok(growth < 4 * MiB, `${growth} bytes for ${60 * pings.length} bytes of pings`)
  await client.destroy()
})

test('ws before 8.23 (idle connections that pin a read): half a message does not hold the read it came in', () => {
  const before = retainedMemory()
  const engines = Array.from({ length: 200 }, () => {
    const engine = silentServer()
    const read = Buffer.alloc(64 * 1024)
    const length = frame({ opcode: 2, payload: Buffer.alloc(300), mask }).copy(read, 100, 0, 50)
    engine.receive(read.subarray(100, 100 + length))
    return engine
  })
  const each = (retainedMemory() - before) / engines.length
  assert.ok(each < 8 * 1024, `${each} bytes a connection`)
})

test('CVE-2020-27813: lengths around 2^63, and sums that would overflow, do not pass the limit', async () => {
  for (const length of [2n ** 63n - 1n, 2n ** 62n, 2n ** 53n, 2n ** 32n])
    assert.equal(await closeCodeOf(promise(length)), 1009, String(length))
  // The highest bit may not be set at all.
  for (const length of [2n ** 63n, 2n ** 64n - 1n]) assert.equal(await closeCodeOf(promise(length)), 1002)
  const begin = frame({ opcode: 2, fin: false, payload: Buffer.alloc(1000), mask })
  for (const length of [2n ** 63n - 1000n, 2n ** 63n - 1n, 2n ** 53n - 1000n])
    assert.equal(await closeCodeOf(Buffer.concat([begin, promise(length, 0)])), 1009)
})

test('gorilla (defaults): there is a limit, it counts what is inflated, and masks cannot be foreseen', async (t) => {
  assert.equal(defaultLimits.maxMessageSize, MiB)
  assert.equal(await closeCodeOf(frame({ opcode: 2, payload: Buffer.alloc(MiB + 1), mask })), 1009)
  assert.equal(await closeCodeOf(inFrames(bomb(2), 4096), deflateOffer), 1009)
  // As they leave: seven bytes for each message of one, behind the header the mask. No generator that can be foreseen
  // is behind them.
  t.mock.method(Math, 'random', () => 0.5)
  const count = 10_000
  await using taking = await scriptedServer()
  const conn = await dial(taking.url, { limits: { maxSendBuffer: MiB } })
  const received: Buffer[] = []
  let length = 0
  const socket = taking.scripted[0]?.socket
  assert.ok(socket !== undefined)
  socket.removeAllListeners('data')
  socket.on('data', (chunk: Buffer) => {
    received.push(chunk)
    length += chunk.length
  })
  for (let i = 0; i < count; i++) conn.send('x')
  while (length < 7 * count) await setImmediate()
  conn.terminate()
  await conn.closed
  const bytes = Buffer.concat(received)
  const masks = new Set(Array.from({ length: count }, (_, i) => bytes.readInt32BE(7 * i + 2)))
  assert.ok(masks.size > count - 10, `${masks.size} masks for ${count} frames`)
  let seen = 0
  for (const key of masks) seen |= key
  assert.equal(seen, -1)
})

test('SNYK-GOLANG-NHOOYRIOWEBSOCKET-1244972: pongs that nobody asked for, and the same one twice, change nothing', async () => {
  let peer: RawClient | undefined
  await using hostile = await scriptedServer({
    on(line, client) {
      if (!line.startsWith('ping')) return
      const payload = Buffer.from(line.slice(5), 'hex')
      client.send(
        { opcode: 10, payload: 'not asked for' },
        { opcode: 10, payload },
        { opcode: 10, payload },
        { opcode: 10, payload },
        { opcode: 10 },
      )
    },
  })
  const conn = await dial(hostile.url)
  assert.ok((await conn.ping()) >= 0)
  const both = await Promise.all([conn.ping(), conn.ping()])
  assert.equal(both.length, 2)
  assert.equal(conn.state, 'open')
  conn.terminate()
  await conn.closed
  peer = await RawClient.upgraded(port, '/')
  for (let i = 0; i < 100; i++) peer.write(frame({ opcode: 10, payload: `pong ${i % 3}`, mask }))
  peer.write(frame({ opcode: 1, payload: 'still there?', mask }))
  await peer.until(() => peer?.events.length === 1, 'the echo')
  await peer.destroy()
})

test('CVE-2018-1000518: a bomb of 1 GiB stops at the limit, in one frame and in many', async () => {
  const payload = bomb(1000)
  assert.ok(payload.length < MiB)
  for (const size of [payload.length, 1000]) {
    const before = retainedMemory()
    assert.equal(await closeCodeOf(inFrames(payload, size), deflateOffer), 1009)
    assert.ok(retainedMemory() - before < 8 * MiB)
  }
})

test('CVE-2026-54466: no length beyond 2^53 is rounded, and no draft before RFC 6455 is spoken', async () => {
  for (const length of [2n ** 53n, 2n ** 53n + 1n, 2n ** 54n + 3n])
    assert.equal(await closeCodeOf(promise(length)), 1009)
  // A frame of draft 75 or 76: a type with its highest bit set, and a length in sevens of bits without end.
  assert.equal(await closeCodeOf(Buffer.concat([Buffer.of(0x80), Buffer.alloc(200, 0xff)])), 1002)
  const client = new RawClient(port)
  client.write(
    'GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n' +
      'Sec-WebSocket-Key1: 4 @1  46546xW%0l 1 5\r\nSec-WebSocket-Key2: 12998 5 Y3 1  .P00\r\n\r\n^n:ds[4U',
  )
  await client.until(() => client.closed, 'a refusal')
  assert.equal(client.status, 426)
})

test('CVE-2026-54490: the limit holds for what a message is inflated to, whatever it was before', async () => {
  const compressed = (size: number): Buffer =>
    inFrames(
      deflateRawSync(Buffer.alloc(size), { finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -4),
      100_000,
    )
  assert.equal(await closeCodeOf(compressed(MiB + 1), deflateOffer), 1009)
  const client = new RawClient(port)
  client.write(upgradeRequest('/', deflateOffer))
  client.write(compressed(MiB))
  client.write(frame({ opcode: 9, mask }))
  await client.until(() => client.events.length > 0, 'an answer to the largest message that may be')
  assert.notEqual(client.events[0]?.kind, 'close')
  await client.destroy()
})

test('CVE-2026-54463, CVE-2026-54464, CVE-2026-54465, CVE-2026-54467, CVE-2026-54468: headers and frames are bounded before they are kept', async () => {
  const before = retainedMemory()
  // A header without end, and lines without end.
  for (const flood of ['x'.repeat(200_000), 'X: y\r\n'.repeat(40_000), `X: ${'y'.repeat(200_000)}`]) {
    const client = new RawClient(port)
    client.write(`GET / HTTP/1.1\r\n${flood}`)
    await client.until(() => client.closed, 'a refusal')
    assert.notEqual(client.status, 101)
  }
  assert.equal(await closeCodeOf(promise(2n ** 40n)), 1009)
  // A reserved bit does not go around the check of the length.
  const header = frame({ opcode: 2, rsv: 4, length: 2n ** 40n, mask })
  assert.equal(await closeCodeOf(header, deflateOffer), 1009)
  assert.ok(retainedMemory() - before < 4 * MiB)
})

test('CVE-2026-1526: a server that sends a bomb ends its own connection', async () => {
  const before = retainedMemory()
  const error = await toClient({ opcode: 2, rsv: 4, payload: bomb(900) })
  assert.equal(error.code, 'ERR_WS_CLOSED')
  assert.match(String(error.cause ?? error.message), /too large|larger|limit|1009/i)
  assert.ok(retainedMemory() - before < 16 * MiB)
})

test('CVE-2026-1528: a server that announces 2^63 bytes ends its own connection, and not the process', async () => {
  for (const length of [2n ** 63n, 2n ** 63n - 1n, 2n ** 64n - 1n]) {
    const error = await toClient({ opcode: 2, length, form: 64, payload: 'x' })
    assert.ok(error instanceof CloseError)
  }
})

test('CVE-2026-12151: a server that sends fragments without end does not fill the memory of its client', async () => {
  const fragment = frame({ opcode: 0, fin: false })
  const flood = Buffer.concat(Array.from({ length: 100_000 }, () => fragment))
  await using hostile = await scriptedServer({ frames: [{ opcode: 1, fin: false, payload: 'begin' }] })
  const conn = await dial(hostile.url)
  const before = retainedMemory()
  const socket = hostile.scripted[0]?.socket
  assert.ok(socket !== undefined)
  for (let i = 0; i < 5; i++) if (!socket.write(flood)) await once(socket, 'drain')
  socket.write(frame({ opcode: 9, payload: 'read all?' }))
  while (hostile.scripted[0]?.sent.length === 0) await setImmediate()
  const growth = retainedMemory() - before
  assert.ok(growth < 2 * MiB, `${growth} bytes for 500 000 empty fragments`)
  conn.terminate()
  await conn.closed
})

test('CVE-2022-21676, CVE-2023-31125, CVE-2022-41940: what breaks the protocol ends that connection and nothing else', async () => {
  const breaches: readonly FrameSpec[] = [
    ...[1, 2, 3, 4, 5, 6, 7].map((rsv): FrameSpec => ({ opcode: 1, rsv, payload: 'x', mask })),
    ...[3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map((opcode): FrameSpec => ({ opcode, mask })),
    { opcode: 0, mask },
    { opcode: 9, fin: false, mask },
    { opcode: 8, payload: Uint8Array.of(3), mask },
    { opcode: 1, payload: 'not masked' },
  ]
  for (const breach of breaches) assert.equal(await closeCodeOf(frame(breach)), 1002, JSON.stringify(breach))
  const aborted = await RawClient.upgraded(port, '/')
  await aborted.reset()
  const conn = await dial(server.url)
  conn.send('others go on')
  assert.equal(await conn.read(), 'others go on')
  await conn.close()
  assert.deepEqual(mishaps, [])
})

test('GHSA-8h6x-h86x-75wh: a hundred peers that announce a megabyte each cost next to nothing', () => {
  const header = frame({ opcode: 2, length: MiB, payload: Buffer.alloc(10), mask })
  const before = retainedMemory()
  const engines = Array.from({ length: 100 }, () => {
    const engine = silentServer()
    engine.receive(Buffer.from(header))
    return engine
  })
  const growth = retainedMemory() - before
  assert.ok(growth < MiB, `${growth} bytes for ${engines.length} MiB announced`)
})

test('CVE-2016-10518 (the other half): no byte leaves that was not given: both roles, every length, control frames, compression', (t) => {
  // All memory that is not cleared, and the slabs that others have written, hold this.
  const dirty = 0xd5
  for (const method of ['allocUnsafe', 'allocUnsafeSlow'] as const)
    t.mock.method(Buffer, method, (size: number) => Buffer.alloc(size, dirty))
  const slabs = Array.from({ length: 32 }, () => slabPool.acquire(1))
  for (const slab of slabs) slabPool.release(slab.fill(dirty), true)
  const around = (length: number): number[] => [length - 1, length, length + 1]
  const lengths = [...Array(300).keys(), ...[2 ** 12, 2 ** 14, 2 ** 16].flatMap(around), 200_000]
  const key = Uint8Array.of(1, 2, 3, 4)
  for (const role of ['server', 'client'] as const) {
    const mask = role === 'client' ? key : undefined
    const engineWith = (...extensions: Deflate[]): Protocol =>
      new Protocol({
        role,
        limits: fullLimits(),
        handler: silent,
        slabs: slabPool,
        extensions,
        mask: mask && (() => Buffer.from(mask).readInt32BE()),
      })
    const assertSent = (engine: Protocol, what: string, ...wanted: FrameSpec[]): void => {
      const frames = Buffer.concat(wanted.map((spec) => frame({ ...spec, ...(mask && { mask }) })))
      assert.ok(takeAll(engine).equals(frames), `${role}, ${what}`)
    }
    const engine = engineWith()
    const compressing = engineWith(memoryless())
    for (const length of lengths) {
      const payload = Buffer.alloc(length, `${length} bytes, some of them alike `)
      const text = payload.toString('latin1')
      engine.sendBytes('binary', payload)
      assertSent(engine, `${length} bytes`, { opcode: 2, payload })
      engine.sendText(text)
      assertSent(engine, `text of ${length} bytes`, { opcode: 1, payload })
      engine.sendText(text.replaceAll('s', '\u20ac'))
      const wide = Buffer.from(text.replaceAll('s', '\u20ac'))
      assertSent(engine, `text of ${length} characters`, { opcode: 1, payload: wide })
      compressing.sendBytes('binary', payload)
      const encoded = memoryless().encode(payload)
      const sent =
        encoded instanceof Uint8Array ? { opcode: 2, rsv: 4, payload: encoded } : { opcode: 2, payload }
      assertSent(compressing, `${length} bytes, compressed`, sent)
      if (length > 125) continue
      // Behind each other in one slab, too.
      engine.sendPing(payload)
      engine.sendPong(payload)
      engine.sendBytes('binary', payload)
      const all = [9, 10, 2].map((opcode) => ({ opcode, payload }))
      assertSent(engine, `control frames of ${length} bytes`, ...all)
      engine.receive(frame({ opcode: 9, payload, ...(mask ? {} : { mask: key }) }))
      assertSent(engine, `the answer to a ping of ${length} bytes`, { opcode: 10, payload })
      if (length < 2) continue
      const reason = payload.toString('latin1', 2)
      const closing = engineWith()
      closing.sendClose(1000, reason)
      const close = Buffer.concat([Buffer.of(3, 232), Buffer.from(reason)])
      assertSent(closing, `a Close frame of ${length} bytes`, { opcode: 8, payload: close })
    }
  }
})
