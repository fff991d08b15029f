// docs/performance.md, with its charts and the figures behind them: all written, nothing by hand.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { barChart } from './chart.ts'
import { curveChart, curves, curveTable } from './curves.ts'
import { lastMicros, microTable } from './history.ts'
import { isProfile, profileTable } from './profile.ts'
import { mainMetric, markOf, type Origin, type Result } from './results.ts'
import { formatNumber } from './stats.ts'
import { disturbance, footnotes, markdownTable, type Table, workloadTable } from './tables.ts'
import { targetTable } from './targets.ts'
import { type Workload, workloads } from './workloads.ts'

/** Writes what a run has found into the folder of the documentation, and keeps what it has not measured. */
export function writeFigures(docs: string, results: readonly Result[]): void {
  const folder = join(docs, 'performance')
  mkdirSync(folder, { recursive: true })
  const path = join(folder, 'figures.json')
  const all = merged(existsSync(path) ? readFigures(readFileSync(path, 'utf8')) : [], results)
  writeFileSync(path, linesOf(all))
  for (const name of readdirSync(folder)) if (name.endsWith('.svg')) rmSync(join(folder, name))
  writeCharts(folder, all)
  writeFileSync(join(docs, 'performance.md'), pageOf(all))
}

/** What is measured anew replaces what was; a server that was left out keeps what it had. */
function merged(kept: readonly Result[], results: readonly Result[]): readonly Result[] {
  const rows = new Map<string, Result>()
  for (const result of [...kept, ...results]) {
    const key = `${result.workload} ${result.server}`
    if (result.skipped === undefined || (rows.get(key)?.rounds ?? 0) === 0) rows.set(key, result)
  }
  return [...rows.values()]
}

/** Where the results came from, each once. */
function originsOf(results: readonly Result[]): readonly Origin[] {
  const seen = results.flatMap(({ origin }) => (origin === undefined ? [] : [JSON.stringify(origin)]))
  return [...new Set(seen)].map((origin) => JSON.parse(origin) as Origin)
}

/** JSON with one result a line, so that a change of one is a change of one line; origins are told by number. */
function linesOf(results: readonly Result[]): string {
  const origins = originsOf(results)
  const texts = origins.map((origin) => JSON.stringify(origin))
  const lines = results.map((result) =>
    JSON.stringify({ ...result, origin: texts.indexOf(JSON.stringify(result.origin)) }, shorten),
  )
  return `{"origins":[\n${texts.join(',\n')}\n],"results":[\n${lines.join(',\n')}\n]}\n`
}

/** Results of a file as {@link linesOf} writes it: those of one origin share it. */
function readFigures(text: string): Result[] {
  const { origins, results } = JSON.parse(text)
  // A file of before origins had machine and versions: nobody knows where its figures come from.
  if (!Array.isArray(origins)) return []
  return results.map((result: { origin: number }) => ({ ...result, origin: origins[result.origin] }))
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
every reply, and the content of one in 61, and that each connection gets what is due to it. "Generator busy" near 100 % means that the server waited for it: then
messages per second tell of the generator, CPU per message still of the server. Latency is told where one message is on
its way at a time; with 64 connections it is mostly waiting for the other 63; of a broadcast it is the time until everybody has heard
all publishers, who then publish again; more than one publisher are one message ahead of that. Silverback runs with all limits, checks and
its heartbeat on, as by default; \`maxMessageSize\` is raised for all where messages are longer. Compression has the same
settings for all that let it be set: level 1, each message by itself. Memory is what is in RAM, for each connection: where they
are idle after garbage collection, where a server has any, above that of the same server with 200 connections; else the most
that it had in the run, above that of the server as it started, so that what a server makes once is in it, too.

A server that answers wrongly, too often or not at all, loses a message or sends it to another connection is left out; so is who
closes a connection without a Close frame. Others had the servers' core when it was neither idle nor worked for the server.`

const profiling = `Shares of the time in which the main thread of a server was not idle, sampled by V8 every 200 us (median of the rounds).
Writing and closing is nearly all the kernel's; so is reading, which V8 cannot tell from the rest of the event loop. The
library's part has its unmasking in it, and the program of the benchmark, a few lines; Node's JavaScript is mostly that of
streams and sockets. \`ws\` compresses in threads beside the main one, which this does not see.`

function pageOf(results: readonly Result[]): string {
  const shown = measuredIn(results)
  const targets = targetTable(results)
  const runs = originsOf(results)
  const parts = [
    '# Performance',
    'Written by `npm run bench`: do not edit. What it costs a server to do the same work with Silverback, and with what one might use instead. Why it costs that is told in [speed.md](speed.md).',
    '## How it is measured',
    method,
    ...(targets.length > 1
      ? [
          '## Targets',
          'What Silverback is meant to reach against `ws` with `bufferutil`.',
          markdownTable(targets),
          ...footnotes(targets),
        ]
      : []),
    ...(shown.length > 0 ? overviewPart(overview(shown, results)) : []),
    ...shown.flatMap((workload) => workloadPart(workload, results, runs)),
    ...curveParts(results, runs),
    ...profileParts(results, runs),
    ...microParts(),
    ...runParts(runs),
  ]
  return `${parts.join('\n\n')}\n`
}

function overviewPart(table: Table): string[] {
  return ['## Workloads', markdownTable(table), ...footnotes(table)]
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
    return found?.ratio === undefined ? '' : formatNumber(found.ratio.median) + markOf(found, results)
  }
  return [
    ['times less than `ws`', ...servers],
    ...shown.map(({ name }) => [`[${name}](#${name})`, ...servers.map((server) => cell(name, server))]),
  ]
}

