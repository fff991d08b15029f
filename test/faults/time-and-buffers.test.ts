// Clocks that jump, and peers that take nothing.

import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { dial, LimitError, type LogEntry, reconnect, type ServerConn, serve, TimeoutError } from 'silverback'
import { assertNoLeaks } from '../leaks.ts'
import { FaultProxy } from '../support/fault-proxy.ts'

after(() => assertNoLeaks())

const year = 365 * 24 * 3_600_000
const limits = { pingInterval: 200, pongTimeout: 200, closeTimeout: 200 }

describe('a clock that is set', () => {
  for (const [name, jump] of Object.entries({ forward: year, back: -year })) {
    it(`${name} by a year: nobody is given up, and deadlines are what they were`, async (t) => {
      const real = Date.now
      await using server = await serve({ limits, handshakeTimeout: 5_000 }, (conn) =>
        conn.onMessage((data) => conn.send(data)),
      )
      await using conn = await dial(server.url, { limits })
      t.mock.method(Date, 'now', () => real() + jump)
      // Several pings each way.
      await new Promise((resolve) => setTimeout(resolve, 1_200))
      assert.equal(conn.state, 'open')
      conn.send('x')
      assert.equal(await conn.read(), 'x')
      const rtt = await conn.ping()
      assert.ok(rtt >= 0 && rtt < 5_000, `${rtt} ms`)
      // And a peer that is gone is found.
      await using proxy = await FaultProxy.start(Number(new URL(server.url).port), () => ({
        faults: [{ kind: 'vanish', direction: 'toClient', atByte: 200 }],
      }))
      const lost = await dial(proxy.url, { limits })
      lost.send('y'.repeat(200))
      const { error } = await lost.closed
      assert.ok(error instanceof TimeoutError)
    })

    it(`${name} by a year: reconnect() comes back all the same`, async (t) => {
      const real = Date.now
      let times = 0
      await using server = await serve(
        {},
        (conn) => void (++times === 1 ? conn.terminate() : conn.close(1000)),
      )
      const options = {
        minDelay: 1,
        maxDelay: 50,
        onRetry: () => void t.mock.method(Date, 'now', () => real() + jump),
      }
      for await (const conn of reconnect(server.url, options)) await conn.closed
      assert.equal(times, 2)
    })
  }
})

describe('a peer that takes nothing', () => {
  /** A server whose client's bytes stall for ever, or for a while, once it is connected. */
  async function stalled(
    slow: 'close' | 'skip',
    milliseconds: number | undefined,
    t: { after(end: () => Promise<void>): void },
  ) {
    const entries: LogEntry[] = []
    let accept!: (conn: ServerConn) => void
    const accepted = new Promise<ServerConn>((resolve) => {
      accept = resolve
    })
    const server = await serve(
      {
        slow,
        limits: { maxSendBuffer: 64 * 1024, closeTimeout: slow === 'close' ? 200 : 5_000 },
        log: (entry) => void entries.push(entry),
      },
      (conn) => accept(conn),
    )
    const stall = { kind: 'stall', direction: 'toClient', atByte: 200 } as const
    const proxy = await FaultProxy.start(Number(new URL(server.url).port), () => ({
      faults: [milliseconds === undefined ? stall : { ...stall, for: milliseconds }],
    }))
    const client = await dial(proxy.url, { limits: { maxMessageSize: 2 ** 20 } })
    t.after(async () => {
      client.terminate()
      await client.closed
      await proxy[Symbol.asyncDispose]()
      await server.close({ timeout: 0 })
    })
    return { entries, conn: await accepted, client }
  }
  const block = 'z'.repeat(32 * 1024)

  it('is closed with 1013 once more waits than may, and the log says why', async (t) => {
    const { conn, entries } = await stalled('close', undefined, t)
    // The kernel takes some megabytes; then it is the bound.
    while (conn.state === 'open') {
      conn.send(block)
      await new Promise(setImmediate)
    }
    assert.ok(conn.bufferedAmount <= 64 * 1024 + 2 * block.length, `${conn.bufferedAmount} bytes wait`)
    const { code, by, error, wasClean } = await conn.closed
    assert.deepEqual([code, by, wasClean], [1013, 'local', false])
    assert.ok(error instanceof LimitError)
    const said = entries
      .filter(({ event }) => event === 'close')
      .map(({ level, message }) => `${level} ${message}`)
    assert.match(said.join('\n'), /^warn connection .* 1013 .*bytes wait to be sent/)
  })

  it('is skipped where that is the policy: what is dropped is counted, and it goes on when the peer reads again', async (t) => {
    const { conn, client } = await stalled('skip', 400, t)
    let most = 0
    let number = 0
    while (conn.stats.sendsDropped < 100) {
      conn.send(`${number++} ${block}`)
      most = Math.max(most, conn.bufferedAmount)
      if (number % 20 === 0) await new Promise(setImmediate)
    }
    assert.ok(most <= 64 * 1024 + 2 * block.length, `${most} bytes waited`)
    const closed = (async () => {
      await conn.drained()
      conn.send('last')
      return conn.close()
    })()
    const got: number[] = []
    let last: unknown
    for await (const text of client) {
      last = text
      if (text !== 'last') got.push(Number.parseInt(String(text), 10))
    }
    const { stats, wasClean } = await closed
    assert.equal(last, 'last')
    assert.equal(wasClean, true)
    assert.equal(got.length + 1, stats.messagesSent)
    assert.equal(got.length + stats.sendsDropped, number)
    assert.deepEqual(
      got,
      [...new Set(got)].sort((a, b) => a - b),
    )
  })
})
