import assert from 'node:assert/strict'
import { after, describe, it, mock } from 'node:test'
import { assertNoLeaks } from '../../test/leaks.ts'
import { connectionRefused, refusedWith, TestService } from '../../test/support/test-service.ts'
import { isPending } from '../../test/support/until.ts'
import type { Conn } from '../conn/conn.ts'
import type { ServerConn } from '../server/server-conn.ts'
import { CloseError, HandshakeError, UsageError } from '../session/errors.ts'
import { type Pair, pair } from '../testing/pair.ts'
import { dial } from './dialer.ts'
import { type ReconnectingConn, type ReconnectingOptions, reconnecting } from './reconnecting-conn.ts'

after(() => assertNoLeaks())

interface Session extends AsyncDisposable {
  readonly service: TestService
  readonly session: ReconnectingConn
  /** What came to the server, each connection's messages behind its number. */
  readonly heard: string[]
  readonly dropped: string[]
  readonly states: string[]
}

/** A session with a service that is up, or not yet. */
function start(options: ReconnectingOptions = {}, service: TestService = new TestService()): Session {
  const heard: string[] = []
  const dropped: string[] = []
  const states: string[] = []
  service.handle = (conn: ServerConn) => {
    const number = service.pairs.length
    conn.onMessage((data) => heard.push(`${number} ${String(data)}`))
  }
  const session = reconnecting('ws://service', {
    ...service.options,
    onState: (state) => states.push(state),
    onDrop: (data, reason) => dropped.push(`${String(data)} ${reason}`),
    ...options,
  })
  return {
    service,
    session,
    heard,
    dropped,
    states,
    async [Symbol.asyncDispose]() {
      const closed = session.close()
      // A peer that hangs is not waited for: no time passes here.
      for (const { client, server } of service.pairs) {
        client.terminate()
        server.terminate()
      }
      await closed
    },
  }
}

