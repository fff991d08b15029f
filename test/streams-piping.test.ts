// Connections piped through what Node has: sockets, files, processes, zlib, Web streams, in both directions.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createReadStream, createWriteStream } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, connect, createServer, type Server as NetServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Duplex, Readable, type Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { CompressionStream, DecompressionStream } from 'node:stream/web'
import { after, before, describe, it } from 'node:test'
import { createGunzip, createGzip } from 'node:zlib'
import { CloseError, type Conn, dial, joinMessages, serve, toDuplex, toWebStreams } from 'silverback'
import { assertNoLeaks } from './leaks.ts'
import { type ConnectedPair, connectedPair } from './support/connected-pair.ts'

after(() => assertNoLeaks())

const MiB = 1024 * 1024
const limits = { maxStreamSize: 256 * MiB }

let folder = ''
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'silverback-streams-'))
})
after(() => rm(folder, { recursive: true, force: true }))

function pair(compression = false): Promise<ConnectedPair> {
  return connectedPair({ server: { limits, compression, onError() {} }, client: { limits, compression } })
}

const hashOf = (data: Uint8Array): string => createHash('sha256').update(data).digest('hex')

/** A TCP service; what it does with each connection is the test's affair. */
async function tcpServer(onConnection: (socket: Socket) => void): Promise<NetServer & AsyncDisposable> {
  const sockets = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => {})
    onConnection(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return Object.assign(server, {
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  })
}

const portOf = (server: NetServer): number => (server.address() as AddressInfo).port

/** A WebSocket server in front of a TCP service, as websockify is. */
async function bridge(port: number): Promise<{ url: string; ends: unknown[] } & AsyncDisposable> {
  const ends: unknown[] = []
  const server = await serve({ limits, onError() {} }, async (conn) => {
    const service = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    try {
      await pipeline(service, toDuplex(conn, { allowHalfOpen: true }), service)
      ends.push('in order')
    } catch (error) {
      ends.push(error)
    }
  })
  return { url: server.url, ends, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() }
}

describe('a TCP service behind a WebSocket', () => {
  it('answers through it, and megabytes both ways keep their bytes', async () => {
    await using service = await tcpServer((socket) => socket.pipe(socket))
    await using proxy = await bridge(portOf(service))
    const conn = await dial(proxy.url, { limits })
    const data = randomBytes(16 * MiB)
    const echo = createHash('sha256')
    const stream = toDuplex(conn)
    const reading = (async () => {
      let length = 0
      for await (const chunk of stream.iterator({ destroyOnReturn: false })) {
        echo.update(chunk as Buffer)
        length += (chunk as Buffer).length
        if (length === data.length) break
      }
    })()
    await pipeline(Readable.from(chunksOf(data, 100_000)), stream, { end: false })
    await reading
    assert.equal(echo.digest('hex'), hashOf(data))
    // Else nobody would read that nothing follows.
    stream.resume().end()
    await once(stream, 'close')
    assert.equal((await conn.closed).code, 1000)
  })

  it('gets all that was said before the WebSocket was closed, however slowly it reads', async () => {
    const data = randomBytes(16 * MiB)
    let got: Promise<string> | undefined
    await using service = await tcpServer((socket) => {
      got = (async () => {
        const hash = createHash('sha256')
        // It goes on talking all the while, as nobody has told it not to.
        const talk = setInterval(() => socket.write('x'.repeat(10_000)), 1)
        for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
          hash.update(chunk as Buffer)
          await new Promise((resolve) => setImmediate(resolve))
        }
        clearInterval(talk)
        socket.end()
        return hash.digest('hex')
      })()
    })
    await using proxy = await bridge(portOf(service))
    const conn = await dial(proxy.url, { limits: { ...limits, closeTimeout: 60_000 } })
    conn.onMessage(() => {})
    for (const chunk of chunksOf(data, 100_000)) if (!conn.send(chunk)) await conn.drained()
    await conn.close()
    assert.equal(await got, hashOf(data))
    await settled(proxy.ends)
    assert.deepEqual(proxy.ends, ['in order'])
  })

  it('ends the WebSocket with 1000 when it ends, behind all it has said', async () => {
    const data = randomBytes(8 * MiB)
    await using service = await tcpServer((socket) => {
      socket.resume()
      socket.end(data)
    })
    await using proxy = await bridge(portOf(service))
    const conn = await dial(proxy.url, { limits })
    const hash = createHash('sha256')
    for await (const chunk of joinMessages(conn)) hash.update(chunk as Buffer)
    assert.equal(hash.digest('hex'), hashOf(data))
    assert.equal((await conn.closed).code, 1000)
    await settled(proxy.ends)
    assert.deepEqual(proxy.ends, ['in order'])
  })

  it('ends it with 1011 when it breaks off, and is itself broken off when the WebSocket is', async () => {
    let socket: Socket | undefined
    await using service = await tcpServer((accepted) => {
      socket = accepted
      accepted.write('hello')
    })
    await using proxy = await bridge(portOf(service))
    const first = await dial(proxy.url)
    await first.read()
    socket?.resetAndDestroy()
    assert.equal((await first.closed).code, 1011)

    const second = await dial(proxy.url)
    await second.read()
    const gone = once(socket as Socket, 'end')
    socket?.resume()
    second.terminate()
    await gone
    await settled(proxy.ends, 2)
    assert.ok(proxy.ends[1] instanceof CloseError)
  })
})

