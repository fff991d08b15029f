import assert from 'node:assert/strict'
import { after, describe, it, mock } from 'node:test'
import { assertNoLeaks } from '../../test/leaks.ts'
import { isPending } from '../../test/support/until.ts'
import type { Conn } from '../conn/conn.ts'
import { ServerConn } from '../server/server-conn.ts'
import { CloseError, HandshakeError, LimitError, TimeoutError, UsageError } from '../session/errors.ts'
import { FakeClock } from './fake-clock.ts'
import { type Pair, type PairOptions, pair } from './pair.ts'

const KiB = 1024

after(() => assertNoLeaks())

/** All messages that a side has by the time that everything rests. */
function collect(conn: Conn): string[] {
  const messages: string[] = []
  conn.onMessage((data, type) => messages.push(`${type} ${Buffer.from(data as string).toString()}`))
  return messages
}

describe('a pair', () => {
  it('is two open connections, each the peer of the other', async () => {
    await using both = pair({ request: { url: '/chat?room=1', headers: { cookie: 'id=7' } } })
    const { client, server, clock } = both
    const [toServer, toClient] = [collect(server), collect(client)]
    client.send('héllo')
    client.send(new Uint8Array([65, 66]))
    server.sendJson({ n: 1 })
    await clock.settle()
    assert.deepEqual(toServer, ['text héllo', 'binary AB'])
    assert.deepEqual(toClient, ['text {"n":1}'])
    assert.deepEqual([server.request.url, server.request.headers.cookie], ['/chat?room=1', 'id=7'])
    assert.deepEqual([client.request, client.response?.statusCode], [undefined, 101])
    assert.deepEqual([client.remoteAddress, server.remoteAddress], ['127.0.0.1', '127.0.0.1'])
  })

  it('closes in order without time passing', async () => {
    const { client, server, clock } = pair()
    const { code, reason, by, wasClean } = await client.close(4000, 'done')
    assert.deepEqual([code, reason, by, wasClean], [4000, 'done', 'local', true])
    const info = await server.closed
    assert.deepEqual([info.code, info.by, info.wasClean], [4000, 'remote', true])
    assert.deepEqual([clock.now(), clock.pending], [0, 0])
  })

  it('negotiates subprotocol and compression, as the two want it', async () => {
    await using both = pair({
      compression: true,
      subprotocols: ['b', 'a'],
      server: { subprotocols: ['a'], compression: { threshold: 1 } },
    })
    const { client, server } = both
    assert.deepEqual([client.subprotocol, server.subprotocol], ['a', 'a'])
    assert.match(client.extensions, /^permessage-deflate/)
    assert.equal(client.extensions, server.extensions)
    server.send('a'.repeat(200))
    assert.equal(await client.read(), 'a'.repeat(200))
    assert.ok((client.stats.encoding?.encodedReceived ?? 200) < 20)
    await using plain = pair({ client: { compression: true } })
    assert.equal(plain.client.extensions, '')
  })

  it('has the types of what it was given, and the context that authorize would have returned', async () => {
    interface User {
      readonly name: string
    }
    const ann: User = { name: 'ann' }
    await using both = pair({ subprotocols: ['a', 'b'], server: { context: ann } })
    const subprotocol: 'a' | 'b' | '' = both.client.subprotocol
    const same: 'a' | 'b' | '' = both.server.subprotocol
    const handle = (conn: ServerConn<'a' | 'b', User>): string => conn.context.name
    assert.deepEqual([subprotocol, same, handle(both.server)], ['a', 'a', 'ann'])
    assert.ok(both.server instanceof ServerConn)
    await using plain = pair()
    assert.deepEqual(['context' in plain.server, plain.server.context], [true, undefined])
    // @ts-expect-error: no context
    await using without = pair<string, User>({})
    assert.equal(without.server.context, undefined)
  })

  it('refuses as the server would', () => {
    const refused = (options: PairOptions, status: number) =>
      assert.throws(
        () => pair(options),
        (error) => error instanceof HandshakeError && error.status === status,
      )
    const request = { headers: { origin: 'https://elsewhere.example' } }
    refused({ request }, 403)
    refused({ server: { checkOrigin: () => false } }, 403)
    const allowed = pair({ request, server: { checkOrigin: () => true, headers: { 'x-a': 'b' } } })
    assert.equal(allowed.client.response?.headers['x-a'], 'b')
    allowed.client.terminate()
  })

  for (const chunkSize of [1, 3, 65_536]) {
    it(`the same comes out of chunks of ${chunkSize}`, async () => {
      await using both = pair({ chunkSize, compression: { threshold: 100 } })
      const toServer = collect(both.server)
      for (const size of [0, 1, 125, 126, 500]) both.client.send('é'.repeat(size))
      await both.clock.settle()
      const expected = [0, 1, 125, 126, 500].map((size) => `text ${'é'.repeat(size)}`)
      assert.deepEqual(toServer, expected)
    })
  }

  it('is the same each time', async () => {
    const run = async (): Promise<unknown> => {
      const transcript: unknown[] = []
      await using both = pair({ latency: 7, chunkSize: 10, limits: { pingInterval: 1_000 } })
      const { client, server, clock } = both
      server.onMessage((data) => {
        transcript.push([clock.now(), data])
        server.send(`${String(data)}!`)
      })
      client.onMessage((data) => transcript.push([clock.now(), data]))
      for (let i = 0; i < 3; i++) {
        client.send(`message ${i}`)
        await clock.advance(900)
      }
      transcript.push(client.stats, server.stats)
      return transcript
    }
    assert.deepEqual(await run(), await run())
  })

  it('ends at the end of its block, whatever state it is in', async () => {
    const faults: ((both: Pair) => void)[] = [
      () => {},
      (both) => both.cut(),
      (both) => both.stall('client'),
      (both) => both.reset(),
    ]
    for (const fault of faults) {
      const clock = new FakeClock()
      let conns: Conn[] = []
      {
        await using both = pair({ clock, latency: 3 })
        conns = [both.client, both.server]
        both.client.send('x'.repeat(100 * KiB))
        fault(both)
      }
      assert.deepEqual(
        conns.map(({ state }) => state),
        ['closed', 'closed'],
      )
      assert.equal(clock.pending, 0)
    }
  })

  it('tells what a listener throws to the onError of its side', async () => {
    const errors: string[] = []
    await using both = pair({
      onError: (error) => void errors.push(`both: ${String(error)}`),
      server: { onError: (error, conn) => void errors.push(`${conn.request?.url}: ${String(error)}`) },
    })
    for (const conn of [both.client, both.server]) {
      conn.onMessage(() => {
        throw 'oops'
      })
    }
    both.client.send('a')
    both.server.send('b')
    await both.clock.settle()
    assert.deepEqual(errors.sort(), ['/: oops', 'both: oops'])
    assert.equal((await both.server.closed).code, 1011)
  })

  it('prints what a listener throws where nobody takes it, and what onError throws', async () => {
    const print = mock.method(console, 'error', () => {})
    try {
      const onError = (): never => {
        throw new Error('second')
      }
      await using both = pair({ client: { onError } })
      for (const conn of [both.client, both.server]) {
        conn.onMessage(() => {
          throw new Error('first')
        })
      }
      both.client.send('a')
      both.server.send('b')
      await both.clock.settle()
      const printed = print.mock.calls.map(({ arguments: [what, error] }) => `${what} ${error}`)
      assert.deepEqual(printed.sort(), [
        'silverback: a connection handler failed: Error: first',
        'silverback: onError failed: Error: second',
      ])
    } finally {
      print.mock.restore()
    }
  })

  it('has options that are checked, those of its sides too', () => {
    const wrong: [unknown, RegExp][] = [
      [{ latncy: 1 }, /^latncy is not an option; the options are limits, /],
      [{ client: { checkOrigin: () => true } }, /^checkOrigin is not an option/],
      [{ server: { port: 1 } }, /^port is not an option/],
      [{ request: { path: '/' } }, /^path is not an option/],
      [{ request: { url: 'chat' } }, /^request\.url must begin with a slash, not "chat"$/],
      [{ clock: {} }, /^clock must be a FakeClock$/],
      [{ latency: -1 }, /^latency must be milliseconds, not -1$/],
      [{ chunkSize: 0 }, /^chunkSize must be a number of bytes, at least 1, not 0$/],
      [{ capacity: 1.5 }, /^capacity must be .* not 1\.5$/],
      [{ slow: 'wait' }, /^slow must be 'close' or 'skip', not wait$/],
      [{ server: { checkOrigin: true } }, /^checkOrigin must be a function, not boolean$/],
      [{ limits: { maxMessageSize: 0 } }, /^limits\.maxMessageSize/],
      [{ client: { subprotocols: ['a b'] } }, /^subprotocols: "a b" is not a token$/],
      [{ compression: 'yes' }, /compression/],
      [{ server: { headers: { Upgrade: 'h2c' } } }, /^headers: Upgrade is set by the handshake$/],
      [{ server: { headers: { 'bad name': 'x' } } }, /^headers: "bad name" is not a header name$/],
      [{ request: { headers: { 'x-name': 'a\r\nb: c' } } }, /^headers: the value of x-name/],
      [{ request: { headers: { upgrade: 'foo' } } }, /^headers: upgrade is set by the handshake$/],
    ]
    for (const [options, message] of wrong) {
      assert.throws(
        () => pair(options as PairOptions),
        (error) =>
          error instanceof UsageError &&
          error.code === 'ERR_WS_INVALID_OPTION' &&
          message.test(error.message),
        JSON.stringify(options),
      )
    }
    const both = pair({ client: { slow: undefined }, slow: 'skip' })
    assert.throws(() => both.stall('both' as 'client'), /a side is 'client' or 'server', not both/)
    both.client.terminate()
  })
})

