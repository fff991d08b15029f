// Echo, the server: whatever comes in, text or binary, goes back out.
//
// This is all that a WebSocket server needs. The handshake, the origin check, pings, limits and the closing handshake
// are at work without a word here; the other examples change them where they have a reason to.

import { serve } from 'silverback'
import { commandLine, giveUp, onStop } from '../program.ts'

const {
  values: { port, host },
} = commandLine('Sends every message back to the client that it came from.', {
  port: '8080',
  host: '127.0.0.1',
})

// The handler runs once per connection, and its loop is the connection's life: when the client leaves, the loop ends.
const server = await serve({ port: Number(port), host, path: '/echo' }, async (conn) => {
  for await (const message of conn) {
    // `false` means that the client sends faster than it reads. By not taking its next message we pass that on: its
    // own `send` becomes slow, and our memory stays small. Without this line the echo works just as well, until it
    // meets such a client.
    if (!conn.send(message)) await conn.drained()
  }
}).catch(giveUp)

// Every client gets a Close frame with 1001, "going away", and a few seconds to answer it.
onStop(() => server.close())

console.log(`The echo server is at ${server.url}`)
