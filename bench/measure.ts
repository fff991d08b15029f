import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { deflateRawSync, inflateRawSync, constants as zlib } from 'node:zlib'
import { driveBroadcast, driveConnect, driveEcho, driveIdle } from './drives.ts'
import { clientFrame, type Message, opcodes, serverFrame } from './frames.ts'
import { deadlineOf, Load, measureCpu, type Sample, type Timing } from './load.ts'
import type { Expected } from './message-reader.ts'
import type { Target } from './raw-client.ts'
import { RawServer } from './raw-server.ts'
import { ServerProcess } from './server-process.ts'
import type { Contestant } from './servers.ts'
import type { Workload } from './workloads.ts'

const drives = {
  echo: driveEcho,
  broadcast: driveBroadcast,
  connect: driveConnect,
  idle: driveIdle,
} as const

/** What a contestant is told about a workload. */
function settingsOf({ drive, kind, deflate, tls, message }: Workload): object {
  const fixture = (name: string): string =>
    fileURLToPath(new URL(`../test/fixtures/${name}`, import.meta.url))
  return {
    drive,
    kind,
    deflate,
    maxMessageSize: Math.max(1024 * 1024, message.payload.length),
    ...(tls && { cert: fixture('localhost.crt'), key: fixture('localhost.key') }),
  }
}

/**
 * One round of one contestant, on a core of its own when one is given.
 *
 * @throws Error when it does not start, or answers wrongly
 */
export function measure(
  contestant: Contestant,
  workload: Workload,
  timing: Timing,
  core: number | undefined,
): Promise<Sample> {
  const spoken = spokenBy(contestant, workload)
  const run = workload.drive === 'client' ? measureClient : measureServer
  return run(contestant, spoken, timing, core)
}

async function start(
  contestant: Contestant,
  settings: object,
  core: number | undefined,
): Promise<ServerProcess> {
  const command = contestant.command(JSON.stringify(settings))
  if (typeof command === 'string') throw new Error(command)
  return ServerProcess.start(command, core)
}

async function measureServer(
  contestant: Contestant,
  workload: Workload,
  timing: Timing,
  core: number | undefined,
): Promise<Sample> {
  const server = await start(contestant, settingsOf(workload), core)
  const load = new Load(server, targetOf(contestant, workload, server.port), expectedOf(contestant, workload))
  const longest = deadlineOf(timing)
  const late = new Error(`it was not through after ${Math.ceil(longest / 1000)} s`)
  const deadline = setTimeout(() => load.fail(late), longest)
  try {
    const memoryBefore = server.memory.now
    const frame = frameOf(workload)
    const sample = await drives[workload.drive as keyof typeof drives]({ load, workload, frame, timing })
    // Connections that come and go hold nothing that could be told by their number.
    if (workload.drive === 'connect') return sample
    return { peakBytes: (server.memory.peak - memoryBefore) / workload.connections, ...sample }
  } finally {
    clearTimeout(deadline)
    load.close()
    await server.stop()
  }
}

/** Milliseconds for all connections of a client to be made. */
const connectTimeout = 60_000

async function measureClient(
  contestant: Contestant,
  workload: Workload,
  timing: Timing,
  core: number | undefined,
): Promise<Sample> {
  const { message, connections, inFlight } = workload
  const expected = expectedOf(contestant, workload)
  const reply = serverFrame(opcodes[message.type], message.payload)
  let wrong: Error | undefined
  const server = await RawServer.listen(expected, reply, inFlight, (error) => {
    wrong ??= error
  })
  try {
    const settings = {
      ...settingsOf(workload),
      url: `ws://127.0.0.1:${server.port}/`,
      connections,
      inFlight,
      payload: message.payload.toString('base64'),
    }
    const client = await start(contestant, settings, core)
    try {
      const memoryBefore = client.memory.now
      const talking = (): boolean =>
        server.readers.length === connections && server.readers.every(({ messages }) => messages > 0)
      for (const since = performance.now(); !talking(); await delay(20)) {
        if (performance.now() - since > connectTimeout)
          throw new Error('the client has not connected in time')
      }
      const count = (): number => server.readers.reduce((total, { messages }) => total + messages, 0)
      const sample = await measureCpu(client, timing, count)
      if (wrong !== undefined) throw wrong
      return { ...sample, peakBytes: (client.memory.peak - memoryBefore) / connections }
    } finally {
      await client.stop()
    }
  } finally {
    server.close()
  }
}

function targetOf({ dialect }: Contestant, { tls, deflate }: Workload, port: number): Target {
  const socketIo = dialect === 'socket.io'
  return {
    port,
    path: socketIo ? '/socket.io/?EIO=4&transport=websocket' : '/',
    tls,
    deflate,
    // A packet that asks for the main namespace.
    hello: socketIo ? clientFrame(opcodes.text, Buffer.from('40')) : undefined,
  }
}

/** The workload as it looks in the contestant's protocol. */
function spokenBy({ dialect }: Contestant, workload: Workload): Workload {
  if (dialect === undefined) return workload
  // An event named m, with the text as its argument.
  const payload = Buffer.from(`42${JSON.stringify(['m', workload.message.payload.toString()])}`)
  return { ...workload, message: { type: 'text', payload } }
}

function frameOf({ message: { type, payload }, deflate }: Workload): Buffer {
  if (!deflate) return clientFrame(opcodes[type], payload)
  // RFC 7692, 7.2.1: the four bytes that end a flush are left out.
  const flushed = deflateRawSync(payload, { finishFlush: zlib.Z_SYNC_FLUSH })
  return clientFrame(opcodes[type], flushed.subarray(0, -4), true)
}

const flushEnd = Buffer.from([0, 0, 0xff, 0xff])

function expectedOf({ dialect }: Contestant, { message, kind, deflate }: Workload): Expected {
  return {
    // Socket.IO's own: its open and connect packets first, later a ping of one byte.
    ...(dialect === 'socket.io' && { greetings: 2, noise: 1 }),
    length: undefined,
    check(bytes, opcode, compressed) {
      if (opcode !== opcodes[message.type]) return `its opcode is ${opcode}`
      if (compressed !== deflate) return compressed ? 'it is compressed' : 'it is not compressed'
      const payload = compressed
        ? inflateRawSync(Buffer.concat([bytes, flushEnd]), { finishFlush: zlib.Z_SYNC_FLUSH })
        : bytes
      return isSame(payload, message, kind) ? undefined : `'${payload.toString('latin1', 0, 40)} ...'`
    },
  }
}

function isSame(payload: Buffer, message: Message, kind: Workload['kind']): boolean {
  if (kind !== 'json') return payload.equals(message.payload)
  // Writers of JSON differ in blanks.
  const anew = (text: Buffer): string => JSON.stringify(JSON.parse(text.toString()))
  return anew(payload) === anew(message.payload)
}