describe('the time of a pair', () => {
  it('passes for heartbeats', async () => {
    await using both = pair()
    const { client, server, clock } = both
    await clock.advance(24_000)
    assert.deepEqual([client.stats.rtt, client.stats.bytesReceived], [undefined, 0])
    await clock.advance(2_000)
    // The client's time is over first; its ping is a sign of life for the server, which answers.
    assert.deepEqual([client.stats.rtt, server.stats.rtt], [0, undefined])
    assert.ok(server.stats.bytesReceived > 0 && client.stats.bytesReceived > 0)
    await clock.advance(300_000)
    assert.deepEqual([client.state, server.state], ['open', 'open'])
  })

  it('lets a peer that is cut off be found out', async () => {
    const both = pair({ server: { limits: { pingInterval: 1_000, pongTimeout: 500 } } })
    both.cut()
    await both.clock.advance(1_400)
    assert.equal(both.server.state, 'open')
    await both.clock.advance(500)
    const { error, code, by } = await both.server.closed
    assert.ok(error instanceof TimeoutError)
    assert.deepEqual([error.phase, code, by], ['pong', 1006, 'local'])
    // The client hears nothing of that, until its own time is over.
    assert.equal(both.client.state, 'open')
    await both.clock.advance(45_000)
    assert.equal((await both.client.closed).error?.message, 'no sign of life within 45000 ms')
    assert.equal(both.clock.pending, 0)
  })

  it('lets a side that hangs be found out', async () => {
    await using both = pair()
    await both.clock.advance(60_000)
    both.stall('client')
    await both.clock.advance(46_000)
    assert.ok((await both.server.closed).error instanceof TimeoutError)
    // It does not even know.
    assert.equal(both.client.state, 'open')
    both.resume('client')
    assert.equal((await both.client.closed).code, 1006)
  })

  it('a side that comes back in time has missed nothing', async () => {
    await using both = pair()
    const messages = collect(both.client)
    both.stall('client')
    both.server.send('while you were away')
    await both.clock.advance(40_000)
    assert.deepEqual(messages, [])
    both.resume('client')
    await both.clock.advance(100_000)
    assert.deepEqual(messages, ['text while you were away'])
    assert.deepEqual([both.client.state, both.server.state], ['open', 'open'])
  })

  it('passes for the end of the closing handshake', async () => {
    await using both = pair()
    both.stall('server')
    const end = both.client.close()
    await both.clock.advance(4_900)
    assert.ok(await isPending(end))
    await both.clock.advance(500)
    const { error, code, wasClean } = await end
    assert.ok(error instanceof TimeoutError)
    assert.deepEqual([error.phase, code, wasClean], ['close', 1000, false])
  })

  it('is measured by pings: there and back', async () => {
    await using both = pair({ latency: 20 })
    const ping = both.client.ping()
    await both.clock.advance(39)
    assert.ok(await isPending(ping))
    await both.clock.advance(1)
    assert.equal(await ping, 40)
  })

  it('is one for several pairs with one clock', async () => {
    const clock = new FakeClock()
    await using one = pair({ clock })
    await using other = pair({ clock })
    await clock.advance(26_000)
    assert.deepEqual([one.client.stats.rtt, other.client.stats.rtt], [0, 0])
  })
})

