import type { Duplex } from 'node:stream'

/** Who hears of what happens to a stream. */
export interface StreamListener {
  onStreamData(chunk: Buffer): void
  onStreamEnd(): void
  onStreamError(error: Error): void
  onStreamClose(): void
}

/** Where a stream has its listener. */
const LISTENER = Symbol('silverback.listener')

type HeardStream = Duplex & { [LISTENER]: StreamListener }

/**
 * Tells one listener all that happens to a stream. By one function for all streams, that finds the listener by the
 * stream: closures would cost memory for each connection.
 */
export function listenToStream(stream: Duplex, listener: StreamListener): void {
  ;(stream as HeardStream)[LISTENER] = listener
  stream.on('data', onData)
  stream.on('end', onEnd)
  stream.on('error', onError)
  stream.on('close', onClose)
}

function onData(this: HeardStream, chunk: Buffer): void {
  this[LISTENER].onStreamData(chunk)
}
function onEnd(this: HeardStream): void {
  this[LISTENER].onStreamEnd()
}
function onError(this: HeardStream, error: Error): void {
  this[LISTENER].onStreamError(error)
}
function onClose(this: HeardStream): void {
  this[LISTENER].onStreamClose()
}
