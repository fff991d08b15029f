import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { type AddressInfo, createServer, type LookupFunction, connect as netConnect, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Duplex, PassThrough } from 'node:stream'
import { after, describe, it } from 'node:test'
import { assertNoLeaks } from '../../test/leaks.ts'
import { failure } from '../../test/support/failure.ts'
import { UsageError } from '../session/errors.ts'
import { type ConnectHook, type ConnectOptions, type ConnectTarget, connectStream } from './connect-stream.ts'

after(() => assertNoLeaks())

const { signal: never } = new AbortController()
const boom = new Error('boom')

/** A TCP server that closes what connects, and tells from where. */
async function listening(
  where: { readonly port: number; readonly host: string } | { readonly path: string },
): Promise<{
  readonly port: number
  readonly from: (string | undefined)[]
  [Symbol.asyncDispose](): Promise<void>
}> {
  const from: (string | undefined)[] = []
  const server = createServer((socket) => {
    from.push(socket.remoteAddress)
    socket.on('error', () => {})
    socket.end()
  }).listen(where)
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    from,
    async [Symbol.asyncDispose]() {
      server.close()
      await once(server, 'close')
    },
  }
}

const local = (): ReturnType<typeof listening> => listening({ port: 0, host: '127.0.0.1' })

/** A port where nobody listens. */
async function freePort(): Promise<number> {
  await using server = await local()
  return server.port
}

function open(
  target: Partial<ConnectTarget>,
  options: Partial<ConnectOptions> = {},
  signal: AbortSignal = never,
): Promise<Duplex> {
  return connectStream(
    { host: '127.0.0.1', port: 1, socketPath: undefined, secure: false, proxy: false, ...target },
    { connect: undefined, lookup: undefined, localAddress: undefined, ...options },
    (cause) => new Error('in words', { cause }),
    signal,
  )
}

/** As `once`, but an error before it is of no interest. */
function closed(stream: Duplex): Promise<void> {
  return new Promise((resolve) => stream.once('close', resolve))
}

describe('connectStream, TCP', () => {
  it('connects to an address, and to a name', async () => {
    await using server = await local()
    for (const host of ['127.0.0.1', 'localhost']) {
      const stream = await open({ host, port: server.port })
      assert.ok(stream instanceof Socket && !stream.connecting)
      stream.destroy()
    }
  })

  const addresses = (...found: string[]): LookupFunction => {
    return (_host, options, done) => {
      assert.equal(options.all, true)
      done(
        null,
        found.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
      )
    }
  }

  it('tries every address of a name', async () => {
    await using server = await local()
    for (const found of [
      ['::1', '127.0.0.1'],
      ['127.0.0.1', '::1'],
      ['127.0.0.2', '::1', '127.0.0.1'],
    ]) {
      const stream = await open({ host: 'a.example', port: server.port }, { lookup: addresses(...found) })
      assert.equal((stream as Socket).remoteAddress, '127.0.0.1')
      stream.destroy()
    }
  })

  it('tries every address whatever the default of the process is', async () => {
    const net = await import('node:net')
    const before = net.getDefaultAutoSelectFamily()
    net.setDefaultAutoSelectFamily(false)
    try {
      await using server = await local()
      const lookup = addresses('::1', '127.0.0.1')
      ;(await open({ host: 'a.example', port: server.port }, { lookup })).destroy()
    } finally {
      net.setDefaultAutoSelectFamily(before)
    }
  })

  it('fails with all that was tried', async () => {
    const port = await freePort()
    const error = await failure(open({ host: 'a.example', port }, { lookup: addresses('::1', '127.0.0.1') }))
    assert.ok(error instanceof AggregateError)
    assert.deepEqual(
      error.errors.map(({ address }) => address),
      ['::1', '127.0.0.1'],
    )
  })

  it('fails as the look-up does', async () => {
    const lookup: LookupFunction = (_host, _options, done) => done(boom, [])
    assert.equal(await failure(open({ host: 'a.example' }, { lookup })), boom)
  })

  it('comes from the address that it is told to', async () => {
    await using server = await local()
    for (const host of ['127.0.0.1', 'localhost']) {
      const stream = await open({ host, port: server.port }, { localAddress: '127.0.0.3' })
      assert.equal((stream as Socket).localAddress, '127.0.0.3')
      stream.destroy()
    }
    assert.deepEqual(server.from, ['127.0.0.3', '127.0.0.3'])
    const families: unknown[] = []
    const lookup: LookupFunction = (_host, { family }, done) => {
      families.push(family)
      done(boom, [])
    }
    for (const localAddress of ['127.0.0.3', '::1'])
      assert.equal(await failure(open({ host: 'a.example' }, { lookup, localAddress })), boom)
    assert.deepEqual(families, [4, 6])
    const error = await failure(open({ port: server.port }, { localAddress: '192.0.2.1' }))
    assert.equal(error.code, 'EADDRNOTAVAIL')
  })

  it('is given up with the signal', async () => {
    await using server = await local()
    const controller = new AbortController()
    const opened = open({ port: server.port }, {}, controller.signal)
    controller.abort(boom)
    assert.equal(await failure(opened), boom)
    const lookup: LookupFunction = () => {}
    const second = new AbortController()
    const asking = open({ host: 'a.example' }, { lookup }, second.signal)
    second.abort(boom)
    assert.equal(await failure(asking), boom)
  })
})

