import { type CodeOf, HandshakeError } from '../session/errors.ts'

/** Why a request gets no connection, and what it is answered unless `onReject` changes that. */
export interface Denial {
  readonly accepted: false
  readonly status: number
  readonly code: CodeOf<'HandshakeError'>
  readonly message: string
  readonly headers?: Readonly<Record<string, string>> | undefined
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
    headers: lowerCase(answered.headers ?? {}),
    cause,
  })
}

function lowerCase(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
}
