/**
 * The oracle: RFC 6455 sections 5 to 8 read aloud, one byte after another, with no regard for speed. It shares no
 * code with the engine that it judges.
 *
 * Every event carries `at`, the number of bytes that had arrived when it became known. So the events of a prefix of a
 * stream are exactly those with `at` within the prefix, and a fault stands at the byte that made the stream wrong.
 */

/** Which side is receiving. */
export type Role = 'server' | 'client'

/** The two limits that matter to a decoder, in bytes. Control frames are outside both. */
export interface DecoderLimits {
  readonly maxFrameSize: number
  readonly maxMessageSize: number
}

/** What a stream means, in order. After `close` and after `fault` there is nothing more. */
export type ProtocolEvent =
  | { readonly kind: 'text' | 'binary' | 'ping' | 'pong'; readonly data: Buffer; readonly at: number }
  | { readonly kind: 'close'; readonly code: number; readonly reason: string; readonly at: number }
  | { readonly kind: 'fault'; readonly code: string; readonly closeCode: number; readonly at: number }

// Thrown to get out of the reading, and no errors: nobody wants their stack traces, which take time to make.
class EndOfBytes {}

class Wrong {
  readonly code: string
  readonly closeCode: number

  constructor(code: string, closeCode = 1002) {
    this.code = code
    this.closeCode = closeCode
  }
}

/**
 * Well-formed UTF-8 after table 3-7 of the Unicode standard (RFC 3629 section 4 is the same grammar): what may follow
 * a lead byte, one range for each further byte.
 */
function continuationRanges(lead: number): readonly (readonly [number, number])[] | undefined {
  const any = [0x80, 0xbf] as const
  if (lead <= 0x7f) return []
  if (lead >= 0xc2 && lead <= 0xdf) return [any]
  if (lead === 0xe0) return [[0xa0, 0xbf], any]
  if (lead >= 0xe1 && lead <= 0xec) return [any, any]
  if (lead === 0xed) return [[0x80, 0x9f], any]
  if (lead >= 0xee && lead <= 0xef) return [any, any]
  if (lead === 0xf0) return [[0x90, 0xbf], any, any]
  if (lead >= 0xf1 && lead <= 0xf3) return [any, any, any]
  if (lead === 0xf4) return [[0x80, 0x8f], any, any]
  return undefined
}

/** Judges UTF-8 one byte at a time. */
export class Utf8Judge {
  #expected: readonly (readonly [number, number])[] = []

  /** Takes the next byte; false when no continuation could make the text well-formed any more. */
  accept(byte: number): boolean {
    const [range, ...rest] = this.#expected
    if (range === undefined) {
      const ranges = continuationRanges(byte)
      if (ranges === undefined) return false
      this.#expected = ranges
      return true
    }
    this.#expected = rest
    return byte >= range[0] && byte <= range[1]
  }

  /** Whether the text could end here. */
  get complete(): boolean {
    return this.#expected.length === 0
  }
}

/** Whether bytes are well-formed UTF-8 from end to end. */
export function isWellFormedUtf8(bytes: Uint8Array): boolean {
  const judge = new Utf8Judge()
  for (const byte of bytes) if (!judge.accept(byte)) return false
  return judge.complete
}

/** Section 7.4: which codes may stand in a Close frame; 1012-1014 were registered with IANA after the RFC. */
export function closeCodeAllowed(code: number): boolean {
  const registered = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014]
  return registered.includes(code) || (code >= 3000 && code <= 4999)
}

