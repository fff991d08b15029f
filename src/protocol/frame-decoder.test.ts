import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { cut, frame, hex } from '../../test/frames.ts'
import { applyMask } from '../wire/mask.ts'
import { protocolFault } from './fault.ts'
import { FrameDecoder, type FrameDecoderOptions, type FrameSink } from './frame-decoder.ts'

const mask = hex('37fa213d')

/** Notes what it gets, as lines; pieces of one frame are joined. */
class Notes implements FrameSink {
  readonly lines: string[] = []
  readonly decoder: FrameDecoder
  /** Called behind each frame. */
  onLast: () => void = () => {}
  /** Called in front of each payload. */
  onHeader: (length: number) => void = () => {}
  pieces = 0
  bits = 0
  #head = ''
  #payload: Buffer[] = []

  constructor(options: Partial<FrameDecoderOptions> = {}) {
    this.decoder = new FrameDecoder(this, {
      masked: true,
      maxFrameSize: 1000,
      maxMessageSize: 2000,
      rsv: 0,
      ...options,
    })
  }

  onFrame(opcode: number, fin: boolean, rsv: number, length: number): void {
    assert.equal(this.#head, '', 'a header inside a frame')
    this.#head = `${opcode}${fin ? '' : '…'}${rsv === 0 ? '' : ` rsv ${rsv}`}`
    this.onHeader(length)
  }

  onPayload(chunk: Buffer, start: number, end: number, last: boolean, bits: number): void {
    this.pieces++
    this.bits |= bits
    this.#payload.push(Buffer.from(chunk.subarray(start, end)))
    if (!last) return
    this.lines.push(`${this.#head}: ${Buffer.concat(this.#payload)}`)
    this.#head = ''
    this.#payload = []
    this.onLast()
  }

  /** Decodes from a copy: what is decoded is unmasked in place. */
  push(bytes: Uint8Array): number {
    return this.decoder.push(Buffer.from(bytes), 0)
  }
}

function decode(bytes: Uint8Array, options: Partial<FrameDecoderOptions> = {}): Notes {
  const notes = new Notes(options)
  notes.push(bytes)
  return notes
}

function faultOf(bytes: Uint8Array, options: Partial<FrameDecoderOptions> = {}): string | undefined {
  return decode(bytes, options).decoder.fault?.code
}

describe('FrameDecoder', () => {
  it('cuts a stream into frames, at any boundaries of the chunks', () => {
    const stream = Buffer.concat([
      frame({ opcode: 1, payload: 'Hello', mask }),
      frame({ opcode: 2, payload: '', mask }),
      frame({ opcode: 1, fin: false, payload: 'frag', mask }),
      frame({ opcode: 9, payload: 'ping', mask }),
      frame({ opcode: 0, fin: false, payload: 'me', mask }),
      frame({ opcode: 0, payload: 'x'.repeat(200), mask }),
      frame({ opcode: 8, payload: hex('03e8'), mask }),
    ])
    const expected = decode(stream).lines
    assert.equal(expected.length, 7)
    assert.deepEqual(expected.slice(0, 5), ['1: Hello', '2: ', '1…: frag', '9: ping', '0…: me'])
    for (let at = 0; at <= stream.length; at++) {
      const notes = new Notes()
      for (const chunk of cut(stream, [at])) assert.equal(notes.push(chunk), chunk.length)
      assert.deepEqual(notes.lines, expected, `cut at ${at}`)
    }
    const notes = new Notes()
    for (const byte of stream) notes.push(Buffer.of(byte))
    assert.deepEqual(notes.lines, expected)
  })

  it('takes 16-bit and 64-bit lengths, of either side', () => {
    const limits = { maxFrameSize: 70_000, maxMessageSize: 70_000 }
    for (const length of [125, 126, 65_535, 65_536]) {
      const payload = 'x'.repeat(length)
      assert.deepEqual(decode(frame({ opcode: 2, payload, mask }), limits).lines, [`2: ${payload}`])
      const unmasked = decode(frame({ opcode: 2, payload }), { ...limits, masked: false })
      assert.deepEqual(unmasked.lines, [`2: ${payload}`])
    }
  })

  it('delivers a piece of payload as soon as it comes', () => {
    const notes = new Notes()
    const bytes = frame({ opcode: 1, payload: 'Hello', mask })
    notes.push(bytes.subarray(0, 6))
    assert.equal(notes.pieces, 0)
    notes.push(bytes.subarray(6, 8))
    assert.equal(notes.pieces, 1)
    notes.push(bytes.subarray(8))
    assert.equal(notes.pieces, 2)
  })

  it('tells all bits of masked payload, and nothing of unmasked', () => {
    assert.equal(decode(frame({ opcode: 1, payload: 'Hello', mask })).bits & 0x80808080, 0)
    assert.notEqual(decode(frame({ opcode: 1, payload: 'é', mask })).bits & 0x80808080, 0)
    assert.notEqual(decode(frame({ opcode: 1, payload: 'Hello' }), { masked: false }).bits & 0x80808080, 0)
  })

  const faults: [string, string, Uint8Array, Partial<FrameDecoderOptions>?][] = [
    ['RSV1 that nobody negotiated', 'ERR_WS_RESERVED_BITS', hex('c1')],
    ['RSV2', 'ERR_WS_RESERVED_BITS', hex('a1')],
    ['RSV3', 'ERR_WS_RESERVED_BITS', hex('91')],
    ['a bit beside the negotiated one', 'ERR_WS_RESERVED_BITS', hex('e1'), { rsv: 0x40 }],
    ['a negotiated bit on a control frame', 'ERR_WS_RESERVED_BITS', hex('c9'), { rsv: 0x40 }],
    ['a negotiated bit on a continuation', 'ERR_WS_RESERVED_BITS', hex('0180 00000000 c0'), { rsv: 0x40 }],
    ['a reserved data opcode', 'ERR_WS_RESERVED_OPCODE', hex('83')],
    ['a reserved control opcode', 'ERR_WS_RESERVED_OPCODE', hex('8b')],
    ['a fragmented ping', 'ERR_WS_CONTROL_FRAGMENTED', hex('09')],
    ['a continuation of nothing', 'ERR_WS_UNEXPECTED_CONTINUATION', hex('80')],
    ['a new message inside another', 'ERR_WS_EXPECTED_CONTINUATION', hex('0180 00000000 01')],
    ['an unmasked frame from a client', 'ERR_WS_UNMASKED_FRAME', hex('8105')],
    ['a masked frame from a server', 'ERR_WS_MASKED_FRAME', hex('8185'), { masked: false }],
    ['a ping of 126 bytes', 'ERR_WS_CONTROL_TOO_LONG', hex('89fe')],
    ['a Close frame of 1 byte', 'ERR_WS_CLOSE_PAYLOAD', hex('8881')],
    ['a length with its sign bit', 'ERR_WS_LENGTH_SIGN_BIT', hex('82ff 80')],
    ['125 in 16 bits', 'ERR_WS_LENGTH_NOT_MINIMAL', hex('82fe 007d')],
    ['65535 in 64 bits', 'ERR_WS_LENGTH_NOT_MINIMAL', hex('82ff 000000000000ffff')],
    ['a frame above its limit', 'ERR_WS_FRAME_TOO_LARGE', hex('82fe 03e9')],
    ['the largest length', 'ERR_WS_FRAME_TOO_LARGE', hex('82ff 7fffffffffffffff')],
    ['a message above its limit', 'ERR_WS_MESSAGE_TOO_LARGE', hex('82fe 01f5'), { maxMessageSize: 500 }],
  ]
  for (const [what, code, bytes, options] of faults) {
    it(`stops at the first byte that shows ${what}`, () => {
      assert.equal(faultOf(bytes, options), code)
      assert.equal(faultOf(bytes.subarray(0, -1), options), undefined)
      const notes = new Notes(options)
      for (const byte of bytes) notes.push(Buffer.of(byte))
      assert.equal(notes.decoder.fault?.code, code)
      const seen = notes.lines.length
      notes.push(frame({ opcode: 1, payload: 'more', mask }))
      assert.equal(notes.lines.length, seen, 'decoded behind a fault')
    })
  }

  it('takes a frame and a message of exactly the limit', () => {
    const limits = { maxFrameSize: 126, maxMessageSize: 200 }
    const parts = [
      frame({ opcode: 2, fin: false, payload: 'x'.repeat(126), mask }),
      frame({ opcode: 0, fin: false, payload: 'x'.repeat(74), mask }),
    ]
    assert.equal(faultOf(Buffer.concat(parts), limits), undefined)
    assert.equal(
      faultOf(Buffer.concat([...parts, frame({ opcode: 0, payload: '', mask })]), limits),
      undefined,
    )
    const tooLong = decode(Buffer.concat([...parts, hex('8081')]), limits)
    assert.deepEqual(tooLong.decoder.fault?.limit, { limit: 'maxMessageSize', actual: 201, max: 200 })
  })

  it('begins to count anew with each message', () => {
    const message = [
      frame({ opcode: 2, fin: false, payload: 'x'.repeat(60), mask }),
      frame({ opcode: 0, payload: 'x'.repeat(40), mask }),
    ]
    const stream = Buffer.concat([
      ...message,
      frame({ opcode: 2, payload: 'x'.repeat(100), mask }),
      ...message,
    ])
    assert.equal(faultOf(stream, { maxMessageSize: 100 }), undefined)
  })

  it('tells the bits that an extension owns', () => {
    const bytes = frame({ opcode: 1, rsv: 4, payload: 'x', mask })
    assert.deepEqual(decode(bytes, { rsv: 0x40 }).lines, ['1 rsv 64: x'])
  })

  it('stops behind the frame in which it was suspended, and goes on', () => {
    const notes = new Notes()
    notes.onLast = () => {
      notes.decoder.suspended = true
    }
    const chunk = Buffer.concat(['one', 'two', 'three'].map((payload) => frame({ opcode: 1, payload, mask })))
    let at = notes.decoder.push(chunk, 0)
    assert.deepEqual([notes.lines.length, at], [1, 9])
    assert.equal(notes.decoder.push(chunk, at), at)
    notes.decoder.suspended = false
    at = notes.decoder.push(chunk, at)
    assert.deepEqual(notes.lines, ['1: one', '1: two'])
    notes.decoder.suspended = false
    assert.equal(notes.decoder.push(chunk, at), chunk.length)
    assert.deepEqual(notes.lines, ['1: one', '1: two', '1: three'])
  })

  it('tells the length of the payload with the header, and stops in front of it when suspended there', () => {
    const payloads = ['one', '', 'x'.repeat(200)]
    const stream = Buffer.concat([
      ...payloads.map((payload) => frame({ opcode: 2, payload, mask })),
      frame({ opcode: 9, payload: 'ping', mask }),
    ])
    for (const step of [1, 2, 7, stream.length]) {
      const notes = new Notes()
      const lengths: number[] = []
      notes.onHeader = (length) => {
        lengths.push(length)
        notes.decoder.suspended = true
      }
      for (let end = step; ; end += step) {
        const chunk = Buffer.from(stream.subarray(end - step, end))
        let at = notes.decoder.push(chunk, 0)
        while (notes.decoder.suspended) {
          // In front of the payload: nothing of it has been told, or will be before it goes on.
          assert.equal(notes.lines.length, lengths.length - 1)
          assert.equal(notes.decoder.push(chunk, at), at)
          notes.decoder.suspended = false
          at = notes.decoder.push(chunk, at)
        }
        assert.equal(at, chunk.length)
        if (end >= stream.length) break
      }
      assert.deepEqual(lengths, [3, 0, 200, 4])
      assert.deepEqual(notes.lines, [...payloads.map((payload) => `2: ${payload}`), '9: ping'])
    }
  })

  it('can be given other limits, from the next header on', () => {
    const notes = new Notes({ maxFrameSize: 10, maxMessageSize: 15 })
    notes.push(frame({ opcode: 2, payload: 'x'.repeat(10), mask }))
    notes.decoder.setLimits(20, 30)
    const second = frame({ opcode: 2, payload: 'x'.repeat(20), mask })
    notes.push(second.subarray(0, 10))
    notes.decoder.setLimits(5, 5)
    notes.push(second.subarray(10))
    notes.push(frame({ opcode: 2, fin: false, payload: 'x'.repeat(5), mask }))
    notes.decoder.setLimits(5, 8)
    notes.push(frame({ opcode: 0, fin: false, payload: 'x'.repeat(3), mask }))
    assert.deepEqual([notes.lines.length, notes.decoder.fault], [4, undefined])
    notes.push(frame({ opcode: 0, payload: 'x', mask }))
    assert.deepEqual(notes.decoder.fault?.limit, { limit: 'maxMessageSize', actual: 9, max: 8 })
    assert.equal(faultOf(hex('82fe 03e9')), 'ERR_WS_FRAME_TOO_LARGE')
  })

  it('calls the limit of messages as it is told', () => {
    const { decoder } = decode(hex('82fe 01f5'), { maxMessageSize: 500, messageLimit: 'maxStreamSize' })
    assert.deepEqual(decoder.fault?.limit, { limit: 'maxStreamSize', actual: 501, max: 500 })
  })

  it('stops when its sink finds a fault', () => {
    const notes = new Notes()
    notes.onLast = () => {
      notes.decoder.fault = protocolFault('ERR_WS_INVALID_UTF8', 'text is not UTF-8')
    }
    notes.push(
      Buffer.concat([frame({ opcode: 1, payload: 'x', mask }), frame({ opcode: 1, payload: 'y', mask })]),
    )
    assert.deepEqual(notes.lines, ['1: x'])
  })

  it('keeps no chunk: a header that is split is copied', () => {
    const notes = new Notes()
    const bytes = frame({ opcode: 1, payload: 'Hello', mask })
    const first = Buffer.from(bytes.subarray(0, 4))
    notes.decoder.push(first, 0)
    first.fill(0xff)
    notes.push(bytes.subarray(4))
    assert.deepEqual(notes.lines, ['1: Hello'])
  })

  it('leaves what comes in pieces masked where the sink wants that, and tells the key of each', () => {
    const payload = Buffer.from('The quick brown fox')
    const one = frame({ opcode: 2, payload, mask })
    const bytes = Buffer.concat([one, one])
    for (let cutAt = 1; cutAt < bytes.length; cutAt++) {
      const got: Buffer[] = []
      const whole: boolean[] = []
      const sink: FrameSink = {
        onFrame() {
          decoder.leavesMasked = true
        },
        onPayload(chunk, start, end, last, bits, key) {
          const piece = Buffer.from(chunk.subarray(start, end))
          applyMask(piece, 0, piece.length, key)
          got.push(piece)
          whole.push(last && piece.length === payload.length)
          if (whole.at(-1)) assert.equal(key, 0, 'a whole frame is unmasked')
          else assert.equal(bits, -1)
        },
      }
      const decoder = new FrameDecoder(sink, { masked: true, maxFrameSize: 99, maxMessageSize: 99, rsv: 0 })
      for (const part of [bytes.subarray(0, cutAt), bytes.subarray(cutAt)]) decoder.push(Buffer.from(part), 0)
      assert.equal(Buffer.concat(got).toString(), `${payload}${payload}`, `cut at ${cutAt}`)
    }
  })
})