describe('a file', () => {
  it('is sent and received, as one message and as many, compressed and not', async () => {
    const data = Buffer.concat([randomBytes(3 * MiB), Buffer.alloc(5 * MiB, 'all the same ')])
    const [source, copy] = [join(folder, 'source'), join(folder, 'copy')]
    await writeFile(source, data)
    const ways: ((conn: Conn) => Promise<unknown>)[] = [
      (conn) => pipeline(createReadStream(source), toDuplex(conn)),
      (conn) => Readable.toWeb(createReadStream(source)).pipeTo(toWebStreams(conn).writable),
      async (conn) => {
        await Readable.toWeb(createReadStream(source)).pipeTo(conn.writeStream().writable)
        await conn.close()
      },
    ]
    for (const compression of [false, true]) {
      for (const send of ways) {
        await using ends = await pair(compression)
        await Promise.all([send(ends.client), pipeline(joinMessages(ends.server), createWriteStream(copy))])
        assert.equal(hashOf(await readFile(copy)), hashOf(data))
        assert.equal((await ends.client.closed).code, 1000)
      }
    }
  })

  it('that is not there closes the connection with 1011', async () => {
    await using ends = await pair()
    await assert.rejects(pipeline(createReadStream(join(folder, 'nothing')), toDuplex(ends.client)), {
      code: 'ENOENT',
    })
    assert.equal((await ends.server.closed).code, 1011)
  })

  it('of text keeps its characters in text messages', async () => {
    const text = 'a€😀'.repeat(50_000)
    const source = join(folder, 'text')
    await writeFile(source, text)
    await using ends = await pair()
    const sending = pipeline(
      createReadStream(source, { highWaterMark: 1001 }),
      toDuplex(ends.client, { type: 'text' }),
    )
    let got = ''
    for await (const message of ends.server) {
      assert.equal(typeof message, 'string')
      got += message
    }
    await sending
    assert.ok(got === text)
  })

  it('that cannot be written closes the connection with 1011, also while nothing comes', async () => {
    await using ends = await pair()
    await assert.rejects(pipeline(toDuplex(ends.server), createWriteStream(join(folder, 'no', 'folder'))), {
      code: 'ENOENT',
    })
    assert.equal((await ends.client.closed).code, 1011)
  })
})

