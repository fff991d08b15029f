import { WebSocket } from '../../../src/websocket.ts'
import { see, type WebCase, type WebGroup } from './web-case.ts'

/** What is given and what `url` says; `PORT` is that of a server that listens. */
const taken: readonly (readonly [name: string, about: string, given: string, url: string])[] = [
  ['ws', 'A ws: URL', 'ws://127.0.0.1:PORT/', 'ws://127.0.0.1:PORT/'],
  ['no-path', 'Without a path there is a slash', 'ws://127.0.0.1:PORT', 'ws://127.0.0.1:PORT/'],
  ['path', 'A path is kept', 'ws://127.0.0.1:PORT/a/b', 'ws://127.0.0.1:PORT/a/b'],
  ['query', 'A query is kept', 'ws://127.0.0.1:PORT/a?b=c&d', 'ws://127.0.0.1:PORT/a?b=c&d'],
  ['query-alone', 'A query without a path', 'ws://127.0.0.1:PORT?b', 'ws://127.0.0.1:PORT/?b'],
  ['question-mark', 'A question mark alone is kept', 'ws://127.0.0.1:PORT/?', 'ws://127.0.0.1:PORT/?'],
  ['dots', 'Dots in the path are resolved', 'ws://127.0.0.1:PORT/a/../b/./c', 'ws://127.0.0.1:PORT/b/c'],
  [
    'upper-case-scheme',
    'The case of the scheme does not count',
    'WS://127.0.0.1:PORT/',
    'ws://127.0.0.1:PORT/',
  ],
  ['http', 'http: means ws:', 'http://127.0.0.1:PORT/x', 'ws://127.0.0.1:PORT/x'],
  ['upper-case-http', 'So it does in capitals', 'HTTP://127.0.0.1:PORT/', 'ws://127.0.0.1:PORT/'],
  ['space-in-path', 'A space in the path is encoded', 'ws://127.0.0.1:PORT/a b', 'ws://127.0.0.1:PORT/a%20b'],
  [
    'space-in-query',
    'A space in the query is encoded',
    'ws://127.0.0.1:PORT/?a b',
    'ws://127.0.0.1:PORT/?a%20b',
  ],
  [
    'unicode',
    'Other letters are encoded as UTF-8, whatever the page',
    'ws://127.0.0.1:PORT/ö?ü',
    'ws://127.0.0.1:PORT/%C3%B6?%C3%BC',
  ],
  [
    'white-space-around',
    'White space around it is cut off',
    ' ws://127.0.0.1:PORT/ \n',
    'ws://127.0.0.1:PORT/',
  ],
  [
    'line-breaks',
    'Line breaks and tabs within are left out',
    'ws://127.0\n.0.1:\tPORT/',
    'ws://127.0.0.1:PORT/',
  ],
  ['short-address', 'An address of two parts', 'ws://127.1:PORT/', 'ws://127.0.0.1:PORT/'],
  ['number-address', 'An address as one number', 'ws://2130706433:PORT/', 'ws://127.0.0.1:PORT/'],
  ['single-slash', 'One slash is as good as two', 'ws:/127.0.0.1:PORT/', 'ws://127.0.0.1:PORT/'],
  ['no-slashes', 'None is, too', 'ws:127.0.0.1:PORT/', 'ws://127.0.0.1:PORT/'],
  ['backslashes', 'Backslashes are slashes', 'ws:\\\\127.0.0.1:PORT\\a', 'ws://127.0.0.1:PORT/a'],
  [
    'credentials',
    'A name and a password stay in the URL',
    'ws://name:secret@127.0.0.1:PORT/',
    'ws://name:secret@127.0.0.1:PORT/',
  ],
  [
    'surrogate',
    'A lone surrogate becomes U+FFFD',
    'ws://127.0.0.1:PORT/\ud800',
    'ws://127.0.0.1:PORT/%EF%BF%BD',
  ],
  ['percent', 'A percent sign that encodes nothing stays', 'ws://127.0.0.1:PORT/%', 'ws://127.0.0.1:PORT/%'],
]

const connects = taken.map(([name, about, given, url]): WebCase => {
  return see(`url.${name}`, `${about}.`, { url, opened: true }, async (stage) => {
    const { port } = new URL((await stage.echo()).url)
    const { socket } = await stage.open(given.replace('PORT', port))
    return { url: socket.url.replace(`:${port}`, ':PORT'), opened: socket.readyState === 1 }
  })
})

/** Where there is nobody to connect to: closed before anything is tried. */
const read: readonly (readonly [name: string, given: string, url: string])[] = [
  ['default-port', 'ws://127.0.0.1:80/', 'ws://127.0.0.1/'],
  ['default-port-tls', 'wss://127.0.0.1:443/', 'wss://127.0.0.1/'],
  ['other-default-port', 'ws://127.0.0.1:443/', 'ws://127.0.0.1:443/'],
  ['https', 'https://127.0.0.1/x', 'wss://127.0.0.1/x'],
  ['https-on-80', 'https://127.0.0.1:80/', 'wss://127.0.0.1:80/'],
  ['host-case', 'ws://LOCALHOST/', 'ws://localhost/'],
  ['international', 'ws://ä.invalid/', 'ws://xn--4ca.invalid/'],
  ['ipv6', 'ws://[0:0::1]:9/', 'ws://[::1]:9/'],
].map(([name = '', given = '', url = '']) => [name, given, url] as const)

