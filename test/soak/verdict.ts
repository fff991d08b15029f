// Whether something grows that should not.

/** What is measured of a process at one time. Bytes, milliseconds, numbers. */
export interface Sample {
  /** Minutes since the beginning. */
  readonly minutes: number
  readonly rss: number
  /** Used of the heap behind a full collection. */
  readonly heap: number
  /** Memory outside of the heap that it holds: buffers, zlib. */
  readonly external: number
  /** The 99th percentile of the event loop's delay since the sample before. */
  readonly delay: number
  readonly files: number
  readonly connections: number
}

/** What is judged, and what it may grow by over the last two thirds of a run: the larger of a part and an amount. */
export interface Bound {
  readonly metric: 'rss' | 'heap' | 'external' | 'delay' | 'files'
  readonly part: number
  readonly amount: number
}

const MiB = 1024 * 1024

/**
 * Behind the first third all code is compiled and all connections have been there. What a process needs then goes up
 * and down; the system gives memory back late, so RSS is allowed more.
 */
export const bounds: readonly Bound[] = [
  { metric: 'heap', part: 0.1, amount: 6 * MiB },
  { metric: 'external', part: 0.25, amount: 12 * MiB },
  { metric: 'rss', part: 0.2, amount: 32 * MiB },
  { metric: 'files', part: 0.1, amount: 25 },
  { metric: 'delay', part: 0.5, amount: 150 },
]

/** How much one measure has grown, and whether that is too much. */
export interface Growth {
  readonly metric: Bound['metric']
  /** The middle value of the last two thirds. */
  readonly median: number
  /** The slope of the last two thirds times their length. */
  readonly growth: number
  readonly most: number
  readonly ok: boolean
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  const [low = 0, high = 0] = [sorted[sorted.length % 2 === 0 ? middle - 1 : middle], sorted[middle]]
  return (low + high) / 2
}

/** The slope that half of all pairs of points exceed (Theil and Sen): a few outliers do not move it. */
export function slope(points: readonly (readonly [x: number, y: number])[]): number {
  const slopes: number[] = []
  for (const [i, [x, y]] of points.entries())
    for (const [otherX, otherY] of points.slice(i + 1))
      if (otherX !== x) slopes.push((otherY - y) / (otherX - x))
  return median(slopes)
}

/** Judges the last two thirds of the samples. */
export function judgeGrowth(samples: readonly Sample[]): Growth[] {
  const late = samples.slice(Math.floor(samples.length / 3))
  const [first, last] = [late[0], late.at(-1)]
  const length = first === undefined || last === undefined ? 0 : last.minutes - first.minutes
  return bounds.map(({ metric, part, amount }) => {
    const middle = median(late.map((sample) => sample[metric]))
    const growth = slope(late.map((sample) => [sample.minutes, sample[metric]] as const)) * length
    const most = Math.max(part * middle, amount)
    return { metric, median: middle, growth, most, ok: growth <= most }
  })
}

/** What is left of a process once all connections are gone, compared with the time before they came. */
export function judgeRest(before: Sample, after: Sample): string[] {
  const left: string[] = []
  if (after.connections > 0) left.push(`${after.connections} connections are left`)
  if (after.files > before.files + 4) left.push(`${after.files - before.files} files are left open`)
  const kept = after.heap + after.external - before.heap - before.external
  if (kept > 24 * MiB) left.push(`${(kept / MiB).toFixed(1)} MiB are kept`)
  return left
}
