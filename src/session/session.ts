import type { CloseInfo } from './close-info.ts'
import type { HandshakeRequest } from './handshake-request.ts'
import type { Data, MessageType } from './message.ts'
import type { Prepared } from './prepared.ts'

/** What can be sent: a string goes out as text, bytes as binary, a prepared message as what it was made from. */
export type Sendable = string | Uint8Array | ArrayBuffer | Prepared

/**
 * One peer, whatever carries its messages. Broadcasting and rooms need no more than this.
 *
 * Iterating yields the peer's messages.
 */
export interface Session extends AsyncIterable<Data> {
  /** Unique in this process and beyond: a random UUID. */
  readonly id: string
  /** What is kept of the HTTP request that opened it; `undefined` on a client. */
  readonly request: HandshakeRequest | undefined
  /** `open` until either side begins to close, `closed` once nothing is left of it. */
  readonly state: 'open' | 'closing' | 'closed'
  /** Resolves when the session has ended, and says how. Never rejects. */
  readonly closed: Promise<CloseInfo>
  /** Bytes that wait to be sent, framing included. */
  readonly bufferedAmount: number
  /** Above this many waiting bytes the slow policy applies. */
  readonly maxSendBuffer: number
  /**
   * Sends a message. `false`: wait for room before sending more, or the session has ended and nothing was sent.
   *
   * @param type - default: strings are text, bytes are binary
   */
  send(data: Sendable, type?: MessageType): boolean
  /** Ends the session in order; resolves when it has ended. */
  close(code?: number, reason?: string): Promise<CloseInfo>
}
