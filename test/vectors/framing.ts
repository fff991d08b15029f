import { frame, hex } from '../frames.ts'
import {
  begun,
  binary,
  close,
  keys,
  last,
  more,
  noise,
  ping,
  text,
  type Vector,
  type VectorGroup,
  vector,
} from './vector.ts'

const opcodes = [
  ['continuation', 0],
  ['text', 1],
  ['binary', 2],
  ['close', 8],
  ['ping', 9],
  ['pong', 10],
] as const

const lengths = [
  0, 1, 2, 3, 4, 5, 7, 8, 9, 31, 63, 64, 65, 124, 125, 126, 127, 128, 129, 255, 256, 1023, 65535, 65536,
]

const framing: VectorGroup = {
  name: 'frames of every length',
  vectors: lengths.flatMap((length): Vector[] => {
    const ascii = '*'.repeat(length)
    const bytes = noise(length)
    return [
      vector(`text of ${length}`, [text(ascii)], [['text', ascii]]),
      vector(
        `binary of ${length} between others`,
        [text('before'), binary(bytes), ping('p'), text('behind')],
        [
          ['text', 'before'],
          ['binary', bytes],
          ['ping', 'p'],
          ['text', 'behind'],
        ],
      ),
    ]
  }),
}

const notMinimal: VectorGroup = {
  name: 'lengths not in their shortest form, and beyond all limits',
  vectors: [
    ...[0, 1, 124, 125].map(
      (length): Vector =>
        vector(
          `${length} in 16 bits`,
          [text('*'.repeat(length), { form: 16 })],
          [['fault', 'ERR_WS_LENGTH_NOT_MINIMAL']],
        ),
    ),
    ...[0, 1, 125, 126, 65534, 65535].map(
      (length): Vector =>
        vector(
          `${length} in 64 bits`,
          [binary(noise(Math.min(length, 200)), { form: 64, length })],
          [['fault', 'ERR_WS_LENGTH_NOT_MINIMAL']],
        ),
    ),
    ...[126, 127, 65535].map(
      (length): Vector =>
        vector(
          `${length} in 16 bits is minimal`,
          [binary(noise(length), { form: 16 })],
          [['binary', noise(length)]],
        ),
    ),
    vector(
      'the length is judged before the key comes',
      [hex('82fe 0001')],
      [['fault', 'ERR_WS_LENGTH_NOT_MINIMAL']],
      { roles: ['server'] },
    ),
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
      (length): Vector =>
        vector(
          `a promise of ${length}`,
          [binary('', { length, form: 64 })],
          [['fault', 'ERR_WS_FRAME_TOO_LARGE']],
        ),
    ),
    ...[2n ** 63n, 2n ** 63n + 1n, 2n ** 64n - 1n, 0xff00_0000_0000_0000n].map(
      (length): Vector =>
        vector(
          `a length with its sign bit: ${length}`,
          [binary('', { length, form: 64 })],
          [['fault', 'ERR_WS_LENGTH_SIGN_BIT']],
        ),
    ),
    vector('the sign bit is told by its byte', [hex('82ff 80')], [['fault', 'ERR_WS_LENGTH_SIGN_BIT']], {
      roles: ['server'],
    }),
    ...[2n ** 53n - 1n, 2n ** 53n, 2n ** 63n - 1n, 2n ** 63n - 10n].map(
      (length): Vector =>
        vector(
          `ten bytes and a promise of ${length}: no overflow of the sum`,
          [binary(noise(10), begun), last('', { length, form: 64 })],
          [['fault', 'ERR_WS_FRAME_TOO_LARGE']],
        ),
    ),
  ],
}

