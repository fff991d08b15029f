/**
 * Random input for the fuzzer: fast, and the same for the same seed on every machine.
 */

/** A small fast generator (the xorshift128 of Marsaglia), seeded through splitmix32. Not for secrets. */
export class Rng {
  #x: number
  #y: number
  #z: number
  #w: number

  constructor(seed: number, stream = 0) {
    let state = (seed ^ Math.imul(stream + 1, 0x9e37_79b1)) | 0
    const split = (): number => {
      state = (state + 0x9e37_79b9) | 0
      let mixed = state ^ (state >>> 16)
      mixed = Math.imul(mixed, 0x21f0_aaad)
      mixed ^= mixed >>> 15
      mixed = Math.imul(mixed, 0x735a_2d97)
      return mixed ^ (mixed >>> 15)
    }
    this.#x = split()
    this.#y = split()
    this.#z = split()
    this.#w = split() | 1
  }

  /** 32 random bits. */
  next(): number {
    const mixed = this.#x ^ (this.#x << 11)
    this.#x = this.#y
    this.#y = this.#z
    this.#z = this.#w
    this.#w = (this.#w ^ (this.#w >>> 19) ^ mixed ^ (mixed >>> 8)) | 0
    return this.#w >>> 0
  }

  /** An integer from 0 to `bound` - 1. */
  below(bound: number): number {
    return this.next() % bound
  }

  /** True once in `times`. */
  once(times: number): boolean {
    return this.next() % times === 0
  }

  /** One of several. */
  pick<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)] as T
  }
}

const lengthEdges = [0, 1, 2, 3, 4, 60, 63, 64, 65, 66, 100, 124, 125, 126, 127, 128, 200, 255, 256, 600]
const bigEdges = [1500, 4096, 65535, 65536, 65537]
const oddLengths = [
  0n,
  125n,
  126n,
  0xffffn,
  0x1_0000n,
  0x7fff_ffffn,
  0x8000_0000n,
  0xffff_ffffn,
  0x1_0000_0000n,
  0x1f_ffff_ffff_ffffn,
  0x20_0000_0000_0000n,
  0x7fff_ffff_ffff_ffffn,
  0x8000_0000_0000_0000n,
  0xffff_ffff_ffff_ffffn,
]
const interesting = [
  0x00, 0x01, 0x02, 0x09, 0x7d, 0x7e, 0x7f, 0x80, 0x81, 0x82, 0x88, 0x89, 0x8a, 0xc0, 0xc1, 0xed, 0xf4, 0xfd,
  0xfe, 0xff,
]
const closeCodes = [
  1000, 1001, 1002, 1003, 1007, 1011, 1014, 3000, 4999, 1004, 1005, 1006, 1015, 1016, 999, 2999, 5000, 0,
  65535,
]
const textUnits = [
  'a',
  'z',
  '0',
  '\u0000',
  '\u007f',
  '\u0080',
  'é',
  '\u07ff',
  '\u0800',
  '€',
  '\ud7ff',
  '\ue000',
  '\ufeff',
  '\uffff',
  '\u{10000}',
  '\u{1f98d}',
  '\u{10ffff}',
].map((unit) => Buffer.from(unit))

/** What looks like UTF-8 to a careless decoder. */
const badUnits = [
  '80',
  'c080',
  'c1bf',
  'e080af',
  'e09fbf',
  'eda080',
  'edbfbf',
  'f0808080',
  'f08fbfbf',
  'f4908080',
  'f5',
  'f8',
  'ff',
  'c2',
  'e28c',
  'f09fa6',
].map((digits) => Buffer.from(digits, 'hex'))

/** Builds streams in a buffer of its own, which the next stream overwrites. */
export class StreamMaker {
  #rng: Rng
  readonly #out: Buffer
  #end = 0
  #rsv = 0
  readonly #scratch = Buffer.alloc(1 << 17)
  // A control frame may come between the fragments of what the other holds.
  readonly #controlScratch = Buffer.alloc(125)

  /** @param size - room for one stream; what does not fit is left out */
  constructor(rng: Rng, size: number = 1 << 20) {
    this.#rng = rng
    this.#out = Buffer.alloc(size)
  }

