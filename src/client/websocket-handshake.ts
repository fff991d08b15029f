import { unescape as percentDecode } from 'node:querystring'
import { URL } from 'node:url'
import type { Conn } from '../conn/conn.ts'
import type { Limits } from '../protocol/limits.ts'
import { HandshakeError } from '../session/errors.ts'
import type { DialOptions } from './dial-options.ts'
import { dial } from './dialer.ts'
import { isBlockedPort } from './websocket-url.ts'

/**
 * What a connection of a `WebSocket` or a `WebSocketStream` is bound to. Browsers have limits of their own, and no
 * option for them either: docs/adr/0011 says how these compare.
 */
export const webSocketLimits: Partial<Limits> = {
  maxMessageSize: 128 * 1024 * 1024,
  // How much waits is the application's affair: `bufferedAmount` tells it, and a stream's `write` waits.
  maxSendBuffer: Number.MAX_SAFE_INTEGER,
  handshakeTimeout: 60_000,
  closeTimeout: 10_000,
}

/**
 * Connects as a browser does (WebSockets Standard, "establish a WebSocket connection"): offers compression, follows no
 * redirect, answers a 401 with the credentials of the URL, and wants a subprotocol when it has offered any.
 *
 * @throws HandshakeError, TimeoutError, or the signal's reason, as `dial`
 */
export async function openWebSocket(
  url: URL,
  subprotocols: readonly string[],
  signal: AbortSignal,
): Promise<Conn> {
  if (isBlockedPort(url))
    throw new HandshakeError('ERR_WS_CONNECT', `port ${url.port} is that of another service`)
  const target = new URL(url)
  target.username = target.password = ''
  const options: DialOptions = {
    subprotocols,
    signal,
    limits: webSocketLimits,
    compression: { sendTakeover: true, receiveTakeover: true },
  }
  const conn = await dial(target, options).catch((error: unknown) => {
    if (!wantsCredentials(error) || (url.username === '' && url.password === '')) throw error
    return dial(target, { ...options, headers: { authorization: basic(url) } })
  })
  if (subprotocols.length === 0 || conn.subprotocol !== '') return conn
  conn.terminate()
  throw new HandshakeError('ERR_WS_SUBPROTOCOL', 'the server chose none of the subprotocols')
}

function wantsCredentials(error: unknown): boolean {
  // Not those of a proxy: the credentials are for the server.
  if (!(error instanceof HandshakeError) || error.code !== 'ERR_WS_STATUS' || error.status !== 401)
    return false
  return /(?:^|,)\s*basic(?:\s|,|$)/i.test(String(error.headers?.['www-authenticate']))
}

function basic({ username, password }: URL): string {
  const credentials = `${percentDecode(username)}:${percentDecode(password)}`
  return `Basic ${Buffer.from(credentials, 'utf8').toString('base64')}`
}
