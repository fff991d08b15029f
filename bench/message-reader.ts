/** What a message is checked against. */
export interface Expected {
  /** Its payload's length on the wire; unknown until a first message has been checked. */
  length: number | undefined
  /** What is wrong with its content, or `undefined`. Asked for the first message, and now and then. */
  check(payload: Buffer, opcode: number, compressed: boolean): string | undefined
  /** So many messages come first that are the protocol's own, and are not counted. Default: none. */
  readonly greetings?: number
  /** Later messages of this length are the protocol's own, too. Default: none. */
  readonly noise?: number
}

/** Of how many messages one has its content checked. */
const sampleEvery = 61

/**
 * Counts the messages in a stream of frames, and checks them: the length of each, the content of some. It makes no
 * object per message, so that it is not what is measured.
 */
export class MessageReader {
  messages = 0
  /** So many messages of the protocol's own are still to come. */
  greetings: number
  readonly #expected: Expected
  readonly #onControl: (opcode: number) => void
  readonly #header: Buffer = Buffer.alloc(14)
  #headerLength = 0
  #frameLength = 0
  #left = 0
  #inFrame = false
  #final = true
  #control = false
  #opcode = 0
  #compressed = false
  #length = 0
  #mask: Buffer | undefined
  #sample: Buffer[] | undefined

  constructor(expected: Expected, onControl: (opcode: number) => void) {
    this.#expected = expected
    this.greetings = expected.greetings ?? 0
    this.#onControl = onControl
  }

  /** Bytes that have come of the message that is on its way. */
  get partial(): number {
    return this.#control ? 0 : this.#length - this.#left
  }

  /** Takes `chunk` up to `end`, and says how many messages ended in it. @throws Error for a wrong message */
  read(chunk: Buffer, end: number): number {
    const before = this.messages
    let at = 0
    while (at < end) {
      if (!this.#inFrame) {
        at = this.#readHeader(chunk, at, end)
        if (!this.#inFrame) break
      }
      const take = Math.min(this.#left, end - at)
      if (this.#sample !== undefined && !this.#control) this.#sample.push(this.#copy(chunk, at, at + take))
      at += take
      this.#left -= take
      if (this.#left === 0) this.#endFrame()
    }
    return this.messages - before
  }

  #readHeader(chunk: Buffer, start: number, end: number): number {
    let at = start
    const header = this.#header
    while (at < end) {
      header[this.#headerLength++] = chunk[at++] as number
      if (this.#headerLength < 2) continue
      const second = header[1] as number
      const short = second & 127
      const size = 2 + (short === 126 ? 2 : short === 127 ? 8 : 0) + (second & 128 ? 4 : 0)
      if (this.#headerLength < size) continue
      this.#left = short < 126 ? short : short === 126 ? header.readUInt16BE(2) : header.readUIntBE(4, 6)
      this.#frameLength = this.#left
      this.#mask = second & 128 ? header.subarray(size - 4, size) : undefined
      this.#beginFrame(header[0] as number)
      break
    }
    return at
  }

  #beginFrame(first: number): void {
    this.#headerLength = 0
    this.#inFrame = true
    this.#final = (first & 0x80) !== 0
    const opcode = first & 15
    this.#control = opcode >= 8
    if (this.#control) return this.#onControl(opcode)
    if (opcode !== 0) {
      this.#opcode = opcode
      this.#compressed = (first & 0x40) !== 0
      const { length } = this.#expected
      if (length === undefined || this.messages % sampleEvery === 0) this.#sample = []
    }
    this.#length += this.#left
  }

  #endFrame(): void {
    this.#inFrame = false
    if (this.#control || !this.#final) return
    const length = this.#length
    this.#length = 0
    const sample = this.#sample
    this.#sample = undefined
    if (this.greetings > 0) {
      this.greetings--
      return
    }
    if (length === this.#expected.noise) return
    if (sample !== undefined) this.#check(sample, length)
    if (length !== this.#expected.length)
      throw new Error(`a reply has ${length} bytes instead of ${this.#expected.length}`)
    this.messages++
  }

  /** A part of the frame's payload, unmasked. */
  #copy(chunk: Buffer, start: number, end: number): Buffer {
    const part = Buffer.from(chunk.subarray(start, end))
    const mask = this.#mask
    const offset = this.#frameLength - this.#left
    if (mask !== undefined)
      for (let at = 0; at < part.length; at++)
        part[at] = (part[at] as number) ^ (mask[(offset + at) & 3] as number)
    return part
  }

  #check(sample: Buffer[], length: number): void {
    const wrong = this.#expected.check(Buffer.concat(sample), this.#opcode, this.#compressed)
    if (wrong !== undefined) throw new Error(`a reply is not what was sent: ${wrong}`)
    this.#expected.length ??= length
  }
}
