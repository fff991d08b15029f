// The examples about what can be seen of a server from outside.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { dial, HandshakeError } from 'silverback'
import { startServer } from './example-process.ts'
import { assertNoLeaks } from './leaks.ts'
import { endPrograms } from './program.ts'

after(async () => {
  await endPrograms()
  await assertNoLeaks()
})

const timeout = 60_000

test('metrics: Prometheus gets what has happened', { timeout }, async () => {
  await using server = await startServer('metrics/server.ts')
  const http = server.origin.replace('ws', 'http')
  const text = 'hello '.repeat(100)
  for (const code of [1000, 4000, 4001]) {
    const conn = await dial(`${server.origin}/echo`, { compression: true })
    conn.send(text)
    assert.equal(await conn.read(), text)
    await conn.close(code)
  }
  await assert.rejects(
    dial(`${server.origin}/echo`, { headers: { origin: 'https://elsewhere.example' } }),
    HandshakeError,
  )
  await using open = await dial(`${server.origin}/echo`)
  await open.ping()
  const response = await fetch(`${http}/metrics`, { headers: { connection: 'close' } })
  assert.match(response.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/)
  const metrics = await response.text()
  const value = (name: string): number => {
    const line = metrics.split('\n').find((other) => other.startsWith(`${name} `))
    return Number(line?.slice(name.length + 1))
  }
  assert.equal(value('websocket_connections'), 1)
  assert.equal(value('websocket_accepted_total'), 4)
  assert.equal(value('websocket_closed_total{code="1000"}'), 1)
  assert.equal(value('websocket_closed_total{code="application"}'), 2)
  assert.equal(value('websocket_refused_total{code="ERR_WS_ORIGIN"}'), 1)
  assert.equal(value('websocket_received_messages_total'), 3)
  assert.equal(value('websocket_sent_messages_total'), 3)
  assert.ok(value('websocket_compression_ratio') < 0.2)
  assert.equal(value('websocket_send_queue_bytes{of="all"}'), 0)
  assert.equal(value('websocket_connection_seconds_count'), 3)
  const again = await (await fetch(`${http}/metrics`, { headers: { connection: 'close' } })).text()
  assert.match(again, /^websocket_accepted_total 4$/m)
  assert.equal((await fetch(http, { headers: { connection: 'close' } })).status, 404)
  const exit = await server.terminate()
  assert.deepEqual([exit.code, exit.stderr], [0, ''])
})

test('tracing: each connection is a span, with its messages below', { timeout }, async () => {
  await using server = await startServer('tracing/server.ts')
  const conn = await dial(`${server.origin}/echo`)
  conn.send('quiet')
  assert.equal(await conn.read(), 'QUIET')
  await conn.close(4000, 'done')
  const { code, stdout, stderr } = await server.terminate()
  assert.deepEqual([code, stderr], [0, ''])
  const spans = stdout.slice(stdout.indexOf('\n') + 1)
  const parent = /traceId: '(\w+)',(?:(?!traceId)[\s\S])*?name: 'message'/.exec(spans)
  assert.ok(parent !== null, spans)
  assert.match(
    spans,
    new RegExp(`traceId: '${parent[1]}',(?:(?!traceId)[\\s\\S])*?name: 'websocket connection'`),
  )
  assert.match(
    spans,
    /'websocket\.close\.code': 4000,\n\s+'websocket\.close\.reason': 'done',\n\s+'websocket\.close\.by': 'remote'/,
  )
})
