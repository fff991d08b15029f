import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { cut, type FrameSpec, frame, hex } from '../../test/frames.ts'
import { UsageError } from '../session/errors.ts'
import type { MessageType } from '../session/message.ts'
import { prepare } from '../session/prepared.ts'
import type { Extension, StreamDecoder } from './extension.ts'
import { payloadFault } from './fault.ts'
import { resolveLimits } from './limits.ts'
import { Protocol } from './protocol.ts'
import type { ProtocolHandler, StreamHandler } from './protocol-handler.ts'

const mask = hex('00000000')

interface Setup {
  readonly max?: number
  readonly maxStream?: number
  readonly extensions?: readonly Extension[]
  readonly handler?: Partial<ProtocolHandler>
  readonly holdEnd?: boolean
}

/** An engine whose messages may be taken piece by piece, and what it was heard to say. */
class Engine implements StreamHandler {
  readonly heard: string[] = []
  readonly engine: Protocol
  wanted = false
  decoder: StreamDecoder | undefined
  /** What the owner does about a message that waits. */
  onHeld: () => void = () => {}
  /** What it does within a stream. */
  onPiece: () => void = () => {}
  /** What has been received and not read. */
  #rest = Buffer.alloc(0)

  constructor({ max = 1000, maxStream = 10_000, extensions, handler, holdEnd }: Setup = {}) {
    this.engine = new Protocol({
      role: 'server',
      limits: resolveLimits({ maxMessageSize: max, maxStreamSize: maxStream }),
      extensions,
      streams: this,
      holdEnd,
      handler: {
        onMessage: (type, bytes, start, end) => this.heard.push(`${type} ${show(bytes, start, end)}`),
        onPing: (payload) => this.heard.push(`ping ${payload}`),
        onPong: (payload) => this.heard.push(`pong ${payload}`),
        onClose: ({ code }) => this.heard.push(`close ${code}`),
        onFault: ({ code, message }) => this.heard.push(`fault ${code}: ${message}`),
        ...handler,
      },
    })
  }

  begin(type: MessageType, decoder: StreamDecoder | undefined): void {
    this.decoder = decoder
    this.heard.push(`begin ${type}${decoder === undefined ? '' : ' decoder'}`)
  }

  piece(bytes: Buffer, start: number, end: number): void {
    this.heard.push(`piece ${show(bytes, start, end)}`)
    this.onPiece()
  }

  end(): void {
    this.heard.push('end')
  }

  held(): void {
    this.heard.push('held')
    this.onHeld()
  }

  /** Frames as the peer sends them, in one chunk; what is not read waits for {@link readOn}. */
  receive(...specs: FrameSpec[]): void {
    this.feed(Buffer.concat(specs.map((spec) => frame({ ...spec, mask }))))
  }

  feed(bytes: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, bytes])
    this.readOn()
  }

  readOn(): void {
    const chunk = this.#rest
    this.#rest = Buffer.from(chunk.subarray(this.engine.receive(chunk)))
  }

  /** Bytes that have not been read. */
  get waiting(): number {
    return this.#rest.length
  }

  sent(): string {
    const taken = this.engine.output.take()
    return Buffer.concat(taken instanceof Uint8Array ? [taken] : taken).toString('hex')
  }
}

/** Short text as it is, long by its length. */
function show(bytes: Buffer, start: number, end: number): string {
  return end - start > 40 ? `(${end - start})` : bytes.toString('utf8', start, end)
}

const long = { opcode: 2, payload: Buffer.alloc(2000) }

