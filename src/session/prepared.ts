import { isUtf8 } from 'node:buffer'
import { FIN, headerSize, writeHeader } from '../wire/frame-header.ts'
import { Opcode } from '../wire/opcode.ts'
import { UsageError } from './errors.ts'
import type { MessageType } from './message.ts'

/** A whole frame as a server sends it. */
export interface PreparedFrame {
  readonly frame: Uint8Array
  /** The end of the frame. */
  readonly payload: Uint8Array
}

/**
 * A message that is encoded once and can be sent on any number of connections. Made by {@link prepare}.
 *
 * @example
 * ```ts
 * import { prepare } from 'silverback'
 * const news = prepare(JSON.stringify({ price: 42 }))
 * console.log(news.type, news.byteLength) // text 12
 * ```
 */
export class Prepared {
  /** As it will be sent. */
  readonly type: MessageType
  /** The whole frame as a server sends it. @internal */
  readonly frame: Uint8Array
  /** The payload: the end of the frame. @internal */
  readonly payload: Uint8Array
  /** What extensions make of it, by their variant: each is made when it is first needed. */
  #variants: Map<string, PreparedFrame> | undefined

  /** @internal */
  constructor(type: MessageType, frame: Uint8Array, payload: Uint8Array) {
    this.type = type
    this.frame = frame
    this.payload = payload
  }

  /** Bytes of the payload. */
  get byteLength(): number {
    return this.payload.length
  }

  /** What one variant of extensions makes of it, made at most once. @internal */
  encodedBy(variant: string, make: () => PreparedFrame): PreparedFrame {
    this.#variants ??= new Map()
    let encoded = this.#variants.get(variant)
    if (encoded === undefined) {
      encoded = make()
      this.#variants.set(variant, encoded)
    }
    return encoded
  }
}

/**
 * Encodes a message once, to be sent many times: by `send` or `broadcast`. The data is copied, so the caller may
 * change it afterwards.
 *
 * @param type - default: a string is text, bytes are binary
 * @throws UsageError `ERR_WS_INVALID_ARGUMENT` when `data` is neither a string nor bytes, or bytes for a text are not UTF-8
 *
 * @example
 * ```ts
 * import { broadcast, prepare, serve } from 'silverback'
 * await using server = await serve({}, () => {})
 * broadcast(server.connections, prepare('hello, all'))
 * ```
 */
export function prepare(data: string | Uint8Array | ArrayBuffer, type?: MessageType): Prepared {
  const content = checkSendable(data, type)
  if (content instanceof Prepared)
    throw new UsageError('ERR_WS_INVALID_ARGUMENT', 'the message is prepared already')
  const actual = type ?? (typeof content === 'string' ? 'text' : 'binary')
  const length = typeof content === 'string' ? Buffer.byteLength(content, 'utf8') : content.length
  const size = headerSize(length, false)
  const frame = Buffer.allocUnsafeSlow(size + length)
  writeHeader(frame, 0, FIN | (actual === 'text' ? Opcode.Text : Opcode.Binary), length, undefined)
  if (typeof content === 'string') frame.write(content, size, 'utf8')
  else frame.set(content, size)
  return new Prepared(actual, frame, frame.subarray(size))
}

/**
 * What a caller gave to be sent: a string for a text, bytes (not copied), or as it was prepared.
 *
 * @throws UsageError `ERR_WS_INVALID_ARGUMENT` when it cannot be sent, or not as that type
 */
export function checkSendable(data: unknown, type: MessageType | undefined): string | Uint8Array | Prepared {
  if (type !== undefined && type !== 'text' && type !== 'binary') {
    throw new UsageError(
      'ERR_WS_INVALID_ARGUMENT',
      `a message's type is 'text' or 'binary', not ${String(type)}`,
    )
  }
  if (typeof data === 'string') return type === 'binary' ? Buffer.from(data, 'utf8') : data
  if (data instanceof Prepared) {
    if (type === undefined || type === data.type) return data
    throw new UsageError('ERR_WS_INVALID_ARGUMENT', `the message was prepared as ${data.type}`)
  }
  const bytes = toBytes(data)
  if (type === 'text' && !isUtf8(bytes)) {
    throw new UsageError('ERR_WS_INVALID_ARGUMENT', 'the bytes of a text message must be UTF-8')
  }
  return bytes
}

/** Bytes as `Uint8Array`, whatever view or buffer holds them. */
function toBytes(data: unknown): Uint8Array {
  if (data instanceof Uint8Array && data.length > 0) return data
  try {
    if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    if (data instanceof ArrayBuffer || data instanceof SharedArrayBuffer) return new Uint8Array(data)
  } catch {
    throw new UsageError(
      'ERR_WS_INVALID_ARGUMENT',
      'the buffer of the message was transferred, or is shorter now',
    )
  }
  throw notSendable(data)
}

function notSendable(data: unknown): UsageError {
  const got =
    data === null ? 'null' : typeof data === 'object' ? (data.constructor?.name ?? 'an object') : typeof data
  return new UsageError(
    'ERR_WS_INVALID_ARGUMENT',
    `a message is a string, a Uint8Array, an ArrayBuffer or a Prepared, not ${got}; objects go through sendJson`,
  )
}
