// permessage-deflate in the engine: both roles joined, and a server that hears what no good client says.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { deflateRawSync, constants as zlib } from 'node:zlib'
import fc from 'fast-check'
import { Deflate, type DeflateSettings } from '../src/protocol/deflate.ts'
import type { Extension } from '../src/protocol/extension.ts'
import { prepare } from '../src/session/prepared.ts'
import { renderData, renderEvent, takeAll } from './engine.ts'
import { cut, type FrameSpec, frame } from './frames.ts'
import { Rng } from './generate.ts'
import { retainedMemory } from './memory.ts'
import { Pair, Peer } from './pair.ts'
import type { Role } from './reference.ts'

const MiB = 1024 * 1024
const mask = Uint8Array.of(1, 2, 3, 4)
const settings: DeflateSettings = {
  send: { takeover: false, windowBits: 15 },
  receive: { takeover: false, windowBits: 15 },
  threshold: 0,
  level: 1,
  memLevel: 8,
}

/** Bytes that no compressor makes smaller; the same each time. */
function noise(length: number): Buffer {
  const rng = new Rng(length)
  return Buffer.from(Uint8Array.from({ length }, () => rng.next()))
}

/** The same agreement seen from both ends. */
function agree(server: DeflateSettings): { server: Deflate; client: Deflate } {
  return {
    server: new Deflate(server),
    client: new Deflate({ ...server, send: server.receive, receive: server.send }),
  }
}

/** A message as a peer would send it, without takeover. */
function compress(message: string | Uint8Array, memLevel = 8): Buffer {
  return deflateRawSync(message, { finishFlush: zlib.Z_SYNC_FLUSH, memLevel }).subarray(0, -4)
}

/** Frames from a client: the first one of each message with RSV1 unless told otherwise. */
function fromClient(...frames: readonly Omit<FrameSpec, 'mask'>[]): Buffer {
  return Buffer.concat(frames.map((spec) => frame({ ...spec, mask })))
}

/** What a server that compresses hears. */
function hear(stream: Buffer, maxMessageSize = MiB, extension: Extension = new Deflate(settings)): string[] {
  const limits = { maxMessageSize, maxFrameSize: maxMessageSize }
  const peer = new Peer('server', { limits, extensions: [extension] })
  peer.engine.receive(Buffer.from(stream))
  takeAll(peer.engine)
  return peer.heard
}

const content = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 40 }).map((text) => Buffer.from(text)),
  fc.nat(3000).map((length) => Buffer.alloc(length, '{"number":12,"name":"of somebody"}')),
  fc.nat(3000).map((length) => Buffer.from(noise(length).toString('base64'))),
  fc.constantFrom(0, 1, 255, 256, 257, 16384, 32768, 40_000).map((length) => Buffer.alloc(length, 'a')),
)
const direction = fc.record({ takeover: fc.boolean(), windowBits: fc.integer({ min: 8, max: 15 }) })

test('messages of every make-up arrive, with pings between them, whatever was agreed on and wherever reads are cut', () => {
  fc.assert(
    fc.property(
      fc.record({
        send: direction,
        receive: direction,
        threshold: fc.constantFrom(0, 10, 300),
        level: fc.nat(9),
        memLevel: fc.integer({ min: 1, max: 9 }),
      }),
      fc.array(
        fc.record({
          from: fc.constantFrom<Role>('server', 'client'),
          data: content,
          how: fc.constantFrom('text', 'string', 'binary', 'prepared', 'ping', 'plain', 'idle'),
        }),
        { maxLength: 16 },
      ),
      fc.array(fc.nat(50_000), { maxLength: 5 }),
      (server, steps, cuts) => {
        const extensions = agree(server)
        const pair = new Pair({ extensions: [extensions.server] }, { extensions: [extensions.client] })
        const wanted = { server: [] as string[], client: [] as string[] }
        for (const { from, data, how } of steps) {
          const { engine } = pair[from]
          const hears = wanted[from === 'server' ? 'client' : 'server']
          engine.compress = how !== 'plain'
          if (how === 'idle') engine.idle()
          else if (how === 'ping') {
            engine.sendPing(data.subarray(0, 125))
            hears.push(`ping ${renderData(data.subarray(0, 125))}`)
          } else {
            const kind = how === 'text' || how === 'string' ? 'text' : 'binary'
            if (how === 'string') engine.sendText(data.toString())
            else if (how === 'prepared') engine.sendPrepared(prepare(data))
            else engine.sendBytes(kind, data)
            hears.push(renderEvent({ kind, data, at: 0 }))
          }
        }
        pair.settle(cuts)
        for (const role of ['server', 'client'] as const) {
          const heard = pair[role].heard.filter((line) => !line.startsWith('pong'))
          assert.deepEqual(heard, wanted[role])
        }
      },
    ),
    { numRuns: 300 },
  )
})

