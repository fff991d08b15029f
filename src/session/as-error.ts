/**
 * What was thrown, as an error. Anything can be thrown, also what a peer has chosen (`throw message`): an object that
 * cannot be made a string, a proxy whose traps throw, an error whose message is a getter that does.
 */
export function asError(thrown: unknown): Error {
  return isError(thrown) ? thrown : new Error('what was thrown is no Error', { cause: thrown })
}

/** Whether this is an error that can be read like one. Never throws. */
export function isError(thrown: unknown): thrown is Error {
  try {
    return thrown instanceof Error && typeof thrown.message === 'string'
  } catch {
    return false
  }
}

/** What was thrown, in words. Never throws. */
export function describeThrown(thrown: unknown): string {
  try {
    return String(isError(thrown) ? thrown.message : thrown)
  } catch {
    return 'something that cannot be described'
  }
}
