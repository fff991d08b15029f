import { type FrameSpec, frame, hex } from './frames.ts'
import type { DecoderLimits, Role } from './reference.ts'
import { utf8Vectors } from './vectors-utf8.ts'

/** A frame as a vector names it: masked as the sender's role demands, or just not so. */
export interface VectorFrame extends Omit<FrameSpec, 'mask'> {
  /** Masked by a server, unmasked by a client. */
  readonly wrongMask?: boolean
}

/** What a vector expects, in order and without anything left over. */
export type Expected =
  | readonly ['text' | 'binary' | 'ping' | 'pong', string | Uint8Array]
  | readonly ['close', number, string]
  | readonly ['fault', string]

/** One protocol case: what is sent and what it means. */
export interface Vector {
  readonly name: string
  /** Frames, or bytes as they are. */
  readonly parts: readonly (VectorFrame | Uint8Array)[]
  readonly expect: readonly Expected[]
  /** Where the defaults (1 MiB each) won't do. */
  readonly limits?: Partial<DecoderLimits>
  /** The receiver's role; both by default. */
  readonly roles?: readonly Role[]
}

/** Vectors on one subject. */
export interface VectorGroup {
  readonly name: string
  readonly vectors: readonly Vector[]
}

const keys = ['37fa213d', '00000000', 'ffffffff', '01020408', '80000000', '000000a5', 'fefdfcfb'].map(hex)

/** A vector's bytes as they reach a receiver of the given role. */
export function streamOf(vector: Pick<Vector, 'parts'>, receiver: Role): Buffer {
  const pieces = vector.parts.map((part, i) => {
    if (part instanceof Uint8Array) return part
    const { wrongMask = false, ...spec } = part
    const key = keys[i % keys.length]
    return frame((receiver === 'server') === wrongMask || key === undefined ? spec : { ...spec, mask: key })
  })
  return Buffer.concat(pieces)
}

type Options = Omit<VectorFrame, 'opcode' | 'payload'>
type Payload = string | Uint8Array

export const text = (payload: Payload, options: Options = {}): VectorFrame => ({
  opcode: 1,
  payload,
  ...options,
})
export const binary = (payload: Payload, options: Options = {}): VectorFrame => ({
  opcode: 2,
  payload,
  ...options,
})
export const more = (payload: Payload, options: Options = {}): VectorFrame => ({
  opcode: 0,
  payload,
  fin: false,
  ...options,
})
export const last = (payload: Payload, options: Options = {}): VectorFrame => ({
  opcode: 0,
  payload,
  ...options,
})
export const ping = (payload: Payload = '', options: Options = {}): VectorFrame => ({
  opcode: 9,
  payload,
  ...options,
})
export const pong = (payload: Payload = '', options: Options = {}): VectorFrame => ({
  opcode: 10,
  payload,
  ...options,
})
export const close = (code?: number, reason: Payload = '', options: Options = {}): VectorFrame => {
  const head = code === undefined ? [] : [code >> 8, code & 0xff]
  return { opcode: 8, payload: Buffer.concat([Buffer.from(head), Buffer.from(reason)]), ...options }
}
const begun = { fin: false } as const

/** Bytes that are neither ASCII nor UTF-8, nor the same at any two places near each other. */
export function noise(length: number): Buffer {
  return Buffer.from(Array.from({ length }, (_, i) => (i * 151 + (i >> 8) * 7 + 0x80) & 0xff))
}

const lengths = [
  0, 1, 2, 3, 4, 5, 7, 8, 9, 31, 63, 64, 65, 124, 125, 126, 127, 128, 129, 255, 256, 1023, 65534, 65535,
  65536, 65537,
]

const framing: VectorGroup = {
  name: 'frames of every length',
  vectors: lengths.flatMap((length): Vector[] => {
    const ascii = '*'.repeat(length)
    const bytes = noise(length)
    return [
      { name: `text of ${length}`, parts: [text(ascii)], expect: [['text', ascii]] },
      { name: `binary of ${length}`, parts: [binary(bytes)], expect: [['binary', bytes]] },
      {
        name: `${length} between others`,
        parts: [text('before'), binary(bytes), ping('p'), text('behind')],
        expect: [
          ['text', 'before'],
          ['binary', bytes],
          ['ping', 'p'],
          ['text', 'behind'],
        ],
      },
    ]
  }),
}

