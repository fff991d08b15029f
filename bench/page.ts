// docs/performance.md, with its charts and the figures behind them: all written, nothing by hand.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { barChart } from './chart.ts'
import { curveChart, curves, curveTable } from './curves.ts'
import { describeEnvironment, type Environment } from './environment.ts'
import { lastMicros, microTable } from './history.ts'
import { mainMetric, type Result } from './results.ts'
import { formatNumber } from './stats.ts'
import { disturbance, markdownTable, type Table, workloadTable } from './tables.ts'
import { targetTable } from './targets.ts'
import { type Workload, workloads } from './workloads.ts'

/** How the figures of one workload came about. */
export interface Origin {
  readonly date: string
  readonly commit: string
  readonly rounds: number
  readonly command: string
}

/** Everything that has been measured: a run replaces what it measures, and leaves the rest. */
export interface Figures {
  readonly environment: Environment
  readonly origins: Readonly<Record<string, Origin>>
  readonly results: readonly Result[]
}

/** Writes what a run has found into the folder of the documentation. */
export function writeFigures(
  docs: string,
  results: readonly Result[],
  rounds: number,
  command: string,
): void {
  const folder = join(docs, 'performance')
  mkdirSync(folder, { recursive: true })
  const path = join(folder, 'figures.json')
  const kept: Figures | undefined = existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : undefined
  const environment = describeEnvironment()
  const { date, commit } = environment
  const measured = [...new Set(results.map(({ workload }) => workload))]
  const figures: Figures = {
    environment,
    origins: {
      ...kept?.origins,
      ...Object.fromEntries(measured.map((name) => [name, { date, commit, rounds, command }])),
    },
    results: [...(kept?.results ?? []).filter(({ workload }) => !measured.includes(workload)), ...results],
  }
  writeFileSync(path, linesOf(figures))
  writeCharts(folder, figures.results)
  writeFileSync(join(docs, 'performance.md'), pageOf(figures))
}

/** JSON with one result a line, so that a change of one is a change of one line. */
function linesOf({ environment, origins, results }: Figures): string {
  const lines = results.map((result) => JSON.stringify(result, shorten))
  const head = JSON.stringify({ environment, origins }).slice(0, -1)
  return `${head},"results":[\n${lines.join(',\n')}\n]}\n`
}

/** Four digits are more than is known. */
function shorten(_: string, value: unknown): unknown {
  return typeof value === 'number' ? Number(value.toPrecision(4)) : value
}

function measuredIn(results: readonly Result[]): readonly Workload[] {
  return workloads.filter(({ name }) =>
    results.some(({ workload, rounds }) => workload === name && rounds > 0),
  )
}

function measuredCurves(results: readonly Result[]): typeof curves {
  return curves.filter(({ points }) =>
    points.some((point) =>
      results.some(({ workload, rounds }) => workload === point.workload.name && rounds > 0),
    ),
  )
}

function writeCharts(folder: string, results: readonly Result[]): void {
  for (const workload of measuredIn(results)) {
    const metric = mainMetric(workload)
    const bars = results.flatMap((result) => {
      const figure = result.workload === workload.name ? result.figures[metric] : undefined
      return figure === undefined ? [] : [{ label: result.server, value: figure.median, ...figure }]
    })
    const unit = metric === 'idleBytes' ? ' bytes' : ' us'
    const what = metric === 'idleBytes' ? 'memory per connection' : 'CPU per message'
    const chart = barChart(
      `${workload.title}: ${what}, less is better`,
      bars,
      (value) => formatNumber(value) + unit,
    )
    writeFileSync(join(folder, `${workload.name}.svg`), chart)
  }
  for (const curve of measuredCurves(results)) {
    writeFileSync(join(folder, `curve-${curve.name}.svg`), curveChart(curve, results))
  }
}

