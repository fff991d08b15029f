import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { RawClient } from '../raw-client.ts'

/** A server of node:http on 127.0.0.1 whose TCP connections are counted, whoever has them. */
export class TestServer implements AsyncDisposable {
  readonly http: Server = createServer()
  readonly #sockets = new Set<Socket>()
  readonly #clients: RawClient[] = []

  private constructor() {
    this.http.on('connection', (socket: Socket) => {
      this.#sockets.add(socket)
      socket.once('close', () => this.#sockets.delete(socket))
    })
  }

  /** @param configure adds the listeners */
  static async start(configure: (server: Server) => void = () => {}): Promise<TestServer> {
    const server = new TestServer()
    configure(server.http)
    server.http.listen(0, '127.0.0.1')
    await once(server.http, 'listening')
    return server
  }

  get port(): number {
    return (this.http.address() as AddressInfo).port
  }

  /** A client that has sent these bytes. */
  client(bytes = '', options: { readonly allowHalfOpen?: boolean } = {}): RawClient {
    const client = new RawClient(this.port, options)
    this.#clients.push(client)
    client.write(bytes)
    return client
  }

  /** All that is answered to these bytes until the connection is gone, one byte a character. */
  async answer(bytes: string): Promise<string> {
    const client = this.client(bytes)
    await client.until(() => client.closed, 'the end of the connection')
    return client.received.toString('latin1')
  }

  /** Waits until the server has no TCP connection. */
  async empty(): Promise<void> {
    const closed = (socket: Socket): Promise<unknown> =>
      new Promise((resolve) => socket.once('close', resolve))
    while (this.#sockets.size > 0) await Promise.all([...this.#sockets].map(closed))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.http.close(resolve))
    await Promise.all(this.#clients.map((client) => client.destroy()))
    for (const socket of this.#sockets) socket.destroy()
    await closed
  }
}