describe('a message that is wanted piece by piece', () => {
  it('is delivered so as it comes, and whole when it is there at once', () => {
    const peer = new Engine()
    peer.wanted = true
    peer.receive(
      { opcode: 1, fin: false, payload: 'one' },
      { opcode: 9, payload: 'between' },
      { opcode: 0, fin: false },
      { opcode: 0, payload: 'two' },
      { opcode: 1, payload: 'whole' },
    )
    assert.deepEqual(peer.heard, [
      'begin text',
      'piece one',
      'ping between',
      'piece two',
      'end',
      'text whole',
    ])
  })

  it('is delivered in the pieces of one frame, too', () => {
    const peer = new Engine()
    peer.wanted = true
    const bytes = frame({ opcode: 2, payload: 'abcdef', mask })
    peer.feed(bytes.subarray(0, 8))
    assert.deepEqual(peer.heard, ['begin binary', 'piece ab'])
    peer.wanted = false
    peer.feed(bytes.subarray(8, 9))
    peer.feed(bytes.subarray(9))
    assert.deepEqual(peer.heard.slice(2), ['piece c', 'piece def', 'end'])
    peer.receive({ opcode: 1, fin: false, payload: 'put ' }, { opcode: 0, payload: 'together' })
    assert.equal(peer.heard.at(-1), 'text put together')
  })

  it('is delivered unmasked, however its bytes are cut, where it is binary, too', () => {
    const bytes = frame({ opcode: 2, payload: 'masked by a key', mask: hex('a1b2c3d4') })
    for (const at of [7, 8, 9, 10, 11, 20]) {
      const peer = new Engine()
      peer.wanted = true
      // A copy each: they are unmasked in place.
      for (const chunk of cut(bytes, [at])) peer.feed(Buffer.from(chunk))
      const pieces = ['masked by a key'.slice(0, at - 6), 'masked by a key'.slice(at - 6)]
      assert.deepEqual(peer.heard, ['begin binary', ...pieces.map((piece) => `piece ${piece}`), 'end'])
    }
  })

  it('may have no bytes', () => {
    const peer = new Engine()
    peer.wanted = true
    peer.receive({ opcode: 2, fin: false }, { opcode: 0 })
    assert.deepEqual(peer.heard, ['begin binary', 'end'])
  })

  it('may be asked for when it has begun, and nothing is asked for between messages', () => {
    const peer = new Engine()
    peer.engine.stream()
    peer.receive({ opcode: 1, fin: false, payload: 'one' })
    assert.deepEqual(peer.heard, [])
    peer.engine.stream()
    assert.deepEqual(peer.heard, ['begin text', 'piece one'])
    peer.engine.stream()
    peer.receive({ opcode: 0, payload: 'two' })
    peer.engine.stream()
    assert.deepEqual(peer.heard, ['begin text', 'piece one', 'piece two', 'end'])
  })

  it('must be UTF-8 where it is a text, at the first byte that is not', () => {
    for (const [specs, heard] of [
      [[{ opcode: 1, fin: false, payload: hex('61ff') }], []],
      [
        [
          { opcode: 1, fin: false, payload: 'x' },
          { opcode: 0, payload: hex('ff') },
        ],
        ['begin text', 'piece x'],
      ],
      [
        [{ opcode: 1, fin: false, payload: hex('c3') }, { opcode: 0 }],
        ['begin text', 'piece \ufffd'],
      ],
    ] as const) {
      const peer = new Engine()
      peer.wanted = true
      peer.receive(...specs)
      assert.deepEqual(
        peer.heard.filter((line) => line !== 'begin text' || heard.length > 0),
        [...heard, 'fault ERR_WS_INVALID_UTF8: text is not UTF-8'],
      )
    }
    const peer = new Engine()
    peer.wanted = true
    peer.receive({ opcode: 1, fin: false, payload: hex('c3') }, { opcode: 0, fin: false, payload: hex('a9') })
    peer.receive({ opcode: 0 }, { opcode: 1, payload: 'é' })
    assert.deepEqual(peer.heard.slice(-2), ['end', 'text é'])
  })

  it('has its limit', () => {
    const peer = new Engine()
    peer.wanted = true
    peer.receive(
      { opcode: 2, fin: false, payload: Buffer.alloc(9999) },
      { opcode: 0, fin: false, payload: Buffer.alloc(1) },
      { opcode: 0, payload: Buffer.alloc(1) },
    )
    assert.deepEqual(peer.heard.slice(-2), [
      'piece \0',
      'fault ERR_WS_MESSAGE_TOO_LARGE: message of more than 10000 bytes',
    ])
  })

  it('stops where its owner suspends the engine, and goes on', () => {
    const peer = new Engine()
    peer.wanted = true
    peer.onPiece = () => peer.engine.suspend()
    peer.receive(
      { opcode: 2, fin: false, payload: 'one' },
      { opcode: 0, fin: false, payload: 'two' },
      { opcode: 0, payload: 'three' },
    )
    for (const last of ['piece one', 'piece two', 'end']) {
      assert.equal(peer.heard.at(-1), last)
      peer.engine.resume()
      peer.readOn()
    }
  })
})

