import { setTimeout as delay } from 'node:timers/promises'
import { clientFrame, opcodes } from './frames.ts'
import type { Expected } from './message-reader.ts'
import { RawClient, type Target } from './raw-client.ts'
import type { ServerProcess } from './server-process.ts'
import { type CpuUse, cpuOf, idleOf, usedBetween } from './usage.ts'

/**
 * Milliseconds of the server's CPU to warm up, and to measure: on a machine that others use, too, that is more work
 * than milliseconds of time. It takes at most five times as long.
 */
export interface Timing {
  readonly warm: number
  readonly measure: number
  /** Also measure how late the server's event loop is. */
  readonly watch?: boolean
  /** Also find out what the server's main thread does. */
  readonly profile?: boolean
  /** Milliseconds for all besides: starting, connecting, the end. A minute by default. */
  readonly patience?: number
}

const usualPatience = 60_000

/** Milliseconds after which a measurement is given up. */
export function deadlineOf({ warm, measure, patience = usualPatience }: Timing): number {
  return patience + 5 * (warm + measure)
}

/** What one server did in one round of one workload. */
export interface Sample {
  readonly messagesPerSecond: number
  /** Microseconds. */
  readonly cpuPerMessage: number
  /** Shares of one core: the server's should be near 1, and the generator's below, or the server waited for it. */
  readonly serverBusy: number
  readonly loadBusy: number
  /** How much of the time others had the server's core: above some percent the machine is not quiet. Unknown without a core. */
  readonly others?: number
  /** Latencies in microseconds, where one message is in flight. */
  readonly p50?: number
  readonly p99?: number
  /** Bytes of memory per connection, above that of a server with none. */
  readonly peakBytes?: number
  readonly idleBytes?: number
  /** Milliseconds that the server's event loop was late. */
  readonly delayP99?: number
  readonly delayMax?: number
  /** Shares of the time in which the server's main thread was not idle. */
  readonly inWrite?: number
  readonly inRest?: number
  readonly inGc?: number
  readonly inZlib?: number
  readonly inNode?: number
  readonly inLibrary?: number
}

const closeFrame = clientFrame(opcodes.close, Buffer.from([0x03, 0xe8]))

/** Latencies beyond these are not kept: enough for any percentile. */
const maxLatencies = 1_000_000

/** The connections to one server, and all that is counted about them. */
export class Load {
  readonly clients: RawClient[] = []
  readonly server: ServerProcess
  readonly #target: Target
  readonly #expected: Expected
  /** What is done when messages have come. */
  onMessages: (client: RawClient, count: number) => void = () => {}
  /** How many messages have to come to a connection, all in all: one for each that it sent, unless told otherwise. */
  dueTo: (client: RawClient) => number = ({ sent }) => sent
  #latencies: Float64Array | undefined
  #latencyCount = 0
  #stopped = false
  readonly #failed: Promise<never>
  fail: (error: Error) => void = () => {}

