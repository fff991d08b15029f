import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import fc from 'fast-check'
import { assertNoLeaks } from '../../test/leaks.ts'
import { type ConnectedPair, connectedPair } from '../../test/support/connected-pair.ts'
import type { Data } from '../session/message.ts'
import { prepare } from '../session/prepared.ts'
import type { Conn } from './conn.ts'

// All connections of the process write from the same slabs, each of which serves the next as soon as its bytes have left. If one
// did so too early, the bytes of one message would turn up in another: so many connections send at a time here, most of
// them to a peer that reads by fits and starts, and every message is compared.

after(() => assertNoLeaks())

const KiB = 1024

/** A message of this many bytes that no other one looks like. */
function content(name: string, index: number, size: number): Buffer {
  return Buffer.alloc(size, `${name}/${index}/${size};`)
}

interface Plan {
  readonly sizes: readonly number[]
  /** After how many messages of its own the sender lets others go on. */
  readonly burst: number
  /** Chunks after which the receiver stops reading for some turns; 0 for never. */
  readonly stutter: number
}

const size = fc.oneof(
  { weight: 6, arbitrary: fc.nat(300) },
  { weight: 3, arbitrary: fc.nat(20 * KiB) },
  { weight: 1, arbitrary: fc.integer({ min: 40 * KiB, max: 300 * KiB }) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(0, 125, 126, 2048, 16 * KiB, 16 * KiB + 1, 64 * KiB, 64 * KiB + 1),
  },
)

const plan: fc.Arbitrary<Plan> = fc.record({
  sizes: fc.array(size, { minLength: 60, maxLength: 100 }),
  burst: fc.integer({ min: 1, max: 30 }),
  stutter: fc.nat(6),
})

const turns = async (count: number): Promise<void> => {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve))
}

async function send(conn: Conn, name: string, { sizes, burst }: Plan): Promise<void> {
  for (const [index, size] of sizes.entries()) {
    const bytes = content(name, index, size)
    const roomy =
      index % 4 === 0
        ? conn.send(bytes)
        : index % 4 === 1
          ? conn.send(bytes.toString('latin1'))
          : index % 4 === 2
            ? conn.send(prepare(bytes))
            : conn.send(bytes, 'text')
    // Most stop when they are told to; every third goes on until much waits.
    if (!roomy && index % 3 !== 0) await conn.drained()
    else if (index % burst === 0) await turns(1)
  }
}

async function receive(conn: Conn, name: string, { sizes }: Plan): Promise<void> {
  for (const [index, size] of sizes.entries()) {
    const data: Data = await conn.read()
    const got = typeof data === 'string' ? Buffer.from(data, 'latin1') : Buffer.from(data)
    assert.ok(got.equals(content(name, index, size)), `${name}: message ${index} of ${size} bytes is another`)
  }
}

/** Makes the end that this socket belongs to read by fits and starts, until it is told to stop that. */
function stutter({ serverSocket, clientSocket }: ConnectedPair, every: number): () => void {
  if (every === 0) return () => {}
  let stopped = false
  let chunks = 0
  for (const socket of [serverSocket, clientSocket]) {
    socket.on('data', () => {
      if (stopped || ++chunks % every !== 0) return
      socket.pause()
      void turns(chunks % 20).then(() => socket.resume())
    })
  }
  return () => {
    stopped = true
  }
}

/** All connections send both ways at a time. */
async function pump(pairs: readonly ConnectedPair[], plans: readonly Plan[]): Promise<void> {
  await Promise.all(
    pairs.map(async (pair, i) => {
      const theirs = plans[i % plans.length] as Plan
      const ours = plans[(i + 1) % plans.length] as Plan
      const stop = stutter(pair, theirs.stutter)
      await Promise.all([
        send(pair.server, `server ${i}`, ours),
        send(pair.client, `client ${i}`, theirs),
        receive(pair.client, `server ${i}`, ours),
        receive(pair.server, `client ${i}`, theirs),
      ])
      stop()
    }),
  )
}

const limits = { maxSendBuffer: 1 << 30, pingInterval: 0 }

async function connect(count: number, tls: boolean): Promise<ConnectedPair[]> {
  return Promise.all(
    Array.from({ length: count }, () => connectedPair({ tls, server: { limits }, client: { limits } })),
  )
}

describe('what is sent on many connections at a time', () => {
  for (const [what, count, tls] of [
    ['TCP', 10, false],
    // More than the pool has slabs for.
    ['TCP, many at a time', 40, false],
    ['TLS', 4, true],
  ] as const) {
    it(`arrives as it was, over ${what}`, async () => {
      const pairs = await connect(count, tls)
      try {
        await fc.assert(
          fc.asyncProperty(fc.array(plan, { minLength: 3, maxLength: 5 }), (plans) => pump(pairs, plans)),
          // A failed run leaves messages behind on the connections: nothing to shrink with.
          { numRuns: count > 20 ? 1 : 3, endOnFailure: true },
        )
      } finally {
        await Promise.all(pairs.map((pair) => pair[Symbol.asyncDispose]()))
      }
    })
  }
})
