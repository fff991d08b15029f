import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { deflateRawSync, inflateRawSync, constants as zlib } from 'node:zlib'
import { driveBroadcast, driveConnect, driveEcho, driveIdle } from './drives.ts'
import { clientFrame, type Message, opcodes } from './frames.ts'
import { Load, type Sample, type Timing } from './load.ts'
import type { Expected } from './message-reader.ts'
import type { Target } from './raw-client.ts'
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
export function settingsOf({ drive, kind, deflate, tls, message }: Workload): string {
  const fixture = (name: string): string =>
    fileURLToPath(new URL(`../test/fixtures/${name}`, import.meta.url))
  return JSON.stringify({
    drive,
    kind,
    deflate,
    maxMessageSize: Math.max(1024 * 1024, message.payload.length),
    ...(tls && { cert: fixture('localhost.crt'), key: fixture('localhost.key') }),
  })
}

/** The core for servers; this process has the other. */
export const serverCore: number | undefined =
  process.platform === 'linux' && availableParallelism() > 0 ? 1 : undefined

/** One round of one contestant. @throws Error when it does not start or answers wrongly */
export async function measure(
  contestant: Contestant,
  given: Workload,
  timing: Timing,
  core: number | undefined,
): Promise<Sample> {
  const workload = spokenBy(contestant, given)
  const command = contestant.command(settingsOf(workload))
  if (typeof command === 'string') throw new Error(command)
  const server = await ServerProcess.start(command, core)
  try {
    const memoryBefore = server.memory.now
    const load = new Load(
      server,
      targetOf(contestant, workload, server.port),
      expectedOf(contestant, workload),
    )
    try {
      const frame = frameOf(workload)
      const sample = await drives[workload.drive as keyof typeof drives]({ load, workload, frame, timing })
      const peakBytes = (server.memory.peak - memoryBefore) / workload.connections
      return { peakBytes, ...sample }
    } finally {
      load.close()
    }
  } finally {
    await server.stop()
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
