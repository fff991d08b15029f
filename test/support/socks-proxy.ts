import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

/** How a {@link SocksProxy} behaves. */
export interface SocksProxyOptions {
  /** `user:password` that it wants. */
  readonly login?: string
  /** The status of its reply (RFC 1928 section 6). Default 0, granted. */
  readonly status?: number
  /** Bytes that it sends behind its reply. */
  readonly behind?: string
}

/** A SOCKS 5 proxy on 127.0.0.1 (RFC 1928, RFC 1929) that takes every name for this machine. */
export class SocksProxy implements AsyncDisposable {
  /** What it was asked for: an address or a name, as it was written. */
  readonly requests: { readonly host: string; readonly port: number; readonly login: string | undefined }[] =
    []
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  readonly #options: SocksProxyOptions

  private constructor(options: SocksProxyOptions) {
    this.#options = options
    this.#server = createServer((client) => {
      this.#track(client)
      this.#serve(client).catch(() => client.destroy())
    })
  }

  static async start(options: SocksProxyOptions = {}): Promise<SocksProxy> {
    const proxy = new SocksProxy(options)
    proxy.#server.listen(0, '127.0.0.1')
    await once(proxy.#server, 'listening')
    return proxy
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** The connections that there are, to clients and servers. */
  get sockets(): number {
    return this.#sockets.size
  }

  /** @param login - such as `user:password@` */
  url(scheme: 'socks5' | 'socks5h', login = ''): string {
    return `${scheme}://${login}127.0.0.1:${this.port}`
  }

  async #serve(client: Socket): Promise<void> {
    const { login: wanted, status = 0, behind = '' } = this.#options
    const [, methods = 0] = await read(client, 2)
    const offered = [...(await read(client, methods))]
    const method = wanted === undefined ? 0 : 2
    client.write(Buffer.from([5, offered.includes(method) ? method : 255]))
    let login: string | undefined
    if (method === 2) {
      const [, userLength = 0] = await read(client, 2)
      const user = (await read(client, userLength)).toString()
      const [passwordLength = 0] = await read(client, 1)
      login = `${user}:${passwordLength === 0 ? '' : (await read(client, passwordLength)).toString()}`
      client.write(Buffer.from([1, login === wanted ? 0 : 1]))
      if (login !== wanted) return void client.end()
    }
    const [, , , type] = await read(client, 4)
    const host = await readHost(client, type)
    const port = (await read(client, 2)).readUInt16BE()
    this.requests.push({ host, port, login })
    const reply = (code: number): Buffer => Buffer.from([5, code, 0, 1, 0, 0, 0, 0, 0, 0])
    if (status !== 0) return void client.end(reply(status))
    const server = connect(port, '127.0.0.1')
    this.#track(server)
    server.on('close', () => client.destroy())
    client.on('close', () => server.destroy())
    await once(server, 'connect')
    client.write(Buffer.concat([reply(0), Buffer.from(behind)]))
    server.pipe(client).pipe(server)
  }

  #track(socket: Socket): void {
    this.#sockets.add(socket)
    socket.on('error', () => {})
    socket.once('close', () => this.#sockets.delete(socket))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    this.#server.close()
    await once(this.#server, 'close')
  }
}

async function readHost(client: Socket, type: number | undefined): Promise<string> {
  if (type === 1) return (await read(client, 4)).join('.')
  if (type === 4) return (await read(client, 16)).toString('hex')
  const [length = 0] = await read(client, 1)
  return (await read(client, length)).toString()
}

async function read(socket: Socket, length: number): Promise<Buffer> {
  for (;;) {
    const bytes: Buffer | null = socket.read(length)
    if (bytes !== null) return bytes
    if (socket.readableEnded || socket.destroyed) throw new Error('the client has left')
    await Promise.race([once(socket, 'readable'), once(socket, 'close')])
  }
}
