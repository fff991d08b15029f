import { request as httpRequest, type IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { buildRequestHeaders, type ClientOffer, verifyResponse } from '../protocol/client-handshake.ts'
import { HandshakeError } from '../session/errors.ts'
import { connectError } from './connect-error.ts'
import { requestTarget } from './dial-target.ts'
import type { HandshakeDeadline } from './handshake-deadline.ts'
import { redirectStatuses } from './redirect.ts'
import { readBody } from './refusal-body.ts'
import { closedEarly } from './stream-event.ts'

/** What is asked, and of whom. */
export interface UpgradeRequest {
  readonly url: URL
  /** How messages call the server. */
  readonly label: string
  /** Beside those of the handshake; names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  readonly offer: ClientOffer
  /** Redirects are answers to be had, and no refusals. */
  readonly redirects: boolean
  /** Hears of every answer that is HTTP, as soon as its headers are there. */
  readonly onAnswer: (response: IncomingMessage) => void
}

/** A server's agreement, not checked yet. */
export interface UpgradeResponse {
  readonly response: IncomingMessage
  readonly socket: Duplex
  /** What came behind the answer's headers. */
  readonly head: Buffer
}

/** The server is elsewhere. */
export interface RedirectResponse {
  readonly response: IncomingMessage
  readonly location: string
}

const notAnUpgrade = { code: 'ERR_WS_UPGRADE_HEADER', message: 'the answer does not upgrade' } as const

/**
 * Sends the upgrade request over a stream, and waits for the answer. The stream is taken over: unless it is handed out
 * with an agreement, it is destroyed.
 *
 * @throws HandshakeError for a refusal, and for what is no answer
 * @throws the deadline's reason
 */
export function requestUpgrade(
  stream: Duplex,
  { url, label, headers, offer, redirects, onAnswer }: UpgradeRequest,
  deadline: HandshakeDeadline,
): Promise<UpgradeResponse | RedirectResponse> {
  const { signal } = deadline
  return new Promise((resolve, reject) => {
    signal.throwIfAborted()
    if (stream.destroyed) throw connectError(stream.errored ?? closedEarly(), label)
    const request = httpRequest({
      path: requestTarget(url),
      headers: { host: url.host, ...headers, ...buildRequestHeaders(offer) },
      createConnection: () => stream,
    })
    // Once the server has refused, what breaks or takes too long only cuts its explanation short.
    let refuse: (() => void) | undefined
    const settle = (end: () => void): void => {
      signal.removeEventListener('abort', onAbort)
      end()
    }
    const drop = (): void => {
      request.destroy()
      // Of a stream whose answer is complete the request has let go, so that nobody else would close it.
      stream.destroy()
    }
    const fail = (error: unknown): void =>
      settle(() => {
        drop()
        reject(error as Error)
      })
    const onAbort = (): void => {
      if (deadline.expired && refuse !== undefined) refuse()
      else fail(signal.reason)
    }
    signal.addEventListener('abort', onAbort)
    request.on('upgrade', (response: IncomingMessage, socket: Duplex, head: Buffer) => {
      onAnswer(response)
      settle(() => resolve({ response, socket, head }))
    })
    request.on('response', (response: IncomingMessage) => {
      const { statusCode: status = 0, httpVersion, headers } = response
      const { location } = headers
      onAnswer(response)
      if (redirects && redirectStatuses.has(status) && location !== undefined) {
        settle(() => {
          drop()
          resolve({ response, location })
        })
        return
      }
      const decision = verifyResponse({ status, httpVersion, headers }, offer)
      // A 101 too can come here: what Node does not take for an upgrade is none, whatever it looks like.
      const { code, message } = decision.ok ? notAnUpgrade : decision
      refuse = readBody(response, (body) =>
        fail(new HandshakeError(code, message, { status, headers, body })),
      )
    })
    request.on('error', (cause) => {
      if (refuse !== undefined) refuse()
      else fail(connectError(cause, label))
    })
    request.end()
  })
}
