import assert from 'node:assert/strict'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { openAsBlob } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import type { ClientRequest } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { assertNoLeaks } from '../../test/leaks.ts'
import { AnsweringServer } from '../../test/support/answering-server.ts'
import { scriptedServer } from '../../test/support/scripted-server.ts'
import { isPending, until } from '../../test/support/until.ts'
import { watchSocket } from '../../test/support/watch-socket.ts'
import { type Server, serve } from '../server/serve.ts'
import { type BinaryType, WebSocket } from './websocket.ts'

after(() => assertNoLeaks())

const echo = (): Promise<Server> =>
  serve({ subprotocols: ['b'] }, (conn) => conn.onMessage((data, type) => conn.send(data, type)))

/** A socket that is open. */
async function opened(url: string, protocols: string | string[] = []) {
  const watched = watchSocket(new WebSocket(url, protocols))
  await watched.opened
  return watched
}

/** The next `count` messages of a socket. */
function messages(socket: WebSocket, count: number): Promise<unknown[]> {
  const heard: unknown[] = []
  return new Promise((resolve) => {
    const listener = ({ data }: MessageEvent): void => {
      if (heard.push(data) < count) return
      socket.removeEventListener('message', listener)
      resolve(heard)
    }
    socket.addEventListener('message', listener)
  })
}

const nowhere = 'ws://127.0.0.1:1/'

/** A socket whose connection does not matter. */
async function brief(...args: unknown[]): Promise<WebSocket> {
  const { socket, closed } = watchSocket(new (WebSocket as new (...args: unknown[]) => WebSocket)(...args))
  socket.close()
  await closed
  return socket
}

describe('new WebSocket', () => {
  it('connects, and says how', async () => {
    await using server = await echo()
    const { socket, log, closed } = await opened(server.url.replace('ws:', 'http:'), ['a', 'b'])
    assert.equal(socket.url, server.url)
    assert.deepEqual([socket.protocol, socket.extensions, socket.binaryType], ['b', '', 'blob'])
    assert.equal(socket.bufferedAmount, 0)
    socket.close()
    await closed
    assert.deepEqual(log, ['open 1', 'close 3 1005 '])
    assert.deepEqual([socket.readyState, socket.protocol, socket.url], [3, 'b', server.url])
  })

  it('agrees on compression where the server has it', async () => {
    await using server = await serve({ compression: true }, (conn) =>
      conn.onMessage((data) => conn.send(data)),
    )
    const { socket, closed } = await opened(server.url)
    assert.match(socket.extensions, /^permessage-deflate/)
    const text = 'again and '.repeat(1000)
    const answer = messages(socket, 1)
    socket.send(text)
    assert.equal(socket.bufferedAmount, text.length)
    assert.deepEqual(await answer, [text])
    assert.ok((server.connections.values().next().value?.stats.encoding?.encodedReceived ?? 0) > 0)
    socket.close()
    await closed
  })

  it('throws for what is no URL or no subprotocol, and makes nothing', () => {
    for (const args of [
      [''],
      ['/path'],
      ['ftp://host/'],
      ['ws://host/#'],
      [undefined],
      [nowhere, 'a b'],
      [nowhere, ['a', 'a']],
      [nowhere, {}],
      [nowhere, { protocols: ['a'] }],
      [nowhere, new Set([''])],
    ])
      assert.throws(() => new (WebSocket as new (...args: unknown[]) => WebSocket)(...args), {
        name: 'SyntaxError',
        code: 12,
      })
    const construct = WebSocket as new (...args: unknown[]) => WebSocket
    for (const args of [[], [Symbol('x')], [nowhere, Symbol('x')], [nowhere, [Symbol('x')]]])
      assert.throws(() => new construct(...args), TypeError)
    assert.throws(() => (WebSocket as unknown as () => void)(), TypeError)
  })

  it('takes whatever is a URL or a list of names as text', async () => {
    assert.equal((await brief(new URL(nowhere))).url, nowhere)
    assert.equal((await brief({ toString: () => nowhere })).url, nowhere)
    for (const protocols of [undefined, null, 'a', ['a', 'A'], new Set(['a']), [null], 5, []])
      assert.equal((await brief(nowhere, protocols)).url, nowhere)
    assert.equal((await brief(nowhere, [], { headers: 'ignored' })).url, nowhere)
  })

  it('converts all before it checks any', () => {
    const order: string[] = []
    const url = { toString: () => `${order.push('url')}` } as unknown as string
    const protocols = {
      *[Symbol.iterator]() {
        order.push('protocols')
        yield 'a b'
      },
    }
    assert.throws(() => new WebSocket(url, protocols), { name: 'SyntaxError' })
    assert.deepEqual(order, ['url', 'protocols'])
  })
})