const notMinimal: VectorGroup = {
  name: 'lengths not in their shortest form, and beyond all limits',
  vectors: [
    ...[0, 1, 124, 125].map(
      (length): Vector => ({
        name: `${length} in 16 bits`,
        parts: [text('*'.repeat(length), { form: 16 })],
        expect: [['fault', 'ERR_WS_LENGTH_NOT_MINIMAL']],
      }),
    ),
    ...[0, 1, 125, 126, 65534, 65535].map(
      (length): Vector => ({
        name: `${length} in 64 bits`,
        parts: [binary(noise(Math.min(length, 200)), { form: 64, length })],
        expect: [['fault', 'ERR_WS_LENGTH_NOT_MINIMAL']],
      }),
    ),
    ...[126, 127, 65535].map(
      (length): Vector => ({
        name: `${length} in 16 bits is minimal`,
        parts: [binary(noise(length), { form: 16 })],
        expect: [['binary', noise(length)]],
      }),
    ),
    {
      name: 'the length is judged before the key comes',
      parts: [hex('82fe 0001')],
      expect: [['fault', 'ERR_WS_LENGTH_NOT_MINIMAL']],
      roles: ['server'],
    },
    ...[
      2n ** 20n + 1n,
      2n ** 31n - 1n,
      2n ** 31n,
      2n ** 32n - 1n,
      2n ** 32n,
      2n ** 32n + 5n,
      2n ** 53n - 1n,
      2n ** 53n,
      2n ** 53n + 1n,
      2n ** 62n,
      2n ** 63n - 1n,
    ].map(
      (length): Vector => ({
        name: `a promise of ${length}`,
        parts: [binary('', { length, form: 64 })],
        expect: [['fault', 'ERR_WS_FRAME_TOO_LARGE']],
      }),
    ),
    ...[2n ** 63n, 2n ** 63n + 1n, 2n ** 64n - 1n, 0xff00_0000_0000_0000n].map(
      (length): Vector => ({
        name: `a length with its sign bit: ${length}`,
        parts: [binary('', { length, form: 64 })],
        expect: [['fault', 'ERR_WS_LENGTH_SIGN_BIT']],
      }),
    ),
    {
      name: 'the sign bit is told by its byte',
      parts: [hex('82ff 80')],
      expect: [['fault', 'ERR_WS_LENGTH_SIGN_BIT']],
      roles: ['server'],
    },
    ...[2n ** 53n - 1n, 2n ** 53n, 2n ** 63n - 1n, 2n ** 63n - 10n].map(
      (length): Vector => ({
        name: `ten bytes and a promise of ${length}: no overflow of the sum`,
        parts: [binary(noise(10), begun), last('', { length, form: 64 })],
        expect: [['fault', 'ERR_WS_FRAME_TOO_LARGE']],
      }),
    ),
  ],
}

