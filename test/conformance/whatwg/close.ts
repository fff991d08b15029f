import type { Watched } from '../../support/watch-socket.ts'
import { see, type WebCase, type WebGroup, type WebStage } from './web-case.ts'

const A123 = 'a'.repeat(123)

/** Arguments of `close`; the Close frame that the server gets, as a line of hexadecimal digits, and the event. */
const sent: readonly (readonly [
  name: string,
  about: string,
  args: unknown[],
  frame: string,
  event: string,
])[] = [
  [
    'nothing',
    'Without arguments no code is sent, and the answer has none',
    [],
    'close 1005 ""',
    'close 3 1005 ',
  ],
  ['undefined', '`undefined` is no argument', [undefined], 'close 1005 ""', 'close 3 1005 '],
  ['undefined-twice', 'Neither are two of them', [undefined, undefined], 'close 1005 ""', 'close 3 1005 '],
  ['1000', 'The code 1000', [1000], 'close 1000 ""', 'close 3 1000 '],
  [
    '1000-reason',
    'The code 1000 with a reason',
    [1000, 'Clean Close'],
    'close 1000 "Clean Close"',
    'close 3 1000 Clean Close',
  ],
  ['3000', 'The first code that is free', [3000], 'close 3000 ""', 'close 3 3000 '],
  ['3000-reason', 'With a reason', [3000, 'why'], 'close 3000 "why"', 'close 3 3000 why'],
  ['4999', 'The last code that is free', [4999, 'last'], 'close 4999 "last"', 'close 3 4999 last'],
  ['reason-of-123', 'A reason of 123 bytes', [1000, A123], `close 1000 "${A123}"`, `close 3 1000 ${A123}`],
  [
    'reason-unicode',
    'A reason of 123 bytes in characters of three',
    [1000, '漢'.repeat(41)],
    `close 1000 "${'漢'.repeat(41)}"`,
    `close 3 1000 ${'漢'.repeat(41)}`,
  ],
  [
    'reason-surrogates',
    'Lone surrogates in a reason become U+FFFD',
    [1000, '\ud807 \udc05'],
    'close 1000 "\ufffd \ufffd"',
    'close 3 1000 \ufffd \ufffd',
  ],
  ['reason-empty', 'An empty reason', [1000, ''], 'close 1000 ""', 'close 3 1000 '],
  ['reason-null', 'null as a reason is its text', [1000, null], 'close 1000 "null"', 'close 3 1000 null'],
  ['reason-number', 'A number as a reason is its text', [1000, 7], 'close 1000 "7"', 'close 3 1000 7'],
  ['code-text', 'A code as text', ['3456'], 'close 3456 ""', 'close 3 3456 '],
  ['code-fraction', 'A code that is no whole number is rounded', [3000.4], 'close 3000 ""', 'close 3 3000 '],
  [
    'reason-alone',
    'A reason without a code is sent with 1000',
    [undefined, 'why'],
    'close 1000 "why"',
    'close 3 1000 why',
  ],
]

/** A server that answers a Close frame with the same. */
function answering(stage: WebStage, frames: string[] = []) {
  return stage.scripted({
    on(line, client) {
      frames.push(line)
      const [, code, reason] = /^close (\d+) (.*)$/.exec(line) ?? []
      if (code === undefined) return
      const text = Buffer.from(JSON.parse(reason as string) as string)
      const head = Buffer.alloc(2)
      head.writeUInt16BE(Number(code) % 65_536)
      client.send({ opcode: 8, payload: code === '1005' ? '' : Buffer.concat([head, text]) })
      client.socket.end()
    },
  })
}

const asked = sent.map(([name, about, args, frame, event]) =>
  see(
    `close.${name}`,
    `${about}: state 2 at once, then a clean end.`,
    { state: 2, frames: [frame], log: ['open 1', event] },
    async (stage) => {
      const frames: string[] = []
      const watched = await stage.open((await answering(stage, frames)).url)
      Reflect.apply(watched.socket.close, watched.socket, args)
      const state = watched.socket.readyState
      await watched.closed
      return { state, frames, log: watched.log }
    },
  ),
)

