/**
 * The protocol engine of RFC 6455 without any I/O: for tests, other transports, and tools.
 *
 * @module
 */

export {
  buildRequestHeaders,
  type ClientAcceptance,
  type ClientDecision,
  type ClientOffer,
  type ClientRefusal,
  type HandshakeResponse,
  verifyResponse,
} from './protocol/client-handshake.ts'
export {
  type ClosedBy,
  type ClosingEvent,
  type ClosingState,
  closingTable,
  nextClosingState,
} from './protocol/closing.ts'
export {
  type CompressionOptions,
  deflateExtension,
  type ResolvedCompression,
  resolveCompression,
} from './protocol/deflate-negotiation.ts'
export type { Extension, ExtensionFactory, StreamDecoder } from './protocol/extension.ts'
export type { EncodedMessage, PieceEncoder } from './protocol/extension-pipeline.ts'
export type { Fault, FaultCode } from './protocol/fault.ts'
export { FrameDecoder, type FrameDecoderOptions, type FrameSink } from './protocol/frame-decoder.ts'
export { defaultLimits, type Limits, resolveLimits } from './protocol/limits.ts'
export { heapSlabs, Output, type SlabSource } from './protocol/output.ts'
export { Protocol, type ProtocolOptions } from './protocol/protocol.ts'
export type { ProtocolHandler, StreamHandler } from './protocol/protocol-handler.ts'
export {
  decideUpgrade,
  type HandshakeHeaders,
  type HandshakeRequest,
  type ServerAcceptance,
  type ServerDecision,
  type ServerHandshakeOptions,
  type ServerRefusal,
} from './protocol/server-handshake.ts'
export type { CloseFrame, EncodingStats } from './session/close-info.ts'
export type { ErrorCode } from './session/errors.ts'
export type { MessageType } from './session/message.ts'
export { Prepared, prepare } from './session/prepared.ts'
export { acceptKey, formatKey, isValidKey } from './wire/accept-key.ts'
export { CloseCode, isSendableCloseCode } from './wire/close-code.ts'
export {
  type ExtensionItem,
  type ExtensionParams,
  formatExtension,
  parseExtensions,
} from './wire/header-grammar.ts'
export { isControl, Opcode } from './wire/opcode.ts'
