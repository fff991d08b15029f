import { see, type WebCase, type WebGroup } from './web-case.ts'

type Protocols = string | string[]

/** What is given, and what stands in the request; nothing where there is no header. */
const offered: readonly (readonly [
  name: string,
  about: string,
  given: unknown,
  header: string | undefined,
])[] = [
  ['none', 'Without the argument there is no header', undefined, undefined],
  ['empty-list', 'An empty list is none', [], undefined],
  ['string', 'One name', 'chat', 'chat'],
  ['list-of-one', 'A list of one', ['chat'], 'chat'],
  ['list', 'A list is joined by commas, in its order', ['superchat', 'chat'], 'superchat, chat'],
  ['case', 'Names that differ in case are two', ['Chat', 'chat'], 'Chat, chat'],
  [
    'token',
    'All that a token may hold',
    "chat,!#$%&'*+-.^_`|~09azAZ".split(','),
    "chat, !#$%&'*+-.^_`|~09azAZ",
  ],
  ['set', 'Any iterable will do', new Set(['chat', 'x']), 'chat, x'],
  ['number', 'A number is its text', [1, 'chat'], '1, chat'],
]

const requests = offered.map(([name, about, given, header]) =>
  see(`protocols.${name}`, `${about}.`, header, async (stage) => {
    const lines =
      given === undefined || (Array.isArray(given) && given.length === 0)
        ? ''
        : 'Sec-WebSocket-Protocol: chat\r\n'
    const server = await stage.scripted({ lines })
    await stage.open(server.url, given as Protocols)
    return /^sec-websocket-protocol: (.*)\r$/im.exec(server.requests[0] ?? '')?.[1]
  }),
)

const wrong: readonly (readonly [name: string, given: unknown, error?: string])[] = [
  ['empty-string', ''],
  ['empty-in-list', ['chat', '']],
  ['space', 'a b'],
  ['comma', 'a,b'],
  ['tab', 'a\tb'],
  ['nul', '\0'],
  ['del', '\x7f'],
  ['not-ascii', 'é'],
  ['slash', 'a/b'],
  ['quotes', '"a"'],
  ['twice', ['a', 'b', 'a']],
  ['object-without-names', { protocols: ['a'] }],
  ['symbol', Symbol('a'), 'TypeError'],
  ['symbol-in-list', [Symbol('a')], 'TypeError'],
  ...[...'()<>@;:\\[]?={}'].map((character): readonly [string, unknown] => [
    `separator-${character.charCodeAt(0).toString(16)}`,
    `a${character}`,
  ]),
]

const refused = wrong.map(([name, given, error = 'SyntaxError']) =>
  see(`protocols.wrong.${name}`, `${describe(given)} is a ${error}.`, error, (stage) =>
    stage.thrown(() => stage.socket('ws://127.0.0.1:9/', given as Protocols)),
  ),
)

function describe(given: unknown): string {
  const shown = typeof given === 'string' || Array.isArray(given) ? given : String(given)
  const text =
    typeof shown === 'string' || shown.every((item) => typeof item === 'string')
      ? JSON.stringify(shown)
      : 'A list with a symbol'
  // A code span cannot hold what is not printed.
  return text.startsWith('A ') ? text : `\`${text.replace('\x7f', '\\u007f')}\``
}

const chosen: WebCase[] = [
  see('protocols.chosen', '`protocol` is what the server chose.', ['', 'superchat'], async (stage) => {
    const { url } = await stage.echo()
    const { socket, opened } = stage.socket(url, ['other', 'superchat'])
    const before = socket.protocol
    await opened
    return [before, socket.protocol]
  }),
  see(
    'protocols.chosen-behind-the-end',
    '`protocol` stays when the connection is closed.',
    'chat',
    async (stage) => {
      const { socket, closed } = await stage.openEcho('chat')
      socket.close()
      await closed
      return socket.protocol
    },
  ),
  ...(
    [
      ['not-chosen', 'A server that chooses none of those offered', ['chat'], ''],
      [
        'not-offered',
        'A server that chooses one that was not offered',
        ['chat'],
        'Sec-WebSocket-Protocol: other\r\n',
      ],
      [
        'other-case',
        'A server that chooses one in another case',
        ['chat'],
        'Sec-WebSocket-Protocol: CHAT\r\n',
      ],
      ['unasked', 'A server that chooses though none was offered', [], 'Sec-WebSocket-Protocol: chat\r\n'],
      ['two', 'A server that chooses two', ['a', 'b'], 'Sec-WebSocket-Protocol: a, b\r\n'],
      [
        'two-headers',
        'A server that chooses twice',
        ['a', 'b'],
        'Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: b\r\n',
      ],
      ['empty', 'A server that chooses the empty name', ['a'], 'Sec-WebSocket-Protocol: \r\n'],
    ] as const
  ).map(([name, about, given, lines]) =>
    see(
      `protocols.refused.${name}`,
      `${about} fails the connection.`,
      ['error 3', 'close 3 1006  unclean'],
      async (stage) => {
        const server = await stage.scripted({ lines })
        const watched = stage.socket(server.url, given)
        await watched.closed
        return watched.log
      },
    ),
  ),
]

export const protocols: WebGroup = {
  name: 'protocols',
  title: 'Subprotocols',
  about: 'What may be offered, how it is sent, and what may be chosen.',
  cases: [...requests, ...chosen, ...refused],
}
