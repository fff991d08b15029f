import { createServer, type Server as HttpServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Handler, type ServeOptions, serve, Upgrader } from 'silverback'
import { RawClient } from '../raw-client.ts'
import { certificate, privateKey } from '../support/certificate.ts'

/** A way into the library that a peer can come by. */
export interface Entry extends AsyncDisposable {
  readonly name: string
  /** The server underneath. */
  readonly http: HttpServer
  /** A client that has sent these bytes, in one piece. */
  client(bytes?: string | Uint8Array): RawClient
}

/** The options that every entry takes. */
export type EntryOptions = Omit<ServeOptions, 'port' | 'host' | 'tls' | 'server'>

type Start = (
  options: EntryOptions,
  handle: Handler,
) => Promise<{ readonly http: HttpServer; close(): Promise<void> }>

async function served(options: ServeOptions, handle: Handler): ReturnType<Start> {
  const server = await serve(options, handle)
  return { http: server.server as HttpServer, close: () => server.close({ timeout: 0 }) }
}

/** As a server of `serve`'s own answers what is no upgrade. */
function otherServer(): HttpServer {
  return createServer((_request, response) => {
    response.writeHead(426, {
      Upgrade: 'websocket',
      Connection: 'Upgrade, close',
      'Sec-WebSocket-Version': '13',
    })
    response.end('This is a WebSocket endpoint.\n')
  })
}

function shut(http: HttpServer): Promise<void> {
  http.closeAllConnections()
  return new Promise((resolve) => http.close(() => resolve()))
}

const starts: Readonly<Record<string, Start>> = {
  // The only one with the fast lane.
  serve: (options, handle) => served(options, handle),
  'serve with TLS': (options, handle) =>
    served({ ...options, tls: { cert: certificate, key: privateKey } }, handle),
  'serve on a given server': async (options, handle) => {
    const http = otherServer()
    const { close } = await served({ ...options, server: http, port: 0 }, handle)
    return { http, close: () => close().then(() => shut(http)) }
  },
  'an upgrader on a given server': async (options, handle) => {
    const upgrader = new Upgrader(options)
    const http = otherServer().on('upgrade', upgrader.handler(handle))
    await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve))
    return { http, close: () => upgrader.close({ timeout: 0 }).then(() => shut(http)) }
  },
}

/** Where a hostile request has to be held off. */
export const entryNames: readonly string[] = Object.keys(starts)

/** Opens one of {@link entryNames}. */
export async function openEntry(
  name: string,
  options: EntryOptions = {},
  handle: Handler = () => {},
): Promise<Entry> {
  const start = starts[name]
  if (start === undefined) throw new Error(`no entry is called ${name}`)
  const { http, close } = await start(options, handle)
  const { port } = http.address() as AddressInfo
  const clients: RawClient[] = []
  return {
    name,
    http,
    client(bytes = '') {
      const client = new RawClient(port, { tls: name === 'serve with TLS' })
      clients.push(client)
      client.write(bytes)
      return client
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(clients.map((client) => client.destroy()))
      await close()
    },
  }
}
