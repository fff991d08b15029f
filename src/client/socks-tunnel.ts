import type { Duplex } from 'node:stream'
import { setImmediate } from 'node:timers'
import { abortable } from '../conn/abortable.ts'
import { HandshakeError, WebSocketError } from '../session/errors.ts'
import { proxyError } from './connect-error.ts'
import type { ProxyAddress } from './proxy.ts'
import { assertOpen, letFlow } from './stream-event.ts'

/** What is used of the package `socks`. */
export type Socks = Pick<typeof import('socks'), 'SocksClient'>

/** An hour: the package has no word for "never". */
const LONGEST = 3_600_000

/**
 * Has a SOCKS 5 proxy make the stream to it one to a server (RFC 1928, RFC 1929). The stream is taken over: it is
 * destroyed when the proxy does not.
 *
 * @param host - an address, or a name that the proxy resolves
 * @param timeout - for the whole handshake, in milliseconds; 0 = no limit
 * @throws HandshakeError `ERR_WS_PROXY`
 */
export async function socksTunnel(
  { SocksClient }: Socks,
  stream: Duplex,
  { host, port }: { readonly host: string; readonly port: number },
  proxy: ProxyAddress,
  timeout: number,
  signal: AbortSignal,
): Promise<void> {
  try {
    assertOpen(stream)
    const { user: userId = '', password = '' } = proxy.login ?? {}
    const client = new SocksClient({
      command: 'connect',
      destination: { host, port },
      proxy: { type: 5, host: proxy.host, port: proxy.port, userId, password },
      timeout: timeout === 0 ? LONGEST : timeout,
    })
    await abortable(() => negotiate(client, stream), signal)
    await assertSilent(stream, proxy)
  } catch (error) {
    stream.destroy()
    signal.throwIfAborted()
    if (error instanceof WebSocketError) throw error
    // The package's errors carry user and password: nothing but their message is told.
    const { message } = error as Error
    // What has a cause that is no network's is not tried again: another user or password is wanted, or the rules of the
    // proxy forbid it (RFC 1928 section 6).
    const cause = /authentication|NotAllowed/i.test(message) ? new Error(message) : undefined
    throw proxyError(proxy.label, `makes no connection: ${message}`, { cause })
  }
}

function negotiate(client: InstanceType<Socks['SocksClient']>, stream: Duplex): Promise<void> {
  return new Promise((resolve, reject) => {
    // The package keeps its timer, and with it the client, until the time is over, though nothing is left to be done:
    // password and stream need not stay as long. In the next turn, as it goes on in this one.
    const letGo = (): unknown =>
      setImmediate(() => {
        client.removeAllListeners()
        Object.assign(client, { options: undefined, socket: undefined })
      })
    client.once('established', () => {
      letGo()
      resolve()
    })
    client.on('error', (error) => {
      letGo()
      reject(error)
    })
    client.connect(stream)
  })
}

/**
 * Loads the package, which is an optional peer dependency.
 *
 * @throws HandshakeError that says what to install
 */
export async function loadSocks(load: () => Promise<Socks> = () => import('socks')): Promise<Socks> {
  try {
    return await load()
  } catch (cause) {
    const message = 'a SOCKS proxy needs the npm package socks, which cannot be loaded: npm install socks'
    throw new HandshakeError('ERR_WS_PROXY', message, { cause })
  }
}

/**
 * Refuses what came behind the proxy's answer: nothing was asked of the server yet, so that it would be taken for the
 * answer to our request. The package hands it out in the next turn, as if it had just come, and has the stream flow.
 */
async function assertSilent(stream: Duplex, { label }: ProxyAddress): Promise<void> {
  let silent = true
  const onData = (): void => {
    silent = false
  }
  stream.on('data', onData)
  await new Promise((resolve) => setImmediate(resolve))
  stream.off('data', onData)
  letFlow(stream)
  if (!silent) throw proxyError(label, 'sent something behind its answer')
}
