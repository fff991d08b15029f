/** Nobody need wait for a promise: its rejection alone must not end the process. */
export function silent<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {})
  return promise
}
