import assert from 'node:assert/strict'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { getEventListeners, setMaxListeners } from 'node:events'
import type { ClientRequest } from 'node:http'
import type { Socket } from 'node:net'
import { after, describe, it } from 'node:test'
import { assertNoLeaks } from '../../test/leaks.ts'
import { type ScriptedClient, scriptedServer } from '../../test/support/scripted-server.ts'
import { isPending, until } from '../../test/support/until.ts'
import { type Server, serve } from '../server/serve.ts'
import type { ServerConn } from '../server/server-conn.ts'
import { type WebSocketCloseInfo, WebSocketError } from './websocket-error.ts'
import { WebSocketStream, type WebSocketStreamOptions } from './websocket-stream.ts'

after(() => assertNoLeaks())

const nowhere = 'ws://127.0.0.1:1/'
const close = (code: number, reason = '') => ({
  opcode: 8,
  payload: Buffer.concat([Buffer.from([code >> 8, code & 255]), Buffer.from(reason)]),
})
const echo = (): Promise<Server> => serve({}, (conn) => conn.onMessage((data, type) => conn.send(data, type)))

/** Answers a Close frame with the same, and hangs up. */
function answerClose(line: string, { send, socket }: ScriptedClient): void {
  const [, code, reason = ''] = /^close (\d+) "(.*)"$/.exec(line) ?? []
  if (code === undefined) return
  send(code === '1005' ? { opcode: 8 } : close(Number(code), reason))
  socket.end()
}

async function opened(url: string, options: WebSocketStreamOptions = {}) {
  const stream = new WebSocketStream(url, options)
  const info = await stream.opened
  const reader = info.readable.getReader()
  const writer = info.writable.getWriter()
  // Ends are looked at where they matter.
  for (const promise of [reader.closed, writer.closed]) promise.catch(() => {})
  return { stream, info, reader, writer }
}

/** A stream that is open and whose streams nobody has locked. */
async function unlocked(url: string) {
  const stream = new WebSocketStream(url)
  return { stream, ...(await stream.opened) }
}

const failure =
  (closeCode: number | null, reason = '') =>
  (error: unknown) =>
    error instanceof WebSocketError && error.closeCode === closeCode && error.reason === reason
const isClosed = { name: 'InvalidStateError', code: 11 }