  /** From here on chance comes from this source. */
  use(rng: Rng): void {
    this.#rng = rng
  }

  /** Bytes without any plan, or with a bias to those that mean something. */
  bytes(): Buffer {
    const rng = this.#rng
    this.#end = 0
    const length = rng.below(rng.once(4) ? 400 : 40)
    const biased = rng.once(2)
    for (let i = 0; i < length; i++) {
      this.#out[this.#end++] = biased && rng.once(2) ? rng.pick(interesting) : rng.next()
    }
    return this.#out.subarray(0, this.#end)
  }

  /**
   * Frames that follow the rules but for a text now and then, if `mutations` is 0; else with as many changes.
   *
   * @param rsv - the bit that half of the messages are marked with, as it stands in the first byte
   */
  frames(masked: boolean, mutations: number, rsv = 0): Buffer {
    const rng = this.#rng
    this.#rsv = rsv
    this.#end = 0
    const count = 1 + rng.below(6)
    for (let i = 0; i < count; i++) this.#message(masked)
    if (rng.once(3)) this.#close(masked)
    for (let i = 0; i < mutations; i++) this.#mutate(masked)
    return this.#out.subarray(0, this.#end)
  }

  #message(masked: boolean): void {
    const rng = this.#rng
    const isText = rng.once(2)
    const length = this.#content(isText)
    let sent = 0
    let opcode = (isText ? 1 : 2) | (rng.once(2) ? this.#rsv : 0)
    do {
      const size = rng.once(2) ? length - sent : rng.below(length - sent + 1)
      const fin = sent + size === length && !rng.once(5)
      this.#frame((fin ? 0x80 : 0) | opcode, this.#scratch.subarray(sent, sent + size), masked)
      sent += size
      opcode = 0
      if (rng.once(4)) this.#control(masked)
      if (fin) return
    } while (!rng.once(40) || sent < length)
    this.#frame(0x80, this.#scratch.subarray(sent, length), masked)
  }

  /** Fills the scratch buffer with a message. */
  #content(isText: boolean): number {
    const rng = this.#rng
    const edges = rng.once(400) ? bigEdges : lengthEdges
    const length = rng.once(2) ? rng.below(30) : rng.pick(edges)
    let end = 0
    if (!isText || rng.once(8)) {
      while (end < length) this.#scratch[end++] = isText ? 0x20 + rng.below(0x5f) : rng.next()
      return end
    }
    const spoiled = rng.once(16)
    while (end < length) {
      const unit = rng.pick(spoiled && rng.once(4) ? badUnits : textUnits)
      if (end + unit.length <= length) end += unit.copy(this.#scratch, end)
      else this.#scratch[end++] = 0x61
    }
    return end
  }