const limits: VectorGroup = {
  name: 'limits',
  vectors: [
    {
      name: 'a message at the limit',
      parts: [text('a'.repeat(200))],
      expect: [['text', 'a'.repeat(200)]],
      limits: { maxMessageSize: 200, maxFrameSize: 200 },
    },
    {
      name: 'one byte more',
      parts: [text('', { length: 201 })],
      expect: [['fault', 'ERR_WS_FRAME_TOO_LARGE']],
      limits: { maxMessageSize: 200, maxFrameSize: 200 },
    },
    {
      name: 'the frame limit speaks first',
      parts: [text('', { length: 500 })],
      expect: [['fault', 'ERR_WS_FRAME_TOO_LARGE']],
      limits: { maxMessageSize: 200, maxFrameSize: 300 },
    },
    {
      name: 'a frame within its limit, above the message limit',
      parts: [text('', { length: 250 })],
      expect: [['fault', 'ERR_WS_MESSAGE_TOO_LARGE']],
      limits: { maxMessageSize: 200, maxFrameSize: 300 },
    },
    {
      name: 'a limit below 126',
      parts: [binary('', { length: 11 })],
      expect: [['fault', 'ERR_WS_FRAME_TOO_LARGE']],
      limits: { maxMessageSize: 10, maxFrameSize: 10 },
    },
    {
      name: 'the smallest limit',
      parts: [binary('a'), text(''), binary('', { length: 2 })],
      expect: [
        ['binary', 'a'],
        ['text', ''],
        ['fault', 'ERR_WS_FRAME_TOO_LARGE'],
      ],
      limits: { maxMessageSize: 1, maxFrameSize: 1 },
    },
    {
      name: 'fragments that fill the limit',
      parts: [text('abcd', begun), more('efgh'), last('ij')],
      expect: [['text', 'abcdefghij']],
      limits: { maxMessageSize: 10 },
    },
    {
      name: 'fragments that pass it',
      parts: [text('abcd', begun), more('efgh'), last('', { length: 3 })],
      expect: [['fault', 'ERR_WS_MESSAGE_TOO_LARGE']],
      limits: { maxMessageSize: 10 },
    },
    {
      name: 'empty fragments at the limit',
      parts: [text('abcdefghij', begun), more(''), more(''), last('')],
      expect: [['text', 'abcdefghij']],
      limits: { maxMessageSize: 10 },
    },
    {
      name: 'a fragment above the frame limit',
      parts: [text('abcd', begun), last('', { length: 5 })],
      expect: [['fault', 'ERR_WS_FRAME_TOO_LARGE']],
      limits: { maxMessageSize: 100, maxFrameSize: 4 },
    },
    {
      name: 'many fragments, each within the frame limit',
      parts: [text('abcd', begun), more('efgh'), last('ijkl')],
      expect: [['text', 'abcdefghijkl']],
      limits: { maxMessageSize: 12, maxFrameSize: 4 },
    },
    {
      name: 'control frames count for nothing',
      parts: [text('abcd', begun), ping('p'.repeat(125)), last('efgh'), ping('q'.repeat(125))],
      expect: [
        ['ping', 'p'.repeat(125)],
        ['text', 'abcdefgh'],
        ['ping', 'q'.repeat(125)],
      ],
      limits: { maxMessageSize: 8, maxFrameSize: 4 },
    },
    {
      name: 'the sum begins anew with each message',
      parts: [text('abcd', begun), last('efgh'), text('ijkl', begun), last('mnop'), binary('qrstuvwx')],
      expect: [
        ['text', 'abcdefgh'],
        ['text', 'ijklmnop'],
        ['binary', 'qrstuvwx'],
      ],
      limits: { maxMessageSize: 8 },
    },
  ],
}

const pings: VectorGroup = {
  name: 'pings and pongs',
  vectors: [
    { name: 'an empty ping', parts: [ping()], expect: [['ping', '']] },
    { name: 'a ping with text', parts: [ping('Hello')], expect: [['ping', 'Hello']] },
    {
      name: 'a ping that is not UTF-8',
      parts: [ping(hex('00ff fefd fcfb 00ff'))],
      expect: [['ping', hex('00ff fefd fcfb 00ff')]],
    },
    { name: 'a ping of 125', parts: [ping(noise(125))], expect: [['ping', noise(125)]] },
    { name: 'a ping of 126', parts: [ping(noise(126))], expect: [['fault', 'ERR_WS_CONTROL_TOO_LONG']] },
    {
      name: 'a ping of 65536',
      parts: [ping('', { length: 65536 })],
      expect: [['fault', 'ERR_WS_CONTROL_TOO_LONG']],
    },
    {
      name: 'a short ping in 16 bits',
      parts: [ping('abc', { form: 16 })],
      expect: [['fault', 'ERR_WS_CONTROL_TOO_LONG']],
    },
    {
      name: 'a short pong in 64 bits',
      parts: [pong('abc', { form: 64 })],
      expect: [['fault', 'ERR_WS_CONTROL_TOO_LONG']],
    },
    { name: 'an unsolicited pong', parts: [pong()], expect: [['pong', '']] },
    {
      name: 'an unsolicited pong with payload',
      parts: [pong('unsolicited'), ping('p')],
      expect: [
        ['pong', 'unsolicited'],
        ['ping', 'p'],
      ],
    },
    {
      name: 'ten pings',
      parts: Array.from({ length: 10 }, (_, i) => ping(`ping ${i}`)),
      expect: Array.from({ length: 10 }, (_, i) => ['ping', `ping ${i}`] as const),
    },
    {
      name: 'ten pongs of 125',
      parts: Array.from({ length: 10 }, () => pong(noise(125))),
      expect: Array.from({ length: 10 }, () => ['pong', noise(125)] as const),
    },
  ],
}

