import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import zlib, { constants, createDeflateRaw, deflateRawSync } from 'node:zlib'
import fc from 'fast-check'
import { cut, hex } from '../../test/frames.ts'
import { Deflate } from './deflate.ts'
import { DeflateHistory } from './deflate-history.ts'
import { Inflater } from './inflater.ts'

const MiB = 1024 * 1024

/** What the types leave out: they are classes, too. */
const inflaters = (zlib as unknown as { InflateRaw: { prototype: { close(): void } } }).InflateRaw.prototype

/** All that comes out of a message that goes in so. */
async function inflate(pieces: readonly Uint8Array[], history?: DeflateHistory): Promise<Buffer> {
  const inflater = new Inflater(history)
  const output: Uint8Array[] = []
  try {
    for (const [i, piece] of pieces.entries()) {
      for await (const plain of inflater.decode(piece, i === pieces.length - 1)) output.push(plain)
    }
  } finally {
    inflater.dispose()
  }
  return Buffer.concat(output)
}

/** A message as it is sent: without the end of the flush. */
function deflate(message: Uint8Array, dictionary: Uint8Array = Buffer.alloc(0)): Buffer {
  const options = { finishFlush: constants.Z_SYNC_FLUSH, ...(dictionary.length > 0 ? { dictionary } : {}) }
  return deflateRawSync(message, options).subarray(0, -4)
}

/** The same, ended by a final block (RFC 7692 section 7.2.3.4). */
const deflateFinal = (message: Uint8Array): Buffer => Buffer.concat([deflateRawSync(message), Buffer.of(0)])

function json(length: number): Buffer {
  let text = ''
  for (let i = 0; text.length < length; i++) text += `{"id":${i},"name":"user ${i % 7}"},`
  return Buffer.from(text.slice(0, length))
}

/** Bytes that no compressor can make smaller; the same each time. */
function noise(length: number): Buffer {
  let state = 1
  return Buffer.from(
    Uint8Array.from({ length }, () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0
      return state >>> 24
    }),
  )
}

