import { isIPv4, type LookupFunction } from 'node:net'
import type { Duplex } from 'node:stream'
import { abortable } from '../conn/abortable.ts'
import { WebSocketError } from '../session/errors.ts'
import { connectError, proxyFailure } from './connect-error.ts'
import { type ConnectOptions, connectStream } from './connect-stream.ts'
import { authority, type DialTarget } from './dial-target.ts'
import type { HandshakeDeadline } from './handshake-deadline.ts'
import { httpTunnel } from './http-tunnel.ts'
import { chooseProxy, type ProxyAddress, type ResolvedProxyOptions } from './proxy.ts'
import { resolveAddresses } from './resolve-addresses.ts'
import { loadSocks, socksTunnel } from './socks-tunnel.ts'
import { type DialTlsOptions, startTls, withContext } from './start-tls.ts'

/** How a server is reached. */
export interface OpenOptions extends ConnectOptions {
  readonly tls: DialTlsOptions
  readonly proxy: ResolvedProxyOptions
  /** Of the whole handshake, in milliseconds; 0 = no limit. */
  readonly timeout: number
}

/**
 * The byte stream on which a server hears HTTP: TCP or a unix socket, through a proxy if there is one, with TLS for
 * `wss:`.
 *
 * @throws HandshakeError `ERR_WS_CONNECT`, or `ERR_WS_PROXY` where it is the proxy's doing
 * @throws the deadline's reason
 */
export async function openStream(
  target: DialTarget,
  options: OpenOptions,
  deadline: HandshakeDeadline,
): Promise<Duplex> {
  const { signal } = deadline
  const proxy = await chooseProxy(target, options.proxy, signal)
  const { host, port, socketPath, secure } = target
  const inWords = (cause: unknown): Error => connectError(cause, target.label)
  return telling(inWords, signal, async () => {
    // Before anybody is asked for anything: certificates and keys that cannot be read are our caller's.
    const tls = secure ? withContext(options.tls) : {}
    const stream =
      proxy === undefined
        ? await connectStream({ host, port, socketPath, secure, proxy: false }, options, inWords, signal)
        : await openTunnel(target, proxy, options, deadline)
    return secure ? await startTls(stream, host, tls, signal) : stream
  })
}

async function openTunnel(
  { host, port }: DialTarget,
  proxy: ProxyAddress,
  options: OpenOptions,
  deadline: HandshakeDeadline,
): Promise<Duplex> {
  const { signal } = deadline
  // What is missing here, a package or an address, is found before the proxy is asked for anything.
  const socks = proxy.scheme.startsWith('socks') ? await abortable(() => loadSocks(), signal) : undefined
  const address = proxy.scheme === 'socks5' ? await resolveOne(host, options.lookup, signal) : host
  const secure = proxy.scheme === 'https'
  const hop = { host: proxy.host, port: proxy.port, socketPath: undefined, secure, proxy: true }
  const inWords = (cause: unknown): Error => proxyFailure(cause, proxy.label)
  const stream = await telling(inWords, signal, async () => {
    const tls = secure ? withContext(options.proxy.tls) : {}
    const plain = await connectStream(hop, options, inWords, signal)
    return secure ? await startTls(plain, proxy.host, tls, signal) : plain
  })
  if (socks !== undefined)
    await socksTunnel(socks, stream, { host: address, port }, proxy, options.timeout, signal)
  else await httpTunnel(stream, authority(host, port), proxy, options.proxy.headers, deadline)
  return stream
}

/** The address that a SOCKS proxy is asked for: an IPv4 address where there is one, as proxies without IPv6 are many. */
async function resolveOne(
  host: string,
  lookup: LookupFunction | undefined,
  signal: AbortSignal,
): Promise<string> {
  const addresses = await resolveAddresses(host, lookup, 0, signal)
  return addresses.find(isIPv4) ?? (addresses[0] as string)
}

/**
 * What fails below is told in our words, unless it is already: a refusal that was heard stands, though the time was up
 * before all of it had come. Else an abort is the reason of the signal.
 */
async function telling<T>(
  inWords: (cause: unknown) => Error,
  signal: AbortSignal,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof WebSocketError) throw error
    signal.throwIfAborted()
    throw inWords(error)
  }
}
