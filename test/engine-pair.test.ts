import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Extension } from '../src/protocol/extension.ts'
import { prepare } from '../src/session/prepared.ts'
import { renderData, renderEvent, takeAll } from './engine.ts'
import { cut, frame } from './frames.ts'
import { Pair, Peer, type PeerOptions } from './pair.ts'
import { noise } from './vectors/vector.ts'

const sizes = [
  0, 1, 2, 3, 5, 63, 64, 65, 124, 125, 126, 127, 2047, 2048, 2049, 16383, 16384, 16385, 65535, 65536, 65537,
  100_000,
]

test('messages of all sizes and kinds, there and back', () => {
  const pair = new Pair({ echo: true })
  const wanted: string[] = []
  const send = (kind: 'text' | 'binary', data: Buffer): void => {
    if (kind === 'text') pair.client.engine.sendText(data.toString())
    else pair.client.engine.sendBytes('binary', data)
    wanted.push(renderEvent({ kind, data, at: 0 }))
  }
  for (const size of sizes) {
    send('binary', noise(size))
    send('text', Buffer.alloc(size, 'ascii'))
    send('text', Buffer.from('é€\u{1f98d}'.repeat(size)))
  }
  pair.settle([1, 100, 5000])
  assert.deepEqual(pair.server.heard, wanted)
  assert.deepEqual(pair.client.heard, wanted)
})

test('what a sender gives is left as it was', () => {
  const pair = new Pair()
  for (const size of sizes) {
    const bytes = noise(size)
    pair.client.engine.sendBytes('binary', bytes)
    pair.server.engine.sendBytes('binary', bytes)
    assert.ok(bytes.equals(noise(size)), `${size} bytes`)
  }
  pair.settle()
  assert.deepEqual(pair.server.heard, pair.client.heard)
})

test('strings of every make-up arrive as their UTF-8', () => {
  fc.assert(
    fc.property(
      fc.array(fc.oneof(fc.string({ unit: 'binary' }), fc.string({ unit: 'grapheme', maxLength: 90 })), {
        maxLength: 8,
      }),
      fc.array(fc.nat(500), { maxLength: 5 }),
      (texts, cuts) => {
        const pair = new Pair()
        for (const text of texts) {
          pair.client.engine.sendText(text)
          pair.server.engine.sendText(text)
        }
        pair.settle(cuts)
        const wanted = texts.map((text) => renderEvent({ kind: 'text', data: Buffer.from(text), at: 0 }))
        assert.deepEqual(pair.server.heard, wanted)
        assert.deepEqual(pair.client.heard, wanted)
      },
    ),
    { numRuns: 200 },
  )
})

test('texts around the lengths where a header grows', () => {
  for (const unit of ['a', 'é', '€', '\u{1f98d}']) {
    const pair = new Pair()
    const wanted: string[] = []
    for (let count = 25; count < 140; count++) {
      const text = unit.repeat(count)
      pair.client.engine.sendText(text)
      pair.server.engine.sendText(text)
      wanted.push(renderEvent({ kind: 'text', data: Buffer.from(text), at: 0 }))
    }
    for (let count = 16380; count < 16390; count += 1) {
      const text = `${unit.repeat(count)}x`
      pair.client.engine.sendText(text)
      pair.server.engine.sendText(text)
      wanted.push(renderEvent({ kind: 'text', data: Buffer.from(text), at: 0 }))
    }
    pair.settle()
    assert.deepEqual(pair.server.heard, wanted)
    assert.deepEqual(pair.client.heard, wanted)
  }
})

test('a lone surrogate is sent as a replacement character, never as broken UTF-8', () => {
  const pair = new Pair()
  pair.client.engine.sendText('a\ud800b')
  pair.server.engine.sendText('\udfff')
  pair.settle()
  assert.deepEqual(pair.server.heard, [`text ${Buffer.from('a\ufffdb').toString('hex')}`])
  assert.deepEqual(pair.client.heard, [`text ${Buffer.from('\ufffd').toString('hex')}`])
})