const limits: VectorGroup = {
  name: 'limits',
  vectors: [
    vector('a message at the limit', [text('a'.repeat(200))], [['text', 'a'.repeat(200)]], {
      limits: { maxMessageSize: 200, maxFrameSize: 200 },
    }),
    vector('one byte more', [text('', { length: 201 })], [['fault', 'ERR_WS_FRAME_TOO_LARGE']], {
      limits: { maxMessageSize: 200, maxFrameSize: 200 },
    }),
    vector(
      'the frame limit speaks first',
      [text('', { length: 500 })],
      [['fault', 'ERR_WS_FRAME_TOO_LARGE']],
      { limits: { maxMessageSize: 200, maxFrameSize: 300 } },
    ),
    vector(
      'a frame within its limit, above the message limit',
      [text('', { length: 250 })],
      [['fault', 'ERR_WS_MESSAGE_TOO_LARGE']],
      { limits: { maxMessageSize: 200, maxFrameSize: 300 } },
    ),
    vector('a limit below 126', [binary('', { length: 11 })], [['fault', 'ERR_WS_FRAME_TOO_LARGE']], {
      limits: { maxMessageSize: 10, maxFrameSize: 10 },
    }),
    vector(
      'the smallest limit',
      [binary('a'), text(''), binary('', { length: 2 })],
      [
        ['binary', 'a'],
        ['text', ''],
        ['fault', 'ERR_WS_FRAME_TOO_LARGE'],
      ],
      { limits: { maxMessageSize: 1, maxFrameSize: 1 } },
    ),
    vector(
      'fragments that fill the limit',
      [text('abcd', begun), more('efgh'), last('ij')],
      [['text', 'abcdefghij']],
      { limits: { maxMessageSize: 10 } },
    ),
    vector(
      'fragments that pass it',
      [text('abcd', begun), more('efgh'), last('', { length: 3 })],
      [['fault', 'ERR_WS_MESSAGE_TOO_LARGE']],
      { limits: { maxMessageSize: 10 } },
    ),
    vector(
      'empty fragments at the limit',
      [text('abcdefghij', begun), more(''), more(''), last('')],
      [['text', 'abcdefghij']],
      { limits: { maxMessageSize: 10 } },
    ),
    vector(
      'a fragment above the frame limit',
      [text('abcd', begun), last('', { length: 5 })],
      [['fault', 'ERR_WS_FRAME_TOO_LARGE']],
      { limits: { maxMessageSize: 100, maxFrameSize: 4 } },
    ),
    vector(
      'many fragments, each within the frame limit',
      [text('abcd', begun), more('efgh'), last('ijkl')],
      [['text', 'abcdefghijkl']],
      { limits: { maxMessageSize: 12, maxFrameSize: 4 } },
    ),
    vector(
      'control frames count for nothing',
      [text('abcd', begun), ping('p'.repeat(125)), last('efgh'), ping('q'.repeat(125))],
      [
        ['ping', 'p'.repeat(125)],
        ['text', 'abcdefgh'],
        ['ping', 'q'.repeat(125)],
      ],
      { limits: { maxMessageSize: 8, maxFrameSize: 4 } },
    ),
    vector(
      'the sum begins anew with each message',
      [text('abcd', begun), last('efgh'), text('ijkl', begun), last('mnop'), binary('qrstuvwx')],
      [
        ['text', 'abcdefgh'],
        ['text', 'ijklmnop'],
        ['binary', 'qrstuvwx'],
      ],
      { limits: { maxMessageSize: 8 } },
    ),
  ],
}

const masks: VectorGroup = {
  name: 'masking',
  vectors: [
    ...opcodes.flatMap(([kind, opcode]): Vector[] => {
      const parts =
        opcode === 0 ? [text('a', begun), { opcode, wrongMask: true }] : [{ opcode, wrongMask: true }]
      return [
        vector(`unmasked ${kind} to a server`, parts, [['fault', 'ERR_WS_UNMASKED_FRAME']], {
          roles: ['server'],
        }),
        vector(`masked ${kind} to a client`, parts, [['fault', 'ERR_WS_MASKED_FRAME']], {
          roles: ['client'],
        }),
      ]
    }),
    vector(
      'the second frame unmasked',
      [text('ok'), text('bad', { wrongMask: true })],
      [
        ['text', 'ok'],
        ['fault', 'ERR_WS_UNMASKED_FRAME'],
      ],
      { roles: ['server'] },
    ),
    ...keys.map(
      (mask): Vector =>
        vector(
          `key ${mask.toString('hex')}, frames of 0 to 140`,
          Array.from({ length: 141 }, (_, n) => frame({ opcode: 2, payload: noise(n), mask })),
          Array.from({ length: 141 }, (_, n) => ['binary', noise(n)] as const),
          { roles: ['server'] },
        ),
    ),
  ],
}