describe('the class', () => {
  it('has its constants', async () => {
    const socket = await brief(nowhere)
    for (const [name, value] of Object.entries({ CONNECTING: 0, OPEN: 1, CLOSING: 2, CLOSED: 3 }))
      for (const object of [WebSocket, WebSocket.prototype]) {
        assert.deepEqual(Object.getOwnPropertyDescriptor(object, name), {
          value,
          writable: false,
          enumerable: true,
          configurable: false,
        })
        assert.equal(socket[name as 'OPEN'], value)
      }
    assert.throws(() => Object.assign(socket, { OPEN: 5 }), TypeError)
  })

  it('has members that are seen, by the names of the standard', () => {
    assert.deepEqual([WebSocket.name, (WebSocket as unknown as { length: number }).length], ['WebSocket', 1])
    const kinds = Object.entries(Object.getOwnPropertyDescriptors(WebSocket.prototype))
      .filter(([, { enumerable }]) => enumerable)
      .map(([name, { get, set, value }]) => {
        if (typeof value === 'function') return `${name}() ${value.length}`
        return `${name}${get ? ' get' : ''}${set ? ' set' : ''}`
      })
    assert.deepEqual(kinds.sort(), [
      ...['CLOSED', 'CLOSING', 'CONNECTING', 'OPEN', 'binaryType get set', 'bufferedAmount get', 'close() 0'],
      ...['extensions get', 'onclose get set', 'onerror get set', 'onmessage get set', 'onopen get set'],
      ...['protocol get', 'readyState get', 'send() 1', 'url get'],
    ])
  })

  it('can be derived from', async () => {
    await using server = await echo()
    class Talker extends WebSocket {
      override send(data: string): void {
        super.send(`${data}!`)
      }
    }
    const talker = new Talker(server.url)
    talker.onopen = () => talker.send('hello')
    const answer = messages(talker, 1)
    assert.deepEqual(await answer, ['hello!'])
    talker.close()
    await watchSocket(talker).closed
    assert.equal(String(talker), '[object WebSocket]')
  })

  it('is an EventTarget that says what it is', async () => {
    const socket = await brief(nowhere)
    assert.ok(socket instanceof WebSocket && socket instanceof EventTarget)
    assert.equal(String(socket), '[object WebSocket]')
    assert.deepEqual(Object.keys(socket), [])
  })

  it('has members for its objects alone', () => {
    for (const { get, set, value } of Object.values(Object.getOwnPropertyDescriptors(WebSocket.prototype)))
      for (const member of [get, set, value])
        if (typeof member === 'function' && member !== WebSocket)
          for (const other of [undefined, {}, WebSocket.prototype, new EventTarget()])
            assert.throws(() => member.call(other), /^TypeError: Illegal invocation$/, member.name)
  })
})

