// Ends a fuzzer that does not get on: a loop without an end leaves its own thread no turn to do so, but another.

import { Worker } from 'node:worker_threads'

/** Ends the process when it has not come to another stream for so many seconds, with the number of the one it is at. */
export function watchProgress(
  seed: number,
  seconds: number,
): { at(index: number): void; end(): Promise<unknown> } {
  const index = new Float64Array(new SharedArrayBuffer(8))
  const worker = new Worker(new URL('./fuzz-watchdog.mjs', import.meta.url), {
    workerData: { index, seed, seconds },
    execArgv: [],
  })
  worker.unref()
  return {
    at(value) {
      index[0] = value
    },
    end: () => worker.terminate(),
  }
}
