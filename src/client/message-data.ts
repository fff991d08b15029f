import { types } from 'node:util'
import { toUsvString } from './web-idl.ts'

/**
 * Bytes or text to be sent, from any value: a view of a buffer's bytes, or a string.
 *
 * @throws TypeError for memory that is shared or can be resized, and for a symbol
 */
export function toMessageData(value: unknown, where: string): string | Uint8Array {
  if (ArrayBuffer.isView(value)) return viewOf(value.buffer, where, value.byteOffset, value.byteLength)
  if (types.isAnyArrayBuffer(value)) return viewOf(value, where, 0, value.byteLength)
  return toUsvString(value)
}

/** A connection keeps references to messages of more bytes until they leave. */
const REFERENCED = 16 * 1024

/**
 * A message that the caller's changes to its bytes do not reach.
 *
 * @param fate - `sent`: it is given to a connection at once, which copies it if it is short; else it is `kept`
 */
export function snapshot(data: string | Uint8Array, fate: 'sent' | 'kept'): string | Uint8Array {
  if (typeof data === 'string' || (fate === 'sent' && data.length <= REFERENCED)) return data
  return new Uint8Array(data)
}

/** A buffer of its own for bytes that came, which may lie in the middle of a larger one. */
export function toArrayBuffer(bytes: Uint8Array): ArrayBuffer {
  const { buffer, byteOffset, byteLength } = bytes
  if (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) return buffer
  return buffer.slice(byteOffset, byteOffset + byteLength) as ArrayBuffer
}

function viewOf(buffer: ArrayBufferLike, where: string, offset: number, length: number): Uint8Array {
  if (!types.isArrayBuffer(buffer)) throw new TypeError(`${where}: shared memory cannot be sent`)
  if ((buffer as { readonly resizable?: boolean }).resizable)
    throw new TypeError(`${where}: a resizable buffer cannot be sent`)
  // Of a buffer that was transferred nothing is left, and no view can be made.
  return length === 0 ? new Uint8Array(0) : new Uint8Array(buffer, offset, length)
}