const opcodes = [
  ['continuation', 0],
  ['text', 1],
  ['binary', 2],
  ['close', 8],
  ['ping', 9],
  ['pong', 10],
] as const

const reserved: VectorGroup = {
  name: 'reserved bits and opcodes',
  vectors: [
    ...[1, 2, 3, 4, 5, 6, 7].flatMap((rsv) =>
      opcodes.map(
        ([kind, opcode]): Vector => ({
          name: `RSV ${rsv} on ${kind}`,
          parts: [text('ok'), { opcode, rsv, payload: 'ab' }, ping('unseen')],
          expect: [
            ['text', 'ok'],
            ['fault', 'ERR_WS_RESERVED_BITS'],
          ],
        }),
      ),
    ),
    ...[4, 2, 1].map(
      (rsv): Vector => ({
        name: `RSV ${rsv} on a continuation inside a message`,
        parts: [text('ok', begun), last('ok', { rsv })],
        expect: [['fault', 'ERR_WS_RESERVED_BITS']],
      }),
    ),
    ...[3, 4, 5, 6, 7, 11, 12, 13, 14, 15].flatMap((opcode): Vector[] => [
      { name: `opcode ${opcode}`, parts: [{ opcode }], expect: [['fault', 'ERR_WS_RESERVED_OPCODE']] },
      {
        name: `opcode ${opcode} with payload, after a message`,
        parts: [text('ok'), { opcode, payload: 'x' }, ping()],
        expect: [
          ['text', 'ok'],
          ['fault', 'ERR_WS_RESERVED_OPCODE'],
        ],
      },
      {
        name: `opcode ${opcode} without FIN`,
        parts: [{ opcode, fin: false }],
        expect: [['fault', 'ERR_WS_RESERVED_OPCODE']],
      },
      {
        name: `opcode ${opcode} inside a message`,
        parts: [binary('a', begun), { opcode }],
        expect: [['fault', 'ERR_WS_RESERVED_OPCODE']],
      },
    ]),
  ],
}

