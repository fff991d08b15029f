import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, describe, it } from 'node:test'
import { assertNoLeaks } from '../../test/leaks.ts'
import { FakeClock } from './fake-clock.ts'
import { type MemorySocket, type MemoryWire, memoryWire, type WireOptions } from './memory-socket.ts'

after(() => assertNoLeaks())

const KiB = 1024

interface Wire extends MemoryWire {
  readonly clock: FakeClock
}

function connect(options: Partial<WireOptions> = {}): Wire {
  const clock = new FakeClock()
  const wire = memoryWire({ clock, latency: 0, chunkSize: 64 * KiB, capacity: 64 * KiB, ...options })
  return { clock, ...wire }
}

/** What a socket hears, as it hears it; `error` and `close` too. */
function listen(socket: MemorySocket): string[] {
  const heard: string[] = []
  socket.on('data', (chunk: Buffer) => heard.push(chunk.toString()))
  socket.on('end', () => heard.push('<end>'))
  socket.on('error', (error: NodeJS.ErrnoException) => heard.push(`<${error.code}>`))
  socket.on('close', () => heard.push('<close>'))
  return heard
}

describe('MemorySocket', () => {
  it('carries bytes both ways, each read in a turn of its own, never in the turn of the write', async () => {
    const { client, server, clock } = connect()
    const [up, down] = [listen(server), listen(client)]
    client.write('a')
    client.write('b')
    server.write('c')
    assert.deepEqual([up, down], [[], []])
    await clock.settle()
    assert.deepEqual([up.join(''), down], ['ab', ['c']])
    assert.equal(client.writableLength, 0)
  })

  it('copies what is written: the writer may use its memory again', async () => {
    const { client, server, clock } = connect()
    const heard = listen(server)
    const bytes = Buffer.from('before')
    client.write(bytes)
    client.cork()
    client.write(bytes)
    client.write(bytes)
    client.uncork()
    bytes.fill('x')
    await clock.settle()
    assert.equal(heard.join(''), 'beforebeforebefore')
  })

  it('cuts the stream into chunks', async () => {
    const { client, server, clock } = connect({ chunkSize: 2 })
    const heard = listen(server)
    client.write('abc')
    client.end('de')
    await clock.settle()
    assert.deepEqual(heard, ['ab', 'cd', 'e', '<end>'])
  })

  it('takes no more than the wire holds until the other end reads', async () => {
    const { client, server, clock } = connect({ capacity: 10 })
    client.write('0123456789')
    assert.equal(client.writableLength, 0)
    client.write('abc')
    await clock.settle()
    assert.equal(client.writableLength, 3)
    const heard = listen(server)
    await clock.settle()
    assert.deepEqual([heard.join(''), client.writableLength], ['0123456789abc', 0])
  })

  it('tells the writer when all that it wrote has found room, and not before', async () => {
    const { client, server, clock } = connect({ capacity: 4, chunkSize: 2 })
    client.write('0123456789')
    const waiting: number[] = []
    server.on('data', () => waiting.push(client.writableLength))
    await clock.settle()
    assert.deepEqual(waiting, [10, 10, 10, 0, 0])
  })

  it('a stalled end takes as much as the wire holds, and goes on where it was', async () => {
    const { client, server, clock } = connect({ capacity: 4 })
    const heard = listen(server)
    server.stalled = true
    client.write('abcdef')
    await clock.settle()
    assert.deepEqual([heard, client.writableLength], [[], 6])
    server.stalled = false
    // Back before the turn is over.
    server.stalled = true
    await clock.settle()
    assert.deepEqual(heard, [])
    server.stalled = false
    await clock.settle()
    assert.deepEqual([heard.join(''), client.writableLength], ['abcdef', 0])
  })

  it('is slow where that is wanted', async () => {
    const { client, server, clock } = connect({ latency: 20 })
    const heard = listen(server)
    client.write('a')
    await clock.advance(10)
    client.end('b')
    await clock.advance(9)
    assert.deepEqual(heard, [])
    await clock.advance(1)
    assert.deepEqual(heard, ['a'])
    await clock.advance(10)
    assert.deepEqual(heard, ['a', 'b', '<end>'])
    assert.equal(clock.pending, 0)
  })

  it('ends each half on its own', async () => {
    const { client, server, clock } = connect()
    const [up, down] = [listen(server), listen(client)]
    client.end('last')
    await clock.settle()
    server.write('still here')
    await clock.settle()
    assert.deepEqual([up, down], [['last', '<end>'], ['still here']])
    server.end()
    await Promise.all([once(client, 'close'), once(server, 'close')])
    assert.deepEqual(
      [up, down],
      [
        ['last', '<end>', '<close>'],
        ['still here', '<end>', '<close>'],
      ],
    )
  })

  it('delivers what the wire has when the sender hangs up, and loses what it has not', async () => {
    const { client, server, clock } = connect({ capacity: 4 })
    server.stalled = true
    client.write('abcdef')
    client.destroy()
    await clock.settle()
    const heard = listen(server)
    server.stalled = false
    await clock.settle()
    assert.deepEqual(heard, ['abcd', '<end>'])
  })

  it('loses whole writes, too', async () => {
    const { client, server, clock } = connect({ capacity: 3 })
    server.stalled = true
    client.write('abc')
    client.write('def')
    client.destroy()
    const heard = listen(server)
    server.stalled = false
    await clock.settle()
    assert.deepEqual(heard, ['abc', '<end>'])
  })

  it('resets the connection when it is dropped with bytes unread', async () => {
    const { client, server, clock } = connect()
    const heard = listen(client)
    client.write('never read')
    await clock.settle()
    server.destroy()
    await clock.settle()
    assert.deepEqual(heard, ['<ECONNRESET>', '<close>'])
  })

  it('resets who writes to an end that is gone', async () => {
    const { client, server, clock } = connect()
    const heard = listen(client)
    server.destroy()
    await clock.settle()
    assert.deepEqual(heard, ['<end>'])
    client.write('anybody there?')
    await clock.settle()
    assert.deepEqual(heard, ['<end>', '<ECONNRESET>', '<close>'])
  })

  it('cut: nothing comes through, and nobody hears of it', async () => {
    const { client, server, clock, cut } = connect({ capacity: 4, latency: 5 })
    const [up, down] = [listen(server), listen(client)]
    await clock.settle()
    client.write('a')
    assert.equal(clock.pending, 1)
    cut()
    assert.equal(clock.pending, 0)
    server.write('b')
    client.write('abcdef')
    await clock.advance(1_000)
    assert.deepEqual([up, down, client.writableLength], [[], [], 6])
    client.destroy()
    await clock.settle()
    assert.deepEqual([up, down, clock.pending], [[], ['<close>'], 0])
    server.destroy()
    await clock.settle()
    assert.deepEqual(up, ['<close>'])
  })

  it('reset: both ends hear of it, also one that does not read, and what was on the way is lost', async () => {
    const { client, server, clock, reset } = connect({ latency: 5 })
    const [up, down] = [listen(server), listen(client)]
    client.stalled = true
    client.write('a')
    await clock.advance(3)
    reset()
    // Again is no more.
    reset()
    await clock.advance(4)
    assert.deepEqual([up, down], [[], []])
    await clock.advance(1)
    assert.deepEqual(
      [up, down],
      [
        ['<ECONNRESET>', '<close>'],
        ['<ECONNRESET>', '<close>'],
      ],
    )
    reset()
    assert.equal(clock.pending, 0)
  })
})