describe('a message that is longer than is taken whole', () => {
  it('is held in front of its payload, until it is streamed', () => {
    const peer = new Engine()
    peer.receive({ opcode: 1, payload: 'before' }, long, { opcode: 1, payload: 'behind' })
    assert.deepEqual([peer.heard, peer.engine.suspended], [['text before', 'held'], true])
    assert.equal(peer.waiting, 2000 + 12)
    // Nothing is read, whoever says so.
    peer.engine.resume()
    peer.readOn()
    assert.deepEqual([peer.engine.suspended, peer.waiting], [true, 2012])
    peer.engine.stream()
    assert.equal(peer.engine.suspended, false)
    peer.readOn()
    assert.deepEqual(peer.heard.slice(2), ['begin binary', 'piece (2000)', 'end', 'text behind'])
  })

  it('is held at the frame that makes it too long, with what came before', () => {
    const peer = new Engine()
    peer.receive(
      { opcode: 2, fin: false, payload: Buffer.alloc(600) },
      { opcode: 0, fin: false, payload: Buffer.alloc(400) },
      { opcode: 9, payload: 'ping' },
      { opcode: 0, fin: false, payload: Buffer.alloc(1) },
      { opcode: 0, payload: Buffer.alloc(100) },
    )
    assert.deepEqual(peer.heard, ['ping ping', 'held'])
    peer.engine.stream()
    peer.readOn()
    assert.deepEqual(peer.heard.slice(2), ['begin binary', 'piece (1000)', 'piece \0', 'piece (100)', 'end'])
    // The next one is counted anew.
    peer.receive({ opcode: 2, payload: Buffer.alloc(1000) }, long)
    assert.deepEqual(peer.heard.slice(-2), ['binary (1000)', 'held'])
  })

  it('is streamed at once where it is wanted', () => {
    const peer = new Engine()
    peer.wanted = true
    peer.receive(long)
    assert.deepEqual(peer.heard, ['begin binary', 'piece (2000)', 'end'])
    const within = new Engine()
    within.onHeld = () => within.engine.stream()
    within.receive(long)
    assert.deepEqual(within.heard, ['held', 'begin binary', 'piece (2000)', 'end'])
  })

  it('can be refused: that is a fault, with what was announced, at once unless its effect is to wait', () => {
    for (const [late, holdEnd] of [
      [false, false],
      [true, false],
      [true, true],
    ] as const) {
      const faults: unknown[] = []
      const peer = new Engine({ handler: { onFault: ({ limit }) => faults.push(limit) }, holdEnd })
      if (!late) peer.onHeld = () => peer.engine.refuse()
      peer.receive(long, { opcode: 1, payload: 'never read' })
      if (late) peer.engine.refuse()
      const { concluding, faulty } = peer.engine
      assert.deepEqual([faults.length, concluding, faulty], holdEnd ? [0, true, true] : [1, false, false])
      peer.engine.conclude()
      assert.deepEqual(faults, [{ limit: 'maxMessageSize', actual: 2000, max: 1000 }])
      assert.equal(peer.engine.closeSent?.code, 1009)
      peer.engine.refuse()
      peer.engine.stream()
      peer.readOn()
      assert.deepEqual(peer.heard, ['held'])
    }
  })

  it('is refused by itself above the limit for streams, which is told by its name', () => {
    const faults: unknown[] = []
    const handler: Partial<ProtocolHandler> = { onFault: ({ limit }) => faults.push(limit) }
    new Engine({ handler, maxStream: 1500 }).receive(long)
    new Engine({ handler, maxStream: 500 }).receive(long)
    assert.deepEqual(faults, [
      { limit: 'maxFrameSize', actual: 2000, max: 1500 },
      { limit: 'maxFrameSize', actual: 2000, max: 1000 },
    ])
    const piecemeal = new Engine({ handler, maxStream: 1500 })
    piecemeal.wanted = true
    piecemeal.receive({ ...long, fin: false, payload: Buffer.alloc(1500) }, { opcode: 0, payload: 'x' })
    assert.deepEqual(faults[2], { limit: 'maxStreamSize', actual: 1501, max: 1500 })
  })

  it('is never held where nothing is taken piece by piece', () => {
    const heard: string[] = []
    const engine = new Protocol({
      role: 'server',
      limits: resolveLimits({ maxMessageSize: 1000, maxStreamSize: 10_000, maxFrameSize: 10_000 }),
      handler: {
        onMessage() {},
        onPing() {},
        onPong() {},
        onClose() {},
        onFault: ({ limit }) => heard.push(`${limit?.limit} ${limit?.max}`),
      },
    })
    engine.receive(frame({ ...long, mask }))
    assert.deepEqual(heard, ['maxMessageSize 1000'])
    engine.stream()
    engine.refuse()
  })

  it('is read over once messages are ignored, as all others; control frames are not', () => {
    for (const before of [[], [long], [{ opcode: 2, fin: false, payload: 'some' }]]) {
      const peer = new Engine()
      peer.receive(...before)
      const { length } = peer.heard
      peer.engine.ignoreMessages()
      assert.equal(peer.engine.suspended, false)
      peer.readOn()
      if (before[0]?.opcode === 2 && 'fin' in before[0]) peer.receive({ opcode: 0, payload: 'rest' })
      peer.receive(
        long,
        { opcode: 1, payload: 'small' },
        { opcode: 1, payload: hex('ff') },
        { opcode: 9, payload: 'ping' },
        { opcode: 8, payload: hex('03e8') },
      )
      assert.deepEqual(peer.heard.slice(length), ['ping ping', 'close 1000'])
      assert.equal(peer.engine.closing, 'done')
    }
  })

  it('ignored in the midst of being held lets the rest of the chunk be read', () => {
    const peer = new Engine()
    peer.onHeld = () => peer.engine.ignoreMessages()
    peer.receive(long, { opcode: 8, payload: hex('03e8') })
    assert.deepEqual([peer.heard, peer.waiting], [['held', 'close 1000'], 0])
  })
})

