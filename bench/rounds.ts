import type { Sample, Timing } from './load.ts'
import { measure } from './measure.ts'
import type { Progress } from './progress.ts'
import { type Result, summarize } from './results.ts'
import type { Contestant } from './servers.ts'
import type { Workload } from './workloads.ts'

export interface Plan {
  readonly workloads: readonly Workload[]
  readonly contestants: readonly Contestant[]
  readonly rounds: number
  readonly timing: Timing
  /** The core for servers; this process should be on another. */
  readonly core: number | undefined
}

/** The samples of one contestant in one workload, or why it is left out. */
export interface Series {
  readonly contestant: Contestant
  readonly samples: Sample[]
  skipped?: string
}

/** How many measurements a plan has. */
export function stepsOf({ workloads, contestants, rounds }: Plan): number {
  const pairs = workloads.flatMap((workload) => contestants.filter((contestant) => contestant.can(workload)))
  return pairs.length * rounds
}

/**
 * Measures all in turns (A B C A B C), so that what disturbs the machine for a while disturbs all alike.
 *
 * @param onWorkload - gets the results of each workload as soon as it is through
 */
export async function runPlan(
  plan: Plan,
  progress: Progress,
  onWorkload: (workload: Workload, results: readonly Result[]) => void = () => {},
): Promise<Result[]> {
  const all: Result[] = []
  for (const workload of plan.workloads) {
    const results = await runWorkload(workload, plan, progress)
    all.push(...results)
    progress.end()
    onWorkload(workload, results)
  }
  return all
}

async function runWorkload(workload: Workload, plan: Plan, progress: Progress): Promise<Result[]> {
  const able = plan.contestants.filter((contestant) => contestant.can(workload))
  const all: Series[] = able.map((contestant) => ({ contestant, samples: [] }))
  for (let round = 1; round <= plan.rounds; round++) {
    for (const series of all) {
      const { name } = series.contestant
      progress.step(`${workload.name}: ${name}, round ${round}`)
      if (series.skipped !== undefined) continue
      try {
        series.samples.push(await measure(series.contestant, workload, plan.timing, plan.core))
      } catch (error) {
        series.skipped = (error as Error).message.trimEnd()
        progress.note(`${workload.name}: ${name} is left out: ${series.skipped}`)
      }
    }
  }
  return summarize(workload, all)
}