describe('reconnecting: sending', () => {
  it('keeps what is sent without a connection, and sends it on the next, in order', async () => {
    await using all = start()
    const { service, session, heard } = all
    assert.deepEqual([session.send('a'), session.sendJson({ n: 1 })], [true, true])
    assert.deepEqual([session.state, session.queued], ['connecting', { messages: 2, bytes: 8 }])
    await service.clock.settle()
    assert.deepEqual([session.state, session.queued], ['open', { messages: 0, bytes: 0 }])
    session.send('b')
    await service.clock.settle()
    service.server.terminate()
    await service.clock.settle()
    assert.equal(session.state, 'waiting')
    assert.deepEqual([session.send('c'), session.send('d')], [true, true])
    await service.clock.advance(1_000)
    session.send('e')
    await service.clock.settle()
    assert.deepEqual(heard, ['1 a', '1 {"n":1}', '1 b', '2 c', '2 d', '2 e'])
  })

  it('has a bound on what waits, and says which messages are not taken', async () => {
    await using all = start({ outbox: { maxMessages: 2 } })
    const { service, session, heard, dropped } = all
    assert.deepEqual(
      ['a', 'b', 'c'].map((text) => session.send(text)),
      [true, true, false],
    )
    await service.clock.settle()
    assert.deepEqual([heard, dropped], [['1 a', '1 b'], []])
  })

  it('reports what it drops', async () => {
    await using all = start({ outbox: { maxMessages: 1, overflow: 'dropOldest' } })
    const { service, session, heard, dropped } = all
    for (const text of ['a', 'b', 'c']) assert.equal(session.send(text), true)
    await service.clock.settle()
    assert.deepEqual([heard, dropped], [['1 c'], ['a overflow', 'b overflow']])
  })

  it('reports a newest one that is dropped, and says so to its sender too', async () => {
    await using all = start({ outbox: { maxMessages: 1, overflow: 'dropNewest' } })
    const { service, session, heard, dropped } = all
    assert.deepEqual(
      ['a', 'b'].map((text) => session.send(text)),
      [true, false],
    )
    await service.clock.settle()
    assert.deepEqual([heard, dropped], [['1 a'], ['b overflow']])
  })

  it('lets onDrop send on the same session: it is refused where there is no room, or all is over', async () => {
    const answers: boolean[] = []
    const service = new TestService()
    service.down = refusedWith(403)
    const dropped: string[] = []
    await using all = start(
      {
        outbox: { maxMessages: 2, overflow: 'dropOldest' },
        onDrop: (data, reason) => {
          dropped.push(`${String(data)} ${reason}`)
          answers.push(all.session.send('one is lost'))
        },
      },
      service,
    )
    for (const text of ['a', 'b', 'c']) assert.equal(all.session.send(text), true)
    assert.deepEqual([dropped, answers], [['a overflow'], [false]])
    assert.ok((await all.session.closed).error instanceof HandshakeError)
    assert.deepEqual(dropped, ['a overflow', 'b closed', 'c closed'])
    assert.deepEqual([answers, all.session.queued], [[false, false, false], { messages: 0, bytes: 0 }])
  })

  it('refuses what cannot be sent at once, and not when its turn comes', async () => {
    await using all = start()
    assert.throws(() => all.session.send({} as string), UsageError)
    assert.throws(() => all.session.send(new Uint8Array([0xff]), 'text'), UsageError)
    assert.throws(() => all.session.sendJson(undefined), UsageError)
    assert.equal(all.session.queued.messages, 0)
  })

  it('hands a slow connection no more than it has room for: the rest waits, and is not lost with it', async () => {
    await using all = start()
    const { service, session, heard } = all
    await service.clock.settle()
    service.pairs[0]?.stall('server')
    const filler = 'x'.repeat(1_000)
    const texts = Array.from({ length: 300 }, (_, i) => `${i} ${filler}`)
    for (const text of texts) {
      assert.equal(session.send(text), true)
      await service.clock.settle()
    }
    // The wire, and what the connection takes in.
    const handed = 300 - session.queued.messages
    assert.ok(handed > 64 && handed < 140, `${handed}`)
    service.pairs[0]?.cut()
    await service.clock.advance(60_000)
    assert.deepEqual(
      heard.map((line) => line.replace(` ${filler}`, '')),
      Array.from({ length: 300 - handed }, (_, i) => `2 ${handed + i}`),
    )
    assert.equal(session.state, 'open')
  })

  it('hands a new connection no more than it has room for, either', async () => {
    await using all = start()
    const { service, session, heard } = all
    for (let i = 0; i < 300; i++) session.send(`${i} ${'x'.repeat(1_000)}`)
    const { handle } = service
    service.handle = (conn) => {
      handle(conn)
      if (service.pairs.length === 1) service.pairs[0]?.stall('server')
    }
    await service.clock.settle()
    assert.ok(session.queued.messages > 150, `${session.queued.messages}`)
    service.pairs[0]?.cut()
    await service.clock.advance(60_000)
    assert.equal(heard.at(-1)?.slice(0, 5), '2 299')
  })

  it('what is sent while it becomes open goes behind what waits', async () => {
    const service = new TestService()
    await using all = start(
      { onState: (state) => void (state === 'open' && all.session.send('from onState')) },
      service,
    )
    all.session.send('a')
    all.session.send('b')
    await service.clock.settle()
    assert.deepEqual(all.heard, ['1 a', '1 b', '1 from onState'])
  })

  it('goes on with a slow connection when it has room again, in order', async () => {
    await using all = start({ outbox: { maxMessages: 10_000 } })
    const { service, session, heard } = all
    await service.clock.settle()
    service.pairs[0]?.stall('server')
    for (let i = 0; i < 200; i++) session.send(`${i} ${'x'.repeat(1_000)}`)
    await service.clock.settle()
    const drained = session.drained()
    assert.ok(await isPending(drained))
    service.pairs[0]?.resume('server')
    await drained
    session.send('last')
    await service.clock.settle()
    assert.deepEqual(
      heard.map((line) => line.split(' ')[1]),
      [...Array.from({ length: 200 }, (_, i) => `${i}`), 'last'],
    )
  })

  it('never meets the slow policy of a connection, whose bound may be below its mark', async () => {
    await using service = new TestService()
    const { clock } = service
    const pairs: Pair[] = []
    const heard: unknown[] = []
    const connect = async (): Promise<Conn> => {
      const both = pair({ clock, slow: 'skip', limits: { maxSendBuffer: 2_000 } })
      pairs.push(both)
      both.server.onMessage((data) => heard.push(data))
      return both.client
    }
    await using session = reconnecting('ws://service', { ...service.options, connect })
    await clock.settle()
    for (let i = 0; i < 100; i++) session.send(`${i} ${'x'.repeat(500)}`)
    await clock.settle()
    assert.equal(heard.length, 100)
    assert.equal(pairs[0]?.client.stats.sendsDropped, 0)
  })

  it('reports a message with which an extension fails when nobody can be told any more', async () => {
    await using service = new TestService()
    const { clock } = service
    const extension = {
      name: 'x-fails',
      rsv: 0x20,
      encode: (payload: Uint8Array) => {
        if (payload.length === 3) throw new Error('no message of three bytes')
        return payload
      },
      decode: (payload: Uint8Array) => payload,
    }
    const factory = {
      name: 'x-fails',
      offers: () => [new Map()],
      accept: () => extension,
      negotiate: () => ({ params: new Map(), extension }),
    }
    const heard: unknown[] = []
    const connect = async (): Promise<Conn> => {
      const { client, server } = pair({ clock, extensions: [factory] })
      server.onMessage((data) => heard.push(data))
      return client
    }
    const dropped: unknown[] = []
    await using session = reconnecting('ws://service', {
      ...service.options,
      connect,
      onDrop: (data, reason) => dropped.push([data, reason]),
    })
    for (const text of ['a', 'abc', 'b']) session.send(text)
    await clock.settle()
    assert.throws(() => session.send('abc'), /three bytes/)
    assert.deepEqual([heard, dropped], [['a', 'b'], [['abc', 'failed']]])
  })
})