describe('attributes', () => {
  it('of which some cannot be set', async () => {
    const socket = await brief(nowhere)
    for (const name of ['url', 'readyState', 'bufferedAmount', 'extensions', 'protocol'])
      assert.throws(() => Object.assign(socket, { [name]: 'x' }), TypeError)
  })

  it('binaryType takes what it knows, and ignores the rest', async () => {
    const socket = await brief(nowhere)
    for (const [given, expected] of [
      ['arraybuffer', 'arraybuffer'],
      ['nodebuffer', 'arraybuffer'],
      ['Blob', 'arraybuffer'],
      [null, 'arraybuffer'],
      [{ toString: () => 'blob' }, 'blob'],
    ]) {
      socket.binaryType = given as BinaryType
      assert.equal(socket.binaryType, expected)
    }
    assert.throws(() => {
      socket.binaryType = Symbol('x') as unknown as BinaryType
    }, TypeError)
  })

  it('on... are handlers, called in their place with the socket as this', async () => {
    await using server = await echo()
    const socket = new WebSocket(server.url)
    const order: unknown[] = []
    socket.addEventListener('open', () => order.push('first'))
    socket.onopen = function (event) {
      order.push(this === socket, event.type)
    }
    socket.addEventListener('open', () => order.push('last'))
    await watchSocket(socket).opened
    assert.deepEqual(order, ['first', true, 'open', 'last'])
    for (const name of ['onopen', 'onmessage', 'onerror', 'onclose'] as const) {
      const handler = (): void => {}
      socket[name] = handler
      assert.equal(socket[name], handler)
      socket[name] = 5 as unknown as null
      assert.equal(socket[name], null)
    }
    socket.close()
    await watchSocket(socket).closed
  })
})

describe('send', () => {
  const echoed = async (server: Server, values: readonly unknown[]): Promise<unknown[]> => {
    const { socket, closed } = await opened(server.url)
    socket.binaryType = 'arraybuffer'
    const answers = messages(socket, values.length)
    for (const value of values) socket.send(value as string)
    const heard = await answers
    socket.close()
    await closed
    return heard.map((data) => (data instanceof ArrayBuffer ? [...new Uint8Array(data)] : data))
  }

  it('sends text of strings, and of all that is no bytes', async () => {
    await using server = await echo()
    const values = ['é', '', 'a\ud800', 5, null, undefined, {}, [1, [2]], { toString: () => 'x' }]
    const texts = ['é', '', 'a\ufffd', '5', 'null', 'undefined', '[object Object]', '1,2', 'x']
    assert.deepEqual(await echoed(server, values), texts)
  })

  it('sends the bytes that a view shows', async () => {
    await using server = await echo()
    const bytes = new Uint8Array([1, 2, 3, 4])
    const detached = new ArrayBuffer(2)
    structuredClone(detached, { transfer: [detached] })
    assert.deepEqual(
      await echoed(server, [bytes.buffer, bytes.subarray(1, 3), new DataView(bytes.buffer, 3), detached]),
      [[1, 2, 3, 4], [2, 3], [4], []],
    )
  })

  it('sends Blobs, in order with all else', async () => {
    await using server = await echo()
    const values = ['before', new Blob(['a', 'b']), 'behind', new Blob([]), new Uint8Array([9])]
    assert.deepEqual(await echoed(server, values), ['before', [97, 98], 'behind', [], [9]])
  })

  it('sends what the bytes were when it was called', async () => {
    await using server = await echo()
    const { socket, closed } = await opened(server.url)
    socket.binaryType = 'arraybuffer'
    const answers = messages(socket, 5)
    const small = new Uint8Array([1])
    const large = new Uint8Array(500_000).fill(1)
    socket.send(small)
    socket.send(large)
    socket.send(new Blob(['x']))
    const waiting = new Uint8Array([1])
    socket.send(waiting)
    for (const bytes of [small, large, waiting]) bytes.fill(2)
    const moved = new Uint8Array([1, 1])
    socket.send(moved)
    structuredClone(moved.buffer, { transfer: [moved.buffer] })
    const [first, second, , fourth, fifth] = (await answers) as ArrayBuffer[]
    for (const data of [first, second, fourth, fifth])
      assert.ok(new Uint8Array(data as ArrayBuffer).every((byte) => byte === 1))
    assert.deepEqual([second?.byteLength, fifth?.byteLength], [500_000, 2])
    socket.close()
    await closed
  })

  it('throws for what cannot be sent, and goes on', async () => {
    await using server = await echo()
    const { socket, closed } = await opened(server.url)
    const shared = new SharedArrayBuffer(1)
    for (const value of [Symbol('x'), shared, new Uint8Array(shared)])
      assert.throws(() => socket.send(value as unknown as string), TypeError)
    assert.throws(() => (socket.send as () => void)(), /^TypeError: send: 1 argument required/)
    const answer = messages(socket, 1)
    socket.send('still there')
    assert.deepEqual(await answer, ['still there'])
    socket.close()
    await closed
  })

  for (const closing of [false, true])
    it(`drops the connection for a Blob that cannot be read: an error${closing ? ', also behind close()' : ''}`, async (t) => {
      const folder = await mkdtemp(join(tmpdir(), 'silverback-'))
      const file = join(folder, 'file')
      await writeFile(file, 'x')
      const blob = await openAsBlob(file)
      await rm(folder, { recursive: true })
      const isRead = await blob.arrayBuffer().then(
        () => true,
        () => false,
      )
      if (isRead) return t.skip('this runtime reads a file when the Blob is made')
      await using server = await echo()
      const { socket, log, closed } = await opened(server.url)
      const { size } = blob
      socket.send(blob)
      if (closing) socket.close()
      await closed
      assert.deepEqual(log, ['open 1', 'error 3', 'close 3 1006  unclean'])
      assert.equal(socket.bufferedAmount, size)
    })
})

