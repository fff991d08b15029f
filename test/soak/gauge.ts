// What a process measures of itself.

import { readdirSync } from 'node:fs'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { Sample } from './verdict.ts'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

/** What is measured in the process itself; the time is its parent's. */
export type Reading = Omit<Sample, 'minutes'>

/** Measures from now on; each call tells what has been since the last. */
export function gauge(connections: () => number): () => Reading {
  const histogram = monitorEventLoopDelay({ resolution: 10 })
  histogram.enable()
  return () => {
    // It counts what it waits for by itself, its resolution.
    const delay = Math.max(0, histogram.percentile(99) / 1e6 - 10)
    collect()
    const { rss, heapUsed, external } = process.memoryUsage()
    const reading = {
      rss,
      heap: heapUsed,
      external,
      delay,
      files: readdirSync('/proc/self/fd').length,
      connections: connections(),
    }
    // The collection above is this program's own delay, which comes behind it.
    setImmediate(() => histogram.reset())
    return reading
  }
}