describe('reconnecting: drained', () => {
  it('lets a producer go on without losing a message', async () => {
    await using all = start({ outbox: { maxMessages: 3 } })
    const { service, session, heard } = all
    service.failures.push(connectionRefused())
    const produced = (async () => {
      for (let i = 0; i < 10; i++) while (!session.send(`${i}`)) await session.drained()
    })()
    await service.clock.settle()
    assert.ok(await isPending(produced))
    await service.clock.advance(1_000)
    await produced
    await service.clock.settle()
    assert.deepEqual(
      heard,
      Array.from({ length: 10 }, (_, i) => `1 ${i}`),
    )
  })

  it('waits for a connection, for a message that the outbox will never hold, too', async () => {
    await using all = start({ outbox: { maxBytes: 10 } })
    assert.equal(all.session.send('more than ten'), false)
    await all.session.drained()
    assert.equal(all.session.send('more than ten'), true)
    await all.session.drained()
  })

  it('rejects when all is over, with the reason', async () => {
    await using all = start()
    const { service, session } = all
    service.failures.push(refusedWith(403))
    await assert.rejects(session.drained(), HandshakeError)
    await assert.rejects(session.drained(), HandshakeError)
    assert.equal(session.send('too late'), false)

    await using other = start()
    void other.session.close()
    await assert.rejects(
      other.session.drained(),
      (error) => error instanceof CloseError && error.by === 'local',
    )

    await using third = start()
    await third.service.clock.settle()
    void third.service.server.close(1000, 'done')
    await third.session.closed
    await assert.rejects(
      third.session.drained(),
      (error) => error instanceof CloseError && error.info.reason === 'done',
    )
  })
})

