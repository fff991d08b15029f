import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { frame, hex } from '../../test/frames.ts'
import { UsageError } from '../session/errors.ts'
import { prepare } from '../session/prepared.ts'
import type { Extension } from './extension.ts'
import { defaultLimits, type Limits } from './limits.ts'
import { Protocol, type ProtocolOptions } from './protocol.ts'

const mask = hex('00000000')

interface Setup {
  readonly holdEnd?: boolean
  readonly role?: 'server' | 'client'
  readonly limits?: Partial<Limits>
  readonly extensions?: readonly Extension[]
}

/** An engine, what it heard as lines, and what it says. */
class Engine {
  readonly heard: string[] = []
  readonly engine: Protocol
  /** Called in the midst of each message. */
  onMessage: () => void = () => {}
  readonly #role: 'server' | 'client'

  constructor({ role = 'server', limits, extensions, holdEnd }: Setup = {}) {
    this.#role = role
    const options: ProtocolOptions = {
      role,
      limits: { ...defaultLimits, ...limits },
      extensions,
      holdEnd,
      mask: () => 0,
      handler: {
        onMessage: (type, bytes, start, end, ascii) => {
          this.heard.push(`${type}${ascii ? ' ascii' : ''} ${bytes.toString('utf8', start, end)}`)
          this.onMessage()
        },
        onPing: (payload) => this.heard.push(`ping ${payload}`),
        onPong: (payload) => this.heard.push(`pong ${payload}`),
        onClose: ({ code, reason }) => this.heard.push(`close ${code} ${reason}`),
        onFault: ({ code }) => this.heard.push(`fault ${code}`),
      },
    }
    this.engine = new Protocol(options)
  }