describe('the limit of messages', () => {
  it('can be changed, for frames that have not begun to come', () => {
    const peer = new Engine({ max: 100, maxStream: 100 })
    peer.engine.setMaxMessageSize(3000)
    peer.receive(long)
    assert.deepEqual(peer.heard, ['binary (2000)'])
    const bytes = frame({ ...long, mask })
    peer.feed(bytes.subarray(0, 20))
    peer.engine.setMaxMessageSize(1000)
    peer.feed(bytes.subarray(20))
    assert.deepEqual(peer.heard.slice(1), ['binary (2000)'])
    peer.receive(long)
    assert.match(peer.heard[2] as string, /^fault ERR_WS_FRAME_TOO_LARGE/)
  })

  it('below that of streams holds what is longer', () => {
    const peer = new Engine({ max: 10_000 })
    peer.receive(long)
    peer.engine.setMaxMessageSize(1000)
    peer.receive(long)
    assert.deepEqual(peer.heard, ['binary (2000)', 'held'])
    peer.engine.refuse()
    peer.engine.conclude()
    assert.equal(peer.heard[2], 'fault ERR_WS_MESSAGE_TOO_LARGE: message of more than 1000 bytes')
  })

  it('counts a message from its first frame, also where the limit was another', () => {
    const peer = new Engine({ max: 10_000 })
    peer.receive(
      { opcode: 2, payload: Buffer.alloc(990) },
      { opcode: 2, fin: false, payload: Buffer.alloc(600) },
    )
    peer.engine.setMaxMessageSize(1000)
    peer.receive({ opcode: 0, fin: false, payload: Buffer.alloc(400) })
    assert.deepEqual(peer.heard, ['binary (990)'])
    peer.receive({ opcode: 0, fin: false, payload: 'x' })
    assert.deepEqual(peer.heard.slice(1), ['held'])
    // An empty frame adds nothing.
    const other = new Engine({ max: 10_000 })
    other.receive({ opcode: 2, fin: false, payload: Buffer.alloc(600) })
    other.engine.setMaxMessageSize(500)
    other.receive({ opcode: 0 })
    assert.deepEqual(other.heard, ['binary (600)'])
  })
})

