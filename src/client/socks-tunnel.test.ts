import assert from 'node:assert/strict'
import { type EventEmitter, once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { after, describe, it } from 'node:test'
import { inspect } from 'node:util'
import { assertNoLeaks } from '../../test/leaks.ts'
import { SocksProxy, type SocksProxyOptions } from '../../test/support/socks-proxy.ts'
import { HandshakeError } from '../session/errors.ts'
import { parseProxy } from './proxy.ts'
import { judgeFailure, type RetryVerdict } from './retry-verdict.ts'
import { loadSocks, socksTunnel } from './socks-tunnel.ts'

after(() => assertNoLeaks())

const { signal: never } = new AbortController()
const boom = new Error('boom')

/** A server that sends back what it gets. */
async function echo(): Promise<{ readonly port: number; [Symbol.asyncDispose](): Promise<void> }> {
  const server = createServer((socket) => void socket.on('error', () => {}).pipe(socket)).listen(
    0,
    '127.0.0.1',
  )
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      server.close()
      await once(server, 'close')
    },
  }
}

/** Asks the proxy at this port for a tunnel. */
async function ask(
  proxyPort: number,
  destination: { readonly host: string; readonly port: number },
  login = '',
  signal: AbortSignal = never,
  timeout = 5_000,
): Promise<Socket> {
  const stream = connect(proxyPort, '127.0.0.1').on('error', () => {})
  await once(stream, 'connect')
  const proxy = parseProxy(`socks5h://${login}proxy.example`)
  assert.ok(typeof proxy !== 'string')
  try {
    await socksTunnel(await loadSocks(), stream, destination, proxy, timeout, signal)
    return stream
  } catch (error) {
    assert.equal(stream.destroyed, true)
    throw error
  }
}

async function refusal(asked: Promise<Socket>): Promise<HandshakeError> {
  const error = await asked.then(
    () => assert.fail('connected'),
    (reason: unknown) => reason,
  )
  assert.ok(error instanceof HandshakeError, String(error))
  assert.deepEqual([error.code, error.status], ['ERR_WS_PROXY', undefined])
  assert.doesNotMatch(inspect(error, { depth: 9, showHidden: true }), /secret/)
  return error
}

