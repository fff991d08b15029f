import { Pages } from './pages.ts'

/**
 * A message that is handed out at once may keep a chunk of this size alive, however short it is itself: copying costs
 * more than it saves. One that has to wait may not, or a peer could fill the memory beyond `maxQueuedBytes`.
 */
export const SMALL_CHUNK: number = 32 * 1024

const pages: Pages = new Pages()

/** A copy of bytes that may have to be kept for long. */
export function copyOf(bytes: Uint8Array): Buffer {
  const copy = pages.cut(bytes.length)
  copy.set(bytes)
  return copy
}

/**
 * The bytes to keep: a view, unless that would keep a much larger buffer alive.
 *
 * @param small - views of buffers up to this size are fine, whatever part of them they are; default none
 */
export function own(bytes: Buffer, start: number, end: number, small = 0): Buffer {
  const { byteLength } = bytes.buffer
  if (byteLength <= small || (end - start) * 4 >= byteLength) return bytes.subarray(start, end)
  const copy = pages.cut(end - start)
  bytes.copy(copy, 0, start, end)
  return copy
}
