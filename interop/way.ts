// A way from our client to our server: through a proxy, or none.

import { once } from 'node:events'
import { createServer, type Server as HttpServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import {
  type Conn,
  type DialOptions,
  dial,
  type Handler,
  type ServeOptions,
  type Server,
  type ServerConn,
  serve,
} from 'silverback'
import type { Certificate } from './certificate.ts'
import type { ForeignServer } from './foreign-process.ts'
import type { ProxyKind } from './proxy.ts'

/** How the way is laid. */
export interface WayOptions {
  /** What is not as in the guide. */
  readonly change?: (config: string) => string
  /** Makes it `wss` as far as the proxy. */
  readonly certificate?: Certificate | undefined
}

/** What a connection is opened with on either end. */
export interface ConnectOptions {
  readonly server?: Omit<ServeOptions, 'server' | 'port' | 'host' | 'tls'>
  readonly client?: DialOptions
  /** Added to the URL. */
  readonly path?: string
  readonly handler?: Handler
}

/** Both ends of one connection, and what was made for it. */
export interface Ends extends AsyncDisposable {
  readonly client: Conn
  readonly server: ServerConn
  /** The one that took it. */
  readonly listening: Server
}

/** Ends with its block: the proxy, the server, and what is left on them. */
export class Way implements AsyncDisposable {
  readonly proxy: ForeignServer | undefined
  /** Where clients connect to, without a path. */
  readonly url: string
  /** Our server, to which one of the library is bound for each connection. */
  readonly http: HttpServer
  readonly #client: DialOptions

  private constructor(http: HttpServer, proxy: ForeignServer | undefined, certificate?: Certificate) {
    this.http = http
    this.proxy = proxy
    const port = proxy?.port ?? (http.address() as AddressInfo).port
    this.url = `${certificate === undefined ? 'ws' : 'wss'}://127.0.0.1:${port}`
    this.#client = certificate === undefined ? {} : { tls: { ca: certificate.cert } }
  }

  static async open(kind: ProxyKind | undefined, { change, certificate }: WayOptions = {}): Promise<Way> {
    const http = createServer((_request, response) => response.end('a page\n')).listen(0, '127.0.0.1')
    await once(http, 'listening')
    const { port } = http.address() as AddressInfo
    try {
      return new Way(http, await kind?.start({ backends: [port], change, certificate }), certificate)
    } catch (error) {
      http.close()
      throw error
    }
  }

  /** The origin of a page that comes by this way. */
  get origin(): string {
    return this.url.replace(/^ws/, 'http')
  }

  /** Serves while the block lasts. */
  serve(options: ConnectOptions['server'] = {}, handler: Handler = () => {}): Promise<Server> {
    return serve({ server: this.http, ...options }, handler)
  }

  /** Only the client's half: `serve` has been called. */
  dial(options: DialOptions = {}, path = '/'): Promise<Conn> {
    return dial(`${this.url}${path}`, { ...this.#client, ...options })
  }

  async connect({ server: serverOptions, client, path, handler }: ConnectOptions = {}): Promise<Ends> {
    let onConn: (conn: ServerConn) => void = () => {}
    const accepted = new Promise<ServerConn>((resolve) => {
      onConn = resolve
    })
    const listening = await this.serve(serverOptions, (conn) => {
      onConn(conn)
      return handler?.(conn)
    })
    try {
      const conn = await this.dial(client, path)
      const end = async (): Promise<void> => {
        conn.terminate()
        await listening.close({ timeout: 1_000 })
        await conn.closed
      }
      return { client: conn, server: await accepted, listening, [Symbol.asyncDispose]: end }
    } catch (error) {
      await listening.close({ timeout: 1_000 })
      throw error
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.proxy?.[Symbol.asyncDispose]()
    this.http.closeAllConnections()
    this.http.close()
    if (this.http.listening) await once(this.http, 'close')
  }
}
