/** The longest frame header: two bytes, a 64-bit length and a masking key. */
export const MAX_HEADER_SIZE = 14

/** FIN, in the first header byte. */
export const FIN = 0x80
/** The three reserved bits, in the first header byte. RSV1 is 0x40. */
export const RSV = 0x70

/** The longest payload of a control frame (RFC 6455 section 5.5). */
export const MAX_CONTROL_PAYLOAD = 125

/** The size in bytes of the header of a frame with `length` bytes of payload (RFC 6455 section 5.2). */
export function headerSize(length: number, masked: boolean): number {
  return (length < 126 ? 2 : length < 65536 ? 4 : 10) + (masked ? 4 : 0)
}

/**
 * Writes a frame header and returns the offset behind it.
 *
 * @param first - FIN, the reserved bits and the opcode, as they stand in the first byte
 * @param key - the masking key as an integer, first byte in the highest bits; `undefined` for an unmasked frame
 */
export function writeHeader(
  target: Uint8Array,
  offset: number,
  first: number,
  length: number,
  key: number | undefined,
): number {
  const maskBit = key === undefined ? 0 : 0x80
  target[offset++] = first
  if (length < 126) {
    target[offset++] = maskBit | length
  } else if (length < 65536) {
    target[offset++] = maskBit | 126
    target[offset++] = length >>> 8
    target[offset++] = length & 0xff
  } else {
    target[offset++] = maskBit | 127
    offset = writeUint32(target, offset, Math.floor(length / 0x1_0000_0000))
    offset = writeUint32(target, offset, length >>> 0)
  }
  return key === undefined ? offset : writeUint32(target, offset, key)
}

function writeUint32(target: Uint8Array, offset: number, value: number): number {
  target[offset++] = value >>> 24
  target[offset++] = (value >>> 16) & 0xff
  target[offset++] = (value >>> 8) & 0xff
  target[offset++] = value & 0xff
  return offset
}
