// The server that `npm run measure:hostile` attacks, in a process of its own.
import { setImmediate } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { broadcast, serve } from 'silverback'
import { peakMemory, resetPeakMemory } from './peak-memory.mjs'

const KiB = 1024
const MiB = 1024 * KiB
/** Bytes of a message where that does not matter. */
export const MESSAGE = 16 * KiB
/** Newcomers that the server has before it is attacked. */
export const WARM_UP = 20
/** What the server may hold for a peer that does not read. */
export const SEND_BUFFER = 256 * KiB

/** What shows that a server would be found out, as --plant has it. */
export const plants = ['queue', 'memory', 'leak', 'death', 'hang']

/** What the plant `memory` keeps: more than any bound of a small scale. */
const HOARD = 384 * MiB

/** Serves, and answers what it is asked about itself. */
async function victim(plant) {
  let newcomers = 0
  const hoard = []
  const mishaps = []
  process.on('uncaughtException', (error) => mishaps.push(String(error?.stack ?? error)))
  process.on('unhandledRejection', (error) => mishaps.push(String(error?.stack ?? error)))
  const server = await serve(
    {
      compression: true,
      handshakeTimeout: 5000,
      onError() {},
      limits: ({ url }) => ({
        maxSendBuffer: plant === 'queue' ? 2 ** 31 - 1 : SEND_BUFFER,
        closeTimeout: 1000,
        ...(url === '/silent' ? { pingInterval: plant === 'leak' ? 0 : 1000, pongTimeout: 1000 } : {}),
        // Where nothing is read, writing finds out that nobody is there any more.
        ...(url === '/deaf' ? { pingInterval: 500, pongTimeout: 500 } : {}),
      }),
    },
    async (conn) => {
      // The first ones are ours.
      if (plant === 'memory' && ++newcomers === WARM_UP + 1) hoard.push(Buffer.alloc(HOARD, 1))
      if (plant === 'death' && ++newcomers > WARM_UP) process.exit(3)
      if (plant === 'hang' && ++newcomers > WARM_UP) for (;;);
      if (conn.request.url === '/deaf') return conn.closed
      if (conn.request.url === '/close') return void conn.close(4000, 'go away')
      for await (const message of conn) if (!conn.send(message)) await conn.drained()
    },
  )
  let sockets = 0
  server.server.on('connection', (socket) => {
    sockets++
    socket.once('close', () => sockets--)
  })
  const answers = {
    state: () => ({ rss: process.memoryUsage.rss(), sockets, mishaps }),
    peak: () => ({ peak: peakMemory() }),
    reset: resetPeakMemory,
    async talk({ talk, slow }) {
      const conns = [...server.connections]
      let largest = 0
      let dropped = 0
      for (let i = 0; i < talk; i++) {
        // A message of its own for each peer: what all share would weigh as much as one.
        for (const conn of conns) {
          dropped += broadcast([conn], Buffer.alloc(MESSAGE, `told ${i} times `), { slow }).skipped
          largest = Math.max(largest, conn.bufferedAmount)
        }
        await setImmediate()
      }
      dropped += conns.reduce((sum, conn) => sum + conn.stats.sendsDropped, 0)
      const ends = slow === 'close' ? await Promise.all(conns.map((conn) => conn.closed)) : []
      return { largest, dropped, codes: ends.map(({ code }) => code) }
    },
    async end() {
      await server.close({ timeout: 0 })
      return {}
    },
  }
  process.on('message', async (question) => {
    const name = Object.keys(question)[0]
    process.send({ ...(await answers[name](question)) })
    if (name === 'end') process.disconnect()
  })
  // A process outlives nobody who has started it.
  process.once('disconnect', () => process.exit())
  process.send({ port: Number(new URL(server.url).port) })
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await victim(process.argv[2])
