import assert from 'node:assert/strict'
import fc from 'fast-check'

/** A frame to be built, right or wrong: nothing here checks any rule. */
export interface FrameSpec {
  /** The 4-bit opcode. */
  readonly opcode: number
  /** The FIN bit; set by default. */
  readonly fin?: boolean
  /** RSV1-3 as the number 0-7, RSV1 being 4. */
  readonly rsv?: number
  /** Text stands for its UTF-8. */
  readonly payload?: string | Uint8Array
  /** Four bytes to mask with; an unmasked frame without. */
  readonly mask?: Uint8Array
  /** The length to declare, when it is to differ from the payload's. */
  readonly length?: number | bigint
  /** How many bits the length is written in; as few as possible by default. */
  readonly form?: 7 | 16 | 64
}

/** The bytes of one frame (RFC 6455 section 5.2). */
export function frame(spec: FrameSpec): Buffer {
  const payload =
    typeof spec.payload === 'string' ? Buffer.from(spec.payload) : Buffer.from(spec.payload ?? [])
  const length = BigInt(spec.length ?? payload.length)
  const form = spec.form ?? (length <= 125n ? 7 : length <= 0xffffn ? 16 : 64)
  const head = [((spec.fin ?? true) ? 0x80 : 0) | ((spec.rsv ?? 0) << 4) | spec.opcode]
  const maskBit = spec.mask === undefined ? 0 : 0x80
  if (form === 7) head.push(maskBit | Number(length))
  else {
    head.push(maskBit | (form === 16 ? 126 : 127))
    for (let shift = form - 8; shift >= 0; shift -= 8) head.push(Number((length >> BigInt(shift)) & 0xffn))
  }
  const { mask } = spec
  if (mask === undefined) return Buffer.concat([Buffer.from(head), payload])
  head.push(...mask)
  const masked = payload.map((byte, i) => byte ^ (mask[i % 4] ?? 0))
  return Buffer.concat([Buffer.from(head), masked])
}

/** Bytes of hexadecimal digits; white space is for the reader. */
export function hex(digits: string): Buffer {
  const compact = digits.replace(/\s+/g, '')
  assert.match(compact, /^([0-9a-f]{2})*$/i, `not hexadecimal: ${digits}`)
  return Buffer.from(compact, 'hex')
}

/** Hexadecimal digits of bytes, a long run shortened in the middle so that a failure stays readable. */
export function toHex(bytes: Uint8Array, most = 256): string {
  const all = Buffer.from(bytes).toString('hex')
  if (bytes.length <= most) return all
  return `${all.slice(0, most)}...(${bytes.length} bytes)...${all.slice(-most)}`
}

/** Cuts a stream at ascending offsets; equal offsets make empty chunks. */
export function cut(bytes: Uint8Array, offsets: readonly number[]): Buffer[] {
  const chunks: Buffer[] = []
  let start = 0
  for (const end of [...offsets, bytes.length]) {
    chunks.push(Buffer.from(bytes.subarray(start, end)))
    start = end
  }
  return chunks
}

/** The guard around each chunk of `inSlab`. */
const guard = 0xa5

/**
 * Puts a chunk in the middle of a larger slab at any alignment, as a socket's read does, and returns a check that
 * what surrounds it is untouched.
 */
export function inSlab(chunk: Uint8Array, offset: number): { chunk: Buffer; check: () => void } {
  const slab = Buffer.alloc(offset + chunk.length + 8, guard)
  slab.set(chunk, offset)
  return {
    chunk: slab.subarray(offset, offset + chunk.length),
    check: () => {
      for (let i = 0; i < slab.length; i++) {
        if (i === offset) i += chunk.length
        if (i < slab.length) assert.equal(slab[i], guard, 'bytes outside the chunk were changed')
      }
    },
  }
}

/** How thoroughly `feedEveryWay` cuts. */
export interface FeedOptions {
  /** Streams up to this many bytes are cut in two at every place. Default 300. */
  readonly splitUpTo?: number
  /** Random ways of cutting. Default 20. */
  readonly randomCuts?: number
  /** For a repeatable run. */
  readonly seed?: number
}

/**
 * Feeds a stream whole, byte by byte, in two halves cut at every place (short streams), and at random cuts, and demands
 * the same result each time. `feed` makes a new receiver, gives it the chunks in order, and returns what came of them;
 * the chunks are its own. Returns the result.
 */
export function feedEveryWay<T>(
  bytes: Uint8Array,
  feed: (chunks: readonly Buffer[]) => T,
  options: FeedOptions = {},
): T {
  const expected = feed(cut(bytes, []))
  const same = (offsets: readonly number[], way: string): void => {
    const actual = feed(cut(bytes, offsets))
    assert.deepEqual(actual, expected, `fed ${way}, otherwise than fed whole: ${toHex(bytes)}`)
  }
  same(
    Array.from({ length: Math.max(0, bytes.length - 1) }, (_, i) => i + 1),
    'byte by byte',
  )
  if (bytes.length <= (options.splitUpTo ?? 300)) {
    for (let at = 0; at <= bytes.length; at++) same([at], `cut at ${at}`)
  }
  fc.assert(
    fc.property(fc.array(fc.nat(bytes.length), { maxLength: 12 }), (offsets) => {
      same(
        [...offsets].sort((a, b) => a - b),
        `cut at ${offsets.join()}`,
      )
    }),
    { numRuns: options.randomCuts ?? 20, ...(options.seed === undefined ? {} : { seed: options.seed }) },
  )
  return expected
}
