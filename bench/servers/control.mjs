// What every server that runs JavaScript shares: its settings come as JSON in the first argument, it prints its port
// as JSON, and answers the questions that come on its standard input. It ends with that input.
import { readFileSync } from 'node:fs'
import process from 'node:process'

/** @type {{ kind: 'echo' | 'json' | 'broadcast', deflate: boolean, maxMessageSize: number, cert?: string, key?: string }} */
export const settings = JSON.parse(process.argv.at(-1))

/** Certificate and key as `node:tls` takes them, or `undefined`. */
export const tls =
  settings.cert === undefined
    ? undefined
    : { cert: readFileSync(settings.cert), key: readFileSync(settings.key) }

/** The same compression for all: each message by itself, zlib's level 1, nothing too short for it. */
export const deflateLevel = 1

const say = (answer) => process.stdout.write(`${JSON.stringify(answer)}\n`)
const collect = globalThis.Bun === undefined ? globalThis.gc : () => globalThis.Bun.gc(true)
let delays
/** Milliseconds between two looks at the event loop, which are part of what is measured. */
const resolution = 5

const answers = {
  gc() {
    collect?.()
    collect?.()
    return { gc: collect !== undefined }
  },
  /** Starts, or restarts, measuring how late the event loop is. */
  async watch() {
    const { monitorEventLoopDelay } = await import('node:perf_hooks')
    delays ??= monitorEventLoopDelay({ resolution })
    delays.enable()
    delays.reset()
    return {}
  },
  /** Milliseconds. */
  delay() {
    const late = (nanoseconds) => Math.max(0, nanoseconds / 1e6 - resolution)
    return { delayP99: late(delays.percentile(99)), delayMax: late(delays.max) }
  },
  /** Starts to find out what the time goes to: on Node alone. */
  async profile() {
    const { start } = await import('./profile.mjs')
    await start()
    return {}
  },
  async shares() {
    const { shares } = await import('./profile.mjs')
    return shares()
  },
}

export function listening(port) {
  let line = ''
  process.stdin.setEncoding('utf8')
  process.stdin.on('data', async (text) => {
    line += text
    for (let end = line.indexOf('\n'); end >= 0; end = line.indexOf('\n')) {
      const question = line.slice(0, end)
      line = line.slice(end + 1)
      say(await answers[question]())
    }
  })
  process.stdin.on('end', () => process.exit())
  say({ port })
}