test('every combination of takeover and window, on a conversation that refers to itself', () => {
  for (const takeover of [
    [false, false],
    [false, true],
    [true, false],
    [true, true],
  ] as const) {
    for (let windowBits = 8; windowBits <= 15; windowBits++) {
      const { server, client } = agree({
        ...settings,
        send: { takeover: takeover[0], windowBits },
        receive: { takeover: takeover[1], windowBits: 23 - windowBits },
      })
      const pair = new Pair({ extensions: [server], echo: true }, { extensions: [client] })
      const messages = [100, 256, 300, 5000, 100, 40_000, 100].map((size) =>
        Buffer.alloc(size, 'to and fro, '),
      )
      for (const message of messages) {
        pair.client.engine.sendBytes('binary', message)
        pair.settle([1, 3, 200])
      }
      const wanted = messages.map((data) => renderEvent({ kind: 'binary', data, at: 0 }))
      assert.deepEqual(pair.server.heard, wanted)
      assert.deepEqual(pair.client.heard, wanted)
    }
  }
})

test('a compressed message in fragments of every size, with control frames between them', () => {
  const text = 'a compressed message, a compressed message, '.repeat(20)
  const payload = compress(text)
  for (let size = 0; size <= payload.length; size++) {
    const frames: Omit<FrameSpec, 'mask'>[] = []
    for (let at = 0; at < payload.length || at === 0; at += Math.max(1, size)) {
      const part = payload.subarray(at, at + size)
      frames.push({ opcode: at === 0 ? 1 : 0, rsv: at === 0 ? 4 : 0, fin: false, payload: part })
      frames.push({ opcode: 9, payload: 'between' })
      if (size === 0) break
    }
    frames.push({ opcode: 0, payload: size === 0 ? payload : Buffer.alloc(0) })
    const heard = hear(fromClient(...frames)).filter((line) => !line.startsWith('ping'))
    assert.deepEqual(heard, [`text ${renderData(Buffer.from(text))}`], `${size}`)
  }
})

test('RSV1 where it must not be', () => {
  const payload = compress('text')
  const part = { fin: false, payload: payload.subarray(0, 2) }
  for (const [name, frames] of [
    [
      'a continuation',
      [
        { opcode: 1, rsv: 4, ...part },
        { opcode: 0, rsv: 4, payload },
      ],
    ],
    [
      'a continuation of a message without',
      [
        { opcode: 1, ...part },
        { opcode: 0, rsv: 4, payload },
      ],
    ],
    ['a ping', [{ opcode: 9, rsv: 4, payload }]],
    ['a pong', [{ opcode: 10, rsv: 4, payload }]],
    ['a Close', [{ opcode: 8, rsv: 4 }]],
    ['together with RSV2', [{ opcode: 1, rsv: 6, payload }]],
    ['RSV3 alone', [{ opcode: 1, rsv: 1, payload }]],
  ] as const) {
    const peer = new Peer('server', { extensions: [new Deflate(settings)] })
    peer.engine.receive(fromClient(...frames))
    assert.deepEqual(peer.heard, ['fault ERR_WS_RESERVED_BITS'], name)
    assert.equal(takeAll(peer.engine).readUInt16BE(2), 1002)
  }
  const peer = new Peer('server')
  peer.engine.receive(fromClient({ opcode: 1, rsv: 4, payload }))
  assert.deepEqual(peer.heard, ['fault ERR_WS_RESERVED_BITS'], 'not negotiated')
})

