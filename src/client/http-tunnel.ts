import { request as httpRequest, type IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { proxyError, proxyFailure } from './connect-error.ts'
import type { HandshakeDeadline } from './handshake-deadline.ts'
import { lowerCase } from './header-options.ts'
import type { ProxyAddress } from './proxy.ts'
import { readTunnelBody } from './refusal-body.ts'
import { closedEarly } from './stream-event.ts'

/**
 * Has an HTTP proxy make the stream to it one to a server, by CONNECT (RFC 9110 section 9.3.6). The stream is taken
 * over: it is destroyed when the proxy does not.
 *
 * @param destination - `host:port` of the server
 * @throws HandshakeError `ERR_WS_PROXY`, with the proxy's answer where there is one
 */
export async function httpTunnel(
  stream: Duplex,
  destination: string,
  proxy: ProxyAddress,
  headers: Readonly<Record<string, string>>,
  deadline: HandshakeDeadline,
): Promise<void> {
  try {
    await ask(stream, destination, proxy, headers, deadline)
  } catch (error) {
    stream.destroy()
    throw error
  }
}

function ask(
  stream: Duplex,
  destination: string,
  proxy: ProxyAddress,
  headers: Readonly<Record<string, string>>,
  deadline: HandshakeDeadline,
): Promise<void> {
  const { signal } = deadline
  return new Promise((resolve, reject) => {
    signal.throwIfAborted()
    if (stream.destroyed) throw proxyFailure(stream.errored ?? closedEarly(), proxy.label)
    const request = httpRequest({
      method: 'CONNECT',
      path: destination,
      headers: { host: destination, ...credentials(proxy), ...lowerCase(headers) },
      createConnection: () => stream,
    })
    // Once the proxy has refused, what breaks or takes too long only cuts its explanation short.
    let refuse: (() => void) | undefined
    const settle = (end: () => void): void => {
      signal.removeEventListener('abort', onAbort)
      end()
    }
    const fail = (error: unknown): void =>
      settle(() => {
        request.destroy()
        reject(error as Error)
      })
    const onAbort = (): void => {
      if (deadline.expired && refuse !== undefined) refuse()
      else fail(signal.reason)
    }
    signal.addEventListener('abort', onAbort)
    request.on('connect', (response: IncomingMessage, _socket: Duplex, head: Buffer) => {
      const { statusCode: status = 0, headers } = response
      if (status >= 200 && status < 300) {
        // Nothing was asked of the server yet: an answer that comes all the same would be taken for the one to our request.
        if (head.length > 0) fail(proxyError(proxy.label, 'sent something behind its answer'))
        else settle(resolve)
        return
      }
      const done = (body: string): void =>
        fail(proxyError(proxy.label, `answered with status ${status}`, { status, headers, body }))
      // Node takes an interim answer (1xx) for the last word, too. It has no body, and to CONNECT nobody sends one.
      if (status < 200) done('')
      else refuse = readTunnelBody(stream, headers, head, done)
    })
    request.on('error', (cause) => fail(proxyFailure(cause, proxy.label)))
    request.end()
  })
}

function credentials({ login }: ProxyAddress): Record<string, string> {
  if (login === undefined) return {}
  const token = Buffer.from(`${login.user}:${login.password}`, 'utf8').toString('base64')
  return { 'proxy-authorization': `Basic ${token}` }
}
