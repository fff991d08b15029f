// command: a program's input and output over a WebSocket. Each client gets a process of its own.
//
// Messages are lines of input; output comes in pieces, as the program writes it: a pipe knows no messages. What is
// worth learning here is the ends. A process must not outlive its client, a client must hear how its process ended,
// and neither may flood the other. Left out: a terminal (programs that want one behave differently without), and what
// the command itself may have started and left running.

import { type ChildProcessByStdio, spawn } from 'node:child_process'
import type { Readable, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { CloseCode, type CloseInfo, type ServerConn, serve } from 'silverback'
import { commandLine, giveUp, onStop } from '../program.ts'

const {
  values: { port, host, grace },
  positionals: [command, ...args],
} = commandLine(
  'Runs a command for each client: its input and output are the messages.',
  { port: '8080', host: '127.0.0.1', grace: '1000' },
  '-- COMMAND [ARGUMENTS]',
)
if (command === undefined) giveUp(new Error('Which command? See --help.'))
const name: string = command

// Standard error stays on the server's terminal: it is for whoever runs the server.
type Process = ChildProcessByStdio<Writable, Readable, null>

async function onClient(conn: ServerConn): Promise<void> {
  const child = spawn(name, args, { stdio: ['pipe', 'pipe', 'inherit'] })
  const ended = endOf(child, conn)

  // `pipeline` couples the speeds. A process that does not read its input makes the loop below wait, the messages
  // queue up, the socket is paused, and in the end the client's own `send` is slow. It also closes the process's input
  // after the last message. Either pipeline fails when the other side has gone away: the end below is the same.
  const input = pipeline(async function* () {
    for await (const message of conn) yield typeof message === 'string' ? `${message}\n` : message
  }, child.stdin)
  // The other direction by hand, and just as strict: while a client does not read, neither do we, until the process
  // finds its output blocked. `setEncoding` keeps characters whole that the pipe has cut in two.
  const output = pipeline(child.stdout.setEncoding('utf8'), async (pieces: AsyncIterable<string>) => {
    for await (const piece of pieces) if (!conn.send(piece)) await conn.drained()
  })
  const settled = Promise.allSettled([input, output])

  // However the connection ends (and it does when the process has), the process is asked more and more firmly.
  await conn.closed
  child.stdin.end()
  const timers = [
    setTimeout(() => child.kill('SIGINT'), Number(grace)),
    setTimeout(() => child.kill('SIGKILL'), 2 * Number(grace)),
  ]
  await ended
  for (const timer of timers) clearTimeout(timer)
  await settled
}

/** Resolves when the process is over, its output has been passed on, and the client has been told. */
function endOf(child: Process, conn: ServerConn): Promise<CloseInfo> {
  return new Promise((resolve) => {
    const tell = (code: number, reason: string): void => resolve(conn.close(code, reason))
    child.once('error', (error: NodeJS.ErrnoException) => {
      tell(CloseCode.InternalError, `not started: ${error.code}`)
    })
    child.once('close', (code, signal) => {
      if (code === 0) tell(CloseCode.Normal, 'exit code 0')
      else tell(CloseCode.InternalError, signal === null ? `exit code ${code}` : `ended by ${signal}`)
    })
  })
}

const server = await serve(
  {
    port: Number(port),
    host,
    path: '/command',
    limits: { maxMessageSize: 8192 },
    // Whoever gets in runs a program. By default pages of the server's own origin may connect, but there are none
    // here, and a page that got its name to point at this machine would look like one: so no page at all.
    checkOrigin: (origin) => origin === undefined,
  },
  onClient,
).catch(giveUp)

// The clients are told goodbye, which ends their processes; the last of them lets this one end.
onStop(() => server.close())

console.log(`${name} is at ${server.url}`)