test('broken data closes with 1007, whatever the extension remembers, and nothing throws', () => {
  const good = compress('good')
  for (const payload of [
    Buffer.from('ff', 'hex'),
    good.subarray(0, -1),
    Buffer.concat([good, Buffer.from('07', 'hex')]),
    Buffer.from('f200110000', 'hex'),
    noise(300),
  ]) {
    const peer = new Peer('server', { extensions: [new Deflate(settings)] })
    peer.engine.receive(fromClient({ opcode: 2, rsv: 4, payload }, { opcode: 1, payload: 'unheard' }))
    assert.deepEqual(peer.heard, ['fault ERR_WS_EXTENSION_DATA'], payload.toString('hex'))
    assert.equal(takeAll(peer.engine).readUInt16BE(2), 1007)
  }
  const notUtf8 = fromClient({ opcode: 1, rsv: 4, payload: compress(Buffer.from('c0af', 'hex')) })
  assert.deepEqual(hear(notUtf8), ['fault ERR_WS_INVALID_UTF8'])
})

test('an extension that throws, or takes no notice of the limit, is a fault of its own', () => {
  const failing: Extension = {
    name: 'x-failing',
    rsv: 0x40,
    encode: () => undefined,
    decode: () => {
      throw new Error('on purpose')
    },
  }
  const stream = fromClient({ opcode: 2, rsv: 4, payload: 'x' })
  assert.deepEqual(hear(stream, MiB, failing), ['fault ERR_WS_EXTENSION_DATA'])
  const swelling: Extension = { ...failing, decode: () => Buffer.alloc(101) }
  assert.deepEqual(hear(stream, 100, swelling), ['fault ERR_WS_MESSAGE_TOO_LARGE'])
  assert.deepEqual(hear(stream, 101, swelling), [`binary ${renderData(Buffer.alloc(101))}`])
})

test('incompressible messages of just the limit pass from every peer, one byte more does not', () => {
  const maxMessageSize = 300_000
  const data = noise(maxMessageSize)
  for (let memLevel = 1; memLevel <= 9; memLevel++) {
    const payload = compress(data, memLevel)
    assert.ok(payload.length > maxMessageSize, `${payload.length} bytes`)
    const parts = [payload.subarray(0, 100_000), payload.subarray(100_000)] as const
    for (const stream of [
      fromClient({ opcode: 2, rsv: 4, payload }),
      fromClient(
        { opcode: 2, rsv: 4, fin: false, payload: parts[0] },
        { opcode: 0, fin: false, payload: parts[1] },
        { opcode: 0 },
      ),
    ]) {
      assert.deepEqual(hear(stream, maxMessageSize), [`binary ${renderData(data)}`], `memLevel ${memLevel}`)
      assert.deepEqual(hear(stream, maxMessageSize - 1), ['fault ERR_WS_MESSAGE_TOO_LARGE'])
    }
  }
})

test('the room for encoded messages is for them alone, and has an end', () => {
  const size = 1000
  for (const [rsv, length, wanted] of [
    [0, 1000, undefined],
    [0, 1001, 'fault ERR_WS_FRAME_TOO_LARGE'],
    [4, 1189, undefined],
    [4, 1190, 'fault ERR_WS_FRAME_TOO_LARGE'],
  ] as const) {
    const header = frame({ opcode: 2, rsv, length, mask })
    assert.deepEqual(hear(header, size), wanted === undefined ? [] : [wanted], `${rsv} ${length}`)
  }
  const begin = { opcode: 2, rsv: 4, fin: false, payload: noise(1000) }
  const more = fromClient(begin, { opcode: 0, fin: false, payload: noise(190) })
  assert.deepEqual(hear(more, size), ['fault ERR_WS_MESSAGE_TOO_LARGE'])
})

test('a message above the limit that comes byte by byte is not copied at every byte', () => {
  const peer = new Peer('server', { extensions: [new Deflate(settings)] })
  const header = frame({ opcode: 2, rsv: 4, length: MiB + 100_000, mask })
  peer.engine.receive(header)
  peer.engine.receive(Buffer.alloc(MiB))
  const start = performance.now()
  for (let i = 0; i < 50_000; i++) peer.engine.receive(Buffer.alloc(1))
  const taken = performance.now() - start
  assert.ok(taken < 2000, `${taken} ms`)
})