  constructor(server: ServerProcess, target: Target, expected: Expected) {
    this.server = server
    this.#target = target
    this.#expected = expected
    this.#failed = new Promise((_, reject) => {
      this.fail = (error) => {
        if (!this.#stopped) reject(error)
      }
    })
    this.#failed.catch(() => {})
  }

  /** Opens so many more connections, some at a time, so that no backlog overflows. */
  async open(count: number): Promise<void> {
    for (let left = count; left > 0; left -= 100) {
      const opening = Array.from({ length: Math.min(left, 100) }, () =>
        RawClient.open(this.#target, this.#expected, {
          onMessages: (client, count) => {
            const extra = client.reader.messages - this.dueTo(client)
            if (extra > 0) throw new Error(`${extra} replies too many came`)
            this.onMessages(client, count)
          },
          onError: this.fail,
          onClose: () => this.fail(new Error('the server closed a connection')),
        }),
      )
      this.clients.push(...(await this.orFailed(Promise.all(opening))))
    }
  }

  /** Opens a connection, sends the frame, and closes when it has come back. */
  once(frame: Buffer): Promise<void> {
    return new Promise((resolve, reject) => {
      const events = {
        onMessages: (client: RawClient) => {
          const extra = client.reader.messages - 1
          if (extra > 0) throw new Error(`${extra} replies too many came`)
          client.write(closeFrame)
        },
        onClose: ({ reader, gotClose }: RawClient) => {
          if (reader.messages === 0) reject(new Error('the server closed a connection early'))
          else if (!gotClose) reject(new Error('the server closed a connection without a Close frame'))
          else resolve()
        },
        onError: reject,
      }
      RawClient.open(this.#target, this.#expected, events).then((client) => client.write(frame), reject)
    })
  }

  /** Waits for something, unless a connection fails before. */
  orFailed<T>(wanted: Promise<T>): Promise<T> {
    return Promise.race([wanted, this.#failed])
  }

  /** Messages so far; of those that are on their way, the part that has come. */
  get messages(): number {
    const length = this.#expected.length ?? Number.POSITIVE_INFINITY
    let total = 0
    for (const { reader } of this.clients) total += reader.messages + reader.partial / length
    return total
  }

  /** Waits until all has come that is due. @throws Error when something is missing, and nothing comes any more */
  async settle({ patience = usualPatience }: Timing): Promise<void> {
    const missing = (): number =>
      this.clients.reduce((total, client) => total + this.dueTo(client) - client.reader.messages, 0)
    let [before, since] = [this.messages, performance.now()]
    while (missing() > 0) {
      await this.orFailed(delay(20))
      if (this.messages !== before) [before, since] = [this.messages, performance.now()]
      else if (performance.now() - since > patience / 6)
        throw new Error(`${missing()} messages have not come`)
    }
  }

  addLatency(milliseconds: number): void {
    if (this.#latencies === undefined || this.#latencyCount === maxLatencies) return
    this.#latencies[this.#latencyCount++] = milliseconds * 1000
  }

  /** Lets what has been started go on, and says what it took. `count` is of what one unit of work is. */
  async measure(timing: Timing, count: () => number = () => this.messages): Promise<Sample> {
    const onWarm = (): void => {
      this.#latencies = new Float64Array(maxLatencies)
      this.#latencyCount = 0
    }
    const sample = await this.orFailed(measureCpu(this.server, timing, count, onWarm))
    return { ...sample, ...this.#percentiles() }
  }

  #percentiles(): { p50: number; p99: number } | undefined {
    const count = this.#latencyCount
    if (count === 0) return undefined
    const sorted = (this.#latencies as Float64Array).subarray(0, count).sort()
    const at = (share: number): number => sorted[Math.min(count - 1, Math.floor(count * share))] as number
    return { p50: at(0.5), p99: at(0.99) }
  }

  close(): void {
    this.#stopped = true
    for (const client of this.clients) client.destroy()
  }
}

/** A look at what has been used and done up to now. */
export function look(server: ServerProcess, count: number): Look {
  const [own, idle] = [cpuOf(process.pid), server.core === undefined ? undefined : idleOf(server.core)]
  return { count, time: performance.now(), server: server.cpu, own, idle }
}

export interface Look {
  readonly count: number
  readonly time: number
  readonly server: CpuUse
  readonly own: CpuUse
  /** Nanoseconds that the server's core had nothing to do, where it has one. */
  readonly idle: number | undefined
}

/** What happened between two looks, for each unit of work. */
export function compare(before: Look, after: Look): Sample {
  const messages = after.count - before.count
  const milliseconds = after.time - before.time
  if (messages <= 0) throw new Error(`nothing came back in ${Math.round(milliseconds)} ms`)
  const share = (nanoseconds: number): number => nanoseconds / 1e6 / milliseconds
  const used = usedBetween(before.server, after.server)
  const idle = before.idle === undefined || after.idle === undefined ? undefined : after.idle - before.idle
  return {
    messagesPerSecond: (messages / milliseconds) * 1000,
    cpuPerMessage: used / 1000 / messages,
    serverBusy: share(used),
    loadBusy: share(usedBetween(before.own, after.own)),
    // Not what the server's threads waited for a core: they also wait for each other.
    ...(idle !== undefined && { others: Math.max(0, 1 - share(used + idle)) }),
  }
}

async function untilUsed(server: ServerProcess, milliseconds: number): Promise<void> {
  const [start, before] = [performance.now(), server.cpu]
  const [step, longest] = [milliseconds / 10, milliseconds * 5]
  do await delay(step)
  while (usedBetween(before, server.cpu) / 1e6 < milliseconds && performance.now() - start < longest)
}

/** Waits, and says what the process used meanwhile. */
export async function measureCpu(
  server: ServerProcess,
  { warm, measure, watch = false, profile = false }: Timing,
  count: () => number,
  onWarm: () => void = () => {},
): Promise<Sample> {
  await untilUsed(server, warm)
  if (watch) await server.ask('watch')
  if (profile) await server.ask('profile')
  onWarm()
  const before = look(server, count())
  await untilUsed(server, measure)
  const sample = compare(before, look(server, count()))
  const delays = watch && ((await server.ask('delay')) as object)
  const shares = profile && ((await server.ask('shares')) as object)
  return { ...sample, ...delays, ...shares }
}

/** Frames in a row, kept as views of one buffer, so that any number of them up to the most is one write. */
export function frameRow(frame: Buffer, most: number): (count: number) => Buffer {
  const row = Buffer.concat(Array<Buffer>(most).fill(frame))
  const views = Array.from({ length: most + 1 }, (_, count) => row.subarray(0, count * frame.length))
  return (count) => {
    const view = views[count]
    if (view === undefined) throw new Error(`${count} messages came where ${most} can be on their way`)
    return view
  }
}