describe('a WebSocketStream', () => {
  it('carries messages both ways', async () => {
    await using server = await serve({ subprotocols: ['b'], compression: true }, (conn) =>
      conn.onMessage((data, type) => conn.send(data, type)),
    )
    const { stream, info, reader, writer } = await opened(server.url, { protocols: ['a', 'b'] })
    assert.deepEqual(Object.keys(info), ['extensions', 'protocol', 'readable', 'writable'])
    assert.equal(info.protocol, 'b')
    assert.match(info.extensions, /^permessage-deflate/)
    assert.equal(stream.url, server.url)
    const bytes = new Uint8Array([1, 2, 3])
    for (const [given, expected] of [
      ['é\ud800', 'é\ufffd'],
      ['', ''],
      [5, '5'],
      [undefined, 'undefined'],
      [new Blob(['x']), '[object Blob]'],
      [bytes.subarray(1), [2, 3]],
      [bytes.buffer, [1, 2, 3]],
      [new DataView(bytes.buffer, 2), [3]],
    ]) {
      await writer.write(given as string)
      const { value } = await reader.read()
      assert.deepEqual(value instanceof ArrayBuffer ? [...new Uint8Array(value)] : value, expected)
    }
    stream.close({ closeCode: 4000, reason: 'done' })
    assert.deepEqual(await stream.closed, { closeCode: 4000, reason: '' })
    assert.deepEqual(await reader.read(), { value: undefined, done: true })
    await reader.closed
    await assert.rejects(writer.closed, isClosed)
    await assert.rejects(writer.write('x'), isClosed)
  })

  it('sends what the bytes were when they were written', async () => {
    await using server = await echo()
    const { stream, reader, writer } = await opened(server.url)
    const bytes = new Uint8Array(200_000).fill(1)
    const written = writer.write(bytes)
    bytes.fill(2)
    await written
    const { value } = await reader.read()
    assert.ok(value instanceof ArrayBuffer && new Uint8Array(value).every((byte) => byte === 1))
    stream.close()
    await stream.closed
  })

  it('refuses chunks that cannot be sent; the connection stays', async () => {
    await using server = await echo()
    for (const chunk of [Symbol('x'), new SharedArrayBuffer(1), new Uint8Array(new SharedArrayBuffer(1))]) {
      const { stream, writer } = await opened(server.url)
      await assert.rejects(writer.write(chunk as unknown as string), TypeError)
      await assert.rejects(writer.closed, TypeError)
      stream.close({ closeCode: 3000 })
      assert.equal((await stream.closed).closeCode, 3000)
    }
  })

  it('holds the server back while nobody reads, and loses nothing', async () => {
    const conns: ServerConn[] = []
    const limits = { maxSendBuffer: 2 ** 40, pingInterval: 0 }
    await using server = await serve({ limits }, (conn) => void conns.push(conn))
    const { stream, reader } = await opened(server.url)
    const conn = conns[0] as ServerConn
    const size = 2 ** 20
    const count = 48
    for (let i = 0; i < count; i++) conn.send(new Uint8Array(size).fill(i))
    void conn.close(4000)
    // What two kernels and the inbox hold is less than what is there.
    await until(() => conn.bufferedAmount < count * size, 'the first bytes to leave')
    assert.equal(await isPending(conn.drained()), true)
    for (let i = 0; i < count; i++) {
      const { value } = await reader.read()
      assert.ok(value instanceof ArrayBuffer && value.byteLength === size && new Uint8Array(value)[0] === i)
    }
    assert.deepEqual(await reader.read(), { value: undefined, done: true })
    assert.equal((await stream.closed).closeCode, 4000)
  })

  it('holds writes back while the server does not read', async () => {
    await using server = await scriptedServer()
    const { stream, writer } = await opened(server.url)
    server.scripted[0]?.socket.pause()
    const chunk = new Uint8Array(2 ** 22)
    let writes = 0
    let waiting: Promise<void> | undefined
    for (;;) {
      waiting = writer.write(chunk)
      const taken = waiting.then(() => writes++)
      if (await isPending(taken)) break
    }
    assert.equal(writer.desiredSize, 0)
    assert.ok(writes < 16, `${writes} writes of 4 MiB`)
    server.scripted[0]?.socket.destroy()
    await assert.rejects(stream.closed, failure(1006))
    // What was not sent was not written.
    await assert.rejects(waiting, failure(1006))
    await assert.rejects(writer.closed, failure(1006))
  })

  it('takes no writes once the Close frame of the server is there', async () => {
    await using server = await scriptedServer({ frames: [close(1000)] })
    const { stream, writer } = await opened(server.url)
    await assert.rejects(writer.write('too late'), isClosed)
    await assert.rejects(writer.closed, isClosed)
    // The server has not hung up yet.
    assert.equal(await isPending(stream.closed), true)
    server.scripted[0]?.socket.end()
    assert.equal((await stream.closed).closeCode, 1000)
  })

  it('is closed by abort() though a write waits for the server', async () => {
    await using server = await scriptedServer()
    const { stream, writer } = await opened(server.url)
    const socket = server.scripted[0]?.socket as Socket
    socket.pause()
    const size = 2 ** 25
    const waiting = writer.write(new Uint8Array(size))
    assert.equal(await isPending(waiting), true)
    const aborted = writer.abort(new WebSocketError('', { closeCode: 4000 }))
    // It is closing already: another code comes too late.
    stream.close({ closeCode: 3000 })
    let received = 0
    let tail = Buffer.alloc(0)
    socket.removeAllListeners('data').on('data', (chunk: Buffer) => {
      received += chunk.length
      tail = Buffer.concat([tail, chunk]).subarray(-8)
    })
    socket.resume()
    // A masked frame with a code and nothing else.
    await until(() => received > size && tail[0] === 0x88 && tail[1] === 0x82, 'the Close frame')
    const [high = 0, low = 0] = [6, 7].map((at) => (tail[at] as number) ^ (tail[at - 4] as number))
    assert.equal(high * 256 + low, 4000)
    socket.end()
    await Promise.allSettled([waiting, aborted, stream.closed])
  })
})

