import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  constants,
  createDeflateRaw,
  createInflateRaw,
  type DeflateRaw,
  deflateRawSync,
  type InflateRaw,
  inflateRawSync,
} from 'node:zlib'
import fc from 'fast-check'
import { Deflate, type DeflateDirection, type DeflateSettings, takesDictionaries } from './deflate.ts'
import type { StreamDecoder } from './extension.ts'

const plain: DeflateDirection = { takeover: false, windowBits: 15 }
const kept: DeflateDirection = { takeover: true, windowBits: 15 }
const MiB = 1024 * 1024

function make(settings: Partial<DeflateSettings> = {}): Deflate {
  return new Deflate({ send: plain, receive: plain, threshold: 0, level: 1, memLevel: 8, ...settings })
}

function bytes(hex: string): Buffer {
  return Buffer.from(hex.replaceAll(' ', ''), 'hex')
}

/** Bytes that no compressor can make smaller; the same each time. */
function noise(length: number): Buffer {
  let state = 0x2545_f491
  return Buffer.from(
    Uint8Array.from({ length }, () => {
      state ^= state << 13
      state ^= state >>> 17
      state ^= state << 5
      return state
    }),
  )
}

/** JSON of about this many bytes, with something new and something known in it. */
function json(length: number, seed = 0): Buffer {
  let text = ''
  for (let i = seed; text.length < length; i++)
    text += `{"id":${i},"name":"user ${i % 7}","on":${i % 2 === 0}},`
  return Buffer.from(text.slice(0, length))
}

/** A peer that keeps one stream of zlib over all messages, as most do: not the way it is done here. */
class StreamingPeer {
  readonly #stream: DeflateRaw | InflateRaw

  constructor(stream: DeflateRaw | InflateRaw) {
    this.#stream = stream
  }

  #through(input: Uint8Array): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const parts: Buffer[] = []
      const onData = (part: Buffer): void => void parts.push(part)
      this.#stream.on('data', onData).once('error', reject)
      this.#stream.write(input)
      this.#stream.flush(constants.Z_SYNC_FLUSH, () => {
        this.#stream.off('data', onData).off('error', reject)
        resolve(Buffer.concat(parts))
      })
    })
  }

  async deflate(message: Uint8Array): Promise<Buffer> {
    const deflated = await this.#through(message)
    assert.equal(deflated.subarray(-4).toString('hex'), '0000ffff')
    return deflated.subarray(0, -4)
  }

  inflate(payload: Uint8Array): Promise<Buffer> {
    return this.#through(Buffer.concat([payload, bytes('0000ffff')]))
  }

  close(): void {
    this.#stream.close()
  }
}

test('the examples of RFC 7692 section 7.2.3', () => {
  const shared = make({ receive: kept })
  for (const [payload, wanted] of [
    ['f2 48 cd c9 c9 07 00', 'Hello'], // one block
    ['f2 00 11 00 00', 'Hello'], // refers to the message before
    ['00 05 00 fa ff 48 65 6c 6c 6f 00', 'Hello'], // stored
    ['f3 48 cd c9 c9 07 00 00', 'Hello'], // a final block
    ['f2 48 05 00 00 00 ff ff ca c9 c9 07 00', 'Hello'], // two blocks
    ['00', ''], // nothing
    ['f2 00 11 00 00', 'Hello'], // still refers to what was before
  ] as const) {
    assert.equal(shared.decode(bytes(payload), 100).toString(), wanted, payload)
  }
})

test('without takeover a message that refers to the one before is corrupt', () => {
  const deflate = make()
  assert.equal(deflate.decode(bytes('f248cdc9c90700'), 100).toString(), 'Hello')
  assert.equal(deflate.decode(bytes('f200110000'), 100), 'corrupt')
})