describe('an encoded message', () => {
  /** Doubles every byte. */
  const twice = (overrides: Partial<Extension> = {}): Extension => ({
    name: 'twice',
    rsv: 0x40,
    encode: (payload) => Buffer.from([...payload].flatMap((byte) => [byte, byte])),
    decode: (payload, maxSize) =>
      payload.length / 2 > maxSize ? 'too large' : payload.filter((_, i) => i % 2 === 0),
    decoder: () => ({
      async *decode(piece) {
        yield piece
      },
      dispose() {},
    }),
    ...overrides,
  })
  const encoded = (size: number): FrameSpec => ({ opcode: 2, rsv: 4, payload: Buffer.alloc(size) })

  it('is streamed as it was sent, with its decoder, unchecked', () => {
    const peer = new Engine({ extensions: [twice()] })
    peer.wanted = true
    peer.receive({ opcode: 1, rsv: 4, fin: false, payload: hex('ff') }, { opcode: 0, payload: hex('fe') })
    assert.deepEqual(peer.heard, ['begin text decoder', 'piece \ufffd', 'piece \ufffd', 'end'])
    assert.ok(peer.decoder !== undefined)
    peer.receive({ opcode: 1, fin: false, payload: 'plain' }, { opcode: 0 })
    assert.deepEqual(peer.heard.slice(4), ['begin text', 'piece plain', 'end'])
    assert.equal(peer.decoder, undefined)
  })

  it('is held when it is too long as it is, or turns out so', () => {
    const late = twice({ decode: (payload, maxSize) => (maxSize < 5000 ? 'too large' : payload) })
    const cases: [string, Extension, FrameSpec[], string[]][] = [
      ['as it is', twice(), [encoded(5000)], ['piece (5000)', 'end']],
      ['decoded', late, [encoded(500)], ['piece (500)', 'end']],
      [
        'decoded from fragments',
        late,
        [
          { ...encoded(300), fin: false },
          { opcode: 0, payload: Buffer.alloc(200) },
        ],
        ['piece (500)', 'end'],
      ],
    ]
    for (const [what, extension, specs, rest] of cases) {
      const peer = new Engine({ extensions: [extension] })
      peer.receive(...specs, { opcode: 1, payload: 'behind' })
      assert.deepEqual(peer.heard, ['held'], what)
      assert.equal(peer.engine.suspended, true)
      peer.engine.stream()
      peer.readOn()
      assert.deepEqual(peer.heard, ['held', 'begin binary decoder', ...rest, 'text behind'], what)

      const wanted = new Engine({ extensions: [extension] })
      wanted.wanted = true
      wanted.receive(specs[0] as FrameSpec, ...specs.slice(1))
      assert.deepEqual(wanted.heard.at(-1), 'end', what)

      const refused = new Engine({ extensions: [extension] })
      refused.receive(...specs, { opcode: 1, payload: 'behind' })
      refused.engine.refuse()
      refused.engine.conclude()
      assert.deepEqual(refused.heard, [
        'held',
        'fault ERR_WS_MESSAGE_TOO_LARGE: message of more than 1000 bytes',
      ])

      const ignored = new Engine({ extensions: [extension] })
      ignored.receive(...specs, { opcode: 8 })
      ignored.engine.ignoreMessages()
      ignored.readOn()
      assert.deepEqual(ignored.heard, ['held', 'close 1005'], what)
    }
  })

  it('may be a little longer than its limit while it is encoded', () => {
    const peer = new Engine({ extensions: [twice({ decode: (payload) => payload.subarray(0, 1000) })] })
    peer.receive(encoded(1189), encoded(1190))
    assert.deepEqual(peer.heard, ['binary (1000)', 'held'])
  })

  it('that cannot be decoded piece by piece is put together, wanted or not', () => {
    const peer = new Engine({ extensions: [twice({ decoder: () => undefined })] })
    peer.wanted = true
    peer.receive({ opcode: 1, rsv: 4, fin: false, payload: 'aab' }, { opcode: 0, payload: 'b' })
    assert.deepEqual(peer.heard, ['text ab'])
    peer.receive({ opcode: 1, rsv: 4, fin: false, payload: 'aab' })
    peer.engine.stream()
    peer.receive({ opcode: 0, payload: 'b' })
    assert.deepEqual(peer.heard.slice(1), ['text ab'])
    assert.equal(peer.engine.closing, 'open')
  })

  it('that cannot be decoded piece by piece is refused when it is too long', () => {
    for (const wanted of [true, false]) {
      const peer = new Engine({ extensions: [twice({ decoder: () => undefined })] })
      peer.wanted = wanted
      peer.receive(encoded(5000))
      if (!wanted) {
        assert.deepEqual(peer.heard, ['held'])
        peer.engine.stream()
        peer.engine.conclude()
      }
      assert.equal(peer.heard.at(-1), 'fault ERR_WS_MESSAGE_TOO_LARGE: message of more than 1000 bytes')
    }
  })

  it('is sent in pieces, or whole in frames of the owner', () => {
    const { engine, sent } = new Engine({ extensions: [twice({ pieceEncoder: () => (piece) => piece })] })
    const pieces = engine.pieceEncoder()
    assert.deepEqual([pieces?.rsv, String(pieces?.encode(Buffer.from('x')))], [0x40, 'x'])
    const { first, payload } = engine.encode('text', Buffer.from('ab'))
    assert.deepEqual([first, String(payload)], [0xc1, 'aabb'])
    assert.equal(engine.sendFrame({ first: first & 0x7f, payload: payload.subarray(0, 3) }), true)
    assert.equal(engine.sendFrame({ first: 0x80, payload: payload.subarray(3) }), true)
    const prepared = engine.encodePrepared(prepare('c'))
    assert.deepEqual([prepared.first, String(prepared.payload)], [0xc1, 'cc'])
    assert.equal(sent.call({ engine }), '4103616162' + '800162')
  })
})

