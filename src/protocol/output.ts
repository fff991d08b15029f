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
const LARGEST_GROWN = 64 * 1024

/** Copying this many bytes costs less than one more piece in a gathered write. */
const JOIN_LIMIT = 2048

/** What a stream reads at a time, at most: a message that is sent on may be a view of so much. */
const LARGEST_CHUNK = 64 * 1024

/** Shared frames are joined up to these numbers of frames and bytes. */
const MOST_SHARED = 256
const LARGEST_SHARED = 64 * 1024

/** Slabs from the heap, never reused. */
export const heapSlabs: SlabSource = {
  // Not from Node's pool: what waits because a peer does not read would keep up to 64 KiB of it alive.
  acquire: (size) => Buffer.allocUnsafeSlow(Math.max(size, SMALLEST_SLAB)),
  release: () => {},
}

/**
 * The bytes that one connection has to send, in order: frames written one behind the other into a slab, and large
 * payloads by reference between them. The owner takes them when the stream can, in as few pieces as possible; what
 * waits until then costs its bytes and little more, however many messages it is.
 */
export class Output {
  readonly #source: SlabSource
  /** Bytes that have not been taken. */
  pending = 0
  /** Set by the owner while the stream takes nothing: what is written meanwhile borrows no slab, since it may wait long. */
  held = false
  #slab: Buffer | undefined
  /** The part of the slab that is not in `#pieces` yet. */
  #from = 0
  #to = 0
  #pieces: Uint8Array[] | undefined
  /** A shared frame that is first of these bytes, and mostly all of them: a list for each of many thousands costs. */
  #first: Uint8Array | undefined
  /** How many of the pieces are shared frames. */
  #shared = 0
  /** The source's slab that holds the first of these bytes, or of those last taken. */
  #borrowed: Buffer | undefined

  /** Empty, with memory from `source`. */
  constructor(source: SlabSource = heapSlabs) {
    this.#source = source
  }