describe('reconnecting: onConnect', () => {
  it('comes before what waits, and knows how the last connection ended', async () => {
    const details: unknown[] = []
    await using all = start({
      onConnect: async (conn, { attempt, previous }) => {
        details.push([attempt, previous?.code])
        conn.send(`hello ${attempt}`)
        await null
        conn.send('still first')
      },
    })
    const { service, session, heard } = all
    session.send('a')
    await service.clock.settle()
    void service.server.close(1012)
    await service.clock.settle()
    session.send('b')
    await service.clock.advance(1_000)
    assert.deepEqual(heard, ['1 hello 1', '1 still first', '1 a', '2 hello 2', '2 still first', '2 b'])
    assert.deepEqual(details, [
      [1, undefined],
      [2, 1012],
    ])
  })

  it('may read an answer, and what comes behind it goes to the session', async () => {
    const service = new TestService()
    const tokens: unknown[] = []
    await using all = start(
      {
        onConnect: async (conn) => {
          tokens.push(await conn.read())
        },
      },
      service,
    )
    assert.equal(all.session.state, 'connecting')
    await service.clock.settle()
    assert.equal(all.session.state, 'connecting')
    service.server.send('token')
    service.server.send('first')
    const { value } = await all.session[Symbol.asyncIterator]().next()
    assert.deepEqual([tokens, value, all.session.state], [['token'], 'first', 'open'])
  })

  it('that fails ends all, and says so', async () => {
    const failure = new Error('wrong password')
    await using all = start({ onConnect: () => Promise.reject(failure) })
    all.session.send('never sent')
    const { error, last } = await all.session.closed
    assert.deepEqual([error, last?.code, last?.by], [failure, 1011, 'local'])
    assert.equal((await all.service.server.closed).code, 1011)
    assert.deepEqual([all.dropped, all.heard], [['never sent closed'], []])
  })

  for (const end of ['close', 'terminate'] as const) {
    it(`that fails and ends the connection itself, by ${end}, ends all, and says so`, async () => {
      const failure = new Error('wrong password')
      await using all = start({
        onConnect: async (conn) => {
          void conn[end]()
          throw failure
        },
      })
      const { error, last } = await all.session.closed
      assert.deepEqual([error, last?.by, all.service.attempts], [failure, 'local', [0]])
    })
  }

  it('that closes, and then finds that it cannot read any more, has not failed', async () => {
    let calls = 0
    await using all = start({
      onConnect: async (conn) => {
        if (calls++ > 0) return
        void conn.close(4000)
        await conn.read()
      },
    })
    await all.service.clock.advance(1_000)
    assert.deepEqual([calls, all.session.state], [2, 'open'])
  })

  it('that fails as the session is closed has nothing more to say', async () => {
    await using all = start({
      onConnect: async (conn) => {
        void all.session.close()
        await conn.closed
        throw new Error('too late')
      },
    })
    assert.equal((await all.session.closed).error, undefined)
  })

  it('whose connection ends meanwhile is over with it, whether it notices or not', async () => {
    let calls = 0
    await using all = start({
      onConnect: async (conn) => {
        calls++
        if (calls === 1) await conn.read()
        if (calls === 2) await new Promise(() => {})
      },
    })
    const { service, session, heard } = all
    session.send('a')
    for (let i = 0; i < 2; i++) {
      await service.clock.settle()
      service.server.terminate()
      await service.clock.advance(1_000)
    }
    assert.deepEqual([calls, session.state, heard], [3, 'open', ['3 a']])
  })

  it('does not hold up a close, whatever it waits for', async () => {
    await using all = start({ onConnect: () => new Promise(() => {}) })
    await all.service.clock.settle()
    const { error, last } = await all.session.close()
    assert.deepEqual([error, last?.code, last?.wasClean], [undefined, 1000, true])
    assert.deepEqual(all.states, ['closing', 'closed'])
  })

  it('may ask for another connection', async () => {
    await using all = start({
      onConnect: (conn, { attempt }) => {
        if (attempt === 1) void conn.close(4000, 'not this one')
      },
    })
    await all.service.clock.advance(1_000)
    assert.deepEqual([all.service.attempts, all.session.state], [[0, 250], 'open'])
  })
})

