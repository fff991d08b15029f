import type { Conn } from '../conn/conn.ts'
import type { CloseStatus } from './close-status.ts'
import { closeWhenSent } from './close-when-sent.ts'

/** Messages that leave one behind the other are counted as one up to this many bytes. */
const BATCH = 16 * 1024

/** Messages given to the connection: `size` bytes of payload, the last of them before `end` in all that is sent. */
interface Batch {
  end: number
  size: number
}

/** What waits behind a Blob that is being read. */
type Waiting = string | Uint8Array | Blob

/** The messages that a `WebSocket` sends, in order though Blobs are read in their own time, and counted until they have left. */
export class WebSocketSendQueue {
  readonly #conn: Conn
  readonly #onFailed: () => void
  /** The first is being read. */
  #waiting: Waiting[] = []
  #waitingSize = 0
  #batches: Batch[] = []
  #batchesSize = 0
  /** Bytes that came when the connection was ending already. */
  #lostSize = 0
  #closing: CloseStatus | undefined

  /** @param onFailed - a message could not be sent: the connection is being dropped */
  constructor(conn: Conn, onFailed: () => void) {
    this.#conn = conn
    this.#onFailed = onFailed
  }

  /**
   * Bytes of payload that have not left. It gets smaller between two turns only, as bytes leave then; at the end of the
   * connection it stays what it is.
   */
  get bufferedAmount(): number {
    this.#forgetSent()
    return this.#waitingSize + this.#batchesSize + this.#lostSize
  }

  /** Bytes may be changed, or their buffer transferred, as soon as this returns. */
  send(data: Waiting, size: number): void {
    if (this.#waiting.length === 0 && !(data instanceof Blob)) return this.#pass(data, size)
    this.#waitingSize += size
    this.#waiting.push(data instanceof Uint8Array ? new Uint8Array(data) : data)
    if (this.#waiting.length === 1) void this.#readBlobs()
  }

  /** Closes behind all that was sent. */
  close(status: CloseStatus): void {
    if (this.#waiting.length > 0) this.#closing = status
    else void closeWhenSent(this.#conn, status)
  }

  async #readBlobs(): Promise<void> {
    for (let data = this.#waiting[0]; data !== undefined; data = this.#waiting[0]) {
      const message = data instanceof Blob ? await readBlob(data) : data
      if (message === undefined) return this.#fail()
      this.#waiting.shift()
      const size = sizeOf(message)
      this.#waitingSize -= size
      this.#pass(message, size)
    }
    if (this.#closing !== undefined) void closeWhenSent(this.#conn, this.#closing)
  }

  #pass(data: string | Uint8Array, size: number): void {
    const conn = this.#conn
    if (conn.state !== 'open') {
      this.#lostSize += size
      return
    }
    this.#forgetSent()
    try {
      conn.send(data)
    } catch {
      // There is no memory for it.
      this.#lostSize += size
      return this.#fail()
    }
    this.#batchesSize += size
    const end = conn.stats.bytesSent
    const last = this.#batches.at(-1)
    if (last === undefined || last.size >= BATCH) this.#batches.push({ end, size })
    else {
      last.end = end
      last.size += size
    }
  }

  #forgetSent(): void {
    if (this.#batches.length === 0) return
    const left = this.#conn.stats.bytesSent - this.#conn.bufferedAmount
    let gone = 0
    for (const { end, size } of this.#batches) {
      if (end > left) break
      this.#batchesSize -= size
      gone++
    }
    if (gone > 0) this.#batches.splice(0, gone)
  }

  #fail(): void {
    this.#onFailed()
    this.#conn.terminate()
  }
}

/** `undefined` when it cannot be read, such as a file that has changed. */
async function readBlob(blob: Blob): Promise<Uint8Array | undefined> {
  try {
    return new Uint8Array(await blob.arrayBuffer())
  } catch {
    return undefined
  }
}

function sizeOf(message: string | Uint8Array): number {
  return typeof message === 'string' ? Buffer.byteLength(message, 'utf8') : message.length
}
