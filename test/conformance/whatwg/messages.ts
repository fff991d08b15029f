import type { FrameSpec } from '../../frames.ts'
import { switching } from '../../support/answering-server.ts'
import { see, type WebCase, type WebGroup } from './web-case.ts'

/** Frames of a server, and what the listener of `message` gets of them. */
const heard: readonly (readonly [
  name: string,
  about: string,
  frames: readonly FrameSpec[],
  data: readonly unknown[],
])[] = [
  ['text', 'Text is a string', [{ opcode: 1, payload: 'héllo' }], ['héllo']],
  ['empty', 'An empty text is an empty string', [{ opcode: 1 }], ['']],
  ['nul', 'NUL stays', [{ opcode: 1, payload: 'a\0b' }], ['a\0b']],
  ['byte-order-mark', 'A byte order mark stays', [{ opcode: 1, payload: '\ufeffa' }], ['\ufeffa']],
  [
    'fragments',
    'Fragments are one message',
    [
      { opcode: 1, fin: false, payload: 'one ' },
      { opcode: 0, payload: 'two' },
    ],
    ['one two'],
  ],
  [
    'split-character',
    'Also where they split a character',
    [
      { opcode: 1, fin: false, payload: Buffer.from('e282', 'hex') },
      { opcode: 0, payload: Buffer.from('ac', 'hex') },
    ],
    ['€'],
  ],
  [
    'pings-between',
    'Pings and pongs are not told',
    [
      { opcode: 9, payload: 'p' },
      { opcode: 1, payload: 'a' },
      { opcode: 10, payload: 'q' },
      { opcode: 1, payload: 'b' },
    ],
    ['a', 'b'],
  ],
  ...[125, 126, 127, 65_535, 65_536, 1_048_577].map(
    (size) =>
      [
        `text-of-${size}`,
        `Text of ${size} bytes`,
        [{ opcode: 1, payload: 'x'.repeat(size) }],
        ['x'.repeat(size)],
      ] as const,
  ),
]

const texts = heard.map(([name, about, frames, data]) =>
  see(`messages.${name}`, `${about}.`, data, async (stage) => {
    const peer = await stage.scripted({ frames })
    const { socket } = stage.socket(peer.url)
    return stage.messages(socket, data.length)
  }),
)

const binary = { opcode: 2, payload: Uint8Array.of(1, 2, 254) }

/** What binary data is, in a word and its bytes. */
async function shown(data: unknown): Promise<string> {
  if (data instanceof Blob)
    return `Blob ${Buffer.from(await data.arrayBuffer()).toString('hex')} ${data.type}`
  if (data instanceof ArrayBuffer) return `ArrayBuffer ${Buffer.from(data).toString('hex')}`
  return String(data)
}

const types: WebCase[] = [
  see(
    'binaryType.default',
    'Binary comes as a Blob without a type, where nothing else was said.',
    'Blob 0102fe ',
    async (stage) => {
      const peer = await stage.scripted({ frames: [binary] })
      const [data] = await stage.messages(stage.socket(peer.url).socket, 1)
      return shown(data)
    },
  ),
  see(
    'binaryType.arraybuffer',
    'As an ArrayBuffer of its own, where that was.',
    ['ArrayBuffer 0102fe', 3],
    async (stage) => {
      const peer = await stage.scripted({ frames: [binary] })
      const { socket } = stage.socket(peer.url)
      socket.binaryType = 'arraybuffer'
      const [data] = await stage.messages(socket, 1)
      return [await shown(data), (data as ArrayBuffer).byteLength]
    },
  ),
  see(
    'binaryType.empty',
    'A message without bytes, both ways.',
    ['ArrayBuffer ', 'Blob  '],
    async (stage) => {
      const peer = await stage.scripted({ frames: [{ opcode: 2 }, { opcode: 2 }] })
      const { socket } = stage.socket(peer.url)
      socket.binaryType = 'arraybuffer'
      const seen: Promise<string>[] = []
      await new Promise<void>((resolve) =>
        socket.addEventListener('message', ({ data }) => {
          if (seen.push(shown(data)) === 2) resolve()
          socket.binaryType = 'blob'
        }),
      )
      return Promise.all(seen)
    },
  ),
  see('binaryType.text', 'It says nothing about text.', ['string', 'string'], async (stage) => {
    const { socket } = await stage.openEcho()
    const kinds: string[] = []
    for (const type of ['blob', 'arraybuffer'] as const) {
      socket.binaryType = type
      const next = stage.messages(socket, 1)
      socket.send('x')
      kinds.push(typeof (await next)[0])
    }
    return kinds
  }),
  see(
    'binaryType.changes',
    'It counts when a message is told, and may change between any two.',
    ['ArrayBuffer 0102fe', 'Blob 0102fe ', 'ArrayBuffer 0102fe'],
    async (stage) => {
      const peer = await stage.scripted({ frames: [binary, binary, binary] })
      const { socket } = stage.socket(peer.url)
      socket.binaryType = 'arraybuffer'
      const seen: unknown[] = []
      await new Promise<void>((resolve) =>
        socket.addEventListener('message', ({ data }) => {
          if (seen.push(data) === 3) resolve()
          socket.binaryType = socket.binaryType === 'blob' ? 'arraybuffer' : 'blob'
        }),
      )
      return Promise.all(seen.map(shown))
    },
  ),
  ...(
    [
      ['wrong', 'notBlobOrArrayBuffer'],
      ['empty-text', ''],
      ['case', 'ArrayBuffer'],
      ['null', null],
      ['undefined', undefined],
      ['number', 5],
      ['node', 'nodebuffer'],
    ] as const
  ).map(([name, value]) =>
    see(
      `binaryType.ignored.${name}`,
      `What it does not know (\`${String(value) || "''"}\`) is ignored, in all states.`,
      ['blob', 'arraybuffer'],
      async (stage) => {
        const { socket } = stage.socket((await stage.echo()).url)
        socket.binaryType = value as unknown as 'blob'
        const seen: string[] = [socket.binaryType]
        socket.binaryType = 'arraybuffer'
        await stage.event(socket, 'open')
        socket.binaryType = value as unknown as 'blob'
        return [...seen, socket.binaryType]
      },
    ),
  ),
  see('binaryType.to-string', 'It takes what has the right text.', 'arraybuffer', (stage) => {
    const { socket } = stage.socket('ws://127.0.0.1:9/')
    socket.binaryType = { toString: () => 'arraybuffer' } as unknown as 'blob'
    return socket.binaryType
  }),
  see('binaryType.symbol', 'A symbol is a TypeError.', 'TypeError', (stage) => {
    const { socket } = stage.socket('ws://127.0.0.1:9/')
    return stage.thrown(() => {
      socket.binaryType = Symbol('x') as unknown as 'blob'
    })
  }),
  see('binaryType.closed', 'It can be set when all is over.', 'arraybuffer', async (stage) => {
    const { socket, closed } = await stage.openEcho()
    socket.close()
    await closed
    socket.binaryType = 'arraybuffer'
    return socket.binaryType
  }),
]