test('a prepared message goes out on both sides', () => {
  const pair = new Pair()
  const wanted: string[] = []
  for (const data of ['', 'text', 'é'.repeat(100), noise(0), noise(3000), noise(70_000)]) {
    const message = prepare(data)
    for (let i = 0; i < 2; i++) {
      pair.client.engine.sendPrepared(message)
      pair.server.engine.sendPrepared(message)
      wanted.push(renderEvent({ kind: message.type, data: Buffer.from(data as string), at: 0 }))
    }
  }
  pair.settle([7])
  assert.deepEqual(pair.server.heard, wanted)
  assert.deepEqual(pair.client.heard, wanted)
})

test('pings are answered from either side with their payload', () => {
  const pair = new Pair()
  for (const payload of [noise(0), noise(1), noise(125)]) {
    pair.client.engine.sendPing(payload)
    pair.server.engine.sendPing(payload)
  }
  pair.client.engine.sendPong(Buffer.from('unasked'))
  pair.settle()
  const lines = (kind: string): string[] => [0, 1, 125].map((size) => `${kind} ${renderData(noise(size))}`)
  assert.deepEqual(
    pair.server.heard.filter((line) => line.startsWith('ping')),
    lines('ping'),
  )
  assert.deepEqual(
    pair.server.heard.filter((line) => line.startsWith('pong')),
    [`pong ${renderData(Buffer.from('unasked'))}`, ...lines('pong')],
  )
  assert.deepEqual(
    pair.client.heard.filter((line) => line.startsWith('ping')),
    lines('ping'),
  )
  assert.deepEqual(
    pair.client.heard.filter((line) => line.startsWith('pong')),
    lines('pong'),
  )
})

test('while output is held up, many pings are answered by the latest alone', () => {
  const pair = new Pair()
  pair.server.engine.congested = true
  for (let i = 0; i < 1000; i++) pair.client.engine.sendPing(Buffer.from(`ping ${i}`))
  pair.settle()
  assert.equal(pair.server.heard.length, 1000)
  assert.deepEqual(pair.client.heard, [])
  pair.server.engine.congested = false
  pair.settle()
  assert.deepEqual(pair.client.heard, [`pong ${renderData(Buffer.from('ping 999'))}`])
})

