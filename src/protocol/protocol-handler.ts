import type { CloseFrame } from '../session/close-info.ts'
import type { MessageType } from '../session/message.ts'
import type { StreamDecoder } from './extension.ts'
import type { Fault } from './fault.ts'

/** What an engine tells its owner, while `receive` runs. */
export interface ProtocolHandler {
  /**
   * A whole message at `[start, end)` of `bytes`; text has been checked. The engine does not touch these bytes again.
   *
   * @param ascii - text only: whether all of it is known to be ASCII, so that it can be decoded byte by byte
   */
  onMessage(type: MessageType, bytes: Buffer, start: number, end: number, ascii: boolean): void
  /** A ping came; the engine answers it by itself, unless `answersPings`. The payload is a view, valid during the call. */
  onPing(payload: Buffer): void
  /** A pong came, asked for or not. The payload is a view, valid during the call. */
  onPong(payload: Buffer): void
  /** The peer's Close frame came; the engine answers it by itself. Code 1005 when it had none. */
  onClose(frame: CloseFrame): void
  /** The peer broke a rule. Called once; the Close frame that tells the peer is in the output. */
  onFault(fault: Fault): void
  /** Whether pings are answered by the owner, with `sendPong`. Default false. */
  readonly answersPings?: boolean
  /** The Close frame to answer the peer's with, checked. Default: one with the same code and no reason. */
  closeAnswer?(frame: CloseFrame): CloseFrame
}

/** Whom an engine gives messages piece by piece, instead of whole; told while `receive` or `Protocol.stream` runs. */
export interface StreamHandler {
  /** Whether the message that comes, as far as it has not come whole, is wanted piece by piece. */
  readonly wanted: boolean
  /**
   * A message begins to be delivered so.
   *
   * @param decoder - what its pieces must be passed through, where extensions have encoded it: they come as they were
   * sent, and neither UTF-8 nor `maxStreamSize` has been checked
   */
  begin(type: MessageType, decoder: StreamDecoder | undefined): void
  /** The next piece, at `[start, end)` of `bytes`. The engine does not touch these bytes again. */
  piece(bytes: Buffer, start: number, end: number): void
  /** The message is complete. */
  end(): void
  /**
   * A message of more than `maxMessageSize` bytes is not wanted piece by piece. The engine is suspended in front of it
   * until the owner says `Protocol.stream` or `Protocol.refuse`.
   */
  held(): void
}
