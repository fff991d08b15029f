// Finds what a test file leaves behind: sockets, servers, child processes, timers, deadlines, listeners.
import assert from 'node:assert/strict'
import { hasSubscribers } from 'node:diagnostics_channel'
import { Server } from 'node:net'
import { setImmediate, setTimeout as sleep } from 'node:timers/promises'
import { processWheel } from '../src/conn/timer-wheel.ts'

/** What the event loop is kept alive by: `TCPSocketWrap` -> 2. */
function countResources(): Map<string, number> {
  const counts = new Map<string, number>()
  for (const name of process.getActiveResourcesInfo()) {
    // Reads of the loader and of the test runner, which come to an end by themselves.
    if (!name.startsWith('FSReq')) counts.set(name, (counts.get(name) ?? 0) + 1)
  }
  return counts
}

// Both streams open lazily; a test's first output must not look like a leaked pipe.
process.stdout.fd
process.stderr.fd
const baseline = countResources()

/** Where a call came from: the first place that is neither here nor in `skipped`; `undefined` where that is in Node. */
function caller(skipped: string): string | undefined {
  const frames = new Error('where').stack?.split('\n').slice(2) ?? []
  const frame = frames.find((line) => !line.includes(import.meta.filename) && !line.includes(skipped))
  return frame === undefined || /node:|node_modules/.test(frame) ? undefined : frame.trim()
}

/** What was put where the event loop does not count it, with a test of whether it is still there. */
const watched = new Set<{ readonly what: string; isThere(): boolean }>()

// Listeners of the process, but for those of Node and of the test runner.
process.on('newListener', (event, listener) => {
  const where = caller('node:events')
  if (where === undefined) return
  const isThere = (): boolean => process.listeners(event as 'exit').includes(listener as () => void)
  watched.add({ what: `listener for ${String(event)} of the process, ${where}`, isThere })
})

// Servers, referenced or not.
const { listen } = Server.prototype
Server.prototype.listen = function (this: Server, ...args: unknown[]) {
  watched.add({ what: 'server that listens', isThere: () => this.listening })
  return Reflect.apply(listen, this, args)
} as typeof listen

// Timers that do not keep the process alive. Those that have fired or were cleared are marked so by Node alone.
const sample = setTimeout(() => {}, 0)
clearTimeout(sample)
const timers = Object.getPrototypeOf(sample) as NodeJS.Timeout
const { unref } = timers
timers.unref = function (this: NodeJS.Timeout) {
  const where = caller('node:internal/timers')
  const timer = this as NodeJS.Timeout & { readonly _destroyed?: boolean }
  if (where !== undefined) {
    const entry = { what: `unreferenced timer, ${where}`, isThere: () => timer._destroyed === false }
    for (const other of watched) if (!other.isThere()) watched.delete(other)
    watched.add(entry)
  }
  return unref.call(this)
}

const channels = ['open', 'close', 'error', 'refuse', 'dial-error', 'accept-error'].map(
  (name) => `silverback:${name}`,
)

/** `TCPSocketWrap (2), Timeout (1)`: what there is now beyond the time when this module was loaded. */
function leaks(): string {
  const counts = new Map<string, number>()
  const add = (what: string, count = 1): void => void counts.set(what, (counts.get(what) ?? 0) + count)
  for (const [name, count] of countResources()) add(name, Math.max(0, count - (baseline.get(name) ?? 0)))
  for (const { what, isThere } of watched) if (isThere()) add(what)
  add('deadline of the wheel', processWheel.size)
  for (const name of channels) if (hasSubscribers(name)) add(`subscriber of ${name}`)
  return [...counts]
    .filter(([, count]) => count > 0)
    .map(([name, count]) => `${name} (${count})`)
    .join(', ')
}

/** What a program has put there on purpose does not count from now on. */
export function keepWhatIsThere(): void {
  watched.clear()
}

/**
 * Fails when something is left that was not there when this module was loaded: what keeps the process alive, and what
 * does not, namely servers and timers that are unreferenced, listeners of the process, subscribers of our diagnostics
 * channels and deadlines of the process's wheel. What is just closing gets `within` milliseconds, 2000 by default, to be
 * gone. A socket that is unreferenced is not seen.
 *
 * As the last hook of a file: `after(() => assertNoLeaks())`.
 */
export async function assertNoLeaks(within = 2000): Promise<void> {
  const deadline = performance.now() + within
  for (let left = leaks(); left !== ''; left = leaks()) {
    if (performance.now() > deadline) assert.fail(`left behind: ${left}`)
    await sleep(10)
    // The timer that has just fired still counts until its turn of the event loop is over.
    await setImmediate()
  }
}
