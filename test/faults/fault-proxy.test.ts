import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { after, describe, it } from 'node:test'
import { assertNoLeaks } from '../leaks.ts'
import { type FaultKind, type FaultPlan, FaultProxy } from '../support/fault-proxy.ts'
import { until as waitUntil } from '../support/until.ts'

after(() => assertNoLeaks())

/** One end of a connection, and all that happened to it. */
class End {
  readonly socket: Socket
  received = ''
  chunks = 0
  readonly events: string[] = []

  constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (chunk: Buffer) => {
      this.received += chunk.toString('latin1')
      this.chunks++
    })
    socket.on('end', () => this.events.push('end'))
    socket.on('error', (error: NodeJS.ErrnoException) => this.events.push(error.code ?? 'error'))
    socket.on('close', () => this.events.push('close'))
  }
}

interface Line extends AsyncDisposable {
  readonly client: End
  readonly server: End
  readonly proxy: FaultProxy
}

/** A client and a server that are connected through a proxy. */
async function line(plan: FaultPlan): Promise<Line> {
  const listener = createServer({ allowHalfOpen: true })
  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const proxy = await FaultProxy.start((listener.address() as AddressInfo).port, () => plan)
  const accepted = once(listener, 'connection') as Promise<[Socket]>
  const client = new End(connect({ port: proxy.port, host: '127.0.0.1', allowHalfOpen: true }))
  const server = new End((await accepted)[0])
  return {
    client,
    server,
    proxy,
    async [Symbol.asyncDispose]() {
      client.socket.destroy()
      server.socket.destroy()
      await proxy[Symbol.asyncDispose]()
      await new Promise((resolve) => listener.close(resolve))
    },
  }
}

const until = (condition: () => boolean): Promise<void> => waitUntil(condition, condition.toString())

const text = 'abcdefghijklmnopqrstuvwxyz'