test('blocks behind a final block belong to the message, and may refer to what is before them', () => {
  const hello = 'f3 48 cd c9 c9 07 00'
  for (const receive of [plain, kept]) {
    const deflate = make({ receive })
    assert.equal(deflate.decode(bytes(`${hello} ${hello} 00`), 100).toString(), 'HelloHello')
    assert.equal(deflate.decode(bytes(`${hello} f2 48 cd c9 c9 07 00`), 100).toString(), 'HelloHello')
    assert.equal(deflate.decode(bytes(`${hello} f2 00 11 00 00`), 100).toString(), 'HelloHello')
    // Without the octet of zeros that the RFC has senders add.
    assert.equal(deflate.decode(bytes(hello), 100).toString(), 'Hello')
    assert.equal(deflate.decode(bytes(`${hello} ${hello}`), 10).toString(), 'HelloHello')
    assert.equal(deflate.decode(bytes(`${hello} ${hello}`), 9), 'too large')
    assert.equal(deflate.decode(bytes(`${hello} ${hello}`), 5), 'too large')
  }
})

test('a message of nothing but final blocks costs no more than its bytes are worth', () => {
  const deflate = make()
  const start = performance.now()
  assert.equal(deflate.decode(Buffer.alloc(MiB, bytes('0300')), MiB), 'corrupt')
  const taken = performance.now() - start
  assert.ok(taken < 1000, `${taken} ms`)
  assert.equal(deflate.decode(bytes('0300'.repeat(7)), MiB).toString(), '')
  assert.equal(deflate.decode(bytes('0300'.repeat(100)), MiB), 'corrupt')
})

test('what is cut off, or goes on where it should end, is corrupt', () => {
  const deflate = make()
  const payload = make().encode(json(2000)) as Uint8Array
  for (let length = 1; length < payload.length; length += 3) {
    assert.equal(deflate.decode(payload.subarray(0, length), MiB), 'corrupt', `${length} bytes`)
  }
  for (const wrong of ['ff', '07', '00 01', '00 05 00 fa fe 48', '06'])
    assert.equal(deflate.decode(bytes(wrong), MiB), 'corrupt', wrong)
})

test('a final block that is cut off is corrupt, also where what is appended to the message would end it', () => {
  assert.equal(make().decode(bytes('d3 91 e6 cb 91 e6 98 77'), MiB), 'corrupt')
  // A final block of no bytes, without the end that every sender takes away.
  assert.deepEqual(make().decode(bytes('01'), MiB), Buffer.alloc(0))
})

test('bytes of chance are decoded or refused, and never throw', () => {
  const decoders = [make(), make({ receive: kept }), make({ receive: { takeover: true, windowBits: 8 } })]
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.integer({ min: 1, max: 5000 }), (payload, limit) => {
      for (const deflate of decoders) {
        const result = deflate.decode(payload, limit)
        if (result instanceof Uint8Array) assert.ok(result.length <= limit)
        else assert.match(result, /^(too large|corrupt)$/)
      }
    }),
    { numRuns: 500 },
  )
})

test('an empty message: as the RFC writes it, and as zlib does behind a flush', () => {
  const deflate = make({ send: kept, receive: kept })
  assert.equal(deflate.encode(Buffer.alloc(0)), undefined)
  for (const payload of ['00', '', '02 00', '03 00', '00 00 00 ff ff 00'])
    assert.equal(deflate.decode(bytes(payload), 1).length, 0, payload)
})

test('a message of just the limit passes, one byte more does not, at every size around a piece of output', () => {
  for (const size of [1, 1000, 1023, 1024, 1025, 16383, 16384, 16385, 65535, 65536, 65537, MiB]) {
    const deflate = make({ send: kept, receive: kept })
    const payload = deflate.encode(Buffer.alloc(size, 'a')) ?? bytes('4a 04 00')
    const decoded = deflate.decode(payload, size)
    assert.ok(decoded instanceof Buffer && decoded.equals(Buffer.alloc(size, 'a')), `${size}`)
    if (size > 1) assert.equal(make().decode(payload, size - 1), 'too large')
  }
})

