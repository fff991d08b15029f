// One end of a connection in a run: it sends what its seed says, reads in one of the ways there are, and writes down both.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { setImmediate, setTimeout as sleep } from 'node:timers/promises'
import {
  broadcast,
  CloseError,
  type CloseInfo,
  type Conn,
  type ConnStats,
  type Data,
  type MessageType,
  prepare,
  type Sendable,
} from 'silverback'
import { defaultLimits } from '../../src/protocol/limits.ts'
import type { Rng } from '../generate.ts'

/** How a side takes its messages. */
export type Reading = 'messages' | 'bytes' | 'read' | 'listener' | 'streams' | 'slow'

/** What a side does when it has sent everything. */
export type Ending = 'close' | 'terminate' | 'wait'

/** What one side does. */
export interface Role {
  readonly name: string
  /** How long each of its messages is. */
  readonly sizes: readonly number[]
  readonly reading: Reading
  readonly ending: Ending
}

const readings: readonly Reading[] = ['messages', 'bytes', 'read', 'listener', 'streams', 'slow']

export function randomRole(rng: Rng, name: string, ending: Ending): Role {
  const count = rng.once(8) ? 0 : rng.below(40)
  const size = (): number =>
    rng.once(60) ? rng.below(100_000) : rng.once(6) ? rng.below(5_000) : rng.below(150)
  return { name, sizes: Array.from({ length: count }, size), reading: rng.pick(readings), ending }
}

/** What tells messages apart: no two of a run have the same. */
function keyOf(type: MessageType, bytes: Uint8Array): string {
  return `${type} ${bytes.length} ${createHash('sha1').update(bytes).digest('base64url')}`
}

function bytesOf(data: Data): Uint8Array {
  return typeof data === 'string' ? Buffer.from(data, 'utf8') : data
}

interface Slot {
  readonly key: string
  taken: boolean
}

/** One end, and what became of what it sent and got. */
export class Peer {
  readonly name: string
  readonly conn: Conn
  readonly #rng: Rng
  readonly #pending = new Set(['reading', 'sending'])
  readonly #slots: Slot[] = []
  readonly received: string[] = []
  /** Messages that `send` had to refuse: by what is documented, and not by what the connection counts. */
  refused = 0
  /** Messages that `send` took and that can never leave: they wait behind one that does not come to its end. */
  doomed = 0
  /** How reading ended: quietly, or with this. */
  readError: unknown
  info: CloseInfo | undefined
  /** It has called `close` itself, whether or not its Close frame came first. */
  closes = false
  /** A listener is not told of the end, so it cannot take it for a good one. */
  listens = false

  constructor(name: string, conn: Conn, rng: Rng) {
    this.name = name
    this.conn = conn
    this.#rng = rng
  }

  /** The messages that were taken to be sent, and not given up again, in order. */
  get accepted(): string[] {
    const taken = this.#slots.filter((slot) => slot.taken).map(({ key }) => key)
    return taken.slice(0, this.info?.stats.messagesSent ?? taken.length)
  }

  /** How many messages were taken to be sent, given up again or not. */
  get taken(): number {
    return this.#slots.filter((slot) => slot.taken).length
  }

  /** The connection's counters as they are now. */
  get stats(): ConnStats {
    return this.conn.stats
  }

  /** What has not come to its end: for a run that hangs. */
  describe(): string {
    const { state, bufferedAmount, stats } = this.conn
    return `${this.name}: ${state}, ${[...this.#pending].join(' and ')}, ${bufferedAmount} bytes wait, ${JSON.stringify(stats)}`
  }

  /** Does all that the role says; resolves when the connection has ended and all that waits for it has come back. */
  async play(role: Role): Promise<this> {
    const reading = this.#read(role.reading)
      .catch((error: unknown) => {
        this.readError = error
      })
      .then(() => this.#pending.delete('reading'))
    const sending = this.#sendAll(role).then(() => this.#pending.delete('sending'))
    // Nobody waits for a round trip on a connection that ends: that it hears of the end is what matters.
    const ping = this.conn.ping().catch((error: unknown) => {
      if (!(error instanceof CloseError)) throw error
    })
    this.info = await this.conn.closed
    await Promise.all([reading, sending, ping])
    this.#sendTooLate()
    return this
  }

  /** Sends one message and writes down whether it was taken. */
  #send(data: Sendable, type: MessageType, key: string): boolean {
    const taken = this.conn.state === 'open' && this.conn.bufferedAmount <= defaultLimits.maxSendBuffer
    const goOn = this.conn.send(data, type)
    if (taken) this.#slots.push({ key, taken })
    else this.refused++
    assert.ok(taken || !goOn, `${this.name}: a message is refused, and send says that all is well`)
    return goOn
  }

