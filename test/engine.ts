import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { defaultLimits, type Limits } from '../src/protocol/limits.ts'
import { Protocol } from '../src/protocol/protocol.ts'
import { inSlab } from './frames.ts'
import { type DecoderLimits, decodeReference, type ProtocolEvent, type Role } from './reference.ts'

/** An event as a line of text, the same for the engine and the reference: equal lines, equal meaning. */
export function renderEvent(event: ProtocolEvent): string {
  if (event.kind === 'close') return `close ${event.code} ${JSON.stringify(event.reason)}`
  if (event.kind === 'fault') return `fault ${event.code} ${event.closeCode}`
  return `${event.kind} ${renderData(event.data)}`
}

/** Short bytes as they are, long ones by length and digest. */
export function renderData(data: Uint8Array): string {
  if (data.length <= 100) return Buffer.from(data).toString('hex')
  return `(${data.length}) ${createHash('sha1').update(data).digest('hex')}`
}

/** Lines of events. */
export function renderAll(events: readonly ProtocolEvent[]): string[] {
  return events.map(renderEvent)
}

/** The limits of a connection, from those two that a decoder has. */
export function fullLimits(limits: Partial<DecoderLimits> = {}): Limits {
  return { ...defaultLimits, ...limits }
}

/** The two limits that the reference wants. */
export function decoderLimits(limits: Partial<DecoderLimits> = {}): DecoderLimits {
  const { maxFrameSize, maxMessageSize } = fullLimits(limits)
  return { maxFrameSize, maxMessageSize }
}

/** All that an engine has to send, as one buffer. */
export function takeAll(engine: Protocol): Buffer {
  const taken = engine.output.take()
  const bytes = Buffer.concat(taken instanceof Uint8Array ? [taken] : taken)
  engine.output.recycle(true)
  return bytes
}

/** How a {@link Receiver} behaves. */
export interface ReceiverOptions {
  readonly limits?: Partial<DecoderLimits>
  /** Asked at each event: whether to suspend there. The rest of the chunk is then given again. */
  readonly suspend?: () => boolean
}

/** An engine that is only fed: it notes what it hears, where, and what it answers. */
export class Receiver {
  /** What it heard; `at` is the number of bytes that had been given to it, the chunk in hand included. */
  readonly events: ProtocolEvent[] = []
  readonly engine: Protocol
  #at = 0
  #chunks = 0
  readonly #answers: Buffer[] = []

  constructor(role: Role, options: ReceiverOptions = {}) {
    const pause = (): void => {
      if (options.suspend?.() === true) this.engine.suspend()
    }
    let key = 0x1234_5678
    this.engine = new Protocol({
      role,
      limits: fullLimits(options.limits),
      mask: () => {
        key = (Math.imul(key, 1664525) + 1013904223) >>> 0
        return key
      },
      handler: {
        onMessage: (type, bytes, start, end, ascii) => {
          assert.ok(start >= 0 && start <= end && end <= bytes.length, 'a range outside its buffer')
          const data = Buffer.from(bytes.subarray(start, end))
          if (ascii) {
            assert.equal(type, 'text')
            assert.ok(
              data.every((byte) => byte < 0x80),
              'said to be ASCII and is not',
            )
          }
          this.events.push({ kind: type, data, at: this.#at })
          pause()
        },
        onPing: (payload) => {
          this.events.push({ kind: 'ping', data: Buffer.from(payload), at: this.#at })
          pause()
        },
        onPong: (payload) => {
          this.events.push({ kind: 'pong', data: Buffer.from(payload), at: this.#at })
          pause()
        },
        onClose: ({ code, reason }) => {
          this.events.push({ kind: 'close', code, reason, at: this.#at })
        },
        onFault: ({ code, closeCode, message }) => {
          assert.match(message, /^[\x20-\x7e]{1,123}$/)
          this.events.push({ kind: 'fault', code, closeCode, at: this.#at })
        },
      },
    })
  }

  /** Gives a chunk that is part of a larger slab, at changing alignment. */
  feed(bytes: Uint8Array): void {
    this.#at += bytes.length
    const { chunk, check } = inSlab(bytes, (this.#chunks++ * 5) % 8)
    let at = this.engine.receive(chunk)
    while (this.engine.suspended && at < chunk.length) {
      assert.equal(this.engine.receive(chunk, at), at, 'a suspended engine goes on')
      this.engine.resume()
      at = this.engine.receive(chunk, at)
    }
    if (this.engine.suspended) this.engine.resume()
    assert.equal(at, chunk.length, 'receive did not take the whole chunk')
    check()
    const answer = takeAll(this.engine)
    if (answer.length > 0) this.#answers.push(answer)
  }

  /** The bytes that it sent. */
  get answers(): Buffer {
    return Buffer.concat(this.#answers)
  }
}

/** Gives chunks to a new engine; returns what it heard and what its answers say, as lines. */
export function receiveAll(
  role: Role,
  chunks: readonly Uint8Array[],
  options: ReceiverOptions = {},
): { events: string[]; answers: string[] } {
  const receiver = new Receiver(role, options)
  for (const chunk of chunks) receiver.feed(chunk)
  const peer = role === 'server' ? 'client' : 'server'
  const answers = decodeReference(receiver.answers, peer, decoderLimits())
  return { events: renderAll(receiver.events), answers: answers.map(renderAnswer) }
}

/** What an engine answers by itself to what it heard: a pong for each ping, and one Close frame at the end. */
export function expectedAnswers(events: readonly ProtocolEvent[]): string[] {
  return events.flatMap((event) => {
    if (event.kind === 'ping') return [`pong ${renderData(event.data)}`]
    if (event.kind === 'close') return [`close ${event.code}`]
    return event.kind === 'fault' ? [`close ${event.closeCode}`] : []
  })
}

/** The wording of a reason is free. */
function renderAnswer(event: ProtocolEvent): string {
  return event.kind === 'close' ? `close ${event.code}` : renderEvent(event)
}
