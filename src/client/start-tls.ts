import { isIP } from 'node:net'
import type { Duplex } from 'node:stream'
import { type ConnectionOptions, createSecureContext, type TLSSocket, connect as tlsConnect } from 'node:tls'
import { assertOpen, silenceErrors, streamEvent } from './stream-event.ts'

/**
 * The options of `tls.connect` that concern TLS: `ca`, `cert`, `key`, `servername`, `rejectUnauthorized`, ... Where to
 * connect to is not among them.
 */
export type DialTlsOptions = Omit<
  ConnectionOptions,
  'host' | 'port' | 'path' | 'socket' | 'lookup' | 'localAddress' | 'localPort' | 'family' | 'hints'
>

/** What concerns the connection below TLS: that is made elsewhere. */
const elsewhere: readonly string[] = [
  'host',
  'port',
  'path',
  'socket',
  'lookup',
  'localAddress',
  'localPort',
  'family',
  'hints',
]

/** Why these can be no options for TLS; `undefined` when they can. */
export function wrongTlsOptions(tls: unknown): string | undefined {
  if (typeof tls !== 'object' || tls === null) return 'must be an object, as for tls.connect'
  const name = elsewhere.find((candidate) => Object.hasOwn(tls, candidate))
  return name === undefined
    ? undefined
    : `has ${name}, which is not for TLS: the URL says where to connect to`
}

/** The options with their certificates and keys read. @throws what `node:tls` has against them */
export function withContext(tls: DialTlsOptions): DialTlsOptions {
  return { ...tls, secureContext: tls.secureContext ?? createSecureContext(tls) }
}

/**
 * Speaks TLS over a stream, as a client. The stream is taken over: it is destroyed when there is no TLS connection.
 *
 * @param host - whose certificate is expected, unless the options name another
 */
export async function startTls(
  stream: Duplex,
  host: string,
  tls: DialTlsOptions,
  signal: AbortSignal,
): Promise<TLSSocket> {
  assertOpen(stream)
  let socket: TLSSocket
  try {
    socket = tlsConnect({
      servername: isIP(host) === 0 ? host : '',
      ALPNProtocols: ['http/1.1'],
      ...tls,
      host,
      socket: stream,
    })
  } catch (error) {
    stream.destroy()
    throw error
  }
  await streamEvent(silenceErrors(socket), 'secureConnect', signal)
  if (socket.alpnProtocol === 'h2') {
    socket.destroy()
    throw Object.assign(new Error('the server speaks HTTP/2'), { code: 'ERR_TLS_NO_APPLICATION_PROTOCOL' })
  }
  return socket
}
