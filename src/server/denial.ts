import type { IncomingHttpHeaders } from 'node:http'
import { type CodeOf, HandshakeError } from '../session/errors.ts'
import type { AnswerHeaders } from './reject.ts'

/** Why a request gets no connection, and what it is answered unless `onReject` changes that. */
export interface Denial {
  readonly accepted: false
  readonly status: number
  readonly code: CodeOf<'HandshakeError'>
  readonly message: string
  readonly headers?: AnswerHeaders | undefined
  /** Default: the message. */
  readonly body?: string | undefined
  readonly cause?: unknown
}

/** A request that gets no connection. */
export function deny(
  status: number,
  code: CodeOf<'HandshakeError'>,
  message: string,
  rest: Pick<Denial, 'headers' | 'body' | 'cause'> = {},
): Denial {
  return { accepted: false, status, code, message, ...rest }
}

/** A function of the application's threw: the client learns no more than that. */
export function serverError(cause: unknown): Denial {
  return deny(500, 'ERR_WS_SERVER', 'the server could not answer the request', { cause })
}

/** A denial as an error, with what was answered where that differs. */
export function denialError(
  { code, message, cause, status, headers = {} }: Denial,
  answered: Pick<Denial, 'status' | 'headers'> = { status, headers },
): HandshakeError {
  return new HandshakeError(code, message, {
    status: answered.status,
    headers: asReceived(answered.headers ?? {}),
    cause,
  })
}

/** As the client's `node:http` has them: by lower-case name, lists joined, but for cookies, which are a list always. */
function asReceived(headers: AnswerHeaders): IncomingHttpHeaders {
  const fields = Object.entries(headers).map(([given, value]) => {
    const [name, values] = [given.toLowerCase(), [value].flat()]
    return [name, name === 'set-cookie' ? values : values.join(', ')] as const
  })
  return Object.fromEntries(fields)
}
