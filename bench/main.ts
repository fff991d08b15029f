// The benchmark itself: see bench/README.md. `npm run bench` prepares what it needs and starts it on a core of its own.
import { writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { choose, help, OptionError, readOptions } from './options.ts'
import { Progress } from './progress.ts'
import { type Plan, runPlan, stepsOf } from './rounds.ts'
import { builtEntry, contestantsOf } from './servers.ts'
import { disturbance, plainTable, workloadTable } from './tables.ts'
import { targetServers, targetTable, targetWorkloads } from './targets.ts'
import { workloads as allWorkloads } from './workloads.ts'

const timings = { full: { warm: 1000, measure: 2500 }, quick: { warm: 500, measure: 1000 } } as const

async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2))
  if (options.help) return console.log(help)
  const contestants = contestantsOf({
    entry: options.entry === undefined ? builtEntry : resolve(options.entry),
    before: options.before && join(resolve(options.before), 'dist/index.js'),
  })
  if (options.list) {
    for (const { name, title } of allWorkloads) console.log(`workload  ${name.padEnd(18)}  ${title}`)
    for (const { name, title } of contestants) console.log(`server    ${name.padEnd(18)}  ${title}`)
    return
  }
  const plan: Plan = {
    workloads: choose(
      allWorkloads,
      options.workloads ?? (options.targets ? targetWorkloads : undefined),
      '--workload',
    ),
    contestants: choose(
      contestants,
      options.servers ?? (options.targets ? targetServers : undefined),
      '--server',
    ),
    rounds: options.rounds,
    timing: options.quick ? timings.quick : timings.full,
    core:
      process.env['SILVERBACK_BENCH_CORE'] === undefined
        ? undefined
        : Number(process.env['SILVERBACK_BENCH_CORE']),
  }
  const results = await runPlan(plan, new Progress(stepsOf(plan)))
  for (const workload of plan.workloads) {
    console.log(`\n${workload.title} (${workload.name})`)
    console.log(plainTable(workloadTable(workload, results)))
    const doubt = disturbance(workload.name, results)
    if (doubt !== undefined) console.log(doubt)
  }
  const reached = targetTable(results)
  if (reached.length > 1) console.log(`\nTargets\n${plainTable(reached)}`)
  if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(results, undefined, 2)}\n`)
}

await main().catch((error) => {
  console.error(error instanceof OptionError ? error.message : error)
  process.exitCode = 1
})