describe('its close()', () => {
  for (const [name, info, frame, end] of [
    ['nothing', undefined, 'close 1005 ""', { closeCode: 1005, reason: '' }],
    ['null', null, 'close 1005 ""', { closeCode: 1005, reason: '' }],
    ['a code', { closeCode: 3000 }, 'close 3000 ""', { closeCode: 3000, reason: '' }],
    ['a reason alone', { reason: 'why' }, 'close 1000 "why"', { closeCode: 1000, reason: 'why' }],
    ['an empty reason', { reason: '' }, 'close 1005 ""', { closeCode: 1005, reason: '' }],
    [
      'an error',
      new WebSocketError('m', { closeCode: 4000, reason: 'e' }),
      'close 4000 "e"',
      { closeCode: 4000, reason: 'e' },
    ],
  ] as const)
    it(`sends ${name}`, async () => {
      await using server = await scriptedServer({ on: answerClose })
      const { stream } = await opened(server.url)
      stream.close(info as unknown as WebSocketCloseInfo)
      stream.close({ closeCode: 4999 })
      assert.deepEqual(await stream.closed, end)
      assert.deepEqual(server.scripted[0]?.sent, [frame])
    })

  it('throws for what may not be sent, whatever the state', async () => {
    await using server = await echo()
    const { stream } = await opened(server.url)
    const wrong = (): void => {
      for (const closeCode of [0, 999, 1001, 5000, null, Number.NaN])
        assert.throws(() => stream.close({ closeCode: closeCode as number }), { name: 'InvalidAccessError' })
      assert.throws(() => stream.close({ reason: 'x'.repeat(124) }), { name: 'SyntaxError' })
      for (const info of [true, 5, { closeCode: Symbol('x') }])
        assert.throws(() => stream.close(info as unknown as WebSocketCloseInfo), TypeError)
    }
    wrong()
    stream.close()
    wrong()
    await stream.closed
    wrong()
  })

  it('drops what has not been read, but for the chunk that is there', async () => {
    await using server = await scriptedServer({
      frames: [...['a', 'b', 'c'].map((payload) => ({ opcode: 1, payload })), { opcode: 9 }],
      on: answerClose,
    })
    const { stream, reader } = await opened(server.url)
    assert.equal((await reader.read()).value, 'a')
    await until(() => server.scripted[0]?.sent.length === 1, 'the pong behind the messages')
    stream.close()
    await stream.closed
    assert.equal((await reader.read()).value, 'b')
    assert.equal((await reader.read()).done, true)
  })

  it('drops what comes behind it, though somebody reads', async () => {
    await using server = await scriptedServer({
      on: (line, client) => {
        client.send({ opcode: 1, payload: 'late' })
        answerClose(line, client)
      },
    })
    const { stream, reader } = await opened(server.url)
    const read = reader.read()
    stream.close()
    assert.equal((await read).done, true)
  })

  it('lets writes that come behind it pass unsent', async () => {
    await using server = await scriptedServer({ on: answerClose })
    const { stream, writer } = await opened(server.url)
    await writer.write('in time')
    stream.close()
    await writer.write('too late')
    await stream.closed
    assert.deepEqual(
      server.scripted[0]?.sent.map((line) => line.split(' ')[0]),
      ['text', 'close'],
    )
  })
})

describe('its streams', () => {
  for (const [name, reason, frame] of [
    ['nothing', undefined, 'close 1005 ""'],
    ['an object', { closeCode: 3333, reason: 'x' }, 'close 1005 ""'],
    ['another error', new Error('x'), 'close 1005 ""'],
    ['an error without a code', new WebSocketError('m'), 'close 1005 ""'],
    ['an error with a reason', new WebSocketError('m', { reason: 'x' }), 'close 1000 "x"'],
    ['an error with a code', new WebSocketError('m', { closeCode: 3333 }), 'close 3333 ""'],
  ] as const) {
    it(`close the connection, cancelled with ${name}`, async () => {
      await using server = await scriptedServer({ on: answerClose })
      const { stream, readable, writable } = await unlocked(server.url)
      await readable.cancel(reason)
      await stream.closed
      assert.deepEqual(server.scripted[0]?.sent, [frame])
      await assert.rejects(writable.getWriter().closed, isClosed)
      assert.deepEqual(await readable.getReader().read(), { value: undefined, done: true })
    })

    it(`close the connection, aborted with ${name}`, async () => {
      await using server = await scriptedServer({ on: answerClose })
      const { stream, readable, writable } = await unlocked(server.url)
      const read = readable.getReader().read()
      await writable.abort(reason)
      await stream.closed
      assert.deepEqual(server.scripted[0]?.sent, [frame])
      assert.deepEqual(await read, { value: undefined, done: true })
    })
  }

  it('close it without a code for the error of another connection', async () => {
    await using server = await scriptedServer({ on: answerClose })
    const lost = new WebSocketStream(nowhere)
    const error: unknown = await lost.closed.catch((reason: unknown) => reason)
    assert.ok(failure(1006)(error))
    const { stream, readable } = await unlocked(server.url)
    await readable.cancel(error)
    assert.equal((await stream.closed).closeCode, 1005)
  })

  it('close it in order when the writable is closed, which takes as long as that', async () => {
    await using server = await scriptedServer()
    const { stream, reader, writer } = await opened(server.url)
    void writer.write('last')
    const closing = writer.close()
    await until(() => server.scripted[0]?.sent.length === 2, 'the Close frame')
    assert.equal(await isPending(closing), true)
    const client = server.scripted[0] as ScriptedClient
    assert.deepEqual(client.sent[1], 'close 1005 ""')
    client.send({ opcode: 8 })
    client.socket.end()
    await closing
    await writer.closed
    assert.deepEqual(await stream.closed, { closeCode: 1005, reason: '' })
    assert.equal((await reader.read()).done, true)
  })

  it('tell when it does not end in order though the writable was closed', async () => {
    await using server = await scriptedServer({ on: (_line, { socket }) => void socket.end() })
    const { stream, writer } = await opened(server.url)
    await assert.rejects(writer.close(), failure(1006))
    await assert.rejects(stream.closed, failure(1006))
  })
})

