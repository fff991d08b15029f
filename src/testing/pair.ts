import type { IncomingMessage } from 'node:http'
import { resolveDialOptions } from '../client/dial-options.ts'
import { Conn } from '../conn/conn.ts'
import { type ExtensionOptions, extensionOptionNames } from '../conn/extension-options.ts'
import { Link } from '../conn/link.ts'
import { checkNames } from '../conn/options.ts'
import { printFailure } from '../conn/print-failure.ts'
import type { SlowPolicy } from '../conn/sender.ts'
import { TimerWheel } from '../conn/timer-wheel.ts'
import type { Extension } from '../protocol/extension.ts'
import type { Limits } from '../protocol/limits.ts'
import type { OriginCheck } from '../server/origin.ts'
import type { AnswerHeaders } from '../server/reject.ts'
import { ServerConn } from '../server/server-conn.ts'
import { resolveUpgraderOptions } from '../server/upgrader-options.ts'
import { UsageError } from '../session/errors.ts'
import { keepRequest, keepResponse } from '../session/handshake-request.ts'
import { FakeClock } from './fake-clock.ts'
import { inMemoryHandshake } from './in-memory-handshake.ts'
import { type MemorySocket, type MemoryWire, memoryWire } from './memory-socket.ts'

/** How one side of a pair behaves; the names are those of `dial` and `Upgrader`. */
export interface PairSide extends ExtensionOptions {
  /** Limits that differ from `defaultLimits`. */
  readonly limits?: Partial<Limits> | undefined
  /** What `send` does above `maxSendBuffer`: `close` with 1013 (the default) or `skip` the message. */
  readonly slow?: SlowPolicy | undefined
  /** Gets what an `onMessage` listener threw; the connection is being closed with 1011. Default: `console.error`. */
  readonly onError?: ((error: unknown, conn: Conn) => void) | undefined
}

/** The client's side of a pair. */
export interface PairClient<Subprotocol extends string = string> extends PairSide {
  /** The subprotocols to offer, best first. Default: none. */
  readonly subprotocols?: readonly Subprotocol[] | undefined
}

/** The server's side of a pair. */
export interface PairServer<Subprotocol extends string = string, Context = unknown> extends PairSide {
  /** The subprotocols spoken, or a function that chooses one of those that are offered. Default: none. */
  readonly subprotocols?:
    | readonly Subprotocol[]
    | ((offered: readonly string[], request: IncomingMessage) => Subprotocol | undefined)
    | undefined
  /** Whether pages of an origin may connect. Default `sameOrigin`. */
  readonly checkOrigin?: OriginCheck | undefined
  /** Further headers of the 101 answer. */
  readonly headers?: AnswerHeaders | undefined
  /** What `authorize` would have returned: `conn.context`. Default `undefined`. */
  readonly context?: Context | undefined
}

/** A `Pair` whose server has a context has to have it from somewhere. */
export type RequiresContext<Context> = unknown extends Context
  ? unknown
  : { readonly server: { readonly context: Context } }

/** What a {@link pair} is made of. What stands beside `client` and `server` holds for both, unless they differ. */
export interface PairOptions<Subprotocol extends string = string, Context = unknown> extends PairSide {
  /** The subprotocols that the client offers and the server speaks. Default: none. */
  readonly subprotocols?: readonly Subprotocol[] | undefined
  /** What differs for the client. */
  readonly client?: PairClient<Subprotocol> | undefined
  /** What differs for the server. */
  readonly server?: PairServer<Subprotocol, Context> | undefined
  /** The request that the server sees as `conn.request`: its target, by default `/`, and further headers. */
  readonly request?:
    | {
        /** Path and query. Default `/`. */
        readonly url?: string | undefined
        /** Headers beside those of the handshake. */
        readonly headers?: Readonly<Record<string, string>> | undefined
      }
    | undefined
  /** Give several pairs the same, and time passes for all of them. Default: a new one. */
  readonly clock?: FakeClock | undefined
  /** Milliseconds that a byte is on its way, on the fake clock. Default 0. */
  readonly latency?: number | undefined
  /** The most bytes that one read gives: 1 cuts the stream between any two bytes. Default 65,536. */
  readonly chunkSize?: number | undefined
  /** Bytes that the wire holds each way before who writes has to wait, as the system's socket buffers do. Default 65,536. */
  readonly capacity?: number | undefined
}

