import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'

/** What would give the bytes to somebody else, were it replaced on one socket. */
const writers = ['write', '_write', '_writev', '_writeGeneric'] as const

/**
 * Whether the kernel has taken what a stream says that it has written, so that the memory can serve again. Any other
 * stream may call a write done and send its chunk later: TLS does, and so may a subclass of `Socket`.
 */
export function isKernelSocket(stream: Duplex): boolean {
  return (
    Object.getPrototypeOf(stream) === Socket.prototype && !writers.some((name) => Object.hasOwn(stream, name))
  )
}
