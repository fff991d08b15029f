/**
 * The web's own WebSocket interfaces: `WebSocket` and `CloseEvent` of the WHATWG WebSockets Standard, and Chromium's
 * `WebSocketStream` with its `WebSocketError`, which is not the one of `silverback`.
 *
 * @module
 */

export { CloseEvent, type CloseEventConstructor, type CloseEventInit } from './client/close-event.ts'
export {
  type BinaryType,
  WebSocket,
  type WebSocketConstructor,
  type WebSocketEventMap,
} from './client/websocket.ts'
export { type WebSocketCloseInfo, WebSocketError } from './client/websocket-error.ts'
export {
  type WebSocketOpenInfo,
  WebSocketStream,
  type WebSocketStreamOptions,
} from './client/websocket-stream.ts'
