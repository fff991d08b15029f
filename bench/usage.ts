// What a process has used, as Linux tells it: the same way for every server, whatever it is written in.
import { readdirSync, readFileSync } from 'node:fs'

/** Only Linux tells all that is asked for here. */
export const canMeasure: boolean = process.platform === 'linux'

/** Nanoseconds of CPU, user and system, that a process has used. */
export interface CpuUse {
  /** Of each thread that lives, as the scheduler counts it exactly; empty where that is not known. */
  readonly threads: ReadonlyMap<string, number>
  /** Of all threads that have ever been, to 10 ms. */
  readonly ticks: number
}

const tick = 1e7

export function cpuOf(pid: number): CpuUse {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ') ?? []
  return { threads: threadsOf(pid), ticks: (Number(fields[11]) + Number(fields[12])) * tick }
}

function threadsOf(pid: number): Map<string, number> {
  const used = (thread: string): number =>
    Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'latin1').split(' ')[0])
  try {
    return new Map(readdirSync(`/proc/${pid}/task`).map((thread) => [thread, used(thread)]))
  } catch {
    // One has ended since the folder was read.
    return new Map()
  }
}

/** What was used between two looks. A thread that has ended took its count with it: then the ticks have to do. */
export function usedBetween(before: CpuUse, after: CpuUse): number {
  const known = before.threads.size > 0 && [...before.threads.keys()].every((id) => after.threads.has(id))
  if (!known) return after.ticks - before.ticks
  const total = ({ threads }: CpuUse): number => [...threads.values()].reduce((sum, used) => sum + used, 0)
  return total(after) - total(before)
}

/** Nanoseconds that a core had nothing to do, to 10 ms; `undefined` when there is no such core. */
export function idleOf(core: number): number | undefined {
  const line = new RegExp(`^cpu${core} (.*)`, 'm').exec(readFileSync('/proc/stat', 'latin1'))?.[1]
  const [, , , idle, forDisk] = line?.split(' ').map(Number) ?? []
  return idle === undefined || forDisk === undefined ? undefined : (idle + forDisk) * tick
}

/** Bytes of a process's memory that are in RAM: now, and the most so far. */
export function memoryOf(pid: number): { readonly now: number; readonly peak: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1')
  const kilobytes = (name: string): number => Number(new RegExp(`^${name}:\\s*(\\d+)`, 'm').exec(status)?.[1])
  return { now: kilobytes('VmRSS') * 1024, peak: kilobytes('VmHWM') * 1024 }
}

/** How many files and sockets a process of ours may have open. */
export function maxOpenFiles(): number {
  if (!canMeasure) return Number.POSITIVE_INFINITY
  const limit = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1]
  return limit === undefined ? Number.POSITIVE_INFINITY : Number(limit)
}