for (const role of ['server', 'client'] as const) {
  const other = role === 'server' ? 'client' : 'server'

  test(`a close by the ${role}: codes and reasons on both sides, and who it was`, () => {
    for (const [code, reason] of [
      [1000, ''],
      [1001, 'going'],
      [4999, 'é'.repeat(61)],
      [1005, ''],
    ] as const) {
      const pair = new Pair()
      assert.equal(pair[role].engine.sendClose(code, reason), true)
      assert.equal(pair[role].engine.sendClose(1001), false, 'a second Close')
      assert.equal(pair[role].engine.sendText('late'), false)
      assert.equal(pair[role].engine.sendPing(Buffer.alloc(0)), false)
      pair.settle([1, 2])
      assert.deepEqual(pair[other].heard, [`close ${code} ${reason}`])
      assert.deepEqual(pair[role].heard, [`close ${code} `])
      assert.deepEqual(pair[role].engine.closeSent, { code, reason })
      assert.deepEqual(pair[other].engine.closeReceived, { code, reason })
      assert.equal(pair[role].engine.closedBy, 'local')
      assert.equal(pair[other].engine.closedBy, 'remote')
      assert.deepEqual([pair.server.engine.closing, pair.client.engine.closing], ['done', 'done'])
    }
  })

  test(`the ${role} closes while messages are on their way to it: they still arrive`, () => {
    const pair = new Pair()
    pair[other].engine.sendText('on its way')
    pair[role].engine.sendClose(1000)
    pair.settle()
    assert.deepEqual(pair[role].heard, [`text ${renderData(Buffer.from('on its way'))}`, 'close 1000 '])
    assert.deepEqual(pair[other].heard, ['close 1000 '])
  })

  test(`a ping that reaches the ${role} behind its Close is not answered`, () => {
    const pair = new Pair()
    pair[other].engine.sendPing(Buffer.from('p'))
    pair[role].engine.sendClose(1000)
    pair.settle()
    assert.deepEqual(pair[other].heard, ['close 1000 '])
    assert.deepEqual(pair[role].heard, ['ping 70', 'close 1000 '])
  })

  test(`the transport of the ${role} ends without a Close`, () => {
    const pair = new Pair()
    pair[role].engine.receiveEnd()
    assert.deepEqual([pair[role].engine.closing, pair[role].engine.closedBy], ['lost', 'network'])
    assert.equal(pair[role].engine.sendText('late'), false)
    assert.equal(pair[role].engine.sendClose(1000), false)
    assert.equal(pair[role].engine.closeSent, undefined)
    assert.equal(takeAll(pair[role].engine).length, 0)
    const bytes = frame({ opcode: 1, payload: 'late', ...(role === 'server' ? { mask: noise(4) } : {}) })
    assert.equal(pair[role].engine.receive(bytes), bytes.length)
    assert.deepEqual(pair[role].heard, [])
  })

  test(`a fault that the ${role} finds reaches the other side as its code`, () => {
    const pair = new Pair({ limits: { maxFrameSize: 10, maxMessageSize: 10 } }, {})
    const pairFor =
      role === 'server' ? pair : new Pair({}, { limits: { maxFrameSize: 10, maxMessageSize: 10 } })
    pairFor[other].engine.sendText('0123456789')
    pairFor[other].engine.sendText('0123456789a')
    pairFor[other].engine.sendText('unseen')
    pairFor.settle([3])
    assert.deepEqual(pairFor[role].heard, [
      `text ${renderData(Buffer.from('0123456789'))}`,
      'fault ERR_WS_FRAME_TOO_LARGE',
    ])
    assert.equal(pairFor[other].heard.length, 1)
    assert.match(pairFor[other].heard[0] ?? '', /^close 1009 ./)
    assert.deepEqual([pairFor[role].engine.closing, pairFor[role].engine.closedBy], ['failed', 'local'])
    assert.deepEqual([pairFor[other].engine.closing, pairFor[other].engine.closedBy], ['done', 'remote'])
  })
}

test('both close at once: each has sent one Close and had one', () => {
  const pair = new Pair()
  pair.server.engine.sendClose(1001, 'server')
  pair.client.engine.sendClose(1000, 'client')
  pair.settle()
  assert.deepEqual(pair.server.heard, ['close 1000 client'])
  assert.deepEqual(pair.client.heard, ['close 1001 server'])
  assert.deepEqual(pair.states(), ['done by local', 'done by local'])
})

test('a fault in answer to our own Close sends no second Close', () => {
  const pair = new Pair()
  pair.server.engine.sendClose(1000)
  pair.server.engine.receive(Buffer.from([0x83]))
  assert.deepEqual(pair.server.heard, ['fault ERR_WS_RESERVED_OPCODE'])
  assert.equal(takeAll(pair.server.engine).length, 4)
  assert.deepEqual([pair.server.engine.closing, pair.server.engine.closedBy], ['failed', 'local'])
})

test('a reason longer than a frame holds is cut between two characters', () => {
  for (const [reason, cut] of [
    ['€'.repeat(50), '€'.repeat(41)],
    [`x${'€'.repeat(50)}`, `x${'€'.repeat(40)}`],
    [`xx${'€'.repeat(50)}`, `xx${'€'.repeat(40)}`],
    [`xxx${'\u{1f98d}'.repeat(50)}`, `xxx${'\u{1f98d}'.repeat(30)}`],
    ['x'.repeat(124), 'x'.repeat(123)],
  ] as const) {
    const pair = new Pair()
    pair.client.engine.sendClose(1000, reason)
    pair.settle()
    assert.deepEqual(pair.server.heard, [`close 1000 ${cut}`])
    assert.equal(pair.client.engine.closeSent?.reason, cut)
  }
})

