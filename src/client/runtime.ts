// The globals that were there when this was loaded, where Node has them in no module. An application may put its own in
// their place later, as jsdom does: the classes of the web must not then take theirs for those of the web platform here.
// What Node has in a module is taken from there (`node:timers`, `node:buffer`, `node:url`), and so is Node's own whatever
// was replaced, and when.

import { Blob } from 'node:buffer'

/** The runtime's `Event`. */
export const RuntimeEvent: typeof Event = Event
/** The runtime's `MessageEvent`. */
export const RuntimeMessageEvent: typeof MessageEvent = MessageEvent
/** The runtime's `DOMException`. */
export const RuntimeDomException: typeof DOMException = DOMException
/** The runtime's `AbortController`. */
export const RuntimeAbortController: typeof AbortController = AbortController
/** As `queueMicrotask`. */
export const runtimeMicrotask: typeof queueMicrotask = queueMicrotask

// What a class that extends Blob says of itself is not what a Blob has.
const { arrayBuffer } = Blob.prototype
const sizeOf = Object.getOwnPropertyDescriptor(Blob.prototype, 'size')?.get as (this: Blob) => number

/** The size of a Blob; `undefined` for what is none, whatever its prototype. */
export function blobSize(value: unknown): number | undefined {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return undefined
  try {
    return Reflect.apply(sizeOf, value, [])
  } catch {
    return undefined
  }
}

/** The bytes of a Blob; `undefined` when they cannot be read, such as those of a file that has changed. */
export async function readBlob(blob: Blob): Promise<Uint8Array | undefined> {
  try {
    const bytes = new Uint8Array(await Reflect.apply(arrayBuffer, blob, []))
    // Deno believes a `size` that somebody has set, and fills up with zeros.
    return bytes.subarray(0, blobSize(blob))
  } catch {
    return undefined
  }
}
