import { isIP, type LookupFunction, connect as netConnect, Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { abortable } from '../conn/abortable.ts'
import { UsageError } from '../session/errors.ts'
import { connectFirst } from './connect-first.ts'
import { resolveAddresses } from './resolve-addresses.ts'
import { assertOpen, letFlow, silenceErrors, streamEvent } from './stream-event.ts'

/** What a {@link ConnectHook} is to reach. */
export interface ConnectTarget {
  /** Name or address of the server, or of the proxy; an IPv6 address without brackets. */
  readonly host: string
  /** Its TCP port. */
  readonly port: number
  /** The path of the unix socket of a `ws+unix:` URL, which is to be reached instead of host and port. */
  readonly socketPath: string | undefined
  /** `dial` will speak TLS over the stream. */
  readonly secure: boolean
  /** It is a proxy: `dial` will ask it for the way to the server. */
  readonly proxy: boolean
  /** Aborted when the handshake's time is up, or by the caller. A stream that comes later is destroyed. */
  readonly signal: AbortSignal
}

/**
 * Gives the byte stream to a server or a proxy, in place of a TCP connection of `dial`'s own: one of bytes, so neither
 * `setEncoding` nor object mode. A `net.Socket` may still be connecting. What it throws becomes the `cause` of a
 * `HandshakeError`: `ERR_WS_CONNECT`, or `ERR_WS_PROXY` for a proxy.
 *
 * Of a plain `net.Socket` the memory of a finished write serves again, for other connections too. One whose handle is
 * written in JavaScript has to copy what it keeps after that; other streams, and subclasses of `Socket`, need not.
 *
 * @example
 * ```ts
 * import { connect } from 'node:net'
 * import { Dialer } from 'silverback'
 * const dialer = new Dialer({
 *   connect: ({ host, port, signal }) => connect({ host, port, signal, keepAlive: true }),
 * })
 * ```
 */
export type ConnectHook = (target: ConnectTarget) => Duplex | PromiseLike<Duplex>

/** How TCP connections are made. */
export interface ConnectOptions {
  readonly connect: ConnectHook | undefined
  readonly lookup: LookupFunction | undefined
  readonly localAddress: string | undefined
}

/**
 * A byte stream to a server, or to the proxy on the way to it.
 *
 * @param inWords - makes an error of what the hook throws, whatever that is
 */
export async function connectStream(
  target: Omit<ConnectTarget, 'signal'>,
  options: ConnectOptions,
  inWords: (cause: unknown) => Error,
  signal: AbortSignal,
): Promise<Duplex> {
  const { connect } = options
  const stream =
    connect === undefined
      ? await openSocket(target, options, signal)
      : await askHook(() => connect({ ...target, signal }), inWords, signal)
  if (stream instanceof Socket && stream.connecting) await streamEvent(stream, 'connect', signal)
  assertOpen(stream)
  return stream
}

async function openSocket(
  { host, port, socketPath }: Omit<ConnectTarget, 'signal'>,
  { lookup, localAddress }: ConnectOptions,
  signal: AbortSignal,
): Promise<Socket> {
  if (socketPath !== undefined) return silenceErrors(netConnect({ path: socketPath }))
  // From an address of one family only those of the same family can be reached.
  const family = localAddress === undefined ? 0 : isIP(localAddress)
  const from = localAddress === undefined ? {} : { localAddress }
  const addresses = await resolveAddresses(host, lookup, family, signal)
  return connectFirst(
    addresses,
    (address) => netConnect({ host: address, port, noDelay: true, ...from }),
    signal,
  )
}

async function askHook(
  ask: () => unknown,
  inWords: (cause: unknown) => Error,
  signal: AbortSignal,
): Promise<Duplex> {
  let given: unknown
  try {
    given = await abortable(
      () => {
        const stream = ask()
        // At once: a socket whose connecting fails may say so before a promise of it is heard.
        return stream instanceof Duplex ? silenceErrors(stream) : stream
      },
      signal,
      (late) => {
        if (late instanceof Duplex) silenceErrors(late).destroy()
      },
    )
  } catch (error) {
    signal.throwIfAborted()
    throw inWords(error)
  }
  if (!(given instanceof Duplex))
    throw new UsageError('ERR_WS_INVALID_OPTION', 'connect must give a Duplex stream, or a promise of one')
  // At anything but bytes, the HTTP parser of the runtime ends the process.
  if (given.readableEncoding !== null || given.readableObjectMode) {
    given.destroy()
    throw new UsageError(
      'ERR_WS_INVALID_OPTION',
      'connect must give a stream of bytes, without setEncoding or object mode',
    )
  }
  letFlow(given)
  return silenceErrors(given)
}
