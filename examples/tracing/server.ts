// Tracing: a span for each connection, by OpenTelemetry.
//
// A span begins when a connection opens and ends with it; what the handler does for one message is a span below it.
// Here the spans are printed; a service sends them to its collector by another exporter.

import { subscribe } from 'node:diagnostics_channel'
import { context, type Span, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api'
import { BasicTracerProvider, ConsoleSpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base'
import { type Conn, type DiagnosticsEvents, serve } from 'silverback'
import { commandLine, giveUp, onStop } from '../program.ts'

const {
  values: { port, host },
} = commandLine('Echoes in upper case, and prints a span for each connection and message.', {
  port: '8080',
  host: '127.0.0.1',
})

const provider = new BasicTracerProvider({
  spanProcessors: [new SimpleSpanProcessor(new ConsoleSpanExporter())],
})
const tracer = provider.getTracer('silverback-example')

const spans = new WeakMap<Conn, Span>()

subscribe('silverback:open', (message) => {
  const { conn } = message as DiagnosticsEvents['silverback:open']
  const span = tracer.startSpan('websocket connection', {
    kind: conn.request === undefined ? SpanKind.CLIENT : SpanKind.SERVER,
    attributes: {
      'network.peer.address': conn.remoteAddress ?? '',
      'url.path': conn.request?.url ?? '',
      'websocket.subprotocol': conn.subprotocol,
      'websocket.extensions': conn.extensions,
    },
  })
  spans.set(conn, span)
})

subscribe('silverback:error', (message) => {
  const { conn, error } = message as DiagnosticsEvents['silverback:error']
  spans.get(conn)?.recordException(error instanceof Error ? error : String(error))
})

subscribe('silverback:close', (message) => {
  const { conn, info } = message as DiagnosticsEvents['silverback:close']
  const span = spans.get(conn)
  span?.setAttributes({
    'websocket.close.code': info.code,
    'websocket.close.reason': info.reason,
    'websocket.close.by': info.by,
    'websocket.messages.received': info.stats.messagesReceived,
    'websocket.messages.sent': info.stats.messagesSent,
  })
  if (info.error !== undefined) span?.setStatus({ code: SpanStatusCode.ERROR, message: info.error.message })
  span?.end()
})

const server = await serve({ port: Number(port), host, path: '/echo' }, async (conn) => {
  const parent = trace.setSpan(context.active(), spans.get(conn) as Span)
  for await (const message of conn) {
    const span = tracer.startSpan('message', { attributes: { 'message.size': message.length } }, parent)
    conn.send(String(message).toUpperCase())
    span.end()
  }
}).catch(giveUp)

onStop(async () => {
  await server.close()
  await provider.shutdown()
})

console.log(`The server is at ${server.url}`)
