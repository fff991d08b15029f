// An echo server as a process of its own, for what is done to processes: stopped, or out of files. It prints where it is
// and what its log says; `hoard` on its input takes all files there are, `free` gives them back. A client says in its URL
// how long the server waits for its pongs: `?pongTimeout=600`.

import { closeSync, openSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { serve } from 'silverback'

const say = (line: string): void => void process.stdout.write(`${line}\n`)
const server = await serve(
  {
    limits: ({ url = '/' }) => {
      const pongTimeout = Number(new URL(url, 'ws://localhost').searchParams.get('pongTimeout') ?? 300)
      return { pingInterval: 300, pongTimeout, closeTimeout: 1_000 }
    },
    log: ({ level, event, message }) => say(`${level} ${event} ${message}`),
  },
  async (conn) => {
    for await (const data of conn) conn.send(data)
  },
)
const files: number[] = []
let hoarding: NodeJS.Timeout | undefined

/** Takes all files there are; returns why there are no more. */
function hoard(): string | undefined {
  try {
    for (;;) files.push(openSync('/dev/null', 'r'))
  } catch (error) {
    return (error as NodeJS.ErrnoException).code
  }
}

createInterface({ input: process.stdin })
  .on('line', (line) => {
    if (line === 'hoard') {
      const why = hoard()
      say(`hoarding ${files.length}: ${why}`)
      // One that somebody had open may come back.
      hoarding = setInterval(hoard, 50)
    } else if (line === 'free') {
      clearInterval(hoarding)
      for (const file of files.splice(0)) closeSync(file)
      say('freed')
    }
  })
  .on('close', () => {
    clearInterval(hoarding)
    void server.close()
  })
say(`listening at ${server.url}`)
