import assert from 'node:assert/strict'
import { after, describe, it, mock } from 'node:test'
import { assertNoLeaks } from '../../test/leaks.ts'
import { connectionRefused, refusedWith, TestService } from '../../test/support/test-service.ts'
import { isPending } from '../../test/support/until.ts'
import type { Conn } from '../conn/conn.ts'
import { CloseError, HandshakeError, UsageError } from '../session/errors.ts'
import { liveConnections } from './live-connections.ts'
import type { NetworkStatus } from './network-status.ts'
import {
  type Attempt,
  type PerAttempt,
  type ReconnectDialOptions,
  type ReconnectOptions,
  resolveReconnectOptions,
} from './reconnect-options.ts'

after(() => assertNoLeaks())

interface Run {
  /** What happened, in order. */
  readonly log: string[]
  /** Settles when the series has ended. */
  readonly ended: Promise<void>
}

/** Takes every connection as it comes, and reads until its end. */
function follow(
  service: TestService,
  options: ReconnectOptions = {},
  body: (conn: Conn) => Promise<unknown> = async (conn) => {
    for await (const message of conn) void message
  },
): Run {
  const log: string[] = []
  const resolved = resolveReconnectOptions('ws://service', { ...service.options, ...options })
  const ended = (async () => {
    const phase = (name: string) => log.push(`${service.clock.now()} ${name}`)
    for await (const { conn, attempt, previous } of liveConnections('ws://service', resolved, phase)) {
      log.push(`${service.clock.now()} open ${attempt} after ${previous?.code}`)
      await body(conn)
    }
  })()
  ended.catch(() => {})
  return { log, ended }
}

