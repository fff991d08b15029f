// One run: a server, a client, and between them a network that fails as the seed says. Throws when what must not be has been.

import assert from 'node:assert/strict'
import {
  type CloseInfo,
  type Conn,
  type DialOptions,
  dial,
  HandshakeError,
  type Limits,
  type LogEntry,
  reconnect,
  reconnecting,
  type ServeOptions,
  type ServerConn,
  serve,
  TimeoutError,
} from 'silverback'
import { Rng } from '../generate.ts'
import { type FaultPlan, FaultProxy } from '../support/fault-proxy.ts'
import { judge, judgeHarmless, judgeInfo } from './judge.ts'
import { type Ending, Peer, type Role, randomRole } from './peer.ts'
import { deadlyPlan, harmlessPlan } from './random-plan.ts'

/** What a run adds to the sums. */
export interface RunResult {
  readonly kind: string
  /** How each end of each connection ended: `1000 local clean`. */
  readonly ends: readonly string[]
  readonly accepted: number
  readonly delivered: number
}

/** All of a run's times are short, so that nobody waits for what will never come. */
const hasty: Partial<Limits> = {
  pingInterval: 200,
  pongTimeout: 200,
  closeTimeout: 200,
  handshakeTimeout: 600,
}
/** Where nothing is lost nobody may be given up, however busy the machine is. */
const patient: Partial<Limits> = { closeTimeout: 30_000, handshakeTimeout: 30_000 }

interface Setting {
  readonly rng: Rng
  readonly limits: Partial<Limits>
  readonly compression: ServeOptions['compression']
  readonly harmless: boolean
  /** Who takes part. */
  readonly peers: Peer[]
  /** Given to every connection, never aborted. */
  readonly given: { readonly signal?: AbortSignal }
}

function setting(rng: Rng, signal: AbortSignal | undefined): Setting {
  const harmless = rng.once(5)
  const fragmentSize = rng.once(3) ? 125 + rng.below(1000) : 128 * 1024
  const tight = rng.once(4)
    ? { maxQueuedMessages: 1 + rng.below(4), maxQueuedBytes: 1 + rng.below(2_000) }
    : {}
  return {
    rng,
    harmless,
    peers: [],
    given: signal === undefined ? {} : { signal },
    limits: { ...(harmless ? patient : hasty), fragmentSize, ...tight },
    compression: rng.pick([false, true, { threshold: 0, sendTakeover: true, receiveTakeover: true }]),
  }
}

function describeEnd({ code, by, wasClean, error }: CloseInfo): string {
  return `${code} ${by}${wasClean ? ' clean' : ''}${error === undefined ? '' : ` ${error.name}`}`
}

/** The server's side: what it says of its connections must agree with what they are. */
class Watch {
  readonly entries: LogEntry[] = []
  readonly failures: unknown[] = []
  readonly options = {
    log: (entry: LogEntry): void => void this.entries.push(entry),
    onError: (error: unknown): void => void this.failures.push(error),
  }

  judge(): void {
    assert.deepEqual(this.failures, [], 'a handler failed')
    const count = (event: string): number => this.entries.filter((entry) => entry.event === event).length
    assert.equal(count('close'), count('open'), 'a connection was opened that was not closed, by the log')
  }
}

/** A client that gets no connection says why. */
function judgeDialError(error: unknown): void {
  if (error instanceof TimeoutError) return assert.equal(error.code, 'ERR_WS_HANDSHAKE_TIMEOUT')
  assert.ok(error instanceof HandshakeError, String(error))
  // Half a request that ends is answered by Node itself.
  if (error.code === 'ERR_WS_STATUS') assert.equal(error.status, 400, error.message)
  else assert.equal(error.code, 'ERR_WS_CONNECT', error.message)
}

function bytesIn(...roles: readonly Role[]): number {
  return roles.reduce((sum, { sizes }) => sum + sizes.reduce((bytes, size) => bytes + size + 20, 0), 0)
}

