import type { Environment } from './environment.ts'
import type { Sample } from './load.ts'
import type { Series } from './rounds.ts'
import { type Spread, spreadOf } from './stats.ts'
import type { Workload } from './workloads.ts'

export type Metric = keyof Sample

/** How figures came about. */
export interface Origin extends Environment {
  readonly rounds: number
  readonly timing: 'quick' | 'full'
  readonly command: string
}

/** What came of one contestant in one workload, over all rounds. */
export interface Result {
  readonly workload: string
  readonly server: string
  readonly rounds: number
  readonly figures: Readonly<Partial<Record<Metric, Spread>>>
  /** How many times less than `ws` it takes (CPU, or memory where connections are idle), round by round. */
  readonly ratio?: Spread
  /** Why there are no figures. */
  readonly skipped?: string
  readonly origin?: Origin
}

/** Others may have the servers' core for so much of the time. */
export const quiet = 0.1

/** What {@link markOf} means. */
export const footnote =
  '`*`: short rounds (`--quick`), fewer than three, or a machine that was not quiet: for a look, not for a claim.'

/** How much of the time others had the servers' core, at most: all of it, where that is not known. */
export function othersIn({ figures }: Result): number {
  return figures.others?.max ?? 1
}

/** The base of the result's ratio: `ws` in the same run. */
function baseOf({ workload, origin }: Result, results: readonly Result[]): Result | undefined {
  return results.find(
    (result) => result.server === 'ws' && result.workload === workload && result.origin === origin,
  )
}

/** A star for a figure that is good for a look alone. */
export function markOf(result: Result, results: readonly Result[]): '*' | '' {
  const rows = [result, baseOf(result, results) ?? result]
  const doubtful = rows.some(
    (row) => row.origin?.timing === 'quick' || row.rounds < 3 || othersIn(row) >= quiet,
  )
  return doubtful ? '*' : ''
}

/** What two servers are compared by. */
export function mainMetric({ drive }: Pick<Workload, 'drive'>): 'cpuPerMessage' | 'idleBytes' {
  return drive === 'idle' ? 'idleBytes' : 'cpuPerMessage'
}

export function summarize(workload: Workload, all: readonly Series[]): Result[] {
  const metric = mainMetric(workload)
  const base = all.find(
    ({ contestant, skipped }) => contestant.name === 'ws' && skipped === undefined,
  )?.samples
  return all.map(({ contestant, samples, skipped }) => {
    const result = { workload: workload.name, server: contestant.name }
    if (skipped !== undefined) return { ...result, rounds: 0, figures: {}, skipped }
    const ratio =
      base &&
      spreadOf(samples.map((sample, round) => metricOf(base[round], metric) / metricOf(sample, metric)))
    return { ...result, rounds: samples.length, figures: figuresOf(samples), ...(ratio && { ratio }) }
  })
}

function metricOf(sample: Sample | undefined, metric: Metric): number {
  return sample?.[metric] ?? Number.NaN
}

function figuresOf(samples: readonly Sample[]): Partial<Record<Metric, Spread>> {
  const metrics = Object.keys(samples[0] ?? {}) as Metric[]
  return Object.fromEntries(
    metrics.map((metric) => [metric, spreadOf(samples.map((sample) => metricOf(sample, metric)))]),
  )
}