describe('backpressure in a pair', () => {
  it('holds the sender back until the reader takes something', async () => {
    await using both = pair({ limits: { maxSendBuffer: 10 * KiB * KiB } })
    const { client, server, clock } = both
    const kilobyte = 'x'.repeat(KiB)
    let sent = 1
    while (client.send(kilobyte)) {
      sent++
      await clock.settle()
    }
    // What the reader keeps, what lies on the wire, and what the sender may have waiting.
    assert.ok(sent > 64 + 64 && sent < 64 + 64 + 16 + 64 + 16, `${sent} messages`)
    const drained = client.drained()
    assert.ok(await isPending(drained))
    for (let i = 0; i < sent; i++) assert.equal(await server.read(), kilobyte)
    await drained
    assert.equal(client.bufferedAmount, 0)
  })

  it('a stalled side applies the slow policy of the other', async () => {
    const limits = { maxSendBuffer: 100 * KiB }
    await using both = pair({ limits, slow: 'skip', capacity: 10 * KiB })
    both.stall('client')
    for (let i = 0; i < 5; i++) both.server.send('x'.repeat(40 * KiB))
    assert.deepEqual([both.server.state, both.server.stats.sendsDropped], ['open', 2])
    both.resume('client')
    for (let i = 0; i < 3; i++) assert.equal(String(await both.client.read()).length, 40 * KiB)

    await using strict = pair({ limits, slow: 'skip', server: { slow: 'close' } })
    strict.stall('client')
    for (let i = 0; i < 5; i++) strict.server.send('x'.repeat(40 * KiB))
    assert.equal(strict.server.state, 'closing')
    strict.resume('client')
    await assert.rejects(
      (async () => {
        for (;;) await strict.client.read()
      })(),
      (error) => error instanceof CloseError && error.info.code === 1013,
    )
    assert.ok((await strict.server.closed).error instanceof LimitError)
  })

  it('a reset is told to both, once and for all', async () => {
    await using both = pair()
    both.client.send('lost')
    both.reset()
    for (const conn of [both.client, both.server]) {
      const { code, by, error } = await conn.closed
      assert.deepEqual([code, by, (error as NodeJS.ErrnoException).code], [1006, 'network', 'ECONNRESET'])
    }
  })
})
