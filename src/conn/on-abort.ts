import { setMaxListeners } from 'node:events'

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
  // One signal that stops all connections of a server is no leak, but Node warns of more than ten listeners.
  setMaxListeners(0, signal)
  signal.addEventListener('abort', callback, { once: true })
  return () => signal.removeEventListener('abort', callback)
}