const method = `Every server runs in a process of its own, alone on one core (\`taskset\`), and the load generator on another; servers
take turns, round by round, each time in a new process. A figure is the median of the rounds, "±" how far the others
lie from it at most. **CPU per message** is what the scheduler counted for all threads of the server's process, user and
system, divided by the messages that it answered or delivered (for "connect": by the connections): it is what a machine
has to be bought for, and what other work on it blurs least. "Against \`ws\`" is how many times less than \`ws\` with
\`bufferutil\` a server takes, measured in the same round.

The load generator ([bench](../bench/README.md)) is a bare \`node:net\` client that writes frames made before the run, checks the length of
every reply, and the content of one in 61. "Generator busy" near 100 % means that the server waited for it: then
messages per second tell of the generator, CPU per message still of the server. Latency is told where one message is on
its way at a time; with 64 connections it is mostly waiting for the other 63; of a broadcast it is the time until everybody has heard
all publishers, who then publish again; more than one publisher are one message ahead of that. Silverback runs with all limits, checks and
its heartbeat on, as by default; \`maxMessageSize\` is raised for all where messages are longer. Compression has the same
settings for all that let it be set: level 1, each message by itself. Memory is what is in RAM, after garbage collection
where a server has any, above that of the same server with 200 connections.`

function pageOf({ environment, origins, results }: Figures): string {
  const { machine, versions, date, commit } = environment
  const shown = measuredIn(results)
  const targets = targetTable(results)
  const parts = [
    '# Performance',
    'Written by `npm run bench`: do not edit. What it costs a server to do the same work with Silverback, and with what one might use instead.',
    `Measured last on ${date} at commit ${commit}, on a machine with ${machine}.`,
    `Versions: ${versions.join(', ')}.`,
    '## How it is measured',
    method,
    ...(targets.length > 1
      ? [
          '## Targets',
          'What Silverback is meant to reach against `ws` with `bufferutil`.',
          markdownTable(targets),
        ]
      : []),
    ...(shown.length > 0 ? ['## Workloads', markdownTable(overview(shown, results))] : []),
    ...shown.flatMap((workload) => workloadPart(workload, results, origins[workload.name])),
    ...curveParts(results, origins),
    ...microParts(),
  ]
  return `${parts.join('\n\n')}\n`
}

/** How many times less than `ws` everybody takes, at a glance. */
function overview(shown: readonly Workload[], results: readonly Result[]): Table {
  const servers = [
    ...new Set(results.filter(({ ratio }) => ratio !== undefined).map(({ server }) => server)),
  ].filter((server) =>
    shown.some(({ name }) => results.some((result) => result.server === server && result.workload === name)),
  )
  const cell = (workload: string, server: string): string => {
    const found = results.find((result) => result.workload === workload && result.server === server)
    return found?.ratio === undefined ? '' : formatNumber(found.ratio.median)
  }
  return [
    ['times less than `ws`', ...servers],
    ...shown.map(({ name }) => [`[${name}](#${name})`, ...servers.map((server) => cell(name, server))]),
  ]
}

function describeOrigin(origin: Origin | undefined): string {
  if (origin === undefined) return ''
  const { date, commit, rounds, command } = origin
  return `${rounds} rounds, ${date}, commit ${commit}: \`${command}\``
}

function workloadPart(workload: Workload, results: readonly Result[], origin: Origin | undefined): string[] {
  const { name, title } = workload
  const skipped = results.filter((result) => result.workload === name && result.skipped !== undefined)
  return [
    `### ${name}`,
    `![${title}](performance/${name}.svg)`,
    markdownTable(workloadTable(workload, results)),
    ...skipped.map(({ server, skipped: why }) => `${server} is left out: ${why?.split('\n')[0]}.`),
    [describeOrigin(origin), disturbance(name, results)].filter(Boolean).join('. '),
  ]
}

function curveParts(results: readonly Result[], origins: Figures['origins']): string[] {
  const shown = measuredCurves(results)
  if (shown.length === 0) return []
  return [
    '## How cost grows',
    'CPU per message in microseconds; "late" is how late the event loop was in milliseconds, at the 99th percentile and at most.',
    ...shown.flatMap((curve) => [
      `### Against ${curve.xTitle}`,
      `![${curve.title}](performance/curve-${curve.name}.svg)`,
      markdownTable(curveTable(curve, results)),
      describeOrigin(origins[curve.points[0]?.workload.name ?? '']),
    ]),
  ]
}

function microParts(): string[] {
  const last = lastMicros()
  if (last === undefined) return []
  return [
    '## Parts of the engine',
    `Nanoseconds for one call, the lowest of several rounds (${last.date}, commit ${last.commit}, Node ${last.node}); all runs are kept in [bench/history.jsonl](../bench/history.jsonl): \`npm run bench -- --micro\`.`,
    markdownTable(microTable(last, undefined)),
  ]
}
