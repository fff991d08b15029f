import { heapSlabs, type SlabSource } from '../protocol/output.ts'
import { Pages } from './pages.ts'

const SLAB_SIZE = 64 * 1024

/** Slabs kept for reuse: as many connections can write at a time without allocating. */
const MAX_FREE = 32

const free: Buffer[] = []

/** Slabs handed out and not yet back; beyond the pool's size, small buffers serve instead. */
let lent = 0

/**
 * The write slabs that all connections of the process share. A connection holds one from its first frame of a turn
 * until the turn's write; when the kernel has taken the bytes at once, which is the rule, the slab serves the next.
 * So an idle connection holds none, and many connections that write in one turn do not take 64 KiB each.
 */
export const slabPool: SlabSource = {
  acquire(size: number): Buffer {
    if (size > SLAB_SIZE || lent >= MAX_FREE) return heapSlabs.acquire(size)
    lent++
    return free.pop() ?? Buffer.allocUnsafeSlow(SLAB_SIZE)
  },

  release(slab: Buffer, reusable: boolean): void {
    if (slab.length !== SLAB_SIZE) return
    lent--
    if (reusable) free.push(slab)
  },
}

const SMALLEST_SLAB = 1024
const pages: Pages = new Pages()

/** Slabs for streams that may keep what they are given: used once. */
export const pageSlabs: SlabSource = {
  acquire: (size) => pages.cut(Math.max(size, SMALLEST_SLAB)),
  release: () => {},
}