const reserved: VectorGroup = {
  name: 'reserved bits and opcodes',
  vectors: [
    ...[1, 2, 3, 4, 5, 6, 7].flatMap((rsv) =>
      opcodes.map(
        ([kind, opcode]): Vector =>
          vector(
            `RSV ${rsv} on ${kind}`,
            [text('ok'), { opcode, rsv, payload: 'ab' }, ping('unseen')],
            [
              ['text', 'ok'],
              ['fault', 'ERR_WS_RESERVED_BITS'],
            ],
          ),
      ),
    ),
    ...[4, 2, 1].map(
      (rsv): Vector =>
        vector(
          `RSV ${rsv} on a continuation inside a message`,
          [text('ok', begun), last('ok', { rsv })],
          [['fault', 'ERR_WS_RESERVED_BITS']],
        ),
    ),
    ...[3, 4, 5, 6, 7, 11, 12, 13, 14, 15].flatMap((opcode): Vector[] => [
      vector(`opcode ${opcode}`, [{ opcode }], [['fault', 'ERR_WS_RESERVED_OPCODE']]),
      vector(
        `opcode ${opcode} with payload, after a message`,
        [text('ok'), { opcode, payload: 'x' }, ping()],
        [
          ['text', 'ok'],
          ['fault', 'ERR_WS_RESERVED_OPCODE'],
        ],
      ),
      vector(`opcode ${opcode} without FIN`, [{ opcode, fin: false }], [['fault', 'ERR_WS_RESERVED_OPCODE']]),
      vector(
        `opcode ${opcode} inside a message`,
        [binary('a', begun), { opcode }],
        [['fault', 'ERR_WS_RESERVED_OPCODE']],
      ),
    ]),
  ],
}

const order: VectorGroup = {
  name: 'several things wrong at once: the first in order is told',
  vectors: [
    vector('reserved bit, reserved opcode', [hex('f3')], [['fault', 'ERR_WS_RESERVED_BITS']]),
    vector('reserved bit on a fragmented ping', [hex('19')], [['fault', 'ERR_WS_RESERVED_BITS']]),
    vector('reserved control opcode, fragmented', [hex('0b')], [['fault', 'ERR_WS_RESERVED_OPCODE']]),
    vector(
      'first byte before the mask',
      [text('x', { rsv: 4, wrongMask: true })],
      [['fault', 'ERR_WS_RESERVED_BITS']],
    ),
    vector(
      'continuation order before the mask',
      [last('x', { wrongMask: true })],
      [['fault', 'ERR_WS_UNEXPECTED_CONTINUATION']],
    ),
    vector(
      'mask before control length',
      [ping('', { length: 126, wrongMask: true })],
      [['fault', 'ERR_WS_UNMASKED_FRAME']],
      { roles: ['server'] },
    ),
    vector(
      'mask before control length',
      [ping('', { length: 126, wrongMask: true })],
      [['fault', 'ERR_WS_MASKED_FRAME']],
      { roles: ['client'] },
    ),
    vector('mask before half a close code', [hex('8801')], [['fault', 'ERR_WS_UNMASKED_FRAME']], {
      roles: ['server'],
    }),
    vector('mask before half a close code', [hex('8881')], [['fault', 'ERR_WS_MASKED_FRAME']], {
      roles: ['client'],
    }),
    vector(
      'not minimal before too large',
      [text('', { length: 20, form: 16 })],
      [['fault', 'ERR_WS_LENGTH_NOT_MINIMAL']],
      { limits: { maxMessageSize: 5, maxFrameSize: 5 } },
    ),
    vector(
      'sign bit before too large',
      [text('', { length: 2n ** 63n, form: 64 })],
      [['fault', 'ERR_WS_LENGTH_SIGN_BIT']],
      { limits: { maxMessageSize: 5, maxFrameSize: 5 } },
    ),
    vector('bad close code before bad reason', [close(1005, hex('ff'))], [['fault', 'ERR_WS_CLOSE_CODE']]),
  ],
}

/** Headers: lengths, limits, masks, reserved bits and opcodes, and which fault is told first. */
export const framingVectors: readonly VectorGroup[] = [framing, notMinimal, limits, masks, reserved, order]
