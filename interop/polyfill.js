// Our class in the place of the global that Node 20 lacks: for a library that was written for pages, and over TLS.
import { WebSocket } from 'silverback/websocket'

globalThis.WebSocket ??= WebSocket

// After that line: such a library may look for the global when it is loaded.
const { hc } = await import('hono/client')

const [url = '', secureUrl = ''] = process.argv.slice(2)

/** Says hello to an echo, and tells what it answers and how it ends. */
async function greet(name, socket) {
  const closed = new Promise((resolve) => {
    socket.addEventListener('close', ({ code, wasClean }) => resolve(`${code} ${wasClean}`))
  })
  socket.addEventListener('open', () => socket.send(`hello from ${name}`))
  socket.addEventListener('message', ({ data }) => {
    console.log(data)
    socket.close(1000)
  })
  console.log(await closed)
}

console.log(globalThis.WebSocket === WebSocket)
await greet('hono', hc(url).index.$ws())
await greet('TLS', new globalThis.WebSocket(secureUrl))
