import { isIP } from 'node:net'
import type { Duplex } from 'node:stream'
import {
  type ConnectionOptions,
  createSecureContext,
  checkServerIdentity as defaultCheck,
  type TLSSocket,
  connect as tlsConnect,
} from 'node:tls'
import { types } from 'node:util'
import { isStrayPromise } from '../session/stray-promise.ts'
import { assertOpen, silenceErrors, streamEvent } from './stream-event.ts'

/**
 * The options of `tls.connect` that concern TLS: `ca`, `cert`, `key`, `servername`, `rejectUnauthorized`, ... Where to
 * connect to is not among them.
 */
export type DialTlsOptions = Omit<
  ConnectionOptions,
  | 'host'
  | 'port'
  | 'path'
  | 'socket'
  | 'lookup'
  | 'localAddress'
  | 'localPort'
  | 'family'
  | 'hints'
  | 'timeout'
  | 'noDelay'
  | 'keepAlive'
  | 'keepAliveInitialDelay'
  | 'allowHalfOpen'
  | 'onread'
  | 'autoSelectFamily'
  | 'autoSelectFamilyAttemptTimeout'
  | 'signal'
>

/** The same names: what concerns the connection below TLS, which is made elsewhere. */
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
  'timeout',
  'noDelay',
  'keepAlive',
  'keepAliveInitialDelay',
  'allowHalfOpen',
  'onread',
  'autoSelectFamily',
  'autoSelectFamilyAttemptTimeout',
  'signal',
]

/** The options that are functions, which Node calls in the midst of the handshake. */
const callbacks = ['checkServerIdentity', 'pskCallback'] as const

/** Why these can be no options for TLS; `undefined` when they can. */
export function wrongTlsOptions(tls: unknown): string | undefined {
  if (typeof tls !== 'object' || tls === null) return 'must be an object, as for tls.connect'
  const given: Readonly<Record<string, unknown>> = withoutUndefined(tls)
  const name = elsewhere.find((candidate) => given[candidate] !== undefined)
  if (name !== undefined)
    return `has ${name}, which is not for TLS: what is below is made by the URL, connect, lookup and localAddress`
  const wrong = callbacks.find((callback) => !['function', 'undefined'].includes(typeof given[callback]))
  return wrong === undefined ? undefined : `has a ${wrong} that is no function`
}

/** The options that are given: `tls.connect` takes some that are `undefined` for something else than their default. */
export function withoutUndefined(tls: DialTlsOptions): DialTlsOptions {
  return Object.fromEntries(Object.entries(tls).filter(([, value]) => value !== undefined))
}

/** The options with their certificates and keys read. @throws what `node:tls` has against them */
export function withContext(tls: DialTlsOptions): DialTlsOptions {
  return { ...tls, secureContext: tls.secureContext ?? createSecureContext(tls) }
}

/**
 * Speaks TLS over a stream, as a client. The stream is taken over: it is destroyed when there is no TLS connection.
 *
 * @param host - whose certificate is expected, unless the options name another
 * @throws what TLS says, or what a function of the options throws
 */
export async function startTls(
  stream: Duplex,
  host: string,
  tls: DialTlsOptions,
  signal: AbortSignal,
): Promise<TLSSocket> {
  assertOpen(stream)
  const thrown: unknown[] = []
  let socket: TLSSocket
  try {
    socket = tlsConnect({
      // A dot at the end of a name is no part of it there (RFC 6066 section 3).
      servername: isIP(host) === 0 ? host.replace(/\.$/, '') : '',
      ALPNProtocols: ['http/1.1'],
      ...tls,
      ...guarded(tls, (error) => thrown.push(error)),
      host,
      socket: stream,
    })
  } catch (error) {
    stream.destroy()
    throw error
  }
  try {
    await streamEvent(silenceErrors(socket), 'secureConnect', signal)
  } catch (error) {
    throw thrown.length > 0 ? thrown[0] : error
  }
  if (thrown.length > 0) {
    socket.destroy()
    throw thrown[0]
  }
  if (socket.alpnProtocol === 'h2') {
    socket.destroy()
    throw Object.assign(new Error('the server speaks HTTP/2'), { code: 'ERR_TLS_NO_APPLICATION_PROTOCOL' })
  }
  return socket
}

/** The functions of the options, so that what they throw, or what they give that cannot be, does not end the process. */
function guarded(
  { checkServerIdentity = defaultCheck, pskCallback }: DialTlsOptions,
  onThrown: (error: unknown) => void,
): DialTlsOptions {
  const guard =
    <Given extends unknown[], Result>(call: (...given: Given) => Result, instead: Result) =>
    (...given: Given): Result => {
      try {
        return call(...given)
      } catch (error) {
        onThrown(error)
        return instead
      }
    }
  const check: typeof defaultCheck = (host, certificate) => {
    const verdict: unknown = checkServerIdentity(host, certificate)
    // To Node whatever is false is fine, too.
    if (!verdict) return undefined
    if (types.isNativeError(verdict)) return verdict
    isStrayPromise(verdict)
    throw new TypeError('tls.checkServerIdentity must return an Error or undefined, and not a promise')
  }
  const distrust = new Error('the certificate was not checked')
  if (pskCallback === undefined) return { checkServerIdentity: guard(check, distrust) }
  const psk = (hint: string | null): PreSharedKey => checkKey(pskCallback(hint))
  return { checkServerIdentity: guard(check, distrust), pskCallback: guard(psk, null) }
}

type PreSharedKey = ReturnType<NonNullable<DialTlsOptions['pskCallback']>>

/** What Node has room for, in bytes: it would end the process with what is longer. */
const MOST_KEY = 512
const MOST_IDENTITY = 256

function checkKey(given: unknown): PreSharedKey {
  if (given === null || given === undefined) return null
  isStrayPromise(given)
  const { psk, identity } = given as { readonly psk?: unknown; readonly identity?: unknown }
  if (!ArrayBuffer.isView(psk) || typeof identity !== 'string')
    throw new TypeError('tls.pskCallback must return a psk of bytes and an identity, or null')
  if (psk.byteLength > MOST_KEY || Buffer.byteLength(identity) > MOST_IDENTITY)
    throw new TypeError(
      `tls.pskCallback may give a psk of ${MOST_KEY} bytes and an identity of ${MOST_IDENTITY}, not more`,
    )
  return given as PreSharedKey
}
