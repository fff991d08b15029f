import { setMaxListeners } from 'node:events'

/** Any number of listeners is fine: Node warns of more than ten. */
export function expectListeners(target: EventTarget): void {
  try {
    setMaxListeners(0, target)
  } catch {
    // An EventTarget of another make, such as that of jsdom, is none to Node, and does not warn.
  }
}
