// Finds what a test file leaves behind: sockets, servers, child processes, timers, deadlines, listeners.
import assert from 'node:assert/strict'
import { ChildProcess } from 'node:child_process'
import { hasSubscribers } from 'node:diagnostics_channel'
import { syncBuiltinESMExports } from 'node:module'
import { Server } from 'node:net'
import timersPromises, { setTimeout as liveSleep, setImmediate } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import workerThreads from 'node:worker_threads'
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
function caller(skipped?: RegExp): string | undefined {
  const frames = new Error('where').stack?.split('\n').slice(2) ?? []
  const frame = frames.find((line) => !line.includes(import.meta.filename) && skipped?.test(line) !== true)
  return frame === undefined || /node:|node_modules/.test(frame) ? undefined : frame.trim()
}

/** What was put where the event loop does not count it, with a test of whether it is still there. */
const watched = new Set<{ readonly what: string; isThere(): boolean }>()

// Listeners of the process, but for those of Node and of the test runner.
process.on('newListener', (event, listener) => {
  const where = caller(/node:events/)
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

// Child processes, referenced or not. The runtime's types leave out how they are started.
const children = ChildProcess.prototype as unknown as { spawn(this: ChildProcess, options: unknown): unknown }
const { spawn } = children
children.spawn = function (options) {
  const where = caller(/node:/)
  const isThere = (): boolean => this.pid !== undefined && this.exitCode === null && this.signalCode === null
  if (where !== undefined) watched.add({ what: `child process, ${where}`, isThere })
  return spawn.call(this, options)
}

// Timers that do not keep the process alive. Those that have fired or were cleared are marked so by Node alone.
const sample = setTimeout(() => {}, 0)
clearTimeout(sample)
const timers = Object.getPrototypeOf(sample) as NodeJS.Timeout
const { refresh, unref } = timers
function watchTimer(timer: NodeJS.Timeout & { readonly _destroyed?: boolean }): void {
  const where = caller(/node:internal\/timers/)
  if (where === undefined) return
  for (const other of watched) if (!other.isThere()) watched.delete(other)
  watched.add({ what: `unreferenced timer, ${where}`, isThere: () => timer._destroyed === false })
}
timers.unref = function (this: NodeJS.Timeout) {
  watchTimer(this)
  return unref.call(this)
}
timers.refresh = function (this: NodeJS.Timeout) {
  const timer = refresh.call(this)
  // One that has fired runs again.
  if (!this.hasRef()) watchTimer(this)
  return timer
}

// Those of timers/promises do not come by `unref`.
const { setTimeout: sleep, setInterval: ticks } = timersPromises
const isQuiet = (options: unknown): boolean => (options as { ref?: unknown } | undefined)?.ref === false
timersPromises.setTimeout = (async (...args: Parameters<typeof sleep>) => {
  const where = isQuiet(args[2]) ? caller(/node:internal\/timers/) : undefined
  if (where === undefined) return sleep(...args)
  const entry = { what: `unreferenced timer of timers/promises, ${where}`, isThere: () => true }
  watched.add(entry)
  return sleep(...args).finally(() => watched.delete(entry))
}) as typeof sleep
timersPromises.setInterval = async function* (...args: Parameters<typeof ticks>) {
  const where = isQuiet(args[2]) ? caller(/node:internal\/timers/) : undefined
  const entry = { what: `unreferenced interval of timers/promises, ${where}`, isThere: () => true }
  if (where !== undefined) watched.add(entry)
  try {
    yield* ticks(...args)
  } finally {
    watched.delete(entry)
  }
} as typeof ticks

/** Collects garbage, where the runtime lets us. */
function collector(): (() => void) | undefined {
  if (process.versions['bun'] !== undefined || process.versions['deno'] !== undefined) return undefined
  setFlagsFromString('--expose-gc')
  return runInNewContext('globalThis.gc') as (() => void) | undefined
}

const collect = collector()

// Workers: the event loop does not count them, though they keep it alive. Only Node lets its own module be changed so.
if (collect !== undefined) {
  const { Worker } = workerThreads
  workerThreads.Worker = class extends Worker {
    constructor(...args: ConstructorParameters<typeof Worker>) {
      super(...args)
      const where = caller()
      if (where !== undefined) watched.add({ what: `worker, ${where}`, isThere: () => this.threadId !== -1 })
    }
  }
}
syncBuiltinESMExports()

// What a signal holds that nobody else has any more is garbage together with it: no reference here may keep it.
const { timeout } = AbortSignal
AbortSignal.timeout = (milliseconds) => {
  const signal = timeout.call(AbortSignal, milliseconds)
  const where = caller()
  const weak = new WeakRef(signal)
  const isThere = (): boolean => weak.deref()?.aborted === false
  if (where !== undefined && collect !== undefined)
    watched.add({ what: `AbortSignal.timeout, ${where}`, isThere })
  return signal
}

interface AbortListener {
  readonly what: string
  readonly signal: WeakRef<AbortSignal>
  readonly listener: WeakRef<object>
  readonly capture: boolean
  /** When this is aborted, the listener is off. */
  readonly until: WeakRef<AbortSignal> | undefined
}

/** By signal, so that they are found when they are taken off. */
const ofSignal = new WeakMap<AbortSignal, AbortListener[]>()
let abortListeners = new Set<AbortListener>()
let nextSweep = 1000

function hears({ signal, listener, until }: AbortListener): boolean {
  return (
    signal.deref()?.aborted === false && listener.deref() !== undefined && until?.deref()?.aborted !== true
  )
}

const { addEventListener, removeEventListener } = EventTarget.prototype
type Listening = Parameters<typeof addEventListener>

function captures(options: unknown): boolean {
  return typeof options === 'object' && options !== null
    ? (options as { capture?: unknown }).capture === true
    : options === true
}

function findListener(signal: AbortSignal, [, listener, options]: Listening): AbortListener | undefined {
  const capture = captures(options)
  return ofSignal.get(signal)?.find((one) => one.listener.deref() === listener && one.capture === capture)
}

function watchListener(signal: AbortSignal, args: Listening): void {
  const [type, listener, options] = args
  if (type !== 'abort' || listener === null || signal.aborted || findListener(signal, args) !== undefined)
    return
  const where = caller(/node:(internal\/)?events/)
  if (where === undefined) return
  const until = typeof options === 'object' ? options?.signal : undefined
  const entry: AbortListener = {
    what: `listener on an AbortSignal, ${where}`,
    signal: new WeakRef(signal),
    listener: new WeakRef(listener),
    capture: captures(options),
    until: until == null ? undefined : new WeakRef(until),
  }
  ofSignal.set(signal, [...(ofSignal.get(signal) ?? []), entry])
  abortListeners.add(entry)
  if (abortListeners.size < nextSweep) return
  abortListeners = new Set([...abortListeners].filter(hears))
  nextSweep = 1000 + 2 * abortListeners.size
}

if (collect !== undefined) {
  EventTarget.prototype.addEventListener = function (...args: Listening) {
    if (this instanceof AbortSignal) watchListener(this, args)
    return addEventListener.apply(this, args)
  }
  EventTarget.prototype.removeEventListener = function (...args: Listening) {
    const entry = this instanceof AbortSignal && args[0] === 'abort' ? findListener(this, args) : undefined
    if (entry !== undefined) {
      abortListeners.delete(entry)
      const left = ofSignal.get(this as AbortSignal)?.filter((one) => one !== entry) ?? []
      ofSignal.set(this as AbortSignal, left)
    }
    return removeEventListener.apply(this, args as Parameters<typeof removeEventListener>)
  }
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
  for (const listener of abortListeners) if (hears(listener)) add(listener.what)
  add('deadline of the wheel', processWheel.size)
  for (const name of channels) if (hasSubscribers(name)) add(`subscriber of ${name}`)
  return [...counts]
    .filter(([, count]) => count > 0)
    .map(([name, count]) => `${name} (${count})`)
    .join(', ')
}

/** Looks that there are at least. */
const TURNS = 4

/** What a program has put there on purpose does not count from now on. */
export function keepWhatIsThere(): void {
  watched.clear()
  abortListeners.clear()
}

/**
 * Fails when something is left that was not there when this module was loaded: what keeps the process alive, and what
 * does not, namely servers, child processes, workers and timers that are unreferenced (also those of `timers/promises`, and
 * `AbortSignal.timeout`), listeners of the process, and for `abort` on signals that somebody still has, subscribers of our diagnostics channels
 * and deadlines of the process's wheel. What is just closing gets `within` milliseconds, 500 by default, to be gone, and
 * some turns of the event loop however slow the machine is.
 *
 * Not seen: a socket (of TCP or UDP), a port or a watcher of files that is unreferenced, an open file descriptor, a zlib
 * object that is not closed, `onabort` of a signal, a timer that fires in that time. Outside of Node what hangs on signals is
 * not seen either, since garbage cannot be told from what somebody has.
 *
 * As the last hook of a file: `after(() => assertNoLeaks())`.
 */
export async function assertNoLeaks(within = 500): Promise<void> {
  const deadline = performance.now() + within
  for (let left = leaks(), turn = 0; left !== ''; left = leaks(), turn++) {
    if (performance.now() > deadline && turn >= TURNS) assert.fail(`left behind: ${left}`)
    await liveSleep(10)
    // The timer that has just fired still counts until its turn of the event loop is over.
    await setImmediate()
    // Takes its time.
    if (turn % 10 === 1) collect?.()
  }
}
