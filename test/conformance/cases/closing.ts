import {
  begun,
  binary,
  type Case,
  close,
  closedByPeer,
  fill,
  type Group,
  hex,
  last,
  type Part,
  ping,
  pong,
  refuses,
  text,
} from '../case.ts'
import { bytesOf } from '../payload.ts'
import { illFormed, unfinished } from './utf8-table.ts'

/** The codes that a Close frame may have: RFC 6455 section 7.4, and what was registered with IANA since. */
const registered = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014]
const free = [3000, 3001, 3999, 4000, 4001, 4999]

/** Those it may not have. */
const forbidden = [
  0, 1, 125, 999, 1004, 1005, 1006, 1015, 1016, 1100, 1999, 2000, 2500, 2999, 5000, 9999, 32_768, 65_535,
]

function closes(id: string, about: string, code: number, reason: string, parts: Case['steps'] = []): Case {
  const step = { peer: [close(code === 1005 ? undefined : code, reason)], hears: [] }
  return {
    id,
    about,
    autobahn: '7',
    steps: [...parts, step],
    end: { kind: 'closed', by: 'peer', code, reason },
  }
}

const codes: Case[] = [
  ...registered.map((code) =>
    closes(`closing.code.${code}`, `A Close frame with the registered code ${code}.`, code, ''),
  ),
  ...free.map((code) =>
    closes(
      `closing.code.${code}`,
      `A Close frame with the code ${code}, which is free for use.`,
      code,
      'free',
    ),
  ),
  closes(
    'closing.code.none',
    'A Close frame without payload, which is heard as 1005 and answered by the same.',
    1005,
    '',
  ),
  ...forbidden.map((code) =>
    refuses(
      `closing.code.${code}`,
      '7.9',
      `A Close frame with the code ${code}, which none may have.`,
      [close(code, 'forbidden'), text('behind')],
      [],
      ['ERR_WS_CLOSE_CODE', 1002, { frame: 0, payload: 'end' }],
    ),
  ),
]

const longest = bytesOf(fill('ascii', 123, 3))

const reasons: Case[] = [
  closes('closing.reason.short', 'A reason of a few letters.', 1000, 'that is all'),
  closes('closing.reason.one', 'A reason of one byte.', 1000, '.'),
  closes('closing.reason.122', 'A reason of 122 bytes.', 4000, Buffer.from(longest.subarray(1)).toString()),
  closes(
    'closing.reason.123',
    'A reason of 123 bytes, the most there is room for.',
    4000,
    Buffer.from(longest).toString(),
  ),
  closes('closing.reason.utf8', 'A reason of 123 bytes in characters of three.', 4000, '語'.repeat(41)),
  closes('closing.reason.four-bytes', 'A reason of characters of four bytes.', 1001, '\u{1f98d}'.repeat(30)),
  ...[124, 125, 200].map((size) =>
    refuses(
      `closing.reason.${size}`,
      '7.3',
      `A reason of ${size} bytes makes a control frame of more than 125.`,
      [close(1000, Buffer.alloc(size, 'r'))],
      [],
      ['ERR_WS_CONTROL_TOO_LONG', 1002, { frame: 0, header: 2 }],
    ),
  ),
  refuses(
    'closing.payload.half-a-code',
    '7.3',
    'A Close frame of one byte: its header is enough.',
    [{ opcode: 8, payload: hex('03') }],
    [],
    ['ERR_WS_CLOSE_PAYLOAD', 1002, { frame: 0, header: 2 }],
  ),
  refuses(
    'closing.payload.fragmented',
    '7',
    'A Close frame that is not final.',
    [close(1000, 'bye', { fin: false }), last('')],
    [],
    ['ERR_WS_CONTROL_FRAGMENTED', 1002, { frame: 0, header: 1 }],
  ),
]

const badReasons: Case[] = [
  ...illFormed.map(([name, about, decisive, rest = '']) =>
    refuses(
      `closing.reason.invalid.${name}`,
      '7.5',
      `A reason that is no UTF-8: ${about[0]?.toLowerCase()}${about.slice(1)}.`,
      [close(1000, hex(decisive + rest)), text('behind')],
      [],
      ['ERR_WS_CLOSE_REASON', 1007, { frame: 0, payload: 'end' }],
    ),
  ),
  ...unfinished
    .filter(([, , bytes]) => bytes.length <= 246)
    .map(([name, about, bytes]) =>
      refuses(
        `closing.reason.unfinished.${name}`,
        '7.5',
        `A reason that is cut off: ${about[0]?.toLowerCase()}${about.slice(1)}.`,
        [close(1000, hex(bytes))],
        [],
        ['ERR_WS_CLOSE_REASON', 1007, { frame: 0, payload: 'end' }],
      ),
    ),
]