describe('a server ends it', () => {
  it('in order: what came before is read, then the end', async () => {
    await using server = await scriptedServer({
      frames: [
        { opcode: 1, payload: 'a' },
        { opcode: 2, payload: 'b' },
        { opcode: 1, payload: 'c' },
        close(4001, 'abc'),
      ],
      on: (_line, { socket }) => socket.end(),
    })
    const { stream, reader, writer } = await opened(server.url)
    // Nobody has read yet.
    assert.deepEqual(await stream.closed, { closeCode: 4001, reason: 'abc' })
    await assert.rejects(writer.closed, isClosed)
    const values: unknown[] = []
    for (let step = await reader.read(); !step.done; step = await reader.read()) values.push(step.value)
    assert.deepEqual(
      values.map((value) => (typeof value === 'string' ? value : 'buffer')),
      ['a', 'buffer', 'c'],
    )
  })

  it('in order: reads, then writes, then the promise hear of it', async () => {
    await using server = await scriptedServer({
      frames: [close(4000)],
      on: (_line, { socket }) => socket.end(),
    })
    const { stream, reader, writer } = await opened(server.url)
    const order: string[] = []
    const tell = (name: string) => () => void order.push(name)
    await Promise.all([
      stream.closed.then(tell('closed')),
      writer.closed.catch(tell('writer')),
      reader.read().then(tell('read')),
    ])
    assert.deepEqual(order, ['read', 'writer', 'closed'])
  })

  for (const [name, end] of [
    ['by FIN', ({ socket }) => void socket.end()],
    ['by RST', ({ socket }) => void socket.resetAndDestroy()],
    [
      'by breaking a rule',
      ({ send, socket }) => {
        send({ opcode: 3 })
        socket.end()
      },
    ],
  ] as readonly (readonly [string, (client: ScriptedClient) => void])[])
    it(`${name}: what came before is read, then the error`, async () => {
      await using server = await scriptedServer({
        frames: ['a', 'b', 'c'].map((payload) => ({ opcode: 1, payload })),
        on: (line, client) => line.startsWith('text') && end(client),
      })
      const { stream, reader, writer } = await opened(server.url)
      await until(() => server.scripted.length > 0, 'the server')
      assert.equal((await reader.read()).value, 'a')
      void writer.write('go')
      await assert.rejects(stream.closed, failure(1006))
      await assert.rejects(writer.closed, failure(1006))
      assert.equal((await reader.read()).value, 'b')
      assert.equal((await reader.read()).value, 'c')
      await assert.rejects(reader.read(), failure(1006))
      await assert.rejects(reader.closed, failure(1006))
    })
})

