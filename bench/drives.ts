// How the load generator works a server: one function for each way.
import { setTimeout as delay } from 'node:timers/promises'
import { compare, frameRow, type Load, look, type Sample, type Timing } from './load.ts'
import type { Workload } from './workloads.ts'

/** What a drive is given: connections are opened by it. */
export interface DriveInput {
  readonly load: Load
  readonly workload: Workload
  readonly frame: Buffer
  readonly timing: Timing
}

/** Every connection keeps so many messages on their way: for each that comes back one more is sent. */
export async function driveEcho({ load, workload, frame, timing }: DriveInput): Promise<Sample> {
  const { connections, inFlight } = workload
  await load.open(connections)
  const frames = frameRow(frame, inFlight)
  load.onMessages =
    inFlight === 1
      ? (client) => {
          const now = performance.now()
          load.addLatency(now - client.sentAt)
          client.sentAt = now
          client.write(frame, 1)
        }
      : (client, count) => client.write(frames(count), count)
  for (const client of load.clients) {
    client.sentAt = performance.now()
    client.write(frames(inFlight), inFlight)
  }
  const sample = await load.measure(timing)
  load.onMessages = () => {}
  await load.settle(timing)
  return sample
}

/**
 * All publishers send one message each, which is a round, and again when everybody has heard all of it. Several
 * publishers are one round ahead, as they would be without a common beat: so a server always has some to read at once.
 */
export async function driveBroadcast({ load, workload, frame, timing }: DriveInput): Promise<Sample> {
  const { connections, publishers = connections } = workload
  await load.open(connections)
  const expected = connections * publishers
  const ahead = publishers === 1 ? 1 : 2
  const sentAt: number[] = []
  let [sent, heard, through, running] = [0, 0, 0, true]
  load.dueTo = () => sent * publishers
  const publish = (): void => {
    sentAt[sent++ % ahead] = performance.now()
    for (let sender = 0; sender < publishers; sender++) load.clients[sender]?.write(frame)
  }
  load.onMessages = (_, count) => {
    heard += count
    for (; running && heard >= (through + 1) * expected; through++) {
      load.addLatency(performance.now() - (sentAt[through % ahead] as number))
      publish()
    }
  }
  for (let round = 0; round < ahead; round++) publish()
  const sample = await load.measure(timing)
  running = false
  await load.settle(timing)
  return sample
}

/** Some connections at a time, each opened, used for one echo and closed with both Close frames. */
export async function driveConnect({ load, workload, frame, timing }: DriveInput): Promise<Sample> {
  let done = 0
  let running = true
  const one = async (): Promise<void> => {
    while (running) {
      await load.once(frame)
      done++
    }
  }
  const all = Promise.all(Array.from({ length: workload.connections }, one))
  all.catch(load.fail)
  const sample = await load.measure(timing, () => done)
  running = false
  await load.orFailed(all)
  return sample
}

/** Connections that were open before memory is measured, so that what a server makes once is not counted. */
const firstConnections = 200

/** Opens connections, may send some messages on each, and looks at the memory when all is quiet. */
export async function driveIdle({ load, workload, frame, timing }: DriveInput): Promise<Sample> {
  const { connections, inFlight } = workload
  const settled = async (): Promise<number> => {
    await load.orFailed(delay(timing.warm))
    await load.server.ask('gc')
    await load.orFailed(delay(timing.warm / 2))
    return load.server.memory.now
  }
  const talk = async (from: number): Promise<void> => {
    for (const client of load.clients.slice(from))
      for (let count = 0; count < inFlight; count++) client.write(frame, 1)
    await load.settle(timing)
  }
  await load.open(firstConnections)
  await talk(0)
  const before = await settled()
  const start = look(load.server, 0)
  await load.open(connections)
  await talk(firstConnections)
  const sample = compare(start, look(load.server, connections))
  const idle = await settled()
  return {
    ...sample,
    idleBytes: (idle - before) / connections,
    peakBytes: (load.server.memory.peak - before) / connections,
  }
}
