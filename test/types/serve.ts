// What the compiler makes of `serve` and `Upgrader`: `npm run typecheck` is the test, nothing here is run.
import type { IncomingMessage } from 'node:http'
import {
  type Authorize,
  type Conn,
  type Handler,
  type HandshakeRequest,
  type Refusal,
  refuse,
  type Server,
  type ServerConn,
  type ServerStats,
  serve,
  Upgrader,
  type UpgraderOptions,
} from 'silverback'
import { same } from './same.ts'

interface User {
  readonly name: string
}

declare function findUser(token: string | undefined): Promise<User | undefined>

export async function subprotocols(): Promise<void> {
  await serve({}, (conn) => {
    same<typeof conn, ServerConn>(true)
    same<typeof conn.subprotocol, string>(true)
    same<typeof conn.context, unknown>(true)
  })
  const server = await serve({ subprotocols: ['news.v2', 'news.v1'] }, (conn) => {
    same<typeof conn.subprotocol, 'news.v2' | 'news.v1' | ''>(true)
    // @ts-expect-error: it is not among those that are spoken
    if (conn.subprotocol === 'news.v3') conn.terminate()
  })
  same<typeof server, Server<'news.v2' | 'news.v1'>>(true)
  for (const { subprotocol } of server.connections) same<typeof subprotocol, 'news.v2' | 'news.v1' | ''>(true)
  const plain: Server = server
  same<typeof plain.stats, ServerStats>(true)

  await serve({ subprotocols: (offered) => (offered.includes('a') ? 'a' : undefined) }, (conn) => {
    same<typeof conn.subprotocol, 'a' | ''>(true)
  })
  await serve({ subprotocols: (offered) => offered.at(-1) }, (conn) => {
    same<typeof conn.subprotocol, string>(true)
  })
  await serve({ subprotocols: process.argv }, (conn) => same<typeof conn.subprotocol, string>(true))
  // @ts-expect-error: a subprotocol is a string
  await serve({ subprotocols: [2] }, () => {})
}

export async function contexts(): Promise<void> {
  await serve({ authorize: (request) => findUser(request.url) }, (conn) => {
    same<typeof conn.context, User>(true)
  })
  await serve({ authorize: () => ({ name: 'ann' }) }, (conn) => {
    same<typeof conn.context, { name: string }>(true)
  })
  await serve({ authorize: async (request) => (await findUser(request.url)) ?? refuse(401) }, (conn) => {
    same<typeof conn.context, User>(true)
  })
  await serve(
    {
      async authorize(request, { signal, subprotocol }) {
        same<typeof signal, AbortSignal>(true)
        same<typeof subprotocol, string>(true)
        if (signal.aborted) return refuse(503)
        if (request.url === '/') return undefined
        return request.url && (await findUser(request.url))
      },
    },
    (conn) => same<typeof conn.context, User>(true),
  )
  await serve({ authorize: (request) => request.url === '/' }, (conn) => {
    same<typeof conn.context, true>(true)
  })
  await serve({ authorize: (): User | Refusal => refuse(401) }, (conn) => {
    same<typeof conn.context, User>(true)
  })

  // What is asked behind `authorize` knows the context.
  await serve(
    {
      authorize: (request) => findUser(request.url),
      limits: (_request, user) => ({ maxMessageSize: user.name.length }),
      headers: (_request, user) => ({ 'X-User': user.name }),
    },
    (conn) => same<typeof conn.context, User>(true),
  )

  // What looks like a refusal is a context like any other.
  await serve({ authorize: () => ({ status: 200, headers: {}, body: '' }) }, (conn) => {
    same<typeof conn.context, { status: number; headers: Record<never, never>; body: string }>(true)
  })

  const authorize: Authorize<User> = (request) => findUser(request.url)
  const options = { authorize, subprotocols: ['a'] } as const
  await serve(options, (conn) => {
    same<typeof conn.context, User>(true)
    same<typeof conn.subprotocol, 'a' | ''>(true)
  })
}

/** A handler that stands elsewhere has a type of its own. */
export async function handlers(): Promise<void> {
  const any: Handler = (conn) => same<typeof conn.context, unknown>(true)
  await serve({}, any)
  await serve({ authorize: (request) => findUser(request.url), subprotocols: ['a'] }, any)

  const wants: Handler<'a', User> = (conn) => void conn.context.name
  await serve({ authorize: (request) => findUser(request.url), subprotocols: ['a'] }, wants)
  await serve({ authorize: (request: IncomingMessage) => findUser(request.url), subprotocols: ['a'] }, wants)
  // @ts-expect-error: nobody says who the user is
  await serve({ subprotocols: ['a'] }, wants)
  // @ts-expect-error: it is not made for 'b'
  await serve({ authorize: (request) => findUser(request.url), subprotocols: ['a', 'b'] }, wants)
  // @ts-expect-error: it may be any subprotocol
  await serve({ authorize: (request) => findUser(request.url) }, wants)
  // @ts-expect-error: another context
  await serve({ authorize: () => ({ id: 7 }), subprotocols: ['a'] }, wants)

  await serve<'a', User>({ authorize: (request) => findUser(request.url), subprotocols: ['a'] }, (conn) => {
    same<typeof conn, ServerConn<'a', User>>(true)
  })
}

export async function upgraders(request: IncomingMessage): Promise<void> {
  const upgrader = new Upgrader({ authorize: () => ({ name: 'ann' }), subprotocols: ['a', 'b'] })
  same<typeof upgrader, Upgrader<'a' | 'b', { name: string }>>(true)
  const conn = await upgrader.upgrade(request, request.socket, Buffer.alloc(0))
  same<typeof conn, ServerConn<'a' | 'b', { name: string }>>(true)
  upgrader.handler(({ context, subprotocol }) => {
    same<typeof context, { name: string }>(true)
    same<typeof subprotocol, 'a' | 'b' | ''>(true)
  })
  const wants: Handler<'a' | 'b', User> = () => {}
  upgrader.handler(wants)
  // @ts-expect-error: nobody says who the user is
  new Upgrader({ subprotocols: ['a', 'b'] }).handler(wants)

  const plain: Upgrader = upgrader
  const conns: ReadonlySet<Conn> = plain.connections
  same<typeof conn.request, HandshakeRequest>(true)
  const options: UpgraderOptions = { authorize: (given) => findUser(given.url), subprotocols: ['a'] }
  same<ReturnType<typeof make>, Upgrader>(true)
  function make() {
    return new Upgrader(options)
  }
  void conns
}
