import { constants, createDeflateRaw, createInflateRaw, deflateRawSync, type ZlibOptions } from 'node:zlib'

/** What of zlib's streams is used here, some of it not documented. */
interface ZlibStream {
  _handle: ZlibHandle | null
  /** Works at once, and closes the handle behind it. */
  _processChunk(bytes: Uint8Array, flush: number): Uint8Array
  /** How many bytes of the input the last work has taken. */
  readonly bytesWritten: number
  reset(): void
  on(event: 'error', listener: () => void): unknown
}

interface ZlibHandle {
  close(): void
}

/** Longer messages are not worth it: to set zlib up is then a small part of the work. */
const LONGEST_MESSAGE = 16 * 1024
/** What is longer inflates to more than that, as a rule. */
const LONGEST_DEFLATED = 3 * 1024

/** Each holds up to 256 KiB for as long as the process lives. */
const MOST_DEFLATERS = 8

/** A message of that length lies in the window from its beginning on: nothing ever slides. */
const WINDOW_BITS = 15

const zeros: Buffer = Buffer.alloc(LONGEST_MESSAGE)

/**
 * One zlib stream that serves message after message, of whichever connection, each by itself. To set one up for each
 * message takes as long as the work itself, and leaves the garbage collector as much to do again.
 *
 * zlib's streams work synchronously only by a method that closes them afterwards; here the handle stays open. That is
 * below the documented API (ADR 0015): whatever goes wrong, the answer is `undefined`, and the caller does the work as
 * documented.
 */
export class SharedZlib {
  readonly #create: () => ZlibStream
  readonly #flush: number
  readonly #longest: number
  /** How much of the window may hold what somebody has sent; zeros are behind it. For a deflater alone. */
  #stained = 0
  /** Hooks of `node:async_hooks` are called from within. */
  #busy = false
  #stream: ZlibStream | undefined
  #handle: ZlibHandle | undefined

  private constructor(create: () => unknown, flush: number, longest: number) {
    this.#create = create as () => ZlibStream
    this.#flush = flush
    this.#longest = longest
  }

  /** To be given messages as they are; what comes out ends with a flush. */
  static deflater(options: Pick<ZlibOptions, 'level' | 'memLevel'>): SharedZlib {
    const create = (): unknown => createDeflateRaw({ ...options, windowBits: WINDOW_BITS })
    return new SharedZlib(create, constants.Z_SYNC_FLUSH, LONGEST_MESSAGE)
  }

  /** To be given whole deflate streams, no more and no less. */
  static inflater(): SharedZlib {
    const create = (): unknown => createInflateRaw({ maxOutputLength: LONGEST_MESSAGE })
    return new SharedZlib(create, constants.Z_FINISH, LONGEST_DEFLATED)
  }

  /** What the bytes give; `undefined` for what must be found out in another way. */
  run(bytes: Uint8Array): Buffer | undefined {
    if (bytes.length > this.#longest || this.#busy) return undefined
    this.#busy = true
    try {
      const stream = this.#opened()
      if (bytes.length < this.#stained) this.#wipe(stream)
      if (this.#flush === constants.Z_SYNC_FLUSH) this.#stained = bytes.length
      const output = stream._processChunk(bytes, this.#flush)
      this.#renew(stream)
      // The stream writes into the same memory each time.
      return stream.bytesWritten === bytes.length ? Buffer.from(output) : undefined
    } catch (error) {
      this.#recover(error)
      return undefined
    } finally {
      this.#busy = false
    }
  }

  /**
   * zlib looks at a few bytes behind the end of a message when it searches for its last bytes, and `reset` leaves in the
   * window what was there. Behind a shorter message that would be a longer one's, and the length of what comes out would
   * tell of it: a peer that says what is compressed for it could find out what was sent to others, byte by byte.
   */
  #wipe(stream: ZlibStream): void {
    // With a flush, as behind a message: there are zlibs in which reset does not end what is under way.
    stream._processChunk(zeros.subarray(0, this.#stained), constants.Z_SYNC_FLUSH)
    this.#renew(stream)
  }

  #renew(stream: ZlibStream): void {
    stream._handle = this.#handle as ZlibHandle
    stream.reset()
  }

  /** Of one that gave too much all is known; of one that failed otherwise, nothing. */
  #recover(error: unknown): void {
    try {
      const isWhole = (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE'
      if (isWhole && this.#stream !== undefined) return this.#renew(this.#stream)
    } catch {}
    this.#drop()
  }

  #opened(): ZlibStream {
    if (this.#stream !== undefined) return this.#stream
    const stream = this.#create()
    stream.on('error', ignore)
    // With each work a listener is added, which nobody takes off again. What fails is thrown as well.
    stream.on = () => stream
    const handle = stream._handle as ZlibHandle
    // Hides the handle's own.
    handle.close = ignore
    this.#handle = handle
    this.#stream = stream
    return stream
  }

  #drop(): void {
    const handle = this.#handle
    this.#stream = this.#handle = undefined
    this.#stained = 0
    if (handle === undefined) return
    delete (handle as Partial<ZlibHandle>).close
    handle.close()
  }
}

/** A final block of the type that does not exist. */
const NO_BLOCK: Buffer = Buffer.from([0b111])

function ignore(): void {}

const deflaters = new Map<string, SharedZlib>()
let inflater: SharedZlib | undefined
let works: boolean | undefined

/**
 * The stream for these settings; `undefined` where this runtime has no such thing, or there are too many. For the usual
 * window alone: peers choose theirs, and would take the places of those that the application has chosen settings for.
 */
export function sharedDeflater(windowBits: number, level: number, memLevel: number): SharedZlib | undefined {
  if (windowBits !== WINDOW_BITS || !isSharable()) return undefined
  const name = `${level} ${memLevel}`
  const known = deflaters.get(name)
  if (known !== undefined || deflaters.size >= MOST_DEFLATERS) return known
  const made = SharedZlib.deflater({ level, memLevel })
  deflaters.set(name, made)
  return made
}

/** The stream that inflates; `undefined` where this runtime has no such thing. */
export function sharedInflater(): SharedZlib | undefined {
  if (!isSharable()) return undefined
  inflater ??= SharedZlib.inflater()
  return inflater
}

function isSharable(): boolean {
  works ??= holds(SharedZlib.deflater({ level: 1 }), SharedZlib.inflater())
  return works
}

/** Whether streams do on this runtime what is expected of them: message after message, also behind a broken one. */
export function holds(deflater: SharedZlib, inflater: SharedZlib): boolean {
  // Behind a long one a shorter one, before which zeros are deflated.
  return ['first', 'second', '', 'third '.repeat(400), 'fourth fourth', 'fifth'].every((text) => {
    const bytes = Buffer.from(text)
    const flushed = deflateRawSync(bytes, { level: 1, finishFlush: constants.Z_SYNC_FLUSH })
    const whole = deflateRawSync(bytes, { level: 1 })
    return (
      deflater.run(bytes)?.equals(flushed) === true &&
      inflater.run(whole)?.equals(bytes) === true &&
      inflater.run(Buffer.concat([whole, NO_BLOCK])) === undefined &&
      inflater.run(NO_BLOCK) === undefined
    )
  })
}