describe('socksTunnel', () => {
  const destinations: [host: string, written: string][] = [
    ['127.0.0.1', '127.0.0.1'],
    ['::1', `${'0'.repeat(31)}1`],
    ['a.example', 'a.example'],
  ]
  for (const [host, written] of destinations) {
    it(`to ${host}`, async () => {
      await using server = await echo()
      await using proxy = await SocksProxy.start()
      for (const timeout of [0, 5_000]) {
        const stream = await ask(proxy.port, { host, port: server.port }, '', never, timeout)
        stream.write('hello')
        const [chunk] = (await once(stream, 'data')) as [Buffer]
        assert.equal(chunk.toString(), 'hello')
        stream.destroy()
      }
      assert.deepEqual(proxy.requests[0], { host: written, port: server.port, login: undefined })
    })
  }

  it('with user and password, decoded', async () => {
    await using server = await echo()
    for (const [login, wanted] of [
      ['us%40er:p%3Aw@', 'us@er:p:w'],
      ['user@', 'user:'],
      [`${'u'.repeat(255)}:${'p'.repeat(255)}@`, `${'u'.repeat(255)}:${'p'.repeat(255)}`],
    ] as const) {
      await using proxy = await SocksProxy.start({ login: wanted })
      ;(await ask(proxy.port, { host: 'a.example', port: server.port }, login)).destroy()
      assert.equal(proxy.requests[0]?.login, wanted)
    }
  })

  const refusals: [
    name: string,
    options: SocksProxyOptions,
    login: string,
    message: RegExp,
    verdict: RetryVerdict,
  ][] = [
    [
      'refuses',
      { status: 2 },
      'user:secret@',
      /^the proxy proxy\.example:1080 makes no connection: .*NotAllowed$/,
      'stop',
    ],
    ['cannot reach the server', { status: 4 }, '', /HostUnreachable$/, 'retry'],
    [
      'wants another password',
      { login: 'user:other' },
      'user:secret@',
      /makes no connection: .*[Aa]uthentication/,
      'stop',
    ],
    ['wants a password', { login: 'user:other' }, '', /makes no connection: .*[Aa]uth/, 'stop'],
    [
      'answers for the server',
      { behind: 'HTTP/1.1 101 X' },
      '',
      /sent something behind its answer$/,
      'retry',
    ],
  ]
  for (const [name, options, login, message, verdict] of refusals) {
    it(`a proxy that ${name}`, async () => {
      await using server = await echo()
      await using proxy = await SocksProxy.start(options)
      const error = await refusal(ask(proxy.port, { host: 'a.example', port: server.port }, login))
      assert.match(error.message, message)
      assert.equal(judgeFailure(error), verdict)
    })
  }

  /** A proxy that sends these bytes, whatever it hears, and then may hang up. */
  async function hostile(
    bytes: readonly number[],
    after: (socket: Socket) => void,
    signal: AbortSignal = never,
  ): Promise<HandshakeError> {
    const server = createServer((socket) => {
      socket.on('error', () => {})
      socket.once('data', () => {
        socket.write(Buffer.from(bytes))
        after(socket)
      })
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    try {
      return await refusal(ask(port, { host: 'a.example', port: 1 }, 'user:secret@', signal))
    } finally {
      server.close()
      await once(server, 'close')
    }
  }

  const good = [5, 2, 1, 0, 5, 0, 0, 3, 2, 65, 65, 0, 1]
  for (let length = 0; length < good.length; length++) {
    it(`a proxy that hangs up after ${length} bytes`, async () => {
      await hostile(good.slice(0, length), (socket) => socket.end())
      await hostile(good.slice(0, length), (socket) => setImmediate(() => socket.resetAndDestroy()))
    })
  }

  const nonsense: [name: string, bytes: readonly number[]][] = [
    ['SOCKS 4', [4, 90]],
    ['HTTP', [...Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')]],
    ['no method that suits', [5, 255]],
    ['a method that was not offered', [5, 1]],
    ['an answer nobody knows', [5, 2, 1, 0, 5, 77, 0, 1, 0, 0, 0, 0, 0, 0]],
    ['an address of no kind', [5, 2, 1, 0, 5, 0, 0, 9, 0, 0, 0, 0, 0, 0]],
    ['a megabyte', [5, 2, ...new Array(1 << 20).fill(1)]],
  ]
  for (const [name, bytes] of nonsense) {
    it(`a proxy that sends ${name}`, async () => {
      await hostile(bytes, (socket) => socket.end())
    })
  }

  it('keeps neither password nor stream, though the package keeps its client until the time is over', async () => {
    const { SocksClient } = await loadSocks()
    const clients: unknown[] = []
    class Kept extends SocksClient {
      constructor(options: ConstructorParameters<typeof SocksClient>[0]) {
        super(options)
        clients.push(this)
      }
    }
    await using server = await echo()
    await using proxy = await SocksProxy.start({ login: 'user:secret' })
    const address = parseProxy('socks5h://user:secret@proxy.example')
    assert.ok(typeof address !== 'string')
    for (const status of [0, 1]) {
      const stream = connect(status === 0 ? proxy.port : server.port, '127.0.0.1').on('error', () => {})
      await once(stream, 'connect')
      const destination = { host: 'a.example', port: server.port }
      const asked = socksTunnel({ SocksClient: Kept }, stream, destination, address, 0, never)
      await asked.then(
        () => assert.equal(status, 0),
        () => assert.equal(status, 1),
      )
      await new Promise((resolve) => setImmediate(resolve))
      stream.destroy()
    }
    assert.equal(clients.length, 2)
    // What they close over is not seen otherwise.
    for (const client of clients) assert.deepEqual((client as EventEmitter).eventNames(), [])
    const kept = inspect(clients, { depth: 9, showHidden: true })
    assert.doesNotMatch(kept, /secret|Socket \{/)
  })

  it('wants another user or password: with a cause, as it would say so again', async () => {
    await using proxy = await SocksProxy.start({ login: 'user:other' })
    const error = await refusal(ask(proxy.port, { host: 'a.example', port: 1 }, 'user:secret@'))
    assert.match(String(error.cause), /^Error: Socks5 Authentication failed$/i)
    await using closed = await SocksProxy.start({ status: 5 })
    assert.equal((await refusal(ask(closed.port, { host: 'a.example', port: 1 }))).cause, undefined)
  })

  it('is given up with the signal', async () => {
    const server = createServer((socket) => void socket.on('error', () => {})).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const controller = new AbortController()
    const [connected] = [once(server, 'connection')]
    const asked = ask(port, { host: 'a.example', port: 1 }, '', controller.signal)
    const [socket] = (await connected) as [Socket]
    await once(socket, 'data')
    controller.abort(boom)
    await assert.rejects(asked, boom)
    server.close()
    await once(server, 'close')
  })
})

describe('loadSocks', () => {
  it('loads the package', async () => {
    assert.equal(typeof (await loadSocks()).SocksClient, 'function')
  })

  it('says what to install', async () => {
    const cause = Object.assign(new Error("Cannot find package 'socks'"), { code: 'ERR_MODULE_NOT_FOUND' })
    await assert.rejects(
      loadSocks(() => Promise.reject(cause)),
      (error) => {
        assert.ok(error instanceof HandshakeError && error.cause === cause)
        assert.match(error.message, /npm install socks$/)
        return error.code === 'ERR_WS_PROXY'
      },
    )
  })
})
