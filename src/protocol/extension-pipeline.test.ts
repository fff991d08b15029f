import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { prepare } from '../session/prepared.ts'
import { Opcode } from '../wire/opcode.ts'
import type { Extension, StreamDecoder } from './extension.ts'
import { ExtensionPipeline } from './extension-pipeline.ts'
import { encodedSize } from './limits.ts'

/** Puts a letter behind whole messages, and before each piece. */
class Tag implements Extension {
  readonly name: string
  readonly rsv: number
  readonly compresses: boolean
  level = 0
  idled = 0
  disposed = 0
  /** What `decode` was allowed. */
  readonly sizes: number[] = []
  readonly #variant: string | null

  constructor(name: string, rsv: number, compresses = false, variant: string | null = '') {
    this.name = name
    this.rsv = rsv
    this.compresses = compresses
    this.#variant = variant
  }

  get variant(): string | undefined {
    return this.#variant === null ? undefined : `${this.#variant}${this.level}`
  }

  encode(payload: Uint8Array): Uint8Array | undefined {
    return payload.length < 2 ? undefined : Buffer.concat([payload, Buffer.from(`${this.name}${this.level}`)])
  }

  decode(payload: Uint8Array, maxSize: number): Uint8Array | 'too large' | 'corrupt' {
    this.sizes.push(maxSize)
    const text = Buffer.from(payload).toString()
    if (!text.endsWith(`${this.name}${this.level}`)) return 'corrupt'
    if (payload.length - 2 > maxSize) return 'too large'
    return payload.subarray(0, -2)
  }

  pieceEncoder(): (piece: Uint8Array) => Uint8Array {
    return (piece) => Buffer.concat([Buffer.from(this.name), piece])
  }

  decoder(): StreamDecoder | undefined {
    const { name } = this
    return {
      async *decode(piece, last) {
        yield Buffer.from(piece).subarray(1)
        if (last) yield Buffer.from(`end of ${name}`)
      },
      dispose: () => {
        this.disposed++
      },
    }
  }

  setLevel(level: number): void {
    this.level = level
  }

  idle(): void {
    this.idled++
  }

  dispose(): void {
    this.disposed++
  }
}

const make = (): [Tag, Tag, ExtensionPipeline] => {
  const [a, b] = [new Tag('a', 0x40, true), new Tag('b', 0x20)]
  return [a, b, new ExtensionPipeline([a, b])]
}

const text = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString()

const encode = (pipeline: ExtensionPipeline, data: string): [number, string] => {
  const { first, payload } = pipeline.encode(Opcode.Text, Buffer.from(data))
  return [first, text(payload)]
}

describe('the extensions of a connection', () => {
  it('own the bits of all of them', () => {
    const [, , pipeline] = make()
    assert.equal(pipeline.rsv, 0x60)
  })

  it('encode in their order, each if it wants to', () => {
    const [, , pipeline] = make()
    assert.deepEqual(encode(pipeline, 'xx'), [0xe1, 'xxa0b0'])
    assert.deepEqual(encode(pipeline, 'x'), [0x81, 'x'])
    assert.deepEqual(pipeline.encode(Opcode.Binary, Buffer.from('xx')).first, 0xe2)
  })

  it('leave those out that only save bytes, where that is said', () => {
    const [, , pipeline] = make()
    pipeline.compress = false
    assert.deepEqual(encode(pipeline, 'xx'), [0xa1, 'xxb0'])
  })

  it('decode in the opposite order, as far as a message says', () => {
    const [a, b, pipeline] = make()
    const decode = (rsv: number, data: string): unknown => {
      const decoded = pipeline.decode(rsv, Buffer.from(data), 100)
      return decoded instanceof Uint8Array ? text(decoded) : decoded.code
    }
    assert.equal(decode(0x60, 'xxa0b0'), 'xx')
    assert.equal(decode(0x20, 'xxb0'), 'xx')
    assert.equal(decode(0x40, 'xxa0'), 'xx')
    assert.equal(decode(0, 'xx'), 'xx')
    assert.equal(decode(0x60, 'xxb0a0'), 'ERR_WS_EXTENSION_DATA')
    // What another one still has to decode may be longer.
    assert.deepEqual(
      [a.sizes, b.sizes],
      [
        [100, 100],
        [encodedSize(100), 100, encodedSize(100)],
      ],
    )
  })

  it('keep to the limit, whatever they make of a message', () => {
    for (const decode of [() => 'too large' as const, () => Buffer.alloc(101)]) {
      const pipeline = new ExtensionPipeline([{ name: 'x', rsv: 0x40, encode: () => undefined, decode }])
      const fault = pipeline.decode(0x40, Buffer.from('x'), 100)
      assert.ok(!(fault instanceof Uint8Array))
      assert.deepEqual(fault.limit, { limit: 'maxMessageSize', actual: 101, max: 100 })
    }
  })

  it('that throw make a fault, with what they threw', () => {
    const cause = new Error('broken')
    const decode = (): never => {
      throw cause
    }
    const pipeline = new ExtensionPipeline([{ name: 'x-name', rsv: 0x40, encode: () => undefined, decode }])
    const fault = pipeline.decode(0x40, Buffer.from('x'), 100)
    assert.ok(!(fault instanceof Uint8Array))
    assert.deepEqual([fault.code, fault.cause], ['ERR_WS_EXTENSION_DATA', cause])
    assert.match(fault.message, /x-name/)
  })

  it('count what they encode and decode, and nothing else', () => {
    const [, , pipeline] = make()
    encode(pipeline, 'xx')
    encode(pipeline, 'x')
    pipeline.prepared(prepare('yyy'))
    pipeline.decode(0x60, Buffer.from('zzzza0b0'), 100)
    pipeline.decode(0x60, Buffer.from('corrupt'), 100)
    assert.deepEqual(pipeline.counters, {
      plainSent: 5,
      encodedSent: 13,
      plainReceived: 4,
      encodedReceived: 8,
    })
  })

  it('hear of idleness, and of the end', () => {
    const [a, b, pipeline] = make()
    pipeline.idle()
    pipeline.dispose()
    for (const { idled, disposed } of [a, b]) assert.deepEqual([idled, disposed], [1, 1])
    const bare = new ExtensionPipeline([
      { name: 'x', rsv: 0, encode: () => undefined, decode: (payload) => payload },
    ])
    bare.idle()
    bare.level = 5
    bare.dispose()
  })
})