describe('liveConnections', () => {
  it('makes another when one is lost, and waits longer each time that it cannot', async () => {
    await using service = new TestService()
    service.failures.push(connectionRefused(), connectionRefused())
    const { log } = follow(service)
    await service.clock.advance(10_000)
    service.server.terminate()
    await service.clock.advance(1_000)
    service.pairs[1]?.reset()
    await service.clock.advance(10_000)
    assert.deepEqual(log, [
      '0 connecting',
      '0 waiting',
      '250 connecting',
      '250 waiting',
      '750 connecting',
      '750 open 3 after undefined',
      // It was stable: attempts and delays begin anew.
      '10000 waiting',
      '10250 connecting',
      '10250 open 1 after 1006',
      // It was not.
      '11000 waiting',
      '11500 connecting',
      '11500 open 2 after 1006',
    ])
  })

  it('a server that takes connections and drops them is come back to more and more slowly', async () => {
    await using service = new TestService()
    service.handle = (conn) => conn.terminate()
    follow(service)
    await service.clock.advance(20_000)
    assert.deepEqual(service.attempts, [0, 250, 750, 1_750, 3_750, 7_750, 15_750])
  })

  it('honours a restart, and a server that is too busy', async () => {
    await using service = new TestService()
    const { log } = follow(service)
    await service.clock.advance(1_000)
    for (const code of [1012, 1012, 1013]) {
      void service.server.close(code)
      await service.clock.advance(30_000)
    }
    assert.deepEqual(
      log.filter((line) => !line.includes('connecting')),
      [
        '0 open 1 after undefined',
        '1000 waiting',
        '1250 open 2 after 1012',
        '31000 waiting',
        '31250 open 1 after 1012',
        '61000 waiting',
        '83500 open 1 after 1013',
      ],
    )
  })

  it('waits as long as the server asks', async () => {
    await using service = new TestService()
    const date = 'Sun, 22 Nov 2026 08:00:00 GMT'
    const until = 'Sun, 22 Nov 2026 08:00:07 GMT'
    service.failures.push(
      refusedWith(429, { 'retry-after': '3' }),
      refusedWith(503, { date, 'retry-after': until }),
      refusedWith(503),
    )
    follow(service)
    await service.clock.advance(60_000)
    assert.deepEqual(service.attempts, [0, 3_250, 10_750, 11_750])
  })

  for (const [what, failure] of [
    ['a refusal that would come again', refusedWith(401)],
    ['an answer that breaks the protocol', new HandshakeError('ERR_WS_ACCEPT', 'wrong', { status: 101 })],
    ["an error of the application's", new TypeError('x is not a function')],
    ['a mistake in the options', new UsageError('ERR_WS_INVALID_OPTION', 'wrong')],
  ] as const) {
    it(`throws ${what}`, async () => {
      await using service = new TestService()
      service.down = failure
      const retry = mock.fn(() => undefined)
      await assert.rejects(follow(service, { retry }).ended, (error) => error === failure)
      assert.equal(retry.mock.callCount(), failure instanceof UsageError ? 0 : 1)
      assert.equal(service.clock.pending, 0)
    })
  }

  it('throws what was thrown and is no error as one', async () => {
    await using service = new TestService()
    service.before = async () => Promise.reject('a string')
    await assert.rejects(
      follow(service).ended,
      (error) => error instanceof Error && error.cause === 'a string',
    )
  })

  it('throws a CloseError when a connection has ended for good', async () => {
    await using service = new TestService()
    const { ended } = follow(service)
    await service.clock.settle()
    void service.server.close(4500, 'you are banned')
    await assert.rejects(
      ended,
      (error) => error instanceof CloseError && error.info.code === 4500 && error.info.reason !== '',
    )
    await service.clock.settle()
    assert.equal(service.clock.pending, 0)
  })

  it('ends quietly when the server has no more to say, or the application has heard enough', async () => {
    for (const close of [
      (service: TestService) => service.server.close(),
      (service: TestService) => service.pairs[0]?.client.close(),
      (service: TestService) => service.pairs[0]?.client.close(4500, 'enough'),
    ]) {
      await using service = new TestService()
      const { ended } = follow(service)
      await service.clock.settle()
      await close(service)
      await ended
      await service.clock.settle()
      assert.equal(service.clock.pending, 0)
    }
  })

  it('makes another when the application drops one', async () => {
    await using service = new TestService()
    const { log } = follow(service)
    await service.clock.settle()
    service.pairs[0]?.client.terminate()
    await service.clock.advance(1_000)
    void service.pairs[1]?.client.close(4000, 'stale')
    await service.clock.advance(1_000)
    assert.deepEqual(
      log.filter((line) => line.includes('open')),
      ['0 open 1 after undefined', '250 open 2 after 1006', '1500 open 3 after 4000'],
    )
  })

  it('waits for the end of a connection that is left open, and no longer', async () => {
    await using service = new TestService()
    const { log } = follow(service, {}, async (conn) => conn.onMessage(() => {}))
    await service.clock.advance(60_000)
    assert.deepEqual(log, ['0 connecting', '0 open 1 after undefined'])
    service.server.terminate()
    await service.clock.advance(1_000)
    assert.equal(log.at(-1), '60250 open 1 after 1006')
  })

  it('waits for the body, too', async () => {
    await using service = new TestService()
    let release = (): void => {}
    const held = new Promise<void>((resolve) => {
      release = resolve
    })
    const { log } = follow(service, {}, () => held)
    await service.clock.settle()
    service.server.terminate()
    await service.clock.advance(60_000)
    assert.deepEqual(service.attempts, [0])
    release()
    await service.clock.advance(1_000)
    // The connection lived for a moment only, however long the body took.
    assert.equal(log.at(-1), '60250 open 2 after 1006')
  })

  it('closes the connection that is left by a break or an error, and waits for its end', async () => {
    for (const leave of [() => 'break', () => Promise.reject(new Error('on purpose'))]) {
      await using service = new TestService()
      const resolved = resolveReconnectOptions('ws://service', service.options)
      let conn: Conn | undefined
      const ended = (async () => {
        for await (const live of liveConnections('ws://service', resolved)) {
          conn = live.conn
          if ((await leave()) === 'break') break
        }
      })()
      await ended.catch((error: Error) => assert.equal(error.message, 'on purpose'))
      assert.equal(conn?.state, 'closed')
      const { code, wasClean } = await service.server.closed
      assert.deepEqual([code, wasClean], [1000, true])
      assert.equal(service.clock.pending, 0)
    }
  })

  it('gives up after so many attempts in a row', async () => {
    await using service = new TestService()
    const { ended } = follow(service, { maxAttempts: 3 })
    await service.clock.advance(10_000)
    service.down = refusedWith(502)
    service.server.terminate()
    await service.clock.advance(60_000)
    await assert.rejects(ended, (error) => error === service.down)
    // The one that was lost is not one of the three that failed.
    assert.deepEqual(service.attempts, [0, 10_250, 10_750, 11_750])
  })

  it('gives up when it has taken too long', async () => {
    await using service = new TestService()
    service.down = connectionRefused()
    const { ended } = follow(service, { maxElapsed: 2_000 })
    await service.clock.advance(60_000)
    await assert.rejects(ended, (error) => error === service.down)
    assert.deepEqual(service.attempts, [0, 250, 750, 1_750])
  })

  it('tells what it is going to do, whatever the listener throws', async () => {
    await using service = new TestService()
    const failure = connectionRefused()
    service.failures.push(failure)
    const told: unknown[] = []
    const print = mock.method(console, 'error', () => {})
    try {
      const controller = new AbortController()
      const { log, ended } = follow(service, {
        signal: controller.signal,
        onRetry: (error, { attempt, delay }) => {
          told.push([error, attempt, delay])
          throw new Error('on purpose')
        },
      })
      await service.clock.advance(1_000)
      service.server.terminate()
      await service.clock.advance(1_000)
      assert.deepEqual(told[0], [failure, 2, 250])
      const [error, ...next] = told[1] as unknown[]
      assert.ok(error instanceof CloseError)
      assert.deepEqual(next, [3, 500])
      assert.equal(log.at(-1), '1500 open 3 after 1006')
      assert.equal(print.mock.callCount(), 2)
      controller.abort()
      await ended
    } finally {
      print.mock.restore()
    }
  })

  it('lets the application overrule the verdict', async () => {
    await using service = new TestService()
    service.failures.push(refusedWith(401))
    const { log, ended } = follow(service, {
      retry: (error) => (error instanceof HandshakeError ? 10 : error instanceof CloseError && false),
    })
    await service.clock.advance(1_000)
    assert.equal(log.at(-1), '10 open 2 after undefined')
    service.server.terminate()
    await assert.rejects(ended, CloseError)
  })

  it('asks for the URL and the options anew for each attempt', async () => {
    await using service = new TestService()
    const dialled: unknown[] = []
    const seen: unknown[] = []
    const url = async (attempt: Attempt): Promise<string> => {
      seen.push(attempt)
      return `ws://service/${attempt.attempt}`
    }
    const dial = ({ attempt }: Attempt): ReconnectDialOptions => ({ headers: { token: `t${attempt}` } })
    const connect = service.options.connect as NonNullable<ReconnectOptions['connect']>
    const resolved = resolveReconnectOptions(url, {
      ...service.options,
      dial,
      connect: (target, options) => {
        dialled.push([target, options.headers])
        return connect(target, options)
      },
    })
    service.failures.push(connectionRefused())
    const each = liveConnections(url, resolved)
    const first = each.next()
    await service.clock.advance(1_000)
    assert.equal((await first).value?.attempt, 2)
    assert.deepEqual(dialled, [
      ['ws://service/1', { token: 't1' }],
      ['ws://service/2', { token: 't2' }],
    ])
    assert.deepEqual(seen, [
      { attempt: 1, previous: undefined, signal: undefined },
      { attempt: 2, previous: undefined, signal: undefined },
    ])
    await each.return(undefined)
  })
})

