// What a process has used, as Linux tells it: the same way for every server, whatever it is written in.
import { readdirSync, readFileSync } from 'node:fs'

/** Only Linux tells all that is asked for here. */
export const canMeasure: boolean = process.platform === 'linux'

/** Nanoseconds of CPU, user and system, of all threads; and of the first thread waiting for a core. */
export interface CpuUse {
  readonly used: number
  readonly waited: number
}

/**
 * What all threads have used that live. The scheduler counts it exactly; where it does not tell, the ticks of the
 * process do, to 10 ms.
 */
export function cpuOf(pid: number): CpuUse {
  try {
    let [used, waited] = [0, 0]
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      const fields = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'latin1').split(' ')
      used += Number(fields[0])
      if (Number(thread) === pid) waited = Number(fields[1])
    }
    return { used, waited }
  } catch {
    const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ') ?? []
    return { used: (Number(fields[11]) + Number(fields[12])) * 1e7, waited: 0 }
  }
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
