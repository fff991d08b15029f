import assert from 'node:assert/strict'
import type { Extension } from '../src/protocol/extension.ts'
import type { SlabSource } from '../src/protocol/output.ts'
import { Protocol } from '../src/protocol/protocol.ts'
import { fullLimits, renderData, renderEvent, takeAll } from './engine.ts'
import { cut } from './frames.ts'
import type { DecoderLimits, Role } from './reference.ts'

/** How a {@link Peer} behaves. */
export interface PeerOptions {
  readonly limits?: Partial<DecoderLimits>
  readonly extensions?: readonly Extension[]
  /** Sends every message back, of the type it came in. */
  readonly echo?: boolean
}

/** Slabs that are small, used again at once, and scribbled over in between: a byte sent too late shows. */
class HarshSlabs implements SlabSource {
  readonly #free: Buffer[] = []
  /** Lent and not yet back. */
  readonly lent: Set<Buffer> = new Set()

  acquire(size: number): Buffer {
    const index = this.#free.findIndex((candidate) => candidate.length >= size)
    const [slab = Buffer.alloc(Math.max(size, 64), 0xdd)] = index < 0 ? [] : this.#free.splice(index, 1)
    this.lent.add(slab)
    return slab
  }

  release(slab: Buffer, reusable: boolean): void {
    assert.ok(this.lent.delete(slab), 'a slab comes back twice')
    if (reusable) this.#free.push(slab.fill(0xdd))
  }
}

/** One end of a connection that has no wire. */
export class Peer {
  readonly engine: Protocol
  /** What it heard, as lines. */
  readonly heard: string[] = []
  readonly slabs: HarshSlabs = new HarshSlabs()

  constructor(role: Role, options: PeerOptions = {}) {
    let key = 1
    this.engine = new Protocol({
      role,
      limits: fullLimits(options.limits),
      extensions: options.extensions,
      slabs: this.slabs,
      mask: () => {
        key = Math.imul(key, 0x9e37_79b1) + 0x5bd1_e995
        return key >>> 0
      },
      handler: {
        onMessage: (kind, bytes, start, end) => {
          const data = Buffer.from(bytes.subarray(start, end))
          this.heard.push(renderEvent({ kind, data, at: 0 }))
          if (options.echo !== true) return
          // Both ways of sending text must come to the same bytes.
          if (kind === 'text' && data.length % 2 === 0) this.engine.sendText(data.toString())
          else this.engine.sendBytes(kind, data)
        },
        onPing: (payload) => this.heard.push(`ping ${renderData(payload)}`),
        onPong: (payload) => this.heard.push(`pong ${renderData(payload)}`),
        onClose: ({ code, reason }) => this.heard.push(`close ${code} ${reason}`),
        onFault: ({ code }) => this.heard.push(`fault ${code}`),
      },
    })
  }
}

/** A server and a client, joined. */
export class Pair {
  readonly server: Peer
  readonly client: Peer

  constructor(options: PeerOptions = {}, clientOptions: PeerOptions = options) {
    this.server = new Peer('server', options)
    this.client = new Peer('client', { ...clientOptions, echo: false })
  }

  /** Carries bytes both ways until neither side has more to say; `cutAt` chooses the reads. */
  settle(cutAt: readonly number[] = []): void {
    for (let quiet = 0, turn = 0; quiet < 2; turn++) {
      const [from, to] = turn % 2 === 0 ? [this.client, this.server] : [this.server, this.client]
      const bytes = takeAll(from.engine)
      quiet = bytes.length === 0 ? quiet + 1 : 0
      const places = cutAt.map((at) => at % (bytes.length + 1)).sort((a, b) => a - b)
      for (const chunk of cut(bytes, places)) to.engine.receive(chunk)
    }
    for (const { slabs } of [this.server, this.client]) assert.equal(slabs.lent.size, 0, 'slabs are missing')
  }

  states(): string[] {
    return [this.server, this.client].map(({ engine }) => `${engine.closing} by ${engine.closedBy}`)
  }
}