  /** Frames as the peer sends them. */
  receive(...frames: Parameters<typeof frame>[0][]): void {
    for (const spec of frames) this.engine.receive(frame(this.#role === 'server' ? { ...spec, mask } : spec))
  }

  /** What it has to send, as hexadecimal digits. */
  sent(): string {
    const taken = this.engine.output.take()
    return Buffer.concat(taken instanceof Uint8Array ? [taken] : taken).toString('hex')
  }
}

const sentFrame = (spec: Parameters<typeof frame>[0]): string => frame(spec).toString('hex')

describe('what comes in', () => {
  it('is delivered as messages', () => {
    const peer = new Engine()
    peer.receive(
      { opcode: 1, payload: 'ascii' },
      { opcode: 1, payload: 'é' },
      { opcode: 2, payload: 'bytes' },
      { opcode: 1, payload: '' },
      { opcode: 1, fin: false, payload: 'frag' },
      { opcode: 10, payload: 'between' },
      { opcode: 0, payload: 'ments' },
    )
    assert.deepEqual(peer.heard, [
      'text ascii ascii',
      'text é',
      'binary bytes',
      'text ascii ',
      'pong between',
      'text fragments',
    ])
    assert.equal(peer.sent(), '')
  })

  it('fails at the first bad byte of a text, before its end', () => {
    const whole = new Engine()
    whole.receive({ opcode: 1, payload: hex('61ff') })
    assert.deepEqual(whole.heard, ['fault ERR_WS_INVALID_UTF8'])

    const fragment = new Engine()
    fragment.receive({ opcode: 1, fin: false, payload: hex('61ff') })
    assert.deepEqual(fragment.heard, ['fault ERR_WS_INVALID_UTF8'])

    const piece = new Engine()
    const bytes = frame({ opcode: 1, payload: Buffer.concat([hex('ff'), Buffer.alloc(100)]), mask })
    piece.engine.receive(bytes.subarray(0, 8))
    assert.deepEqual(piece.heard, ['fault ERR_WS_INVALID_UTF8'])
    assert.equal(piece.engine.closeSent?.code, 1007)
  })

  it('fails when a text ends inside a character', () => {
    const peer = new Engine()
    peer.receive({ opcode: 1, fin: false, payload: hex('c3') }, { opcode: 0, payload: '' })
    assert.deepEqual(peer.heard, ['fault ERR_WS_INVALID_UTF8'])
  })

  it('may split characters between fragments, and begins anew with each message', () => {
    const peer = new Engine()
    const halves = [
      { opcode: 1, fin: false, payload: hex('c3') },
      { opcode: 0, payload: hex('a9') },
    ]
    peer.receive(
      ...halves,
      { opcode: 2, fin: false, payload: hex('ff') },
      { opcode: 0, payload: '' },
      ...halves,
    )
    assert.deepEqual(peer.heard.filter((line) => line === 'text é').length, 2)
    assert.equal(peer.heard.length, 3)
  })

  it('is not read behind a fault', () => {
    const peer = new Engine()
    const stream = Buffer.concat([hex('83'), frame({ opcode: 1, payload: 'x', mask })])
    assert.equal(peer.engine.receive(stream), stream.length)
    peer.receive({ opcode: 1, payload: 'y' })
    assert.deepEqual(peer.heard, ['fault ERR_WS_RESERVED_OPCODE'])
    assert.deepEqual([peer.engine.closing, peer.engine.closedBy], ['failed', 'local'])
    assert.match(peer.sent(), /^88..03ea/)
  })

  it('stops where it is suspended, and goes on from there', () => {
    const peer = new Engine()
    peer.onMessage = () => peer.engine.suspend()
    const chunk = Buffer.concat(['one', 'two'].map((payload) => frame({ opcode: 1, payload, mask })))
    const at = peer.engine.receive(chunk)
    assert.deepEqual([at, peer.engine.suspended, peer.heard.length], [9, true, 1])
    peer.engine.resume()
    assert.equal(peer.engine.suspended, false)
    assert.equal(peer.engine.receive(chunk, at), chunk.length)
    assert.deepEqual(peer.heard, ['text ascii one', 'text ascii two'])
  })

  it('may have control frames in pieces', () => {
    const peer = new Engine()
    const bytes = frame({ opcode: 9, payload: 'x'.repeat(125), mask })
    for (const byte of bytes) peer.engine.receive(Buffer.of(byte))
    peer.receive({ opcode: 9, payload: 'y' })
    assert.deepEqual(peer.heard, [`ping ${'x'.repeat(125)}`, 'ping y'])
  })

  it('may have a control frame cut inside its payload between the fragments of a binary message', () => {
    const key = hex('a1b2c3d4')
    const ping = frame({ opcode: 9, payload: 'payload of a ping', mask: key })
    for (let at = 0; at <= ping.length; at++) {
      const peer = new Engine()
      for (const bytes of [
        frame({ opcode: 2, fin: false, payload: 'one ', mask: key }),
        Buffer.from(ping.subarray(0, at)),
        Buffer.from(ping.subarray(at)),
        frame({ opcode: 0, payload: 'two', mask: key }),
      ])
        peer.engine.receive(bytes)
      assert.deepEqual(peer.heard, ['ping payload of a ping', 'binary one two'], `cut at ${at}`)
      assert.equal(peer.sent(), sentFrame({ opcode: 10, payload: 'payload of a ping' }))
    }
  })
})

describe('pings', () => {
  it('are answered with their payload', () => {
    const peer = new Engine()
    peer.receive({ opcode: 9, payload: 'a' }, { opcode: 9, payload: '' })
    assert.equal(peer.sent(), sentFrame({ opcode: 10, payload: 'a' }) + sentFrame({ opcode: 10 }))
  })

  it('are answered by the latest alone while output does not get away', () => {
    const peer = new Engine()
    peer.engine.congested = true
    assert.equal(peer.engine.congested, true)
    for (let i = 0; i < 1000; i++) {
      const chunk = frame({ opcode: 9, payload: `${i}`, mask })
      peer.engine.receive(chunk)
      // Whoever owns the chunk uses it for something else.
      chunk.fill(0)
    }
    assert.equal(peer.engine.output.pending, 0)
    peer.engine.congested = true
    assert.equal(peer.engine.output.pending, 0)
    peer.engine.congested = false
    assert.equal(peer.sent(), sentFrame({ opcode: 10, payload: '999' }))
    peer.engine.congested = false
    assert.equal(peer.sent(), '')
  })

  it('are answered behind our Close frame, until the peer has sent its own', () => {
    const peer = new Engine()
    peer.engine.sendClose(1000)
    peer.sent()
    peer.receive({ opcode: 9, payload: 'a' })
    assert.deepEqual([peer.heard, peer.sent()], [['ping a'], sentFrame({ opcode: 10, payload: 'a' })])
    peer.receive({ opcode: 8 }, { opcode: 9, payload: 'b' })
    assert.deepEqual([peer.heard.length, peer.sent()], [2, ''])
  })

  it('have at most 125 bytes', () => {
    const { engine } = new Engine()
    for (const send of [() => engine.sendPing(Buffer.alloc(126)), () => engine.sendPong(Buffer.alloc(126))])
      assert.throws(send, (error) => error instanceof UsageError && error.code === 'ERR_WS_INVALID_ARGUMENT')
    assert.equal(engine.output.pending, 0)
  })
})

describe('what goes out', () => {
  const sendAll = ({ engine }: Engine): boolean[] => [
    engine.sendText('text'),
    engine.sendBytes('text', Buffer.from('bytes')),
    engine.sendBytes('binary', Buffer.from('bytes')),
    engine.sendPrepared(prepare('prepared')),
    engine.sendPing(Buffer.from('ping')),
    engine.sendPong(Buffer.from('pong')),
  ]
  const specs = [
    { opcode: 1, payload: 'text' },
    { opcode: 1, payload: 'bytes' },
    { opcode: 2, payload: 'bytes' },
    { opcode: 1, payload: 'prepared' },
    { opcode: 9, payload: 'ping' },
    { opcode: 10, payload: 'pong' },
  ]

  it('is framed', () => {
    const peer = new Engine()
    assert.deepEqual(new Set(sendAll(peer)), new Set([true]))
    assert.equal(peer.sent(), specs.map(sentFrame).join(''))
  })

  it('is masked on a client', () => {
    const peer = new Engine({ role: 'client' })
    sendAll(peer)
    assert.equal(peer.sent(), specs.map((spec) => sentFrame({ ...spec, mask })).join(''))
  })

  it('is nothing once the end has begun', () => {
    const ends: ((engine: Protocol) => void)[] = [
      (engine) => void engine.sendClose(1000),
      (engine) => void engine.receive(frame({ opcode: 8, mask })),
      (engine) => void engine.receive(hex('83')),
      (engine) => engine.receiveEnd(),
    ]
    for (const end of ends) {
      const peer = new Engine()
      end(peer.engine)
      peer.sent()
      const results = sendAll(peer)
      // But for pongs, which may be wanted until the peer's Close frame.
      assert.equal(results.pop(), peer.engine.closing === 'closeSent')
      assert.deepEqual(new Set(results), new Set([false]))
      peer.sent()
      assert.equal(peer.engine.sendClose(1000), false)
      assert.equal(peer.sent(), '')
    }
  })

  it('must be masked on a client', () => {
    const handler = { onMessage() {}, onPing() {}, onPong() {}, onClose() {}, onFault() {} }
    assert.throws(
      () => new Protocol({ role: 'client', limits: defaultLimits, handler }),
      (error) => error instanceof UsageError && /^mask: /.test(error.message),
    )
  })

  it('comes from the slabs that it is given', () => {
    let acquired = 0
    const engine = new Protocol({
      role: 'server',
      limits: defaultLimits,
      handler: { onMessage() {}, onPing() {}, onPong() {}, onClose() {}, onFault() {} },
      slabs: {
        acquire: (size) => {
          acquired++
          return Buffer.alloc(size)
        },
        release: () => {},
      },
    })
    engine.sendText('x')
    assert.equal(acquired, 1)
  })
})

describe('the closing handshake', () => {
  it('begun by us ends with the answer', () => {
    const peer = new Engine()
    assert.equal(peer.engine.sendClose(4000, 'bye'), true)
    assert.equal(
      peer.sent(),
      sentFrame({ opcode: 8, payload: Buffer.concat([hex('0fa0'), Buffer.from('bye')]) }),
    )
    assert.equal(peer.engine.closing, 'closeSent')
    peer.receive({ opcode: 1, payload: 'still' }, { opcode: 8, payload: hex('0fa0') })
    assert.deepEqual(peer.heard, ['text ascii still', 'close 4000 '])
    assert.deepEqual([peer.engine.closing, peer.engine.closedBy, peer.sent()], ['done', 'local', ''])
    assert.deepEqual(peer.engine.closeSent, { code: 4000, reason: 'bye' })
  })

  it('begun by the peer is answered with its code', () => {
    const peer = new Engine()
    const stream = Buffer.concat([
      frame({ opcode: 8, payload: Buffer.concat([hex('03e9'), Buffer.from('é')]), mask }),
      frame({ opcode: 1, payload: 'never read', mask }),
    ])
    assert.equal(peer.engine.receive(stream), stream.length)
    assert.deepEqual(peer.heard, ['close 1001 é'])
    assert.equal(peer.sent(), '880203e9')
    assert.deepEqual([peer.engine.closing, peer.engine.closedBy], ['done', 'remote'])
    assert.deepEqual(peer.engine.closeReceived, { code: 1001, reason: 'é' })
    assert.equal(peer.engine.receive(Buffer.from('rest')), 4)
  })

  it('without a code is answered without one', () => {
    const peer = new Engine()
    peer.receive({ opcode: 8 })
    assert.deepEqual([peer.heard, peer.sent()], [['close 1005 '], '8800'])
    const ours = new Engine()
    ours.engine.sendClose()
    assert.equal(ours.sent(), '8800')
  })

  it('refuses codes and reasons that may not be', () => {
    for (const [payload, code, sent] of [
      ['03ed', 'ERR_WS_CLOSE_CODE', 1002],
      ['0000', 'ERR_WS_CLOSE_CODE', 1002],
      ['1388', 'ERR_WS_CLOSE_CODE', 1002],
      ['03e8ff', 'ERR_WS_CLOSE_REASON', 1007],
    ] as const) {
      const peer = new Engine()
      peer.receive({ opcode: 8, payload: hex(payload) })
      assert.deepEqual(peer.heard, [`fault ${code}`])
      assert.equal(peer.engine.closeSent?.code, sent)
      assert.equal(peer.engine.closeReceived, undefined)
    }
  })

  it('can wait until what came before it is answered', () => {
    const peer = new Engine({ holdEnd: true })
    const close = frame({ opcode: 8, payload: hex('03e8'), mask })
    const stream = Buffer.concat([frame({ opcode: 1, payload: 'x', mask }), close, close])
    assert.equal(peer.engine.receive(stream), stream.length)
    const { closing, concluding } = peer.engine
    assert.deepEqual([closing, concluding, peer.heard], ['open', true, ['text ascii x']])
    peer.engine.sendText('answer')
    // Nothing that follows is read, resumed or not.
    peer.engine.resume()
    peer.receive({ opcode: 1, payload: 'y' })
    peer.engine.conclude()
    assert.deepEqual(peer.heard, ['text ascii x', 'close 1000 '])
    assert.equal(peer.sent(), `${sentFrame({ opcode: 1, payload: 'answer' })}880203e8`)
    assert.deepEqual([peer.engine.closing, peer.engine.concluding], ['done', false])
    peer.engine.conclude()
    assert.equal(peer.sent(), '')
  })

  it('can wait with a fault too', () => {
    const peer = new Engine({ holdEnd: true })
    peer.engine.receive(hex('83'))
    assert.deepEqual([peer.heard, peer.engine.concluding], [[], true])
    peer.engine.sendText('answer')
    peer.engine.conclude()
    assert.deepEqual(peer.heard, ['fault ERR_WS_RESERVED_OPCODE'])
    assert.match(peer.sent(), new RegExp(`^${sentFrame({ opcode: 1, payload: 'answer' })}88..03ea`))
  })

  it('is ours when we close while the peer waits for the answer', () => {
    const peer = new Engine({ holdEnd: true })
    peer.receive({ opcode: 8, payload: hex('03e8') })
    peer.engine.sendClose(4000)
    peer.engine.conclude()
    assert.deepEqual([peer.engine.closing, peer.engine.closedBy, peer.sent()], ['done', 'local', '88020fa0'])
  })

  it('never carries a code that may not be sent', () => {
    const { engine } = new Engine()
    for (const code of [0, 999, 1004, 1006, 1015, 2999, 5000, 70_000, Number.NaN])
      assert.throws(() => engine.sendClose(code), UsageError, `${code}`)
    assert.deepEqual([engine.closing, engine.output.pending], ['open', 0])
  })

  it('is lost with the transport', () => {
    const peer = new Engine()
    peer.engine.receiveEnd()
    assert.deepEqual([peer.engine.closing, peer.engine.closedBy], ['lost', 'network'])
  })

  it('keeps our first Close frame when the peer then breaks a rule', () => {
    const peer = new Engine()
    peer.engine.sendClose(1000)
    peer.engine.receive(hex('83'))
    assert.deepEqual([peer.engine.closing, peer.engine.closedBy], ['failed', 'local'])
    assert.deepEqual([peer.engine.closeSent?.code, peer.sent()], [1000, '880203e8'])
  })
})

describe('extensions', () => {
  /** Writes every byte twice, and leaves messages of one byte as they are. */
  class Twice implements Extension {
    readonly name = 'twice'
    readonly rsv: number
    disposed = 0
    constructor(rsv: number) {
      this.rsv = rsv
    }
    encode(payload: Uint8Array): Uint8Array | undefined {
      return payload.length === 1 ? undefined : Uint8Array.from([...payload].flatMap((byte) => [byte, byte]))
    }
    decode(payload: Uint8Array, maxSize: number): Uint8Array | 'too large' | 'corrupt' {
      if (payload.length % 2 !== 0) return 'corrupt'
      if (payload.length / 2 > maxSize) return 'too large'
      return payload.filter((_, i) => i % 2 === 0)
    }
    dispose(): void {
      this.disposed++
    }
  }

  it('transform messages, the last one first on the way back', () => {
    const extensions = [new Twice(0x40), new Twice(0x20)]
    const sender = new Engine({ extensions })
    const receiver = new Engine({ role: 'client', extensions })
    sender.engine.sendText('ab')
    sender.engine.sendText('c')
    sender.engine.sendBytes('binary', Buffer.from('de'))
    sender.engine.sendPrepared(prepare('é'))
    const bytes = Buffer.from(sender.sent(), 'hex')
    assert.equal(bytes.subarray(0, 10).toString('latin1'), '\xe1\x08aaaabbbb')
    receiver.engine.receive(bytes)
    assert.deepEqual(receiver.heard, ['text ab', 'text c', 'binary de', 'text é'])
  })

  it('see a fragmented message whole', () => {
    const peer = new Engine({ extensions: [new Twice(0x40)] })
    peer.receive({ opcode: 1, rsv: 4, fin: false, payload: 'aab' }, { opcode: 0, payload: 'b' })
    assert.deepEqual(peer.heard, ['text ab'])
  })

  it('whose data is corrupt, too large or no text fail the connection', () => {
    const setup = { extensions: [new Twice(0x40)], limits: { maxMessageSize: 3 } }
    const corrupt = new Engine(setup)
    corrupt.receive({ opcode: 2, rsv: 4, payload: 'aab' })
    assert.deepEqual(corrupt.heard, ['fault ERR_WS_EXTENSION_DATA'])
    assert.equal(corrupt.engine.closeSent?.code, 1007)

    class Grows extends Twice {
      override decode(): 'too large' {
        return 'too large'
      }
    }
    const large = new Engine({ ...setup, extensions: [new Grows(0x40)] })
    large.receive({ opcode: 2, rsv: 4, payload: 'aa' })
    assert.deepEqual(large.heard, ['fault ERR_WS_MESSAGE_TOO_LARGE'])
    assert.equal(large.engine.closeSent?.code, 1009)

    const text = new Engine(setup)
    text.receive({ opcode: 1, rsv: 4, payload: hex('ffff') })
    assert.deepEqual(text.heard, ['fault ERR_WS_INVALID_UTF8'])
  })

  it('are released', () => {
    const extension = new Twice(0x40)
    const { engine } = new Engine({
      extensions: [
        extension,
        { name: 'plain', rsv: 0, encode: () => undefined, decode: (payload) => payload },
      ],
    })
    engine.dispose()
    assert.equal(extension.disposed, 1)
  })
})