test('handlers that send and close while receiving', () => {
  const pair = new Pair({ echo: true })
  pair.client.engine.sendText('one')
  pair.client.engine.sendText('two')
  pair.client.engine.sendClose(4000, 'enough')
  pair.client.engine.sendText('late')
  pair.settle([2, 9, 11])
  const messages = ['one', 'two'].map((text) => `text ${renderData(Buffer.from(text))}`)
  assert.deepEqual(pair.server.heard, [...messages, 'close 4000 enough'])
  assert.deepEqual(pair.client.heard, [...messages, 'close 4000 '])
})

test('many operations from both sides at random: nothing is lost, doubled or out of order', () => {
  const operation = fc.record({
    from: fc.constantFrom('server', 'client'),
    kind: fc.constantFrom('text', 'binary', 'ping', 'settle'),
    size: fc.oneof(fc.nat(40), fc.integer({ min: 120, max: 130 }), fc.integer({ min: 65530, max: 65540 })),
  })
  fc.assert(
    fc.property(
      fc.array(operation, { maxLength: 25 }),
      fc.array(fc.nat(70_000), { maxLength: 4 }),
      (steps, cuts) => {
        const pair = new Pair()
        const wanted = { server: [] as string[], client: [] as string[] }
        for (const { from, kind, size } of steps) {
          const { engine } = pair[from]
          const target = from === 'server' ? wanted.client : wanted.server
          if (kind === 'settle') pair.settle(cuts)
          else if (kind === 'ping') {
            engine.sendPing(noise(size % 126))
            target.push(`ping ${renderData(noise(size % 126))}`)
          } else {
            const data = kind === 'text' ? Buffer.alloc(size, 'text') : noise(size)
            engine.sendBytes(kind, data)
            target.push(renderEvent({ kind, data, at: 0 }))
          }
        }
        pair.client.engine.sendClose(1000)
        pair.settle(cuts)
        const withoutPongs = (lines: readonly string[]): string[] =>
          lines.filter((line) => !line.startsWith('pong'))
        assert.deepEqual(withoutPongs(pair.server.heard), [...wanted.server, 'close 1000 '])
        assert.deepEqual(withoutPongs(pair.client.heard), [...wanted.client, 'close 1000 '])
      },
    ),
    { numRuns: 150 },
  )
})

/** An extension made for the seam: turns all bits of a message, says so with a reserved bit, and can be told to fail. */
function turning(rsv: number): Extension {
  const turn = (payload: Uint8Array): Buffer => Buffer.from(payload.map((byte) => byte ^ 0xff))
  return {
    name: 'x-turning',
    rsv,
    encode: (payload) => (payload.length < 4 ? undefined : turn(payload)),
    decode: (payload, maxSize) => {
      if (payload.length > 2 * maxSize) return 'too large'
      return payload[0] === 0x42 ? 'corrupt' : turn(payload)
    },
  }
}

test('an extension transforms messages, and leaves short ones alone', () => {
  const make = (): PeerOptions => ({ extensions: [turning(0x40)], echo: true })
  const pair = new Pair(make(), make())
  const texts = ['', 'abc', 'abcd', 'é'.repeat(200), 'x'.repeat(70_000)]
  for (const text of texts) pair.client.engine.sendText(text)
  pair.client.engine.sendBytes('binary', noise(1000))
  pair.settle([1, 500])
  const wanted = texts.map((text) => renderEvent({ kind: 'text', data: Buffer.from(text), at: 0 }))
  wanted.push(renderEvent({ kind: 'binary', data: noise(1000), at: 0 }))
  assert.deepEqual(pair.server.heard, wanted)
  assert.deepEqual(pair.client.heard, wanted)
})

