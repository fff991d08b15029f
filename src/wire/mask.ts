import { makeSimdMask, type SimdMask } from './mask-simd.ts'

/** From this many bytes on the processor's wide instructions are worth the way to them. */
const SIMD_THRESHOLD = 4 * 1024

/** Made when there is a payload that is large enough. */
let simd: SimdMask | undefined

/** Below this many bytes a plain loop beats setting up one over words. */
const WORD_THRESHOLD = 64

// The view over the buffer that was masked last: making one costs more than masking a small frame, and the frames
// of one chunk share their buffer. It keeps one buffer of the process alive, so not a large one.
let viewBuffer: ArrayBufferLike = new ArrayBuffer(0)
let view: Int32Array = new Int32Array(viewBuffer)
const LARGEST_KEPT = 128 * 1024

/** For bytes of which no more is known than that they are not all ASCII. */
const HIGH_BITS = 0x80808080

// To bring a key into the byte order of this machine.
const keyBytes = new Uint8Array(4)
const keyWord = new Int32Array(keyBytes.buffer)

/**
 * Applies a masking key in place (RFC 6455 section 5.3): masking and unmasking are the same operation.
 *
 * @param key - the key as an integer, its first byte in the highest bits; it applies from `start`
 * @returns all resulting bytes or-ed together: `(result & 0x80808080) === 0` tells that the text is ASCII, at no extra cost
 */
export function applyMask(bytes: Uint8Array, start: number, end: number, key: number): number {
  const length = end - start
  if (length < WORD_THRESHOLD) return maskBytes(bytes, start, end, key)
  return length < SIMD_THRESHOLD
    ? maskWords(bytes, start, end, key)
    : maskLarge(bytes, start, end, key, bytes, start)
}

/**
 * Copies bytes into a buffer of another, and applies a masking key on the way: for much less than both apart.
 *
 * @param key - see {@link applyMask}; 0 leaves the bytes as they are
 */
export function copyMasked(
  bytes: Uint8Array,
  start: number,
  end: number,
  key: number,
  target: Uint8Array,
  at: number,
): void {
  if (key !== 0 && end - start >= SIMD_THRESHOLD) {
    maskLarge(bytes, start, end, key, target, at)
    return
  }
  target.set(bytes.subarray(start, end), at)
  if (key !== 0) applyMask(target, at, at + end - start, key)
}

function maskLarge(
  bytes: Uint8Array,
  start: number,
  end: number,
  key: number,
  target: Uint8Array,
  at: number,
): number {
  simd ??= makeSimdMask() ?? maskByWords
  const whole = end - ((end - start) & 15)
  const high = simd(bytes, start, whole, key, target, at) ? HIGH_BITS : 0
  const to = at + whole - start
  target.set(bytes.subarray(whole, end), to)
  return high | maskBytes(target, to, to + end - whole, key)
}

/** Does what the processor's wide instructions do, where the runtime cannot get at them. */
export const maskByWords: SimdMask = (bytes, start, end, key, target, at) => {
  target.set(bytes.subarray(start, end), at)
  return (maskWords(target, at, at + end - start, key) & HIGH_BITS) !== 0
}

/** The key as it applies `count` bytes further on. */
export function rotateKey(key: number, count: number): number {
  const shift = (count & 3) << 3
  return shift === 0 ? key : (key << shift) | (key >>> (32 - shift))
}

function maskBytes(bytes: Uint8Array, start: number, end: number, key: number): number {
  const k0 = key >>> 24
  const k1 = (key >>> 16) & 0xff
  const k2 = (key >>> 8) & 0xff
  const k3 = key & 0xff
  let all = 0
  let at = start
  for (const last = end - 3; at < last; at += 4) {
    all |= bytes[at] = (bytes[at] as number) ^ k0
    all |= bytes[at + 1] = (bytes[at + 1] as number) ^ k1
    all |= bytes[at + 2] = (bytes[at + 2] as number) ^ k2
    all |= bytes[at + 3] = (bytes[at + 3] as number) ^ k3
  }
  if (at < end) all |= bytes[at] = (bytes[at] as number) ^ k0
  if (at + 1 < end) all |= bytes[at + 1] = (bytes[at + 1] as number) ^ k1
  if (at + 2 < end) all |= bytes[at + 2] = (bytes[at + 2] as number) ^ k2
  return all
}

function maskWords(bytes: Uint8Array, start: number, end: number, key: number): number {
  const words = wordsOf(bytes.buffer)
  // Bytes up to the first whole word, words, and the bytes that are left.
  const misaligned = (bytes.byteOffset + start) & 3
  const wordsFrom = misaligned === 0 ? start : start + 4 - misaligned
  const count = (end - wordsFrom) >>> 2
  const wordsEnd = wordsFrom + (count << 2)

  let all = maskBytes(bytes, start, wordsFrom, key)
  const aligned = rotateKey(key, wordsFrom - start)
  keyBytes[0] = aligned >>> 24
  keyBytes[1] = aligned >>> 16
  keyBytes[2] = aligned >>> 8
  keyBytes[3] = aligned
  const word = keyWord[0] as number
  let at = (bytes.byteOffset + wordsFrom) >>> 2
  const stop = at + count
  for (const last = stop - 3; at < last; at += 4) {
    all |= words[at] = (words[at] as number) ^ word
    all |= words[at + 1] = (words[at + 1] as number) ^ word
    all |= words[at + 2] = (words[at + 2] as number) ^ word
    all |= words[at + 3] = (words[at + 3] as number) ^ word
  }
  for (; at < stop; at++) all |= words[at] = (words[at] as number) ^ word
  return all | maskBytes(bytes, wordsEnd, end, aligned)
}

function wordsOf(buffer: ArrayBufferLike): Int32Array {
  if (buffer === viewBuffer) return view
  const words = new Int32Array(buffer, 0, buffer.byteLength >>> 2)
  if (buffer.byteLength <= LARGEST_KEPT) {
    viewBuffer = buffer
    view = words
  }
  return words
}
