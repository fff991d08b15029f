import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http'
import { createServer as createTlsServer, type ServerOptions as TlsOptions } from 'node:https'
import { type AddressInfo, connect, type Socket } from 'node:net'

/** How a {@link HttpProxy} behaves. */
export interface HttpProxyOptions {
  /** Makes it an `https:` proxy. */
  readonly tls?: TlsOptions
  /** `user:password` that it wants. */
  readonly login?: string
}

/** An HTTP proxy on 127.0.0.1 that knows CONNECT, and takes every name for this machine. */
export class HttpProxy implements AsyncDisposable {
  /** What it was asked for. */
  readonly requests: { readonly url: string; readonly headers: IncomingHttpHeaders }[] = []
  readonly #server: Server
  readonly #secure: boolean
  readonly #sockets = new Set<Socket>()

  private constructor({ tls, login }: HttpProxyOptions) {
    this.#secure = tls !== undefined
    this.#server = tls === undefined ? createServer() : createTlsServer(tls)
    this.#server.on('connection', (socket: Socket) => this.#track(socket))
    this.#server.on('tlsClientError', () => {})
    this.#server.on('connect', ({ url = '', headers }, client, head) => {
      client.on('error', () => {})
      this.requests.push({ url, headers })
      const expected = login === undefined ? undefined : `Basic ${Buffer.from(login).toString('base64')}`
      if (headers['proxy-authorization'] !== expected) {
        client.end(
          'HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm="x"\r\nContent-Length: 6\r\nConnection: close\r\n\r\nWho? \n',
        )
        return
      }
      const server = connect(Number(url.slice(url.lastIndexOf(':') + 1)), '127.0.0.1', () => {
        client.write('HTTP/1.1 200 Connection Established\r\n\r\n')
        server.write(head)
        server.pipe(client).pipe(server)
      })
      this.#track(server)
      server.on('error', () => client.end('HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n'))
      server.on('close', () => client.destroy())
      client.on('close', () => server.destroy())
    })
  }

  static async start(options: HttpProxyOptions = {}): Promise<HttpProxy> {
    const proxy = new HttpProxy(options)
    proxy.#server.listen(0, '127.0.0.1')
    await once(proxy.#server, 'listening')
    return proxy
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** @param login - such as `user:password@` */
  url(login = ''): string {
    return `${this.#secure ? 'https' : 'http'}://${login}127.0.0.1:${this.port}`
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
