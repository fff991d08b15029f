import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { assertNoLeaks } from '../../test/leaks.ts'
import { runProgram } from '../../test/program.ts'
import { AnsweringServer, switching } from '../../test/support/answering-server.ts'
import { type Script, scriptedServer } from '../../test/support/scripted-server.ts'
import { until } from '../../test/support/until.ts'
import { watchSocket } from '../../test/support/watch-socket.ts'
import { serve } from '../server/serve.ts'
import { CloseEvent } from './close-event.ts'
import { WebSocket } from './websocket.ts'

after(() => assertNoLeaks())

const text = (payload: string) => ({ opcode: 1, payload })
const binary = (...payload: number[]) => ({ opcode: 2, payload: Uint8Array.from(payload) })
const close = (code: number, reason = '') => ({
  opcode: 8,
  payload: Buffer.concat([Buffer.from([code >> 8, code & 255]), Buffer.from(reason)]),
})

/** All events of a socket whose server sends these frames, and hangs up once the client has closed. */
async function conversation(frames: Script['frames'], act: (socket: WebSocket) => void = () => {}) {
  await using server = await scriptedServer({
    ...(frames === undefined ? {} : { frames }),
    on: (line, client) => line.startsWith('close') && client.socket.end(),
  })
  const { socket, log, closed } = watchSocket(new WebSocket(server.url))
  act(socket)
  await closed
  await server.deserted()
  return { log, socket, sent: server.scripted[0]?.sent ?? [] }
}

