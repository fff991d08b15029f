/**
 * A WebSocket server and client for Node.
 *
 * @module
 */

export type { ConnectHook, ConnectTarget } from './client/connect-stream.ts'
export type { CookieJar } from './client/cookies.ts'
export type { DialOptions } from './client/dial-options.ts'
export { Dialer, dial } from './client/dialer.ts'
export type { NetworkStatus } from './client/network-status.ts'
export type { ProxyChoice, ProxyOptions } from './client/proxy.ts'
export { reconnect } from './client/reconnect.ts'
export type {
  Attempt,
  PerAttempt,
  ReconnectClock,
  ReconnectDialOptions,
  ReconnectOptions,
} from './client/reconnect-options.ts'
export {
  type ReconnectingConn,
  type ReconnectingEnd,
  type ReconnectingOptions,
  type ReconnectingState,
  reconnecting,
} from './client/reconnecting-conn.ts'
export type { DropReason, OutboxOptions, OverflowPolicy } from './client/send-queue.ts'
export type { DialTlsOptions } from './client/start-tls.ts'
export { WebSocket } from './client/websocket.ts'
export { WebSocketStream } from './client/websocket-stream.ts'
export { type BroadcastOptions, type BroadcastResult, broadcast } from './conn/broadcast.ts'
export { formatCloseMessage, isCloseError, isUnexpectedCloseError } from './conn/close-helpers.ts'
export { Conn, type MessagesOptions } from './conn/conn.ts'
export type { ControlHandlers } from './conn/control.ts'
export type { ExtensionOptions } from './conn/extension-options.ts'
export type { MessageListener, TextAs } from './conn/inbox.ts'
export { type JoinOptions, joinMessages } from './conn/join-messages.ts'
export type { JsonOptions } from './conn/json.ts'
export { MessageStream } from './conn/message-stream.ts'
export { MessageWriter } from './conn/message-writer.ts'
export type { DiagnosticsEvents, Log, LogEntry } from './conn/observer.ts'
export type { SlowPolicy } from './conn/sender.ts'
export type { StreamOptions } from './conn/stream-adapter.ts'
export { toDuplex } from './conn/to-duplex.ts'
export { toWebStreams, type WebStreams } from './conn/to-web-streams.ts'
export type { CompressionOptions } from './protocol/deflate-negotiation.ts'
export type { Extension, ExtensionFactory, StreamDecoder } from './protocol/extension.ts'
export { defaultLimits, type Limits } from './protocol/limits.ts'
export type { Authorization, Authorize, AuthorizeDetails } from './server/authorize.ts'
export type { DrainOptions } from './server/drain.ts'
export { isWebSocketUpgrade } from './server/is-websocket-upgrade.ts'
export { allowOrigins, type OriginCheck, sameOrigin } from './server/origin.ts'
export { type Refusal, refuse } from './server/refuse.ts'
export { type AnswerHeaders, type RejectOptions, reject } from './server/reject.ts'
export { type ServeOptions, type Server, serve } from './server/serve.ts'
export type { ServerStats } from './server/server-counters.ts'
export { subprotocols } from './server/subprotocols.ts'
export type { UpgradeListener } from './server/unclaimed.ts'
export { type Handler, type ServerConn, Upgrader } from './server/upgrader.ts'
export type { Rejection, UpgraderOptions } from './server/upgrader-options.ts'
export type { CloseFrame, CloseInfo, ConnStats, EncodingStats } from './session/close-info.ts'
export {
  CloseError,
  type ErrorCode,
  HandshakeError,
  LimitError,
  ProtocolError,
  TimeoutError,
  UsageError,
  WebSocketError,
} from './session/errors.ts'
export type { HandshakeRequest, HandshakeResponse } from './session/handshake-request.ts'
export type { Data, Message, MessageType } from './session/message.ts'
export { Prepared, prepare } from './session/prepared.ts'
export type { SchemaIssue, SchemaResult, StandardSchema } from './session/schema.ts'
export type { Sendable, Session } from './session/session.ts'
export { CloseCode } from './wire/close-code.ts'
export type { ExtensionParams } from './wire/header-grammar.ts'
