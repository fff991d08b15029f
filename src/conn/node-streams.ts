import type { Readable } from 'node:stream'
import { isError } from '../session/as-error.ts'
import { UsageError } from '../session/errors.ts'
import type { Data } from '../session/message.ts'
import { onAbort } from './on-abort.ts'

/** Ends a stream when the signal is aborted, until it has ended anyway. */
export function destroyOnAbort(stream: Readable, signal: AbortSignal | undefined): void {
  if (signal === undefined) return
  const stop = onAbort(signal, () => void stream.destroy(asError(signal.reason)))
  stream.once('close', stop)
}

/**
 * A peer must not be able to end the process, as an 'error' that nobody listens for would, nor what is piped through a
 * stream: only a mistake of the caller may.
 */
export function surviveErrors(stream: Readable): void {
  stream.on('error', (error) => {
    if (isMistake(stream, error) && stream.listenerCount('error') === 1) throw error
  })
}

function isMistake(stream: Readable, error: Error): boolean {
  if (error instanceof UsageError) return true
  // Once the peer has closed, the stream ends itself, and others may not know it yet.
  return (error as NodeJS.ErrnoException).code === 'ERR_STREAM_WRITE_AFTER_END' && !stream.readableEnded
}

/** Only an error fails a stream for everybody who listens; a signal may be aborted with anything. */
function asError(reason: unknown): Error {
  if (isError(reason)) return reason
  const error = new Error('aborted', { cause: reason })
  error.name = 'AbortError'
  return error
}

/** Pushes the next chunk; to be called by `_read`. */
export function pushNext(stream: Readable, read: () => Promise<Data | undefined>): void {
  read().then(
    (chunk) => stream.push(chunk ?? null),
    (error) => stream.destroy(error as Error),
  )
}
