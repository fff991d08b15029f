// Echo, the client: sends each line that you type and prints the answer.
//
// One question, one answer: `read` is made for that. A client that is told things unasked iterates over its connection
// instead, as the servers do.

import { createInterface } from 'node:readline'
import { dial } from 'silverback'
import { commandLine, giveUp, onStop } from '../program.ts'

const {
  values: { url },
} = commandLine('Sends each line of its input to a WebSocket server and prints the answer.', {
  url: 'ws://127.0.0.1:8080/echo',
})

// What can fail here is the handshake: nobody listens, or the server says no. The error's message tells which.
const conn = await dial(url).catch(giveUp)
const lines = createInterface({ input: process.stdin })
// The connection may end while we wait for a line: on Ctrl-C by us, or when the server goes away.
onStop(() => conn.close())
void conn.closed.then(() => lines.close())
console.log(`Connected to ${url}`)

for await (const line of lines) {
  conn.send(line)
  const answer = await conn.read().catch(() => undefined)
  // Undefined: there will be no more answers. Why not is for the last line of this program to say.
  if (answer === undefined) break
  console.log(answer)
}

// A clean end takes two: our Close frame and theirs. `close` waits for both, or reports the end that there has been.
const { code, reason, by, wasClean } = await conn.close()
console.log('Closed:', { code, reason, by })
if (!wasClean) process.exitCode = 1
