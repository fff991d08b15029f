import type { IncomingHttpHeaders } from 'node:http'
import { describeThrown } from './as-error.ts'
import type { CloseFrame, CloseInfo } from './close-info.ts'

/** The class of error that a code belongs to. */
export type ErrorKind =
  | 'ProtocolError'
  | 'LimitError'
  | 'HandshakeError'
  | 'CloseError'
  | 'TimeoutError'
  | 'UsageError'

/**
 * Every error code of the library with the class that carries it. Codes are stable: one is never renamed or
 * reused, and `docs/errors.md` explains each.
 */
export const errorKinds = {
  // What the peer did against RFC 6455, section 5 to 8.
  ERR_WS_RESERVED_BITS: 'ProtocolError',
  ERR_WS_RESERVED_OPCODE: 'ProtocolError',
  ERR_WS_UNMASKED_FRAME: 'ProtocolError',
  ERR_WS_MASKED_FRAME: 'ProtocolError',
  ERR_WS_LENGTH_NOT_MINIMAL: 'ProtocolError',
  ERR_WS_LENGTH_SIGN_BIT: 'ProtocolError',
  ERR_WS_CONTROL_FRAGMENTED: 'ProtocolError',
  ERR_WS_CONTROL_TOO_LONG: 'ProtocolError',
  ERR_WS_UNEXPECTED_CONTINUATION: 'ProtocolError',
  ERR_WS_EXPECTED_CONTINUATION: 'ProtocolError',
  ERR_WS_CLOSE_PAYLOAD: 'ProtocolError',
  ERR_WS_CLOSE_CODE: 'ProtocolError',
  ERR_WS_CLOSE_REASON: 'ProtocolError',
  ERR_WS_INVALID_UTF8: 'ProtocolError',
  ERR_WS_EXTENSION_DATA: 'ProtocolError',
  ERR_WS_INVALID_JSON: 'ProtocolError',
  ERR_WS_INVALID_MESSAGE: 'ProtocolError',
  ERR_WS_MESSAGE_TYPE: 'ProtocolError',
  // What grew past a limit of ours.
  ERR_WS_FRAME_TOO_LARGE: 'LimitError',
  ERR_WS_MESSAGE_TOO_LARGE: 'LimitError',
  ERR_WS_SEND_BUFFER_FULL: 'LimitError',
  // Why a server refused an upgrade.
  ERR_WS_CONNECTION_HEADER: 'HandshakeError',
  ERR_WS_UPGRADE_HEADER: 'HandshakeError',
  ERR_WS_METHOD: 'HandshakeError',
  ERR_WS_HTTP_VERSION: 'HandshakeError',
  ERR_WS_HOST: 'HandshakeError',
  ERR_WS_VERSION: 'HandshakeError',
  ERR_WS_REQUEST_BODY: 'HandshakeError',
  ERR_WS_ORIGIN: 'HandshakeError',
  ERR_WS_KEY: 'HandshakeError',
  ERR_WS_HEADER_SYNTAX: 'HandshakeError',
  ERR_WS_HEADER_LIMIT: 'HandshakeError',
  ERR_WS_PATH: 'HandshakeError',
  ERR_WS_CONNECTION_LIMIT: 'HandshakeError',
  ERR_WS_ADDRESS_LIMIT: 'HandshakeError',
  ERR_WS_UNAUTHORIZED: 'HandshakeError',
  ERR_WS_AUTHORIZE_TIMEOUT: 'HandshakeError',
  ERR_WS_SERVER: 'HandshakeError',
  ERR_WS_SERVER_CLOSING: 'HandshakeError',
  ERR_WS_SOCKET_CLOSED: 'HandshakeError',
  // Why a client did not take the answer.
  ERR_WS_CONNECT: 'HandshakeError',
  ERR_WS_PROXY: 'HandshakeError',
  ERR_WS_STATUS: 'HandshakeError',
  ERR_WS_REDIRECT: 'HandshakeError',
  ERR_WS_TOO_MANY_REDIRECTS: 'HandshakeError',
  ERR_WS_ACCEPT: 'HandshakeError',
  ERR_WS_SUBPROTOCOL: 'HandshakeError',
  ERR_WS_EXTENSION: 'HandshakeError',
  // The connection is over.
  ERR_WS_CLOSED: 'CloseError',
  // Something took too long.
  ERR_WS_HANDSHAKE_TIMEOUT: 'TimeoutError',
  ERR_WS_PONG_TIMEOUT: 'TimeoutError',
  ERR_WS_CLOSE_TIMEOUT: 'TimeoutError',
  // Our caller's mistake.
  ERR_WS_INVALID_OPTION: 'UsageError',
  ERR_WS_INVALID_ARGUMENT: 'UsageError',
  ERR_WS_CONCURRENT_READ: 'UsageError',
  ERR_WS_WRITER_ENDED: 'UsageError',
  ERR_WS_STREAM_CANCELLED: 'UsageError',
} as const

