import { isThenable } from './is-thenable.ts'

/**
 * Whether a function of the application's answered with a promise, of whatever make, where it has to answer at once. Nobody
 * waits for that promise: its rejection alone must not end the process.
 *
 * @throws what looking at the answer throws
 */
export function isStrayPromise(answer: unknown): boolean {
  if (!isThenable(answer)) return false
  Promise.resolve(answer).catch(() => {})
  return true
}