  #control(masked: boolean): void {
    const rng = this.#rng
    const length = rng.once(6) ? rng.pick([0, 124, 125]) : rng.below(12)
    for (let i = 0; i < length; i++) this.#controlScratch[i] = rng.next()
    this.#frame(rng.once(2) ? 0x89 : 0x8a, this.#controlScratch.subarray(0, length), masked)
  }

  #close(masked: boolean): void {
    const rng = this.#rng
    const payload = this.#controlScratch
    payload.writeUInt16BE(rng.once(3) ? rng.below(65536) : rng.pick(closeCodes))
    let end = 2
    for (let units = rng.below(10); units > 0; units--) end += rng.pick(textUnits).copy(payload, end)
    this.#frame(0x88, payload.subarray(0, rng.pick([0, 2, end, end, rng.below(end + 1)])), masked)
  }

  #frame(first: number, payload: Uint8Array, masked: boolean): void {
    const out = this.#out
    if (this.#end + payload.length + 14 > out.length) return
    out[this.#end++] = first
    const maskBit = masked ? 0x80 : 0
    if (payload.length < 126) out[this.#end++] = maskBit | payload.length
    else if (payload.length < 65536) {
      out[this.#end++] = maskBit | 126
      this.#end = out.writeUInt16BE(payload.length, this.#end)
    } else {
      out[this.#end++] = maskBit | 127
      this.#end = out.writeBigUInt64BE(BigInt(payload.length), this.#end)
    }
    let key = 0
    if (masked) {
      key = this.#rng.once(8) ? 0 : this.#rng.next()
      this.#end = out.writeUInt32BE(key, this.#end)
    }
    for (let i = 0; i < payload.length; i++) {
      out[this.#end++] = (payload[i] as number) ^ ((key >>> (24 - ((i & 3) << 3))) & 0xff)
    }
  }

  #mutate(masked: boolean): void {
    const rng = this.#rng
    const out = this.#out
    const at = rng.below(this.#end + 1)
    const run = 1 + rng.below(rng.once(3) ? 40 : 4)
    switch (rng.below(9)) {
      case 0:
        out[at] = (out[at] as number) ^ (1 << rng.below(8))
        break
      case 1:
        out[at] = rng.pick(interesting)
        break
      case 2: {
        const gap = Math.min(run, this.#end - at)
        out.copyWithin(at, at + gap, this.#end)
        this.#end -= gap
        break
      }
      case 3:
      case 4: {
        // Inserts bytes of chance, or once more what stands there.
        if (this.#end + run > out.length) break
        out.copyWithin(at + run, at, this.#end)
        if (rng.once(2)) for (let i = 0; i < run; i++) out[at + i] = rng.next()
        this.#end += run
        break
      }
      case 5:
        this.#end = at
        break
      case 6: {
        // A header behind all else, with a length that no payload follows.
        out[this.#end++] = rng.pick([0x81, 0x82, 0x01, 0x80, 0x00, 0x89])
        out[this.#end++] = (masked ? 0x80 : 0) | 127
        this.#end = out.writeBigUInt64BE(rng.pick(oddLengths), this.#end)
        break
      }
      case 7:
        out[rng.below(Math.min(2, this.#end) + 1)] = rng.next()
        break
      default:
        this.#frame(
          (rng.next() & 0x0f) | (rng.once(2) ? 0x80 : 0) | (rng.once(4) ? 0x40 : 0),
          out.subarray(0, rng.below(9)),
          masked !== rng.once(4),
        )
    }
  }
}

const requestPieces = [
  'websocket',
  'WebSocket',
  'upgrade',
  'Upgrade',
  'keep-alive',
  'close',
  '13',
  '8',
  '0',
  '-13',
  '13, 13',
  ' 13',
  'h2c',
  'websocket/13',
  ',',
  ', ',
  ';',
  '=',
  '"',
  '\\',
  ' ',
  '\t',
  '/',
  '(',
  ')',
  '@',
  ':',
  '?',
  'constructor',
  '__proto__',
  'toString',
  'hasOwnProperty',
  'permessage-deflate',
  'client_max_window_bits',
  'server_max_window_bits=15',
  'client_no_context_takeover',
  'x-test',
  'x-test; a=1',
  'a="1"',
  'a="\\1"',
  'b=""',
  'chat',
  'chat.v1',
  'mqtt',
  'dGhlIHNhbXBsZSBub25jZQ==',
  'AAAAAAAAAAAAAAAAAAAAAA==',
  'AAAA',
  's3pPLMBiTxaQ9kYGzzhZRbK+xOo=',
  'example.com',
  'http://example.com',
  'null',
  '\u0000',
  '\r\n',
  '\u00e9',
  '\u00ff',
  '\u0130',
  '\u212a',
] as const

/** A header value that is likely to mean something to a parser, or just not. */
export function headerValue(rng: Rng): string {
  let value = ''
  for (let count = rng.below(rng.once(20) ? 200 : 8); count >= 0; count--) {
    value += rng.once(6) ? String.fromCharCode(rng.below(256)) : rng.pick(requestPieces)
    if (rng.once(2)) value += rng.pick([', ', '; ', ',', ';', '=', ' '])
  }
  return value
}

/** A `Sec-WebSocket-Extensions` value that keeps to the grammar more often than not. */
export function extensionsValue(rng: Rng): string {
  if (rng.once(4)) return headerValue(rng)
  const names = ['x-test', 'permessage-deflate', 'constructor', '__proto__', 'a']
  const items = Array.from({ length: 1 + rng.below(rng.once(10) ? 40 : 4) }, () => {
    let item = rng.pick(names)
    for (let params = rng.below(rng.once(10) ? 20 : 4); params > 0; params--) {
      item += `${rng.pick(['; ', ';', ' ;\t'])}${rng.pick(names)}${rng.below(9)}`
      if (rng.once(2)) item += rng.pick(['=1', '="15"', '= token', '="a\\b"', '=""', '="a b"', '='])
    }
    return item
  })
  return items.join(rng.pick([', ', ',', ',,', ' , ']))
}

const deflateParams = [
  'server_no_context_takeover',
  'client_no_context_takeover',
  'server_max_window_bits',
  'client_max_window_bits',
] as const

/** Offers of permessage-deflate, or an answer to one: lawful more often than not. */
export function deflateValue(rng: Rng): string {
  const items = Array.from({ length: rng.once(3) ? 1 + rng.below(4) : 1 }, () => {
    let item = 'permessage-deflate'
    for (const name of deflateParams) {
      if (rng.once(2)) continue
      const bits = name.endsWith('bits') ? !rng.once(4) : rng.once(20)
      item += `; ${name}`
      if (bits)
        item += `=${rng.once(8) ? rng.pick(['7', '16', '08', '0', '-9', '"10"', '1e1', '']) : 8 + rng.below(8)}`
    }
    return rng.once(10) ? `${item}; ${rng.pick([...deflateParams, 'x'])}` : item
  })
  return items.join(', ')
}

const headFields = [
  'Host: example.com',
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
] as const
const otherFields = [
  ...['Content-Length: 0', 'Content-Length: 5', 'Content-Length: five', 'Content-Length: 5, 5'],
  ...['Transfer-Encoding: chunked', 'Transfer-Encoding: rot13', 'Transfer-Encoding:', 'Trailer: x', 'TE: x'],
  ...['Expect: 100-continue', 'HTTP2-Settings: AA', 'Proxy-Connection: close', 'Set-Cookie: a=b'],
  ...['Connection: close', 'Upgrade: h2c', 'Host: other', 'Origin: null', 'Cookie: a=b', 'Cookie: c=d', 'X:'],
  ...[
    '__proto__: x',
    'constructor: x',
    ' folded',
    'X : y',
    'X:\ty',
    'X: y ',
    'X: \x7f',
    'X: \xe9',
    ': y',
    'X',
  ],
] as const
const requestLines = [
  ...['GET  HTTP/1.1', 'GET /#a HTTP/1.1', 'GET /a b HTTP/1.1', 'GET http://a/ HTTP/1.1', 'GET / HTTP/1.0'],
  ...['POST / HTTP/1.1', 'get / HTTP/1.1', 'GET /', 'GET /\xe9 HTTP/1.1', '\r\nGET / HTTP/1.1'],
] as const

/** The first bytes of a connection to a server: a request for an upgrade, or nearly one. */
export function rawHead(rng: Rng): Buffer {
  const lines: string[] = [...headFields]
  if (rng.once(8)) lines.splice(rng.below(lines.length), 1)
  const some = rng.once(60) ? 60 : rng.below(4)
  for (let count = 0; count < some; count++) {
    const line = rng.once(4)
      ? rng.pick(otherFields)
      : `X-${count}: ${rng.pick(['', 'y', 'a;b', '"\\"', 'a\tb'])}`
    lines.splice(rng.below(lines.length + 1), 0, line)
  }
  if (rng.once(200)) lines.push(`X-Long: ${'y'.repeat(7_900 + rng.below(300))}`)
  lines.unshift(rng.once(8) ? rng.pick(requestLines) : 'GET /chat?a=b HTTP/1.1')
  const behind = rng.pick(['', '', '\x81\x80abcd', 'GET / HTTP/1.1\r\n\r\n', '\n'])
  const bytes = [...Buffer.from(`${lines.join('\r\n')}\r\n\r\n${behind}`, 'latin1')]
  for (let changes = rng.once(2) ? rng.below(3) : 0; changes > 0; changes--) {
    const added = rng.once(2) ? [rng.pick([0, 9, 10, 13, 32, 35, 58, 127, 160, 255])] : [rng.below(256)]
    bytes.splice(rng.below(bytes.length), rng.below(3), ...(rng.once(3) ? [] : added))
  }
  return Buffer.from(bytes)
}