/** A stable error code. `docs/errors.md` says of each when it occurs, and what to do about it. */
export type ErrorCode = keyof typeof errorKinds

/** The codes whose error is of one kind. */
export type CodeOf<Kind extends ErrorKind> = {
  [Code in ErrorCode]: (typeof errorKinds)[Code] extends Kind ? Code : never
}[ErrorCode]

const brand = Symbol.for('silverback.error')

/** On the prototype, so that errors do not each carry it as properties of their own. */
function mark(type: { readonly prototype: Error }, kind: ErrorKind | 'WebSocketError'): void {
  type.prototype.name = kind
  Object.defineProperty(type.prototype, brand, { value: kind })
}

function kindOf(value: unknown): unknown {
  try {
    return (value as { [brand]?: unknown } | null | undefined)?.[brand]
  } catch {
    // Anything can be thrown, and then be asked for its class: a proxy that was revoked is none of ours.
    return undefined
  }
}

/**
 * The base of every error that this library makes. `code` is stable and documented; `cause` holds what led to it.
 *
 * `instanceof` also holds for errors of a second copy of the package in the same process.
 *
 * @example
 * ```ts
 * import { dial, WebSocketError } from 'silverback'
 * try {
 *   await dial('ws://127.0.0.1:1/')
 * } catch (error) {
 *   if (error instanceof WebSocketError) console.log(error.code) // ERR_WS_CONNECT
 * }
 * ```
 */
export class WebSocketError extends Error {
  /** Stable machine-readable code, `ERR_WS_...`. */
  readonly code: ErrorCode

  /** For classes that an application derives. */
  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }

  static {
    mark(WebSocketError, 'WebSocketError')
  }

  /** `instanceof`: holds for errors of another copy of the package too. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    // A class that an application derives has no mark of its own: the language's rule holds.
    if (!Object.hasOwn(this.prototype, brand)) return super[Symbol.hasInstance](value)
    const kind = kindOf(value)
    return this === WebSocketError ? kind !== undefined : kind === kindOf(this.prototype)
  }
}

/** The peer broke RFC 6455, or sent what the application said it cannot use. The connection was closed with `closeCode`. */
export class ProtocolError extends WebSocketError {
  /** The code of the Close frame that we sent: 1002, 1003 or 1007. */
  readonly closeCode: number

  /** Made by the library. */
  constructor(code: CodeOf<'ProtocolError'>, closeCode: number, message: string, options?: ErrorOptions) {
    super(code, message, options)
    this.closeCode = closeCode
  }

  static {
    mark(ProtocolError, 'ProtocolError')
  }
}

/**
 * Something grew past one of our limits. The connection was closed with `closeCode`, unless it is told by what was called.
 *
 * @example
 * ```ts
 * import { LimitError, serve } from 'silverback'
 * await using server = await serve({ limits: { maxMessageSize: 4096 } }, async (conn) => {
 *   const { error } = await conn.closed
 *   if (error instanceof LimitError) console.log(`${error.limit}: ${error.actual} > ${error.max}`)
 * })
 * ```
 */
export class LimitError extends WebSocketError {
  /** The limit's name, as in the `limits` option. */
  readonly limit: string
  /** What was asked for, or had been reached, in the limit's unit. */
  readonly actual: number
  /** The limit in force. */
  readonly max: number
  /** The code of the Close frame that we sent: 1009 or 1013. */
  readonly closeCode: number

