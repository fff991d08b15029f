/** Lends the memory that outgoing frames are written into. */
export interface SlabSource {
  /** A buffer of at least `size` bytes; its contents are arbitrary. */
  acquire(size: number): Buffer
  /** Gives back what `acquire` lent, once nobody reads it any more. */
  release(slab: Buffer): void
}

const SMALLEST_SLAB = 1024

/** Slabs from the heap, never reused. */
const plainSlabs: SlabSource = {
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

  constructor(source: SlabSource = plainSlabs) {
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

  /** Appends bytes without copying them. */
  append(bytes: Uint8Array): void {
    this.#seal()
    this.#pieces ??= []
    this.#pieces.push(bytes)
    this.pending += bytes.length
  }

  /** All pending bytes, in order; the owner writes them and then says {@link recycle} or {@link forget}. */
  take(): Uint8Array | Uint8Array[] {
    this.#seal()
    this.#retire()
    const pieces = this.#pieces ?? []
    this.#pieces = undefined
    this.pending = 0
    return pieces.length === 1 ? (pieces[0] as Uint8Array) : pieces
  }

  /** The bytes last taken have left: their memory can serve again. */
  recycle(): void {
    if (this.#lent !== undefined) for (const slab of this.#lent) this.#source.release(slab)
    this.#lent = undefined
  }

  /** The bytes last taken are still being read: their memory is left to the garbage collector. */
  forget(): void {
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
