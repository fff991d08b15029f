import { isUtf8 } from 'node:buffer'

/**
 * Checks UTF-8 that arrives in pieces and fails at the first byte that cannot be right (RFC 6455 section 8.1,
 * RFC 3629): also in the middle of a message, and also when a code point is split between pieces.
 */
export class Utf8Validator {
  /** Continuation bytes that the code point begun still needs. */
  #missing = 0
  // What the next continuation byte may be: narrower than 80..BF behind E0, ED, F0 and F4.
  #low = 0x80
  #high = 0xbf

  /** Whether what was pushed so far ends with a whole code point. */
  get complete(): boolean {
    return this.#missing === 0
  }

  /** Takes the next piece; `false` when the text cannot be UTF-8, whatever follows. */
  push(bytes: Uint8Array, start: number, end: number): boolean {
    let at = start
    while (this.#missing > 0 && at < end) {
      if (!this.#step(bytes[at++] as number)) return false
    }
    const tail = unfinishedTail(bytes, at, end)
    if (tail > at && !isUtf8(bytes.subarray(at, tail))) return false
    for (at = tail; at < end; at++) {
      if (!this.#step(bytes[at] as number)) return false
    }
    return true
  }

  /** Ready for another text. */
  reset(): void {
    this.#missing = 0
    this.#low = 0x80
    this.#high = 0xbf
  }

  // Sees only lead bytes of an unfinished sequence and what may continue it: `isUtf8` checks all else.
  #step(byte: number): boolean {
    if (this.#missing === 0) {
      this.#missing = sequenceLength(byte) - 1
      if (byte === 0xe0) this.#low = 0xa0
      else if (byte === 0xed) this.#high = 0x9f
      else if (byte === 0xf0) this.#low = 0x90
      else if (byte === 0xf4) this.#high = 0x8f
      return true
    }
    if (byte < this.#low || byte > this.#high) return false
    this.#missing--
    this.#low = 0x80
    this.#high = 0xbf
    return true
  }
}

/** Where the last code point begins if it is cut off by `end`, else `end`. */
export function unfinishedTail(bytes: Uint8Array, start: number, end: number): number {
  const first = Math.max(start, end - 3)
  for (let at = end - 1; at >= first; at--) {
    const byte = bytes[at] as number
    if ((byte & 0xc0) === 0x80) continue
    return sequenceLength(byte) > end - at ? at : end
  }
  return end
}

/** Bytes of the sequence that a byte leads; 1 for ASCII and for what can lead none. */
function sequenceLength(lead: number): number {
  if (lead >= 0xc2 && lead <= 0xdf) return 2
  if (lead >= 0xe0 && lead <= 0xef) return 3
  if (lead >= 0xf0 && lead <= 0xf4) return 4
  return 1
}
