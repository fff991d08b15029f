import { FIN, headerSize, writeHeader } from '../wire/frame-header.ts'
import { Opcode } from '../wire/opcode.ts'
import { UsageError } from './errors.ts'

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
  /** `text` when made from a string, else `binary`. */
  readonly type: 'text' | 'binary'
  /** The whole frame as a server sends it. @internal */
  readonly frame: Uint8Array
  /** The payload: the end of the frame. @internal */
  readonly payload: Uint8Array

  /** @internal */
  constructor(type: 'text' | 'binary', frame: Uint8Array, payload: Uint8Array) {
    this.type = type
    this.frame = frame
    this.payload = payload
  }

  /** Bytes of the payload. */
  get byteLength(): number {
    return this.payload.length
  }
}

/**
 * Encodes a message once, to be sent many times: by `send` or `broadcast`. The data is copied, so the caller may
 * change it afterwards.
 *
 * @throws UsageError `ERR_WS_INVALID_ARGUMENT` when `data` is neither a string nor bytes
 *
 * @example
 * ```ts
 * import { broadcast, prepare, serve } from 'silverback'
 * await using server = await serve({}, () => {})
 * broadcast(server.connections, prepare('hello, all'))
 * ```
 */
export function prepare(data: string | Uint8Array | ArrayBuffer): Prepared {
  const type = typeof data === 'string' ? 'text' : 'binary'
  const length = typeof data === 'string' ? Buffer.byteLength(data, 'utf8') : toBytes(data).length
  const size = headerSize(length, false)
  const frame = Buffer.allocUnsafeSlow(size + length)
  writeHeader(frame, 0, FIN | (type === 'text' ? Opcode.Text : Opcode.Binary), length, undefined)
  if (typeof data === 'string') frame.write(data, size, 'utf8')
  else frame.set(toBytes(data), size)
  return new Prepared(type, frame, frame.subarray(size))
}

/**
 * Bytes as `Uint8Array`, whatever view or buffer holds them; no copy.
 *
 * @throws UsageError `ERR_WS_INVALID_ARGUMENT` for anything else
 */
export function toBytes(data: unknown): Uint8Array {
  if (data instanceof Uint8Array) return data
  if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
  if (data instanceof ArrayBuffer || data instanceof SharedArrayBuffer) return new Uint8Array(data)
  const got =
    data === null ? 'null' : typeof data === 'object' ? (data.constructor?.name ?? 'an object') : typeof data
  throw new UsageError(
    'ERR_WS_INVALID_ARGUMENT',
    `a message is a string, a Uint8Array, an ArrayBuffer or a Prepared, not ${got}; objects go through sendJson`,
  )
}