describe('liveConnections without a network', () => {
  class FakeNetwork implements NetworkStatus {
    online = false
    readonly listeners: Set<() => void> = new Set<() => void>()
    onOnline(listener: () => void): () => void {
      this.listeners.add(listener)
      return () => this.listeners.delete(listener)
    }
    back(): void {
      this.online = true
      for (const listener of [...this.listeners]) listener()
    }
  }

  it('tries once, and then not before it is there again', async () => {
    await using service = new TestService()
    service.failures.push(connectionRefused())
    const network = new FakeNetwork()
    follow(service, { network })
    await service.clock.advance(60_000)
    assert.deepEqual([service.attempts, service.clock.pending], [[0], 0])
    network.back()
    await service.clock.settle()
    assert.deepEqual([service.attempts, network.listeners.size], [[0, 60_000], 0])
  })

  it('gives up by its bound on time, and by the signal', async () => {
    for (const options of [{ maxElapsed: 1_000 }, { signal: AbortSignal.abort() }]) {
      await using service = new TestService()
      service.down = connectionRefused()
      const network = new FakeNetwork()
      const controller = new AbortController()
      const signal = options.signal === undefined ? undefined : controller.signal
      const { ended } = follow(service, { network, maxElapsed: options.maxElapsed, signal })
      await service.clock.advance(500)
      assert.equal(network.listeners.size, 1)
      controller.abort()
      await service.clock.advance(1_000)
      if (signal === undefined) await assert.rejects(ended, HandshakeError)
      else await ended
      assert.deepEqual([network.listeners.size, service.clock.pending], [0, 0])
    }
  })
})

