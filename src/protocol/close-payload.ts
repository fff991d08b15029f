import type { CloseFrame } from '../session/close-info.ts'
import { CloseCode } from '../wire/close-code.ts'
import { MAX_CONTROL_PAYLOAD } from '../wire/frame-header.ts'

/** Room for the reason behind the two bytes of the code. */
export const MAX_REASON_SIZE: number = MAX_CONTROL_PAYLOAD - 2

/** A Close frame's payload, and what it says. */
export interface CloseReasonBytes {
  readonly payload: Uint8Array
  readonly frame: CloseFrame
}

const NOTHING = new Uint8Array(0)

/**
 * The payload of a Close frame (RFC 6455 section 5.5.1): nothing for 1005, else code and reason, which is cut at
 * 123 bytes between two characters.
 */
export function encodeCloseReason(code: number, reason: string): CloseReasonBytes {
  if (code === CloseCode.NoStatus) return { payload: NOTHING, frame: { code, reason: '' } }
  let text = Buffer.from(reason, 'utf8')
  if (text.length > MAX_REASON_SIZE) {
    let end = MAX_REASON_SIZE
    while (((text[end] as number) & 0xc0) === 0x80) end--
    text = text.subarray(0, end)
  }
  const payload = Buffer.allocUnsafe(2 + text.length)
  payload.writeUInt16BE(code, 0)
  text.copy(payload, 2)
  return { payload, frame: { code, reason: text.toString('utf8') } }
}
