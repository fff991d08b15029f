import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer as createHttpServer } from 'node:http'
import { type AddressInfo, connect, createServer, Socket } from 'node:net'
import { PassThrough } from 'node:stream'
import { after, describe, it } from 'node:test'
import { TLSSocket } from 'node:tls'
import { assertNoLeaks } from '../../test/leaks.ts'
import { connectedPair } from '../../test/support/connected-pair.ts'
import { until } from '../../test/support/until.ts'
import { resolveLimits } from '../protocol/limits.ts'
import { Conn } from './conn.ts'
import { isKernelSocket } from './is-kernel-socket.ts'
import { Link } from './link.ts'

after(() => assertNoLeaks())

class Sub extends Socket {}

describe('isKernelSocket', () => {
  it('holds for both ends of a TCP connection, and behind HTTP', async () => {
    await using pair = await connectedPair()
    assert.ok(isKernelSocket(pair.serverSocket))
    assert.ok(isKernelSocket(pair.clientSocket))
    for (const server of [createServer(), createHttpServer()]) {
      server.listen(0, '127.0.0.1')
      await once(server, 'listening')
      const client = connect((server.address() as AddressInfo).port, '127.0.0.1')
      const [socket] = (await once(server, 'connection')) as [Socket]
      assert.ok(isKernelSocket(socket))
      client.destroy()
      socket.destroy()
      server.close()
      await once(server, 'close')
    }
  })

  it('does not hold for what may keep a chunk after it has taken it', () => {
    const keep = (): boolean => true
    const streams = [
      new PassThrough(),
      new Sub(),
      new TLSSocket(new Socket()),
      Object.setPrototypeOf(new Socket(), Object.create(Socket.prototype) as Socket) as Socket,
      ...['write', '_write', '_writev', '_writeGeneric'].map((name) =>
        Object.assign(new Socket(), { [name]: keep }),
      ),
    ]
    for (const stream of streams) {
      assert.equal(isKernelSocket(stream), false)
      stream.destroy()
    }
  })
})

/** Takes what it is given at once, and keeps it until later, as a tunnel or an interceptor may. */
class KeepingSocket extends Socket {
  readonly kept: Buffer[] = []

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: () => void): void {
    this.kept.push(chunk)
    callback()
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    callback(error)
  }
}
// A plain socket has one, which would go to the handle.
Object.assign(KeepingSocket.prototype, { _writev: undefined })

describe('a subclass of Socket that keeps what it was given', () => {
  it('never sends what another connection was given', async () => {
    const [first, second] = [new KeepingSocket(), new KeepingSocket()]
    for (const [socket, text] of [
      [first, 'for the first'],
      [second, 'a SECRET of 2'],
    ] as const) {
      const link = new Link({
        socket,
        role: 'server',
        limits: resolveLimits({ pingInterval: 0 }),
        slow: 'close',
        extensions: [],
        head: Buffer.alloc(0),
        owner: { onListenerError: assert.fail, onClosed() {} },
      })
      new Conn(link, { subprotocol: '', extensions: '', remoteAddress: undefined }).send(text)
      await until(() => socket.kept.length > 0, 'the write')
    }
    assert.equal(Buffer.concat(first.kept).toString('latin1'), '\x81\x0dfor the first')
    assert.equal(Buffer.concat(second.kept).toString('latin1'), '\x81\x0da SECRET of 2')
    first.destroy()
    second.destroy()
  })
})
