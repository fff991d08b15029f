// Sockets that are left alone: by their peer, by their user, by the worker in which they were made.

import { once } from 'node:events'
import { setTimeout } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { serve } from '../../../src/index.ts'
import { see, type WebCase } from './web-case.ts'

/** In milliseconds; pings of our own begin after 25 s. */
const SILENCE = 1000

/** A worker has no loader for TypeScript unless it registers one. */
const inWorker = `import('tsx/esm/api').then(({ register }) => {
  register()
  return import(${JSON.stringify(new URL('worker.ts', import.meta.url).href)})
})`

/** A worker that ends as soon as it has said something; how the server hears of the end, if there was a beginning. */
function worker(when: 'made' | 'open', about: string, expected: unknown): WebCase {
  return see(`worker.ended-when-${when}`, about, expected, async (stage) => {
    const ends: Promise<number>[] = []
    const server = stage.keep(
      await serve({}, async (conn) => {
        ends.push(conn.closed.then(({ code }) => code))
        await conn.closed
      }),
    )
    const made = new Worker(inWorker, { eval: true, workerData: server.url })
    let failed: unknown
    made.on('error', (error) => {
      failed = error
    })
    for (let told: unknown; told !== when; ) [told] = await once(made, 'message')
    const status = await made.terminate()
    const codes = await Promise.all(ends)
    const { socket } = await stage.open(server.url)
    return { status, failed, codes: when === 'open' ? codes : [], others: socket.readyState }
  })
}

/** What becomes of a socket without anybody's doing, and of one whose peer does not read. */
export const endings: readonly WebCase[] = [
  worker(
    'made',
    'A worker that ends right behind the constructor: nothing fails, and others go on connecting.',
    { status: 1, failed: undefined, codes: [], others: 1 },
  ),
  worker('open', 'A worker that ends with its socket open: the server hears of it.', {
    status: 1,
    failed: undefined,
    codes: [1006],
    others: 1,
  }),
  see(
    'events.stays-open',
    'A second of silence on both sides ends nothing: the next message comes back.',
    ['open 1', 'message 1 still here'],
    async (stage) => {
      const watched = await stage.openEcho()
      await setTimeout(SILENCE)
      const heard = stage.messages(watched.socket, 1)
      watched.socket.send('still here')
      await heard
      return watched.log
    },
  ),
  see(
    'send.many-to-one-who-waits',
    'Four hundred messages of 64 KiB to a server that does not read at first: they wait, are counted, and all come back in order.',
    { waits: true, count: 400, inOrder: true, left: 0 },
    async (stage) => {
      let open = (): void => {}
      const gate = new Promise<void>((resolve) => {
        open = resolve
      })
      const server = stage.keep(
        await serve({}, async (conn) => {
          await gate
          for await (const { data, type } of conn.messages()) if (!conn.send(data, type)) await conn.drained()
        }),
      )
      const { socket } = await stage.open(server.url)
      const heard = stage.messages(socket, 400)
      for (let i = 0; i < 400; i++) socket.send(String(i).padStart(65_536, '.'))
      // Until the system takes no more.
      for (let before = -1; before !== socket.bufferedAmount; ) {
        before = socket.bufferedAmount
        await setTimeout(50)
      }
      const waits = socket.bufferedAmount > 0
      open()
      const back = (await heard) as string[]
      const inOrder = back.every((data, i) => data.endsWith(`.${i}`) && data.length === 65_536)
      return { waits, count: back.length, inOrder, left: socket.bufferedAmount }
    },
  ),
]
