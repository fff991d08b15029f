import { isThenable } from './is-thenable.ts'

/**
 * Whether a function of the application's answered with a promise, of whatever make, where it has to answer at once. Nobody
 * waits for that promise: its rejection alone must not end the process.
 *
 * @throws what looking at the answer throws
 */
export function isStrayPromise(answer: unknown): boolean {
  if (!isThenable(answer)) return false
  void ignore(answer)
  return true
}

/** Waits as the language does, which leaves out what the promise may have in place of `then` and `catch`. */
async function ignore(answer: unknown): Promise<void> {
  try {
    await answer
  } catch {
    // Nobody's.
  }
}
