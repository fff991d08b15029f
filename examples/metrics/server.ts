// Metrics: what a server does, for Prometheus to collect.
//
// Silverback counts by itself; here `prom-client` reads the counts when it is asked, at /metrics. Nothing is done per
// message. How long connections last is told by a diagnostics channel, when they end.

import { subscribe } from 'node:diagnostics_channel'
import { createServer } from 'node:http'
import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import { type DiagnosticsEvents, serve } from 'silverback'
import { commandLine, giveUp, onStop } from '../program.ts'

const {
  values: { port, host },
} = commandLine('Echoes, and shows at /metrics how much.', { port: '8080', host: '127.0.0.1' })

const registry = new Registry()
const registers = [registry]

const http = createServer(async (request, response) => {
  if (request.url !== '/metrics')
    return void response.writeHead(404).end('There is /metrics, and a WebSocket at /echo.\n')
  response.writeHead(200, { 'Content-Type': registry.contentType })
  response.end(await registry.metrics())
})

const server = await serve(
  { server: http, port: Number(port), host, path: '/echo', compression: true },
  (conn) => {
    conn.onMessage((data) => conn.send(data))
  },
).catch(giveUp)

new Gauge({
  name: 'websocket_connections',
  help: 'Open connections',
  registers,
  collect() {
    this.set(server.stats.open)
  },
})

/** A count that the server keeps: it only ever grows, so it is a counter for Prometheus too. */
function total(name: string, help: string, read: () => number): void {
  new Counter({
    name,
    help,
    registers,
    collect() {
      this.reset()
      this.inc(read())
    },
  })
}

total('websocket_accepted_total', 'Connections made', () => server.stats.accepted)
total('websocket_received_bytes_total', 'Bytes received', () => server.stats.bytesReceived)
total('websocket_sent_bytes_total', 'Bytes sent', () => server.stats.bytesSent)
total('websocket_received_messages_total', 'Messages received', () => server.stats.messagesReceived)
total('websocket_sent_messages_total', 'Messages sent', () => server.stats.messagesSent)
total('websocket_dropped_sends_total', 'Messages not sent', () => server.stats.sendsDropped)

new Counter({
  name: 'websocket_closed_total',
  help: 'Connections ended, by close code',
  labelNames: ['code'],
  registers,
  collect() {
    this.reset()
    for (const [code, count] of Object.entries(server.stats.closed)) {
      // The codes of applications are the peers' to choose: 3000 to 4999 would be 2,000 labels.
      this.inc({ code: Number(code) < 3000 ? code : 'application' }, count)
    }
  },
})

new Counter({
  name: 'websocket_refused_total',
  help: 'Requests refused, by error code',
  labelNames: ['code'],
  registers,
  collect() {
    this.reset()
    for (const [code, count] of Object.entries(server.stats.refused)) this.inc({ code }, count)
  },
})

new Gauge({
  name: 'websocket_compression_ratio',
  help: 'Bytes sent compressed, by what they were before',
  registers,
  collect() {
    const { plainSent, encodedSent } = server.stats.encoding
    this.set(plainSent === 0 ? 1 : encodedSent / plainSent)
  },
})

new Gauge({
  name: 'websocket_send_queue_bytes',
  help: 'Bytes that wait to be sent: of all connections, and of the one with most',
  labelNames: ['of'],
  registers,
  collect() {
    const waiting = [...server.connections].map(({ bufferedAmount }) => bufferedAmount)
    this.set(
      { of: 'all' },
      waiting.reduce((sum, bytes) => sum + bytes, 0),
    )
    this.set(
      { of: 'largest' },
      waiting.reduce((most, bytes) => Math.max(most, bytes), 0),
    )
  },
})

const lifetimes = new Histogram({
  name: 'websocket_connection_seconds',
  help: 'How long connections lasted',
  buckets: [1, 10, 60, 600, 3_600, 36_000],
  registers,
})
const roundTrips = new Histogram({
  name: 'websocket_round_trip_seconds',
  help: 'The last round trip of each connection that ended',
  buckets: [0.001, 0.01, 0.05, 0.1, 0.5, 1, 5],
  registers,
})

const opened = new WeakMap<object, number>()
subscribe('silverback:open', (message) => {
  opened.set((message as DiagnosticsEvents['silverback:open']).conn, performance.now())
})
subscribe('silverback:close', (message) => {
  const { conn, info } = message as DiagnosticsEvents['silverback:close']
  lifetimes.observe((performance.now() - (opened.get(conn) ?? performance.now())) / 1000)
  if (info.stats.rtt !== undefined) roundTrips.observe(info.stats.rtt / 1000)
})

onStop(async () => {
  http.close()
  await server.close()
  http.closeAllConnections()
})

console.log(
  `The echo server is at ${server.url}, its metrics at http://${host}:${new URL(server.url).port}/metrics`,
)
