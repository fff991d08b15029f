import assert from 'node:assert/strict'
import type { ServerConn } from '../../src/server/server-conn.ts'
import { type Handler, Upgrader } from '../../src/server/upgrader.ts'
import type { UpgraderOptions } from '../../src/server/upgrader-options.ts'
import { frame } from '../frames.ts'
import { type RawClient, upgradeRequest } from '../raw-client.ts'
import { TestServer } from './test-server.ts'

/** The mask of what test clients send. */
export const mask: Buffer = Buffer.from([1, 2, 3, 4])

/** A text message as clients send it. */
export function text(payload: string): Buffer {
  return frame({ opcode: 1, payload, mask })
}

/** A server with one upgrader. */
export interface Serving<Context = unknown> extends AsyncDisposable {
  readonly server: TestServer
  readonly upgrader: Upgrader<string, Context>
  /** Why requests were refused. */
  readonly reasons: string[]
  readonly conns: ServerConn<string, Context>[]
}

/** Starts one. */
export async function serving<Context = unknown>(
  options: UpgraderOptions<string, Context> = {},
  handle: Handler<string, Context> = () => {},
): Promise<Serving<Context>> {
  const reasons: string[] = []
  const conns: ServerConn<string, Context>[] = []
  const { onReject } = options
  const upgrader = new Upgrader<string, Context>({
    ...options,
    onReject(rejection, request) {
      reasons.push(rejection.reason.code)
      return onReject?.(rejection, request)
    },
  })
  const server = await TestServer.start((http) => {
    http.on(
      'upgrade',
      upgrader.handler((conn) => {
        conns.push(conn)
        return handle(conn)
      }),
    )
  })
  return { server, upgrader, reasons, conns, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() }
}

/** A client that has had its 101. */
export async function upgraded(server: TestServer, bytes: string = upgradeRequest('/')): Promise<RawClient> {
  const client = server.client(bytes)
  await client.until(() => client.status !== undefined || client.closed, 'an answer')
  assert.equal(client.status, 101, client.received.toString())
  return client
}

/** An HTTP answer, but for the order of its headers. */
export function parse(answer: string): { status: string; headers: string[]; body: string } {
  const end = answer.indexOf('\r\n\r\n')
  const [status = '', ...headers] = answer.slice(0, end).split('\r\n')
  return { status, headers: headers.sort(), body: answer.slice(end + 4) }
}
