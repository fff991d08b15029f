import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { after, describe, it } from 'node:test'
import { createServer, type TLSSocket, type TlsOptions } from 'node:tls'
import { assertNoLeaks } from '../../test/leaks.ts'
import { certificate, privateKey } from '../../test/support/certificate.ts'
import { failure } from '../../test/support/failure.ts'
import { until } from '../../test/support/until.ts'
import { type DialTlsOptions, startTls, withContext, wrongTlsOptions } from './start-tls.ts'

after(() => assertNoLeaks())

const { signal: never } = new AbortController()
const boom = new Error('boom')
const ca = { ca: certificate }

interface Listening extends AsyncDisposable {
  readonly port: number
  /** What clients asked for: server name and protocol. */
  readonly seen: unknown[]
}

async function tlsServer(options: TlsOptions = {}): Promise<Listening> {
  const seen: unknown[] = []
  const sockets = new Set<Socket>()
  const server = createServer({ cert: certificate, key: privateKey, ...options }, (socket: TLSSocket) => {
    seen.push([(socket as TLSSocket & { servername: unknown }).servername, socket.alpnProtocol])
    socket.on('error', () => {})
  })
  server.on('connection', (socket: Socket) => sockets.add(socket))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    seen,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

async function start(
  port: number,
  host: string,
  tls: DialTlsOptions,
  signal: AbortSignal = never,
): Promise<TLSSocket> {
  const stream = connect(port, '127.0.0.1')
  await once(stream, 'connect')
  stream.on('error', () => {})
  try {
    return await startTls(stream, host, tls, signal)
  } catch (error) {
    if (!stream.destroyed) assert.fail('the stream is left open')
    throw error
  }
}

describe('wrongTlsOptions', () => {
  it('refuses what is no object, and what is not for TLS', () => {
    assert.equal(wrongTlsOptions({}), undefined)
    assert.equal(wrongTlsOptions({ ca: 'x', servername: 'y', cert: 'z' }), undefined)
    for (const tls of [null, undefined, 'x', true])
      assert.equal(wrongTlsOptions(tls), 'must be an object, as for tls.connect')
    for (const name of [
      'host',
      'port',
      'path',
      'socket',
      'lookup',
      'localAddress',
      'family',
      'onread',
      'timeout',
    ])
      assert.match(String(wrongTlsOptions({ [name]: 'x' })), new RegExp(`^has ${name}, which is not for TLS`))
    assert.equal(wrongTlsOptions({ host: undefined, pskCallback: undefined }), undefined)
    for (const name of ['checkServerIdentity', 'pskCallback'])
      assert.equal(wrongTlsOptions({ [name]: 'x' }), `has a ${name} that is no function`)
  })
})

describe('withContext', () => {
  it('reads certificates and keys, once', () => {
    const tls = withContext(ca)
    assert.ok(tls.secureContext !== undefined)
    assert.equal(withContext(tls).secureContext, tls.secureContext)
    assert.throws(() => withContext({ cert: 'no certificate' }), { code: 'ERR_OSSL_PEM_NO_START_LINE' })
  })
})

describe('startTls', () => {
  it('names the host it asks for, unless that is an address, and speaks HTTP/1.1', async () => {
    await using server = await tlsServer({ ALPNProtocols: ['h2', 'http/1.1'] })
    for (const host of ['localhost', 'localhost.', '127.0.0.1', '::1']) {
      const before = server.seen.length
      const socket = await start(server.port, host, ca)
      await until(() => server.seen.length > before, 'the end of the TLS handshake')
      socket.destroy()
    }
    assert.deepEqual(server.seen, [
      ['localhost', 'http/1.1'],
      ['localhost', 'http/1.1'],
      [false, 'http/1.1'],
      [false, 'http/1.1'],
    ])
  })

  it('expects the certificate of the host, or of the name that the options say', async () => {
    await using server = await tlsServer()
    const wrong = { code: 'ERR_TLS_CERT_ALTNAME_INVALID' }
    await assert.rejects(start(server.port, 'a.example', ca), wrong)
    await assert.rejects(start(server.port, '127.0.0.2', ca), wrong)
    await assert.rejects(start(server.port, 'localhost', { ...ca, servername: 'a.example' }), wrong)
    ;(await start(server.port, 'a.example', { ...ca, servername: 'localhost' })).destroy()
    const seen: string[] = []
    const checkServerIdentity = (host: string): undefined => void seen.push(host)
    ;(await start(server.port, 'a.example', { ...ca, checkServerIdentity })).destroy()
    assert.deepEqual(seen, ['a.example'])
  })

  it('fails with what a check of the application throws, and does not end the process', async () => {
    await using server = await tlsServer()
    const check = (checkServerIdentity: () => unknown, rejectUnauthorized = true): Promise<Error> => {
      const tls = { ...ca, rejectUnauthorized, checkServerIdentity } as DialTlsOptions
      return failure(start(server.port, 'localhost', tls))
    }
    assert.equal(await check(() => assert.fail(boom)), boom)
    assert.equal(await check(() => assert.fail(boom), false), boom)
    assert.equal(await check(() => boom), boom)
    const thenable = (): unknown => ({
      // biome-ignore lint/suspicious/noThenProperty: a promise of another make
      then: (_resolve: unknown, reject: (error: Error) => void) => reject(boom),
    })
    for (const verdict of [() => Promise.reject(boom), thenable, () => 'no', () => true])
      assert.match((await check(verdict)).message, /^tls\.checkServerIdentity must return an Error/)
  })

  it('takes whatever is false for the word that a certificate is fine, as Node does', async () => {
    await using server = await tlsServer()
    for (const verdict of [undefined, null, false, '', 0]) {
      const checkServerIdentity = (() => verdict) as DialTlsOptions['checkServerIdentity']
      const socket = await start(server.port, 'a.example', { ...ca, checkServerIdentity })
      assert.equal(socket.authorized, true)
      socket.destroy()
    }
  })

  it('fails with what a pre-shared key is not found with, and does not end the process', async () => {
    const psk = Buffer.alloc(16, 1)
    const versions = { maxVersion: 'TLSv1.2', ciphers: 'PSK' } as const
    await using server = await tlsServer({ ...versions, pskCallback: () => psk } as TlsOptions)
    const options = { ...versions, checkServerIdentity: () => undefined }
    const shake = (pskCallback: () => unknown): Promise<TLSSocket> =>
      start(server.port, 'localhost', { ...options, pskCallback } as DialTlsOptions)
    assert.equal(await failure(shake(() => assert.fail(boom))), boom)
    for (const given of [{}, 'x', 0, { psk }, { psk: 'x', identity: 'me' }])
      assert.match((await failure(shake(() => given))).message, /^tls\.pskCallback must return/)
    const promised = await failure(shake(() => Promise.reject(boom)))
    assert.match(promised.message, /^tls\.pskCallback must return/)
    for (const given of [
      { psk, identity: 'x'.repeat(257) },
      { psk: Buffer.alloc(513), identity: 'me' },
    ])
      assert.match(
        (await failure(shake(() => given))).message,
        /^tls\.pskCallback may give a psk of 512 bytes/,
      )
    assert.match(String((await failure(shake(() => null))).code), /^ERR_SSL_/)
    ;(await shake(() => ({ psk, identity: 'me' }))).destroy()
  })

  it('takes pre-shared keys and identities as long as Node does', async () => {
    const psk = Buffer.alloc(512, 1)
    const identity = 'x'.repeat(256)
    for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
      const tls = { maxVersion, ciphers: 'PSK:TLS_AES_128_GCM_SHA256' }
      const seen: string[] = []
      const pskCallback = (_socket: unknown, given: string): Buffer => {
        seen.push(given)
        return psk
      }
      await using server = await tlsServer({ ...tls, pskCallback } as TlsOptions)
      const options = { ...tls, checkServerIdentity: () => undefined, pskCallback: () => ({ psk, identity }) }
      ;(await start(server.port, 'localhost', options as DialTlsOptions)).destroy()
      assert.deepEqual([...new Set(seen)], [identity])
    }
  })

  it('shows a certificate of its own', async () => {
    await using server = await tlsServer({ ca: certificate, requestCert: true })
    const socket = await start(
      server.port,
      'localhost',
      withContext({ ...ca, cert: certificate, key: privateKey }),
    )
    assert.ok(socket.authorized)
    assert.notDeepEqual(socket.getCertificate(), {})
    socket.destroy()
  })

  it('a server that speaks nothing but HTTP/2', async () => {
    await using server = await tlsServer({ ALPNProtocols: ['h2'] })
    const alert = await failure(start(server.port, 'localhost', ca))
    assert.match(String(alert.code), /NO_APPLICATION_PROTOCOL$/)
    const chosen = await failure(
      start(server.port, 'localhost', { ...ca, ALPNProtocols: ['h2', 'http/1.1'] }),
    )
    assert.equal(chosen.code, 'ERR_TLS_NO_APPLICATION_PROTOCOL')
  })

  it('options that TLS does not know', async () => {
    await using server = await tlsServer()
    const tls = { minVersion: 'x' as 'TLSv1.3' }
    assert.equal(
      (await failure(start(server.port, 'localhost', tls))).code,
      'ERR_TLS_INVALID_PROTOCOL_VERSION',
    )
  })

  const broken: [name: string, act: (socket: Socket) => void, code: RegExp][] = [
    ['is reset', (socket) => socket.resetAndDestroy(), /^ECONNRESET$/],
    ['ends', (socket) => socket.end(), /^ECONNRESET$/],
    [
      'answers in clear',
      (socket) => socket.write('HTTP/1.1 400 Bad Request\r\n\r\n'),
      /^ERR_SSL_WRONG_VERSION_NUMBER$/,
    ],
    [
      'answers with an alert',
      (socket) => socket.write('\x15\x03\x01\x00\x02\x02\x28', 'latin1'),
      /^ERR_SSL_/,
    ],
  ]
  for (const [name, act, code] of broken) {
    it(`a connection that ${name}`, async () => {
      const server = createTcpServer((socket) => {
        socket.on('error', () => {})
        socket.once('data', () => act(socket))
      }).listen(0, '127.0.0.1')
      await once(server, 'listening')
      const { port } = server.address() as AddressInfo
      assert.match(String((await failure(start(port, 'localhost', ca))).code), code)
      server.close()
      await once(server, 'close')
    })
  }

  it('over a stream that is no socket', async () => {
    const stream = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() }).on('error', () => {})
    const started = startTls(stream, 'localhost', ca, never)
    stream.destroy(boom)
    assert.equal(await failure(started), boom)
  })

  it('over a stream that is gone', async () => {
    const stream = new Duplex().on('error', () => {})
    stream.destroy(boom)
    assert.equal(await failure(startTls(stream, 'localhost', ca, never)), boom)
  })

  it('is given up with the signal', async () => {
    await using silent = await SilentServer.start()
    const controller = new AbortController()
    const started = start(silent.port, 'localhost', ca, controller.signal)
    await silent.asked
    controller.abort(boom)
    assert.equal(await failure(started), boom)
  })
})

/** A server that hears and does not answer. */
class SilentServer implements AsyncDisposable {
  readonly asked: Promise<unknown>
  readonly #server = createTcpServer()

  private constructor() {
    this.asked = once(this.#server, 'connection').then(([socket]) =>
      once(
        (socket as Socket).on('error', () => {}),
        'data',
      ),
    )
  }

  static async start(): Promise<SilentServer> {
    const silent = new SilentServer()
    silent.#server.listen(0, '127.0.0.1')
    await once(silent.#server, 'listening')
    return silent
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close()
    await once(this.#server, 'close')
  }
}
