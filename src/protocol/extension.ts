import type { ExtensionParams } from '../wire/header-grammar.ts'

/**
 * One extension at work on one connection (RFC 6455 section 9). It owns reserved bits of the frame header and
 * transforms whole messages: `encode` before they are framed, `decode` after their fragments have been joined. What
 * it makes of a message may be longer than `maxMessageSize` by an eighth. It answers at once: a promise is as wrong as
 * any other value that is not what the type says, and fails as what it throws does.
 *
 * @example
 * ```ts
 * import type { Extension } from 'silverback'
 *
 * const turn = (payload: Uint8Array): Uint8Array => payload.map((byte) => byte ^ 0xff)
 * const turning: Extension = { name: 'x-turning', rsv: 0x20, encode: turn, decode: turn }
 * ```
 */
export interface Extension {
  /** The registered name, such as `permessage-deflate`. */
  readonly name: string
  /**
   * The reserved bits it owns, as they stand in the first header byte: 0x40 for RSV1, 0x20, 0x10; 0 for one that leaves
   * messages as they are.
   */
  readonly rsv: number
  /**
   * Extensions of one variant encode a message alike, whatever was sent before: so a prepared message is encoded once
   * for all of them. Absent where what is sent refers to earlier messages.
   */
  readonly variant?: string | undefined
  /** Whether it does no more than save bytes: `conn.compress = false` then leaves it out. Default false. */
  readonly compresses?: boolean | undefined
  /**
   * The message in its transformed form, or `undefined` to send it as it is (its bits then stay 0). The payload may
   * be the caller's own: it is not changed, and not kept.
   */
  encode(payload: Uint8Array): Uint8Array | undefined
  /**
   * The original message, or the reason why there is none: `too large` when it would be longer than `maxSize` bytes
   * (an implementation stops there and holds no more), `corrupt` when the data is broken. What it throws counts as
   * `corrupt` too.
   */
  decode(payload: Uint8Array, maxSize: number): Uint8Array | 'too large' | 'corrupt'
  /**
   * Begins a message that is sent piece by piece: the function encodes each piece, and joined in order the encoded
   * pieces are the encoded message. Without it such messages are sent as they are.
   */
  pieceEncoder?(): ((piece: Uint8Array) => Uint8Array) | undefined
  /** Begins a message that is read piece by piece. Without it an encoded message can only be read whole. */
  decoder?(): StreamDecoder | undefined
  /** Sets the effort spent on what is sent from now on, 0 to 9, where there is such a thing. */
  setLevel?(level: number): void
  /** Called now and then while the peer is silent: what can be made again is to be released. What it throws is printed. */
  idle?(): void
  /** Called once, when the connection has ended. What it throws is printed. */
  dispose?(): void
}

/** Decodes one message while it comes. */
export interface StreamDecoder {
  /**
   * What the next encoded piece gives, in pieces of a bounded size: the next is made when it is asked for.
   *
   * @param last - whether the message ends with this piece
   * @throws Error when the data is broken
   */
  decode(piece: Uint8Array, last: boolean): AsyncIterable<Uint8Array>
  /** The message is not wanted any more, or has ended. What it throws is printed. */
  dispose(): void
}

/**
 * Negotiates one kind of extension in the opening handshake (RFC 6455 section 9.1) and makes it. Given to `serve`, an
 * `Upgrader` or `dial` as one of `extensions`.
 */
export interface ExtensionFactory {
  /** The registered name, as in the header: a token. */
  readonly name: string
  /** Client: the parameters to offer, best first. */
  offers(): readonly ExtensionParams[]
  /** Client: the extension as the server answered; `undefined` when the answer is not acceptable. */
  accept(params: ExtensionParams): Extension | undefined
  /** Server: takes one of the offers, in the client's order; `undefined` to decline them all. */
  negotiate(offers: readonly ExtensionParams[]):
    | {
        /** What the answer says of it. */
        readonly params: ExtensionParams
        /** What the connection uses. */
        readonly extension: Extension
      }
    | undefined
}