describe('the signal of liveConnections', () => {
  /** A signal that knows how many listen to it. */
  function countingSignal(): { controller: AbortController; listeners: () => number } {
    const controller = new AbortController()
    const { signal } = controller
    let count = 0
    const add = signal.addEventListener.bind(signal)
    const remove = signal.removeEventListener.bind(signal)
    const active = new Set<unknown>()
    signal.addEventListener = (...args: Parameters<typeof add>) => {
      active.add(args[1])
      count = active.size
      add(...args)
    }
    signal.removeEventListener = (...args: Parameters<typeof remove>) => {
      active.delete(args[1])
      count = active.size
      remove(...args)
    }
    return { controller, listeners: () => count }
  }

  it('aborted before it begins, nothing begins', async () => {
    await using service = new TestService()
    const { ended, log } = follow(service, { signal: AbortSignal.abort() })
    await ended
    assert.deepEqual([log, service.attempts], [[], []])
  })

  it('ends the wait for the next attempt', async () => {
    await using service = new TestService()
    service.down = connectionRefused()
    const { controller, listeners } = countingSignal()
    const { ended } = follow(service, { signal: controller.signal })
    await service.clock.advance(100)
    assert.equal(service.clock.pending, 1)
    controller.abort()
    await ended
    assert.deepEqual([service.clock.pending, listeners(), service.attempts], [0, 0, [0]])
  })

  it('ends the attempt, also one that does not know of it, and closes what comes of that', async () => {
    await using service = new TestService()
    let release = (): void => {}
    service.before = () =>
      new Promise((resolve) => {
        release = resolve
      })
    const { controller, listeners } = countingSignal()
    const { ended } = follow(service, { signal: controller.signal })
    await service.clock.settle()
    controller.abort()
    await ended
    assert.equal(listeners(), 0)
    release()
    await service.clock.settle()
    assert.equal((await service.server.closed).code, 1000)
    assert.equal(service.clock.pending, 0)
  })

  it('an attempt that fails later is nobody’s concern', async () => {
    await using service = new TestService()
    let fail = (): void => {}
    service.before = () =>
      new Promise((_resolve, reject) => {
        fail = () => reject(new Error('too late'))
      })
    const controller = new AbortController()
    const { ended } = follow(service, { signal: controller.signal })
    await service.clock.settle()
    controller.abort()
    await ended
    fail()
    await service.clock.settle()
  })

  it('closes the connection in order: the body reads to the end, and comes back', async () => {
    await using service = new TestService()
    const { controller, listeners } = countingSignal()
    const messages: unknown[] = []
    const { ended } = follow(service, { signal: controller.signal }, async (conn) => {
      for await (const message of conn) messages.push(message)
    })
    await service.clock.settle()
    service.server.send('last')
    await service.clock.settle()
    controller.abort()
    await ended
    assert.deepEqual(messages, ['last'])
    const { code, wasClean } = await service.server.closed
    assert.deepEqual([code, wasClean, listeners(), service.clock.pending], [1000, true, 0, 0])
  })

  it('aborted while the body still has a connection that is lost: there is no other', async () => {
    await using service = new TestService()
    const controller = new AbortController()
    let release = (): void => {}
    const onRetry = mock.fn()
    const { log, ended } = follow(
      service,
      { signal: controller.signal, onRetry },
      () =>
        new Promise<void>((resolve) => {
          release = resolve
        }),
    )
    await service.clock.settle()
    service.server.terminate()
    await service.clock.settle()
    controller.abort()
    release()
    await ended
    assert.deepEqual([log.length, onRetry.mock.callCount()], [2, 0])
  })

  it('closes a connection that the body has left open', async () => {
    await using service = new TestService()
    const { controller, listeners } = countingSignal()
    const { ended } = follow(service, { signal: controller.signal }, async () => {})
    await service.clock.advance(60_000)
    assert.ok(await isPending(ended))
    controller.abort()
    await ended
    assert.deepEqual([(await service.server.closed).code, listeners()], [1000, 0])
  })

  it('aborted while the connection is handed over: it is closed, and nobody sees it', async () => {
    await using service = new TestService()
    const controller = new AbortController()
    service.handle = () => queueMicrotask(() => controller.abort())
    const { log, ended } = follow(service, { signal: controller.signal })
    await ended
    assert.deepEqual(log, ['0 connecting'])
    assert.equal((await service.server.closed).code, 1000)
  })
})

describe('what liveConnections takes', () => {
  it('is a URL as dial takes it, with a mistake told at once', async () => {
    await using service = new TestService()
    const { connect: _connect, ...options } = service.options
    const url: PerAttempt<string> = () => 'ftp://service'
    const each = liveConnections(url, resolveReconnectOptions(url, options))
    await assert.rejects(each.next(), UsageError)
    assert.deepEqual(await each.next(), { done: true, value: undefined })
  })
})