const order: VectorGroup = {
  name: 'several things wrong at once: the first in order is told',
  vectors: [
    {
      name: 'reserved bit, reserved opcode',
      parts: [hex('f3')],
      expect: [['fault', 'ERR_WS_RESERVED_BITS']],
    },
    {
      name: 'reserved bit on a fragmented ping',
      parts: [hex('19')],
      expect: [['fault', 'ERR_WS_RESERVED_BITS']],
    },
    {
      name: 'reserved control opcode, fragmented',
      parts: [hex('0b')],
      expect: [['fault', 'ERR_WS_RESERVED_OPCODE']],
    },
    {
      name: 'first byte before the mask',
      parts: [text('x', { rsv: 4, wrongMask: true })],
      expect: [['fault', 'ERR_WS_RESERVED_BITS']],
    },
    {
      name: 'continuation order before the mask',
      parts: [last('x', { wrongMask: true })],
      expect: [['fault', 'ERR_WS_UNEXPECTED_CONTINUATION']],
    },
    {
      name: 'mask before control length',
      parts: [ping('', { length: 126, wrongMask: true })],
      expect: [['fault', 'ERR_WS_UNMASKED_FRAME']],
      roles: ['server'],
    },
    {
      name: 'mask before control length',
      parts: [ping('', { length: 126, wrongMask: true })],
      expect: [['fault', 'ERR_WS_MASKED_FRAME']],
      roles: ['client'],
    },
    {
      name: 'mask before half a close code',
      parts: [hex('8801')],
      expect: [['fault', 'ERR_WS_UNMASKED_FRAME']],
      roles: ['server'],
    },
    {
      name: 'mask before half a close code',
      parts: [hex('8881')],
      expect: [['fault', 'ERR_WS_MASKED_FRAME']],
      roles: ['client'],
    },
    {
      name: 'not minimal before too large',
      parts: [text('', { length: 20, form: 16 })],
      expect: [['fault', 'ERR_WS_LENGTH_NOT_MINIMAL']],
      limits: { maxMessageSize: 5, maxFrameSize: 5 },
    },
    {
      name: 'sign bit before too large',
      parts: [text('', { length: 2n ** 63n, form: 64 })],
      expect: [['fault', 'ERR_WS_LENGTH_SIGN_BIT']],
      limits: { maxMessageSize: 5, maxFrameSize: 5 },
    },
    {
      name: 'bad close code before bad reason',
      parts: [close(1005, hex('ff'))],
      expect: [['fault', 'ERR_WS_CLOSE_CODE']],
    },
  ],
}

const masks: VectorGroup = {
  name: 'masking',
  vectors: [
    ...opcodes.flatMap(([kind, opcode]): Vector[] => {
      const parts =
        opcode === 0 ? [text('a', begun), { opcode, wrongMask: true }] : [{ opcode, wrongMask: true }]
      return [
        {
          name: `unmasked ${kind} to a server`,
          parts,
          expect: [['fault', 'ERR_WS_UNMASKED_FRAME']],
          roles: ['server'],
        },
        {
          name: `masked ${kind} to a client`,
          parts,
          expect: [['fault', 'ERR_WS_MASKED_FRAME']],
          roles: ['client'],
        },
      ]
    }),
    {
      name: 'the second frame unmasked',
      parts: [text('ok'), text('bad', { wrongMask: true })],
      expect: [
        ['text', 'ok'],
        ['fault', 'ERR_WS_UNMASKED_FRAME'],
      ],
      roles: ['server'],
    },
    ...keys.map(
      (mask): Vector => ({
        name: `key ${mask.toString('hex')}, frames of 0 to 140`,
        parts: Array.from({ length: 141 }, (_, n) => frame({ opcode: 2, payload: noise(n), mask })),
        expect: Array.from({ length: 141 }, (_, n) => ['binary', noise(n)] as const),
        roles: ['server'],
      }),
    ),
  ],
}