describe('a process', { skip: process.platform === 'win32' ? 'no cat' : false }, () => {
  /** The messages go to its input, its output goes into messages. */
  async function run(conn: Conn, script: string): Promise<unknown> {
    const child = spawn('sh', ['-c', script], { stdio: ['pipe', 'pipe', 'inherit'] })
    const exit = once(child, 'exit')
    const stream = toDuplex(conn, { type: 'text', allowHalfOpen: true })
    // It may end without having read everything.
    child.stdin.on('error', () => {})
    stream.pipe(child.stdin)
    const result = await pipeline(child.stdout, stream).catch((error: unknown) => error)
    child.kill()
    await exit
    return result
  }

  it('reads and writes the messages, until the client closes', async () => {
    await using ends = await pair()
    const running = run(ends.server, 'cat; echo bye')
    ends.client.send('héllo')
    assert.equal(await ends.client.read(), 'héllo')
    assert.equal((await ends.client.close()).wasClean, true)
    assert.equal(await running, undefined)
  })

  it('that ends by itself closes with 1000 behind its output, whatever still comes in', async () => {
    for (const busy of [false, true]) {
      await using ends = await pair()
      const { client } = ends
      client.send('abc')
      const talk = busy ? setInterval(() => client.send('x'.repeat(10_000)), 0) : undefined
      const running = run(ends.server, 'head -c 3; echo bye')
      let output = ''
      for await (const chunk of joinMessages(client)) output += chunk
      clearInterval(talk)
      assert.equal(output, 'abcbye\n')
      assert.equal((await client.closed).code, 1000)
      assert.equal(await running, undefined)
    }
  })

  it('is ended when the connection is lost', async () => {
    await using ends = await pair()
    const running = run(ends.server, 'cat')
    ends.client.send('hello')
    await ends.client.read()
    ends.client.terminate()
    assert.ok((await running) instanceof CloseError)
  })

  it('is held back by a client that does not read, and loses nothing', async () => {
    await using ends = await pair()
    const child = spawn('head', ['-c', String(32 * MiB), '/dev/zero'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const sending = pipeline(child.stdout, toDuplex(ends.server))
    for (let i = 0; i < 200; i++) await new Promise((resolve) => setImmediate(resolve))
    assert.equal(child.exitCode, null)
    assert.ok(ends.server.bufferedAmount < MiB)
    let length = 0
    for await (const chunk of joinMessages(ends.client)) length += (chunk as Buffer).length
    assert.equal(length, 32 * MiB)
    await sending
    if (child.exitCode === null) await once(child, 'exit')
  })
})

describe('zlib', () => {
  it('compresses on one side and inflates on the other, with Node streams and Web streams', async () => {
    const text = Buffer.from('so that it goes on and on, '.repeat(200_000))
    const ways: [string, (conn: Conn) => Promise<unknown>][] = [
      ['node', (conn) => pipeline(Readable.from(chunksOf(text, 50_000)), createGzip(), toDuplex(conn))],
      [
        'web',
        (conn) =>
          Readable.toWeb(Readable.from(chunksOf(text, 50_000), { objectMode: false }))
            .pipeThrough(new CompressionStream('gzip'))
            .pipeTo(toWebStreams(conn).writable),
      ],
    ]
    for (const [name, send] of ways) {
      for (const receive of ['node', 'web']) {
        await using ends = await pair()
        const sending = send(ends.client)
        const chunks: Uint8Array[] = []
        if (receive === 'node') {
          await pipeline(
            joinMessages(ends.server),
            createGunzip(),
            async (inflated: AsyncIterable<Buffer>) => {
              for await (const chunk of inflated) chunks.push(chunk)
            },
          )
        } else {
          const { readable } = toWebStreams(ends.server)
          for await (const chunk of readable.pipeThrough(new DecompressionStream('gzip')))
            chunks.push(chunk as Uint8Array)
        }
        await sending
        assert.ok(Buffer.concat(chunks).equals(text), `${name} to ${receive}`)
      }
    }
  })
})

describe('an echo', () => {
  const echoes: [string, (conn: Conn) => Promise<unknown>][] = [
    ['a Duplex piped into itself', (conn) => pipelineOfOne(toDuplex(conn))],
    [
      'Web streams piped into each other',
      (conn) => {
        const { readable, writable } = toWebStreams(conn)
        return readable.pipeTo(writable)
      },
    ],
    ['Duplex.toWeb', (conn) => pipeWeb(Duplex.toWeb(toDuplex(conn)))],
    ['Duplex.fromWeb', (conn) => pipelineOfOne(Duplex.fromWeb(toWebStreams(conn)))],
    [
      'each message into a stream of its own',
      async (conn) => {
        for await (const message of conn.streams())
          await message.readable.pipeTo(conn.writeStream(message.type).writable)
      },
    ],
  ]
  for (const [name, echo] of echoes) {
    it(`by ${name} returns every byte, and ends in order`, async () => {
      const errors: unknown[] = []
      await using server = await serve({ limits, onError: (error) => errors.push(error) }, async (conn) => {
        await echo(conn)
      })
      const conn = await dial(server.url, { limits })
      const data = randomBytes(8 * MiB)
      const sending = (async () => {
        for (const chunk of chunksOf(data, 70_000)) if (!conn.send(chunk)) await conn.drained()
      })()
      const hash = createHash('sha256')
      let length = 0
      for await (const chunk of joinMessages(conn)) {
        hash.update(chunk as Buffer)
        length += (chunk as Buffer).length
        if (length === data.length) break
      }
      await sending
      assert.equal(hash.digest('hex'), hashOf(data))
      const { wasClean, code } = await conn.close()
      assert.deepEqual([wasClean, code], [true, 1000])
      assert.deepEqual(errors, [])
    })
  }
})

function* chunksOf(data: Buffer, size: number): Generator<Buffer> {
  for (let at = 0; at < data.length; at += size) yield data.subarray(at, at + size)
}

function pipelineOfOne(stream: Readable & Writable): Promise<void> {
  return pipeline(stream, stream)
}

function pipeWeb({ readable, writable }: ReturnType<typeof Duplex.toWeb>): Promise<void> {
  return readable.pipeTo(writable)
}

/** Waits until so many handlers have ended. */
async function settled(ends: unknown[], count = 1): Promise<void> {
  while (ends.length < count) await new Promise((resolve) => setImmediate(resolve))
}
