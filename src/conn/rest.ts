import { TAKEN } from '../protocol/frame-decoder.ts'

/** A rest that waits to be read, and what has come behind it. */
export function appendTo(rest: Buffer, chunk: Buffer): Buffer {
  // One whose buffer was transferred stays empty, so that it is noticed.
  return rest.length === 0 ? rest : Buffer.concat([rest, chunk])
}

/**
 * What is to be read, which is never empty.
 *
 * @throws Error when its buffer has been transferred, with a message that was in it
 */
export function refuseTaken(chunk: Buffer): Buffer {
  if (chunk.length === 0) throw new Error(TAKEN)
  return chunk
}