describe('an inflater', () => {
  it('takes the examples of RFC 7692 section 7.2.3, wherever they are cut', async () => {
    const history = new DeflateHistory(2 ** 15)
    for (const [payload, wanted] of [
      ['f2 48 cd c9 c9 07 00', 'Hello'], // one block
      ['f2 00 11 00 00', 'Hello'], // refers to the message before
      ['00 05 00 fa ff 48 65 6c 6c 6f 00', 'Hello'], // stored
      ['f3 48 cd c9 c9 07 00 00', 'Hello'], // a final block
      ['f2 48 05 00 00 00 ff ff ca c9 c9 07 00', 'Hello'], // two blocks
      ['00', ''], // nothing
      ['', ''], // less than nothing
      ['f2 00 11 00 00', 'Hello'], // still refers to what was before
    ] as const) {
      const bytes = hex(payload)
      assert.equal(String(await inflate([bytes], history)), wanted, payload)
      for (let at = 0; at <= bytes.length; at++) {
        const before = new DeflateHistory(2 ** 15)
        before.append(Buffer.from('Hello'))
        assert.equal(String(await inflate(cut(bytes, [at]), before)), wanted, `${payload} cut at ${at}`)
      }
      assert.equal(
        String(
          await inflate(
            [...bytes].map((byte) => Buffer.of(byte)),
            history,
          ),
        ),
        wanted,
        payload,
      )
    }
  })

  it('takes final blocks anywhere, and what refers to what is before them', async () => {
    const hello = 'f3 48 cd c9 c9 07 00'
    for (const [payload, wanted] of [
      [hello, 'Hello'],
      [`${hello} 00`, 'Hello'],
      [`${hello} ${hello}`, 'HelloHello'],
      [`${hello} ${hello} 00`, 'HelloHello'],
      [`${hello} f2 48 cd c9 c9 07 00`, 'HelloHello'],
      [`${hello} f2 00 11 00 00`, 'HelloHello'],
    ] as const) {
      const bytes = hex(payload)
      for (let at = 0; at <= bytes.length; at++) {
        assert.equal(String(await inflate(cut(bytes, [at]))), wanted, `${payload} cut at ${at}`)
        assert.equal(String(await inflate([...cut(bytes, [at]), Buffer.alloc(0)])), wanted, payload)
      }
    }
  })

  it('takes final blocks in proportion to the message, and no flood of them', async () => {
    const empty = hex('03 00')
    const flood = (count: number, beside = 0): Buffer[] => [
      deflate(Buffer.from(json(beside))),
      Buffer.concat([hex('0000ffff'), ...Array.from({ length: count }, () => empty)]),
      hex('00'),
    ]
    assert.equal((await inflate(flood(7))).length, 0)
    await assert.rejects(inflate(flood(30)), /too many final blocks/)
    await assert.rejects(inflate([Buffer.concat(flood(10_000))]), /too many final blocks/)
    // One in a KiB more.
    const large = noise(50_000)
    const parts = [
      deflate(large),
      Buffer.concat([hex('0000ffff'), ...Array.from({ length: 30 }, () => empty), hex('00')]),
    ]
    assert.ok((parts[0]?.length ?? 0) > 30_000)
    assert.ok((await inflate(parts)).equals(large))
  })

  it('throws for what is broken, and for what is cut off', async () => {
    const message = deflate(json(1000))
    for (const [what, pieces] of [
      ['garbage', [Buffer.from('nothing that inflates')]],
      ['a reference to nothing', [hex('f2 00 11 00 00')]],
      ['half a message', [message.subarray(0, message.length / 2)]],
      ['a stored block that is cut off', [hex('00 05 00 fa ff 48 65')]],
      ['garbage in the middle', [message.subarray(0, 20), Buffer.alloc(20, 0xff), message.subarray(20)]],
    ] as const) {
      await assert.rejects(inflate(pieces), Error, what)
    }
  })

  it('makes output when it is asked for, in pieces of a bounded size', async () => {
    const bomb = deflate(Buffer.alloc(64 * MiB))
    const inflater = new Inflater(undefined)
    const output = inflater.decode(bomb, true)
    let made = 0
    for (let i = 0; i < 10; i++) {
      const { value } = await output.next()
      assert.ok(value instanceof Uint8Array && value.length <= 256 * 1024)
      made += value.length
    }
    assert.ok(made <= 10 * 256 * 1024, `${made} bytes`)
    // It is not wanted any more, in the middle.
    inflater.dispose()
    assert.equal((await output.next()).done, true)
  })

  it('that is disposed of while it works ends, without an error', async () => {
    for (const turns of [0, 1, 5]) {
      const inflater = new Inflater(undefined)
      const pieces: Uint8Array[] = []
      const work = (async () => {
        for await (const plain of inflater.decode(deflate(Buffer.alloc(MiB)), true)) pieces.push(plain)
      })()
      for (let i = 0; i < turns; i++) await new Promise((resolve) => setImmediate(resolve))
      inflater.dispose()
      inflater.dispose()
      await work
      const rest = inflater.decode(deflate(Buffer.from('x')), true)
      assert.equal((await rest.next()).done, true)
    }
  })

  it('remembers all that came out, for itself beyond a final block and for the connection', async () => {
    const [one, two] = [json(20_000), json(40_000).subarray(20_000)]
    const history = new DeflateHistory(2 ** 15)
    assert.ok((await inflate(cut(deflateFinal(one), [100, 2000]), history)).equals(one))
    const kept = Buffer.from(history.bytes)
    assert.ok(kept.equals(one))
    assert.ok((await inflate([deflate(two, kept)], history)).equals(two))
    assert.ok(history.bytes.equals(Buffer.concat([one, two]).subarray(-(2 ** 15))))
    // A small window of the connection does not limit what one message may refer to.
    const small = new DeflateHistory(256)
    const message = Buffer.concat([deflateRawSync(one), deflate(one, one)])
    assert.ok((await inflate([message], small)).equals(Buffer.concat([one, one])))
    assert.ok(small.bytes.equals(one.subarray(-256)))
  })

  it('agrees with the decoding of whole messages, in turn, whatever the sender and the cuts', async () => {
    const message = fc.record({
      size: fc.oneof(fc.nat(100), fc.nat(3000), fc.constantFrom(0, 32_767, 32_768, 70_000)),
      repeats: fc.boolean(),
      final: fc.boolean(),
      cuts: fc.array(fc.nat(1000), { maxLength: 5 }),
      whole: fc.boolean(),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(message, { maxLength: 8 }), fc.boolean(), async (messages, takeover) => {
        const direction = { takeover, windowBits: 15 }
        const settings = { send: direction, receive: direction, threshold: 0, level: 6, memLevel: 8 }
        const [ours, theirs] = [new Deflate(settings), new Deflate(settings)]
        let seed = 0
        for (const { size, repeats, final, cuts, whole } of messages) {
          const plain = repeats ? json(size) : Buffer.from(Array.from({ length: size }, () => seed++ * 31))
          // A final block may come where the sender does not refer back.
          const encoded = final ? deflateFinal(plain) : theirs.encode(plain)
          if (encoded === undefined) continue
          if (final) theirs.idle()
          if (whole) {
            const decoded = ours.decode(encoded, MiB)
            assert.ok(decoded instanceof Uint8Array && Buffer.from(decoded).equals(plain))
            continue
          }
          const at = cuts.map((each) => Math.min(each, encoded.length)).sort((a, b) => a - b)
          const decoder = ours.decoder()
          const output: Uint8Array[] = []
          const pieces = cut(encoded, at)
          for (const [i, piece] of pieces.entries()) {
            for await (const part of decoder.decode(piece, i === pieces.length - 1)) output.push(part)
          }
          decoder.dispose()
          assert.ok(Buffer.concat(output).equals(plain))
        }
      }),
      { numRuns: 60 },
    )
  })

  it('lets go of the memory of zlib when the message is not wanted any more', async (t) => {
    const close = t.mock.method(inflaters, 'close')
    const decoder = new Inflater(undefined)
    for await (const _ of decoder.decode(deflateRawSync(json(1000)).subarray(0, 50), false)) break
    decoder.dispose()
    assert.equal(close.mock.callCount(), 1)
  })

  it('takes what a sender with one stream for all messages makes', async () => {
    const sender = createDeflateRaw()
    const history = new DeflateHistory(2 ** 15)
    for (const size of [10, 5000, 10, 100_000, 0, 3]) {
      const message = json(size)
      const parts: Buffer[] = []
      const collect = (part: Buffer): void => void parts.push(part)
      sender.on('data', collect)
      sender.write(message)
      await new Promise<void>((resolve) => sender.flush(constants.Z_SYNC_FLUSH, () => resolve()))
      sender.off('data', collect)
      const payload = Buffer.concat(parts).subarray(0, -4)
      const middle = Math.floor(payload.length / 2)
      assert.ok((await inflate(cut(payload, [middle]), history)).equals(message), `${size}`)
    }
    sender.close()
  })
})
