// cluster: one server in as many processes as there are cores.
//
// A Node process runs JavaScript on one core. Here a first process, which serves nobody itself, starts the others and
// hands each connection that comes to one of them in turn; there it stays. Whoever wants to reach the clients of another
// process needs something between them, such as Redis: see docs/deployment.md.

import cluster from 'node:cluster'
import { availableParallelism } from 'node:os'
import { serve } from 'silverback'
import { commandLine, giveUp, onStop } from '../program.ts'

const {
  values: { host, port, processes },
} = commandLine('Echoes, in a process for each core.', {
  port: '8080',
  host: '127.0.0.1',
  processes: `${availableParallelism()}`,
})

interface Report {
  readonly url?: string
  readonly error?: string
}

if (cluster.isPrimary) lead(Number(processes))
else await work()

function lead(count: number): void {
  if (!Number.isInteger(count) || count < 1)
    giveUp(new Error(`--processes must be at least 1, not ${processes}`))
  let ready = 0
  let stopping = false
  const stop = (): void => {
    stopping = true
    for (const worker of Object.values(cluster.workers ?? {})) worker?.process.kill('SIGTERM')
  }
  const start = (): void => {
    const worker = cluster.fork()
    let served = false
    worker.once('message', ({ url, error }: Report) => {
      // What keeps one from listening keeps all from it.
      if (error !== undefined) giveUp(new Error(error))
      served = true
      // They share one port, also where the system has chosen it.
      if (++ready === count) console.log(`The echo server of ${count} processes is at ${url}`)
    })
    worker.once('exit', (code, signal) => {
      if (stopping) return
      console.log(`Process ${worker.process.pid} ended with ${signal ?? code}`)
      // One that never came so far would end again.
      if (served) start()
    })
  }
  for (let i = 0; i < count; i++) start()
  onStop(stop)
}

async function work(): Promise<void> {
  try {
    // A client can see where it is: `conn.response.headers['x-process']`.
    const headers = { 'X-Process': `${process.pid}` }
    const server = await serve(
      { host, port: Number(port), path: '/echo', compression: true, headers },
      (conn) => conn.onMessage((data, type) => conn.send(data, type)),
    )
    report({ url: server.url })
    onStop(async () => {
      await server.close()
      // Else the channel to the first process would keep this one alive.
      process.disconnect()
    })
  } catch (error) {
    report({ error: (error as Error).message })
  }
}

function report(message: Report): void {
  process.send?.(message)
}
