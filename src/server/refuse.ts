import { STATUS_CODES } from 'node:http'
import { type AnswerHeaders, checkAnswer, type RejectOptions } from './reject.ts'

/** On the prototype: `instanceof` does not hold for what a second copy of the package made, and that must not let in. */
const brand = Symbol.for('silverback.refusal')

/** An HTTP answer in place of a connection: what {@link refuse} makes, for `authorize` to return or to throw. */
export class Refusal {
  /** 300 to 599. */
  readonly status: number
  /** Headers of the answer, beside those that the library sets. */
  readonly headers: AnswerHeaders
  /** The answer's text. */
  readonly body: string
  /** Nothing that merely looks like a refusal is one, also for the compiler. */
  declare protected readonly refuses: true

  /** @internal */
  constructor(status: number, headers: AnswerHeaders, body: string) {
    this.status = status
    this.headers = headers
    this.body = body
  }

  static {
    Object.defineProperty(Refusal.prototype, brand, { value: true })
  }
}

/**
 * An HTTP answer for `authorize` to return, or to throw, when a request is not to be let in. It does nothing by
 * itself.
 *
 * @param status - 300 to 599. RFC 9110 wants a `WWW-Authenticate` header with 401, and `Location` with a redirect;
 * browsers follow none and tell their page neither status nor body.
 * @throws UsageError `ERR_WS_INVALID_ARGUMENT` for another status, a header that is none, or a body that is no text
 *
 * @example
 * ```ts
 * import { createHash, timingSafeEqual } from 'node:crypto'
 * import { refuse, serve } from 'silverback'
 *
 * const digest = (text: string) => createHash('sha256').update(text).digest()
 * const secret = digest('Bearer s3cret') // from the environment, in a real program
 * await using server = await serve(
 *   {
 *     authorize(request) {
 *       const given = digest(request.headers.authorization ?? '')
 *       if (timingSafeEqual(given, secret)) return { user: 'ann' }
 *       return refuse(401, { headers: { 'WWW-Authenticate': 'Bearer' }, body: 'who are you?\n' })
 *     },
 *   },
 *   (conn) => void conn.send(`hello, ${conn.context.user}`),
 * )
 * ```
 */
export function refuse(status: number, options: RejectOptions = {}): Refusal {
  checkAnswer(status, options)
  const { headers = {}, body = `${STATUS_CODES[status] ?? status}\n` } = options
  return new Refusal(status, headers, body)
}

/** Whether a value is a refusal, of whichever copy of the package. */
export function isRefusal(value: unknown): value is Refusal {
  return (value as { readonly [brand]?: unknown } | null | undefined)?.[brand] === true
}