test('with an extension in use: which frames may carry its bit, and what becomes of broken data', () => {
  const mask = noise(4)
  const turned = Buffer.from('text', 'latin1').map((byte) => byte ^ 0xff)
  const cases: readonly (readonly [string, readonly Buffer[], readonly string[]])[] = [
    [
      'a fragmented message',
      [
        frame({ opcode: 1, rsv: 4, fin: false, payload: turned.subarray(0, 1), mask }),
        frame({ opcode: 9, mask }),
        frame({ opcode: 0, payload: turned.subarray(1), mask }),
      ],
      ['ping ', 'text 74657874'],
    ],
    ['a message without the bit', [frame({ opcode: 1, payload: 'text', mask })], ['text 74657874']],
    [
      'both kinds in turn',
      [
        frame({ opcode: 1, rsv: 4, payload: turned, mask }),
        frame({ opcode: 1, fin: false, payload: 'te', mask }),
        frame({ opcode: 0, payload: 'xt', mask }),
      ],
      ['text 74657874', 'text 74657874'],
    ],
    ['the bit on a ping', [frame({ opcode: 9, rsv: 4, mask })], ['fault ERR_WS_RESERVED_BITS']],
    ['the bit on a Close', [frame({ opcode: 8, rsv: 4, mask })], ['fault ERR_WS_RESERVED_BITS']],
    [
      'the bit on a continuation',
      [frame({ opcode: 1, rsv: 4, fin: false, payload: turned, mask }), frame({ opcode: 0, rsv: 4, mask })],
      ['fault ERR_WS_RESERVED_BITS'],
    ],
    ['another bit', [frame({ opcode: 1, rsv: 2, mask })], ['fault ERR_WS_RESERVED_BITS']],
    ['its bit and another', [frame({ opcode: 1, rsv: 6, mask })], ['fault ERR_WS_RESERVED_BITS']],
    [
      'data that it cannot decode',
      [frame({ opcode: 2, rsv: 4, payload: 'BAD', mask })],
      ['fault ERR_WS_EXTENSION_DATA'],
    ],
    [
      'text that is not UTF-8 once decoded',
      [frame({ opcode: 1, rsv: 4, payload: Buffer.from([0x9e, 0x00]), mask })],
      ['fault ERR_WS_INVALID_UTF8'],
    ],
    [
      'bytes that are not UTF-8 before',
      [frame({ opcode: 1, rsv: 4, payload: turned, mask })],
      ['text 74657874'],
    ],
  ]
  for (const [name, frames, wanted] of cases) {
    const stream = Buffer.concat(frames)
    for (const places of [[], [1, 7], Array.from({ length: stream.length - 1 }, (_, i) => i + 1)]) {
      const peer = new Peer('server', { extensions: [turning(0x40)] })
      for (const chunk of cut(stream, places)) peer.engine.receive(chunk)
      assert.deepEqual(peer.heard, wanted, name)
    }
  }
})

test('two extensions are undone in the opposite order', () => {
  const adding = (rsv: number, mark: string): Extension => ({
    name: `x-${mark}`,
    rsv,
    encode: (payload) => Buffer.concat([Buffer.from(mark), payload]),
    decode: (payload) => (payload[0] === mark.charCodeAt(0) ? payload.subarray(1) : 'corrupt'),
  })
  const extensions = [adding(0x40, 'a'), adding(0x20, 'b')]
  const pair = new Pair({ extensions, echo: true }, { extensions })
  pair.client.engine.sendText('through both')
  pair.settle([4])
  const wanted = [`text ${renderData(Buffer.from('through both'))}`]
  assert.deepEqual(pair.server.heard, wanted)
  assert.deepEqual(pair.client.heard, wanted)
})
