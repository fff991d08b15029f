// The benchmark itself: see README.md. `npm run bench` prepares what it needs and starts it on a core of its own.
import { writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { curveServers, curves, curveTable } from './curves.ts'
import { lastMicros, microTable, runMicros } from './history.ts'
import { type BenchOptions, choose, help, OptionError, readOptions } from './options.ts'
import { writeFigures } from './page.ts'
import { Progress } from './progress.ts'
import type { Result } from './results.ts'
import { type Plan, runPlan, stepsOf } from './rounds.ts'
import { builtEntry, type Contestant, contestantsOf } from './servers.ts'
import { disturbance, plainTable, workloadTable } from './tables.ts'
import { targetServers, targetTable, targetWorkloads } from './targets.ts'
import { canMeasure } from './usage.ts'
import { workloads } from './workloads.ts'

const timings = { full: { warm: 700, measure: 1500 }, quick: { warm: 400, measure: 800 } } as const

function list(contestants: readonly Contestant[]): void {
  const line = (kind: string, name: string, title: string): string => `${kind}  ${name.padEnd(18)}  ${title}`
  for (const { name, title } of workloads) console.log(line('workload', name, title))
  for (const { name, title } of contestants) console.log(line('server  ', name, title))
}

function workloadPlan(
  options: BenchOptions,
  contestants: readonly Contestant[],
  core: number | undefined,
): Plan {
  const { targets, rounds, quick } = options
  return {
    workloads: choose(workloads, options.workloads ?? (targets ? targetWorkloads : undefined), '--workload'),
    contestants: choose(contestants, options.servers ?? (targets ? targetServers : undefined), '--server'),
    timing: quick ? timings.quick : timings.full,
    rounds,
    core,
  }
}

function curvePlan(
  options: BenchOptions,
  contestants: readonly Contestant[],
  core: number | undefined,
): Plan {
  return {
    workloads: curves.flatMap(({ points }) => points.map(({ workload }) => workload)),
    contestants: choose(contestants, options.servers ?? curveServers, '--server'),
    timing: { ...timings.quick, watch: true },
    rounds: options.rounds,
    core,
  }
}

/** What is done with the results of a workload at once: a run that is stopped has told what it knew. */
type Keep = (results: readonly Result[]) => void

async function runWorkloads(plan: Plan, keep: Keep): Promise<Result[]> {
  const all = await runPlan(plan, new Progress(stepsOf(plan)), (workload, results) => {
    console.log(`\n${workload.title} (${workload.name})\n${plainTable(workloadTable(workload, results))}`)
    const doubt = disturbance(workload.name, results)
    if (doubt !== undefined) console.log(doubt)
    keep(results)
  })
  const reached = targetTable(all)
  if (reached.length > 1) console.log(`\nTargets\n${plainTable(reached)}`)
  return all
}

async function runCurves(plan: Plan, keep: Keep): Promise<Result[]> {
  const results = await runPlan(plan, new Progress(stepsOf(plan)))
  for (const curve of curves) console.log(`\n${curve.title}\n${plainTable(curveTable(curve, results))}`)
  keep(results)
  return results
}

function micros(entry: string, core: number | undefined): void {
  const before = lastMicros()
  console.log(`\nParts of the engine\n${plainTable(microTable(runMicros(entry, core), before))}`)
}

async function main(args: readonly string[]): Promise<void> {
  const options = readOptions(args)
  if (options.help) return console.log(help)
  const entry = options.entry === undefined ? builtEntry : resolve(options.entry)
  const before = options.before && join(resolve(options.before), 'dist/index.js')
  const contestants = contestantsOf({ entry, before })
  if (options.list) return list(contestants)
  if (!canMeasure)
    throw new OptionError('The benchmark runs on Linux alone: it reads CPU and memory from /proc.')

  const given = process.env['SILVERBACK_BENCH_CORE']
  const core = given === undefined ? undefined : Number(given)
  const { parts, rounds, write } = options
  const docs = fileURLToPath(new URL('../docs', import.meta.url))
  const command = args.length === 0 ? 'npm run bench' : `npm run bench -- ${args.join(' ')}`
  const keep: Keep = (measured) => {
    if (write) writeFigures(docs, measured, rounds, command)
  }
  const results: Result[] = []
  if (parts.includes('workloads'))
    results.push(...(await runWorkloads(workloadPlan(options, contestants, core), keep)))
  if (parts.includes('curves'))
    results.push(...(await runCurves(curvePlan(options, contestants, core), keep)))
  if (parts.includes('micro')) micros(entry, core)
  if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(results, undefined, 2)}\n`)
  // The parts of the engine are in the document, too.
  keep([])
  if (write) console.log('\ndocs/performance.md is written')
}

await main(process.argv.slice(2)).catch((error) => {
  console.error(error instanceof OptionError ? error.message : error)
  process.exitCode = 1
})
