// Payloads by kind, size and seed: a case of 16 MiB is written down in a line, and made when it is played.

import { createHash } from 'node:crypto'

/** What a payload is made of. */
export type FillKind =
  /** Letters, digits and spaces. */
  | 'ascii'
  /** Characters of one to four bytes. */
  | 'utf8'
  /** Records of the kind that programs exchange. */
  | 'json'
  /** Sentences, most of whose words come again and again. */
  | 'prose'
  /** Elements with attributes, one inside another. */
  | 'markup'
  /** Rows of pixels that change little from one to the next, with a header: binary, and good to deflate. */
  | 'bitmap'
  /** Bytes that no compressor makes smaller. */
  | 'noise'
  /** The same byte all over. */
  | 'zeros'

/** A payload that is yet to be made. */
export interface Fill {
  readonly kind: FillKind
  /** In bytes. */
  readonly size: number
  readonly seed: number
}

/** Text stands for its UTF-8. */
export type Payload = string | Uint8Array | Fill

const EMPTY = Buffer.alloc(0)

/** A generator of 32-bit numbers, the same for the same seed. */
export function randomNumbers(seed: number): () => number {
  let state = (seed ^ 0x9e37_79b9) >>> 0
  return () => {
    state = (state + 0x6d2b_79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return (mixed ^ (mixed >>> 14)) >>> 0
  }
}

const letters = Buffer.from('abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ 0123456789')
const characters = ['a', 'z', '0', ' ', 'é', 'ß', 'Ж', 'א', '€', '語', '한', '\u{1f98d}', '\u{1d11e}'].map(
  (character) => Buffer.from(character),
)

function noise(size: number, seed: number): Buffer {
  const next = randomNumbers(seed)
  const bytes = Buffer.allocUnsafe(size + 4)
  for (let at = 0; at < size; at += 4) bytes.writeUInt32LE(next(), at)
  return bytes.subarray(0, size)
}

function ascii(size: number, seed: number): Buffer {
  const bytes = noise(size, seed)
  for (let at = 0; at < size; at++) bytes[at] = letters[(bytes[at] as number) % letters.length] as number
  return bytes
}

function utf8(size: number, seed: number): Buffer {
  const next = randomNumbers(seed)
  const bytes = Buffer.alloc(size, '.')
  for (let at = 0; at < size; ) {
    const character = characters[next() % characters.length] as Buffer
    if (at + character.length > size) break
    at += character.copy(bytes, at)
  }
  return bytes
}

function json(size: number, seed: number): Buffer {
  const next = randomNumbers(seed)
  const bytes = Buffer.alloc(size, ' ')
  const states = ['open', 'waiting', 'paid', 'sent']
  for (let at = 0; at < size; ) {
    const [id, user, state, price] = [next() % 100_000, next() % 500, states[next() % 4], next() % 10_000]
    at += bytes.write(
      `{"id":${id},"user":"user-${user}","state":"${state}","price":${price}}\n`,
      at,
      'latin1',
    )
  }
  return bytes
}

const words =
  'the river rose behind our house über Nacht and nobody äußerte ein Wort until the first boats came down from där uppe with les élèves on board'.split(
    ' ',
  )

/** Writes lines one behind the other until there is no room; what is left is filled with spaces, as UTF-8 needs it. */
function lines(size: number, line: () => string): Buffer {
  const bytes = Buffer.alloc(size, ' ')
  // Whole characters only: what does not fit is left out.
  for (let at = 0; at < size; ) {
    const written = bytes.write(line(), at, 'utf8')
    if (written === 0) break
    at += written
  }
  return bytes
}

function prose(size: number, seed: number): Buffer {
  const next = randomNumbers(seed)
  return lines(size, () => {
    const sentence = Array.from({ length: 4 + (next() % 12) }, () => words[next() % words.length])
    return `${sentence.join(' ')}.${next() % 5 === 0 ? '\n\n' : ' '}`
  })
}

function markup(size: number, seed: number): Buffer {
  const next = randomNumbers(seed)
  return lines(size, () => {
    const [id, kind] = [next() % 10_000, words[next() % words.length]]
    return `<li id="item-${id}" class="row ${kind}"><a href="/items/${id}">${kind} №&nbsp;${id}</a></li>\n`
  })
}

/** In pixels. */
const ROW = 256

function bitmap(size: number, seed: number): Buffer {
  const next = randomNumbers(seed)
  const bytes = Buffer.alloc(size)
  const head = Buffer.from('bitmap\0\x1a\xff\xfe', 'latin1')
  for (let at = 0; at < size; at++) {
    const [x, y] = [at % ROW, Math.floor(at / ROW)]
    // Steps of grey, and here and there a dot.
    bytes[at] = ((x >> 3) + (y >> 2) * 3 + (next() % 97 === 0 ? next() & 31 : 0)) & 0xff
  }
  head.copy(bytes)
  return bytes
}

const zeros = (size: number): Buffer => Buffer.alloc(size)
const makers = { ascii, utf8, json, prose, markup, bitmap, noise, zeros }

/** What was made last, up to so many bytes: cases use the same payloads again and again. */
const KEPT = 40 * 1024 * 1024
const kept = new Map<Fill, Buffer>()
let keptSize = 0

function make(fill: Fill): Buffer {
  const known = kept.get(fill)
  if (known !== undefined) return known
  const bytes = makers[fill.kind](fill.size, fill.seed)
  for (const [oldest, { length }] of kept) {
    if (keptSize + bytes.length <= KEPT) break
    kept.delete(oldest)
    keptSize -= length
  }
  kept.set(fill, bytes)
  keptSize += bytes.length
  return bytes
}

/** The bytes of a payload; not to be changed. */
export function bytesOf(payload: Payload | undefined): Uint8Array {
  if (payload === undefined) return EMPTY
  if (typeof payload === 'string') return Buffer.from(payload)
  return payload instanceof Uint8Array ? payload : make(payload)
}

/** The size of a payload, in bytes. */
export function sizeOf(payload: Payload | undefined): number {
  if (payload === undefined) return 0
  if (typeof payload === 'string') return Buffer.byteLength(payload)
  return payload instanceof Uint8Array ? payload.length : payload.size
}

const KiB = 1024

/** A size for people: `64 bytes`, `16 KiB`, `4 MiB`. */
export function inWords(size: number): string {
  if (size >= KiB * KiB && size % (KiB * KiB) === 0) return `${size / (KiB * KiB)} MiB`
  if (size >= KiB && size % KiB === 0) return `${size / KiB} KiB`
  return `${size} ${size === 1 ? 'byte' : 'bytes'}`
}

const digests = new WeakMap<object, string>()

/** Bytes for people: short ones as they are, long ones by size and digest. Equal texts, equal bytes. */
export function show(payload: Payload): string {
  if (typeof payload === 'string' || payload instanceof Uint8Array) return showBytes(bytesOf(payload))
  const known = digests.get(payload)
  if (known !== undefined) return known
  const shown = showBytes(bytesOf(payload))
  digests.set(payload, shown)
  return shown
}

function showBytes(bytes: Uint8Array): string {
  if (bytes.length <= 64) return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex')
  return `(${bytes.length}) ${createHash('sha1').update(bytes).digest('hex')}`
}
