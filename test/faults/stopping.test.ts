// Servers that stop and come back while everybody is busy. With 5,000 connections: npm run faults -- --stop 5000

import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { type Conn, dial, serve } from 'silverback'
import { assertNoLeaks } from '../leaks.ts'
import { FaultProxy } from '../support/fault-proxy.ts'
import { until } from '../support/until.ts'
import { assertSpread, minDelay, restart } from './restart.ts'
import { stopUnderLoad } from './stop-under-load.ts'

after(() => assertNoLeaks())

describe('server.close() with busy connections', () => {
  it('loses no answer that was given, and ends all 500 in order and in time', async (t) => {
    const { answers, took } = await stopUnderLoad(500)
    assert.ok(answers >= 500 * 4)
    t.diagnostic(`${answers} answers, closed in ${took.toFixed(0)} ms`)
  })

  it('ends at once by its signal, the second Ctrl-C, whoever has not answered yet', async () => {
    await using server = await serve({ limits: { closeTimeout: 60_000 } }, (conn) =>
      conn.onMessage((data) => conn.send(data)),
    )
    // Half of them do not answer any more, and nobody tells.
    await using proxy = await FaultProxy.start(Number(new URL(server.url).port), (index) =>
      index % 2 === 0 ? {} : { faults: [{ kind: 'vanish', direction: 'toServer', atByte: 400 }] },
    )
    const clients: Conn[] = []
    for (let i = 0; i < 20; i++) {
      const conn = await dial(proxy.url)
      conn.onMessage(() => {})
      conn.send('z'.repeat(400))
      clients.push(conn)
    }
    const served = [...server.connections]
    const controller = new AbortController()
    let over = false
    const closing = server.close({ timeout: 60_000, signal: controller.signal }).then(() => {
      over = true
    })
    await until(() => server.connections.size === 10, 'those that answer')
    assert.equal(over, false)
    controller.abort()
    await closing
    const infos = await Promise.all(served.map(({ closed }) => closed))
    assert.equal(infos.filter(({ wasClean }) => wasClean).length, 10)
    assert.ok(infos.every(({ code, by }) => code === 1001 && by === 'local'))
    for (const conn of clients) conn.terminate()
    await Promise.all(clients.map(({ closed }) => closed))
  })
})

describe('a restart, with clients that come back by reconnect()', () => {
  for (const how of ['close', 'crash'] as const) {
    it(`all are back, spread over the time that there is, and not in waves: ${how}`, async (t) => {
      const { back, delays } = await restart(200, how)
      assert.equal(back.length, 200)
      assert.equal(delays.length, 200)
      assertSpread(delays, minDelay)
      t.diagnostic(`the last of 200 is back after ${Math.max(...back).toFixed(0)} ms`)
    })
  }

  it('who never comes, or never asks, is not waited for', async () => {
    await assert.rejects(restart(3, 'close', 0), /^Error: \d of 3 clients are there after 0 ms$/)
    await assert.rejects(stopUnderLoad(3, 60_000, 0), /^Error: \d of 3 clients are busy after 0 ms$/)
  })

  it('waves would be seen', () => {
    assert.throws(
      () =>
        assertSpread(
          [...Array(100).keys()].map((i) => (i % 10) + 500),
          1_000,
        ),
      /in waves/,
    )
    assertSpread(
      [...Array(100).keys()].map((i) => i * 10),
      1_000,
    )
  })
})