const wrongCodes: readonly unknown[] = [
  0,
  1,
  500,
  999,
  1001,
  1002,
  1003,
  1004,
  1005,
  1006,
  1007,
  1008,
  1009,
  1010,
  1011,
  1012,
  1013,
  1014,
  1015,
  1016,
  2000,
  2999,
  5000,
  65_535,
  65_536,
  66_536,
  -1,
  3000.6 + 2000,
  NaN,
  Infinity,
  null,
  'foo',
  '',
  false,
  true,
]

const wrongArguments: WebCase[] = [
  ...wrongCodes.map((code) =>
    see(
      `close.wrong-code.${String(code) || 'empty-text'}`,
      `\`close(${typeof code === 'string' ? JSON.stringify(code) : String(code)})\` is an InvalidAccessError, and closes nothing.`,
      ['InvalidAccessError', 1],
      async (stage) => {
        const { socket } = await stage.openEcho()
        return [stage.thrown(() => socket.close(code as number)), socket.readyState]
      },
    ),
  ),
  ...(
    [
      ['124', 'A reason of 124 bytes', 'a'.repeat(124)],
      ['unicode', 'A reason of 42 characters of three bytes', '漢'.repeat(42)],
      ['surrogates', 'A reason of 42 lone surrogates, three bytes each', '\ud800'.repeat(42)],
    ] as const
  ).map(([name, about, reason]) =>
    see(
      `close.wrong-reason.${name}`,
      `${about} is a SyntaxError, and closes nothing.`,
      ['SyntaxError', 1],
      async (stage) => {
        const { socket } = await stage.openEcho()
        return [stage.thrown(() => socket.close(1000, reason)), socket.readyState]
      },
    ),
  ),
  see(
    'close.wrong-code.first',
    'A wrong code counts before a wrong reason.',
    'InvalidAccessError',
    async (stage) => {
      const { socket } = await stage.openEcho()
      return stage.thrown(() => socket.close(1001, 'a'.repeat(200)))
    },
  ),
  see(
    'close.symbol',
    'A symbol as code or reason is a TypeError.',
    ['TypeError', 'TypeError'],
    async (stage) => {
      const { socket } = await stage.openEcho()
      const symbol = Symbol('x') as unknown
      return [
        stage.thrown(() => socket.close(symbol as number)),
        stage.thrown(() => socket.close(1000, symbol as string)),
      ]
    },
  ),
  see('close.bigint', 'A bigint as code is a TypeError.', 'TypeError', async (stage) => {
    const { socket } = await stage.openEcho()
    return stage.thrown(() => socket.close(1000n as unknown as number))
  }),
  see(
    'close.wrong-while-connecting',
    'Arguments are checked though the socket is connecting, closing or closed.',
    ['InvalidAccessError', 'SyntaxError', 'InvalidAccessError', 'InvalidAccessError'],
    async (stage) => {
      const { socket, closed } = stage.socket((await stage.echo()).url)
      const seen = [
        stage.thrown(() => socket.close(1001)),
        stage.thrown(() => socket.close(1000, 'a'.repeat(124))),
      ]
      socket.close()
      seen.push(stage.thrown(() => socket.close(1001)))
      await closed
      seen.push(stage.thrown(() => socket.close(1001)))
      return seen
    },
  ),
]