/** The most that is held at any time while `work` runs, beyond what was before. */
function peakOf(work: () => void): number {
  const before = retainedMemory()
  const { rss } = process.memoryUsage()
  work()
  const after = process.memoryUsage()
  // What was allocated since is still there as long as nothing was collected; what was is in the resident set.
  return Math.max(after.heapUsed + after.external - before, after.rss - rss)
}

test('a bomb of 1 GiB is refused at the limit: in one frame, in fragments, in many blocks, behind a dictionary', (t) => {
  const million = deflateRawSync(Buffer.alloc(64 * MiB), { finishFlush: zlib.Z_FULL_FLUSH, level: 9 })
  const bomb = Buffer.concat(Array.from({ length: 16 }, () => million))
  assert.ok(bomb.length < 1.1 * MiB, `${bomb.length} bytes`)
  const fragments: Omit<FrameSpec, 'mask'>[] = []
  for (let at = 0; at < bomb.length; at += 1000)
    fragments.push({
      opcode: at === 0 ? 2 : 0,
      rsv: at === 0 ? 4 : 0,
      fin: false,
      payload: bomb.subarray(at, at + 1000),
    })
  const final = deflateRawSync(Buffer.alloc(64 * MiB), { level: 9 })
  const bombs: Record<string, Buffer> = {
    'one frame': fromClient({ opcode: 2, rsv: 4, payload: bomb }),
    fragments: fromClient(...fragments, { opcode: 0 }),
    text: fromClient({ opcode: 1, rsv: 4, payload: bomb }),
    'final blocks': fromClient({
      opcode: 2,
      rsv: 4,
      payload: Buffer.concat(Array.from({ length: 16 }, () => final)),
    }),
    'behind a dictionary': fromClient(
      { opcode: 2, rsv: 4, payload: compress(Buffer.alloc(32768)) },
      { opcode: 2, rsv: 4, payload: bomb },
    ),
  }
  for (const [name, stream] of Object.entries(bombs)) {
    const extension = new Deflate({ ...settings, receive: { takeover: true, windowBits: 15 } })
    let heard: string[] = []
    const start = performance.now()
    const peak = peakOf(() => {
      const peer = new Peer('server', { extensions: [extension] })
      for (const chunk of cut(
        stream,
        Array.from({ length: 16 }, (_, i) => (i + 1) * 65_536),
      ))
        peer.engine.receive(chunk)
      heard = peer.heard
    })
    const taken = performance.now() - start
    assert.equal(heard.at(-1), 'fault ERR_WS_MESSAGE_TOO_LARGE', name)
    assert.ok(peak < 24 * MiB, `${name}: ${peak} bytes`)
    assert.ok(taken < 2000, `${name}: ${taken} ms`)
    t.diagnostic(
      `${name}: ${stream.length} bytes, at most ${(peak / MiB).toFixed(1)} MiB, ${taken.toFixed(0)} ms`,
    )
  }
})

test('what a connection holds between messages: nothing without takeover, two windows with', async () => {
  const each = async (takeover: boolean): Promise<number> => {
    const count = 50
    const message = Buffer.alloc(100_000, 'a message that is much longer than a window, ')
    const make = (): Pair => {
      const direction = { takeover, windowBits: 15 }
      const { server, client } = agree({ ...settings, send: direction, receive: direction })
      const pair = new Pair({ extensions: [server], echo: true }, { extensions: [client] })
      pair.client.engine.sendBytes('binary', message)
      pair.settle()
      pair.server.heard.length = pair.client.heard.length = 0
      return pair
    }
    make()
    // zlib lets go of what the tests before had in a later turn.
    retainedMemory()
    await setImmediate()
    const before = retainedMemory()
    const pairs = Array.from({ length: count }, make)
    const held = (retainedMemory() - before) / count / 2
    for (const { server, client } of pairs) for (const { engine } of [server, client]) engine.dispose()
    return held
  }
  // What is made only once, and what the tests before left behind, is not to be in either.
  for (let i = 0; i < 2; i++) await each(i === 1)
  // The slabs of the test's own pair are counted in both.
  const [without, withTakeover]: [number[], number[]] = [[], []]
  for (let i = 0; i < 3; i++) {
    without.push(await each(false))
    withTakeover.push(await each(true))
  }
  // What else the process does may be in one of them.
  const median = (measured: number[]): number => measured.sort((a, b) => a - b)[1] as number
  const windows = median(withTakeover) - median(without)
  assert.ok(windows > 60_000 && windows < 72_000, `${windows} bytes`)
})

