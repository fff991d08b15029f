// Sequences of events around the end of a connection, as bytes: so that they can be made at random, and kept.

import assert from 'node:assert/strict'
import { Protocol } from '../src/protocol/protocol.ts'
import { decoderLimits, fullLimits, takeAll } from './engine.ts'
import { decodeReference, type Role } from './reference.ts'

/** Codes that a Close frame may have, and none. */
const closeCodesToSend: readonly (number | undefined)[] = [
  undefined,
  1000,
  1001,
  1003,
  1009,
  1011,
  3000,
  4999,
]

/** One end of a connection that the bytes of a program drive. */
class End {
  readonly engine: Protocol
  /** Messages that it was allowed to send, and those that it heard. */
  readonly sent: string[] = []
  readonly heard: string[] = []
  /** What was said to be the end: Close frames and faults. */
  readonly ends: string[] = []
  /** All that it has ever put out, and what of it is still on its way. */
  output: Buffer = Buffer.alloc(0)
  wire: Buffer = Buffer.alloc(0)
  /** The peer's part of the transport is over. */
  cut = false

  constructor(role: Role) {
    let key = 7
    this.engine = new Protocol({
      role,
      limits: fullLimits({ maxMessageSize: 1000 }),
      mask: () => {
        key = Math.imul(key, 0x9e37_79b1) + 1
        return key >>> 0
      },
      handler: {
        onMessage: (_type, bytes, start, end) => {
          assert.deepEqual(this.ends, [], 'a message behind the end')
          this.heard.push(bytes.toString('utf8', start, end))
        },
        onPing: () => assert.deepEqual(this.ends, [], 'a ping behind the end'),
        onPong: () => assert.deepEqual(this.ends, [], 'a pong behind the end'),
        onClose: ({ code }) => void this.ends.push(`close ${code}`),
        onFault: ({ code }) => void this.ends.push(code),
      },
    })
  }

  collect(): void {
    const bytes = takeAll(this.engine)
    this.output = Buffer.concat([this.output, bytes])
    this.wire = Buffer.concat([this.wire, bytes])
  }
}

/**
 * Runs a program: each byte says what happens, some take the next as a number. Whatever happens, each side says one
 * Close frame at most and nothing behind it, hears its peer's messages in order, and ends in a state that both agree on.
 */
export function checkClosing(program: Buffer): string {
  const ends = [new End('server'), new End('client')] as const
  let disturbed = false
  let closed = false
  const move = (from: End, to: End, most: number): void => {
    from.collect()
    const bytes = Buffer.from(from.wire.subarray(0, most))
    from.wire = from.wire.subarray(bytes.length)
    if (!to.cut) to.engine.receive(bytes)
    to.collect()
  }
  const settle = (): void => {
    for (let quiet = false; !quiet; ) {
      for (const end of ends) end.collect()
      quiet = ends.every(({ wire }) => wire.length === 0)
      move(ends[0], ends[1], 2 ** 20)
      move(ends[1], ends[0], 2 ** 20)
    }
  }
  for (let at = 0; at < program.length; ) {
    const byte = program[at++] as number
    const next = (): number => program[at++] ?? 0
    const [self, peer] = byte & 0x80 ? [ends[0], ends[1]] : [ends[1], ends[0]]
    const { engine } = self
    const { closing } = engine
    switch (byte % 8) {
      case 0: {
        const text = `${self.sent.length}:${'x'.repeat(next())}`
        const taken = engine.sendText(text)
        assert.equal(taken, closing === 'open', `sendText while ${closing}`)
        if (taken) self.sent.push(text)
        break
      }
      case 1: {
        const taken = engine.sendClose(
          closeCodesToSend[next() % closeCodesToSend.length],
          'x'.repeat(next() % 124),
        )
        assert.equal(taken, closing === 'open', `sendClose while ${closing}`)
        closed ||= taken
        break
      }
      case 2:
      case 3:
        move(self, peer, 1 + next())
        break
      case 4:
        assert.equal(engine.sendPing(Buffer.alloc(next() % 126)), closing === 'open')
        break
      case 5: {
        if (byte % 3 > 0) break
        disturbed = true
        const garbage = program.subarray(at, at + 1 + (next() % 16))
        at += garbage.length
        if (!self.cut) engine.receive(Buffer.from(garbage))
        break
      }
      case 6:
        if (byte % 5 > 0) break
        disturbed = true
        self.cut = true
        engine.receiveEnd()
        assert.ok(['lost', 'done', 'failed'].includes(engine.closing), engine.closing)
        break
      default:
        settle()
    }
  }
  settle()
  ends.forEach((end, index) => {
    const other = ends[1 - index] as End
    const said = decodeReference(end.output, index === 0 ? 'client' : 'server', decoderLimits())
    assert.ok(
      said.every(({ kind }) => kind !== 'fault'),
      'what it said is not to be understood',
    )
    assert.ok(
      said.slice(0, -1).every(({ kind }) => kind !== 'close'),
      'something behind a Close frame',
    )
    assert.ok(end.ends.length <= 1, end.ends.join())
    assert.equal(said.at(-1)?.kind === 'close', end.engine.closeSent !== undefined)
    if (!disturbed) assert.deepEqual(other.heard, end.sent, 'messages were lost')
  })
  const states = ends.map(({ engine }) => engine.closing)
  if (!disturbed) {
    assert.deepEqual(states, closed ? ['done', 'done'] : ['open', 'open'])
    const by = ends.map(({ engine }) => engine.closedBy).sort()
    if (closed) assert.ok(['local,local', 'local,remote'].includes(by.join()), by.join())
    return closed ? `closed by ${by[1] === 'local' ? 'both' : 'one'}` : 'not closed'
  }
  return `disturbed: ${states.sort().join(' and ')}`
}