  /** A buffer with room for `size` bytes from {@link at} on. */
  room(size: number): Buffer {
    if (this.#slab !== undefined && this.#slab.length - this.#to >= size) return this.#slab
    this.#seal()
    this.#from = this.#to = 0
    if (this.pending === 0 && !this.held && this.#borrowed === undefined) {
      this.#slab = this.#borrowed = this.#source.acquire(size)
    } else {
      // Grows with what waits, so that much of it is in few pieces and little of it in small ones.
      this.#slab = heapSlabs.acquire(Math.max(size, Math.min(this.pending, LARGEST_GROWN)))
    }
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
    this.#pieces.push(this.held && keepsMore(bytes) ? copyApart(bytes) : bytes)
    this.pending += bytes.length
  }

  /**
   * Appends a frame that never changes, and that others send, too. Those that send the same frames in one turn share
   * the memory in which they are joined, and the work.
   */
  share(frame: Uint8Array): void {
    const isShort = frame.length <= JOIN_LIMIT && this.pending + frame.length <= LARGEST_SHARED
    // What waits long must not take more memory than its bytes.
    if (!isShort || this.held || this.#shared === MOST_SHARED) return this.append(frame)
    if (this.pending === 0) {
      this.#first = frame
    } else {
      this.#seal()
      this.#pieces ??= []
      this.#pieces.push(frame)
      this.#shared++
    }
    this.pending += frame.length
  }

  /**
   * The next pending bytes, in order; the owner passes them on and then says {@link recycle}.
   *
   * @param limit - the most bytes to take
   * @throws Error when bytes that were appended by reference have gone, since their buffer was transferred
   */
  take(limit: number = Number.POSITIVE_INFINITY): Uint8Array | Uint8Array[] {
    // The usual cases: one message to many, or what was written into one slab, is all there is.
    if (this.#pieces === undefined && this.pending > 0 && this.pending <= limit) {
      if (this.#first === undefined) return this.#takeSlab()
      if (this.#first.length === this.pending) return this.#takeFirst(this.#first)
    }
    this.#seal()
    this.#slab = undefined
    const pieces = this.#pieces ?? []
    const shared = this.#shared
    this.#shared = 0
    if (this.pending > limit) return this.#takeSome(pieces, limit)
    const length = this.pending
    this.#pieces = undefined
    this.pending = 0
    if (lengthOf(pieces) !== length) throw new Error(GONE)
    if (pieces.length === 1) return pieces[0] as Uint8Array
    if (shared === 0 || length > LARGEST_SHARED) return pieces
    return shared === pieces.length ? joinShared(pieces, length) : Buffer.concat(pieces, length)
  }

  /**
   * Releases the memory of the bytes last taken.
   *
   * @param reusable - whether they have left; else whoever still reads them keeps the memory alive
   */
  recycle(reusable: boolean): void {
    if (this.#borrowed === undefined) return
    this.#source.release(this.#borrowed, reusable && this.pending === 0)
    this.#borrowed = undefined
  }

  #takeSlab(): Uint8Array {
    const bytes = (this.#slab as Buffer).subarray(this.#from, this.#to)
    this.#slab = undefined
    this.#from = this.#to
    this.pending = 0
    return bytes
  }

  #takeFirst(first: Uint8Array): Uint8Array {
    this.#first = undefined
    this.pending = 0
    return first
  }

  #takeSome(pieces: Uint8Array[], limit: number): Uint8Array[] {
    const taken: Uint8Array[] = []
    for (let missing = limit; missing > 0; ) {
      const piece = pieces[0]
      if (piece === undefined || piece.length === 0) throw new Error(GONE)
      if (piece.length > missing) {
        taken.push(piece.subarray(0, missing))
        pieces[0] = piece.subarray(missing)
        break
      }
      taken.push(piece)
      pieces.shift()
      missing -= piece.length
    }
    this.pending -= limit
    return taken
  }

  #seal(): void {
    if (this.#first !== undefined) {
      this.#pieces = [this.#first]
      this.#shared = 1
      this.#first = undefined
    }
    if (this.#to === this.#from) return
    this.#pieces ??= []
    this.#pieces.push((this.#slab as Buffer).subarray(this.#from, this.#to))
    this.#from = this.#to
  }
}

/**
 * A copy that may be kept for long. `Buffer.from` would cut it from a pool of up to 64 KiB, all of which a few bytes
 * would keep alive.
 */
export function copyApart(bytes: Uint8Array): Buffer {
  const copy = Buffer.allocUnsafeSlow(bytes.length)
  copy.set(bytes)
  return copy
}

/** Whether to keep these bytes for long would keep much more alive: the chunk that a peer's message came in. */
export function keepsMore(bytes: Uint8Array): boolean {
  return bytes.length < LARGEST_CHUNK && bytes.length * 4 < bytes.buffer.byteLength * 3
}

/** A view that stays as long as it is: one that grows with its buffer would be more than its frame's header says. */
export function pinned(bytes: Uint8Array): Uint8Array {
  const { resizable, growable } = bytes.buffer as {
    readonly resizable?: boolean
    readonly growable?: boolean
  }
  return resizable === true || growable === true ? bytes.subarray(0, bytes.length) : bytes
}

function lengthOf(pieces: readonly Uint8Array[]): number {
  let length = 0
  for (const piece of pieces) length += piece.length
  return length
}

// What was joined last. In a fan-out the next connection has the same frames to send, often thousands of times.
let sharedPieces: readonly Uint8Array[] = []
let sharedBytes: Uint8Array = new Uint8Array(0)

function joinShared(pieces: readonly Uint8Array[], length: number): Uint8Array {
  const same = pieces.length === sharedPieces.length && pieces.every((piece, i) => piece === sharedPieces[i])
  if (!same) {
    sharedPieces = pieces
    sharedBytes = Buffer.concat(pieces, length)
  }
  return sharedBytes
}

/** Why what was given by reference cannot be sent. */
export const GONE = 'the buffer of a message was transferred or resized before the message was sent'
