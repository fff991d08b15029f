// Many runs, some at a time, with a look at what they leave behind.

import { getEventListeners, setMaxListeners } from 'node:events'
import { assertNoLeaks, keepWhatIsThere } from '../leaks.ts'
import { type RunResult, runOnce } from './run-once.ts'

/** What came of them. */
export interface Summary {
  readonly runs: number
  readonly seconds: number
  /** How many runs there were of each kind, and how many connection ends of each kind. */
  readonly kinds: ReadonlyMap<string, number>
  readonly ends: ReadonlyMap<string, number>
  readonly accepted: number
  readonly delivered: number
}

/** A run that failed: its number and seed make it again. */
export class RunFailure extends Error {
  readonly index: number

  constructor(seed: number, index: number, cause: unknown) {
    const why = cause instanceof Error ? (cause.stack ?? cause.message) : String(cause)
    super(`run ${index} of seed ${seed}: npm run faults -- --seed ${seed} --only ${index}\n${why}`, { cause })
    this.name = 'RunFailure'
    this.index = index
  }
}

/** Which runs, and how. */
export interface Runs {
  readonly seed: number
  readonly count: number
  /** How many at a time. Default 40. */
  readonly concurrency?: number
  /** Between two looks at what is left. Default 250. */
  readonly batch?: number
  readonly onProgress?: (done: number) => void
  readonly signal?: AbortSignal
}

/** Counts the intervals that run: the wheel of deadlines has one as long as any connection has a deadline. */
function countIntervals(): { running(): number; restore(): void } {
  const { setInterval: set, clearInterval: clear } = globalThis
  const running = new Set<unknown>()
  const counting = (...args: Parameters<typeof set>): NodeJS.Timeout => {
    const timer = set(...args)
    running.add(timer)
    return timer
  }
  globalThis.setInterval = Object.assign(counting, set)
  globalThis.clearInterval = (timer) => {
    running.delete(timer)
    clear(timer)
  }
  return {
    running: () => running.size,
    restore() {
      globalThis.setInterval = set
      globalThis.clearInterval = clear
    },
  }
}

/** @throws RunFailure for the first run that fails, or an Error that says what was left behind */
export async function runMany(options: Runs): Promise<Summary> {
  const { seed, count, concurrency = 40, batch = 250, onProgress, signal } = options
  const start = performance.now()
  const kinds = new Map<string, number>()
  const ends = new Map<string, number>()
  let accepted = 0
  let delivered = 0
  let done = 0
  const warnings: Error[] = []
  const onWarning = (warning: Error): void => void warnings.push(warning)
  process.on('warning', onWarning)
  const intervals = countIntervals()
  keepWhatIsThere()
  // Every other run uses it, as a program has one signal for all that it does.
  const lasting = new AbortController().signal
  setMaxListeners(0, lasting)
  const take = (result: RunResult): void => {
    kinds.set(result.kind, (kinds.get(result.kind) ?? 0) + 1)
    for (const end of result.ends) ends.set(end, (ends.get(end) ?? 0) + 1)
    accepted += result.accepted
    delivered += result.delivered
    done++
    onProgress?.(done)
  }
  try {
    for (let first = 0; first < count && signal?.aborted !== true; first += batch) {
      let next = first
      const last = Math.min(first + batch, count)
      const failures: RunFailure[] = []
      const worker = async (): Promise<void> => {
        while (next < last && failures.length === 0 && signal?.aborted !== true) {
          const index = next++
          await runOnce(seed, index, index % 2 === 0 ? lasting : undefined).then(take, (error: unknown) => {
            failures.push(new RunFailure(seed, index, error))
          })
        }
      }
      await Promise.all(Array.from({ length: concurrency }, worker))
      // The first by number, so that the same seed fails the same way.
      const [failure] = failures.sort((a, b) => a.index - b.index)
      if (failure !== undefined) throw failure
      await assertNoLeaks()
      const listeners = getEventListeners(lasting, 'abort').length
      if (listeners > 0) throw new Error(`${listeners} listeners are left on a signal`)
      if (intervals.running() > 0) throw new Error('a deadline is left on the wheel')
      if (warnings.length > 0) throw warnings[0]
    }
  } finally {
    intervals.restore()
    process.off('warning', onWarning)
  }
  return { runs: done, seconds: (performance.now() - start) / 1000, kinds, ends, accepted, delivered }
}
