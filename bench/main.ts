// The benchmark itself: see README.md. `npm run bench` prepares what it needs and starts it on a core of its own.
import { writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { curveServers, curves, curveTable } from './curves.ts'
import { describeEnvironment } from './environment.ts'
import { keepMicros, lastMicros, microTable, runMicros } from './history.ts'
import type { Timing } from './load.ts'
import { type BenchOptions, choose, commandOf, help, OptionError, readOptions } from './options.ts'
import { writeFigures } from './page.ts'
import { profiled, profileServers, profileTable, profileWorkloads } from './profile.ts'
import { Progress } from './progress.ts'
import type { Origin, Result } from './results.ts'
import { type Plan, runPlan, stepsOf } from './rounds.ts'
import { builtEntry, type Contestant, contestantsOf } from './servers.ts'
import { disturbance, footnotes, plainTable, type Table, workloadTable } from './tables.ts'
import { targetServers, targetTable, targetWorkloads } from './targets.ts'
import { canMeasure } from './usage.ts'
import { workloads } from './workloads.ts'

const timings = { full: { warm: 700, measure: 1500 }, quick: { warm: 400, measure: 800 } } as const

const givenCore = process.env['SILVERBACK_BENCH_CORE']
const core = givenCore === undefined ? undefined : Number(givenCore)

function list(contestants: readonly Contestant[]): void {
  const line = (kind: string, name: string, title: string): string => `${kind}  ${name.padEnd(18)}  ${title}`
  for (const { name, title } of workloads) console.log(line('workload', name, title))
  for (const { name, title } of contestants) console.log(line('server  ', name, title))
}

function planOf(
  given: Omit<Plan, 'rounds' | 'core' | 'timing'>,
  options: BenchOptions,
  extra: Pick<Timing, 'watch' | 'profile'> = {},
): Plan {
  const plan: Plan = {
    ...given,
    rounds: options.rounds,
    timing: { ...timings[timingOf(options)], ...extra },
    core,
  }
  if (stepsOf(plan) === 0) throw new OptionError('None of these servers can do any of these workloads.')
  return plan
}

const timingOf = ({ quick }: BenchOptions): keyof typeof timings => (quick ? 'quick' : 'full')

function workloadPlan(options: BenchOptions, all: readonly Contestant[]): Plan {
  const { targets } = options
  const names = options.workloads ?? (targets ? targetWorkloads : undefined)
  const servers = options.servers ?? (targets ? targetServers : undefined)
  const contestants = choose(all, servers, '--server')
  return planOf({ workloads: choose(workloads, names, '--workload'), contestants }, options)
}

function curvePlan(options: BenchOptions, all: readonly Contestant[]): Plan {
  const shown = all.filter(({ name }) => curveServers.includes(name))
  const points = curves.flatMap((curve) => curve.points.map(({ workload }) => workload))
  const contestants = choose(shown, options.servers, '--server with --curves')
  return planOf({ workloads: points, contestants }, options, { watch: true })
}

function profilePlan(options: BenchOptions, all: readonly Contestant[]): Plan {
  const shown = all.filter(({ name }) => profileServers.includes(name))
  const chosen = choose(profileWorkloads, options.workloads, '--workload with --profile').map(profiled)
  const contestants = choose(shown, options.servers, '--server with --profile')
  return planOf({ workloads: chosen, contestants }, options, { profile: true })
}

/** What is done with the results of a workload at once: a run that is stopped has told what it knew. */
type Keep = (results: readonly Result[]) => readonly Result[]

function show(title: string, table: Table): void {
  const notes = [plainTable(table), ...footnotes(table)].join('\n')
  console.log(`\n${title}\n${notes.replaceAll('`', '')}`)
}

async function runWorkloads(plan: Plan, keep: Keep): Promise<void> {
  const all: Result[] = []
  await runPlan(plan, new Progress(stepsOf(plan)), (workload, measured) => {
    const results = keep(measured)
    all.push(...results)
    show(`${workload.title} (${workload.name})`, workloadTable(workload, results))
    const doubt = disturbance(results)
    if (doubt !== undefined) console.log(doubt)
  })
  const reached = targetTable(all)
  if (reached.length > 1) show('Targets', reached)
}

async function runCurves(plan: Plan, keep: Keep): Promise<void> {
  const results = keep(await runPlan(plan, new Progress(stepsOf(plan))))
  for (const curve of curves) show(curve.title, curveTable(curve, results))
  const doubt = disturbance(results)
  if (doubt !== undefined) console.log(doubt)
}

async function runProfiles(plan: Plan, keep: Keep): Promise<void> {
  const results = keep(await runPlan(plan, new Progress(stepsOf(plan))))
  show('Where the time goes', profileTable(results))
}

/** Those that should have been measured, and were not. */
function missing(results: readonly Result[], { servers, targets }: BenchOptions): readonly Result[] {
  const named = servers ?? (targets ? targetServers : [])
  const isOwn = (server: string): boolean => server.startsWith('silverback') || server === 'before'
  return results.filter(
    ({ server, skipped }) => skipped !== undefined && (named.includes(server) || isOwn(server)),
  )
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
  const { parts, rounds, write, json } = options
  const wanted = parts.includes('workloads') ? workloadPlan(options, contestants) : undefined
  const growth = parts.includes('curves') ? curvePlan(options, contestants) : undefined
  const profiles = parts.includes('profile') ? profilePlan(options, contestants) : undefined
  if (options.check) return

  const docs = fileURLToPath(new URL('../docs', import.meta.url))
  const environment = describeEnvironment()
  const origin: Origin = { ...environment, rounds, timing: timingOf(options), command: commandOf(args) }
  const all: Result[] = []
  const keep: Keep = (measured) => {
    const results = measured.map((result) => ({ ...result, origin }))
    all.push(...results)
    if (write) writeFigures(docs, results)
    return results
  }
  if (wanted !== undefined) await runWorkloads(wanted, keep)
  if (growth !== undefined) await runCurves(growth, keep)
  if (profiles !== undefined) await runProfiles(profiles, keep)
  if (parts.includes('micro')) {
    const last = lastMicros()
    const run = runMicros(entry, environment, core)
    keepMicros(run, entry)
    show('Parts of the engine', microTable(run, last))
  }
  if (json !== undefined) writeFileSync(json, `${JSON.stringify(all, undefined, 2)}\n`)
  // The parts of the engine are in the document, too.
  keep([])
  if (write) console.log('\ndocs/performance.md is written')
  const lost = missing(all, options)
  if (lost.length === 0) return
  process.exitCode = 1
  console.error(`\nLeft out: ${lost.map(({ workload, server }) => `${server} in ${workload}`).join(', ')}`)
}

await main(process.argv.slice(2)).catch((error) => {
  console.error(error instanceof OptionError ? error.message : error)
  process.exitCode = 1
})