test('a prepared message is encoded once for each variant, for servers and clients', () => {
  let encoded = 0
  class Counting extends Deflate {
    override encode(payload: Uint8Array): Uint8Array | undefined {
      encoded++
      return super.encode(payload)
    }
  }
  const data = Buffer.alloc(50_000, 'prepared ')
  const message = prepare(data)
  const wanted = [`binary ${renderData(data)}`]
  const send = (role: Role, sent: DeflateSettings): void => {
    const other = { ...settings, receive: sent.send }
    const pair =
      role === 'server'
        ? new Pair({ extensions: [new Counting(sent)] }, { extensions: [new Deflate(other)] })
        : new Pair({ extensions: [new Deflate(other)] }, { extensions: [new Counting(sent)] })
    pair[role].engine.sendPrepared(message)
    pair.settle([10])
    assert.deepEqual(pair[role === 'server' ? 'client' : 'server'].heard, wanted)
  }
  for (let i = 0; i < 10; i++) for (const role of ['server', 'client'] as const) send(role, settings)
  assert.equal(encoded, 1)
  const small = { ...settings, send: { takeover: false, windowBits: 10 } }
  for (let i = 0; i < 10; i++) for (const role of ['server', 'client'] as const) send(role, small)
  assert.equal(encoded, 2)
  const takeover = { ...settings, send: { takeover: true, windowBits: 15 } }
  for (let i = 0; i < 10; i++) send('server', takeover)
  assert.equal(encoded, 12)
})

test('compress = false leaves compression out and other extensions in, also of prepared messages', () => {
  const turn = (payload: Uint8Array): Uint8Array => payload.map((byte) => byte ^ 0xff)
  const turning: Extension = { name: 'x-turning', rsv: 0x20, variant: '', encode: turn, decode: turn }
  const { server, client } = agree(settings)
  const pair = new Pair({ extensions: [turning, server] }, { extensions: [turning, client] })
  const { engine } = pair.server
  const message = prepare(Buffer.alloc(1000))
  const first = (send: () => void): number => {
    send()
    const bytes = takeAll(engine)
    const byte = bytes[0] as number
    pair.client.engine.receive(bytes)
    return byte
  }
  for (const [compress, byte] of [
    [true, 0xe2],
    [false, 0xa2],
    [true, 0xe2],
  ] as const) {
    engine.compress = compress
    assert.equal(
      first(() => engine.sendPrepared(message)),
      byte,
    )
    assert.equal(
      first(() => engine.sendBytes('binary', Buffer.alloc(1000))),
      byte,
    )
  }
  assert.deepEqual(pair.client.heard, Array(6).fill(`binary ${renderData(Buffer.alloc(1000))}`))
})

test('the counters: messages that were compressed, before and after, each way', () => {
  const { server, client } = agree({ ...settings, threshold: 100 })
  const pair = new Pair({ extensions: [server] }, { extensions: [client] })
  pair.client.engine.sendBytes('binary', Buffer.alloc(1000))
  pair.client.engine.sendPrepared(prepare(Buffer.alloc(2000)))
  pair.client.engine.sendText('short')
  pair.client.engine.sendBytes('binary', noise(500))
  pair.settle()
  const sent = pair.client.engine.encoding
  const received = pair.server.engine.encoding
  assert.ok(sent !== undefined && received !== undefined)
  assert.equal(sent.plainSent, 3000)
  assert.ok(sent.encodedSent > 0 && sent.encodedSent < 100)
  assert.equal(received.plainReceived, 3000)
  assert.equal(received.encodedReceived, sent.encodedSent)
  assert.deepEqual([sent.plainReceived, sent.encodedReceived, received.plainSent], [0, 0, 0])
  assert.equal(new Peer('server').engine.encoding, undefined)
})
