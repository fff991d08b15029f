// Finds out what the main thread of a server on Node does, by V8's own profiler.
import { Session } from 'node:inspector/promises'

/** Microseconds between two samples. */
const interval = 200

/** Native functions, by what they do; V8 gives no file for them, and no name for those of `bufferutil`. */
const natives = {
  inWrite: ['writeBuffer', 'writev', 'writeUtf8String', 'writeLatin1String', 'shutdown', 'close'],
  inZlib: ['writeSync', 'write', 'reset'],
  inLibrary: [''],
}

const session = new Session()

export async function start() {
  session.connect()
  await session.post('Profiler.enable')
  await session.post('Profiler.setSamplingInterval', { interval })
  await session.post('Profiler.start')
}

/** Shares of the time in which the thread was not idle. */
export async function shares() {
  const { profile } = await session.post('Profiler.stop')
  session.disconnect()
  const kinds = new Map(profile.nodes.map(({ id, callFrame }) => [id, kindOf(callFrame)]))
  const times = { inWrite: 0, inRest: 0, inGc: 0, inZlib: 0, inNode: 0, inLibrary: 0 }
  let total = 0
  for (const [at, id] of profile.samples.entries()) {
    const kind = kinds.get(id)
    if (kind === undefined) continue
    times[kind] += profile.timeDeltas[at]
    total += profile.timeDeltas[at]
  }
  return Object.fromEntries(Object.entries(times).map(([kind, time]) => [kind, time / total]))
}

/** @returns `undefined` for what is none of the server's work: doing nothing, and the profiler */
function kindOf({ functionName, url }) {
  if (functionName === '(idle)' || (functionName === 'dispatch' && url === '')) return undefined
  if (functionName === '(program)' || functionName === '(root)') return 'inRest'
  if (functionName === '(garbage collector)') return 'inGc'
  if (url.startsWith('node:')) return 'inNode'
  if (url !== '') return 'inLibrary'
  return Object.keys(natives).find((kind) => natives[kind].includes(functionName)) ?? 'inNode'
}
