import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createServer as createNetServer } from 'node:net'
import { after, describe, it } from 'node:test'
import { assertNoLeaks } from '../../test/leaks.ts'
import { refusedWith, TestService } from '../../test/support/test-service.ts'
import { until } from '../../test/support/until.ts'
import type { Conn } from '../conn/conn.ts'
import { reject } from '../server/reject.ts'
import { type Server, serve } from '../server/serve.ts'
import type { ServerConn } from '../server/server-conn.ts'
import { CloseError, HandshakeError, UsageError } from '../session/errors.ts'
import { FakeClock } from '../testing/fake-clock.ts'
import { Dialer } from './dialer.ts'
import { reconnect } from './reconnect.ts'
import type { ReconnectOptions } from './reconnect-options.ts'
import { reconnecting } from './reconnecting-conn.ts'

after(() => assertNoLeaks())

describe('reconnect', () => {
  it('is a loop over connections, around a loop over messages that ends quietly when one is lost', async () => {
    await using service = new TestService()
    service.handle = (conn) => void conn.read().then((data) => conn.send(`${String(data)}: ok`))
    const messages: unknown[] = []
    const ended = (async () => {
      for await (const conn of reconnect('ws://service', service.options)) {
        conn.sendJson({ subscribe: ['prices'] })
        for await (const message of conn) messages.push(message)
      }
    })()
    for (const lose of ['terminate', 'reset', 'close 1011', 'close 1000']) {
      await service.clock.advance(1_000)
      if (lose === 'terminate') service.server.terminate()
      else if (lose === 'reset') service.pairs.at(-1)?.reset()
      else void service.server.close(Number(lose.slice(6)))
      await service.clock.advance(10_000)
    }
    await ended
    assert.deepEqual(messages, Array(4).fill('{"subscribe":["prices"]}: ok'))
    assert.equal(service.clock.pending, 0)
  })

  it('goes on after a fault that the library itself closes for only if told to, and says which it was', async () => {
    await using service = new TestService()
    service.limits = { maxMessageSize: 10 }
    service.handle = (conn) => void conn.send('x'.repeat(11))
    const loop = async (options: ReconnectOptions): Promise<void> => {
      for await (const conn of reconnect('ws://service', { ...service.options, ...options }))
        for await (const message of conn) void message
    }
    await assert.rejects(loop({}), (error) => error instanceof CloseError && error.info.code === 1009)
    const attempts = service.attempts.length
    const going = assert.rejects(loop({ retry: () => true, maxAttempts: 3 }), CloseError)
    await service.clock.advance(60_000)
    await going
    assert.equal(service.attempts.length - attempts, 3)
  })

  it('an error that leaves the body ends it, and so does a break; then it can begin anew', async () => {
    await using service = new TestService()
    const connections = reconnect('ws://service', service.options)
    await assert.rejects(
      (async () => {
        for await (const conn of connections) {
          service.server.terminate()
          await conn.read()
        }
      })(),
      CloseError,
    )
    for await (const conn of connections) {
      conn.send('again')
      break
    }
    assert.equal(await service.server.read(), 'again')
    assert.deepEqual([(await service.server.closed).code, service.attempts.length], [1000, 2])
  })

  it('throws for wrong options and URLs when it is called', () => {
    assert.throws(() => reconnect('http://localhost'), UsageError)
    assert.throws(() => reconnect('ws://localhost', { maxdelay: 1 } as ReconnectOptions), UsageError)
  })

  it('throws why there will be no connection', async () => {
    await using service = new TestService()
    service.down = refusedWith(404)
    await assert.rejects(
      (async () => {
        for await (const _conn of reconnect('ws://service', service.options)) assert.fail('there is none')
      })(),
      (error) => error === service.down,
    )
  })
})

/** A server that can be killed, and started again where it was. */
class Restartable implements AsyncDisposable {
  port = 0
  readonly #handle: (conn: ServerConn) => void
  #server: Server | undefined

  constructor(handle: (conn: ServerConn) => void) {
    this.#handle = handle
  }

  get url(): string {
    return `ws://127.0.0.1:${this.port}/`
  }

  get connections(): number {
    return this.#server?.connections.size ?? 0
  }

