import { encodeCloseReason } from '../protocol/close-payload.ts'
import type { CloseFrame } from '../session/close-info.ts'
import { WebSocketError } from '../session/errors.ts'
import { isSendableCloseCode } from '../wire/close-code.ts'

/** The Close frame that an error asks for: by its `closeCode`, and its `reason` if it has one. */
export function closeFrameOf(error: unknown): CloseFrame | undefined {
  if (error === undefined || error === null) return undefined
  const { closeCode, reason, message } = error as Readonly<Record<string, unknown>>
  if (!isSendableCloseCode(closeCode as number)) return undefined
  const text = error instanceof WebSocketError ? message : reason
  return encodeCloseReason(closeCode as number, typeof text === 'string' ? text : '').frame
}
