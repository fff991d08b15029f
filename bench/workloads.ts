import { binaryMessage, jsonMessage, type Message, textMessage } from './frames.ts'

/** What a server does with a message. */
export type Kind = 'echo' | 'json' | 'broadcast'

/** How the load generator works a server. */
export type Drive = 'echo' | 'broadcast' | 'connect' | 'idle' | 'client'

export interface Workload {
  readonly name: string
  readonly title: string
  readonly drive: Drive
  readonly kind: Kind
  readonly message: Message
  readonly connections: number
  /** Messages on their way at a time, of each connection that sends. */
  readonly inFlight: number
  /** How many connections send, where not all do. */
  readonly publishers?: number
  readonly deflate: boolean
  readonly tls: boolean
}

type Given = Pick<Workload, 'name' | 'title' | 'message'> & Partial<Workload>

function workload(given: Given): Workload {
  const defaults = {
    drive: 'echo',
    kind: 'echo',
    connections: 64,
    inFlight: 1,
    deflate: false,
    tls: false,
  } as const
  return { ...defaults, ...given }
}

const KiB = 1024
const MiB = KiB * KiB

export function echoOf(message: Message, connections: number, inFlight: number, name = 'echo'): Workload {
  const title = `echo of ${sizeName(message.payload.length)} ${message.type}, ${connections === 1 ? '1 connection' : `${connections} connections`}, ${inFlight} in flight`
  return workload({ name, title, message, connections, inFlight })
}

export function broadcastTo(audience: number, publishers: number, name = 'broadcast'): Workload {
  const who = publishers === 1 ? '1 publisher' : `${publishers} publishers`
  return workload({
    name,
    title: `broadcast of 125 B text to ${audience.toLocaleString('en')}, ${who}`,
    drive: 'broadcast',
    kind: 'broadcast',
    message: textMessage(125),
    connections: audience,
    publishers,
  })
}

export function sizeName(size: number): string {
  if (size >= MiB) return `${size / MiB} MiB`
  return size >= KiB ? `${size / KiB} KiB` : `${size} B`
}

const deflated = { message: jsonMessage(KiB), deflate: true }

export const workloads: readonly Workload[] = [
  workload({
    name: 'echo-alone',
    title: 'echo of 125 B binary, one connection, 1 in flight',
    message: binaryMessage(125),
    connections: 1,
  }),
  echoOf(binaryMessage(125), 64, 1, 'echo-1'),
  echoOf(textMessage(32), 64, 16, 'echo-16-text-32'),
  echoOf(binaryMessage(125), 64, 16, 'echo-16'),
  echoOf(textMessage(KiB), 64, 16, 'echo-16-text-1k'),
  echoOf(binaryMessage(64 * KiB), 64, 1, 'echo-64k'),
  echoOf(binaryMessage(MiB), 16, 1, 'echo-1m'),
  echoOf(binaryMessage(16 * MiB), 4, 1, 'echo-16m'),
  broadcastTo(500, 1, 'broadcast-500'),
  broadcastTo(500, 16, 'broadcast-500-16'),
  broadcastTo(5000, 1, 'broadcast-5000'),
  broadcastTo(5000, 16, 'broadcast-5000-16'),
  workload({
    name: 'chat',
    title: 'chat: 200 talk (60 B text), all hear',
    drive: 'broadcast',
    kind: 'broadcast',
    message: textMessage(60),
    connections: 200,
    publishers: 200,
  }),
  workload({
    name: 'json',
    title: 'echo of 256 B JSON, parsed and written anew, 16 in flight',
    kind: 'json',
    message: jsonMessage(256),
    inFlight: 16,
  }),
  workload({ ...deflated, name: 'deflate', title: 'deflated echo of 1 KiB JSON, 1 in flight' }),
  workload({
    ...deflated,
    name: 'deflate-broadcast',
    title: 'deflated broadcast of 1 KiB JSON to 500, 1 publisher',
    drive: 'broadcast',
    kind: 'broadcast',
    connections: 500,
    publishers: 1,
  }),
  workload({
    name: 'connect',
    title: 'connect, echo 125 B, close: 64 at a time',
    drive: 'connect',
    message: binaryMessage(125),
  }),
  workload({
    name: 'idle-10000',
    title: '10,000 idle connections',
    drive: 'idle',
    message: textMessage(125),
    connections: 10_000,
    inFlight: 0,
  }),
  workload({
    ...deflated,
    name: 'idle-deflate',
    title: '2,000 idle connections, after 2 compressed messages each',
    drive: 'idle',
    connections: 2000,
    inFlight: 2,
  }),
  workload({
    name: 'tls',
    title: 'echo of 125 B binary over TLS, 1 in flight',
    message: binaryMessage(125),
    tls: true,
  }),
  workload({
    name: 'client',
    title: 'client: 1,000 connections in one process, echo of 125 B binary, 16 in flight',
    drive: 'client',
    message: binaryMessage(125),
    connections: 1000,
    inFlight: 16,
  }),
]
