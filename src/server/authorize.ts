import type { IncomingMessage } from 'node:http'
import { UsageError } from '../session/errors.ts'
import { type Denial, deny, serverError } from './denial.ts'
import { isRefusal, type Refusal } from './refuse.ts'

/** What {@link Authorize} gets beside the request. */
export interface AuthorizeDetails {
  /**
   * Aborted when nobody waits for the answer any more: the client has gone, the `handshakeTimeout` is over, or the
   * server closes. Its reason is a `HandshakeError` with the `code` that `onReject` gets.
   */
  readonly signal: AbortSignal
  /** The subprotocol that the connection will have; empty when it will have none. */
  readonly subprotocol: string
}

/** What keeps out by itself: so that a user who was not found, or a forgotten `return`, lets nobody in. */
export type Falsy = false | '' | 0 | 0n | null | undefined

/** What `authorize` answers: a {@link Refusal}, or what is falsy, keeps out; anything else lets in. */
export type Authorization<Context> = Context | Refusal | Falsy

/**
 * Decides on a request before the 101. What it returns, or resolves with, becomes `conn.context`, with its type.
 *
 * It is asked last, when everything else has passed: path, protocol, origin, connection limits.
 */
export type Authorize<Context = unknown> = (
  request: IncomingMessage,
  details: AuthorizeDetails,
) => Authorization<Context> | PromiseLike<Authorization<Context>>

/** A handler that wants a context has to have it from somewhere. */
export type RequiresAuthorize<Context> = unknown extends Context
  ? unknown
  : { readonly authorize: Authorize<Context> }

/** What came of asking. */
export type Verdict = Denial | { readonly accepted: true; readonly context: unknown }

/** What an answer means. */
export function verdictOf(answer: unknown): Verdict {
  try {
    return judge(answer)
  } catch (cause) {
    // A proxy can throw at any look at it.
    return serverError(cause)
  }
}

function judge(answer: unknown): Verdict {
  if (isRefusal(answer)) {
    const { status, headers, body } = answer
    return deny(status, 'ERR_WS_UNAUTHORIZED', 'not authorized', { headers, body })
  }
  if (!answer) return deny(403, 'ERR_WS_UNAUTHORIZED', 'not authorized')
  if (looksLikeRefusal(answer)) {
    const message = 'authorize refuses by refuse(status), or by throwing; an Error or a Response is no answer'
    return serverError(new UsageError('ERR_WS_INVALID_ARGUMENT', message, { cause: answer }))
  }
  return { accepted: true, context: answer }
}

/** What it means that `authorize` threw, or rejected. */
export function verdictOfError(error: unknown): Verdict {
  try {
    if (isRefusal(error)) return verdictOf(error)
  } catch {
    // A proxy can throw at any look at it: it is no refusal.
  }
  return serverError(error)
}

/** What is meant to keep out, one would think: errors, and the responses of the fetch API. */
function looksLikeRefusal(answer: unknown): boolean {
  return answer instanceof Error || Object.prototype.toString.call(answer) === '[object Response]'
}
