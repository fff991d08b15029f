// The most memory (RSS) that a process has had.
import { readFileSync, writeFileSync } from 'node:fs'

/**
 * Of this process, in bytes. On Linux `resourceUsage().maxRSS` is not it: that keeps, across fork and exec, what the parent
 * had.
 */
export function peakMemory() {
  if (process.platform !== 'linux') return process.resourceUsage().maxRSS * 1024
  const [, kilobytes] = /^VmHWM:\s*(\d+)/m.exec(readFileSync('/proc/self/status', 'latin1')) ?? []
  if (kilobytes === undefined) throw new Error('this system does not tell the peak of the memory')
  return Number(kilobytes) * 1024
}

/** Counts the peak from now on, where the system can; else it stays that of the process. */
export function resetPeakMemory() {
  try {
    writeFileSync('/proc/self/clear_refs', '5')
  } catch {}
}
