// What the endpoint sends, read as strictly as a peer may: RFC 6455 section 5, in a reader of its own.

import type { Role } from './case.ts'
import { show } from './payload.ts'
import { type Agreement, PeerInflater } from './peer-deflate.ts'

const EMPTY = Buffer.alloc(0)

/** Turns the endpoint's bytes into lines such as `text 6869`, `pong` or `close 1000 bye`. */
export class PeerDecoder {
  /** What has come. */
  readonly lines: string[] = []
  /** How many messages came deflated. */
  deflated = 0
  /** The payload of the largest frame. */
  largest = 0
  /** What the endpoint did that it must not do. */
  problem: string | undefined
  /** A Close frame has come. */
  closed = false

  /** What the handshake came to. */
  readonly agreement: Agreement | undefined

  readonly #endpoint: Role
  readonly #inflater: PeerInflater | undefined
  #rest: Buffer = EMPTY
  #chunks: Buffer[] = []
  #chunksSize = 0
  #wanted = 2
  #message: { readonly opcode: number; readonly deflated: boolean; readonly pieces: Buffer[] } | undefined

  constructor(endpoint: Role, agreement: Agreement | undefined) {
    this.#endpoint = endpoint
    this.agreement = agreement
    this.#inflater = agreement === undefined ? undefined : new PeerInflater(agreement[endpoint])
  }

  push(chunk: Uint8Array): void {
    if (this.problem !== undefined || chunk.length === 0) return
    this.#chunks.push(Buffer.from(chunk))
    this.#chunksSize += chunk.length
    if (this.#rest.length + this.#chunksSize < this.#wanted) return
    this.#rest = Buffer.concat([this.#rest, ...this.#chunks])
    this.#chunks = []
    this.#chunksSize = 0
    while (this.problem === undefined && this.#frame()) {
      // The next one.
    }
  }

  #fail(what: string): void {
    this.problem ??= `the ${this.#endpoint} sent ${what}`
  }

  /** Reads one frame; `false` when it is not there yet. */
  #frame(): boolean {
    const bytes = this.#rest
    this.#wanted = 2
    if (bytes.length < 2) return false
    const first = bytes[0] as number
    const second = bytes[1] as number
    const short = second & 0x7f
    const masked = second >= 0x80
    if (masked !== (this.#endpoint === 'client')) this.#fail(masked ? 'a masked frame' : 'an unmasked frame')
    const extended = short === 126 ? 2 : short === 127 ? 8 : 0
    const headSize = 2 + extended + (masked ? 4 : 0)
    this.#wanted = headSize
    if (bytes.length < headSize) return false
    const length =
      extended === 0 ? short : extended === 2 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2))
    if (extended > 0 && length < (extended === 2 ? 126 : 65536)) this.#fail('a length that is not minimal')
    this.#wanted = headSize + length
    if (bytes.length < this.#wanted) return false
    const payload = bytes.subarray(headSize, this.#wanted)
    if (masked) unmask(payload, bytes.subarray(headSize - 4, headSize))
    this.largest = Math.max(this.largest, length)
    this.#rest = bytes.subarray(this.#wanted)
    this.#wanted = 2
    this.#take(first, payload)
    return true
  }

  #take(first: number, payload: Buffer): void {
    const fin = first >= 0x80
    const rsv = (first >> 4) & 7
    const opcode = first & 0xf
    if (rsv !== 0 && (rsv !== 4 || this.#inflater === undefined || (opcode !== 1 && opcode !== 2)))
      this.#fail(`reserved bits ${rsv} in a frame of opcode ${opcode}`)
    // Pings are answered until the peer's Close frame has come (section 5.5.2), also behind our own.
    if (this.closed && opcode !== 10) return this.#fail(`a frame of opcode ${opcode} behind its Close frame`)
    if (opcode >= 8) return this.#control(opcode, fin, payload)
    if (opcode > 2) return this.#fail(`opcode ${opcode}`)
    if ((opcode === 0) !== (this.#message !== undefined))
      return this.#fail(opcode === 0 ? 'a continuation of nothing' : 'a message inside another')
    const message = this.#message ?? { opcode, deflated: rsv !== 0, pieces: [] }
    message.pieces.push(payload)
    this.#message = fin ? undefined : message
    if (fin) this.#deliver(message.opcode === 1 ? 'text' : 'binary', message.deflated, message.pieces)
  }

  #deliver(type: string, deflated: boolean, pieces: readonly Buffer[]): void {
    const joined = pieces.length === 1 ? (pieces[0] as Buffer) : Buffer.concat(pieces)
    if (deflated) this.deflated++
    try {
      this.lines.push(`${type} ${show(deflated ? (this.#inflater as PeerInflater).inflate(joined) : joined)}`)
    } catch (error) {
      this.#fail(`a message that cannot be inflated: ${String(error)}`)
    }
  }

  #control(opcode: number, fin: boolean, payload: Buffer): void {
    if (!fin || payload.length > 125) return this.#fail('a control frame that is fragmented or too long')
    if (opcode === 9) this.lines.push(`ping ${show(payload)}`)
    else if (opcode === 10) this.lines.push(`pong ${show(payload)}`)
    else if (opcode !== 8 || payload.length === 1) this.#fail('a wrong control frame')
    else {
      this.closed = true
      const code = payload.length === 0 ? 1005 : payload.readUInt16BE(0)
      this.lines.push(`close ${code} ${payload.toString('utf8', 2)}`)
      if (this.#message !== undefined && code === 1000) this.#fail('a Close frame inside its message')
    }
  }
}

function unmask(payload: Buffer, key: Uint8Array): void {
  const [a, b, c, d] = key as unknown as [number, number, number, number]
  const mask = [a, b, c, d]
  for (let i = 0; i < payload.length; i++) payload[i] = (payload[i] as number) ^ (mask[i & 3] as number)
}
