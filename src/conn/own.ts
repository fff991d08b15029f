import { markAsUntransferable } from 'node:worker_threads'

/**
 * A message that is handed out at once may keep a chunk of this size alive, however short it is itself: copying costs
 * more than it saves. One that has to wait may not, or a peer could fill the memory beyond `maxQueuedBytes`.
 */
export const SMALL_CHUNK: number = 32 * 1024

/** Copies up to this length share a page; a longer one has memory of its own. */
const SHORT = 2 * 1024
/** What a short copy keeps alive at most. */
const PAGE = 8 * 1024

let page: Buffer = Buffer.alloc(0)
let used = 0

/**
 * A copy of bytes that may have to be kept for long.
 *
 * `Buffer.from` and `Buffer.allocUnsafe` cut theirs from a pool that they share with the whole application. It has
 * pages of `Buffer.poolSize`, 64 KiB from Node 24 on: one short message that waits would keep all of that alive,
 * whatever else was on the page and has gone. Here the pages are of 8 KiB, and nothing is on them but such copies.
 */
export function copyOf(bytes: Uint8Array): Buffer {
  const copy = room(bytes.length)
  copy.set(bytes)
  return copy
}

function room(length: number): Buffer {
  if (length > SHORT) return Buffer.allocUnsafeSlow(length)
  if (page.length - used < length) {
    // Filled with zeros: who is given a copy can see the whole page.
    page = Buffer.alloc(PAGE)
    used = 0
    // Who gives one message away would take the others along.
    markAsUntransferable(page.buffer)
  }
  const start = used
  // Each begins where numbers of 8 bytes may, as it would in Node's pool.
  used = (start + length + 7) & ~7
  return page.subarray(start, start + length)
}

/**
 * The bytes to keep: a view, unless that would keep a much larger buffer alive.
 *
 * @param small - views of buffers up to this size are fine, whatever part of them they are; default none
 */
export function own(bytes: Buffer, start: number, end: number, small = 0): Buffer {
  const { byteLength } = bytes.buffer
  if (byteLength <= small || (end - start) * 4 >= byteLength) return bytes.subarray(start, end)
  const copy = room(end - start)
  bytes.copy(copy, 0, start, end)
  return copy
}