/** What stands behind a Close frame has no effect, be it right or wrong. */
const late: readonly (readonly [name: string, about: string, part: Part])[] = [
  ['message', 'a message', text('too late')],
  ['binary', 'a long message', binary(fill('noise', 70_000, 3))],
  ['ping', 'a ping, which is not answered', ping('too late')],
  ['pong', 'a pong', pong('too late')],
  ['close', 'a second Close frame', close(1001)],
  ['reserved-opcode', 'a frame of a reserved opcode', { opcode: 3 }],
  ['reserved-bits', 'a frame with reserved bits', text('x', { rsv: 7 })],
  ['noise', 'bytes that are no frames', bytesOf(fill('noise', 300, 8))],
  ['continuation', 'a continuation of nothing', last('x')],
]

const behind = late.map(
  ([name, about, part]): Case => ({
    id: `closing.behind.${name}`,
    about: `Behind the Close frame comes ${about}: nothing of that is heard.`,
    autobahn: '7.1',
    steps: [{ peer: [text('before'), close(1000), part], hears: [['text', 'before']] }],
    end: closedByPeer,
  }),
)

const behindLong: Case = {
  id: 'closing.behind.long-message-then-ping',
  about:
    'A text of 256 KiB, a Close frame, and a ping in a row: the text is delivered and echoed, the ping is not heard.',
  autobahn: '7.1',
  steps: [
    {
      peer: [text(fill('ascii', 262_144, 5)), close(1000), ping('too late')],
      hears: [['text', fill('ascii', 262_144, 5)]],
    },
  ],
  end: closedByPeer,
}

const begunByEndpoint: Case[] = [
  ...[...registered, ...free].map(
    (code): Case => ({
      id: `closing.endpoint.${code}`,
      about: `The endpoint closes with ${code}, and is answered by the same.`,
      autobahn: '7.7',
      steps: [{ endpoint: { close: code, reason: 'of the endpoint' } }, { peer: [close(code)], hears: [] }],
      end: { kind: 'closed', by: 'endpoint', code, reason: 'of the endpoint' },
    }),
  ),
  {
    id: 'closing.endpoint.other-answer',
    about: 'The endpoint closes with 1000; the peer answers with another code, and a reason.',
    autobahn: '7.7',
    steps: [{ endpoint: { close: 1000, reason: '' } }, { peer: [close(4321, 'me too')], hears: [] }],
    end: { kind: 'closed', by: 'endpoint', code: 1000, reason: '' },
  },
  {
    id: 'closing.endpoint.empty-answer',
    about: 'The endpoint closes with 1001; the peer answers without a code.',
    autobahn: '7.7',
    steps: [{ endpoint: { close: 1001, reason: 'going' } }, { peer: [close()], hears: [] }],
    end: { kind: 'closed', by: 'endpoint', code: 1001, reason: 'going' },
  },
  {
    id: 'closing.endpoint.messages-before-the-answer',
    about: 'What the peer sent before it answers is heard: messages, and pings, which are answered.',
    autobahn: '7.1',
    steps: [
      { endpoint: { close: 1000, reason: '' } },
      {
        peer: [text('on its way'), ping('p'), text('in ', begun), last('parts'), close(1000)],
        hears: [
          ['text', 'on its way'],
          ['ping', 'p'],
          ['text', 'in parts'],
        ],
      },
    ],
    end: { kind: 'closed', by: 'endpoint', code: 1000, reason: '' },
  },
  {
    id: 'closing.endpoint.wrong-answer',
    about:
      'The endpoint closes; the peer breaks a rule instead of answering. There is no second Close frame.',
    autobahn: '7.1',
    steps: [{ endpoint: { close: 1000, reason: '' } }, { peer: [text('x', { rsv: 1 })], hears: [] }],
    end: { kind: 'refused', error: 'ERR_WS_RESERVED_BITS', code: 1002, at: { frame: 0, header: 1 } },
  },
  {
    id: 'closing.endpoint.wrong-code-in-answer',
    about: 'The endpoint closes; the Close frame that answers has a code that none may have.',
    autobahn: '7.9',
    steps: [{ endpoint: { close: 1000, reason: '' } }, { peer: [close(1005)], hears: [] }],
    end: { kind: 'refused', error: 'ERR_WS_CLOSE_CODE', code: 1002, at: { frame: 0, payload: 'end' } },
  },
  {
    id: 'closing.behind-messages',
    about: 'Messages of all sizes ahead of the Close frame are delivered and answered before it is.',
    autobahn: '7.1',
    steps: [
      {
        peer: [text('a'), binary(fill('noise', 70_000, 3)), text('b', begun), last('c'), close(1001, 'away')],
        hears: [
          ['text', 'a'],
          ['binary', fill('noise', 70_000, 3)],
          ['text', 'bc'],
        ],
      },
    ],
    end: { kind: 'closed', by: 'peer', code: 1001, reason: 'away' },
  },
]

export const closing: Group = {
  name: 'closing',
  title: 'Closing',
  about:
    'Every kind of code and reason, right and wrong; what stands behind a Close frame; closing from both sides.',
  autobahn: '7',
  cases: [...codes, ...reasons, ...badReasons, ...behind, behindLong, ...begunByEndpoint],
}
