// Chat: what one says, everyone hears. The classic of WebSocket examples, after gorilla's.
//
// There, a hub goroutine owns the set of clients, three channels lead into it, and each client has a goroutine that
// reads and one that writes. JavaScript runs one thing at a time, so here the hub is a Set, and registering a client
// is adding to it. What stays are the questions behind that design, answered below: who is in the room, what becomes
// of a client that cannot keep up, how a dead one is noticed, and how much one message may cost.

import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { broadcast, CloseCode, type ServerConn, serve } from 'silverback'
import { commandLine, giveUp, onStop } from '../program.ts'

const {
  values: { port, host },
} = commandLine('Serves a chat room and its page.', { port: '8080', host: '127.0.0.1' })

const limits = {
  /** The longest message, in bytes. A longer one ends its sender's connection with 1009, before it is received. */
  maxMessageSize: 512,
  // After 54 s of silence a client gets a ping, and 6 s later, a minute in all, it counts as dead. That also keeps
  // proxies from taking a quiet room for an abandoned one; most of them wait for a minute.
  pingInterval: 54_000,
  pongTimeout: 6_000,
  /** How long a client may take to hear that it is being thrown out. */
  closeTimeout: 10_000,
  /** Room for some 256 messages that a client has not read yet. */
  maxSendBuffer: 256 * 512,
}

/** The clients in the room. */
class Hub {
  readonly #clients = new Set<ServerConn>()

  join(conn: ServerConn): void {
    this.#clients.add(conn)
    // `closed` resolves however a connection ends, so nobody stays in the room for ever.
    void conn.closed.then(() => this.#clients.delete(conn))
  }

  say(text: string): void {
    // One message, encoded once, for everyone. Nobody is waited for: a client with a full buffer is closed with 1013,
    // "try again later", so that the slowest member never sets the pace of the room, nor fills the server's memory.
    // `slow: 'skip'` would keep it and leave a gap in what it hears: right for prices, wrong for a conversation.
    broadcast(this.#clients, text, { slow: 'close' })
  }
}

const hub = new Hub()

async function onClient(conn: ServerConn): Promise<void> {
  hub.join(conn)
  for await (const message of conn) {
    if (typeof message !== 'string') {
      await conn.close(CloseCode.UnsupportedData, 'this chat takes text only')
      return
    }
    hub.say(message)
  }
}

// The page and the WebSocket share one HTTP server, so they have one origin: pages from elsewhere are refused by
// default. Left out: names, rooms, a history for those who come later, and a limit to how fast one may talk.
const page = await readFile(new URL('./index.html', import.meta.url))
const http = createServer((request, response) => {
  if (request.url === '/') response.setHeader('content-type', 'text/html; charset=utf-8').end(page)
  else response.writeHead(404).end('Not found\n')
})
const address = { server: http, port: Number(port), host, path: '/ws' }
const server = await serve({ ...address, limits }, onClient).catch(giveUp)

onStop(async () => {
  await server.close()
  // The HTTP server is ours, so stopping it is too. Browsers keep spare connections open: these need not be waited for.
  http.close()
  http.closeAllConnections()
})

console.log(`The chat is at ${new URL('/', server.url.replace('ws', 'http'))}`)
