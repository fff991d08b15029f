import { expectListeners } from './expect-listeners.ts'

/**
 * Calls back when the signal is aborted, at once if it is already.
 *
 * @returns what stops listening
 */
export function onAbort(signal: AbortSignal, callback: () => void): () => void {
  if (signal.aborted) {
    callback()
    return () => {}
  }
  // One signal that stops all connections of a server is no leak.
  expectListeners(signal)
  signal.addEventListener('abort', callback, { once: true })
  return () => signal.removeEventListener('abort', callback)
}
