// What Silverback has to reach: how many times less CPU per message than `ws` with `bufferutil` it takes.
import { markOf, type Result } from './results.ts'
import { formatNumber } from './stats.ts'
import type { Table } from './tables.ts'

interface Target {
  readonly workload: string
  readonly server: 'silverback' | 'silverback-bytes' | 'silverback-iter'
  readonly must: number
  readonly moonshot?: number
  /** `times` less than `ws` (more is better), `bytes` per connection, or `cost` of the callback form (less is better). */
  readonly by: 'times' | 'bytes' | 'cost'
}

function times(
  workload: string,
  must: number,
  moonshot: number,
  server: Target['server'] = 'silverback',
): Target {
  return { workload, server, must, moonshot, by: 'times' }
}

export const targets: readonly Target[] = [
  times('echo-1', 1.2, 1.75),
  times('echo-16', 8, 12),
  times('echo-16-text-1k', 4, 6),
  times('echo-16-text-1k', 6, 8.5, 'silverback-bytes'),
  times('echo-64k', 1.25, 1.6),
  times('echo-1m', 1, 1.2),
  times('echo-16m', 1, 1.2),
  times('broadcast-500', 1.2, 1.5),
  times('broadcast-500-16', 15, 20),
  times('deflate', 4, 6.8),
  times('connect', 2, 4),
  { workload: 'idle-10000', server: 'silverback', must: 5300, moonshot: 2200, by: 'bytes' },
  { workload: 'idle-deflate', server: 'silverback', must: 30_000, moonshot: 6000, by: 'bytes' },
  times('client', 5, 8),
  // The form with `for await` must not cost more than so many times the callback form.
  { workload: 'echo-1', server: 'silverback-iter', must: 1.5, by: 'cost' },
  { workload: 'echo-16', server: 'silverback-iter', must: 1.5, by: 'cost' },
  { workload: 'echo-16-text-1k', server: 'silverback-iter', must: 1.5, by: 'cost' },
]

/** What a run on the targets has to measure. */
export const targetServers: readonly string[] = ['silverback', 'silverback-bytes', 'silverback-iter', 'ws']
export const targetWorkloads: readonly string[] = [...new Set(targets.map(({ workload }) => workload))]

/** Only the targets that these results tell of. */
export function targetTable(results: readonly Result[]): Table {
  const rows = targets.flatMap((target) => {
    const [own, callback] = [target.server, 'silverback'].map((name) =>
      results.find((result) => result.workload === target.workload && result.server === name),
    )
    const reached = own && reachedBy(target, own, callback)
    if (reached === undefined) return []
    const rows = [own as Result, ...(target.by === 'cost' ? [callback as Result] : [])]
    return [rowOf(target, reached, rows.some((row) => markOf(row, results) === '*') ? '*' : '')]
  })
  return [['workload', 'server', 'reached', 'must', 'moonshot', ''], ...rows]
}

function reachedBy({ by }: Target, own: Result, callback: Result | undefined): number | undefined {
  if (by === 'times') return own.ratio?.median
  if (by === 'bytes') return own.figures.idleBytes?.median
  // Only within one run.
  if (callback?.origin !== own.origin) return undefined
  const [cost, base] = [own.figures.cpuPerMessage, callback?.figures.cpuPerMessage]
  return cost && base && cost.median / base.median
}

function rowOf({ workload, server, must, moonshot, by }: Target, reached: number, mark: string): string[] {
  const holds = (wanted: number): boolean => (by === 'times' ? reached >= wanted : reached <= wanted)
  const verdict = moonshot !== undefined && holds(moonshot) ? 'moonshot' : holds(must) ? 'reached' : 'missed'
  const unit = { times: 'x', bytes: ' bytes', cost: 'x `onMessage`' }[by]
  const format = (value: number): string => (by === 'times' ? '' : '<= ') + formatNumber(value) + unit
  return [
    workload,
    server,
    formatNumber(reached) + unit + mark,
    format(must),
    moonshot === undefined ? '' : format(moonshot),
    verdict,
  ]
}