const order: WebCase[] = [
  see('close.return', '`close` returns undefined.', 'undefined', async (stage) => {
    const { socket } = await stage.openEcho()
    return typeof (socket.close() as unknown)
  }),
  see(
    'close.while-connecting',
    'close() before the connection is open: state 2 at once, then an error, then 1006; never open.',
    { state: 2, log: ['error 3', 'close 3 1006  unclean'] },
    async (stage) => {
      const watched = stage.socket((await stage.echo()).url)
      watched.socket.close()
      const state = watched.socket.readyState
      await watched.closed
      return { state, log: watched.log }
    },
  ),
  see(
    'close.while-connecting-with-code',
    'So it is with a code and a reason.',
    ['error 3', 'close 3 1006  unclean'],
    async (stage) => {
      const watched = stage.socket((await stage.echo()).url)
      watched.socket.close(3333, 'unheard')
      await watched.closed
      return watched.log
    },
  ),
  see(
    'close.twice',
    'Of several calls the first counts.',
    { frames: ['close 3001 "first"'], log: ['open 1', 'close 3 3001 first'] },
    async (stage) => {
      const frames: string[] = []
      const watched = await stage.open((await answering(stage, frames)).url)
      watched.socket.close(3001, 'first')
      watched.socket.close(3002, 'second')
      await watched.closed
      watched.socket.close(3003)
      return { frames, log: watched.log }
    },
  ),
  see(
    'close.in-close',
    'close() in the listener of `close` does nothing: one event.',
    ['open 1', 'close 3 1005 '],
    async (stage) => {
      const watched = await stage.openEcho()
      watched.socket.addEventListener('close', () => watched.socket.close())
      watched.socket.close()
      await watched.closed
      await new Promise((resolve) => setImmediate(resolve))
      return watched.log
    },
  ),
  see('close.in-open', 'close() in the listener of `open`.', ['open 1', 'close 3 1000 '], async (stage) => {
    const watched = stage.socket((await stage.echo()).url)
    watched.socket.addEventListener('open', () => watched.socket.close(1000, 'at once'))
    await watched.closed
    return watched.log
  }),
  see(
    'close.behind-messages',
    'What was sent before close() arrives before the Close frame.',
    ['text 61', 'text 62', 'binary 63', 'close 1005 ""'],
    async (stage) => {
      const frames: string[] = []
      const { socket, closed } = await stage.open((await answering(stage, frames)).url)
      socket.send('a')
      socket.send('b')
      socket.send(new Blob(['c']))
      socket.close()
      await closed
      return frames
    },
  ),
  see(
    'close.no-messages-behind',
    'Messages that come behind close() are not told; what is sent then is not sent.',
    { frames: ['text 676f', 'close 1000 ""'], log: ['open 1', 'close 3 1000 '] },
    async (stage) => {
      const frames: string[] = []
      const server = await stage.scripted({
        on(line, client) {
          frames.push(line)
          if (!line.startsWith('close')) return
          client.send({ opcode: 1, payload: 'late' }, { opcode: 8, payload: Buffer.from('03e8', 'hex') })
          client.socket.end()
        },
      })
      const watched = await stage.open(server.url)
      watched.socket.send('go')
      watched.socket.close(1000)
      watched.socket.send('too late')
      await watched.closed
      return { frames, log: watched.log }
    },
  ),
  see(
    'close.when-closed',
    'close() on a socket that is closed leaves it closed, and tells nothing.',
    { states: [3, 3], log: ['open 1', 'close 3 1005 '] },
    async (stage) => {
      const watched = await stage.openEcho()
      watched.socket.close()
      await watched.closed
      const states = [watched.socket.readyState]
      watched.socket.close(1000)
      states.push(watched.socket.readyState)
      await new Promise((resolve) => setImmediate(resolve))
      return { states, log: watched.log }
    },
  ),
  see(
    'close.state-3-in-close',
    'In the listener of `close` the state is 3, and stays so.',
    [3, 3],
    async (stage) => {
      const { socket } = await stage.openEcho()
      const states: number[] = []
      const closed = stage.event(socket, 'close').then(() => states.push(socket.readyState))
      socket.addEventListener('close', () => states.push(socket.readyState))
      socket.close()
      await closed
      return states
    },
  ),
]

/** What the server does; the events of the socket. */
const byServer: readonly (readonly [
  name: string,
  about: string,
  payload: string,
  answer: string,
  log: readonly string[],
])[] = [
  ['1000', 'The server closes with 1000', '03e8', 'close 1000 ""', ['open 1', 'close 3 1000 ']],
  [
    '1001-reason',
    'The server closes with 1001 and a reason',
    '03e9676f696e67',
    'close 1001 ""',
    ['open 1', 'close 3 1001 going'],
  ],
  ['4000', 'The server closes with 4000', '0fa0', 'close 4000 ""', ['open 1', 'close 3 4000 ']],
  ['1011', 'The server closes with 1011', '03f3', 'close 1011 ""', ['open 1', 'close 3 1011 ']],
  ['no-code', 'The server closes without a code', '', 'close 1005 ""', ['open 1', 'close 3 1005 ']],
]