const endings: readonly (readonly [Ending, Ending])[] = [
  ['close', 'wait'],
  ['wait', 'close'],
  ['close', 'close'],
  ['terminate', 'wait'],
  ['wait', 'terminate'],
  ['close', 'terminate'],
]

async function runPair({ rng, limits, compression, harmless, peers, given }: Setting): Promise<RunResult> {
  const [clientEnds, serverEnds] = harmless ? rng.pick(endings.slice(0, 3)) : rng.pick(endings)
  // Who closes a server does not ask what its handlers are at.
  const stops = !harmless && rng.once(8)
  const clientRole = randomRole(rng, 'client', stops ? 'wait' : clientEnds)
  const serverRole = randomRole(rng, 'server', stops ? 'wait' : serverEnds)
  const bytes = bytesIn(clientRole, serverRole)
  const plan = harmless ? harmlessPlan(rng, bytes) : deadlyPlan(rng, bytes)
  const watch = new Watch()
  const [clientRng, serverRng] = [new Rng(rng.next()), new Rng(rng.next())]
  const played: Promise<Peer>[] = []
  const server = await serve({ limits, compression, ...watch.options }, async (conn) => {
    const playing = started(peers, new Peer('server', conn, serverRng)).play(serverRole)
    played.push(playing)
    await playing
  })
  await using proxy = await FaultProxy.start(portOf(server.url), () => plan)
  let client: Peer | undefined
  try {
    const conn = await dial(proxy.url, { limits, compression: compression ?? false, ...given })
    const playing = started(peers, new Peer('client', conn, clientRng)).play(clientRole)
    if (stops) {
      await new Promise((resolve) => setTimeout(resolve, rng.below(50)))
      await server.close({ timeout: 1_000, ...given })
    }
    client = await playing
  } catch (error) {
    if (harmless) throw error
    judgeDialError(error)
  }
  const [served] = await Promise.all(played)
  await server.close()
  assert.equal(server.connections.size, 0)
  watch.judge()
  if (client !== undefined) {
    assert.ok(served !== undefined, 'the client was connected to nobody')
    judge(client, served)
    if (harmless) judgeHarmless(client, served)
  } else if (served?.info !== undefined) judgeInfo(served.info, 'server')
  return sum(stops ? 'server.close()' : 'pair', client === undefined ? [] : [[client, served as Peer]])
}

function started(peers: Peer[], peer: Peer): Peer {
  peers.push(peer)
  return peer
}

function sum(kind: string, pairs: readonly (readonly [Peer, Peer])[]): RunResult {
  const peers = pairs.flat()
  return {
    kind,
    ends: peers.flatMap(({ info }) => (info === undefined ? [] : [describeEnd(info)])),
    accepted: peers.reduce((all, { accepted }) => all + accepted.length, 0),
    delivered: peers.reduce((all, { received }) => all + received.length, 0),
  }
}