describe('reconnecting: receiving', () => {
  it('yields the messages of all connections, those of the last first', async () => {
    await using all = start()
    const { service, session } = all
    await service.clock.settle()
    service.server.send('a')
    service.server.send(new Uint8Array([1]))
    void service.server.close(1001)
    await service.clock.advance(1_000)
    service.server.send('b')
    await service.clock.settle()
    const messages: unknown[] = []
    for await (const { type, data } of session.messages()) {
      messages.push([type, data])
      if (data === 'b') break
    }
    assert.deepEqual(messages, [
      ['text', 'a'],
      ['binary', Buffer.from([1])],
      ['text', 'b'],
    ])
    // Who leaves the loop leaves the rest to the next.
    service.server.send('c')
    for await (const data of session) {
      assert.equal(data, 'c')
      break
    }
    assert.equal(session.state, 'open')
  })

  it('ends quietly, or with the error that it gave up with, again and again', async () => {
    await using all = start()
    await all.service.clock.settle()
    all.service.server.send('last')
    void all.service.server.close(1000)
    const messages: unknown[] = []
    for await (const data of all.session) messages.push(data)
    for await (const data of all.session) messages.push(data)
    assert.deepEqual(messages, ['last'])
    const { error, last } = await all.session.closed
    assert.deepEqual([error, last?.code], [undefined, 1000])

    await using banned = start()
    await banned.service.clock.settle()
    void banned.service.server.close(4500)
    for (let i = 0; i < 2; i++) {
      await assert.rejects(
        banned.session[Symbol.asyncIterator]().next(),
        (reason) => reason instanceof CloseError,
      )
    }
    const end = await banned.session.closed
    assert.deepEqual([end.error instanceof CloseError, end.last?.code], [true, 4500])
  })

  it('holds the peer back, and then the next connection, when nobody takes messages', async () => {
    await using all = start()
    const { service, session } = all
    await service.clock.settle()
    for (let i = 0; i < 128; i++) service.server.send(`${i}`)
    await service.clock.settle()
    void service.server.close(1001)
    await service.clock.advance(60_000)
    assert.deepEqual([service.attempts, session.state], [[0], 'waiting'])
    const messages: unknown[] = []
    const reading = (async () => {
      for await (const data of session) messages.push(data)
    })()
    await service.clock.advance(1_000)
    assert.deepEqual([service.attempts.length, messages.length], [2, 128])
    assert.deepEqual(
      messages,
      Array.from({ length: 128 }, (_, i) => `${i}`),
    )
    void session.close()
    await reading
  })

  it('can be closed with messages that nobody takes', async () => {
    await using all = start()
    const { service, session } = all
    await service.clock.settle()
    for (let i = 0; i < 1_000; i++) service.server.send(`${i}`)
    await service.clock.settle()
    const { error, last } = await session.close()
    assert.deepEqual([error, last?.wasClean], [undefined, true])
    const messages: unknown[] = []
    for await (const data of session) messages.push(data)
    // What there was room for, without a gap.
    assert.deepEqual(
      messages,
      Array.from({ length: messages.length }, (_, i) => `${i}`),
    )
    assert.ok(messages.length >= 64, `${messages.length}`)
  })

  it('gives all messages to a listener, where there is one', async () => {
    const messages: unknown[] = []
    await using all = start({ onMessage: (data, type) => messages.push([type, data]) })
    const { service, session } = all
    await service.clock.settle()
    service.server.send('a')
    await service.clock.settle()
    service.server.terminate()
    await service.clock.advance(1_000)
    service.server.send('b')
    await service.clock.settle()
    assert.deepEqual(messages, [
      ['text', 'a'],
      ['text', 'b'],
    ])
    for (const iterate of [
      () => session[Symbol.asyncIterator](),
      () => session.messages()[Symbol.asyncIterator](),
    ])
      assert.throws(
        iterate,
        (error) => error instanceof UsageError && error.code === 'ERR_WS_CONCURRENT_READ',
      )
  })

  it('ends with what that listener throws', async () => {
    const print = mock.method(console, 'error', () => {})
    try {
      const failure = new Error('on purpose')
      await using all = start({
        onMessage: () => {
          throw failure
        },
      })
      await all.service.clock.settle()
      all.service.server.send('a')
      const { error } = await all.session.closed
      assert.ok(error instanceof CloseError && error.cause === failure)
      assert.equal((await all.service.server.closed).code, 1011)
    } finally {
      print.mock.restore()
    }
  })

  it('a listener that onConnect has put there is in the way', async () => {
    await using all = start({ onConnect: (conn) => conn.onMessage(() => {}) })
    const { error } = await all.session.closed
    assert.ok(error instanceof UsageError && error.code === 'ERR_WS_CONCURRENT_READ')
  })
})