test('what it sends, zlib reads, and the other way round: all sizes, windows and levels, with and without takeover', async () => {
  const sizes = [0, 1, 5, 100, 255, 256, 257, 1000, 5000, 16384, 40_000, 70_000, 3, 32_768]
  for (let windowBits = 8; windowBits <= 15; windowBits++) {
    for (const takeover of [false, true]) {
      const direction = { takeover, windowBits }
      const [level, memLevel] = [windowBits % 10, 1 + (windowBits % 9)]
      const ours = make({ send: direction, receive: direction, level, memLevel })
      const theirs = new StreamingPeer(createInflateRaw({ windowBits }))
      const sender = new StreamingPeer(
        createDeflateRaw({ windowBits: Math.max(9, windowBits), level, memLevel }),
      )
      for (const [index, size] of sizes.entries()) {
        for (const message of [json(size, index), noise(size), Buffer.alloc(size)]) {
          const payload = ours.encode(message)
          if (payload !== undefined) {
            assert.ok(payload.length < message.length || (takeover && message.length <= 1024))
            assert.ok((await theirs.inflate(payload)).equals(message), `${size} at ${windowBits}`)
          }
          // Their stream takes the context over, and windows of 8 bits are 9 for zlib: ours has to bear with it.
          if (takeover) {
            const decoded = ours.decode(await sender.deflate(message), MiB)
            assert.ok(decoded instanceof Buffer && decoded.equals(message), `${size} at ${windowBits}`)
          }
        }
      }
      theirs.close()
      sender.close()
    }
  }
})

test('a window of 256 bytes, which zlib cannot do: what fits it is compressed, what does not is sent as it is', () => {
  const deflate = make({ send: { takeover: true, windowBits: 8 } })
  assert.ok(deflate.encode(json(256)) instanceof Uint8Array)
  assert.equal(deflate.encode(json(257)), undefined)
  // No message refers to another, so that one encoding serves many connections.
  assert.deepEqual(deflate.encode(json(256)), deflate.encode(json(256)))
  assert.ok(deflate.variant !== undefined)
})

test('below the threshold nothing is done, nor where nothing would be won', () => {
  const deflate = make({ threshold: 100, send: kept })
  assert.equal(deflate.encode(Buffer.alloc(99)), undefined)
  assert.ok(deflate.encode(Buffer.alloc(100)) instanceof Uint8Array)
  assert.equal(deflate.encode(noise(2000)), undefined)
  assert.equal(make({ level: 0 }).encode(Buffer.alloc(1000)), undefined)
})

test('what was not compressed is nothing to refer to', () => {
  const [ours, theirs] = [make({ send: kept, threshold: 10 }), make({ receive: kept })]
  const secret = noise(2000)
  assert.equal(ours.encode(secret), undefined)
  const payload = ours.encode(Buffer.concat([secret, secret])) as Uint8Array
  assert.deepEqual(theirs.decode(payload, MiB), Buffer.concat([secret, secret]))
  // Now it has passed.
  const again = ours.encode(secret) as Uint8Array
  assert.ok(again.length < 50, `${again.length} bytes`)
  assert.deepEqual(theirs.decode(again, MiB), secret)
})

test('with takeover short messages are compressed from the first on, or none of them would ever get smaller', () => {
  const [ours, theirs] = [make({ send: kept }), make({ receive: kept })]
  const lengths = ['ABC', 'DEF', 'GHI'].map((symbol) => {
    const message = Buffer.from(`{"type":"tick","symbol":"${symbol}","price":12.5}`)
    const payload = ours.encode(message) as Uint8Array
    assert.deepEqual(theirs.decode(payload, MiB), message)
    return payload.length
  })
  assert.deepEqual(
    lengths.map((length) => length < 20),
    [false, true, true],
  )
  assert.equal(make().encode(Buffer.from('{"type":"tick"}')), undefined)
  // That is for what fits a lesson.
  assert.equal(ours.encode(noise(1025)), undefined)
  assert.ok((ours.encode(noise(1024)) as Uint8Array).length < 1034)
})

test('idle forgets what was sent and not what came: the peer may still refer to it', () => {
  const [ours, theirs] = [make({ send: kept, receive: kept }), make({ send: kept, receive: kept })]
  const message = json(300)
  const first = ours.encode(message) as Uint8Array
  theirs.decode(first, MiB)
  const second = ours.encode(message) as Uint8Array
  assert.ok(second.length < first.length)
  assert.deepEqual(theirs.decode(second, MiB), message)
  ours.idle()
  theirs.idle()
  assert.deepEqual(ours.encode(message), first)
  assert.deepEqual(theirs.decode(first, MiB), message)
  assert.deepEqual(theirs.decode(second, MiB), message)
})