it('of extensions that fail at the end one is told, and the rejections of the others are nobody’s', async () => {
  const bare = { rsv: 0, encode: () => undefined, decode: (payload: Uint8Array) => payload }
  const fail = (): never => {
    throw new Error('told')
  }
  const pipeline = new ExtensionPipeline([
    // Whoever writes JavaScript can do so.
    { ...bare, name: 'x', dispose: () => Promise.reject(new Error('not told')) as never },
    { ...bare, name: 'y', dispose: fail },
  ])
  assert.throws(() => pipeline.dispose(), /^Error: told$/)
  // Until then the runner has heard of a rejection.
  await new Promise(setImmediate)
})

describe('a prepared message', () => {
  it('is encoded once for all connections that encode alike', () => {
    const message = prepare('xx')
    const [one, two] = [make()[2], make()[2]]
    const [first, second] = [one.prepared(message), two.prepared(message)]
    assert.deepEqual([first.first, text(first.payload)], [0xe1, 'xxa0b0'])
    assert.equal(first.frame, second.frame)
    assert.equal(text(first.frame).slice(2), 'xxa0b0')
    // Otherwise where compression is off, and for another level.
    two.compress = false
    const third = two.prepared(message)
    assert.deepEqual([third.first, text(third.payload)], [0xa1, 'xxb0'])
    one.level = 5
    const fourth = one.prepared(message)
    assert.deepEqual([fourth.first, text(fourth.payload)], [0xe1, 'xxa5b5'])
    two.compress = true
    assert.equal(two.prepared(message).frame, first.frame)
    one.level = 0
    assert.equal(one.prepared(message).frame, first.frame)
  })

  it('is encoded anew for each connection where one refers to what was before', () => {
    const message = prepare(Buffer.from('xx'))
    const takeover = new Tag('a', 0x40, true, null)
    const pipeline = new ExtensionPipeline([takeover, new Tag('b', 0x20)])
    const encoded = pipeline.prepared(message)
    assert.deepEqual([encoded.first, text(encoded.payload), encoded.frame], [0xe2, 'xxa0b0', undefined])
    // Not where that one is left out.
    pipeline.compress = false
    assert.ok(pipeline.prepared(message).frame instanceof Uint8Array)
  })

  it('is sent as it is where nothing is left to be applied', () => {
    const message = prepare('xx')
    const pipeline = new ExtensionPipeline([new Tag('a', 0x40, true)])
    pipeline.compress = false
    assert.equal(pipeline.prepared(message).frame, message.frame)
  })
})

