/** The content of a message: a string for text, bytes for binary. */
export type Data = string | Uint8Array

/** A message is text or binary (RFC 6455 section 5.6). */
export type MessageType = 'text' | 'binary'

/** A message with its type told, for those who keep text as bytes. */
export interface Message<Content extends Data = Data> {
  /** As the sender meant it. */
  readonly type: MessageType
  /** The content: a string, or bytes where that was asked for or the message is binary. */
  readonly data: Content
}