describe('events', () => {
  it('are those of the standard', async () => {
    await using server = await scriptedServer({
      frames: [text('a'), binary(1), close(4000, 'why')],
      on: (_line, client) => client.socket.end(),
    })
    const socket = new WebSocket(server.url)
    const seen: unknown[] = []
    for (const type of ['open', 'message', 'error', 'close'])
      socket.addEventListener(type, (event: Event) => {
        const { bubbles, cancelable, composed, target, currentTarget } = event
        seen.push([type, event.constructor, bubbles, cancelable, composed])
        assert.ok(target === socket && currentTarget === socket)
      })
    const { closed, log } = watchSocket(socket)
    const origins = new Set<string>()
    socket.addEventListener('message', (event) => {
      origins.add(event.origin)
      assert.deepEqual([event.lastEventId, event.source, event.ports.length], ['', null, 0])
    })
    await closed
    assert.deepEqual(seen, [
      ['open', Event, false, false, false],
      ['message', MessageEvent, false, false, false],
      ['message', MessageEvent, false, false, false],
      ['close', CloseEvent, false, false, false],
    ])
    assert.deepEqual([...origins], [server.url.slice(0, -1)])
    assert.deepEqual(log, ['open 1', 'message 1 a', 'message 1 [object Blob]', 'close 3 4000 why'])
  })

  it('come in tasks of their own, with promises settled between', async () => {
    const { log } = await conversation([text('a'), text('b'), close(1000)], (socket) => {
      const later = async (name: string): Promise<void> => {
        for (let i = 0; i < 50; i++) await null
        order.push(`${name} later ${socket.readyState}`)
      }
      const order: string[] = []
      for (const type of ['open', 'message', 'close'])
        socket.addEventListener(type, () => {
          order.push(type)
          void later(type)
        })
      socket.addEventListener('close', () => {
        assert.deepEqual(order, [
          ...['open', 'open later 1', 'message', 'message later 1', 'message', 'message later 1'],
          'close',
        ])
      })
    })
    assert.deepEqual(log, ['open 1', 'message 1 a', 'message 1 b', 'close 3 1000 '])
  })

  it('of a failure: an error, the promises that it settles, then the end', async () => {
    const order: string[] = []
    const socket = new WebSocket('ws://127.0.0.1:1/')
    order.push(`made ${socket.readyState}`)
    socket.onerror = () => {
      order.push(`error ${socket.readyState}`)
      // A listener that is added in a promise's reaction is there for what comes next.
      void Promise.resolve().then(() => {
        socket.onclose = ({ code, wasClean }) => order.push(`close ${code} ${wasClean}`)
      })
    }
    await watchSocket(socket).closed
    assert.deepEqual(order, ['made 0', 'error 3', 'close 1006 false'])
  })

  it('of a failure come in one task: no other runs between', async () => {
    const order: string[] = []
    const socket = new WebSocket('ws://127.0.0.1:1/')
    socket.onerror = () => {
      setImmediate(() => order.push('task'))
      process.nextTick(() => order.push('tick'))
      void (async () => {
        for (let i = 0; i < 10; i++) await null
        order.push('promise')
      })()
    }
    await new Promise<void>((resolve) => {
      socket.onclose = () => {
        order.push('close')
        setImmediate(resolve)
      }
    })
    assert.deepEqual(order, ['tick', 'promise', 'close', 'task'])
  })

  it('are those of the runtime, and come, whatever an application puts in the place of globals', async () => {
    await using server = await scriptedServer({
      frames: [text('a'), binary(1), close(4000)],
      on: (_line, client) => client.socket.end(),
    })
    const names = [
      'Event',
      'MessageEvent',
      'Blob',
      'URL',
      'DOMException',
      'AbortController',
      'AbortSignal',
    ] as const
    const before = names.map(
      (name) => Object.getOwnPropertyDescriptor(globalThis, name) as PropertyDescriptor,
    )
    const { Event: RealEvent } = globalThis
    const seen: unknown[] = []
    try {
      for (const name of names)
        Object.defineProperty(globalThis, name, { value: class {}, configurable: true, writable: true })
      const socket = new WebSocket(server.url)
      assert.throws(() => socket.send('x'), { name: 'InvalidStateError' })
      for (const type of ['open', 'message', 'close'])
        socket.addEventListener(type, (event: Event) => seen.push([type, event instanceof RealEvent]))
      await new Promise((resolve) => socket.addEventListener('close', resolve))
    } finally {
      for (const [index, name] of names.entries())
        Object.defineProperty(globalThis, name, before[index] as PropertyDescriptor)
    }
    assert.deepEqual(seen, [
      ['open', true],
      ['message', true],
      ['message', true],
      ['close', true],
    ])
  })

  it('may have any number of listeners without a warning', async () => {
    const warnings: Error[] = []
    const warn = (warning: Error): void => void warnings.push(warning)
    process.on('warning', warn)
    const socket = new WebSocket('ws://127.0.0.1:1/')
    for (let i = 0; i < 30; i++) socket.addEventListener('message', () => i)
    await new Promise((resolve) => socket.addEventListener('close', resolve))
    process.off('warning', warn)
    assert.deepEqual(warnings, [])
  })

  it('that a listener throws at go on; Node is told of the error', async () => {
    await using program = runProgram('test/fixtures/throwing-listener.ts')
    const { code, stdout, stderr } = await program.exit
    assert.deepEqual([code, stdout], [0, 'uncaught first\nsecond\nuncaught message\nclosed 1000\n'], stderr)
  })
})