  async start(): Promise<void> {
    this.#server = await serve({ port: this.port, onReject: () => undefined }, this.#handle)
    this.port = (this.#server.server.address() as AddressInfo).port
  }

  /** As a process that is killed: no Close frame, no more port. */
  async kill(): Promise<void> {
    for (const conn of this.#server?.connections ?? []) conn.terminate()
    await this.#server?.close({ timeout: 0 })
    this.#server = undefined
  }

  /** As one that is told to stop. */
  async stop(): Promise<void> {
    await this.#server?.close({ code: 1012 })
    this.#server = undefined
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server?.close({ timeout: 0 })
  }
}

describe('reconnecting to real servers', () => {
  it('that are killed and come back: every message is accounted for', async () => {
    const heard: string[][] = []
    await using server = new Restartable((conn) => {
      const messages: string[] = []
      heard.push(messages)
      conn.onMessage((data) => {
        messages.push(String(data))
        conn.send(`ack ${String(data)}`)
      })
    })
    await server.start()
    const clock = new FakeClock()
    const conns: Conn[] = []
    await using session = reconnecting(server.url, {
      clock,
      onConnect: (conn) => {
        conns.push(conn)
      },
    })
    const acks: unknown[] = []
    const reading = (async () => {
      for await (const data of session) acks.push(data)
    })()
    let sent = 0
    const send = (count: number): void => {
      for (let i = 0; i < count; i++) assert.ok(session.send(`${sent++}`))
    }
    for (const end of ['kill', 'stop', 'kill'] as const) {
      send(10)
      await until(() => session.state === 'open', 'a connection')
      send(10)
      await server[end]()
      // Some of these may go to a connection that is dead and does not know it yet.
      send(10)
      await until(() => session.state === 'waiting' && clock.pending === 1, 'the loss of it')
      send(10)
      // The port is closed: this attempt fails.
      await clock.advance(30_000)
      await until(() => session.state === 'waiting' && clock.pending === 1, 'the end of an attempt')
      await server.start()
      await clock.advance(30_000)
      await until(() => session.state === 'open', 'the next connection')
    }
    send(10)
    await until(() => heard.at(-1)?.at(-1) === `${sent - 1}`, 'the last message')
    await until(() => acks.at(-1) === `ack ${sent - 1}`, 'the last answer')
    await session.close()
    await reading

    const handed = conns.map((conn) => conn.stats.messagesSent)
    assert.equal(conns.length, 4)
    assert.equal(
      handed.reduce((sum, count) => sum + count, 0),
      sent,
    )
    // In order and once; of those that a killed server's connection got, the last few may be missing.
    let next = 0
    for (const [index, count] of handed.entries()) {
      const own = Array.from({ length: count }, (_, i) => `${next + i}`)
      const came = heard[index] as string[]
      assert.deepEqual(came, own.slice(0, came.length))
      next += count
    }
    assert.deepEqual(heard[3]?.length, handed[3])
    const answered = heard.flat().map((text) => `ack ${text}`)
    assert.ok(acks.every((ack) => answered.includes(ack as string)))
  })

  it('goes by what a real server answers', async () => {
    const clock = new FakeClock()
    const answers: [number, Record<string, string>][] = [
      [503, { 'Retry-After': '20' }],
      [502, {}],
      [401, {}],
    ]
    const times: number[] = []
    const http = createServer()
    http.on('upgrade', (_request, socket) => {
      times.push(clock.now())
      const [status, headers] = answers.shift() ?? [500, {}]
      reject(socket, status, { headers })
    })
    await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve))
    const { port } = http.address() as AddressInfo
    try {
      let ended = false
      const loop = (async () => {
        const options = { clock, random: () => 0.5 }
        for await (const _conn of reconnect(`ws://127.0.0.1:${port}`, options)) assert.fail('there is none')
      })().finally(() => {
        ended = true
      })
      loop.catch(() => {})
      while (!ended) {
        await until(() => clock.pending === 1 || ended, 'the end of an attempt')
        await clock.advance(50)
      }
      await assert.rejects(loop, (error) => error instanceof HandshakeError && error.status === 401)
      assert.deepEqual(times, [0, 20_250, 20_750])
    } finally {
      await new Promise((resolve) => http.close(resolve))
    }
  })

  it('gives up at once where the certificate is not to be trusted, and connects where it is', async () => {
    const read = (name: string): string =>
      readFileSync(new URL(`../../test/fixtures/localhost.${name}`, import.meta.url), 'utf8')
    const [cert, key] = [read('crt'), read('key')]
    await using server = await serve({ tls: { cert, key } }, (conn) => void conn.send('secret'))
    const url = server.url.replace('127.0.0.1', 'localhost')
    const clock = new FakeClock()
    await assert.rejects(
      (async () => {
        for await (const _conn of reconnect(url, { clock })) assert.fail('it is not trusted')
      })(),
      (error) =>
        error instanceof HandshakeError &&
        (error.cause as NodeJS.ErrnoException).code === 'DEPTH_ZERO_SELF_SIGNED_CERT',
    )
    assert.equal(clock.pending, 0)
    const dialer = new Dialer({ tls: { ca: cert } })
    const connect: ReconnectOptions['connect'] = (target, options) => dialer.dial(target, options)
    for await (const conn of reconnect(url, { clock, connect })) {
      assert.equal(await conn.read(), 'secret')
      break
    }
  })

  it('tells a port that nobody listens on from one that speaks something else', async () => {
    const clock = new FakeClock()
    const tcp = createNetServer((socket) => {
      socket.on('error', () => {})
      socket.once('data', () => socket.end('220 mail.example ESMTP\r\n'))
    })
    await new Promise<void>((resolve) => tcp.listen(0, '127.0.0.1', resolve))
    const { port } = tcp.address() as AddressInfo
    const url = `ws://127.0.0.1:${port}`
    const connect = async (): Promise<void> => {
      for await (const _conn of reconnect(url, { clock, maxAttempts: 2 })) assert.fail('there is none')
    }
    await assert.rejects(
      connect(),
      (error) => error instanceof HandshakeError && error.code === 'ERR_WS_HEADER_SYNTAX',
    )
    await new Promise((resolve) => tcp.close(resolve))
    const refused = assert.rejects(
      connect(),
      (error) => error instanceof HandshakeError && error.code === 'ERR_WS_CONNECT',
    )
    await until(() => clock.pending === 1, 'the end of the first attempt')
    await clock.advance(500)
    await refused
  })
})
