import { hex } from '../frames.ts'
import {
  begun,
  binary,
  close,
  last,
  more,
  noise,
  ping,
  pong,
  text,
  type Vector,
  type VectorFrame,
  type VectorGroup,
  vector,
} from './vector.ts'

const pings: VectorGroup = {
  name: 'pings and pongs',
  vectors: [
    vector('an empty ping', [ping()], [['ping', '']]),
    vector('a ping with text', [ping('Hello')], [['ping', 'Hello']]),
    vector(
      'a ping that is not UTF-8',
      [ping(hex('00ff fefd fcfb 00ff'))],
      [['ping', hex('00ff fefd fcfb 00ff')]],
    ),
    vector('a ping of 125', [ping(noise(125))], [['ping', noise(125)]]),
    vector('a ping of 126', [ping(noise(126))], [['fault', 'ERR_WS_CONTROL_TOO_LONG']]),
    vector('a ping of 65536', [ping('', { length: 65536 })], [['fault', 'ERR_WS_CONTROL_TOO_LONG']]),
    vector('a short ping in 16 bits', [ping('abc', { form: 16 })], [['fault', 'ERR_WS_CONTROL_TOO_LONG']]),
    vector('a short pong in 64 bits', [pong('abc', { form: 64 })], [['fault', 'ERR_WS_CONTROL_TOO_LONG']]),
    vector('an unsolicited pong', [pong()], [['pong', '']]),
    vector(
      'an unsolicited pong with payload',
      [pong('unsolicited'), ping('p')],
      [
        ['pong', 'unsolicited'],
        ['ping', 'p'],
      ],
    ),
    vector(
      'ten pings',
      Array.from({ length: 10 }, (_, i) => ping(`ping ${i}`)),
      Array.from({ length: 10 }, (_, i) => ['ping', `ping ${i}`] as const),
    ),
    vector(
      'ten pongs of 125',
      Array.from({ length: 10 }, () => pong(noise(125))),
      Array.from({ length: 10 }, () => ['pong', noise(125)] as const),
    ),
  ],
}

const fragments: VectorGroup = {
  name: 'fragmentation',
  vectors: [
    vector('two fragments', [text('frag', begun), last('ment')], [['text', 'fragment']]),
    vector(
      'two binary fragments',
      [binary(noise(70), begun), last(noise(3))],
      [['binary', Buffer.concat([noise(70), noise(3)])]],
    ),
    vector(
      'a ping between them',
      [text('frag', begun), ping('now'), last('ment')],
      [
        ['ping', 'now'],
        ['text', 'fragment'],
      ],
    ),
    vector(
      'pings everywhere',
      [ping('0'), text('a', begun), ping('1'), pong('2'), more('b'), ping('3'), last('c'), ping('4')],
      [
        ['ping', '0'],
        ['ping', '1'],
        ['pong', '2'],
        ['ping', '3'],
        ['text', 'abc'],
        ['ping', '4'],
      ],
    ),
    vector('all empty', [text('', begun), more(''), last('')], [['text', '']]),
    vector('all empty, binary', [binary('', begun), last('')], [['binary', '']]),
    vector('only the middle has bytes', [text('', begun), more('middle'), last('')], [['text', 'middle']]),
    vector('the end is empty', [text('all of it', begun), last('')], [['text', 'all of it']]),
    vector(
      'messages in a row',
      [text('a', begun), last('b'), binary('c', begun), more('d'), last('e'), text('f')],
      [
        ['text', 'ab'],
        ['binary', 'cde'],
        ['text', 'f'],
      ],
    ),
    vector(
      'a hundred fragments of one byte',
      [binary('x', begun), ...Array.from({ length: 98 }, () => more('x')), last('x')],
      [['binary', 'x'.repeat(100)]],
    ),
    vector(
      'two hundred empty fragments',
      [text('a', begun), ...Array.from({ length: 200 }, () => more('')), last('b')],
      [['text', 'ab']],
    ),
    vector('an unfinished message is no message', [text('frag', begun), more('ment')], []),
    vector('an unfinished frame is no message', [text('frag', { length: 5 })], []),
    vector(
      'a Close inside a message',
      [text('frag', begun), close(1000), last('ment')],
      [['close', 1000, '']],
    ),
    vector('a lone continuation', [last('x')], [['fault', 'ERR_WS_UNEXPECTED_CONTINUATION']]),
    vector('a lone continuation without FIN', [more('x')], [['fault', 'ERR_WS_UNEXPECTED_CONTINUATION']]),
    vector(
      'a continuation after a whole message',
      [text('ok'), last('x')],
      [
        ['text', 'ok'],
        ['fault', 'ERR_WS_UNEXPECTED_CONTINUATION'],
      ],
    ),
    vector(
      'a continuation after the last one',
      [text('o', begun), last('k'), more('x')],
      [
        ['text', 'ok'],
        ['fault', 'ERR_WS_UNEXPECTED_CONTINUATION'],
      ],
    ),
    vector(
      'a ping does not begin a message',
      [ping('x'), last('x')],
      [
        ['ping', 'x'],
        ['fault', 'ERR_WS_UNEXPECTED_CONTINUATION'],
      ],
    ),
    vector('text inside a text', [text('a', begun), text('b')], [['fault', 'ERR_WS_EXPECTED_CONTINUATION']]),
    vector(
      'binary inside a text',
      [text('a', begun), binary('b', begun)],
      [['fault', 'ERR_WS_EXPECTED_CONTINUATION']],
    ),
    vector(
      'text inside a binary, after a ping',
      [binary('a', begun), ping('p'), text('b')],
      [
        ['ping', 'p'],
        ['fault', 'ERR_WS_EXPECTED_CONTINUATION'],
      ],
    ),
    vector(
      'a new message after an empty beginning',
      [text('', begun), text('b')],
      [['fault', 'ERR_WS_EXPECTED_CONTINUATION']],
    ),
    vector('a fragmented ping', [ping('a', begun), last('b')], [['fault', 'ERR_WS_CONTROL_FRAGMENTED']]),
    vector('a fragmented pong', [pong('a', begun)], [['fault', 'ERR_WS_CONTROL_FRAGMENTED']]),
    vector('a fragmented Close', [close(1000, '', begun)], [['fault', 'ERR_WS_CONTROL_FRAGMENTED']]),
    ...[1, 64, 125, 126, 1300, 65536, 70000].map((size): Vector => {
      const whole = Buffer.from('\u{1f98d} back '.repeat(size < 64 ? 20 : size < 65536 ? 500 : 7000))
      const cuts = Array.from({ length: Math.ceil(whole.length / size) }, (_, i) =>
        whole.subarray(i * size, (i + 1) * size),
      )
      const parts = cuts.map(
        (piece, i): VectorFrame => ({ opcode: i === 0 ? 1 : 0, payload: piece, fin: i === cuts.length - 1 }),
      )
      return vector(`${whole.length} bytes of text in fragments of ${size}`, parts, [['text', whole]])
    }),
  ],
}

