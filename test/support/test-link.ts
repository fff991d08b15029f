import { Conn } from '../../src/conn/conn.ts'
import { Link } from '../../src/conn/link.ts'
import type { SlowPolicy } from '../../src/conn/sender.ts'
import { TimerWheel } from '../../src/conn/timer-wheel.ts'
import type { Extension } from '../../src/protocol/extension.ts'
import { type Limits, resolveLimits } from '../../src/protocol/limits.ts'
import { copyApart } from '../../src/protocol/output.ts'
import { renderEvent } from '../engine.ts'
import { type FrameSpec, frame } from '../frames.ts'
import { decodeReference, type Role } from '../reference.ts'
import { FakeClock } from './fake-clock.ts'
import { FakeStream } from './fake-stream.ts'

/** How to make a {@link TestLink}. */
export interface TestLinkOptions {
  readonly role?: Role
  readonly limits?: Partial<Limits>
  readonly slow?: SlowPolicy
  readonly extensions?: readonly Extension[]
  readonly head?: Buffer
  readonly stream?: FakeStream
}

/** A connection whose bytes, peer and time are in the hands of the test. */
export class TestLink {
  readonly stream: FakeStream
  readonly clock: FakeClock = new FakeClock()
  readonly wheel: TimerWheel = new TimerWheel(this.clock)
  readonly link: Link
  readonly conn: Conn
  /** What listeners threw. */
  readonly errors: unknown[] = []
  /** How often the end was told. */
  ends = 0
  readonly #role: Role

  constructor(options: TestLinkOptions = {}) {
    const { role = 'server', limits, slow = 'close', extensions = [], head = Buffer.alloc(0) } = options
    this.stream = options.stream ?? new FakeStream()
    this.#role = role
    this.link = new Link({
      socket: this.stream,
      role,
      limits: resolveLimits(limits),
      slow,
      extensions,
      head,
      owner: {
        onListenerError: (error) => this.errors.push(error),
        onClosed: () => this.ends++,
      },
      wheel: this.wheel,
    })
    this.conn = new Conn(this.link, { subprotocol: '', extensions: '', remoteAddress: undefined })
  }

  /** The bytes of a frame as the peer sends it. */
  frame(spec: FrameSpec): Buffer {
    return frame(this.#role === 'server' ? { mask: Buffer.from('mask'), ...spec } : spec)
  }

  /** The peer sends frames, in one chunk, which is read by the time this resolves. */
  async receive(...specs: FrameSpec[]): Promise<void> {
    // As from the network: a chunk of its own, not cut from Node's pool.
    this.stream.push(copyApart(Buffer.concat(specs.map((spec) => this.frame(spec)))))
    await turn()
  }

  /** The peer sends texts, in one chunk. */
  receiveTexts(...texts: string[]): Promise<void> {
    return this.receive(...texts.map((payload) => ({ opcode: 1, payload })))
  }

  /** What the peer has got, as lines such as `text 6869`. */
  sent(): string[] {
    const peer = this.#role === 'server' ? 'client' : 'server'
    const limit = 1 << 30
    const events = decodeReference(this.stream.written, peer, { maxFrameSize: limit, maxMessageSize: limit })
    return events.map(renderEvent)
  }

  /** Lets time pass in steps, with a turn of the event loop at each. */
  async pass(milliseconds: number): Promise<void> {
    for (let left = milliseconds; left > 0; left -= 100) {
      this.clock.advance(Math.min(left, 100))
      await turn()
    }
  }
}

/** Two turns of the event loop: what was begun has been read, answered and flushed. */
export async function turn(): Promise<void> {
  for (let i = 0; i < 2; i++) await new Promise((resolve) => setImmediate(resolve))
}