describe('bufferedAmount', () => {
  it('counts payload in the task that sends it, and is zero once it has left', async () => {
    await using server = await echo()
    const { socket, closed } = await opened(server.url)
    socket.send('é')
    socket.send(new Uint8Array(100))
    assert.equal(socket.bufferedAmount, 102)
    await null
    assert.equal(socket.bufferedAmount, 102)
    socket.send(new Blob(['12345']))
    socket.send('\ud800')
    assert.equal(socket.bufferedAmount, 110)
    await until(() => socket.bufferedAmount === 0, 'all to leave')
    socket.close()
    await closed
  })

  it('keeps what was sent too late, for ever', async () => {
    await using server = await echo()
    const { socket, closed } = await opened(server.url)
    socket.send('in time')
    socket.close()
    socket.send('123')
    socket.send(new Blob(['45']))
    socket.send(new Uint16Array(1))
    assert.equal(socket.bufferedAmount, 14)
    await closed
    assert.equal(socket.bufferedAmount, 7)
    socket.send('8')
    assert.equal(socket.bufferedAmount, 8)
  })

  it('stays what it is when the connection is lost', async () => {
    await using server = await scriptedServer()
    const { socket, closed } = await opened(server.url)
    server.scripted[0]?.socket.pause()
    // More than two kernels hold.
    const bytes = new Uint8Array(2 ** 24)
    for (let i = 0; i < 4; i++) socket.send(bytes)
    server.scripted[0]?.socket.resetAndDestroy()
    await closed
    assert.ok(socket.bufferedAmount >= 2 ** 24, `${socket.bufferedAmount}`)
  })
})

describe('while it connects', () => {
  it('sends nothing, and closes without opening', async () => {
    await using server = await scriptedServer()
    const { socket, log, closed } = watchSocket(new WebSocket(server.url))
    assert.equal(socket.readyState, 0)
    assert.throws(() => socket.send('x'), { name: 'InvalidStateError', code: 11 })
    assert.throws(() => socket.send(Symbol('x') as unknown as string), TypeError)
    assert.throws(() => socket.close(1001), { name: 'InvalidAccessError', code: 15 })
    assert.throws(() => socket.close(1000, 'x'.repeat(124)), { name: 'SyntaxError', code: 12 })
    assert.equal(socket.readyState, 0)
    socket.close(3000, 'never mind')
    assert.deepEqual([socket.readyState, log], [2, []])
    socket.send('12345')
    assert.equal(socket.bufferedAmount, 5)
    await closed
    assert.deepEqual(log, ['error 3', 'close 3 1006  unclean'])
    assert.equal(socket.bufferedAmount, 5)
  })

  it('closes at once, though the server never answers', async () => {
    await using server = await AnsweringServer.start(() => {})
    const { socket, log, closed } = watchSocket(new WebSocket(server.url))
    await until(() => server.requests.length > 0, 'the request')
    socket.close()
    await closed
    assert.deepEqual(log, ['error 3', 'close 3 1006  unclean'])
    await server.deserted()
  })

  it('closes though the connection is made already, and has not told yet', async () => {
    await using server = await scriptedServer()
    const { socket, log, closed } = watchSocket(new WebSocket(server.url))
    // A task that is queued with the answer, before the promise of the handshake has queued its own.
    const started = (message: unknown): void => {
      const { request } = message as { readonly request: ClientRequest }
      request.on('upgrade', () => setImmediate(() => socket.close()))
    }
    subscribe('http.client.request.start', started)
    await closed
    unsubscribe('http.client.request.start', started)
    assert.deepEqual(log, ['error 3', 'close 3 1006  unclean'])
    assert.equal(server.scripted.length, 1)
    await server.deserted()
  })
})

