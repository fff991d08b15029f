import type { PreparedFrame } from '../session/prepared.ts'
import { FIN, headerSize, writeHeader } from '../wire/frame-header.ts'
import { applyMask } from '../wire/mask.ts'
import { Opcode } from '../wire/opcode.ts'
import { type Output, pinned } from './output.ts'

/** Payloads above this many bytes are sent from where they lie instead of being copied behind their header. */
const COPY_LIMIT = 16 * 1024

/** Texts of up to this many characters are written straight into the slab, sized for the worst case. */
const DIRECT_TEXT = 16 * 1024

/**
 * Encodes one text message as one frame.
 *
 * @param key - the masking key, `undefined` on a server
 */
export function encodeText(output: Output, text: string, key: number | undefined): void {
  if (text.length > DIRECT_TEXT) {
    encodeOwned(output, FIN | Opcode.Text, Buffer.from(text, 'utf8'), key)
    return
  }
  const masked = key !== undefined
  // Three bytes a character is the worst case of UTF-8, one the usual: the header is sized for the usual one, and
  // the text moved behind a longer header where that was too short.
  const slab = output.room(headerSize(text.length * 3, masked) + text.length * 3)
  const start = output.at
  const guess = headerSize(text.length, masked)
  const length = slab.write(text, start + guess, 'utf8')
  const size = headerSize(length, masked)
  if (size !== guess) slab.copyWithin(start + size, start + guess, start + guess + length)
  writeHeader(slab, start, FIN | Opcode.Text, length, key)
  const end = start + size + length
  if (masked) applyMask(slab, start + size, end, key)
  output.advance(end)
}

/**
 * Encodes one frame. A payload of more than 16 KiB is referenced, not copied, unless it must be masked.
 *
 * @param first - FIN, the reserved bits and the opcode
 */
export function encodeFrame(
  output: Output,
  first: number,
  payload: Uint8Array,
  key: number | undefined,
): void {
  if (payload.length > COPY_LIMIT) {
    encodeOwned(output, first, key === undefined ? payload : Buffer.from(payload), key)
    return
  }
  const size = headerSize(payload.length, key !== undefined)
  const slab = output.room(size + payload.length)
  const start = writeHeader(slab, output.at, first, payload.length, key)
  const end = start + payload.length
  slab.set(payload, start)
  if (key !== undefined) applyMask(slab, start, end, key)
  output.advance(end)
}

/** One whole unmasked frame in a buffer of its own. */
export function buildFrame(first: number, payload: Uint8Array): PreparedFrame {
  const size = headerSize(payload.length, false)
  const frame = Buffer.allocUnsafeSlow(size + payload.length)
  writeHeader(frame, 0, first, payload.length, undefined)
  frame.set(payload, size)
  return { frame, payload: frame.subarray(size) }
}

/** Encodes a frame whose payload is ours: masked where it lies, and never copied. */
function encodeOwned(output: Output, first: number, payload: Uint8Array, key: number | undefined): void {
  const size = headerSize(payload.length, key !== undefined)
  const slab = output.room(size)
  output.advance(writeHeader(slab, output.at, first, payload.length, key))
  if (key !== undefined) applyMask(payload, 0, payload.length, key)
  output.append(pinned(payload))
}
