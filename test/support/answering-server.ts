import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer, type TlsOptions } from 'node:tls'
import { acceptKey } from '../../src/wire/accept-key.ts'

/** What a server does once it has read a request. */
export type Answer = (socket: Socket, accept: string) => void

/** How long a client may take to leave before a test fails, in milliseconds. */
const PATIENCE = 5_000

/** A good 101 with these lines added; the lines end in CRLF. */
export function switching(accept: string, lines = ''): string {
  return `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n${lines}\r\n`
}

/**
 * A TCP server that answers every request as it is told, right or wrong, and does not hang up of its own accord: so
 * that it notices whether a client does.
 */
export class AnsweringServer implements AsyncDisposable {
  readonly #server: Server
  readonly #answer: Answer
  readonly #left: Promise<unknown>[] = []
  readonly #sockets = new Set<Socket>()
  /** The requests' heads. */
  readonly requests: string[] = []

  readonly #scheme: 'ws' | 'wss'

  private constructor(answer: Answer, tls: TlsOptions | undefined) {
    this.#answer = answer
    this.#scheme = tls === undefined ? 'ws' : 'wss'
    const serve = (socket: Socket): void => this.#serve(socket)
    const half = { allowHalfOpen: true }
    this.#server = tls === undefined ? createServer(half, serve) : createTlsServer({ ...tls, ...half }, serve)
  }

  static async start(answer: Answer, host = '127.0.0.1', tls?: TlsOptions): Promise<AnsweringServer> {
    const server = new AnsweringServer(answer, tls)
    server.#server.listen(0, host)
    await once(server.#server, 'listening')
    return server
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  get url(): string {
    return `${this.#scheme}://127.0.0.1:${this.port}/`
  }

  /** How many have connected. */
  get clients(): number {
    return this.#left.length
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket)
    this.#left.push(
      new Promise<void>((resolve) => {
        socket.on('end', resolve)
        socket.on('close', resolve)
      }),
    )
    socket.on('error', () => {})
    let request = ''
    socket.on('data', (chunk: Buffer) => {
      const known = request.includes('\r\n\r\n')
      request += chunk.toString('latin1')
      if (known || !request.includes('\r\n\r\n')) return
      this.requests.push(request)
      const key = /^sec-websocket-key: (.*)\r$/im.exec(request)?.[1] ?? ''
      this.#answer(socket, acceptKey(key))
    })
  }

  /** Waits until every client there was has hung up; fails when one does not. */
  async deserted(): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error('a client has left its socket open')), PATIENCE)
    })
    await Promise.race([Promise.all(this.#left), late]).finally(() => clearTimeout(timer))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    await new Promise((resolve) => this.#server.close(resolve))
  }
}
