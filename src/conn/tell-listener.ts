import { printFailure } from './print-failure.ts'

/**
 * Calls a listener of the application's. What it throws, or rejects with, is printed: it must neither keep us from what
 * is to be done nor end the process.
 */
export function tellListener(name: string, call: () => unknown): void {
  const onFailed = (error: unknown): void => printFailure(`${name} failed`, error)
  try {
    Promise.resolve(call()).catch(onFailed)
  } catch (error) {
    onFailed(error)
  }
}
