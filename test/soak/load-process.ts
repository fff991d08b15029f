// The clients of a soak. Each lives some lives, one after the other: connects, does this or that, and leaves in one of the
// ways there are. What comes back is checked.

import { createHash, randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { CloseError, type Conn, dial } from 'silverback'
import { Rng } from '../generate.ts'
import { gauge } from './gauge.ts'
import { type Order, report } from './messages.ts'

const counts = { dialed: 0, echoes: 0, streams: 0, news: 0, closed: 0, terminated: 0, aborted: 0, slept: 0 }
const open = new Set<Conn>()
const controller = new AbortController()
const { signal } = controller

class Unexpected extends Error {}

function pause(milliseconds: number): Promise<unknown> {
  return sleep(milliseconds, undefined, { signal }).catch(() => {})
}

/**
 * Gives a connection up on which this takes longer than a minute. (By a timer, and what it does: `AbortSignal.any` with
 * the signal of all leaves some bytes with it each time, and this is done a million times.)
 */
async function inTime(conn: Conn, what: string, work: Promise<void>): Promise<void> {
  let late = false
  const timer = setTimeout(() => {
    late = true
    conn.terminate()
  }, 60_000)
  try {
    await work
  } catch (error) {
    throw late ? new Unexpected(`${what}: has not come back within a minute`) : error
  } finally {
    clearTimeout(timer)
  }
}

/** The echo of a message; news come between. */
async function echoed(conn: Conn, sent: string | Uint8Array): Promise<void> {
  conn.send(sent)
  for (;;) {
    const data = await conn.read()
    if (typeof data === 'string' && data.startsWith('news ')) {
      counts.news++
      continue
    }
    const same = typeof sent === 'string' ? data === sent : Buffer.compare(sent, data as Uint8Array) === 0
    if (!same) throw new Unexpected(`another echo than what was sent: ${String(data).slice(0, 80)}`)
    counts.echoes++
    return
  }
}

async function talk(conn: Conn, rng: Rng): Promise<void> {
  const times = 1 + rng.below(12)
  for (let i = 0; i < times && !signal.aborted; i++) {
    const size = rng.once(10) ? rng.below(30_000) : rng.below(400)
    const text = `${rng.next()} ${'some words, '.repeat(1 + size / 12)}`
    await inTime(conn, 'an echo', echoed(conn, rng.once(2) ? text : Buffer.from(text)))
    if (rng.once(8)) await conn.ping({ signal })
    await pause(rng.below(3_000))
  }
}

const noise = randomBytes(64 * 1024)
/** More than the kernel keeps for two sockets of the same machine: some 3 MiB. */
const NOISES = 96

/** Reads nothing for a while, though echoes and news come: the server's own bound is reached, and news are skipped. */
async function beSlow(conn: Conn, rng: Rng): Promise<void> {
  counts.slept++
  let awake = false
  const filling = (async () => {
    for (let i = 0; i < NOISES && !awake; i++) if (!conn.send(noise)) await conn.drained()
  })()
  // What it says of the end of the connection, the others say, too.
  filling.catch(() => {})
  await pause(2_000 + rng.below(8_000))
  awake = true
}

async function stream(conn: Conn, rng: Rng): Promise<void> {
  const [up, down] = [createHash('sha1'), createHash('sha1')]
  const chunk = Buffer.alloc(16 * 1024, `${rng.next()} `)
  const reading = (async () => {
    for (;;) {
      const message = await conn.readStream()
      if (message.type === 'text') {
        counts.news++
        await message.text()
        continue
      }
      for await (const piece of message) down.update(piece)
      return
    }
  })()
  reading.catch(() => {})
  const writer = conn.writeStream('binary')
  for (let i = 0; i < 2 + rng.below(20); i++) {
    up.update(chunk)
    await writer.write(chunk)
  }
  await writer.close()
  await reading
  if (up.digest('hex') !== down.digest('hex')) throw new Unexpected('another stream than what was sent')
  counts.streams++
}

async function leave(conn: Conn, rng: Rng): Promise<void> {
  const way = rng.below(4)
  if (way === 0) {
    counts.terminated++
    conn.terminate()
  } else if (way === 1) {
    counts.aborted++
    conn.socket.destroy(new Error('pulled out'))
  } else {
    counts.closed++
    const { wasClean, by, error } = await conn.close(way === 2 ? 1000 : 4000, 'enough')
    if (!wasClean && by === 'local' && !signal.aborted)
      throw new Unexpected(`not closed in order: ${String(error)}`)
  }
  await conn.closed
}

async function live(url: string, rng: Rng): Promise<void> {
  const streams = rng.once(10)
  const slow = !streams && rng.once(40)
  const conn = await dial(streams ? `${url}stream` : url, {
    compression: !slow && rng.once(2),
    signal,
    handshakeTimeout: 60_000,
    limits: {
      closeTimeout: 20_000,
      pingInterval: 10_000,
      pongTimeout: 60_000,
      // One that does not read takes no more off the wire.
      ...(slow && { maxQueuedMessages: 1 }),
    },
  })
  counts.dialed++
  open.add(conn)
  void conn.closed.then(() => open.delete(conn))
  try {
    if (streams) await inTime(conn, 'a stream', stream(conn, rng))
    else if (slow) await beSlow(conn, rng)
    else if (rng.once(6)) await pause(rng.below(20_000))
    else await talk(conn, rng)
    await leave(conn, rng)
  } finally {
    conn.terminate()
  }
}

async function client(url: string, rng: Rng): Promise<void> {
  while (!signal.aborted) {
    try {
      await live(url, rng)
    } catch (error) {
      if (signal.aborted) return
      // A server that is too busy to answer a slow one in time drops it, and says so.
      if (error instanceof CloseError && error.info.by !== 'local')
        report({ report: 'unexpected', what: error.message })
      else
        report({
          report: 'unexpected',
          what: error instanceof Error ? (error.stack ?? error.message) : String(error),
        })
      await pause(1_000)
    }
  }
}

async function run({ url, connections, seed }: Extract<Order, { order: 'load' }>): Promise<void> {
  const measure = gauge(() => open.size)
  const clients: Promise<void>[] = []
  process.on('message', async ({ order }: Order) => {
    if (order === 'measure') report({ report: 'measured', reading: measure(), counts: { ...counts } })
    if (order !== 'stop') return
    controller.abort()
    for (const conn of open) conn.terminate()
    await Promise.all(clients)
    report({ report: 'stopped' })
  })
  report({ report: 'loading' })
  for (let i = 0; i < connections && !signal.aborted; i++) {
    clients.push(client(url, new Rng(seed, i)))
    // Not all in one moment: what is measured is the long run.
    if (i % 20 === 19) await pause(100)
  }
}

process.once('message', (order: Order) => {
  if (order.order === 'load') void run(order)
})
process.on('SIGINT', () => {})
process.on('disconnect', () => process.exit())