test('dispose releases both directions', () => {
  const ours = make({ send: kept, receive: kept })
  const message = json(300)
  const first = ours.encode(message) as Uint8Array
  ours.decode(first, MiB)
  const second = ours.encode(message) as Uint8Array
  assert.equal(ours.decode(second, MiB).toString(), message.toString())
  ours.dispose()
  assert.deepEqual(ours.encode(message), first)
  assert.equal(ours.decode(second, MiB), 'corrupt')
})

/** What a decoder makes of a message in these pieces. */
async function inflated(decoder: StreamDecoder, pieces: readonly Uint8Array[]): Promise<Buffer> {
  const parts: Uint8Array[] = []
  for (const [i, piece] of pieces.entries()) {
    for await (const part of decoder.decode(piece, i === pieces.length - 1)) parts.push(part)
  }
  decoder.dispose()
  return Buffer.concat(parts)
}

test('piece by piece: joined, the pieces are one message, for us and for others', async () => {
  for (const send of [plain, kept, { takeover: true, windowBits: 9 }]) {
    const [ours, theirs] = [make({ send, level: 6 }), make({ receive: send })]
    const other = new StreamingPeer(createInflateRaw())
    for (const pieces of [[json(5000)], [json(3000), json(3000)], [noise(2000), json(1), json(70_000)]]) {
      const encode = ours.pieceEncoder()
      const encoded = pieces.map((piece) => (encode as (piece: Uint8Array) => Uint8Array)(piece))
      const payload = Buffer.concat(encoded)
      const message = Buffer.concat(pieces)
      assert.deepEqual(theirs.decode(payload, MiB), message)
      assert.ok((await other.inflate(payload)).equals(message))
      // Each piece gives all of itself as soon as it is there.
      let seen = 0
      const history = make({ receive: kept })
      const decoder = history.decoder()
      if (!send.takeover) {
        for (const [i, piece] of encoded.entries()) {
          for await (const part of decoder.decode(piece, false)) seen += part.length
          const sent = pieces.slice(0, i + 1).reduce((sum, { length }) => sum + length, 0)
          assert.ok(seen >= sent - 1, `${seen} of ${sent}`)
        }
      }
      decoder.dispose()
      // What comes behind may refer to it.
      const next = ours.encode(json(3000))
      if (next === undefined) continue
      assert.deepEqual(theirs.decode(next, MiB), json(3000))
      assert.ok((await other.inflate(next)).equals(json(3000)))
    }
    other.close()
  }
})

test('piece by piece: pieces refer to those before them only with takeover', () => {
  const [taking, forgetting] = [make({ send: kept }), make({ send: plain })]
  for (const [ours, shrinks] of [
    [taking, true],
    [forgetting, false],
  ] as const) {
    const encode = ours.pieceEncoder() as (piece: Uint8Array) => Uint8Array
    const [first, second] = [encode(noise(5000)), encode(noise(5000))]
    assert.equal(second.length < first.length / 10, shrinks)
  }
  assert.equal(make({ send: { takeover: false, windowBits: 8 } }).pieceEncoder(), undefined)
})

test('a decoder leaves the history as the whole message would', async () => {
  const [ours, theirs] = [make({ send: kept }), make({ receive: kept })]
  const messages = [json(4000), json(4000), noise(3000), json(40_000), json(10)]
  for (const [i, message] of messages.entries()) {
    const payload = ours.encode(message)
    if (payload === undefined) continue
    const middle = Math.floor(payload.length / 3)
    const decoded =
      i % 2 === 0
        ? await inflated(theirs.decoder(), [payload.subarray(0, middle), payload.subarray(middle)])
        : theirs.decode(payload, MiB)
    assert.deepEqual(decoded, message)
  }
})

