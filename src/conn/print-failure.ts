import { describeThrown } from '../session/as-error.ts'

/**
 * Prints that code of the application failed, where nobody else is told.
 *
 * @param what - such as `onError failed`
 */
export function printFailure(what: string, thrown: unknown): void {
  try {
    console.error(`silverback: ${what}:`, thrown)
  } catch {
    // What was thrown can throw again when it is looked at.
    console.error(`silverback: ${what}: ${describeThrown(thrown)}`)
  }
}
