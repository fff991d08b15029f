import type { Duplex } from 'node:stream'

/**
 * Waits for one event of a stream. A stream that fails, ends, or is given up by the signal is destroyed: whoever waits
 * has no stream left to see to.
 *
 * @throws what the stream's `'error'` says, or the signal's reason
 */
export function streamEvent(stream: Duplex, name: string, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (): void => {
      stream.off(name, onEvent)
      stream.off('error', fail)
      stream.off('close', onClose)
      signal.removeEventListener('abort', onAbort)
    }
    const fail = (error: unknown): void => {
      settle()
      stream.destroy()
      reject(error as Error)
    }
    const onEvent = (): void => {
      settle()
      resolve()
    }
    const onClose = (): void => fail(stream.errored ?? closedEarly())
    const onAbort = (): void => fail(signal.reason)
    if (signal.aborted) return onAbort()
    if (stream.destroyed) return onClose()
    stream.on(name, onEvent)
    stream.on('error', fail)
    stream.on('close', onClose)
    signal.addEventListener('abort', onAbort)
  })
}

/**
 * A stream that is gone says nothing more, and whoever begins to wait for it then waits for ever.
 *
 * @throws why it is gone
 */
export function assertOpen(stream: Duplex): void {
  if (stream.destroyed) throw stream.errored ?? closedEarly()
}

/** As Node calls a connection that ends before it was of use. */
export function closedEarly(): NodeJS.ErrnoException {
  return Object.assign(new Error('the connection was closed'), { code: 'ECONNRESET' })
}

/** A stream whose errors somebody else hears of, or nobody needs to: without a listener they would end the process. */
export function silenceErrors<Stream extends Duplex>(stream: Stream): Stream {
  return stream.on('error', () => {})
}

/**
 * Has a stream that flows, or is paused, wait for the next to listen, as Node leaves one behind an upgrade. Of a stream
 * that stays paused, `node:http` would never hear anything.
 */
export function letFlow(stream: Duplex): void {
  const state: { readableFlowing: boolean | null } = stream
  state.readableFlowing = null
}