describe('messages', () => {
  it('have the form that binaryType says when they are delivered', async () => {
    const forms: string[] = []
    await conversation([binary(1, 2), binary(3), binary(4), close(1000)], (socket) => {
      socket.binaryType = 'arraybuffer'
      const types = ['blob', 'arraybuffer'] as const
      socket.onmessage = ({ data }) => {
        forms.push(
          data instanceof Blob ? `Blob ${data.size}` : `buffer ${new Uint8Array(data as ArrayBuffer)}`,
        )
        // In a promise's reaction: between this message and the next.
        void Promise.resolve().then(() => {
          socket.binaryType = types[(forms.length + 1) % 2] ?? 'blob'
        })
      }
    })
    assert.deepEqual(forms, ['buffer 1,2', 'Blob 1', 'buffer 4'])
  })

  it('are whole in a buffer of their own', async () => {
    const payloads = [Buffer.from('small'), Buffer.alloc(70_000, 7)]
    const heard: ArrayBuffer[] = []
    const frames = payloads.map((payload) => ({ opcode: 2, payload }))
    await conversation([...frames, close(1000)], (socket) => {
      socket.binaryType = 'arraybuffer'
      socket.onmessage = ({ data }) => heard.push(data as ArrayBuffer)
    })
    assert.deepEqual(
      heard.map((data) => Buffer.from(data)),
      payloads,
    )
  })

  it('do not come behind close()', async () => {
    const { log } = await conversation([text('a'), text('b'), text('c'), close(4000)], (socket) => {
      socket.onmessage = () => socket.close(3000)
    })
    assert.deepEqual(log, ['open 1', 'message 1 a', 'close 3 4000 '])
  })

  it('come as long as the socket is OPEN, which it is until they have', async () => {
    const texts = Array.from({ length: 200 }, (_, i) => `${i}`)
    const { log } = await conversation([...texts.map(text), close(1000)])
    assert.deepEqual(log, ['open 1', ...texts.map((payload) => `message 1 ${payload}`), 'close 3 1000 '])
  })

  it('come so behind a time of silence, too', async () => {
    await using server = await scriptedServer({
      on: (line, { send, socket }) => {
        if (line.startsWith('text')) send(text('a'), text('b'), close(1000))
        else socket.end()
      },
    })
    const { socket, log, opened, closed } = watchSocket(new WebSocket(server.url))
    await opened
    await new Promise((resolve) => setImmediate(resolve))
    socket.send('go')
    await closed
    assert.deepEqual(log, ['open 1', 'message 1 a', 'message 1 b', 'close 3 1000 '])
  })

  it('do not pile up behind a listener: the server is held back', async () => {
    await using server = await serve({ limits: { maxSendBuffer: 2 ** 40 } }, (conn) => {
      const chunk = new Uint8Array(2 ** 20)
      for (let i = 0; i < 64; i++) conn.send(chunk)
      void conn.close()
    })
    const socket = new WebSocket(server.url)
    socket.binaryType = 'arraybuffer'
    let bytes = 0
    socket.onmessage = ({ data }) => {
      bytes += (data as ArrayBuffer).byteLength
    }
    await watchSocket(socket).closed
    assert.equal(bytes, 2 ** 26)
  })
})