describe('a message in pieces', () => {
  it('is encoded piece by piece by those that can', () => {
    const [, , pipeline] = make()
    const encoder = pipeline.pieceEncoder()
    assert.deepEqual([encoder.rsv, text(encoder.encode(Buffer.from('x')))], [0x60, 'bax'])
    assert.equal(text(encoder.encode(Buffer.from('y'))), 'bay')
    assert.deepEqual([pipeline.counters.plainSent, pipeline.counters.encodedSent], [2, 6])

    const whole = new Tag('w', 0x10)
    const never: Extension = { name: 'n', rsv: 0, encode: () => undefined, decode: (payload) => payload }
    const mixed = new ExtensionPipeline([
      Object.assign(whole, { pieceEncoder: () => undefined }),
      never,
      new Tag('a', 0x40),
    ])
    const some = mixed.pieceEncoder()
    assert.deepEqual([some.rsv, text(some.encode(Buffer.from('x')))], [0x40, 'ax'])
  })

  it('goes as it is, uncounted, where none can', () => {
    const pipeline = new ExtensionPipeline([new Tag('a', 0x40, true)])
    pipeline.compress = false
    const encoder = pipeline.pieceEncoder()
    const piece = Buffer.from('x')
    assert.deepEqual([encoder.rsv, encoder.encode(piece)], [0, piece])
    assert.equal(pipeline.counters.plainSent, 0)
    // As it was when it began.
    pipeline.compress = true
    assert.equal(encoder.encode(piece), piece)
  })

  it('is decoded piece by piece where one extension has encoded it', async () => {
    const [a, , pipeline] = make()
    const decoder = pipeline.decoder(0x40)
    assert.ok(decoder !== undefined)
    const got: string[] = []
    for await (const plain of decoder.decode(Buffer.from('ax'), false)) got.push(text(plain))
    for await (const plain of decoder.decode(Buffer.from('ayy'), true)) got.push(text(plain))
    decoder.dispose()
    assert.deepEqual([got, a.disposed], [['x', 'yy', 'end of a'], 1])
    assert.deepEqual([pipeline.counters.encodedReceived, pipeline.counters.plainReceived], [5, 11])
  })

  it('can only be decoded whole where several have, or the one cannot, or throws', () => {
    const [, , pipeline] = make()
    assert.equal(pipeline.decoder(0x60), undefined)
    assert.equal(pipeline.decoder(0x10), undefined)
    const broken = (): never => {
      throw new Error('broken')
    }
    for (const decoder of [undefined, () => undefined, broken]) {
      const extension: Extension = {
        name: 'x',
        rsv: 0x40,
        encode: () => undefined,
        decode: (payload) => payload,
        ...(decoder === undefined ? {} : { decoder }),
      }
      assert.equal(new ExtensionPipeline([extension]).decoder(0x40), undefined)
    }
  })
})

describe('an extension that answers with what it may not', () => {
  const rejecting = (): never => Promise.reject(new Error('on purpose')) as never
  const values: Readonly<Record<string, () => never>> = {
    'a promise': rejecting,
    string: () => 'abc' as never,
    null: () => null as never,
  }
  for (const [given, bad] of Object.entries(values)) {
    it(`fails with a mistake that names it: ${given}`, async () => {
      const withA = (own: Partial<Extension>): ExtensionPipeline =>
        new ExtensionPipeline([Object.assign(new Tag('a', 0x40), own)])
      const mistake = {
        code: 'ERR_WS_INVALID_ARGUMENT',
        message: new RegExp(` of a must return .*not ${given}$`),
      }
      const plain = Buffer.from('text')
      assert.throws(() => withA({ encode: bad }).encode(Opcode.Text, plain), mistake)
      assert.throws(() => withA({ encode: bad }).prepared(prepare('text')), mistake)
      assert.throws(() => withA({ pieceEncoder: bad }).pieceEncoder(), mistake)
      assert.throws(
        () =>
          withA({ pieceEncoder: () => bad })
            .pieceEncoder()
            .encode(plain),
        mistake,
      )
      const fault = withA({ decode: bad }).decode(0x40, plain, 100)
      assert.ok(!(fault instanceof Uint8Array))
      assert.deepEqual([fault.code, fault.closeCode], ['ERR_WS_EXTENSION_DATA', 1007])
      assert.throws(() => {
        throw fault.cause
      }, mistake)
      assert.equal(withA({ decoder: bad }).decoder(0x40), undefined)
      const decoded = withA({ decoder: () => ({ decode: bad, dispose() {} }) }).decoder(0x40)
      await assert.rejects(async () => {
        for await (const _ of decoded?.decode(plain, true) ?? []);
      })
      if (given === 'a promise') {
        assert.throws(() => {
          withA({ setLevel: bad }).level = 1
        }, mistake)
      }
      // Until then the runner has heard of a rejection.
      await new Promise(setImmediate)
    })
  }
})