/** Decodes a whole stream from its first byte, as a receiver of the given role without extensions. */
export function decodeReference(stream: Uint8Array, role: Role, limits: DecoderLimits): ProtocolEvent[] {
  const events: ProtocolEvent[] = []
  let position = 0

  const next = (): number => {
    const byte = stream[position]
    if (byte === undefined) throw new EndOfBytes()
    position++
    return byte
  }

  // The message whose last fragment has not come yet.
  let message:
    | { readonly kind: 'text' | 'binary'; readonly bytes: number[]; readonly utf8: Utf8Judge }
    | undefined

  /** Reads one frame; true when it was a Close. */
  const frame = (): boolean => {
    // Section 5.2, first byte.
    const first = next()
    const fin = (first & 0x80) !== 0
    const opcode = first & 0x0f
    if ((first & 0x70) !== 0) throw new Wrong('ERR_WS_RESERVED_BITS')
    if (![0x0, 0x1, 0x2, 0x8, 0x9, 0xa].includes(opcode)) throw new Wrong('ERR_WS_RESERVED_OPCODE')
    const control = opcode >= 0x8
    if (control && !fin) throw new Wrong('ERR_WS_CONTROL_FRAGMENTED')
    if (opcode === 0x0 && message === undefined) throw new Wrong('ERR_WS_UNEXPECTED_CONTINUATION')
    if ((opcode === 0x1 || opcode === 0x2) && message !== undefined)
      throw new Wrong('ERR_WS_EXPECTED_CONTINUATION')

    // Second byte. Section 5.1: a client masks, a server does not.
    const second = next()
    const masked = (second & 0x80) !== 0
    const shortLength = second & 0x7f
    if (role === 'server' && !masked) throw new Wrong('ERR_WS_UNMASKED_FRAME')
    if (role === 'client' && masked) throw new Wrong('ERR_WS_MASKED_FRAME')
    if (control && shortLength > 125) throw new Wrong('ERR_WS_CONTROL_TOO_LONG')
    if (opcode === 0x8 && shortLength === 1) throw new Wrong('ERR_WS_CLOSE_PAYLOAD')

    // The extended length, in network byte order and in as few bytes as it fits into.
    let length = BigInt(shortLength)
    if (shortLength === 126) {
      length = 0n
      for (let i = 0; i < 2; i++) length = length * 256n + BigInt(next())
      if (length < 126n) throw new Wrong('ERR_WS_LENGTH_NOT_MINIMAL')
    } else if (shortLength === 127) {
      length = 0n
      for (let i = 0; i < 8; i++) {
        const byte = next()
        // "The most significant bit MUST be 0": it stands in the first of the eight.
        if (i === 0 && byte >= 0x80) throw new Wrong('ERR_WS_LENGTH_SIGN_BIT')
        length = length * 256n + BigInt(byte)
      }
      if (length < 65536n) throw new Wrong('ERR_WS_LENGTH_NOT_MINIMAL')
    }
    if (!control) {
      const before = BigInt(message === undefined ? 0 : message.bytes.length)
      if (length > BigInt(limits.maxFrameSize)) throw new Wrong('ERR_WS_FRAME_TOO_LARGE', 1009)
      if (before + length > BigInt(limits.maxMessageSize)) throw new Wrong('ERR_WS_MESSAGE_TOO_LARGE', 1009)
    }

    // Section 5.3.
    const key = masked ? [next(), next(), next(), next()] : [0, 0, 0, 0]
    const nextOfPayload = (index: number): number => next() ^ (key[index % 4] ?? 0)

    if (control) {
      const payload: number[] = []
      for (let i = 0; i < Number(length); i++) payload.push(nextOfPayload(i))
      const data = Buffer.from(payload)
      if (opcode === 0x9) events.push({ kind: 'ping', data, at: position })
      if (opcode === 0xa) events.push({ kind: 'pong', data, at: position })
      if (opcode !== 0x8) return false
      // Section 5.5.1.
      if (data.length === 0) {
        events.push({ kind: 'close', code: 1005, reason: '', at: position })
        return true
      }
      const code = data.readUInt16BE(0)
      if (!closeCodeAllowed(code)) throw new Wrong('ERR_WS_CLOSE_CODE')
      const reason = data.subarray(2)
      if (!isWellFormedUtf8(reason)) throw new Wrong('ERR_WS_CLOSE_REASON', 1007)
      events.push({
        kind: 'close',
        code,
        reason: new TextDecoder('utf-8', { ignoreBOM: true }).decode(reason),
        at: position,
      })
      return true
    }

    // Sections 5.4 and 8.1. The text of a message is judged across its fragments.
    message ??= { kind: opcode === 0x1 ? 'text' : 'binary', bytes: [], utf8: new Utf8Judge() }
    for (let i = 0; i < Number(length); i++) {
      const byte = nextOfPayload(i)
      if (message.kind === 'text' && !message.utf8.accept(byte)) throw new Wrong('ERR_WS_INVALID_UTF8', 1007)
      message.bytes.push(byte)
    }
    if (fin) {
      if (message.kind === 'text' && !message.utf8.complete) throw new Wrong('ERR_WS_INVALID_UTF8', 1007)
      events.push({ kind: message.kind, data: Buffer.from(message.bytes), at: position })
      message = undefined
    }
    return false
  }

  try {
    while (!frame()) {
      // The next frame.
    }
  } catch (error) {
    if (error instanceof Wrong) {
      events.push({ kind: 'fault', code: error.code, closeCode: error.closeCode, at: position })
    } else if (!(error instanceof EndOfBytes)) throw error
  }
  return events
}