const fragments: VectorGroup = {
  name: 'fragmentation',
  vectors: [
    { name: 'two fragments', parts: [text('frag', begun), last('ment')], expect: [['text', 'fragment']] },
    {
      name: 'two binary fragments',
      parts: [binary(noise(70), begun), last(noise(3))],
      expect: [['binary', Buffer.concat([noise(70), noise(3)])]],
    },
    {
      name: 'a ping between them',
      parts: [text('frag', begun), ping('now'), last('ment')],
      expect: [
        ['ping', 'now'],
        ['text', 'fragment'],
      ],
    },
    {
      name: 'pings everywhere',
      parts: [ping('0'), text('a', begun), ping('1'), pong('2'), more('b'), ping('3'), last('c'), ping('4')],
      expect: [
        ['ping', '0'],
        ['ping', '1'],
        ['pong', '2'],
        ['ping', '3'],
        ['text', 'abc'],
        ['ping', '4'],
      ],
    },
    { name: 'all empty', parts: [text('', begun), more(''), last('')], expect: [['text', '']] },
    { name: 'all empty, binary', parts: [binary('', begun), last('')], expect: [['binary', '']] },
    {
      name: 'only the middle has bytes',
      parts: [text('', begun), more('middle'), last('')],
      expect: [['text', 'middle']],
    },
    {
      name: 'the end is empty',
      parts: [text('all of it', begun), last('')],
      expect: [['text', 'all of it']],
    },
    {
      name: 'messages in a row',
      parts: [text('a', begun), last('b'), binary('c', begun), more('d'), last('e'), text('f')],
      expect: [
        ['text', 'ab'],
        ['binary', 'cde'],
        ['text', 'f'],
      ],
    },
    {
      name: 'a hundred fragments of one byte',
      parts: [binary('x', begun), ...Array.from({ length: 98 }, () => more('x')), last('x')],
      expect: [['binary', 'x'.repeat(100)]],
    },
    {
      name: 'two hundred empty fragments',
      parts: [text('a', begun), ...Array.from({ length: 200 }, () => more('')), last('b')],
      expect: [['text', 'ab']],
    },
    { name: 'an unfinished message is no message', parts: [text('frag', begun), more('ment')], expect: [] },
    { name: 'an unfinished frame is no message', parts: [text('frag', { length: 5 })], expect: [] },
    {
      name: 'a Close inside a message',
      parts: [text('frag', begun), close(1000), last('ment')],
      expect: [['close', 1000, '']],
    },
    {
      name: 'a lone continuation',
      parts: [last('x')],
      expect: [['fault', 'ERR_WS_UNEXPECTED_CONTINUATION']],
    },
    {
      name: 'a lone continuation without FIN',
      parts: [more('x')],
      expect: [['fault', 'ERR_WS_UNEXPECTED_CONTINUATION']],
    },
    {
      name: 'a continuation after a whole message',
      parts: [text('ok'), last('x')],
      expect: [
        ['text', 'ok'],
        ['fault', 'ERR_WS_UNEXPECTED_CONTINUATION'],
      ],
    },
    {
      name: 'a continuation after the last one',
      parts: [text('o', begun), last('k'), more('x')],
      expect: [
        ['text', 'ok'],
        ['fault', 'ERR_WS_UNEXPECTED_CONTINUATION'],
      ],
    },
    {
      name: 'a ping does not begin a message',
      parts: [ping('x'), last('x')],
      expect: [
        ['ping', 'x'],
        ['fault', 'ERR_WS_UNEXPECTED_CONTINUATION'],
      ],
    },
    {
      name: 'text inside a text',
      parts: [text('a', begun), text('b')],
      expect: [['fault', 'ERR_WS_EXPECTED_CONTINUATION']],
    },
    {
      name: 'binary inside a text',
      parts: [text('a', begun), binary('b', begun)],
      expect: [['fault', 'ERR_WS_EXPECTED_CONTINUATION']],
    },
    {
      name: 'text inside a binary, after a ping',
      parts: [binary('a', begun), ping('p'), text('b')],
      expect: [
        ['ping', 'p'],
        ['fault', 'ERR_WS_EXPECTED_CONTINUATION'],
      ],
    },
    {
      name: 'a new message after an empty beginning',
      parts: [text('', begun), text('b')],
      expect: [['fault', 'ERR_WS_EXPECTED_CONTINUATION']],
    },
    {
      name: 'a fragmented ping',
      parts: [ping('a', begun), last('b')],
      expect: [['fault', 'ERR_WS_CONTROL_FRAGMENTED']],
    },
    {
      name: 'a fragmented pong',
      parts: [pong('a', begun)],
      expect: [['fault', 'ERR_WS_CONTROL_FRAGMENTED']],
    },
    {
      name: 'a fragmented Close',
      parts: [close(1000, '', begun)],
      expect: [['fault', 'ERR_WS_CONTROL_FRAGMENTED']],
    },
    ...[1, 64, 125, 126, 1300, 65536, 70000].map((size): Vector => {
      const whole = Buffer.from('\u{1f98d} back '.repeat(size < 64 ? 20 : 7000))
      const cuts = Array.from({ length: Math.ceil(whole.length / size) }, (_, i) =>
        whole.subarray(i * size, (i + 1) * size),
      )
      const parts = cuts.map(
        (piece, i): VectorFrame => ({ opcode: i === 0 ? 1 : 0, payload: piece, fin: i === cuts.length - 1 }),
      )
      return {
        name: `${whole.length} bytes of text in fragments of ${size}`,
        parts,
        expect: [['text', whole]],
      }
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
    { name: 'without payload', parts: [close()], expect: [['close', 1005, '']] },
    ...goodCodes.flatMap((code): Vector[] => [
      { name: `code ${code}`, parts: [close(code)], expect: [['close', code, '']] },
      { name: `code ${code} with a reason`, parts: [close(code, 'bye')], expect: [['close', code, 'bye']] },
    ]),
    ...badCodes.flatMap((code): Vector[] => [
      { name: `code ${code}`, parts: [close(code)], expect: [['fault', 'ERR_WS_CLOSE_CODE']] },
      {
        name: `code ${code} with a reason`,
        parts: [close(code, 'bye')],
        expect: [['fault', 'ERR_WS_CLOSE_CODE']],
      },
    ]),
    {
      name: 'half a code',
      parts: [{ opcode: 8, payload: hex('03') }],
      expect: [['fault', 'ERR_WS_CLOSE_PAYLOAD']],
    },
    {
      name: 'half a code is told by the length',
      parts: [hex('8881')],
      expect: [['fault', 'ERR_WS_CLOSE_PAYLOAD']],
      roles: ['server'],
    },
    {
      name: 'half a code is told by the length',
      parts: [hex('8801')],
      expect: [['fault', 'ERR_WS_CLOSE_PAYLOAD']],
      roles: ['client'],
    },
    {
      name: 'a reason of 123 bytes',
      parts: [close(1000, longReason)],
      expect: [['close', 1000, longReason]],
    },
    {
      name: 'a reason of 124 bytes',
      parts: [close(1000, `${longReason}r`)],
      expect: [['fault', 'ERR_WS_CONTROL_TOO_LONG']],
    },
    {
      name: 'a reason in three scripts',
      parts: [close(4999, 'Ä Ж 猫 \u0000 \ufeff')],
      expect: [['close', 4999, 'Ä Ж 猫 \u0000 \ufeff']],
    },
    {
      name: 'a reason with a byte order mark',
      parts: [close(1000, '\ufeffbom')],
      expect: [['close', 1000, '\ufeffbom']],
    },
    ...['ff', 'c080', 'eda080', 'e28c', 'f0908080f09080', 'f4908080', '61 80'].map(
      (bytes): Vector => ({
        name: `a reason that is not UTF-8: ${bytes}`,
        parts: [close(1000, hex(bytes))],
        expect: [['fault', 'ERR_WS_CLOSE_REASON']],
      }),
    ),
    {
      name: 'the reason is judged when the frame is whole',
      parts: [close(1000, hex('ff'), { length: 4 })],
      expect: [],
    },
    {
      name: 'text behind it',
      parts: [text('a'), close(1000), text('b')],
      expect: [
        ['text', 'a'],
        ['close', 1000, ''],
      ],
    },
    { name: 'a ping behind it', parts: [close(1001), ping('b')], expect: [['close', 1001, '']] },
    {
      name: 'another Close behind it',
      parts: [close(1000, 'first'), close(1001, 'second')],
      expect: [['close', 1000, 'first']],
    },
    {
      name: 'a bad frame behind it',
      parts: [close(1000), hex('ffff ffff ffff ffff')],
      expect: [['close', 1000, '']],
    },
    {
      name: 'a megabyte behind it',
      parts: [close(1000), Buffer.alloc(100_000, 0x81)],
      expect: [['close', 1000, '']],
    },
    {
      name: 'frames behind a fault',
      parts: [hex('83'), text('a'), close(1000)],
      expect: [['fault', 'ERR_WS_RESERVED_OPCODE']],
    },
  ],
}

/** Every vector there is. */
export const vectorGroups: readonly VectorGroup[] = [
  framing,
  notMinimal,
  limits,
  pings,
  reserved,
  order,
  masks,
  fragments,
  ...utf8Vectors,
  closing,
]
