/** The contents of a Close frame. `code` is 1005 when the frame had none. */
export interface CloseFrame {
  /** The close code (RFC 6455 section 7.4); 1005 when there was none. */
  readonly code: number
  /** The text beside it, often empty: written by whoever sent the frame. */
  readonly reason: string
}

/** Counters of one connection. Bytes are those of the WebSocket stream, frame headers included. */
export interface ConnStats {
  /** Bytes that came. */
  readonly bytesReceived: number
  /** Bytes of what was sent, those that still wait included. */
  readonly bytesSent: number
  /** Messages that came whole, taken or not. */
  readonly messagesReceived: number
  /** Messages that `send` took. */
  readonly messagesSent: number
  /** Messages given to `send` that were not sent: by the slow policy, or since the connection was ending. */
  readonly sendsDropped: number
  /** Messages received while we closed that there was no room for; some that follow the first one may not be counted. */
  readonly receivesDropped: number
  /** The last measured round trip in milliseconds. */
  readonly rtt: number | undefined
  /** What compression, or another extension, made of messages; `undefined` where none was negotiated. */
  readonly encoding?: EncodingStats | undefined
}

/** Bytes of the messages that extensions encoded, before and after. Messages that were sent as they are do not count. */
export interface EncodingStats {
  /** Of messages sent, as they were given to `send`. */
  readonly plainSent: number
  /** Of the same messages as they were sent. */
  readonly encodedSent: number
  /** Of messages received, as they were delivered. */
  readonly plainReceived: number
  /** Of the same messages as they came. */
  readonly encodedReceived: number
}

/**
 * How a connection ended: who, why, and both codes (RFC 6455 section 7.1).
 *
 * @example
 * ```ts
 * import { dial } from 'silverback'
 * const conn = await dial('wss://example.com/feed')
 * const { code, reason, by, error } = await conn.closed // never rejects
 * console.log(`closed with ${code} "${reason}" by ${by}`, error)
 * ```
 */
export interface CloseInfo {
  /**
   * The code of the Close frame that came first, also of ours when it did not get through; 1005 when that frame had
   * none, 1006 when there was no Close frame.
   */
  readonly code: number
  /** The reason beside that code. */
  readonly reason: string
  /** Whether both Close frames got through: the peer's was received, and ours has left. */
  readonly wasClean: boolean
  /** Who ended it: this side, the other side, or the network under both. */
  readonly by: 'local' | 'remote' | 'network'
  /** The peer's Close frame, if one came. */
  readonly received: CloseFrame | undefined
  /** Our Close frame, if it has left. */
  readonly sent: CloseFrame | undefined
  /** Why, if something went wrong: a protocol fault, a limit, a timeout, a socket error. */
  readonly error: Error | undefined
  /** The connection's counters at its end. */
  readonly stats: ConnStats
}