test('a message that turns out too large, or corrupt, is not remembered: it can be decoded once more', async () => {
  const [ours, theirs] = [make({ send: kept }), make({ receive: kept })]
  theirs.decode(ours.encode(json(2000)) as Uint8Array, MiB)
  const message = Buffer.concat([json(3000), json(3000)])
  const payload = ours.encode(message) as Uint8Array
  assert.equal(theirs.decode(payload, 5999), 'too large')
  assert.equal(theirs.decode(payload.subarray(0, payload.length - 5), MiB), 'corrupt')
  // Also where it is too large only behind a final block.
  const hello = bytes('f3 48 cd c9 c9 07 00')
  assert.equal(theirs.decode(Buffer.concat([hello, hello]), 9), 'too large')
  assert.ok((await inflated(theirs.decoder(), [payload])).equals(message))
  const next = ours.encode(message) as Uint8Array
  assert.equal(theirs.decode(next, 10), 'too large')
  assert.deepEqual(theirs.decode(next, MiB), message)
})

test('the level can be changed, and the variant with it', () => {
  const deflate = make({ level: 1 })
  const [fast, { variant }] = [deflate.encode(json(50_000)) as Uint8Array, deflate]
  deflate.setLevel(9)
  const small = deflate.encode(json(50_000)) as Uint8Array
  assert.ok(small.length < fast.length, `${small.length} < ${fast.length}`)
  assert.notEqual(deflate.variant, variant)
  deflate.setLevel(0)
  assert.equal(deflate.encode(json(50_000)), undefined)
  deflate.setLevel(1)
  assert.equal(deflate.variant, variant)
  assert.deepEqual(deflate.encode(json(50_000)), fast)
  const pieces = make({ level: 9, send: kept })
  pieces.setLevel(0)
  const encode = pieces.pieceEncoder() as (piece: Uint8Array) => Uint8Array
  assert.ok(encode(json(1000)).length > 1000)
  assert.equal(pieces.variant, undefined)
})

test('one variant: what differs in a message does, what does not does not', () => {
  const settings: DeflateSettings = { send: plain, receive: plain, threshold: 0, level: 1, memLevel: 8 }
  const { variant } = make(settings)
  assert.ok(variant !== undefined)
  assert.equal(make({ ...settings, receive: { takeover: true, windowBits: 9 } }).variant, variant)
  for (const other of [
    { level: 2 },
    { memLevel: 7 },
    { threshold: 1 },
    { send: { takeover: false, windowBits: 14 } },
  ]) {
    assert.notEqual(make({ ...settings, ...other }).variant, variant)
  }
  assert.equal(make({ send: kept }).variant, undefined)
})

test('a shared stream of zlib and one for each message: the same messages, the same verdicts', () => {
  const message = fc.oneof(
    fc.uint8Array({ maxLength: 3000 }),
    fc.nat(20_000).map((length) => json(length)),
  )
  fc.assert(
    fc.property(message, fc.nat(), fc.nat(255), (bytes, at, value) => {
      const [shared, alone] = [make({ level: 6 }), make({ level: 6, share: false })]
      const encoded = shared.encode(bytes)
      assert.equal(encoded === undefined, alone.encode(bytes) === undefined)
      if (encoded === undefined) return
      for (const max of [bytes.length, Math.max(0, bytes.length - 1)]) {
        assert.deepEqual(shared.decode(encoded, max), alone.decode(encoded, max))
      }
      const broken = Buffer.from(encoded)
      broken[at % broken.length] = value
      assert.deepEqual(shared.decode(broken, 100_000), alone.decode(broken, 100_000))
      const cut = encoded.subarray(0, at % encoded.length)
      assert.deepEqual(shared.decode(cut, 100_000), alone.decode(cut, 100_000))
    }),
    { numRuns: 500 },
  )
})

test('a zlib that takes dictionaries is told from one that ignores them', () => {
  assert.equal(takesDictionaries(inflateRawSync), true)
  const ignoring = ((input: Buffer) => inflateRawSync(input)) as typeof inflateRawSync
  assert.equal(takesDictionaries(ignoring), false)
  const wrong = ((input: Buffer) => deflateRawSync(input)) as typeof inflateRawSync
  assert.equal(takesDictionaries(wrong), false)
})
