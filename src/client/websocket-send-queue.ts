import { clearTimeout, setImmediate, setTimeout } from 'node:timers'
import type { Conn } from '../conn/conn.ts'
import type { CloseStatus } from './close-status.ts'
import { CLOSE_PATIENCE, closeWhenSent } from './close-when-sent.ts'
import { snapshot } from './message-data.ts'
import { blobSize, readBlob } from './runtime.ts'

/** Messages that leave one behind the other are counted as one up to this many bytes. */
const BATCH = 16 * 1024

/** How long Blobs may take to be read once the connection is to close, in milliseconds: that of a closing at most. */
const BLOB_PATIENCE = 12 * CLOSE_PATIENCE

interface Waiting {
  readonly data: string | Uint8Array | Blob
  readonly size: number
}

/** Messages given to the connection: `size` bytes of payload, the last of them before `end` in all that was added to it. */
interface Batch {
  end: number
  size: number
}

/** The messages that a `WebSocket` sends, in order though Blobs are read in their own time, and counted until they have left. */
export class WebSocketSendQueue {
  readonly #conn: Conn
  readonly #onFailed: () => void
  /** The first is a Blob, and is being read. */
  readonly #waiting: Waiting[] = []
  #waitingSize = 0
  #batches: Batch[] = []
  #batchesSize = 0
  /** Bytes that came when the connection was ending already. */
  #lostSize = 0
  /** What our messages have added to the connection's own count of waiting bytes, which has headers and such besides. */
  #added = 0
  #watching = false
  #closing: CloseStatus | undefined
  readonly #read: typeof readBlob
  readonly #patience: number

  /**
   * @param onFailed - a message could not be sent: the connection is being dropped
   * @param read - reads a Blob
   * @param patience - how long that may take once the connection is to close, in milliseconds
   */
  constructor(
    conn: Conn,
    onFailed: () => void,
    read: typeof readBlob = readBlob,
    patience: number = BLOB_PATIENCE,
  ) {
    this.#conn = conn
    this.#onFailed = onFailed
    this.#read = read
    this.#patience = patience
  }

  /** Bytes of payload that have not left. It gets smaller between two turns only, as bytes leave then. */
  get bufferedAmount(): number {
    this.#forgetSent()
    return this.#waitingSize + this.#batchesSize + this.#lostSize
  }

  /** Bytes may be changed, or their buffer transferred, as soon as this returns. */
  send(data: string | Uint8Array | Blob, size: number): void {
    const ready = isBlob(data) ? undefined : data
    if (this.#waiting.length === 0 && ready !== undefined) return this.#pass(snapshot(ready, 'sent'), size)
    this.#waitingSize += size
    this.#waiting.push({ data: ready === undefined ? data : snapshot(ready, 'kept'), size })
    if (this.#waiting.length === 1) void this.#readBlobs()
  }

  /** Closes behind all that was sent. */
  close(status: CloseStatus): void {
    if (this.#waiting.length === 0) return void closeWhenSent(this.#conn, status)
    this.#closing = status
    // A Blob that is never read, such as that of a pipe, must not keep the connection for ever.
    const timer = setTimeout(() => {
      if (this.#waiting.length > 0) this.#fail()
    }, this.#patience)
    void this.#conn.closed.then(() => clearTimeout(timer))
  }

  /** The connection has ended in order: what was sent in time has left. Otherwise, what was not seen to leave counts for ever. */
  endInOrder(): void {
    this.#batches = []
    this.#batchesSize = 0
  }

  async #readBlobs(): Promise<void> {
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      const { data, size } = next
      const message = isBlob(data) ? await this.#read(data) : data
      if (message === undefined) return this.#fail()
      this.#waiting.shift()
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
    const before = conn.bufferedAmount
    try {
      conn.send(data)
    } catch {
      // There is no memory for it.
      this.#lostSize += size
      return this.#fail()
    }
    this.#added += conn.bufferedAmount - before
    this.#batchesSize += size
    const last = this.#batches.at(-1)
    if (last === undefined || last.size >= BATCH) this.#batches.push({ end: this.#added, size })
    else {
      last.end = this.#added
      last.size += size
    }
    if (!this.#watching) void this.#watch()
  }

  /** Looks once at the end of this turn, and once there is room, so that nobody need ask to have it known at the end. */
  async #watch(): Promise<void> {
    this.#watching = true
    await new Promise((resolve) => setImmediate(resolve))
    this.#forgetSent()
    // Rejects at the end of the connection.
    if (this.#batches.length > 0)
      await this.#conn.drained().then(
        () => this.#forgetSent(),
        () => {},
      )
    this.#watching = false
  }

  #forgetSent(): void {
    // Without a socket the connection lets go of what has not left.
    if (this.#batches.length === 0 || this.#conn.socket.destroyed) return
    // The connection counts what else it sends, too, as long as that waits: a little is forgotten late.
    const left = this.#added - this.#conn.bufferedAmount
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

function isBlob(data: string | Uint8Array | Blob): data is Blob {
  return blobSize(data) !== undefined
}
