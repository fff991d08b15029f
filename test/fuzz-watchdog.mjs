// The thread of fuzz-watch.ts. Threads are not given the loader of TypeScript.
import { writeSync } from 'node:fs'
import { workerData } from 'node:worker_threads'

const { index, seed, seconds } = workerData
let last = index[0]
let turns = 0
// It counts its own turns: a machine that sleeps, or has no time, is not held against the fuzzer.
setInterval(() => {
  turns = index[0] === last ? turns + 1 : 0
  last = index[0]
  if (turns < seconds) return
  // The main thread is not there to write, or to end in order.
  const again = `npm run fuzz -- --seed ${seed} --first ${last} --streams 1`
  writeSync(1, `\nFAILED: stream ${last} of seed ${seed} has no end: ${again}\n`)
  process.kill(process.pid, 'SIGKILL')
}, 1_000)