const good = { status: '101 Switching Protocols', upgrade: 'websocket', connection: 'Upgrade' }

/** What is wrong with an answer to the handshake. */
const answers: readonly (readonly [name: string, about: string, answer: (accept: string) => string])[] = [
  ['status-200', 'The status is 200', (accept) => answer({ ...good, status: '200 OK' }, accept)],
  ['status-404', 'The status is 404', () => 'HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n'],
  [
    'status-302',
    'The server redirects',
    () => 'HTTP/1.1 302 Found\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n',
  ],
  [
    'status-401',
    'The server wants to know who it is',
    () => 'HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n',
  ],
  ['status-500', 'The server fails', () => 'HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n'],
  ['no-upgrade', 'There is no Upgrade', (accept) => answer({ ...good, upgrade: undefined }, accept)],
  ['other-upgrade', 'The Upgrade is another', (accept) => answer({ ...good, upgrade: 'h2c' }, accept)],
  ['no-connection', 'There is no Connection', (accept) => answer({ ...good, connection: undefined }, accept)],
  [
    'other-connection',
    'The Connection is another',
    (accept) => answer({ ...good, connection: 'close' }, accept),
  ],
  ['no-accept', 'There is no Sec-WebSocket-Accept', () => answer(good, undefined)],
  ['wrong-accept', 'The Sec-WebSocket-Accept is wrong', () => answer(good, 'AAAAAAAAAAAAAAAAAAAAAAAAAAA=')],
  [
    'accept-case',
    'The Sec-WebSocket-Accept is in another case',
    (accept) => answer(good, accept.toLowerCase()),
  ],
  [
    'extension',
    'There is an extension that nobody asked for',
    (accept) => answer({ ...good, more: 'Sec-WebSocket-Extensions: x-unknown\r\n' }, accept),
  ],
  ['not-http', 'The answer is no HTTP', () => 'hello\r\n\r\n'],
  ['http-1.0', 'The answer is HTTP 0.9', () => '<html></html>\r\n\r\n'],
  ['nothing', 'The server hangs up', () => ''],
]

function answer(
  {
    status,
    upgrade,
    connection,
    more = '',
  }: { status: string; upgrade: string | undefined; connection: string | undefined; more?: string },
  accept: string | undefined,
): string {
  const lines = [
    ...(upgrade === undefined ? [] : [`Upgrade: ${upgrade}`]),
    ...(connection === undefined ? [] : [`Connection: ${connection}`]),
    ...(accept === undefined ? [] : [`Sec-WebSocket-Accept: ${accept}`]),
  ]
  return `HTTP/1.1 ${status}\r\n${lines.map((line) => `${line}\r\n`).join('')}${more}\r\n`
}