/** Which runs these results came from, and what is to be said against them. */
function provenance(results: readonly Result[], runs: readonly Origin[]): string {
  const of = originsOf(results)
  const lines = of.map((origin) => {
    const text = JSON.stringify(origin)
    const number = 1 + runs.findIndex((run) => JSON.stringify(run) === text)
    const own = results.filter((result) => JSON.stringify(result.origin) === text)
    const who = of.length > 1 ? `${[...new Set(own.map(({ server }) => server))].join(', ')}: ` : ''
    const { rounds, timing, date, commit } = origin
    return `${who}[run ${number}](#run-${number}), ${rounds} ${timing} rounds, ${date}, commit ${commit}.`
  })
  return [...lines, disturbance(results)].filter(Boolean).join(' ')
}

function workloadPart(workload: Workload, results: readonly Result[], runs: readonly Origin[]): string[] {
  const { name, title } = workload
  const own = results.filter((result) => result.workload === name)
  const table = workloadTable(workload, own)
  return [
    `### ${name}`,
    `![${title}](performance/${name}.svg)`,
    markdownTable(table),
    ...footnotes(table),
    ...own.flatMap(({ server, skipped }) =>
      skipped === undefined ? [] : [`${server} is left out: ${skipped.split('\n')[0]}.`],
    ),
    provenance(own, runs),
  ]
}

function curveParts(results: readonly Result[], runs: readonly Origin[]): string[] {
  const shown = measuredCurves(results)
  if (shown.length === 0) return []
  return [
    '## How cost grows',
    'CPU per message in microseconds; "late" is how late the event loop was in milliseconds, at the 99th percentile and at most.',
    ...shown.flatMap((curve) => {
      const names = curve.points.map(({ workload }) => workload.name)
      const own = results.filter(({ workload }) => names.includes(workload))
      const table = curveTable(curve, results)
      return [
        `### Against ${curve.xTitle}`,
        `![${curve.title}](performance/curve-${curve.name}.svg)`,
        markdownTable(table),
        ...footnotes(table),
        provenance(own, runs),
      ]
    }),
  ]
}

function profileParts(results: readonly Result[], runs: readonly Origin[]): string[] {
  const table = profileTable(results)
  if (table.length === 1) return []
  const own = results.filter(isProfile)
  return ['## Where the time goes', profiling, markdownTable(table), provenance(own, runs)]
}

/** What the figures above come from. */
function runParts(runs: readonly Origin[]): string[] {
  if (runs.length === 0) return []
  return [
    '## Runs',
    ...runs.flatMap(({ rounds, timing, date, commit, command, machine, versions }, at) => [
      `### Run ${at + 1}`,
      `${date}, commit ${commit}, ${rounds} ${timing} rounds: \`${command}\``,
      `On ${machine}. Versions: ${versions.join(', ')}.`,
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
