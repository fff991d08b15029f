// Not the global one, which fake timers replace: sending must go on under them.
import { setImmediate } from 'node:timers'

/** Something with output to be written once in this turn of the event loop. */
export interface Flushable {
  flush(): void
}

let dirty: Flushable[] = []

/**
 * Flushes `target` at the end of this turn of the event loop. All that a turn sends on a connection leaves in one
 * write; and because every socket that was readable in the turn is read before, messages of many publishers to one
 * subscriber join too, which a microtask or `nextTick` would not reach.
 */
export function flushSoon(target: Flushable): void {
  if (dirty.push(target) === 1) setImmediate(flushAll)
}

function flushAll(): void {
  const targets = dirty
  dirty = []
  for (const target of targets) target.flush()
}
