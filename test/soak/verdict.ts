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

/** With fewer samples no growth is judged: a line through a few points says nothing. */
const enoughSamples = 12
/** Connections times minutes from which on each kind of work is done so often that a third without it is a fault. */
const enoughWork = 100

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

/** Whether so many samples of a process are enough for a verdict. */
export function isEnough(samples: number): boolean {
  return samples >= enoughSamples
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

/** What a process has done so far, by name. */
export type Counts = Readonly<Record<string, number>>

/** What goes on in every third of a run of some length. */
const work: Readonly<Record<'server' | 'clients', readonly string[]>> = {
  server: ['accepted', 'received', 'sent', 'broadcasts', 'skipped'],
  clients: ['dialed', 'echoes', 'streams', 'news', 'closed', 'terminated', 'aborted', 'slept'],
}

/**
 * What was not done that should have been: a run in which nothing happens proves nothing.
 *
 * @param history - the counts at each sample
 * @param load - connections times minutes; below {@link enoughWork} a kind of work has to be done once at least
 */
export function judgeWork(side: 'server' | 'clients', history: readonly Counts[], load: number): string[] {
  const thirds = load < enoughWork ? 1 : 3
  const at = (third: number, name: string): number =>
    third === 0 ? 0 : (history[Math.ceil((third * history.length) / thirds) - 1]?.[name] ?? 0)
  return work[side].flatMap((name) => {
    const idle = Array.from({ length: thirds }, (_, third) => third + 1).find(
      (third) => !(at(third, name) > at(third - 1, name)),
    )
    if (idle === undefined) return []
    return `${side}: no ${name}${thirds === 1 ? '' : ` in third ${idle} of the run`}`
  })
}