const written = read.map(([name, given, url]) =>
  see(`url.${name}`, `\`${given}\` is written as the URL Standard has it.`, url, (stage) => {
    const { socket } = stage.socket(given)
    socket.close()
    return socket.url
  }),
)

const wrong: readonly (readonly [name: string, given: string])[] = [
  ['empty', ''],
  ['relative', 'chat'],
  ['absolute-path', '/chat'],
  ['no-scheme', '//127.0.0.1/'],
  ['query-only', '?a'],
  ['no-host', 'ws://'],
  ['scheme-only', 'ws:'],
  ['space-in-host', 'ws://a b/'],
  ['percent-nul-host', 'ws://%00/'],
  ['port-too-large', 'ws://127.0.0.1:65536/'],
  ['port-of-letters', 'ws://127.0.0.1:http/'],
  ['open-bracket', 'ws://[::1/'],
  ['address-too-large', 'ws://999.1.1.1/'],
  ['ftp', 'ftp://127.0.0.1/'],
  ['file', 'file:///etc/hosts'],
  ['mailto', 'mailto:a@b.invalid'],
  ['about', 'about:blank'],
  ['data', 'data:text/plain,x'],
  ['blob', 'blob:ws://127.0.0.1/'],
  ['javascript', 'javascript:0'],
  ['unknown-scheme', 'wsx://127.0.0.1/'],
  ['fragment', 'ws://127.0.0.1/#part'],
  ['empty-fragment', 'ws://127.0.0.1/#'],
  ['fragment-of-http', 'http://127.0.0.1/?a#b'],
]

const refused = wrong.map(([name, given]) =>
  see(`url.wrong.${name}`, `\`${given || '(nothing)'}\` is a SyntaxError.`, 'SyntaxError', (stage) =>
    stage.thrown(() => stage.socket(given)),
  ),
)

const constructed: WebCase[] = [
  see('constructor.no-argument', 'Without an argument it is a TypeError.', 'TypeError', (stage) =>
    stage.thrown(() => Reflect.construct(WebSocket, [])),
  ),
  see('constructor.without-new', 'Without `new` it is a TypeError.', 'TypeError', (stage) =>
    stage.thrown(() => Reflect.apply(WebSocket as unknown as () => void, undefined, ['ws://127.0.0.1/'])),
  ),
  see('constructor.url-object', 'A URL object is taken as its text.', 'ws://127.0.0.1:9/a', (stage) => {
    const { socket } = stage.socket(new URL('ws://127.0.0.1:9/a'))
    socket.close()
    return socket.url
  }),
  see('constructor.stringified', 'Whatever has a text is taken by it.', 'ws://127.0.0.1:9/b', (stage) => {
    const { socket } = stage.socket({ toString: () => 'ws://127.0.0.1:9/b' } as unknown as string)
    socket.close()
    return socket.url
  }),
  see('constructor.symbol', 'A symbol has no text: a TypeError.', 'TypeError', (stage) =>
    stage.thrown(() => stage.socket(Symbol('url') as unknown as string)),
  ),
  see('constructor.third-argument', 'A third argument means nothing.', 'ws://127.0.0.1:9/', () => {
    const socket: WebSocket = Reflect.construct(WebSocket, ['ws://127.0.0.1:9/', [], { headers: { a: 'b' } }])
    socket.close()
    return socket.url
  }),
  see(
    'constructor.fresh',
    'A new socket is connecting: state 0, nothing buffered, no protocol, no extensions.',
    [0, 0, '', '', 'blob', null, null, null, null],
    (stage) => {
      const { socket } = stage.socket('ws://127.0.0.1:9/')
      const { readyState, bufferedAmount, protocol, extensions, binaryType } = socket
      const handlers = [socket.onopen, socket.onmessage, socket.onerror, socket.onclose]
      return [readyState, bufferedAmount, protocol, extensions, binaryType, ...handlers]
    },
  ),
  see(
    'constructor.asynchronous',
    'Nothing is told before the task that constructs it is over.',
    ['constructed', 'open'],
    async (stage) => {
      const { url } = await stage.echo()
      const { socket } = stage.socket(url)
      const order: string[] = []
      const opened = stage.event(socket, 'open').then(() => order.push('open'))
      order.push('constructed')
      await opened
      return order
    },
  ),
  see(
    'constructor.blocked-port',
    'A port of another service is not connected to: the socket is made, and fails.',
    ['error 3', 'close 3 1006  unclean'],
    async (stage) => {
      const watched = stage.socket('ws://127.0.0.1:25/')
      await watched.closed
      return watched.log
    },
  ),
  see(
    'constructor.nobody-listens',
    'Where nobody listens the socket fails: error, then close with 1006.',
    ['error 3', 'close 3 1006  unclean'],
    async (stage) => {
      const server = await stage.scripted()
      const { url } = server
      await server[Symbol.asyncDispose]()
      const watched = stage.socket(url)
      await watched.closed
      return watched.log
    },
  ),
]

export const urls: WebGroup = {
  name: 'url',
  title: 'Constructor and URL',
  about: 'What may be connected to, how it is written, and what the constructor throws for.',
  cases: [...constructed, ...connects, ...written, ...refused],
}
