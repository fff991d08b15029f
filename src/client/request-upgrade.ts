import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http'
import { isIP, connect as netConnect, type Socket } from 'node:net'
import { connect as tlsConnect } from 'node:tls'
import { buildRequestHeaders, type ClientOffer, verifyResponse } from '../protocol/client-handshake.ts'
import { HandshakeError, TimeoutError } from '../session/errors.ts'
import type { ResolvedDialOptions } from './dial-options.ts'

/** A server's agreement, not checked yet. */
export interface UpgradeResponse {
  readonly response: IncomingMessage
  readonly socket: Socket
  /** What came behind the answer's headers. */
  readonly head: Buffer
}

/** How much of a refusal's body is kept, in bytes. */
const BODY_LIMIT = 1024

const notAnUpgrade = { code: 'ERR_WS_UPGRADE_HEADER', message: 'the answer does not upgrade' } as const

/** Sends the upgrade request and waits for the answer, within the handshake timeout. */
export function requestUpgrade(
  url: URL,
  offer: ClientOffer,
  options: ResolvedDialOptions,
): Promise<UpgradeResponse> {
  const { signal } = options
  const timeout = options.limits.handshakeTimeout
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted()
    const request = send(url, offer, options)
    let timer: NodeJS.Timeout | undefined
    // Once the server has refused, what breaks or takes too long only cuts its explanation short.
    let refuse: (() => void) | undefined
    const settle = (): void => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', onAbort)
    }
    const fail = (error: unknown): void => {
      settle()
      reject(error as Error)
      request.destroy()
      // Of a socket whose answer is complete the request has let go, so that nobody else would close it.
      request.socket?.destroy()
    }
    const onAbort = (): void => fail(signal?.reason)
    signal?.addEventListener('abort', onAbort, { once: true })
    if (timeout > 0) {
      timer = setTimeout(() => {
        if (refuse !== undefined) refuse()
        else fail(new TimeoutError('ERR_WS_HANDSHAKE_TIMEOUT', 'handshake', timeout))
      }, timeout)
    }
    request.on('upgrade', (response: IncomingMessage, socket: Socket, head: Buffer) => {
      settle()
      // The connection attaches itself in a later turn: what breaks until then must not end the process.
      socket.on('error', ignore)
      resolve({ response, socket, head })
    })
    request.on('response', (response: IncomingMessage) => {
      const { statusCode: status = 0, headers } = response
      const decision = verifyResponse({ status, headers }, offer)
      // A 101 too can come here: what Node does not take for an upgrade is none, whatever it looks like.
      const { code, message } = decision.ok ? notAnUpgrade : decision
      refuse = readBody(response, (body) =>
        fail(new HandshakeError(code, message, { status, headers, body })),
      )
    })
    request.on('error', (cause: NodeJS.ErrnoException) => {
      if (refuse !== undefined) refuse()
      else fail(describe(cause, url))
    })
    request.end()
  })
}

function send(url: URL, offer: ClientOffer, { headers, tls }: ResolvedDialOptions): ClientRequest {
  const secure = url.protocol === 'wss:'
  // Brackets belong to the URL, not to the address.
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const port = url.port === '' ? (secure ? 443 : 80) : Number(url.port)
  return httpRequest({
    host,
    port,
    path: url.pathname + url.search,
    headers: { host: url.host, ...lowerCase(headers), ...buildRequestHeaders(offer) },
    createConnection: () =>
      secure
        ? tlsConnect({
            host,
            port,
            servername: isIP(host) === 0 ? host : '',
            ALPNProtocols: ['http/1.1'],
            ...tls,
          })
        : netConnect({ host, port }),
  })
}

/** So that a header of the caller's takes the place of ours whatever its case. */
function lowerCase(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
}

/**
 * The beginning of a body as text: all that comes until the limit, the end, or the loss of the connection. Returns a
 * function that waits for no more.
 */
function readBody(response: IncomingMessage, done: (body: string) => void): () => void {
  const chunks: Buffer[] = []
  let length = 0
  const finish = (): void => {
    response.removeAllListeners('data')
    done(Buffer.concat(chunks).subarray(0, BODY_LIMIT).toString('utf8'))
  }
  response.on('data', (chunk: Buffer) => {
    chunks.push(chunk)
    length += chunk.length
    if (length >= BODY_LIMIT) finish()
  })
  response.on('end', finish)
  response.on('error', finish)
  return finish
}

function describe(cause: NodeJS.ErrnoException, url: URL): HandshakeError {
  if (cause.code === 'HPE_HEADER_OVERFLOW') {
    return new HandshakeError('ERR_WS_HEADER_LIMIT', `the headers that ${url.host} sent are too long`, {
      cause,
    })
  }
  if (cause.code?.startsWith('HPE_')) {
    return new HandshakeError('ERR_WS_HEADER_SYNTAX', `the answer of ${url.host} is not HTTP`, { cause })
  }
  return new HandshakeError(
    'ERR_WS_CONNECT',
    `no connection to ${url.host}: ${cause.code ?? cause.message}`,
    { cause },
  )
}

function ignore(): void {}
