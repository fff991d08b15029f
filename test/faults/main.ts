/**
 * `npm run faults`: clients and servers over a network that fails, in as many random ways as are asked for. Every message
 * is delivered once and in order, or the sender is told; every connection says how it ended; nothing is left behind.
 */
import { parseArgs } from 'node:util'
import { interrupted } from '../support/interrupt.ts'
import { endEchoProcesses } from './echo-process.ts'
import { assertSpread, minDelay, restart } from './restart.ts'
import { runMany, type Summary } from './run-many.ts'
import { runOnce } from './run-once.ts'
import { LEAST_SLEEP, sleepFor } from './sleep-for.ts'
import { stopUnderLoad } from './stop-under-load.ts'

const usage = `Usage: npm run faults -- [options]

  --runs N         how many runs (default 1000)
  --seed N         make the plans of this seed again (default: random)
  --only N         make only the run of this number
  --concurrency N  how many at a time (default 40)
  --stop N         in place of the runs: close a server with N busy connections (try 5000)
  --restart N      in place of the runs: restart a server with N clients that come back
  --sleep SECONDS  in place of the runs: stop a server's process for so long, ${LEAST_SLEEP} or more (try 60)
  --help           this text

What fails is printed with its seed and number. The plans are the same for the same seed; the times between are not.
`

interface Options {
  readonly runs: number
  readonly seed: number
  readonly only: number | undefined
  readonly concurrency: number
  readonly stop: number | undefined
  readonly restart: number | undefined
  readonly sleep: number | undefined
}

function readOptions(): Options | undefined {
  const { values } = parseArgs({
    options: {
      runs: { type: 'string', default: '1000' },
      seed: { type: 'string' },
      only: { type: 'string' },
      concurrency: { type: 'string', default: '40' },
      stop: { type: 'string' },
      restart: { type: 'string' },
      sleep: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return undefined
  const number = (name: string, text: string, least = 0): number => {
    const value = Number(text)
    if (text === '' || !Number.isSafeInteger(value) || value < least)
      throw new Error(
        `--${name} must be a whole number${least > 0 ? ` from ${least} on` : ''}, not "${text}"`,
      )
    return value
  }
  const [one, other] = (['stop', 'restart', 'sleep', 'only'] as const).filter(
    (name) => values[name] !== undefined,
  )
  if (other !== undefined) throw new Error(`--${one} and --${other} exclude each other`)
  return {
    runs: number('runs', values.runs, 1),
    seed: values.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : number('seed', values.seed),
    only: values.only === undefined ? undefined : number('only', values.only),
    concurrency: number('concurrency', values.concurrency, 1),
    stop: values.stop === undefined ? undefined : number('stop', values.stop, 1),
    restart: values.restart === undefined ? undefined : number('restart', values.restart, 1),
    sleep: values.sleep === undefined ? undefined : number('sleep', values.sleep, LEAST_SLEEP),
  }
}

function report({ runs, seconds, kinds, ends, accepted, delivered }: Summary, seed: number): void {
  const table = (counts: ReadonlyMap<string, number>): string =>
    [...counts]
      .sort((a, b) => b[1] - a[1])
      .map(([name, count]) => `${String(count).padStart(9)}  ${name}`)
      .join('\n')
  process.stdout.write(
    `${runs} runs in ${seconds.toFixed(1)} s, seed ${seed}: all as they should be\n` +
      `${accepted} messages sent, ${delivered} delivered, the others told as lost\n\n${table(kinds)}\n\n` +
      `how connections ended, each side on its own:\n${table(ends)}\n`,
  )
}

/** Fewer delays are no even spread, just by chance. */
const enoughDelays = 100

async function run(
  { runs, seed, only, concurrency, stop, restart: clients, sleep }: Options,
  signal: AbortSignal,
): Promise<number> {
  const onProgress = (done: number): void => {
    if (process.stdout.isTTY) process.stdout.write(`\r${done} of ${runs} runs `)
  }
  try {
    if (stop !== undefined) {
      const { answers, questions, took } = await stopUnderLoad(stop)
      process.stdout.write(
        `${stop} busy connections closed with 1001, all in order, in ${took.toFixed(0)} ms; all of ${answers} answers have arrived, all of ${questions} questions reached a handler\n`,
      )
      return 0
    }
    if (sleep !== undefined) {
      const log = await sleepFor(sleep, (pid) => {
        process.stdout.write(`process ${pid} is stopped for ${sleep} s\n`)
      })
      process.stdout.write(
        `stopped for ${sleep} s: who waited was served, and is connected still; who did not came back. Its log:\n${log.join('\n')}\n`,
      )
      return 0
    }
    if (clients !== undefined) {
      for (const how of ['close', 'crash'] as const) {
        const { back, delays } = await restart(clients, how)
        if (clients >= enoughDelays) assertSpread(delays, minDelay)
        else process.stdout.write(`${clients} clients are too few to judge how their delays are spread\n`)
        const sorted = [...back].sort((a, b) => a - b)
        const [first = 0, middle = 0, last = 0] = [sorted[0], sorted[sorted.length >> 1], sorted.at(-1)]
        process.stdout.write(
          `${how}: all ${clients} clients are back, the first after ${first.toFixed(0)} ms, half after ${middle.toFixed(0)} ms, the last after ${last.toFixed(0)} ms\n`,
        )
      }
      return 0
    }
    if (only !== undefined) {
      process.stdout.write(`${JSON.stringify(await runOnce(seed, only), undefined, 2)}\n`)
      return 0
    }
    const summary = await runMany({ seed, count: runs, concurrency, onProgress, signal })
    if (process.stdout.isTTY) process.stdout.write('\r')
    report(summary, seed)
    if (!signal.aborted) return 0
    process.stdout.write('\nstopped before all runs were made\n')
    return 130
  } catch (error) {
    process.stdout.write(`\nFAILED, seed ${seed}\n${error instanceof Error ? error.stack : String(error)}\n`)
    return 1
  }
}

/** The runs end in order when they are stopped; all else at once. What it has started has gone before it ends. */
async function main(options: Options): Promise<number> {
  const { stop, restart, sleep, only } = options
  const many = (stop ?? restart ?? sleep ?? only) === undefined
  const signal = interrupted()
  const stopped = new Promise<number>((resolve) => {
    signal.addEventListener('abort', () => {
      if (many) return
      process.stdout.write('\nstopped before it was done\n')
      resolve(130)
    })
  })
  const code = await Promise.race([run(options, signal), stopped])
  await endEchoProcesses()
  return code
}

let options: Options | undefined
try {
  options = readOptions()
  if (options === undefined) process.stdout.write(usage)
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${usage}`)
  process.exitCode = 2
}
// What failed may have left what keeps the process alive.
if (options !== undefined) process.exit(await main(options))
