import type { Sample, Timing } from './load.ts'
import { measure } from './measure.ts'
import type { Progress } from './progress.ts'
import type { Contestant } from './servers.ts'
import { type Spread, spreadOf } from './stats.ts'
import type { Workload } from './workloads.ts'

/** What came of one contestant in one workload: the samples of all rounds, or why there are none. */
export interface Result {
  readonly workload: string
  readonly server: string
  readonly samples: readonly Sample[]
  readonly skipped?: string
}

export interface Plan {
  readonly workloads: readonly Workload[]
  readonly contestants: readonly Contestant[]
  readonly rounds: number
  readonly timing: Timing
  readonly core: number | undefined
}

/** Measures all in turns (A B C A B C), so that what disturbs the machine for a while disturbs all alike. */
export async function runRounds(plan: Plan, progress: Progress): Promise<Result[]> {
  const results: Result[] = []
  for (const workload of plan.workloads) {
    const able = plan.contestants.filter((contestant) => contestant.can(workload))
    const taken = able.map((contestant) => ({ contestant, samples: [] as Sample[], skipped: '' }))
    for (let round = 1; round <= plan.rounds; round++) {
      for (const one of taken) {
        progress.step(`${workload.name}: ${one.contestant.name}, round ${round}`)
        if (one.skipped !== '') continue
        try {
          one.samples.push(await measure(one.contestant, workload, plan.timing, plan.core))
        } catch (error) {
          one.skipped = (error as Error).message
          progress.note(`${workload.name}: ${one.contestant.name} is left out: ${one.skipped.trimEnd()}`)
        }
      }
    }
    for (const { contestant, samples, skipped } of taken) {
      const result = { workload: workload.name, server: contestant.name }
      results.push(skipped === '' ? { ...result, samples } : { ...result, samples: [], skipped })
    }
  }
  progress.end()
  return results
}

/** How many measurements a plan has. */
export function stepsOf({ workloads, contestants, rounds }: Plan): number {
  const pairs = workloads.flatMap((workload) => contestants.filter((contestant) => contestant.can(workload)))
  return pairs.length * rounds
}

/** One figure over all rounds, or `undefined` where it is not measured. */
export function figure(result: Result, pick: (sample: Sample) => number | undefined): Spread | undefined {
  const values = result.samples.map(pick).filter((value) => value !== undefined)
  return values.length === 0 ? undefined : spreadOf(values)
}