  /** Made by the library. */
  constructor(
    code: CodeOf<'LimitError'>,
    closeCode: number,
    message: string,
    details: { readonly limit: string; readonly actual: number; readonly max: number },
  ) {
    super(code, message)
    this.closeCode = closeCode
    this.limit = details.limit
    this.actual = details.actual
    this.max = details.max
  }

  static {
    mark(LimitError, 'LimitError')
  }
}

/**
 * The opening handshake failed: a server refused the request, or a client did not accept the answer.
 *
 * @example
 * ```ts
 * import { dial, HandshakeError } from 'silverback'
 * try {
 *   await dial('wss://example.com/feed')
 * } catch (error) {
 *   if (error instanceof HandshakeError) console.log(error.code, error.status, error.body)
 * }
 * ```
 */
export class HandshakeError extends WebSocketError {
  /** The HTTP status: what the server answered, or the proxy (`ERR_WS_PROXY`). `undefined` when there was no answer. */
  readonly status: number | undefined
  /** The answer's headers, lower-case, where there was an answer. */
  readonly headers: IncomingHttpHeaders | undefined
  /** The first KiB of the answer's body as text (client only). */
  readonly body: string | undefined

  /** Made by the library. */
  constructor(
    code: CodeOf<'HandshakeError'>,
    message: string,
    details: {
      readonly status?: number | undefined
      readonly headers?: IncomingHttpHeaders | undefined
      readonly body?: string | undefined
      readonly cause?: unknown
    } = {},
  ) {
    super(code, message, details.cause === undefined ? undefined : { cause: details.cause })
    this.status = details.status
    this.headers = details.headers
    this.body = details.body
  }

  static {
    mark(HandshakeError, 'HandshakeError')
  }
}

/**
 * The connection has ended: what `read`, `drained`, `ping` and iteration reject with. All that ask one connection get
 * one and the same error. `cause` is what went wrong, if something did.
 *
 * @example
 * ```ts
 * import { CloseError, dial } from 'silverback'
 * const conn = await dial('wss://example.com/feed')
 * try {
 *   for await (const message of conn) console.log(message)
 * } catch (error) {
 *   if (!(error instanceof CloseError)) throw error
 *   console.log(error.info.code, error.by, error.cause)
 * }
 * ```
 */
export class CloseError extends WebSocketError {
  /** All that is known of the end. */
  readonly info: CloseInfo

  /** Made by the library. */
  constructor(info: CloseInfo) {
    const { code, reason, by, error } = info
    const why = error === undefined ? '' : `: ${describeThrown(error)}`
    super(
      'ERR_WS_CLOSED',
      `connection closed with ${code}${reason === '' ? '' : ` "${reason}"`} by ${by === 'network' ? 'the network' : `the ${by} side`}${why}`,
      error === undefined ? undefined : { cause: error },
    )
    this.info = info
  }

  /** The Close frame that the peer sent, if it sent one. */
  get received(): CloseFrame | undefined {
    return this.info.received
  }

  /** The Close frame that we sent, if we sent one. */
  get sent(): CloseFrame | undefined {
    return this.info.sent
  }

  /** Who ended the connection. */
  get by(): CloseInfo['by'] {
    return this.info.by
  }

  static {
    mark(CloseError, 'CloseError')
  }
}

/** The peer, or the network, took longer than a limit allows. */
export class TimeoutError extends WebSocketError {
  /** What was waited for. */
  readonly phase: 'handshake' | 'pong' | 'close'

  /** Made by the library. */
  constructor(code: CodeOf<'TimeoutError'>, phase: 'handshake' | 'pong' | 'close', milliseconds: number) {
    super(
      code,
      `no ${phase === 'handshake' ? 'complete handshake' : phase === 'pong' ? 'sign of life' : 'end of the closing handshake'} within ${milliseconds} ms`,
    )
    this.phase = phase
  }

  static {
    mark(TimeoutError, 'TimeoutError')
  }
}

/** Our caller's mistake: a wrong option or argument. Never caused by bytes that a peer sent. */
export class UsageError extends WebSocketError {
  /** Made by the library. */
  constructor(code: CodeOf<'UsageError'>, message: string, options?: ErrorOptions) {
    super(code, message, options)
  }

  static {
    mark(UsageError, 'UsageError')
  }
}
