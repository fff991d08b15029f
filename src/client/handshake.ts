import { randomBytes } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { silent } from '../conn/silent.ts'
import {
  type ClientAcceptance,
  type ClientDecision,
  type ClientOffer,
  verifyResponse,
} from '../protocol/client-handshake.ts'
import { HandshakeError } from '../session/errors.ts'
import { formatKey } from '../wire/accept-key.ts'
import { cookieHeader, storeCookies } from './cookies.ts'
import type { ResolvedDialOptions } from './dial-options.ts'
import { dialTarget } from './dial-target.ts'
import { HandshakeDeadline } from './handshake-deadline.ts'
import { lowerCase } from './header-options.ts'
import { openStream } from './open-stream.ts'
import { type Hop, nextHop } from './redirect.ts'
import { type RedirectResponse, requestUpgrade, type UpgradeResponse } from './request-upgrade.ts'

/** A connection that may begin. */
export interface Handshake extends UpgradeResponse {
  readonly acceptance: ClientAcceptance
}

/**
 * The whole opening handshake of a client (RFC 6455 section 4.1), redirects included, within one deadline.
 *
 * @param url - one that `checkUrl` has let pass
 */
export async function handshake(url: URL, options: ResolvedDialOptions): Promise<Handshake> {
  const deadline = new HandshakeDeadline(options.limits.handshakeTimeout, options.signal)
  try {
    let hop: Hop = { target: dialTarget(url), headers: lowerCase(options.headers), tls: options.tls }
    for (let left = options.redirects; ; left--) {
      const { subprotocols, extensions } = options
      const offer: ClientOffer = { key: formatKey(randomBytes(16)), subprotocols, extensions }
      const answer = await ask(hop, offer, options, deadline)
      if ('socket' in answer) return agree(answer, offer)
      hop = follow(hop, answer, left, options)
    }
  } finally {
    deadline.end()
  }
}

/** One request, with its cookies. */
async function ask(
  { target, headers, tls }: Hop,
  offer: ClientOffer,
  options: ResolvedDialOptions,
  deadline: HandshakeDeadline,
): Promise<UpgradeResponse | RedirectResponse> {
  const { jar, connect, lookup, localAddress, proxy, limits, redirects } = options
  const { signal } = deadline
  const { url, label } = target
  const cookie = jar === undefined ? undefined : await cookieHeader(headers['cookie'], jar, url, signal)
  const open = { connect, lookup, localAddress, proxy, tls, timeout: limits.handshakeTimeout }
  const stream = await openStream(target, open, deadline)
  let kept: Promise<void> = Promise.resolve()
  const request = {
    url,
    label,
    headers: cookie === undefined ? headers : { ...headers, cookie },
    offer,
    redirects: redirects > 0,
    // At once: a refusal's body may be slow.
    onAnswer({ headers }: IncomingMessage): void {
      if (jar !== undefined) kept = silent(storeCookies(headers['set-cookie'] ?? [], jar, url, signal))
    },
  }
  try {
    const answer = await requestUpgrade(stream, request, deadline)
    await kept
    return answer
  } catch (error) {
    stream.destroy()
    // What the answer was tells more than that there was no time for its cookies.
    await kept.catch(() => {})
    throw error
  }
}

/** @throws HandshakeError where the rules do not allow it, or it would be one too many */
function follow(
  hop: Hop,
  { response, location }: RedirectResponse,
  left: number,
  options: ResolvedDialOptions,
): Hop {
  const { statusCode: status, headers } = response
  if (left === 0) {
    throw new HandshakeError('ERR_WS_TOO_MANY_REDIRECTS', `more than ${options.redirects} redirects`, {
      status,
      headers,
    })
  }
  const next = nextHop(hop, location)
  if (typeof next !== 'string') return next
  throw new HandshakeError(
    'ERR_WS_REDIRECT',
    `the redirect of ${hop.target.label} is not followed: ${next}`,
    {
      status,
      headers,
    },
  )
}

/** Checks the server's agreement. */
function agree({ response, socket, head }: UpgradeResponse, offer: ClientOffer): Handshake {
  const { statusCode: status = 0, httpVersion, headers } = response
  let decision: ClientDecision
  try {
    decision = verifyResponse({ status, httpVersion, headers }, offer)
  } catch (error) {
    // An extension of the application's threw.
    socket.destroy()
    throw error
  }
  if (decision.ok) return { response, socket, head, acceptance: decision }
  socket.destroy()
  throw new HandshakeError(decision.code, decision.message, { status, headers })
}
