/**
 * The frame opcodes of RFC 6455 section 5.2. Values 3-7 and 11-15 are reserved and refused.
 */
export const Opcode = {
  /** A further fragment of the message under way (5.4). */
  Continuation: 0x0,
  /** The first, or only, fragment of a text message (5.6). */
  Text: 0x1,
  /** The first, or only, fragment of a binary message (5.6). */
  Binary: 0x2,
  /** The closing handshake (5.5.1). */
  Close: 0x8,
  /** Asks for a pong (5.5.2). */
  Ping: 0x9,
  /** Answers a ping, or comes by itself (5.5.3). */
  Pong: 0xa,
} as const

/** One of the six opcodes that RFC 6455 defines. */
export type Opcode = (typeof Opcode)[keyof typeof Opcode]

/** Whether an opcode (any 4-bit value) is a control frame's: close, ping, pong or a reserved 11-15. */
export function isControl(opcode: number): boolean {
  return (opcode & 0x8) !== 0
}

/** Whether RFC 6455 gives this 4-bit value a meaning. */
export function isKnownOpcode(opcode: number): opcode is Opcode {
  return opcode <= Opcode.Binary || (opcode >= Opcode.Close && opcode <= Opcode.Pong)
}
