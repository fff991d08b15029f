// What a process has used, as Linux tells it: the same way for every server, whatever it is written in.
import { readdirSync, readFileSync } from 'node:fs'

/**
 * Nanoseconds of CPU, user and system, of all threads that live. The scheduler counts them exactly; where it does
 * not tell, the ticks of the process do, to 10 ms.
 */
export function cpuOf(pid: number): number {
  try {
    let total = 0
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      total += Number.parseInt(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'latin1'), 10)
    }
    return total
  } catch {
    const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ') ?? []
    return (Number(fields[11]) + Number(fields[12])) * 1e7
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
  const limit = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1]
  return limit === undefined ? Number.POSITIVE_INFINITY : Number(limit)
}