describe('without extensions', () => {
  it('messages are encoded as they are', () => {
    const { engine } = new Engine()
    assert.equal(engine.pieceEncoder(), undefined)
    const payload = Buffer.from('x')
    assert.deepEqual(engine.encode('binary', payload), { first: 0x82, payload })
    const message = prepare('text')
    assert.deepEqual(engine.encodePrepared(message), {
      first: 0x81,
      payload: message.payload,
      frame: message.frame,
    })
    engine.compressionLevel = 5
    engine.compress = false
    assert.deepEqual([engine.compress, engine.encoding, engine.masks], [true, undefined, false])
    engine.sendClose(1000)
    assert.equal(engine.sendFrame({ first: 0x81, payload }), false)
  })

  it('what a client sends is masked', () => {
    const engine = new Protocol({
      role: 'client',
      limits: resolveLimits({}),
      mask: () => 0,
      handler: { onMessage() {}, onPing() {}, onPong() {}, onClose() {}, onFault() {} },
    })
    assert.equal(engine.masks, true)
  })
})

describe('what the owner may decide', () => {
  it('that a rule is broken: as if the engine had found it', () => {
    for (const before of ['open', 'closeSent'] as const) {
      const peer = new Engine()
      if (before === 'closeSent') peer.engine.sendClose(4000)
      peer.engine.fail(payloadFault('ERR_WS_EXTENSION_DATA', 'broken'))
      peer.engine.fail(payloadFault('ERR_WS_EXTENSION_DATA', 'once more'))
      assert.deepEqual(peer.heard, ['fault ERR_WS_EXTENSION_DATA: broken'])
      assert.equal(peer.engine.closing, 'failed')
      assert.equal(peer.engine.closeSent?.code, before === 'open' ? 1007 : 4000)
      peer.receive({ opcode: 1, payload: 'never read' })
      assert.equal(peer.heard.length, 1)
    }
  })

  it('that it answers pings', () => {
    for (const answersPings of [true, false]) {
      const peer = new Engine({ handler: { answersPings } })
      peer.receive({ opcode: 9, payload: 'x' })
      assert.deepEqual([peer.heard, peer.sent()], [['ping x'], answersPings ? '' : '8a0178'])
      peer.engine.sendPong(Buffer.from('y'))
      assert.equal(peer.sent(), '8a0179')
    }
  })

  it('how a Close frame is answered', () => {
    const peer = new Engine({
      handler: { closeAnswer: ({ code, reason }) => ({ code: code + 1, reason: `${reason}!` }) },
    })
    peer.receive({ opcode: 8, payload: Buffer.concat([hex('0fa0'), Buffer.from('bye')]) })
    assert.deepEqual([peer.heard, peer.engine.closeSent], [['close 4000'], { code: 4001, reason: 'bye!' }])
    const late = new Engine({ handler: { closeAnswer: () => ({ code: 4001, reason: '' }) } })
    late.engine.sendClose(4002)
    late.receive({ opcode: 8, payload: hex('0fa0') })
    assert.equal(late.engine.closeSent?.code, 4002)
    const none = new Engine({ handler: { closeAnswer: () => ({ code: 1005, reason: '' }) } })
    none.receive({ opcode: 8, payload: hex('0fa0') })
    assert.equal(none.sent(), '8800')
  })

  it('nothing that a Close frame may not hold', () => {
    const { engine } = new Engine()
    assert.throws(() => engine.sendClose(1006), UsageError)
  })
})

