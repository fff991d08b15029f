/** The content of a message: a string for text, bytes for binary. */
export type Data = string | Uint8Array

/** A message is text or binary (RFC 6455 section 5.6). */
export type MessageType = 'text' | 'binary'

/** A message with its type told, for those who keep text as bytes. */
export interface Message<Content extends Data = Data> {
  readonly type: MessageType
  readonly data: Content
}