describe('the fault proxy', () => {
  it('passes bytes and ends as they are, both ways, where nothing else is planned', async () => {
    await using both = await line({})
    both.client.socket.end(text)
    both.server.socket.write('answer')
    await until(() => both.server.events.includes('end') && both.client.received === 'answer')
    assert.equal(both.server.received, text)
    both.server.socket.end(' and more')
    await until(() => both.client.events.includes('close') && both.server.events.includes('close'))
    assert.equal(both.client.received, 'answer and more')
    await until(() => both.proxy.open === 0)
  })

  it('passes a great many bytes unchanged, and holds back who sends faster than the other reads', async () => {
    await using both = await line({})
    both.server.socket.pause()
    const block = Buffer.alloc(64 * 1024, text)
    let written = 0
    while (both.client.socket.writableLength < 1024 * 1024) {
      both.client.socket.write(block)
      written += block.length
      await new Promise(setImmediate)
    }
    both.client.socket.end()
    both.server.socket.resume()
    await until(() => both.server.events.includes('end'))
    assert.equal(both.server.received.length, written)
    assert.ok(both.server.received === block.toString('latin1').repeat(written / block.length))
  })

  it('passes the reset of one end to the other', async () => {
    await using both = await line({})
    both.client.socket.write('x')
    await until(() => both.server.received === 'x')
    both.client.socket.resetAndDestroy()
    await until(() => both.server.events.includes('close'))
    assert.deepEqual(both.server.events, ['ECONNRESET', 'close'])
  })

  it('cuts into pieces, down to single bytes', async () => {
    await using both = await line({ toServer: { pieces: 1, delay: 1 } })
    both.client.socket.end(text)
    await until(() => both.server.events.includes('end'))
    assert.equal(both.server.received, text)
    assert.ok(both.server.chunks > 10, `${both.server.chunks} chunks`)
  })

  const ends: Record<string, readonly [client: string[], server: string[]]> = {
    reset: [
      ['ECONNRESET', 'close'],
      ['ECONNRESET', 'close'],
    ],
    resetClient: [['ECONNRESET', 'close'], ['end']],
    resetServer: [['end'], ['ECONNRESET', 'close']],
    cut: [['end'], ['end']],
    end: [[], ['end']],
    stall: [[], []],
    stallBoth: [[], []],
    vanish: [[], []],
  }
  for (const [kind, [client, server]] of Object.entries(ends)) {
    it(`at a byte: ${kind}, behind exactly the bytes before it`, async () => {
      const plan: FaultPlan = {
        faults: [{ kind: kind as FaultKind, direction: 'toServer', atByte: 10 }],
        // One after the other: a reset throws away what the other end has not read.
        toServer: { pieces: 10, delay: 20 },
      }
      await using both = await line(plan)
      both.client.socket.write(text)
      await until(() => both.server.received.length === 10)
      const expected = JSON.stringify([client, server])
      // libuv tells an RST that is found together with the bytes before it as an end.
      const withBytes = JSON.stringify([client, ['end']])
      const now = (): string => JSON.stringify([both.client.events, both.server.events])
      await waitUntil(
        () => now() === expected || (kind.startsWith('reset') && now() === withBytes),
        `${expected}, not ${now()}`,
      )
      // The other direction: only `end` and `stall` leave it as it was.
      if (!both.server.socket.destroyed) both.server.socket.write('answer')
      if (kind === 'end' || kind === 'stall') await until(() => both.client.received === 'answer')
      else {
        await new Promise((resolve) => setTimeout(resolve, 50))
        assert.equal(both.client.received, '')
      }
      assert.equal(both.server.received, text.slice(0, 10))
    })
  }

  for (const kind of ['reset', 'resetClient', 'resetServer', 'cut'] as const) {
    it(`at a time: ${kind}`, async () => {
      await using both = await line({ faults: [{ kind, direction: 'toServer', atTime: 30 }] })
      const expected = JSON.stringify(ends[kind])
      const now = (): string => JSON.stringify([both.client.events, both.server.events])
      await waitUntil(() => now() === expected, `${expected}, not ${now()}`)
    })
  }

  it('a stall of some time loses nothing, and holds the end back too', async () => {
    await using both = await line({
      faults: [{ kind: 'stall', direction: 'toServer', atByte: 5, for: 60 }],
    })
    both.client.socket.end(text)
    await until(() => both.server.received.length === 5)
    assert.deepEqual(both.server.events, [])
    await until(() => both.server.events.includes('end'))
    assert.equal(both.server.received, text)
  })

  it('what has vanished is not told that the other end is gone', async () => {
    await using both = await line({ faults: [{ kind: 'vanish', direction: 'toServer', atByte: 3 }] })
    both.client.socket.write('abc')
    await until(() => both.server.received === 'abc')
    both.client.socket.resetAndDestroy()
    await once(both.client.socket, 'close')
    both.server.socket.write('is anybody there?')
    await new Promise((resolve) => setTimeout(resolve, 50))
    assert.deepEqual(both.server.events, [])
    assert.equal(both.proxy.open, 1)
  })

  it('an end that comes early overtakes the bytes before it', async () => {
    await using both = await line({ toServer: { pieces: 5, delay: 30, close: 'early' } })
    both.client.socket.end(text)
    await until(() => both.server.events.includes('end'))
    assert.ok(both.server.received.length < text.length)
    assert.ok(text.startsWith(both.server.received))
  })

  it('an end that comes late leaves the bytes where they were', async () => {
    await using both = await line({ toServer: { close: { late: 60 } } })
    both.client.socket.end(text)
    await until(() => both.server.received === text)
    assert.deepEqual(both.server.events, [])
    await until(() => both.server.events.includes('end'))
  })

  it('a server that is not there is told as a reset', async () => {
    const listener = createServer().listen(0, '127.0.0.1')
    await once(listener, 'listening')
    const { port } = listener.address() as AddressInfo
    await new Promise((resolve) => listener.close(resolve))
    await using proxy = await FaultProxy.start(port, () => ({}))
    const client = new End(connect(proxy.port, '127.0.0.1'))
    await until(() => client.events.includes('close'))
    assert.deepEqual(client.events, ['ECONNRESET', 'close'])
  })

  it('plans by number, and ends what is left when it is disposed of', async () => {
    const numbers: number[] = []
    const listener = createServer().listen(0, '127.0.0.1')
    await once(listener, 'listening')
    const proxy = await FaultProxy.start((listener.address() as AddressInfo).port, (index) => {
      numbers.push(index)
      return { faults: [{ kind: 'stallBoth', direction: 'toServer', atTime: 0 }] }
    })
    const sockets = [connect(proxy.port, '127.0.0.1'), connect(proxy.port, '127.0.0.1')]
    for (const socket of sockets) socket.on('error', () => {})
    await until(() => proxy.open === 2)
    await proxy[Symbol.asyncDispose]()
    await until(() => sockets.every(({ closed }) => closed))
    assert.deepEqual([numbers, proxy.open, proxy.accepted], [[0, 1], 0, 2])
    listener.close()
    await once(listener, 'close')
  })
})
