import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { decoderLimits, expectedAnswers, Receiver, receiveAll, renderAll, renderEvent } from './engine.ts'
import { cut, type FrameSpec, frame, toHex } from './frames.ts'
import { type DecoderLimits, decodeReference, type Role } from './reference.ts'

const roles = ['server', 'client'] as const

/** Text that is right, nearly right, and wrong. */
const textBytes: fc.Arbitrary<Uint8Array> = fc.oneof(
  { weight: 4, arbitrary: fc.string({ unit: 'binary', maxLength: 20 }).map((text) => Buffer.from(text)) },
  { weight: 2, arbitrary: fc.string({ maxLength: 150 }).map((text) => Buffer.from(text)) },
  {
    weight: 1,
    arbitrary: fc
      .array(
        fc.constantFrom(0x41, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc1, 0xc2, 0xe0, 0xed, 0xf0, 0xf4, 0xf5),
        {
          maxLength: 8,
        },
      )
      .map((bytes) => Buffer.from(bytes)),
  },
)

const payload: fc.Arbitrary<Uint8Array> = fc.oneof(
  fc.uint8Array({ maxLength: 12 }),
  fc.integer({ min: 120, max: 300 }).map((length) => Buffer.alloc(length, 'silverback')),
)

const key: fc.Arbitrary<Uint8Array> = fc.uint8Array({ minLength: 4, maxLength: 4 })

/** A whole message in fragments cut anywhere, with control frames between them. */
const message: fc.Arbitrary<FrameSpec[]> = fc
  .record({
    content: fc.oneof(
      textBytes.map((bytes) => ({ opcode: 1, bytes })),
      payload.map((bytes) => ({ opcode: 2, bytes })),
    ),
    cuts: fc.array(fc.nat(300), { maxLength: 4 }),
    between: fc.array(
      fc.record({ opcode: fc.constantFrom(9, 10), payload: fc.uint8Array({ maxLength: 6 }) }),
      { maxLength: 3 },
    ),
  })
  .map(({ content: { opcode, bytes }, cuts, between }) => {
    const offsets = cuts.map((at) => at % (bytes.length + 1)).sort((a, b) => a - b)
    const pieces = cut(bytes, offsets)
    return pieces.flatMap((piece, i): FrameSpec[] => {
      const fragment = { opcode: i === 0 ? opcode : 0, fin: i === pieces.length - 1, payload: piece }
      const control = between[i]
      return control === undefined ? [fragment] : [fragment, control]
    })
  })

const closeFrame: fc.Arbitrary<FrameSpec[]> = fc
  .record({
    code: fc.oneof(fc.constantFrom(1000, 1001, 1005, 1011, 1015, 3000, 4999), fc.nat(65535)),
    reason: fc.oneof(
      fc.string({ unit: 'binary', maxLength: 10 }).map((text) => Buffer.from(text)),
      textBytes,
    ),
    size: fc.constantFrom(0, 1, 2, 200),
  })
  .map(({ code, reason, size }) => {
    const bytes = Buffer.concat([Buffer.from([code >> 8, code & 0xff]), reason.subarray(0, 123)])
    return [{ opcode: 8, payload: bytes.subarray(0, size) }]
  })

/** A frame of which nothing can be expected. */
const wildFrame: fc.Arbitrary<FrameSpec[]> = fc
  .record({
    opcode: fc.nat(15),
    fin: fc.boolean(),
    rsv: fc.oneof({ weight: 5, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(7) }),
    payload: fc.oneof(textBytes, payload),
    form: fc.constantFrom<7 | 16 | 64>(16, 64),
    length: fc.option(
      fc.oneof(
        fc.nat(70_000).map(BigInt),
        fc.constantFrom(
          2n ** 31n,
          2n ** 32n,
          2n ** 53n - 1n,
          2n ** 53n,
          2n ** 63n - 1n,
          2n ** 63n,
          2n ** 64n - 1n,
        ),
      ),
      { nil: undefined, freq: 3 },
    ),
  })
  .map(({ length, form, ...spec }) => {
    if (length === undefined) return [spec]
    return [{ ...spec, length, form: length > 0xffffn ? 64 : form }]
  })

const frames: fc.Arbitrary<FrameSpec[]> = fc
  .array(
    fc.oneof(
      { weight: 10, arbitrary: message },
      { weight: 1, arbitrary: closeFrame },
      { weight: 1, arbitrary: wildFrame },
    ),
    { maxLength: 6 },
  )
  .map((all) => all.flat())

/** One change of the bytes at a place: what a broken or hostile peer, or a bug in a proxy, might make of them. */
interface Mutation {
  readonly kind: 'flip' | 'insert' | 'remove' | 'repeat' | 'truncate'
  readonly at: number
  readonly value: number
}