async function runBroadcast({ rng, limits, compression, harmless, given }: Setting): Promise<RunResult> {
  const clients = 2 + rng.below(3)
  const rounds = 5 + rng.below(30)
  const slow = rng.pick(['queue', 'skip', 'close'] as const)
  const size = rng.once(4) ? 3_000 : 100
  const plans = Array.from({ length: clients }, (_, index) =>
    // One at least hears everything.
    harmless || index === 0 ? harmlessPlan(rng, rounds * size) : deadlyPlan(rng, rounds * size),
  )
  const watch = new Watch()
  const peers: { readonly peer: Peer; readonly played: Promise<Peer> }[] = []
  const byClient = new Map<string, Peer>()
  const ends = new Rng(rng.next())
  const server = await serve({ limits: patient, compression, ...watch.options }, async (conn) => {
    const peer = new Peer('server', conn, ends)
    const played = peer.play({ name: 'server', sizes: [], reading: 'messages', ending: 'wait' })
    peers.push({ peer, played })
    byClient.set(String(conn.request.headers['x-client']), peer)
    await played
  })
  await using proxy = await FaultProxy.start(portOf(server.url), (index) => plans[index] as FaultPlan)
  const joined: Peer[] = []
  const playing: Promise<Peer>[] = []
  const pairs: [Peer, Peer][] = []
  for (let i = 0; i < clients; i++) {
    const client = plans[i] === plans[0] || harmless ? patient : limits
    try {
      const headers = { 'x-client': String(i) }
      const conn = await dial(proxy.url, {
        limits: client,
        compression: compression ?? false,
        headers,
        ...given,
      })
      const peer = new Peer('client', conn, new Rng(rng.next()))
      joined.push(peer)
      const reading = rng.pick(['messages', 'listener', 'slow', 'streams'] as const)
      playing.push(peer.play({ name: `client ${i}`, sizes: [1, 2], reading, ending: 'wait' }))
      pairs.push([peer, byClient.get(String(i)) as Peer])
    } catch (error) {
      judgeDialError(error)
    }
  }
  for (let round = 0; round < rounds; round++) {
    Peer.broadcast(
      peers.map(({ peer }) => peer),
      `round ${round} ${'x'.repeat(rng.below(size))}`,
      slow,
    )
    if (rng.once(3)) await new Promise((resolve) => setTimeout(resolve, rng.below(6)))
  }
  // Those whose network has failed without a word are found dead by it; here that would take longer than a run may.
  await server.close({ timeout: harmless ? 20_000 : 1_500 })
  await Promise.all([...playing, ...peers.map(({ played }) => played)])
  watch.judge()
  for (const [client, served] of pairs) judge(client, served)
  return sum('broadcast', pairs)
}

/** Clients whose first connections fail; then the network is well again. */
function healing(rng: Rng, bytes: number): (index: number) => FaultPlan {
  const bad = Array.from({ length: 1 + rng.below(3) }, () => deadlyPlan(rng, bytes))
  return (index) => bad[index] ?? {}
}

const comesBack = {
  minDelay: 5,
  maxDelay: 40,
  stableAfter: 1_000,
}

/** A log that is appended to over as many connections as it takes: nothing may be missing, nothing be there twice. */
async function runReconnect({ rng, compression, given, ...chosen }: Setting): Promise<RunResult> {
  const limits = { ...chosen.limits, ...hasty }
  const lines = Array.from({ length: 1 + rng.below(60) }, (_, i) => `${i} ${'y'.repeat(rng.below(300))}`)
  const log: string[] = []
  const ends: string[] = []
  const watch = new Watch()
  const server = await serve({ limits, compression, ...watch.options }, async (conn) => {
    conn.sendJson({ have: log.length })
    for await (const { number, line } of conn.json<{ number: number; line: string }>()) {
      assert.ok(number <= log.length, `line ${number} came when only ${log.length} were there`)
      if (number === log.length) log.push(line)
      conn.sendJson({ have: log.length })
    }
  })
  await using proxy = await FaultProxy.start(portOf(server.url), healing(rng, 4_000))
  const dialOptions: Omit<DialOptions, 'signal'> = { limits, compression: compression ?? false }
  const append = async (conn: Conn): Promise<void> => {
    const first = await conn.read().catch(() => undefined)
    if (first === undefined) return
    const { have } = JSON.parse(String(first)) as { have: number }
    for (const [number, line] of lines.entries()) {
      if (number < have) continue
      if (!conn.sendJson({ number, line })) await conn.drained().catch(() => {})
    }
    if (have === lines.length) return void conn.close()
    for await (const answer of conn)
      if ((JSON.parse(String(answer)) as { have: number }).have === lines.length) void conn.close()
  }
  for await (const conn of reconnect(proxy.url, { ...comesBack, ...given, dial: dialOptions })) {
    void conn.closed.then((info) => ends.push(describeEnd(info)))
    await append(conn)
  }
  assert.deepEqual(log, lines, 'the log is not what was appended')
  await server.close()
  watch.judge()
  return { kind: 'reconnect()', ends, accepted: lines.length, delivered: log.length }
}

