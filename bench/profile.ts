// Where the time goes: what the main thread of servers on Node does while they work, as V8 samples it.
import type { Metric, Result } from './results.ts'
import type { Table } from './tables.ts'
import { targetWorkloads } from './targets.ts'
import { type Workload, workloads } from './workloads.ts'

/** Those whose programs can tell, and whose time is worth knowing. */
export const profileServers: readonly string[] = ['silverback', 'ws', 'ceiling']

/** Workloads that there are targets for, and in which servers have something to do. */
export const profileWorkloads: readonly Workload[] = workloads.filter(
  ({ name, drive }) => targetWorkloads.includes(name) && drive !== 'client' && drive !== 'idle',
)

const prefix = 'profile-'

/** The workload under a name of its own: a profiler slows servers down, and what they take then is not told. */
export function profiled(workload: Workload): Workload {
  return { ...workload, name: prefix + workload.name }
}

/** Whether this tells where the time goes. */
export function isProfile({ workload, rounds }: Result): boolean {
  return workload.startsWith(prefix) && rounds > 0
}

const shares: readonly (readonly [head: string, metric: Metric])[] = [
  ['writing, closing', 'inWrite'],
  ['reading, event loop', 'inRest'],
  ['garbage', 'inGc'],
  ['zlib', 'inZlib'],
  ["Node's JavaScript", 'inNode'],
  ['the library', 'inLibrary'],
]

/** One line for each server that was looked at in each workload. */
export function profileTable(results: readonly Result[]): Table {
  const percent = ({ figures }: Result, metric: Metric): string =>
    figures[metric] === undefined ? '' : `${Math.round(figures[metric].median * 100)} %`
  return [
    ['workload', 'server', ...shares.map(([head]) => head)],
    ...results
      .filter(isProfile)
      .map((result) => [
        result.workload.slice(prefix.length),
        result.server,
        ...shares.map(([, metric]) => percent(result, metric)),
      ]),
  ]
}