const handshakes: WebCase[] = [
  ...answers.map(([name, about, make]) =>
    see(
      `handshake.${name}`,
      `${about}: the connection fails, with an error and 1006.`,
      ['error 3', 'close 3 1006  unclean'],
      async (stage) => {
        const server = await stage.answering((socket, accept) => {
          const text = make(accept)
          if (text === '') socket.destroy()
          else socket.end(text)
        })
        const watched = stage.socket(server.url)
        await watched.closed
        return watched.log
      },
    ),
  ),
  see(
    'handshake.request',
    'The request: GET of path and query, version 13, a key of 16 bytes; no fragment, no name, no Origin.',
    {
      line: 'GET /a?b HTTP/1.1',
      version: '13',
      key: 16,
      upgrade: 'websocket',
      connection: 'Upgrade',
      origin: false,
    },
    async (stage) => {
      const peer = await stage.scripted()
      await stage.open(`${peer.url}a?b`)
      const request = peer.requests[0] ?? ''
      const header = (name: string): string => new RegExp(`^${name}: (.*)\\r$`, 'im').exec(request)?.[1] ?? ''
      return {
        line: request.split('\r\n')[0],
        version: header('sec-websocket-version'),
        key: Buffer.from(header('sec-websocket-key'), 'base64').length,
        upgrade: header('upgrade'),
        connection: header('connection'),
        origin: /^origin:/im.test(request),
      }
    },
  ),
  see(
    'handshake.nothing-of-a-page',
    'No Referer, no cookies, also where an earlier answer has set one, and no credentials nobody asked for.',
    [[], []],
    async (stage) => {
      const peer = await stage.scripted({ lines: 'Set-Cookie: a=b; Path=/\r\n' })
      const { host } = new URL(peer.url)
      const scheme = new URL(peer.url).protocol
      await stage.open(`${peer.url}a`)
      await stage.open(`${scheme}//name:secret@${host}/a`)
      return peer.requests.map(
        (request) => request.match(/^(?:referer|cookie|authorization|origin):/gim) ?? [],
      )
    },
  ),
  see(
    'handshake.credentials',
    'A server that answers 401 and speaks of Basic gets the name and the password of the URL.',
    { state: 1, credentials: ['', 'Basic bmFtZTpzw6ljcmV0'] },
    async (stage) => {
      const server = await stage.answering((socket, accept) => {
        if (/^authorization:/im.test(server.requests.at(-1) ?? '')) socket.write(switching(accept))
        else
          socket.end(
            'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm="x"\r\nContent-Length: 0\r\n\r\n',
          )
      })
      const { socket } = await stage.open(server.url.replace('//', '//name:s%C3%A9cret@'))
      const credentials = server.requests.map(
        (request) => /^authorization: (.*)\r$/im.exec(request)?.[1] ?? '',
      )
      return { state: socket.readyState, credentials }
    },
  ),
  see(
    'handshake.credentials-refused',
    'Credentials that the server does not take are given once: then the connection fails.',
    { requests: 2, log: ['error 3', 'close 3 1006  unclean'] },
    async (stage) => {
      const server = await stage.answering((socket) => {
        socket.end(
          'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm="x"\r\nContent-Length: 0\r\n\r\n',
        )
      })
      const watched = stage.socket(server.url.replace('//', '//name:wrong@'))
      await watched.closed
      return { requests: server.requests.length, log: watched.log }
    },
  ),
  see('handshake.keys-differ', 'Each connection has a key of its own.', 2, async (stage) => {
    const peer = await stage.scripted()
    await stage.open(peer.url)
    await stage.open(peer.url)
    return new Set(peer.requests.map((request) => /^sec-websocket-key: (.*)\r$/im.exec(request)?.[1])).size
  }),
  see('handshake.header-case', 'Names and tokens of the answer count in any case.', 1, async (stage) => {
    const server = await stage.answering((socket, accept) => {
      socket.write(
        `HTTP/1.1 101 X\r\nUPGRADE: WebSocket\r\nconnection: keep-alive, UPGRADE\r\nSEC-WEBSOCKET-ACCEPT: ${accept}\r\n\r\n`,
      )
    })
    return (await stage.open(server.url)).socket.readyState
  }),
  see(
    'handshake.extensions',
    '`extensions` is what the server chose.',
    ['', 'permessage-deflate'],
    async (stage) => {
      const peer = await stage.scripted({ lines: 'Sec-WebSocket-Extensions: permessage-deflate\r\n' })
      const { socket, opened } = stage.socket(peer.url)
      const before = socket.extensions
      await opened
      return [before, socket.extensions]
    },
  ),
  see('handshake.no-extensions', '`extensions` is empty where the server chose none.', '', async (stage) => {
    return (await stage.openEcho()).socket.extensions
  }),
  see('handshake.answers-pings', 'Pings are answered with their payload.', 'pong 3132', async (stage) => {
    let pong = ''
    const peer = await stage.scripted({
      frames: [{ opcode: 9, payload: '12' }],
      on(line, client) {
        pong ||= line
        client.send({ opcode: 1, payload: 'answered' })
      },
    })
    await stage.messages(stage.socket(peer.url).socket, 1)
    return pong
  }),
]

export const messages: WebGroup = {
  name: 'messages',
  title: 'Handshake and messages',
  about: 'What is asked of the server and which answers fail, messages as they are told, and `binaryType`.',
  cases: [...handshakes, ...texts, ...types],
}
