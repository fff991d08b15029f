// autobahn: an echo server to be tested by the Autobahn test suite, or by any other client that wants to go far.
//
// It echoes in five ways, one per path: the five ways in which messages can be taken from a connection and sent again.
// They cost differently and they hold back a fast sender differently, but a client must not see any difference.

import { createServer } from 'node:http'
import { allowOrigins, type Handler, prepare, serve } from 'silverback'
import { commandLine, giveUp, onStop } from '../program.ts'

const {
  values: { port, host },
} = commandLine('Echoes in five ways, under /m, /p, /r, /f and /c.', { port: '9001', host: '127.0.0.1' })

const echoes: Record<string, Handler> = {
  // Messages by callback: the fastest way for small ones. A callback cannot wait, so a sender is not held back; one
  // that reads too little is closed once `maxSendBuffer` is full.
  '/m': (conn) => conn.onMessage((data) => conn.send(data)),

  // Prepared messages: encoded ahead, to be sent many times. For one receiver it is a detour.
  '/p': async (conn) => {
    for await (const message of conn) if (!conn.send(prepare(message))) await conn.drained()
  },

  // Iteration: the way to write most handlers, with text as strings and binary as bytes.
  '/r': async (conn) => {
    for await (const message of conn) if (!conn.send(message)) await conn.drained()
  },

  // Text as bytes: what is only passed on need not become a string. Bytes alone do not say that they are text, so the
  // type comes and goes with them.
  '/f': async (conn) => {
    for await (const { data, type } of conn.messages({ text: 'bytes' })) {
      if (!conn.send(data, type)) await conn.drained()
    }
  },

  // One message at a time, on demand. At the end `read` rejects, where the loops above just end: that is how this
  // handler finishes, and it counts as no failure.
  '/c': async (conn) => {
    for (;;) if (!conn.send(await conn.read())) await conn.drained()
  },
}

const MiB = 1024 * 1024
const http = createServer((_request, response) => response.writeHead(404).end('WebSocket only\n'))
const servers = await Promise.all(
  Object.entries(echoes).map(([path, echo]) =>
    serve(
      {
        server: http,
        path,
        // The suite's largest messages are 16 MiB, some of them in a million pieces.
        limits: { maxMessageSize: 32 * MiB, maxSendBuffer: 64 * MiB },
        // Nothing here is worth protecting from pages of other origins.
        checkOrigin: allowOrigins('*'),
      },
      echo,
    ),
  ),
)

http.once('error', giveUp).listen(Number(port), host, () => {
  for (const { url } of servers) console.log(`An echo server is at ${url}`)
})

onStop(async () => {
  await Promise.all(servers.map((server) => server.close()))
  http.close()
  http.closeAllConnections()
})
