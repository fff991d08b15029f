import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** V8's full collection; `undefined` where the engine is another one. */
function collector(): (() => void) | undefined {
  try {
    setFlagsFromString('--expose-gc')
    return runInNewContext('gc') as () => void
  } catch {
    return undefined
  }
}

const collect = collector()

/** Why what is kept cannot be measured here: for the `skip` of a test that does. */
export const unmeasured: string | false = collect === undefined ? 'needs the garbage collector of V8' : false

/** Bytes that the process holds on to: the heap and all buffers, after a full collection. */
export function retainedMemory(): number {
  if (collect === undefined) throw new Error(`the memory of this runtime cannot be measured: ${unmeasured}`)
  collect()
  collect()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}