/** Two connections that are each other's peer. Disposing of it drops both, and waits until they are gone. */
export interface Pair<Subprotocol extends string = string, Context = unknown> extends AsyncDisposable {
  /** The end that dialled. */
  readonly client: Conn<Subprotocol>
  /** The end that was dialled. */
  readonly server: ServerConn<Subprotocol, Context>
  /** The time of both. */
  readonly clock: FakeClock
  /** The process of one side hangs: it reads nothing, and its deadlines do not come. What is sent to it waits. */
  stall(side: 'client' | 'server'): void
  /** It goes on. */
  resume(side: 'client' | 'server'): void
  /** The network is gone: nothing comes through any more, and neither side is told. */
  cut(): void
  /** The network resets the connection: both sides get an `ECONNRESET`. */
  reset(): void
}

const sideNames = ['limits', 'slow', 'onError', ...extensionOptionNames] as const
const clientNames = [...sideNames, 'subprotocols']
const serverNames = [...clientNames, 'checkOrigin', 'headers', 'context']
const wireNames = ['client', 'server', 'request', 'clock', 'latency', 'chunkSize', 'capacity']
const pairNames = [...clientNames, ...wireNames]

const KiB = 1024

/**
 * Two connections joined in memory, for tests of what you do with connections: no port, no real time, and the same
 * each time. Both are real, with all their limits, and so is what they say to each other; only the socket and the
 * clock are not. Heartbeats and timeouts come when `clock.advance` lets them.
 *
 * @throws HandshakeError as `dial` does when the two do not agree, such as on the origin
 * @throws UsageError `ERR_WS_INVALID_OPTION` naming the option that is wrong
 *
 * @example
 * ```ts
 * import { pair } from 'silverback/testing'
 *
 * await using both = pair({ request: { url: '/chat?room=1' } })
 * both.client.send('hello')
 * console.log(await both.server.read(), both.server.request.url) // hello /chat?room=1
 *
 * both.cut() // the cable is pulled: the heartbeat finds out
 * await both.clock.advance(46_000)
 * console.log((await both.server.closed).error?.message) // no sign of life within 45000 ms
 * ```
 */
export function pair(): Pair
export function pair<Subprotocol extends string = string, Context = unknown>(
  options: PairOptions<Subprotocol, Context> & NoInfer<RequiresContext<Context>>,
): Pair<Subprotocol, Context>
export function pair(options: PairOptions = {}): Pair {
  checkPair(options)
  const { client: ownClient, server: ownServer, subprotocols, limits, slow, onError } = options
  const {
    compression,
    extensions,
    clock = new FakeClock(),
    request: { url = '/', headers = {} } = {},
  } = options
  const shared = { subprotocols, limits, slow, onError, compression, extensions }
  const { context, ...server } = { ...shared, ...given(ownServer) }
  const clientSide = resolveDialOptions({ ...shared, ...given(ownClient), headers })
  const serverSide = resolveUpgraderOptions(server)
  const { latency = 0, chunkSize = 64 * KiB, capacity = 64 * KiB } = options
  const wire = memoryWire({ clock, latency, chunkSize, capacity })
  const agreed = inMemoryHandshake({ url, client: clientSide, server: serverSide, context }, wire)
  const { request, response } = agreed
  const clientEnd: Conn = new Conn(
    link('client', wire.client, clientSide, () => clientEnd, agreed.client.extensions, clock),
    { response: keepResponse(response), ...details(wire.client, agreed.client) },
  )
  const behaviour = { ...serverSide, limits: serverSide.limits(request, context) }
  const serverEnd: ServerConn = new ServerConn(
    link('server', wire.server, behaviour, () => serverEnd, agreed.server.extensions, clock),
    { request: keepRequest(request), context, ...details(wire.server, agreed.server) },
  )
  return join(clientEnd, serverEnd, wire, clock)
}