describe('whatever is sent, however it is cut, and whoever wants it', () => {
  const message = fc.record({
    text: fc.boolean(),
    sizes: fc.array(fc.oneof(fc.nat(5), fc.nat(300)), { minLength: 1, maxLength: 5 }),
    pings: fc.boolean(),
  })

  it('the messages are the same, with or without streams', () => {
    fc.assert(
      fc.property(
        fc.array(message, { maxLength: 8 }),
        fc.array(fc.nat(3000), { maxLength: 10 }),
        fc.array(fc.boolean(), { minLength: 1, maxLength: 7 }),
        fc.constantFrom(100, 400, 10_000),
        (messages, cuts, wants, max) => {
          let seed = 0
          const expected: string[] = []
          const frames = messages.flatMap(({ text, sizes, pings }) => {
            const parts = sizes.map((size) => Buffer.alloc(size, text ? `é${seed++}` : Buffer.of(seed++)))
            const whole = Buffer.concat(parts)
            // Cut in the middle of a character at the end of each part: put right by what follows.
            const valid = text ? Buffer.from(whole.toString('utf8').replaceAll('\ufffd', ''), 'utf8') : whole
            expected.push(`${text ? 'text' : 'binary'} ${valid.toString('hex')}`)
            const step = Math.max(1, Math.ceil(valid.length / sizes.length))
            const specs: FrameSpec[] = []
            for (let at = 0; at < valid.length || at === 0; at += step) {
              specs.push({
                opcode: at === 0 ? (text ? 1 : 2) : 0,
                fin: at + step >= valid.length,
                payload: valid.subarray(at, at + step),
              })
              if (pings) specs.push({ opcode: 9, payload: 'ping' })
            }
            return specs
          })
          const bytes = Buffer.concat(frames.map((spec) => frame({ ...spec, mask })))
          const got: string[] = []
          let parts: Buffer[] = []
          let type = ''
          let asked = 0
          const streams: StreamHandler = {
            get wanted() {
              return wants[asked++ % wants.length] as boolean
            },
            begin: (begun) => {
              type = begun
            },
            piece: (chunk, start, end) => void parts.push(Buffer.from(chunk.subarray(start, end))),
            end: () => {
              got.push(`${type} ${Buffer.concat(parts).toString('hex')}`)
              parts = []
            },
            held: () => engine.stream(),
          }
          const engine = new Protocol({
            role: 'server',
            limits: resolveLimits({ maxMessageSize: max, maxStreamSize: 10_000 }),
            streams,
            handler: {
              onMessage: (kind, chunk, start, end) =>
                got.push(`${kind} ${chunk.toString('hex', start, end)}`),
              onPing: () => wants[asked++ % wants.length] && engine.stream(),
              onPong() {},
              onClose() {},
              onFault: ({ message }) => assert.fail(message),
            },
          })
          const offsets = cuts.map((at) => Math.min(at, bytes.length)).sort((a, b) => a - b)
          for (const chunk of cut(bytes, offsets)) assert.equal(engine.receive(chunk), chunk.length)
          assert.deepEqual(got, expected)
        },
      ),
      { numRuns: 150 },
    )
  })
})
