import { CloseCode } from '../wire/close-code.ts'
import { checkCloseStatus } from './close-status.ts'
import {
  ensurePrototype,
  expose,
  illegalInvocation,
  isObject,
  toClampedShort,
  toDictionary,
  toDomString,
  toUsvString,
} from './web-idl.ts'

/** What a {@link WebSocketStream} is closed with, or was. */
export interface WebSocketCloseInfo {
  /** 1000, or 3000 to 4999. Default: none, or 1000 where there is a reason. */
  closeCode?: number
  /** At most 123 bytes of UTF-8. Default empty. */
  reason?: string
}

let makeUnclean: (message: string, code: number, reason: string) => WebSocketError

/**
 * How a {@link WebSocketStream} failed; and what its streams are aborted or cancelled with to send a code.
 *
 * It is not the `WebSocketError` of `silverback`, which is the base of this library's own errors.
 *
 * @example
 * ```ts
 * import { serve } from 'silverback'
 * import { WebSocketError, WebSocketStream } from 'silverback/websocket'
 * await using server = await serve({}, () => {})
 * const stream = new WebSocketStream(server.url)
 * const { readable } = await stream.opened
 * await readable.cancel(new WebSocketError('no more of it', { closeCode: 4000, reason: 'enough' }))
 * console.log((await stream.closed).closeCode) // 4000
 * ```
 */
export class WebSocketError extends DOMException {
  #closeCode: number | null
  #reason: string

  /**
   * @throws DOMException `InvalidAccessError` for a code that a page may not send, `SyntaxError` for a reason that is
   * too long
   */
  constructor(message: string = '', init: WebSocketCloseInfo = {}) {
    const text = toDomString(message)
    const { closeCode, reason } = toCloseInfo(init, 'WebSocketError')
    super(text, 'WebSocketError')
    ensurePrototype(this, new.target, WebSocketError)
    const { code } = checkCloseStatus(closeCode, reason)
    this.#closeCode = code === CloseCode.NoStatus ? null : code
    this.#reason = reason
  }

  /** The code to send, or that came; 1006 when the connection was lost, `null` when there was none. */
  get closeCode(): number | null {
    return WebSocketError.#check(this).#closeCode
  }

  /** The reason beside that code. */
  get reason(): string {
    return WebSocketError.#check(this).#reason
  }

  static #check(object: unknown): WebSocketError {
    if (isObject(object) && #closeCode in object) return object
    throw illegalInvocation()
  }

  static {
    expose(WebSocketError)
    makeUnclean = (message, code, reason) => {
      const error = new WebSocketError(message)
      error.#closeCode = code
      error.#reason = reason
      return error
    }
  }
}

/** The error of a connection that did not end in order, with a code that a page could not choose. */
export function uncleanClose(message: string, code: number, reason: string): WebSocketError {
  return makeUnclean(message, code, reason)
}

/** The dictionary, converted. */
export function toCloseInfo(
  given: unknown,
  where: string,
): { readonly closeCode: number | undefined; readonly reason: string } {
  const { closeCode, reason } = toDictionary(given, where)
  return {
    closeCode: closeCode === undefined ? undefined : toClampedShort(closeCode),
    reason: reason === undefined ? '' : toUsvString(reason),
  }
}