describe('reconnecting: state and end', () => {
  it('tells its state', async () => {
    await using all = start()
    const { service, session, states } = all
    service.failures.push(connectionRefused())
    assert.deepEqual([session.state, session.conn], ['connecting', undefined])
    await service.clock.advance(1_000)
    assert.equal(session.conn, service.pairs[0]?.client)
    service.server.terminate()
    await service.clock.advance(1_000)
    const closed = session.close()
    assert.deepEqual([session.state, session.conn], ['closing', undefined])
    assert.equal(session.close(), closed)
    await closed
    assert.equal(session.state, 'closed')
    assert.deepEqual(states, [
      'waiting',
      'connecting',
      'open',
      'waiting',
      'connecting',
      'open',
      'closing',
      'closed',
    ])
  })

  it('close sends what waits where there is a connection, as far as there is room', async () => {
    await using all = start()
    const { service, session, heard, dropped } = all
    await service.clock.settle()
    service.pairs[0]?.stall('server')
    for (let i = 0; i < 200; i++) session.send(`${i} ${'x'.repeat(1_000)}`)
    assert.ok(session.queued.messages > 100)
    const closed = session.close()
    assert.equal(session.send('too late'), false)
    service.pairs[0]?.resume('server')
    const { error, last } = await closed
    assert.deepEqual([error, last?.code, last?.wasClean], [undefined, 1000, true])
    assert.deepEqual([heard.length, dropped], [200, []])
  })

  it('close drops and reports what it cannot send', async () => {
    for (const phase of ['connecting', 'waiting']) {
      await using all = start()
      const { service, session, dropped } = all
      if (phase === 'waiting') {
        service.down = connectionRefused()
        await service.clock.advance(100)
      }
      session.send('a')
      session.send('b')
      assert.equal(session.state, phase)
      const { error, last } = await session.close()
      assert.deepEqual([error, last, dropped], [undefined, undefined, ['a closed', 'b closed']])
      await service.clock.settle()
      assert.equal(service.clock.pending, 0)
    }
  })

  it('close is as much as the connection holds', async () => {
    await using service = new TestService()
    const { clock } = service
    const connect = async (): Promise<Conn> => pair({ clock, limits: { maxSendBuffer: 10_000 } }).client
    const dropped: unknown[] = []
    await using session = reconnecting('ws://service', {
      ...service.options,
      connect,
      onDrop: (data) => dropped.push(data),
    })
    await clock.settle()
    for (let i = 0; i < 20; i++) session.send('x'.repeat(1_000))
    void session.close()
    assert.equal(dropped.length, 10)
    await clock.advance(60_000)
  })

  it('the signal is a close', async () => {
    const controller = new AbortController()
    await using all = start({ signal: controller.signal })
    await all.service.clock.settle()
    all.session.send('a')
    controller.abort()
    const { error, last } = await all.session.closed
    await all.service.clock.settle()
    assert.deepEqual([error, last?.code, all.heard], [undefined, 1000, ['1 a']])

    const { signal } = new AbortController()
    const listeners = new Set<unknown>()
    signal.addEventListener = (_type: string, listener: unknown) => void listeners.add(listener)
    signal.removeEventListener = (_type: string, listener: unknown) => void listeners.delete(listener)
    await using other = start({ signal })
    assert.equal(listeners.size, 1)
    await other.session.close()
    assert.equal(listeners.size, 0)

    await using none = start({ signal: AbortSignal.abort() })
    assert.deepEqual(await none.session.closed, { error: undefined, last: undefined })
    assert.deepEqual(none.service.attempts, [])
  })

  it('goes on whatever its listeners throw', async () => {
    const print = mock.method(console, 'error', () => {})
    try {
      const fail = (): never => {
        throw new Error('on purpose')
      }
      await using all = start({
        onState: fail,
        onDrop: fail,
        outbox: { maxMessages: 0, overflow: 'dropNewest' },
      })
      assert.equal(all.session.send('a'), false)
      await all.service.clock.settle()
      assert.equal(all.session.state, 'open')
      const printed = print.mock.calls.map(({ arguments: [what] }) => what)
      assert.deepEqual(printed, ['silverback: onDrop failed:', 'silverback: onState failed:'])
      await all.session.close()
    } finally {
      print.mock.restore()
    }
  })

  it('goes on whatever its listeners reject with', async () => {
    const print = mock.method(console, 'error', () => {})
    try {
      const fail = (): Promise<never> => Promise.reject(new Error('on purpose'))
      await using all = start({
        onState: fail,
        onDrop: fail,
        outbox: { maxMessages: 0, overflow: 'dropNewest' },
      })
      all.session.send('a')
      await all.service.clock.settle()
      assert.equal(all.session.state, 'open')
      assert.equal(print.mock.callCount(), 2)
      await all.session.close()
      await all.service.clock.settle()
    } finally {
      print.mock.restore()
    }
  })

  it('ends with what is thrown and is no error', async () => {
    await using all = start({ onConnect: () => Promise.reject('a string') })
    const { error } = await all.session.closed
    assert.ok(error instanceof Error && error.cause === 'a string')
  })

  it('has options that are checked at once', () => {
    const wrong: [unknown, RegExp][] = [
      [{ outboxes: {} }, /^outboxes is not an option; the options are signal, .*outbox/],
      [{ outbox: { size: 1 } }, /^size is not an option/],
      [{ outbox: { maxMessages: '1' } }, /^outbox\.maxMessages/],
      [{ onConnect: {} }, /^onConnect must be a function, not object$/],
      [{ onState: 1 }, /^onState must be a function/],
      [{ minDelay: -1 }, /^minDelay/],
      [{ connect: 'x' }, /^connect/],
    ]
    for (const [options, message] of wrong) {
      assert.throws(
        () => reconnecting('ws://localhost', options as ReconnectingOptions),
        (error) => error instanceof UsageError && message.test(error.message),
      )
    }
    assert.throws(() => reconnecting('http://localhost', { connect: dial }), UsageError)
  })
})