const server: WebCase[] = [
  ...byServer.map(([name, about, payload, answer, log]) =>
    see(
      `close.server.${name}`,
      `${about}: the end is clean, and answered.`,
      { answer, log },
      async (stage) => {
        const frames: string[] = []
        const peer = await stage.scripted({
          frames: [{ opcode: 8, payload: Buffer.from(payload, 'hex') }],
          on(line, client) {
            frames.push(line)
            client.socket.end()
          },
        })
        const watched = stage.socket(peer.url)
        await watched.closed
        return { answer: frames[0], log: watched.log }
      },
    ),
  ),
  see(
    'close.server.messages-first',
    'Messages ahead of the Close frame are all told before it, in state 1.',
    ['open 1', 'message 1 a', 'message 1 b', 'close 3 1000 '],
    async (stage) => {
      const peer = await stage.scripted({
        frames: [
          { opcode: 1, payload: 'a' },
          { opcode: 1, payload: 'b' },
          { opcode: 8, payload: Buffer.from('03e8', 'hex') },
        ],
        on: (_, client) => client.socket.end(),
      })
      const watched = stage.socket(peer.url)
      await watched.closed
      return watched.log
    },
  ),
  ...(
    [
      ['lost', 'The connection is lost', 'end'],
      ['reset', 'The connection is reset', 'reset'],
    ] as const
  ).map(([name, about, how]) =>
    see(
      `close.server.${name}`,
      `${about} without a Close frame: an error, then 1006.`,
      ['open 1', 'error 3', 'close 3 1006  unclean'],
      async (stage) => {
        const peer = await stage.scripted()
        const watched = await stage.open(peer.url)
        const { socket } = peer.scripted[0] as (typeof peer.scripted)[0]
        if (how === 'end') socket.end()
        else socket.resetAndDestroy()
        await watched.closed
        return watched.log
      },
    ),
  ),
  ...(
    [
      [
        'code-1005',
        'The server closes with the code 1005',
        { opcode: 8, payload: Buffer.from('03ed', 'hex') },
      ],
      ['code-999', 'The server closes with the code 999', { opcode: 8, payload: Buffer.from('03e7', 'hex') }],
      [
        'half-a-code',
        'The server sends a Close frame of one byte',
        { opcode: 8, payload: Buffer.from('03', 'hex') },
      ],
      [
        'wrong-reason',
        'The server gives a reason that is no UTF-8',
        { opcode: 8, payload: Buffer.from('03e8ff', 'hex') },
      ],
      [
        'wrong-text',
        'The server sends text that is no UTF-8',
        { opcode: 1, payload: Buffer.from('ff', 'hex') },
      ],
      [
        'masked',
        'The server masks a frame',
        { opcode: 1, payload: 'x', mask: Buffer.from('01020304', 'hex') },
      ],
      ['reserved-opcode', 'The server sends a frame of a reserved opcode', { opcode: 3 }],
      ['reserved-bits', 'The server sets a reserved bit', { opcode: 1, payload: 'x', rsv: 2 }],
      ['long-ping', 'The server sends a ping of 126 bytes', { opcode: 9, payload: Buffer.alloc(126) }],
      ['orphan', 'The server sends a continuation of nothing', { opcode: 0, payload: 'x' }],
    ] as const
  ).map(([name, about, frame]) =>
    see(
      `close.fault.${name}`,
      `${about}: the connection fails, with an error and 1006.`,
      ['open 1', 'message 1 before', 'error 3', 'close 3 1006  unclean'],
      async (stage) => {
        const peer = await stage.scripted({
          frames: [{ opcode: 1, payload: 'before' }, frame],
          on: (_, client) => client.socket.end(),
        })
        const watched: Watched = stage.socket(peer.url)
        await watched.closed
        return watched.log
      },
    ),
  ),
]

export const close: WebGroup = {
  name: 'close',
  title: 'Closing',
  about:
    'Arguments of `close`, the Close frame and the event that come of them, closing by the server, and failures.',
  cases: [...asked, ...wrongArguments, ...order, ...server],
}