/** A session over connections that fail: each message at most once, in order, and none lost but with a connection. */
async function runReconnecting({
  rng,
  compression,
  harmless,
  given,
  ...chosen
}: Setting): Promise<RunResult> {
  const limits = { ...chosen.limits, ...(harmless ? patient : hasty) }
  const count = 1 + rng.below(60)
  const arrived: { readonly connection: number; readonly number: number }[] = []
  const ends: string[] = []
  const watch = new Watch()
  const handler = async (conn: ServerConn): Promise<void> => {
    void conn.closed.then((info) => ends.push(describeEnd(info)))
    const connection = Number(conn.request.headers['x-connection'])
    for await (const text of conn) {
      const number = Number(String(text).split(' ')[0])
      arrived.push({ connection, number })
      conn.send(`${connection} ${number}`)
    }
  }
  const server = await serve({ limits, compression, ...watch.options }, handler)
  const plan = harmless ? () => harmlessPlan(rng, 5_000) : healing(rng, 5_000)
  await using proxy = await FaultProxy.start(portOf(server.url), plan)
  const dropped: number[] = []
  const answers: number[] = []
  let connections = 0
  const session = reconnecting(proxy.url, {
    ...comesBack,
    ...given,
    outbox: {
      maxMessages: 1 + rng.below(80),
      overflow: rng.pick(['reject', 'dropNewest', 'dropOldest'] as const),
    },
    dial: () => ({
      limits,
      compression: compression ?? false,
      headers: { 'x-connection': String(connections++) },
    }),
    onDrop: (data) => void dropped.push(Number(String(data).split(' ')[0])),
  })
  const reading = (async () => {
    for await (const answer of session) {
      const [connection = 0, number = 0] = String(answer).split(' ').map(Number)
      answers.push(connection * 1_000 + number)
    }
  })()
  const taken = new Set<number>()
  for (let number = 0; number < count; number++) {
    if (session.send(`${number} ${'z'.repeat(rng.below(300))}`)) taken.add(number)
    if (rng.once(3)) await new Promise((resolve) => setTimeout(resolve, rng.below(15)))
  }
  await session.drained()
  const { error, last } = await session.close()
  await reading
  await server.close()
  watch.judge()
  assert.equal(error, undefined)
  // A network may hold back the bytes of one connection until the next is there: the order is that of each.
  const order = arrived.toSorted((a, b) => a.connection - b.connection || 0).map(({ number }) => number)
  assert.deepEqual(
    order,
    [...new Set(order)].sort((a, b) => a - b),
    'a message came twice, or ahead of an earlier one',
  )
  for (const number of order)
    assert.ok(taken.has(number) && !dropped.includes(number), `${number} was not sent`)
  assert.deepEqual(
    answers,
    [...new Set(answers)].sort((a, b) => a - b),
    'an answer came twice, or out of order',
  )
  // Where new ones are dropped, `send` has said so too.
  const lost = dropped.filter((number) => taken.has(number)).length
  if (connections === 1 && last?.wasClean === true && last.by === 'local')
    assert.equal(order.length + lost, taken.size, 'lost, and no connection was')
  return { kind: 'reconnecting()', ends, accepted: taken.size - lost, delivered: order.length }
}

function portOf(url: string): number {
  return Number(new URL(url).port)
}

/** The longest that a run may take, in milliseconds: after that something waits for what will never come. */
const RUN_LIMIT = 25_000

/**
 * Makes the run of this number; the same seed and number make the same plans.
 *
 * @param signal - what its connections are given, to see that nothing is left on it
 */
export async function runOnce(seed: number, index: number, signal?: AbortSignal): Promise<RunResult> {
  const rng = new Rng(seed, index)
  const chosen = setting(rng, signal)
  const kind = rng.below(20)
  const run = kind < 12 ? runPair : kind < 14 ? runBroadcast : kind < 17 ? runReconnect : runReconnecting
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${run.name} has not ended within ${RUN_LIMIT} ms`)), RUN_LIMIT)
  })
  return Promise.race([run(chosen), late]).finally(() => clearTimeout(timer))
}
