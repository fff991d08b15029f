// The demo from the command line: npm start, or npm start -- --port 3000

import { constants } from 'node:os'
import type { CloseInfo } from 'silverback'
import { BadUsage, help, type Options, parseOptions } from './options.ts'
import { createDemo, type Demo } from './server.ts'

/** Why listening failed, in words. */
function explain(error: NodeJS.ErrnoException, { port, host }: Options): string {
  switch (error.code) {
    case 'EADDRINUSE':
      return `port ${port} on ${host} is taken; choose another with --port N`
    case 'EACCES':
      return `no permission to listen on port ${port}; choose one above 1023 with --port N`
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `${host} is not an address of this machine`
    default:
      return error.message
  }
}

/** One line about a WebSocket that ended. */
function logClose(path: string, { code, reason, by, stats }: CloseInfo): void {
  // The reason is the peer's text: control characters in it could steer the terminal.
  const quoted = reason === '' ? '' : ` "${reason.replace(/\p{C}/gu, '?')}"`
  const count = `${stats.messagesReceived} in, ${stats.messagesSent} out`
  console.log(`${path} closed with ${code}${quoted} by ${by} (${count})`)
}

/** The first signal drains, the second ends the process there and then. */
function stopOnSignals(demo: Demo): void {
  let stoppingSince: number | undefined
  const onSignal = (signal: NodeJS.Signals): void => {
    if (stoppingSince !== undefined) {
      // A terminal signals npm and us, and npm passes it on: one Ctrl-C may arrive twice in a moment.
      if (performance.now() - stoppingSince > 100) process.exit(128 + constants.signals[signal])
      return
    }
    stoppingSince = performance.now()
    const { connections } = demo
    console.log(`Stopping: ${connections} ${connections === 1 ? 'connection' : 'connections'} to close`)
    void demo.close().then(() => console.log('Stopped'))
  }
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
}

async function main(args: readonly string[]): Promise<void> {
  const options = parseOptions(args)
  if (options.help) {
    process.stdout.write(help)
    return
  }
  // A reader of our output that goes away (npm start | head) is no reason to stop serving.
  process.stdout.on('error', () => {})
  let demo: Demo
  try {
    demo = await createDemo({ ...options, onClose: logClose })
  } catch (error) {
    fail(explain(error as NodeJS.ErrnoException, options), 1)
    return
  }
  stopOnSignals(demo)
  console.log(`Silverback's demo is at ${demo.url}`)
  console.log('Ctrl-C stops it.')
}

function fail(message: string, exitCode: number): void {
  process.stderr.write(`silverback demo: ${message}\n`)
  process.exitCode = exitCode
}

await main(process.argv.slice(2)).catch((error: unknown) => {
  if (!(error instanceof BadUsage)) throw error
  fail(`${error.message} (--help shows the options)`, 2)
})