describe('the end', () => {
  for (const [name, frames, end] of [
    ['with code and reason', [close(4001, 'abc')], 'close 3 4001 abc'],
    ['without a body', [{ opcode: 8 }], 'close 3 1005 '],
    ['behind a ping', [{ opcode: 9, payload: 'p' }, close(1001)], 'close 3 1001 '],
    ['with data behind it', [close(1000), text('late')], 'close 3 1000 '],
  ] as const)
    it(`that the server begins: ${name}`, async () => {
      const { log } = await conversation(frames)
      assert.deepEqual(log, ['open 1', end])
    })

  for (const [name, frames] of [
    ['text that is not UTF-8', [{ opcode: 1, payload: Buffer.from([255]) }]],
    ['a reserved bit', [{ opcode: 1, rsv: 4 }]],
    ['a reserved opcode', [{ opcode: 3 }]],
    ['a mask', [{ opcode: 1, mask: Buffer.from('mask') }]],
    ['a continuation of nothing', [{ opcode: 0 }]],
    ['a ping in fragments', [{ opcode: 9, fin: false }]],
    ['a close code that may not be sent', [close(1005)]],
    ['a message of more than 128 MiB', [{ opcode: 2, length: 128 * 1024 * 1024 + 1 }]],
  ] as const)
    it(`is a failure for ${name}`, async () => {
      const { log, sent } = await conversation([text('a'), ...frames])
      assert.deepEqual(log, ['open 1', 'message 1 a', 'error 3', 'close 3 1006  unclean'])
      assert.match(sent[0] ?? '', /^close 10(?:02|07|09) /)
    })

  for (const [name, frame] of [
    ['breaks a rule', { opcode: 3 }],
    ['sends too much', { opcode: 2, length: 2 ** 28 }],
  ] as const)
    it(`is a failure behind close(), too, when the server ${name}`, async () => {
      await using server = await scriptedServer({
        on: (_line, client) => {
          client.send(frame)
          client.socket.end()
        },
      })
      const { socket, log, opened, closed } = watchSocket(new WebSocket(server.url))
      await opened
      socket.close()
      await closed
      assert.deepEqual(log, ['open 1', 'error 3', 'close 3 1006  unclean'])
    })

  for (const [name, drop] of [
    ['FIN', 'end'],
    ['RST', 'resetAndDestroy'],
  ] as const) {
    it(`is a failure when the connection is lost by ${name}`, async () => {
      await using server = await scriptedServer({ on: (_line, client) => void client.socket[drop]() })
      const { socket, log, opened, closed } = watchSocket(new WebSocket(server.url))
      await opened
      socket.send('x')
      await closed
      assert.deepEqual(log, ['open 1', 'error 3', 'close 3 1006  unclean'])
    })

    it(`is unclean and no failure when the answer to close() is a ${name}`, async () => {
      await using server = await scriptedServer({ on: (_line, client) => void client.socket[drop]() })
      const { socket, log, opened, closed } = watchSocket(new WebSocket(server.url))
      await opened
      socket.close(4000)
      await closed
      assert.deepEqual(log, ['open 1', 'close 3 1006  unclean'])
    })
  }

  it('makes the socket CLOSING as soon as the server has begun it', async () => {
    await using server = await scriptedServer({ frames: [text('a'), close(4000)] })
    const { socket, log, closed } = watchSocket(new WebSocket(server.url))
    await until(() => socket.readyState === 2, 'the Close frame')
    assert.deepEqual(log, ['open 1', 'message 1 a'])
    socket.send('12')
    assert.equal(socket.bufferedAmount, 2)
    socket.close(3000)
    server.scripted[0]?.socket.end()
    await closed
    assert.deepEqual(log.at(-1), 'close 3 4000 ')
    assert.deepEqual(server.scripted[0]?.sent, ['close 4000 ""'])
  })

  it('lets close() be called in a listener though the server has begun it', async () => {
    const { log, sent } = await conversation([text('a'), text('b'), close(4000)], (socket) => {
      socket.onmessage = () => socket.close(3000)
    })
    assert.deepEqual(log, ['open 1', 'message 1 a', 'close 3 4000 '])
    assert.deepEqual(sent, ['close 4000 ""'])
  })
})

describe('a handshake fails', () => {
  const refusal = (head: string) => `HTTP/1.1 ${head}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`
  for (const [name, answer, protocols] of [
    ['by a status', () => refusal('404 No')],
    ['by a redirect', () => refusal('302 Away\r\nLocation: /')],
    ['by what is no HTTP', () => 'hello\r\n\r\n'],
    ['by nothing', () => ''],
    ['by a wrong accept', () => switching('wrong')],
    ['by a subprotocol that nobody wants', (accept) => switching(accept, 'Sec-WebSocket-Protocol: a\r\n')],
    ['by no subprotocol', (accept) => switching(accept), ['a']],
    ['by an extension that nobody wants', (accept) => switching(accept, 'Sec-WebSocket-Extensions: x\r\n')],
  ] as readonly (readonly [string, (accept: string) => string, string[]?])[])
    it(name, async () => {
      await using server = await AnsweringServer.start((socket, accept) => socket.end(answer(accept)))
      const { socket, log, closed } = watchSocket(new WebSocket(server.url, protocols))
      await closed
      assert.deepEqual(log, ['error 3', 'close 3 1006  unclean'])
      assert.deepEqual([socket.protocol, socket.extensions], ['', ''])
      assert.equal(server.clients, 1)
    })

  for (const url of ['ws://127.0.0.1:1/', 'wss://127.0.0.1:22/', 'ws://nowhere.invalid/'])
    it(`for ${url}`, async () => {
      const { log, closed } = watchSocket(new WebSocket(url))
      await closed
      assert.deepEqual(log, ['error 3', 'close 3 1006  unclean'])
    })
})
