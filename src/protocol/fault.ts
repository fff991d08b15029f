import type { CodeOf } from '../session/errors.ts'
import { CloseCode } from '../wire/close-code.ts'

/** What the engine can find wrong with what the peer sent. */
export type FaultCode = CodeOf<'ProtocolError'> | 'ERR_WS_FRAME_TOO_LARGE' | 'ERR_WS_MESSAGE_TOO_LARGE'

/**
 * Why a connection failed. Made once, when it fails: the engine never throws on what a peer sends.
 */
export interface Fault {
  /** What is wrong: the code of the error that users get. */
  readonly code: FaultCode
  /** The code of the Close frame that tells the peer. */
  readonly closeCode: number
  /** ASCII, short enough for the reason of a Close frame. */
  readonly message: string
  /** For a limit. */
  readonly limit?: {
    /** Its name in `limits`. */
    readonly limit: string
    /** What was asked for. */
    readonly actual: number
    /** What is allowed. */
    readonly max: number
  }
  /** What an extension of the application threw. */
  readonly cause?: unknown
}

/** The peer broke a rule of framing: 1002. */
export function protocolFault(code: CodeOf<'ProtocolError'>, message: string): Fault {
  return { code, closeCode: CloseCode.ProtocolError, message }
}

/** The payload is not what its type says: 1007. */
export function payloadFault(code: CodeOf<'ProtocolError'>, message: string): Fault {
  return { code, closeCode: CloseCode.InvalidPayload, message }
}

/** A frame or message is longer than allowed: 1009. */
export function sizeFault(
  limit: 'maxFrameSize' | 'maxMessageSize' | 'maxStreamSize',
  actual: number,
  max: number,
): Fault {
  const what = limit === 'maxFrameSize' ? 'frame' : 'message'
  return {
    code: limit === 'maxFrameSize' ? 'ERR_WS_FRAME_TOO_LARGE' : 'ERR_WS_MESSAGE_TOO_LARGE',
    closeCode: CloseCode.MessageTooBig,
    message: `${what} of more than ${max} bytes`,
    limit: { limit, actual, max },
  }
}
