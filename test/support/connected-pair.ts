import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import {
  type Conn,
  type DialOptions,
  dial,
  type ServeOptions,
  type Server,
  type ServerConn,
  serve,
} from 'silverback'
import { certificate, privateKey } from './certificate.ts'

/** How the two ends behave. */
export interface ConnectedPairOptions {
  readonly server?: ServeOptions
  readonly client?: DialOptions
  readonly tls?: boolean
}

/** Both ends of a connection over the loopback interface, and the sockets under them. */
export interface ConnectedPair extends AsyncDisposable {
  readonly server: ServerConn
  readonly client: Conn
  readonly serverSocket: Socket
  readonly clientSocket: Socket
  readonly listener: Server
}

/** Connects a client to a server of its own. What is still there when it is disposed of is dropped. */
export async function connectedPair(options: ConnectedPairOptions = {}): Promise<ConnectedPair> {
  const { tls = false } = options
  const accepted: ServerConn[] = []
  const listener = await serve(
    { ...(tls ? { tls: { cert: certificate, key: privateKey } } : {}), ...options.server },
    (conn) => void accepted.push(conn),
  )
  const client = await dial(listener.url, { ...(tls ? { tls: { ca: certificate } } : {}), ...options.client })
  const [server] = accepted
  assert.ok(server !== undefined)
  return {
    server,
    client,
    serverSocket: server.socket as Socket,
    clientSocket: client.socket as Socket,
    listener,
    async [Symbol.asyncDispose]() {
      for (const conn of [client, server]) conn.terminate()
      await Promise.all([client.closed, server.closed])
      await listener.close()
    },
  }
}
