// What the runtime had when this was loaded. An application may put its own in the place of a global later, as jsdom and
// fake timers do: the classes of the web must not then take theirs for those of the web platform here, nor stand still.

/** The runtime's `Event`. */
export const RuntimeEvent: typeof Event = Event
/** The runtime's `MessageEvent`. */
export const RuntimeMessageEvent: typeof MessageEvent = MessageEvent
/** The runtime's `Blob`. */
export const RuntimeBlob: typeof Blob = Blob
/** The runtime's `URL`. */
export const RuntimeUrl: typeof URL = URL
/** The runtime's `DOMException`. */
export const RuntimeDomException: typeof DOMException = DOMException
/** The runtime's `AbortController`. */
export const RuntimeAbortController: typeof AbortController = AbortController
/** Runs in a task of its own. */
export const inTask: typeof setImmediate = setImmediate
/** Takes a task of {@link inTask} back. */
export const cancelTask: typeof clearImmediate = clearImmediate
/** As `setTimeout`. */
export const after: typeof setTimeout = setTimeout
/** Takes back what {@link after} would do. */
export const cancelAfter: typeof clearTimeout = clearTimeout

const RuntimeAbortSignal = AbortSignal

/** Whether this is a signal: of the runtime, or of what has taken its place. */
export function isAbortSignal(value: unknown): value is AbortSignal {
  return value instanceof RuntimeAbortSignal || value instanceof AbortSignal
}

// What a class that extends Blob says of itself is not what a Blob has.
const { arrayBuffer } = RuntimeBlob.prototype
const sizeOf = Object.getOwnPropertyDescriptor(RuntimeBlob.prototype, 'size')?.get as (this: Blob) => number

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
    return new Uint8Array(await Reflect.apply(arrayBuffer, blob, []))
  } catch {
    return undefined
  }
}