describe('connectStream, unix sockets', () => {
  it('connects to a path, and says which there is none', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'silverback-'))
    const socketPath = join(folder, 'a b:c.sock')
    {
      await using _server = await listening({ path: socketPath })
      ;(await open({ socketPath })).destroy()
    }
    assert.equal((await failure(open({ socketPath }))).code, 'ENOENT')
    await rm(folder, { recursive: true })
  })
})

describe('connectStream, the connect hook', () => {
  it('is told whom to reach, and its stream is taken as it is', async () => {
    const told: ConnectTarget[] = []
    const stream = new PassThrough()
    const given = await open(
      { host: 'a.example', port: 7, secure: true },
      {
        connect(target) {
          told.push(target)
          return stream
        },
      },
    )
    assert.equal(given, stream)
    assert.deepEqual(told, [
      { host: 'a.example', port: 7, socketPath: undefined, secure: true, proxy: false, signal: never },
    ])
    stream.destroy(boom)
    await closed(stream)
  })

  it('may give a stream that is paused', async () => {
    const stream = new PassThrough()
    stream.pause()
    const given = await open({}, { connect: () => stream })
    const heard = once(given, 'data')
    stream.write('x')
    assert.equal(String(await heard), 'x')
  })

  it('may give a promise, and a socket that is still connecting', async () => {
    await using server = await local()
    const connect = (): Socket => netConnect(server.port, '127.0.0.1')
    for (const hook of [connect, async () => connect()]) {
      const stream = await open({}, { connect: hook })
      assert.ok(stream instanceof Socket && !stream.connecting)
      stream.destroy()
    }
  })

  const failing: [name: string, connect: ConnectHook, cause: unknown][] = [
    ['throws', () => assert.fail(boom), boom],
    ['rejects', () => Promise.reject(boom), boom],
    ['rejects with what is no error', () => Promise.reject('no'), 'no'],
    ['throws an error of ours', () => assert.fail(new UsageError('ERR_WS_INVALID_OPTION', 'x')), undefined],
  ]
  for (const [name, connect, cause] of failing) {
    it(`that ${name}: in words, with the cause`, async () => {
      const error = await failure(open({}, { connect }))
      assert.equal(error.message, 'in words')
      if (cause !== undefined) assert.equal(error.cause, cause)
      else assert.ok(error.cause instanceof UsageError)
    })
  }

  it('that gives a socket which cannot connect, or is gone', async () => {
    const port = await freePort()
    assert.equal(
      (await failure(open({}, { connect: () => netConnect(port, '127.0.0.1') }))).code,
      'ECONNREFUSED',
    )
    assert.equal((await failure(open({}, { connect: () => netConnect('/nowhere') }))).code, 'ENOENT')
    const destroyed = new PassThrough()
    destroyed.destroy()
    assert.equal((await failure(open({}, { connect: () => destroyed }))).code, 'ECONNRESET')
    const broken = new PassThrough().on('error', () => {})
    broken.destroy(boom)
    assert.equal(await failure(open({}, { connect: () => broken })), boom)
  })

  it('that gives no stream is a mistake', async () => {
    for (const given of [undefined, null, {}, 'x', Promise.resolve(5), new WritableStream()]) {
      const error = await failure(open({}, { connect: () => given as Duplex }))
      assert.ok(error instanceof UsageError)
      assert.match(error.message, /^connect must give a Duplex stream/)
    }
  })

  it('that gives a stream of anything but bytes is a mistake, and the stream is destroyed', async () => {
    for (const given of [
      new PassThrough().setEncoding('utf8'),
      new PassThrough({ readableObjectMode: true }),
      new PassThrough({ encoding: 'latin1' }),
    ]) {
      const error = await failure(open({}, { connect: () => Promise.resolve(given) }))
      assert.ok(error instanceof UsageError)
      assert.match(error.message, /^connect must give a stream of bytes/)
      assert.equal(given.destroyed, true)
    }
  })

  it('is given up with the signal; what comes too late is destroyed, and its errors are of no interest', async () => {
    const controller = new AbortController()
    let give: (stream: Duplex) => void = () => {}
    let told: AbortSignal | undefined
    const opened = open(
      {},
      {
        connect: ({ signal }) => {
          told = signal
          return new Promise<Duplex>((resolve) => {
            give = resolve
          })
        },
      },
      controller.signal,
    )
    controller.abort(boom)
    assert.equal(await failure(opened), boom)
    assert.equal(told?.aborted, true)
    const late = new Duplex({ destroy: (_error, done) => done(boom) })
    give(late)
    await closed(late)
    assert.equal(late.errored, boom)
  })

  it('that throws because of the abort: the reason', async () => {
    const controller = new AbortController()
    const connect: ConnectHook = () => {
      controller.abort(boom)
      throw new Error('aborted')
    }
    assert.equal(await failure(open({}, { connect }, controller.signal)), boom)
  })
})