describe('close', () => {
  it('takes 1000 and 3000 to 4999, and a reason of 123 bytes, before it looks at the state', async () => {
    await using server = await echo()
    const { socket, closed } = await opened(server.url)
    const wrong = (): void => {
      for (const code of [null, 0, 999, 1001, 2999, 5000, -1, 66_536, Number.NaN, 'x'])
        assert.throws(() => socket.close(code as number), { name: 'InvalidAccessError' })
      assert.throws(() => socket.close(1000, 'é'.repeat(62)), { name: 'SyntaxError' })
      assert.throws(() => socket.close(undefined, 'é'.repeat(62)), { name: 'SyntaxError' })
      for (const value of [Symbol('x'), 1000n])
        assert.throws(() => socket.close(value as unknown as number), TypeError)
    }
    wrong()
    assert.equal(socket.readyState, 1)
    socket.close()
    wrong()
    await closed
    wrong()
    socket.close(3000)
  })

  for (const [name, args, frame, event] of [
    ['nothing', [], 'close 1005 ""', '1005 '],
    ['undefined', [undefined, undefined], 'close 1005 ""', '1005 '],
    ['a code', [4000], 'close 4000 ""', '4000 '],
    ['code and reason', [3000, 'a\ud800'], 'close 3000 "a\ufffd"', '3000 a\ufffd'],
    ['a reason alone', [undefined, 'why'], 'close 1000 "why"', '1000 why'],
    ['an empty reason', [undefined, ''], 'close 1005 ""', '1005 '],
    ['a code to be rounded', [2999.5, null], 'close 3000 "null"', '3000 null'],
  ] as const)
    it(`sends ${name}`, async () => {
      await using server = await scriptedServer({
        on(line, { send, socket }) {
          const [, code, reason] = /^close (\d+) "(.*)"$/.exec(line) ?? []
          const head = Buffer.alloc(2)
          head.writeUInt16BE(Number(code))
          const body = code === '1005' ? Buffer.alloc(0) : Buffer.concat([head, Buffer.from(reason ?? '')])
          send({ opcode: 8, payload: body })
          socket.end()
        },
      })
      const { socket, log, closed } = await opened(server.url)
      socket.close(...(args as unknown as [number, string]))
      assert.equal(socket.readyState, 2)
      assert.equal(await isPending(closed), true)
      await closed
      assert.deepEqual(server.scripted[0]?.sent, [frame])
      assert.deepEqual(log, ['open 1', `close 3 ${event}`])
    })

  it('closes behind what was sent, with what came first', async () => {
    await using server = await scriptedServer({
      on: (line, { send, socket }) => {
        if (!line.startsWith('close')) return
        send({ opcode: 8, payload: Buffer.from([0x0f, 0xa1]) })
        socket.end()
      },
    })
    const { socket, log, closed } = await opened(server.url)
    socket.send('one')
    socket.send(new Blob(['two']))
    socket.close(4000)
    socket.close(4002)
    await closed
    assert.deepEqual(server.scripted[0]?.sent, ['text 6f6e65', 'binary 74776f', 'close 4000 ""'])
    assert.deepEqual(log, ['open 1', 'close 3 4001 '])
  })
})
