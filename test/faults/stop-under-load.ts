// A server that is closed while all of its connections are busy: what it said, everybody hears; what they said, it has heard.

import assert from 'node:assert/strict'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { type CloseInfo, type Conn, dial, type ServerConn, serve } from 'silverback'

/** What came of it. */
export interface StopResult {
  readonly connections: number
  /** Answers that the server gave, all of which have arrived. */
  readonly answers: number
  /** Questions that were asked, all of which the server's handler was given. */
  readonly questions: number
  /** How long `server.close()` took, in milliseconds. */
  readonly took: number
}

/** Messages that a client has on their way at any time: of some, more than a server keeps for a handler that is slow. */
function windowOf(client: number): number {
  return client % 10 === 0 ? 200 : 4
}

/**
 * Connects so many clients that ask without a pause, closes the server, and compares.
 *
 * @throws AssertionError when an answer is missing, a connection has not ended in order, or it took longer than it may
 */
export async function stopUnderLoad(
  connections: number,
  timeout = 60_000,
  patience = 60_000,
): Promise<StopResult> {
  /** By client: the answers that its connection was given. */
  const given = new Map<string, number>()
  /** By client: the questions that the handler was given. */
  const heard = new Map<string, number>()
  const ends: Promise<CloseInfo>[] = []
  /** A handler goes on with what is kept for it when its connection has ended. */
  const handlers: Promise<void>[] = []
  const handle = async (conn: ServerConn): Promise<void> => {
    const client = String(conn.request.headers['x-client'])
    ends.push(conn.closed)
    const slow = windowOf(Number(client)) > 4
    for await (const question of conn) {
      heard.set(client, (heard.get(client) ?? 0) + 1)
      if (slow) await nextTurn()
      const before = conn.stats.messagesSent
      conn.send(`answer to ${String(question)}`)
      if (conn.stats.messagesSent > before) given.set(client, (given.get(client) ?? 0) + 1)
    }
  }
  const server = await serve({ limits: { closeTimeout: timeout } }, (conn) => {
    const handled = handle(conn)
    handlers.push(handled)
    return handled
  })
  const got = new Map<string, number>()
  const clients: Conn[] = []
  let busy = 0
  const connect = (i: number): Promise<Conn> =>
    dial(server.url, {
      headers: { 'x-client': String(i) },
      limits: { closeTimeout: timeout },
      handshakeTimeout: timeout,
    })
  // Some at a time, and nobody asks before all are there: it is the stop that is to be under load.
  while (clients.length < connections) {
    const more = Array.from(
      { length: Math.min(100, connections - clients.length) },
      (_, i) => i + clients.length,
    )
    clients.push(...(await Promise.all(more.map((i) => connect(i)))))
  }
  for (const [i, conn] of clients.entries()) {
    let [asked, answered] = [0, 0]
    const window = windowOf(i)
    conn.onMessage((text) => {
      assert.equal(text, `answer to ${answered++}`)
      if (answered === window) busy++
      got.set(String(i), answered)
      conn.send(String(asked++))
    })
    for (; asked < window; asked++) conn.send(String(asked))
  }
  const deadline = performance.now() + patience
  while (busy < connections && performance.now() < deadline) await new Promise(setImmediate)
  if (busy < connections) {
    await server.close({ timeout: 0 })
    for (const conn of clients) conn.terminate()
    await Promise.all(clients.map(({ closed }) => closed))
    throw new Error(`${busy} of ${connections} clients are busy after ${patience} ms`)
  }
  const start = performance.now()
  await server.close({ timeout })
  const took = performance.now() - start
  const infos = await Promise.all([...clients.map(({ closed }) => closed), ...ends])
  assert.equal(infos.length, 2 * connections)
  for (const { code, wasClean, by, error } of infos)
    assert.deepEqual([code, wasClean, error], [1001, true, undefined], `${code} by ${by}: ${String(error)}`)
  assert.ok(took < timeout, `close() took ${took} ms of ${timeout}`)
  assert.deepEqual([...got].sort(), [...given].sort(), 'an answer was given and has not arrived')
  await Promise.all(handlers)
  // What was refused after the server's Close frame had come was not asked.
  const asked = new Map(clients.map(({ stats }, i) => [String(i), stats.messagesSent]))
  assert.deepEqual(
    [...heard].sort(),
    [...asked].sort(),
    'a question was asked and the handler was not given it',
  )
  const sum = (counts: Map<string, number>): number => [...counts.values()].reduce((all, one) => all + one, 0)
  return { connections, answers: sum(got), questions: sum(asked), took }
}