const goodCodes = [
  1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3001, 3999, 4000, 4999,
]

const badCodes = [
  0, 1, 255, 256, 999, 1004, 1005, 1006, 1015, 1016, 1017, 1099, 1100, 1999, 2000, 2999, 5000, 5001, 32768,
  65535,
]

const longReason = `${'r'.repeat(119)}\u{1f98d}`

const closing: VectorGroup = {
  name: 'Close frames',
  vectors: [
    vector('without payload', [close()], [['close', 1005, '']]),
    ...goodCodes.flatMap((code): Vector[] => [
      vector(`code ${code}`, [close(code)], [['close', code, '']]),
      vector(`code ${code} with a reason`, [close(code, 'bye')], [['close', code, 'bye']]),
    ]),
    ...badCodes.flatMap((code): Vector[] => [
      vector(`code ${code}`, [close(code)], [['fault', 'ERR_WS_CLOSE_CODE']]),
      vector(`code ${code} with a reason`, [close(code, 'bye')], [['fault', 'ERR_WS_CLOSE_CODE']]),
    ]),
    vector('half a code', [{ opcode: 8, payload: hex('03') }], [['fault', 'ERR_WS_CLOSE_PAYLOAD']]),
    vector('half a code is told by the length', [hex('8881')], [['fault', 'ERR_WS_CLOSE_PAYLOAD']], {
      roles: ['server'],
    }),
    vector('half a code is told by the length', [hex('8801')], [['fault', 'ERR_WS_CLOSE_PAYLOAD']], {
      roles: ['client'],
    }),
    vector('a reason of 123 bytes', [close(1000, longReason)], [['close', 1000, longReason]]),
    vector('a reason of 124 bytes', [close(1000, `${longReason}r`)], [['fault', 'ERR_WS_CONTROL_TOO_LONG']]),
    vector(
      'a reason in three scripts',
      [close(4999, 'Ä Ж 猫 \u0000 \ufeff')],
      [['close', 4999, 'Ä Ж 猫 \u0000 \ufeff']],
    ),
    vector('a reason with a byte order mark', [close(1000, '\ufeffbom')], [['close', 1000, '\ufeffbom']]),
    ...['ff', 'c080', 'eda080', 'e28c', 'f0908080f09080', 'f4908080', '61 80'].map(
      (bytes): Vector =>
        vector(
          `a reason that is not UTF-8: ${bytes}`,
          [close(1000, hex(bytes))],
          [['fault', 'ERR_WS_CLOSE_REASON']],
        ),
    ),
    vector('the reason is judged when the frame is whole', [close(1000, hex('ff'), { length: 4 })], []),
    vector(
      'text behind it',
      [text('a'), close(1000), text('b')],
      [
        ['text', 'a'],
        ['close', 1000, ''],
      ],
    ),
    vector('a ping behind it', [close(1001), ping('b')], [['close', 1001, '']]),
    vector(
      'another Close behind it',
      [close(1000, 'first'), close(1001, 'second')],
      [['close', 1000, 'first']],
    ),
    vector('a bad frame behind it', [close(1000), hex('ffff ffff ffff ffff')], [['close', 1000, '']]),
    vector('a megabyte behind it', [close(1000), Buffer.alloc(100_000, 0x81)], [['close', 1000, '']]),
    vector(
      'frames behind a fault',
      [hex('83'), text('a'), close(1000)],
      [['fault', 'ERR_WS_RESERVED_OPCODE']],
    ),
  ],
}

/** What frames add up to: messages from fragments, control frames, the end. */
export const messageVectors: readonly VectorGroup[] = [pings, fragments, closing]
