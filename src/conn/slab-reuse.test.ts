import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import { after, describe, it } from 'node:test'
import fc from 'fast-check'
import { assertNoLeaks } from '../../test/leaks.ts'
import { type ConnectedPair, connectedPair } from '../../test/support/connected-pair.ts'
import { until } from '../../test/support/until.ts'
import { prepare } from '../session/prepared.ts'
import type { Conn } from './conn.ts'

// All connections of the process write from the same slabs, each of which serves the next as soon as its bytes have left. If one
// did so too early, the bytes of one message would turn up in another: so many connections send at a time here, first
// until the kernel takes no more, then to peers that read by fits and starts, and every message is compared.

after(() => assertNoLeaks())

const KiB = 1024

/** How one end sends, and reads. */
interface Plan {
  readonly sizes: readonly number[]
  /** After how many messages the sender lets others go on. */
  readonly burst: number
  /** After how many chunks the receiver stops reading for some turns; 0 for never. */
  readonly stutter: number
}

const plan: fc.Arbitrary<Plan> = fc.record({
  sizes: fc.array(
    fc.oneof(
      { weight: 6, arbitrary: fc.nat(300) },
      { weight: 3, arbitrary: fc.nat(20 * KiB) },
      { weight: 1, arbitrary: fc.integer({ min: 40 * KiB, max: 300 * KiB }) },
      {
        weight: 1,
        arbitrary: fc.constantFrom(0, 125, 126, 2048, 16 * KiB, 16 * KiB + 1, 64 * KiB, 64 * KiB + 1),
      },
    ),
    { minLength: 40, maxLength: 80 },
  ),
  burst: fc.integer({ min: 1, max: 30 }),
  stutter: fc.nat(4),
})

async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve))
}

/** One direction of a connection. */
class Flow {
  readonly #name: string
  readonly #sender: Conn
  readonly #receiver: Conn
  /** The receiver's socket. */
  readonly #socket: Socket
  /** The sizes of all messages, as they were sent. */
  readonly #sizes: number[] = []
  #read = 0

  constructor(name: string, sender: Conn, receiver: Conn, socket: Socket) {
    this.#name = name
    this.#sender = sender
    this.#receiver = receiver
    this.#socket = socket
  }

  /** Sends until the kernel takes no more, to a peer that does not read. */
  async fill(): Promise<void> {
    this.#socket.pause()
    while (this.#sender.bufferedAmount < 100 * KiB) {
      // Large enough to get the kernel full, small enough to be written from a slab.
      for (let i = 0; i < 4; i++) this.#send(15 * KiB)
      await turns(1)
    }
  }

  /** Sends as planned while the peer reads by fits and starts; compares all that comes. */
  async pump({ sizes, burst, stutter }: Plan): Promise<void> {
    let chunks = 0
    const onData = (): void => {
      if (stutter === 0 || ++chunks % stutter !== 0) return
      this.#socket.pause()
      void turns(chunks % 4).then(() => this.#socket.resume())
    }
    this.#socket.on('data', onData)
    this.#socket.resume()
    const expected = this.#sizes.length + sizes.length
    const sent = (async () => {
      for (const [index, size] of sizes.entries()) {
        const roomy = this.#send(size)
        // Most stop when they are told to; every third goes on until much waits.
        if (!roomy && index % 3 !== 0) await this.#sender.drained()
        else if (index % burst === 0) await turns(1)
      }
    })()
    while (this.#read < expected) await this.#compare()
    await sent
    this.#socket.off('data', onData)
  }

  #send(size: number): boolean {
    const index = this.#sizes.push(size) - 1
    const bytes = this.#content(index)
    if (index % 4 === 0) return this.#sender.send(bytes)
    if (index % 4 === 1) return this.#sender.send(bytes.toString('latin1'))
    return index % 4 === 2 ? this.#sender.send(prepare(bytes)) : this.#sender.send(bytes, 'text')
  }

  async #compare(): Promise<void> {
    const data = await this.#receiver.read()
    const got = typeof data === 'string' ? Buffer.from(data, 'latin1') : Buffer.from(data)
    const index = this.#read++
    assert.ok(got.equals(this.#content(index)), `${this.#name}: message ${index} is another`)
  }

  /** No other message looks like it. */
  #content(index: number): Buffer {
    const size = this.#sizes[index] as number
    return Buffer.alloc(size, `${this.#name}/${index}/${size};`)
  }
}

const limits = { maxSendBuffer: 1 << 30, pingInterval: 0 }

describe('what is sent on many connections at a time', () => {
  for (const [what, count, tls] of [
    ['TCP', 6, false],
    // More than the pool has slabs for.
    ['TCP, many at a time', 40, false],
    ['TLS', 3, true],
  ] as const) {
    it(`arrives as it was, over ${what}`, async () => {
      const pairs: ConnectedPair[] = await Promise.all(
        Array.from({ length: count }, () => connectedPair({ tls, server: { limits }, client: { limits } })),
      )
      const flows = pairs.flatMap(({ server, client, serverSocket, clientSocket }, i) => [
        new Flow(`from server ${i}`, server, client, clientSocket),
        new Flow(`from client ${i}`, client, server, serverSocket),
      ])
      try {
        await fc.assert(
          fc.asyncProperty(fc.array(plan, { minLength: 3, maxLength: 5 }), async (plans) => {
            if (count < 10) await Promise.all(flows.map((flow) => flow.fill()))
            await Promise.all(flows.map((flow, i) => flow.pump(plans[i % plans.length] as Plan)))
          }),
          // A failed run leaves messages behind on the connections: there is nothing to shrink with.
          { numRuns: count < 10 ? 2 : 1, endOnFailure: true },
        )
        await until(() => pairs.every(({ server }) => server.bufferedAmount === 0), 'all to have left')
      } finally {
        await Promise.all(pairs.map((pair) => pair[Symbol.asyncDispose]()))
      }
    })
  }
})
