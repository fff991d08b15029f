// The demo server: pages over HTTP, three WebSocket endpoints beside them, and a way to stop politely.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { CloseInfo, ServerConn } from 'silverback'
import { chat } from './endpoints/chat.ts'
import { echo } from './endpoints/echo.ts'
import type { Endpoint } from './endpoints/endpoint.ts'
import { numberEcho } from './endpoints/number.ts'
import { loadPages } from './pages.ts'
import { sendText } from './respond.ts'

export interface DemoOptions {
  /** TCP port; 0, the default, takes a free one. */
  readonly port?: number
  /** The address to listen on. Default 127.0.0.1. */
  readonly host?: string
  /** How long {@link Demo.close} waits for clients before it cuts them off, in ms. Default 5000. */
  readonly drainTimeout?: number
  /** Told of every WebSocket that ended, and how. */
  readonly onClose?: (path: string, info: CloseInfo) => void
}

export interface Demo {
  /** Where the demo is, with a slash at the end. */
  readonly url: string
  /** How many WebSockets are open. */
  readonly connections: number
  /** Accepts no one new, closes every WebSocket with 1001, and resolves when all of them are gone. */
  close(): Promise<void>
}

/** Starts the demo. Rejects when the address can't be listened on. */
export async function createDemo(options: DemoOptions = {}): Promise<Demo> {
  const { port = 0, host = '127.0.0.1', drainTimeout = 5000, onClose } = options
  const endpoints = [numberEcho(), echo(), chat()]
  // A client has ten seconds for its request; Node's own minute would let idle connections pile up.
  const timeouts = { headersTimeout: 10_000, requestTimeout: 10_000, connectionsCheckingInterval: 1_000 }
  const server = createServer(timeouts, await requestListener(endpoints))

  // Each upgrader answers for its own path and leaves the others alone; a path that nobody wants gets a 404.
  for (const { path, upgrader, handle } of endpoints) {
    const observed = (conn: ServerConn): void | Promise<void> => {
      void conn.closed.then((info) => onClose?.(path, info))
      return handle(conn)
    }
    server.on('upgrade', upgrader.handler(observed))
  }

  await listen(server, port, host)
  return {
    url: urlOf(server, host),
    get connections() {
      return endpoints.reduce((count, { upgrader }) => count + upgrader.connections.size, 0)
    },
    close() {
      return stop(server, endpoints, drainTimeout)
    },
  }
}

/** The plain HTTP side: pages, the endpoints' answers to requests that aren't upgrades, and 404. */
async function requestListener(
  endpoints: readonly Endpoint[],
): Promise<(request: IncomingMessage, response: ServerResponse) => void> {
  const servePage = await loadPages()
  return (request, response) => {
    const [pathname = '/'] = (request.url ?? '/').split('?', 1)
    if (servePage(pathname, request, response)) return
    const endpoint = endpoints.find(({ path }) => path === pathname)
    if (endpoint?.plain) endpoint.plain(request, response)
    else sendText(response, 404, 'Not found')
  }
}

function listen(server: Server, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => {
      server.off('error', reject)
      resolve()
    })
  })
}

function urlOf(server: Server, host: string): string {
  const { port } = server.address() as AddressInfo
  // Nobody can visit "all addresses"; the loopback address is one of them.
  const name = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host
  return `http://${name.includes(':') ? `[${name}]` : name}:${port}/`
}

async function stop(server: Server, endpoints: readonly Endpoint[], timeout: number): Promise<void> {
  const stopped = new Promise<void>((resolve) => server.close(() => resolve()))
  const reason = 'the server is shutting down'
  await Promise.all(endpoints.map(({ upgrader }) => upgrader.close({ reason, timeout })))
  // What is left is HTTP: browsers keep spare connections open, and would keep us waiting for requests that never come.
  server.closeAllConnections()
  await stopped
}