function join(client: Conn, server: ServerConn, wire: MemoryWire, clock: FakeClock): Pair {
  return {
    client,
    server,
    clock,
    stall: (side) => {
      socketOf(wire, side).stalled = true
    },
    resume: (side) => {
      socketOf(wire, side).stalled = false
    },
    cut: () => wire.cut(),
    reset: () => wire.reset(),
    async [Symbol.asyncDispose]() {
      client.terminate()
      server.terminate()
      await Promise.all([client.closed, server.closed])
    },
  }
}

function socketOf(wire: MemoryWire, side: 'client' | 'server'): MemorySocket {
  if (side === 'client' || side === 'server') return wire[side]
  throw new UsageError('ERR_WS_INVALID_ARGUMENT', `a side is 'client' or 'server', not ${String(side)}`)
}

function link<Side extends Conn>(
  role: 'client' | 'server',
  socket: MemorySocket,
  side: {
    readonly limits: Limits
    readonly slow: SlowPolicy
    readonly onError: (error: unknown, conn: Side) => void
  },
  conn: () => Side,
  extensions: readonly Extension[],
  clock: FakeClock,
): Link {
  // Time that its process hangs is not lived through, as the wheel sees it.
  const every = (milliseconds: number, tick: () => void): (() => void) =>
    clock.every(milliseconds, () => socket.stalled || tick())
  return new Link({
    socket,
    role,
    limits: side.limits,
    slow: side.slow,
    extensions,
    head: Buffer.alloc(0),
    owner: {
      async onListenerError(error) {
        try {
          await side.onError(error, conn())
        } catch (second) {
          printFailure('onError failed', second)
        }
      },
      onClosed() {},
    },
    wheel: new TimerWheel({ now: () => clock.now(), every }),
  })
}

function details(
  { remoteAddress }: MemorySocket,
  agreed: { readonly subprotocol: string; readonly extensionsHeader: string },
): { readonly subprotocol: string; readonly extensions: string; readonly remoteAddress: string } {
  return { subprotocol: agreed.subprotocol, extensions: agreed.extensionsHeader, remoteAddress }
}

/** An option that is `undefined` is one that is not given. */
function given<T extends object>(options: T | undefined): Partial<T> {
  return Object.fromEntries(
    Object.entries(options ?? {}).filter(([, value]) => value !== undefined),
  ) as Partial<T>
}

function checkPair(options: PairOptions): void {
  checkNames(options, pairNames)
  if (options.client !== undefined) checkNames(options.client, clientNames)
  if (options.server !== undefined) checkNames(options.server, serverNames)
  if (options.request !== undefined) checkNames(options.request, ['url', 'headers'])
  const { clock, latency = 0, chunkSize = 1, capacity = 1, request } = options
  if (clock !== undefined && !(clock instanceof FakeClock)) throw invalid('clock must be a FakeClock')
  if (!Number.isFinite(latency) || latency < 0)
    throw invalid(`latency must be milliseconds, not ${String(latency)}`)
  for (const [name, value] of Object.entries({ chunkSize, capacity })) {
    if (!Number.isInteger(value) || value < 1)
      throw invalid(`${name} must be a number of bytes, at least 1, not ${String(value)}`)
  }
  if (request?.url !== undefined && (typeof request.url !== 'string' || !request.url.startsWith('/')))
    throw invalid(`request.url must begin with a slash, not ${JSON.stringify(request.url)}`)
}

function invalid(message: string): UsageError {
  return new UsageError('ERR_WS_INVALID_OPTION', message)
}