const mutations: fc.Arbitrary<Mutation[]> = fc.array(
  fc.record({
    kind: fc.constantFrom('flip', 'insert', 'remove', 'repeat', 'truncate'),
    at: fc.nat(2000),
    value: fc.nat(255),
  }),
  { maxLength: 3 },
)

function mutate(stream: Buffer, { kind, at, value }: Mutation): Buffer {
  const place = at % (stream.length + 1)
  const before = stream.subarray(0, place)
  const behind = stream.subarray(place)
  const count = (value & 7) + 1
  if (kind === 'truncate') return before
  if (kind === 'remove') return Buffer.concat([before, behind.subarray(count)])
  if (kind === 'insert') return Buffer.concat([before, Buffer.alloc(count, value), behind])
  if (kind === 'repeat') return Buffer.concat([before, behind.subarray(0, count * 4), behind])
  const changed = Buffer.from(stream)
  if (place < changed.length) changed.writeUInt8(changed.readUInt8(place) ^ (1 << (value & 7)), place)
  return changed
}

const limits: fc.Arbitrary<DecoderLimits> = fc.oneof(
  fc.constant(decoderLimits()),
  fc.record({
    maxFrameSize: fc.integer({ min: 1, max: 300 }),
    maxMessageSize: fc.integer({ min: 1, max: 400 }),
  }),
)

const cuts: fc.Arbitrary<number[]> = fc.array(fc.nat(3000), { maxLength: 10 })

/** Compares engine and reference in every respect: whole, at cuts, with pauses, and byte by byte. */
function compare(stream: Buffer, role: Role, limit: DecoderLimits, offsets: readonly number[]): void {
  const oracle = decodeReference(stream, role, limit)
  const wanted = { events: renderAll(oracle), answers: expectedAnswers(oracle) }
  const places = offsets.map((at) => at % (stream.length + 1)).sort((a, b) => a - b)
  assert.deepEqual(receiveAll(role, [stream], { limits: limit }), wanted, `whole: ${toHex(stream)}`)
  assert.deepEqual(
    receiveAll(role, cut(stream, places), { limits: limit }),
    wanted,
    `cut at ${places}: ${toHex(stream)}`,
  )
  let turn = 0
  const suspend = (): boolean => ((0b1011_0010 >> (turn++ & 7)) & 1) === 1
  assert.deepEqual(
    receiveAll(role, cut(stream, places), { limits: limit, suspend }),
    wanted,
    `with pauses: ${toHex(stream)}`,
  )
  const receiver = new Receiver(role, { limits: limit })
  for (const byte of stream) receiver.feed(Uint8Array.of(byte))
  assert.deepEqual(
    receiver.events.map((event) => `${event.at} ${renderEvent(event)}`),
    oracle.map((event) => `${event.at} ${renderEvent(event)}`),
    `byte by byte: ${toHex(stream)}`,
  )
}

for (const role of roles) {
  test(`frames, mutated or not: the engine as ${role} agrees with the reference`, () => {
    fc.assert(
      fc.property(frames, key, mutations, limits, cuts, (specs, mask, changes, limit, offsets) => {
        const built = specs.map((spec) => frame(role === 'server' ? { ...spec, mask } : spec))
        compare(changes.reduce(mutate, Buffer.concat(built)), role, limit, offsets)
      }),
      { numRuns: 1500 },
    )
  })

  test(`random bytes: the engine as ${role} agrees with the reference`, () => {
    // Bytes that open frames more often than chance would have it.
    const byte = fc.oneof(
      fc.nat(255),
      fc.constantFrom(0x00, 0x01, 0x02, 0x7e, 0x7f, 0x80, 0x81, 0x82, 0x83, 0x88, 0x89, 0x8a, 0xfe, 0xff),
    )
    fc.assert(
      fc.property(fc.array(byte, { maxLength: 60 }), limits, cuts, (bytes, limit, offsets) => {
        compare(Buffer.from(bytes), role, limit, offsets)
      }),
      { numRuns: 1500 },
    )
  })
}

test('the events of a prefix are a prefix of the events: the reference keeps its own promise', () => {
  fc.assert(
    fc.property(frames, limits, fc.constantFrom(...roles), fc.nat(2000), (specs, limit, role, at) => {
      const mask = role === 'server' ? { mask: Uint8Array.of(1, 2, 3, 4) } : {}
      const stream = Buffer.concat(specs.map((spec) => frame({ ...spec, ...mask })))
      const place = at % (stream.length + 1)
      const all = decodeReference(stream, role, limit)
      const some = decodeReference(stream.subarray(0, place), role, limit)
      assert.deepEqual(
        some,
        all.filter((event) => event.at <= place),
      )
    }),
    { numRuns: 500 },
  )
})
