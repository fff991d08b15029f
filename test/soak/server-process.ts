// The server of a soak: it echoes, streams back, and broadcasts to everybody.

import { open } from 'node:fs/promises'
import {
  broadcast,
  CloseError,
  type LogEntry,
  ProtocolError,
  type Server,
  type ServerConn,
  serve,
} from 'silverback'
import { gauge, type Reading } from './gauge.ts'
import { type Order, report } from './messages.ts'
import type { Plant } from './options.ts'

const hoard: unknown[] = []

async function plantOne(plant: Plant | undefined): Promise<void> {
  if (plant === 'memory') hoard.push(Array.from({ length: 10_000 }, (_, i) => ({ i })))
  if (plant === 'buffers') hoard.push(Buffer.alloc(512 * 1024, 1))
  if (plant === 'files') hoard.push(await open('/dev/null'))
}

async function handle(conn: ServerConn, plant: Plant | undefined): Promise<void> {
  void conn.closed.then(() => plantOne(plant))
  if (conn.request.url.startsWith('/stream')) {
    for await (const message of conn.streams()) {
      const writer = conn.writeStream(message.type)
      for await (const chunk of message) await writer.write(chunk)
      // A stream without an end: its client waits.
      if (plant !== 'silence') await writer.close()
    }
    return
  }
  for await (const { type, data } of conn.messages({ text: 'bytes' })) {
    // One that does not read is not waited for by others; its own echo is.
    if (!conn.send(data, type)) await conn.drained()
  }
}

function unexpected({ level, event, info, error, message }: LogEntry): string | undefined {
  if (level === 'error') return message
  if (error instanceof ProtocolError) return message
  if (event === 'close' && (info?.code === 1002 || info?.code === 1007)) return message
  return event === 'refuse' ? message : undefined
}

async function run(plant: Plant | undefined): Promise<void> {
  let server: Server | undefined
  let broadcasts = 0
  let skipped = 0
  const measure = gauge(() => server?.connections.size ?? 0)
  const log = (entry: LogEntry): void => {
    const what = unexpected(entry)
    if (what !== undefined) report({ report: 'unexpected', what })
  }
  const onError = (error: unknown): void => {
    if (!(error instanceof CloseError)) report({ report: 'unexpected', what: `handler: ${String(error)}` })
  }
  server = await serve(
    {
      compression: true,
      log,
      onError,
      slow: 'skip',
      limits: { maxSendBuffer: 64 * 1024, maxStreamSize: 2 ** 30, pingInterval: 5_000, pongTimeout: 5_000 },
    },
    (conn) => handle(conn, plant),
  )
  const { connections } = server
  const timer = setInterval(() => {
    broadcasts++
    // Who does not read has echoes waiting up to the bound, and does not get them.
    skipped += broadcast(connections, `news ${broadcasts} ${'of the day, '.repeat(80)}`).skipped
    if (plant === 'errors' && broadcasts % 10 === 0) report({ report: 'unexpected', what: 'planted' })
  }, 1_000)
  process.on('message', async (order: Order) => {
    if (order.order === 'measure') {
      const reading: Reading = measure()
      const { accepted, messagesReceived = 0, messagesSent = 0 } = server?.stats ?? { accepted: 0 }
      const counts = { accepted, received: messagesReceived, sent: messagesSent, broadcasts, skipped }
      report({ report: 'measured', reading, counts })
    }
    if (order.order === 'stop') {
      clearInterval(timer)
      await server?.close()
      report({ report: 'stopped' })
      process.disconnect()
    }
  })
  report({ report: 'serving', url: server.url })
}

process.once('message', (order: Order) => {
  if (order.order === 'serve') void run(order.plant)
})
// The parent ends this process, in order or not: Ctrl-C in a terminal comes to all at once.
process.on('SIGINT', () => {})
process.on('disconnect', () => process.exit())