  /** What is given up when the connection is dropped was taken, and counts as dropped all the same. */
  #sendInVain(): void {
    if (this.conn.state !== 'open') return
    this.conn
      .writeStream('text')
      .write('never ends')
      .catch(() => {})
    for (const text of ['in vain', 'in vain, too']) {
      this.#send(text, 'text', keyOf('text', Buffer.from(text)))
      this.doomed++
    }
  }

  /** A message that comes too late is refused, and counted. */
  #sendTooLate(): void {
    this.#send('too late', 'text', keyOf('text', Buffer.from('too late')))
  }

  /** Sends one message to several at once, as `broadcast` does. */
  static broadcast(peers: readonly Peer[], text: string, slow: 'queue' | 'skip' | 'close'): void {
    const key = keyOf('text', Buffer.from(text))
    const before = peers.map(({ conn }) => conn.stats)
    broadcast(
      peers.map(({ conn }) => conn),
      text,
      { slow },
    )
    for (const [index, peer] of peers.entries()) {
      const { messagesSent = 0, sendsDropped = 0 } = before[index] ?? {}
      const { stats } = peer
      // Whom it leaves out, and for what, is not for the connection to say.
      if (stats.messagesSent > messagesSent) peer.#slots.push({ key, taken: true })
      peer.refused += stats.sendsDropped - sendsDropped
    }
  }

  async #sendAll({ name, sizes, ending }: Role): Promise<void> {
    const rng = this.#rng
    try {
      for (const [index, size] of sizes.entries()) {
        if (this.conn.state !== 'open') return this.#sendTooLate()
        await this.#sendOne(`${name} ${index} `, size)
        if (rng.once(5)) await setImmediate()
        if (rng.once(40)) await sleep(rng.below(20))
      }
    } catch (error) {
      // The connection ended while this waited for room.
      if (!(error instanceof CloseError)) throw error
    }
    if (ending === 'wait') return
    if (rng.once(3)) await sleep(rng.below(60))
    this.closes = true
    if (ending === 'terminate') this.#sendInVain()
    const closing =
      ending === 'terminate'
        ? this.conn.terminate()
        : this.conn.close(rng.once(4) ? 4000 : 1000, 'all is said')
    this.#sendTooLate()
    await closing
  }

  async #sendOne(head: string, size: number): Promise<void> {
    const rng = this.#rng
    const type: MessageType = rng.once(2) ? 'text' : 'binary'
    const filler = type === 'text' ? 'wörter, ' : 'some bytes that are much alike, '
    const bytes = Buffer.concat([Buffer.from(head), Buffer.alloc(size, filler)])
    // A character may be cut at the end.
    const data = type === 'text' ? bytes.toString('utf8') : bytes
    const actual = typeof data === 'string' ? Buffer.from(data, 'utf8') : data
    const key = keyOf(type, actual)
    const way = rng.below(6)
    if (way === 0) return this.#write(type, actual, key)
    if (way === 1) this.#send(prepare(data), type, key)
    else if (!this.#send(data, type, key)) await this.conn.drained()
  }

  async #write(type: MessageType, bytes: Uint8Array, key: string): Promise<void> {
    const rng = this.#rng
    const writer = this.conn.writeStream(type)
    const slot: Slot = { key, taken: false }
    this.#slots.push(slot)
    for (let at = 0; at < bytes.length; ) {
      const end = at + 1 + rng.below(bytes.length)
      await writer.write(bytes.subarray(at, end))
      at = end
    }
    slot.taken = this.conn.state === 'open'
    await writer.close()
  }

  async #read(reading: Reading): Promise<void> {
    const { conn, received } = this
    this.listens = reading === 'listener'
    const take = (type: MessageType, data: Data): void => void received.push(keyOf(type, bytesOf(data)))
    switch (reading) {
      case 'messages':
        for await (const { type, data } of conn.messages()) take(type, data)
        return
      case 'bytes':
        for await (const { type, data } of conn.messages({ text: 'bytes' })) take(type, data)
        return
      case 'slow':
        for await (const { type, data } of conn.messages()) {
          take(type, data)
          if (this.#rng.once(3)) await setImmediate()
        }
        return
      case 'read':
        for (;;) {
          const data = await conn.read()
          take(typeof data === 'string' ? 'text' : 'binary', data)
        }
      case 'listener':
        conn.onMessage((data, type) => take(type, data))
        await conn.closed
        return
      case 'streams':
        for await (const stream of conn.streams()) {
          const chunks: Uint8Array[] = []
          for await (const chunk of stream) chunks.push(chunk)
          take(stream.type, Buffer.concat(chunks))
        }
    }
  }
}
