// What was there when this was loaded: an application may put its own in its place later, as jsdom does.
const RuntimeAbortSignal = AbortSignal

/** Whether this is a signal: of the runtime, or of what has taken its place. */
export function isAbortSignal(value: unknown): value is AbortSignal {
  return value instanceof RuntimeAbortSignal || value instanceof AbortSignal
}