describe('the handshake of a stream', () => {
  it('fails with errors', async () => {
    await using server = await scriptedServer()
    for (const [url, options] of [
      [nowhere],
      ['ws://127.0.0.1:22/'],
      [server.url, { protocols: ['a'] }],
    ] as const) {
      const stream = new WebSocketStream(url, options)
      await assert.rejects(stream.opened, failure(null))
      await assert.rejects(stream.closed, failure(1006))
      stream.close()
    }
  })

  it('is given up by close()', async () => {
    await using server = await scriptedServer()
    const stream = new WebSocketStream(server.url)
    assert.throws(() => stream.close({ closeCode: 1 }), { name: 'InvalidAccessError' })
    stream.close({ closeCode: 3000 })
    await assert.rejects(stream.opened, failure(null))
    await assert.rejects(stream.closed, failure(1006))
  })

  it('is given up by close() though the connection is made already, and has not told yet', async () => {
    await using server = await scriptedServer()
    const stream = new WebSocketStream(server.url)
    // A task that is queued with the answer, before the promise of the handshake has queued its own.
    const started = (message: unknown): void => {
      const { request } = message as { readonly request: ClientRequest }
      request.on('upgrade', () => setImmediate(() => stream.close()))
    }
    subscribe('http.client.request.start', started)
    await assert.rejects(stream.opened, failure(null))
    unsubscribe('http.client.request.start', started)
    await assert.rejects(stream.closed, failure(1006))
    await server.deserted()
  })

  it('warns of no leak where one signal is for many', async () => {
    const warnings: Error[] = []
    const onWarning = (warning: Error): void => void warnings.push(warning)
    process.on('warning', onWarning)
    const controller = new AbortController()
    // By itself Node warns of none that listen to a signal; of those to any other target it does.
    setMaxListeners(10, controller.signal)
    const streams = Array.from({ length: 15 }, () => new WebSocketStream(nowhere, controller))
    assert.equal(getEventListeners(controller.signal, 'abort').length, 15)
    // A warning comes in a tick of its own.
    await new Promise((resolve) => setImmediate(resolve))
    controller.abort()
    await Promise.allSettled(streams.map(({ closed }) => closed))
    process.off('warning', onWarning)
    assert.deepEqual(warnings, [])
    assert.equal(getEventListeners(controller.signal, 'abort').length, 0)
  })

  it('is given up by its signal, which does nothing later', async () => {
    await using server = await echo()
    const controller = new AbortController()
    const aborted = new WebSocketStream(server.url, { signal: controller.signal })
    controller.abort(new Error('why'))
    for (const promise of [aborted.opened, aborted.closed])
      await assert.rejects(promise, { name: 'AbortError', code: 20 })
    const before = new WebSocketStream(server.url, { signal: controller.signal })
    for (const promise of [before.opened, before.closed])
      await assert.rejects(promise, { name: 'AbortError', code: 20 })
    before.close()
    const later = new AbortController()
    const { stream, reader, writer } = await opened(server.url, { signal: later.signal })
    later.abort()
    await writer.write('x')
    assert.equal((await reader.read()).value, 'x')
    stream.close()
    await stream.closed
  })

  it('ends no process where nobody looks at it', async () => {
    const stream = new WebSocketStream(nowhere)
    const closed = await Promise.allSettled([stream.closed])
    assert.equal(closed[0].status, 'rejected')
  })
})

describe('the class WebSocketStream', () => {
  it('takes options as a dictionary', async () => {
    const construct = WebSocketStream as new (...args: unknown[]) => WebSocketStream
    for (const options of [undefined, null, {}, () => {}, { protocols: new Set(['a']), headers: 1 }]) {
      const stream = new construct(nowhere, options)
      assert.equal(stream.url, nowhere)
      await assert.rejects(stream.closed)
    }
    for (const args of [
      [],
      [Symbol('x')],
      [nowhere, 5],
      [nowhere, { protocols: 'a' }],
      [nowhere, { protocols: null }],
      [nowhere, { signal: null }],
      [nowhere, { signal: {} }],
    ])
      assert.throws(() => new construct(...args), TypeError)
    for (const args of [
      ['x'],
      ['ws://host/#'],
      [nowhere, { protocols: ['a', 'a'] }],
      [nowhere, { protocols: [''] }],
    ])
      assert.throws(() => new construct(...args), { name: 'SyntaxError' })
  })

  it('has members for its objects alone', async () => {
    assert.equal(WebSocketStream.length, 1)
    const members = Object.getOwnPropertyDescriptors(WebSocketStream.prototype)
    for (const other of [undefined, {}, WebSocketStream.prototype]) {
      assert.throws(() => members.url.get?.call(other), /^TypeError: Illegal invocation$/)
      assert.throws(
        () => members.close.value?.call(other as WebSocketStream),
        /^TypeError: Illegal invocation$/,
      )
      for (const name of ['opened', 'closed'] as const)
        await assert.rejects(
          (members[name].get as (this: unknown) => Promise<unknown>).call(other),
          /^TypeError: Illegal/,
        )
    }
    const enumerable = Object.entries(members).filter(([, member]) => member.enumerable)
    assert.deepEqual(enumerable.map(([name]) => name).sort(), ['close', 'closed', 'opened', 'url'])
    assert.equal(Object.prototype.toString.call(WebSocketStream.prototype), '[object WebSocketStream]')
  })
})
