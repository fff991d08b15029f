/** Lends the memory that outgoing frames are written into. */
export interface SlabSource {
  /** A buffer of at least `size` bytes; its contents are arbitrary. */
  acquire(size: number): Buffer
  /**
   * Tells that what `acquire` lent is not written to any more.
   *
   * @param reusable - whether nobody reads it any more either
   */
  release(slab: Buffer, reusable: boolean): void
}

const SMALLEST_SLAB = 1024

/** Copying this many bytes costs less than one more piece in a gathered write. */
const JOIN_LIMIT = 2048

/** Slabs from the heap, never reused. */
export const heapSlabs: SlabSource = {
  acquire: (size) => Buffer.allocUnsafe(Math.max(size, SMALLEST_SLAB)),
  release: () => {},
}

/**
 * The bytes that one connection has to send, in order: frames written one behind the other into a slab, and large
 * payloads by reference between them. The owner takes them once per turn, in as few pieces as possible.
 */
export class Output {
  readonly #source: SlabSource
  /** Bytes written since the last `take`. */
  pending = 0
  #slab: Buffer | undefined
  /** The part of the slab that is not in `#pieces` yet. */
  #from = 0
  #to = 0
  #pieces: Uint8Array[] | undefined
  /** Slabs that hold bytes of the last `take`. */
  #lent: Buffer[] | undefined

  constructor(source: SlabSource = heapSlabs) {
    this.#source = source
  }

  /** A buffer with room for `size` bytes from {@link at} on. */
  room(size: number): Buffer {
    if (this.#slab !== undefined && this.#slab.length - this.#to >= size) return this.#slab
    this.#seal()
    this.#retire()
    this.#slab = this.#source.acquire(size)
    this.#from = this.#to = 0
    return this.#slab
  }

  /** Where the next byte goes in the buffer that `room` returned. */
  get at(): number {
    return this.#to
  }

  /** Bytes up to `end` have been written into the buffer that `room` returned. */
  advance(end: number): void {
    this.pending += end - this.#to
    this.#to = end
  }

  /** Appends bytes: by reference, but few bytes behind others are copied to leave in one piece with them. */
  append(bytes: Uint8Array): void {
    if (this.pending > 0 && bytes.length <= JOIN_LIMIT) {
      this.room(bytes.length).set(bytes, this.#to)
      this.advance(this.#to + bytes.length)
      return
    }
    this.#seal()
    this.#pieces ??= []
    this.#pieces.push(bytes)
    this.pending += bytes.length
  }

  /** All pending bytes, in order; the owner passes them on and then says {@link recycle}. */
  take(): Uint8Array | Uint8Array[] {
    this.#seal()
    this.#retire()
    const pieces = this.#pieces ?? []
    this.#pieces = undefined
    this.pending = 0
    return pieces.length === 1 ? (pieces[0] as Uint8Array) : pieces
  }

  /** Whether any of the bytes last taken lie in a slab. */
  get lends(): boolean {
    return this.#lent !== undefined
  }

  /**
   * Releases the memory of the bytes last taken.
   *
   * @param reusable - whether they have left; else whoever still reads them keeps the memory alive
   */
  recycle(reusable: boolean): void {
    if (this.#lent === undefined) return
    for (const slab of this.#lent) this.#source.release(slab, reusable)
    this.#lent = undefined
  }

  #seal(): void {
    if (this.#to === this.#from) return
    this.#pieces ??= []
    this.#pieces.push((this.#slab as Buffer).subarray(this.#from, this.#to))
    this.#from = this.#to
  }

  #retire(): void {
    if (this.#slab === undefined) return
    this.#lent ??= []
    this.#lent.push(this.#slab)
    this.#slab = undefined
    this.#from = this.#to = 0
  }
}
