// `npm run soak`: see options.ts.

import { type ChildProcess, execFileSync, fork } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { root } from '../repo.ts'
import { interrupted } from '../support/interrupt.ts'
import { drawChart } from './chart.ts'
import type { Order, Report } from './messages.ts'
import { commandOf, readOptions, type SoakOptions, usage } from './options.ts'
import {
  type Counts,
  type Growth,
  isEnough,
  judgeGrowth,
  judgeRest,
  judgeWork,
  type Sample,
} from './verdict.ts'

const MiB = 1024 * 1024
const sides = ['server', 'clients'] as const
type Side = (typeof sides)[number]

/** One of the two processes. */
class Worker {
  readonly side: Side
  readonly samples: Sample[] = []
  /** What it had done at each sample, and when its clients were gone. */
  readonly history: Counts[] = []
  counts: Counts = {}
  readonly #child: ChildProcess
  readonly #unexpected: (what: string) => void
  readonly #waiting = new Map<Report['report'], (message: Report) => void>()
  readonly #exit: Promise<void>
  #over = false

  constructor(side: Side, unexpected: (what: string) => void) {
    this.side = side
    this.#unexpected = unexpected
    const file = side === 'server' ? './server-process.ts' : './load-process.ts'
    this.#child = fork(fileURLToPath(new URL(file, import.meta.url)))
    this.#child.on('message', (message: Report) => {
      if (message.report === 'unexpected') unexpected(`${side}: ${message.what}`)
      else this.#waiting.get(message.report)?.(message)
    })
    this.#exit = new Promise((resolve) => {
      this.#child.once('exit', (code, signal) => {
        if (!this.#over) unexpected(`${side}: its process has ended with ${String(code ?? signal)}`)
        this.#over = true
        for (const settle of this.#waiting.values()) settle({ report: 'stopped' })
        resolve()
      })
    })
  }

  /** Gives an order, and resolves with the report that answers it; `undefined` when that does not come. */
  async ask<R extends Report['report']>(
    order: Order,
    answer: R,
    timeout = 120_000,
  ): Promise<Extract<Report, { report: R }> | undefined> {
    if (this.#over) return undefined
    let timer: NodeJS.Timeout | undefined
    const message = await new Promise<Report | undefined>((resolve) => {
      timer = setTimeout(() => {
        this.#unexpected(`${this.side}: no answer to "${order.order}"`)
        resolve(undefined)
      }, timeout)
      this.#waiting.set(answer, resolve)
      this.#child.send(order)
    })
    clearTimeout(timer)
    this.#waiting.delete(answer)
    return message?.report === answer ? (message as Extract<Report, { report: R }>) : undefined
  }

  async measure(minutes: number): Promise<Sample | undefined> {
    const answer = await this.ask({ order: 'measure' }, 'measured')
    if (answer === undefined) return undefined
    this.counts = answer.counts
    return { minutes, ...answer.reading }
  }

  async end(): Promise<void> {
    this.#over = true
    if (this.#child.connected) this.#child.disconnect()
    this.#child.kill('SIGKILL')
    await this.#exit
  }
}

function inMiB(bytes: number): string {
  return `${(bytes / MiB).toFixed(1)} MiB`
}

function show(metric: Growth['metric'], value: number): string {
  if (metric === 'files') return value.toFixed(0)
  return metric === 'delay' ? `${value.toFixed(1)} ms` : inMiB(value)
}

function line({ minutes, rss, heap, external, delay, files, connections }: Sample, side: Side): string {
  const at = minutes.toFixed(2).padStart(6)
  return `${at} min  ${side.padEnd(7)}  ${String(connections).padStart(5)} connections  RSS ${inMiB(rss)}, heap ${inMiB(heap)}, external ${inMiB(external)}, delay ${delay.toFixed(1)} ms, ${files} files`
}

function growthTable(side: Side, growths: readonly Growth[], enough: boolean): string[] {
  return growths.map(
    ({ metric, median, growth, most, ok }) =>
      `| ${side} | ${metric} | ${show(metric, median)} | ${show(metric, growth)} | ${show(metric, most)} | ${enough ? (ok ? 'yes' : 'no') : 'not judged'} |`,
  )
}

/** The commit that is run, as far as git knows it. */
function commit(): string {
  const git = (...args: string[]): string =>
    execFileSync('git', args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
  try {
    return `${git('rev-parse', '--short', 'HEAD')}${git('status', '--porcelain', 'src', 'test') === '' ? '' : '+changes'}`
  } catch {
    return 'unknown'
  }
}

function charts(workers: readonly Worker[]): Record<string, string> {
  const of = (side: Side, metric: keyof Sample, by = 1): (readonly [number, number])[] =>
    (workers.find((worker) => worker.side === side)?.samples ?? []).map(
      (sample) => [sample.minutes, sample[metric] / by] as const,
    )
  return {
    'memory.svg': drawChart({
      title: 'Memory of the server',
      unit: 'MiB',
      series: [
        { name: 'RSS', points: of('server', 'rss', MiB) },
        { name: 'heap in use', points: of('server', 'heap', MiB) },
        { name: 'outside of the heap', points: of('server', 'external', MiB) },
      ],
    }),
    'delay.svg': drawChart({
      title: 'Delay of the event loop, 99th percentile',
      unit: 'ms',
      series: sides.map((side) => ({ name: side, points: of(side, 'delay') })),
    }),
    'files.svg': drawChart({
      title: 'Connections and open files of the server',
      unit: '',
      series: [
        { name: 'open files', points: of('server', 'files') },
        { name: 'connections', points: of('server', 'connections') },
      ],
    }),
  }
}

interface Outcome {
  /** When and from what it was started. */
  readonly origin: string
  readonly minutes: number
  readonly samples: number
  readonly enough: boolean
  readonly table: readonly string[]
  readonly problems: readonly string[]
  readonly counts: string
}

function verdictOf({ problems, enough, samples }: Outcome): string {
  if (problems.length > 0) return `**Failed:** ${problems.join('; ')}`
  if (!enough) return `**No verdict:** ${samples} samples are too few to judge.`
  return 'Nothing unexpected has happened, work of every kind went on to the end, and nothing was left when all clients were gone.'
}

function document(options: SoakOptions, outcome: Outcome): string {
  const { origin, minutes, samples, table, counts } = outcome
  const early = minutes < options.minutes ? `, stopped early, after ${minutes.toFixed(1)} minutes` : ''
  return `# Soak

Written by \`${commandOf(options)}\`${early}: ${samples} samples of each process. ${origin},
on Node ${process.version}, ${cpus().length} cores, ${cpus()[0]?.model.trim() ?? 'unknown'}, which it shared with other work.

Growth is the slope of the last two thirds, times their time.

| process | measure | median | growth | allowed | passed |
|---|---|---|---|---|---|
${table.join('\n')}

${counts}

${verdictOf(outcome)}
`
}

async function soak(options: SoakOptions, stopped: AbortSignal): Promise<number> {
  const { minutes, connections, seed, out, plant } = options
  const problems: string[] = []
  const seen = new Map<string, number>()
  const unexpected = (what: string): void => {
    const times = (seen.get(what) ?? 0) + 1
    seen.set(what, times)
    if (times === 1 && seen.size <= 20) process.stdout.write(`unexpected: ${what}\n`)
  }
  const server = new Worker('server', unexpected)
  const clients = new Worker('clients', unexpected)
  const workers = [server, clients]
  const origin = `${new Date().toISOString().slice(0, 10)}, commit ${commit()}`
  try {
    process.stdout.write(`seed ${seed}: ${connections} connections for ${minutes} minutes\n`)
    const serving = await server.ask({ order: 'serve', plant, connections }, 'serving')
    if (serving === undefined) return 1
    const before = await server.measure(0)
    const start = performance.now()
    const now = (): number => (performance.now() - start) / 60_000
    await clients.ask({ order: 'load', url: serving.url, connections, seed }, 'loading')
    // Some hundred samples in all, one each second at most.
    const interval = Math.max(1_000, (minutes * 60_000) / 120)
    while (now() < minutes && !stopped.aborted) {
      await new Promise<void>((resolve) => {
        const finish = (): void => {
          clearTimeout(timer)
          stopped.removeEventListener('abort', finish)
          resolve()
        }
        const timer = setTimeout(finish, Math.min(interval, Math.max(0, (minutes - now()) * 60_000)))
        stopped.addEventListener('abort', finish)
      })
      for (const worker of workers) {
        const sample = await worker.measure(now())
        if (sample === undefined) return 1
        worker.samples.push(sample)
        worker.history.push(worker.counts)
        process.stdout.write(`${line(sample, worker.side)}\n`)
      }
    }
    const took = now()
    await clients.ask({ order: 'stop' }, 'stopped')
    // The server finds out, and the collector behind it.
    let after: Sample | undefined
    for (let i = 0; i < 20; i++) {
      await new Promise((resolve) => setTimeout(resolve, 500))
      after = await server.measure(now())
      if (after?.connections === 0 && i > 3) break
    }
    if (before === undefined || after === undefined) problems.push('what is left is not known')
    else {
      process.stdout.write(`${line(after, 'server')}, all clients gone\n`)
      problems.push(...judgeRest(before, after))
    }
    const counts = workers
      .map(
        ({ side, counts }) =>
          `${side}: ${Object.entries(counts)
            .map(([name, count]) => `${count} ${name}`)
            .join(', ')}`,
      )
      .join('. ')
    await server.ask({ order: 'stop' }, 'stopped')
    const table: string[] = []
    const samples = Math.min(...workers.map((worker) => worker.samples.length))
    const enough = isEnough(samples)
    for (const { side, samples, history } of workers) {
      const growths = judgeGrowth(samples)
      table.push(...growthTable(side, growths, enough))
      if (enough) problems.push(...judgeWork(side, history, took * connections))
      for (const { metric, growth, most, ok } of growths)
        if (enough && !ok)
          problems.push(
            `${metric} of the ${side} grew by ${show(metric, growth)}, more than ${show(metric, most)}`,
          )
    }
    for (const [what, times] of seen) problems.push(`${times} times unexpected: ${what.split('\n')[0]}`)
    const outcome: Outcome = { origin, minutes: took, samples, enough, table, problems, counts: `${counts}.` }
    process.stdout.write(`\n${document(options, outcome)}`)
    if (out !== undefined) {
      mkdirSync(out, { recursive: true })
      for (const [name, svg] of Object.entries(charts(workers))) writeFileSync(join(out, name), svg)
      writeFileSync(join(out, 'soak.md'), document(options, outcome))
    }
    return problems.length === 0 && enough ? 0 : 1
  } finally {
    await Promise.all(workers.map((worker) => worker.end()))
  }
}

let options: SoakOptions | undefined
try {
  options = readOptions(process.argv.slice(2))
  if (options === undefined) process.stdout.write(usage)
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${usage}`)
  process.exitCode = 2
}
if (options !== undefined) {
  const stopped = interrupted(() => process.stdout.write('\nstopping early\n'))
  process.exitCode = await soak(options, stopped)
}
