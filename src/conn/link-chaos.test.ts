import assert from 'node:assert/strict'
import { type Duplex, duplexPair } from 'node:stream'
import { after, before, describe, it } from 'node:test'
import fc from 'fast-check'
import { FakeClock } from '../../test/support/fake-clock.ts'
import { turn } from '../../test/support/test-link.ts'
import { resolveLimits } from '../protocol/limits.ts'
import type { CloseInfo } from '../session/close-info.ts'
import { CloseError } from '../session/errors.ts'
import { Conn } from './conn.ts'
import { Link } from './link.ts'
import { TimerWheel } from './timer-wheel.ts'

// Two connections, joined in memory, on which anything happens in any order. Whatever that was, in the end every promise is
// settled, no deadline is left, and each side has got, in order and without a gap, what the other one sent.

const limits = resolveLimits({
  maxQueuedMessages: 3,
  maxQueuedBytes: 5000,
  maxSendBuffer: 1 << 30,
  pingInterval: 1000,
  pongTimeout: 2000,
  closeTimeout: 1000,
})

const unhandled: unknown[] = []
const note = (reason: unknown): void => void unhandled.push(reason)
before(() => void process.on('unhandledRejection', note))
after(() => void process.off('unhandledRejection', note))

/** One end. */
class End {
  readonly conn: Conn
  readonly clock: FakeClock
  readonly stream: Duplex
  readonly sent: string[] = []
  readonly got: string[] = []
  /** All promises that were handed out. */
  readonly promises: Promise<unknown>[] = []
  /** Whether this end did something after which messages may be missing. */
  cut = false
  ends = 0

  constructor(role: 'server' | 'client', stream: Duplex, clock: FakeClock) {
    this.stream = stream
    this.clock = clock
    const link = new Link({
      socket: stream,
      role,
      limits,
      slow: 'close',
      extensions: [],
      head: Buffer.alloc(0),
      owner: {
        onListenerError: (error) => assert.fail(String(error)),
        onClosed: () => this.ends++,
      },
      wheel: new TimerWheel(clock),
    })
    this.conn = new Conn(link, { subprotocol: '', extensions: '', remoteAddress: undefined })
  }

  send(size: number): void {
    const text = `${this.sent.length};`.padEnd(size, 'x')
    if (this.conn.state !== 'open') return
    this.conn.send(size % 2 === 0 ? text : Buffer.from(text))
    this.sent.push(text)
  }

  read(signal?: AbortSignal): void {
    const read = this.conn.read({ signal }).then((data) => this.got.push(data.toString()))
    this.promises.push(read)
    read.catch((error: unknown) => {
      if (!(error instanceof CloseError)) assert.equal(signal?.aborted, true)
    })
  }

  async readToTheEnd(): Promise<void> {
    for (;;) {
      const data = await this.conn.read().catch(() => undefined)
      if (data === undefined) return
      this.got.push(data.toString())
    }
  }
}

type Action =
  | { readonly kind: 'send'; readonly size: number; readonly count: number }
  | {
      readonly kind:
        | 'read'
        | 'cancelled read'
        | 'ping'
        | 'drained'
        | 'turn'
        | 'stall'
        | 'close'
        | 'terminate'
        | 'FIN'
    }
  | { readonly kind: 'time'; readonly milliseconds: number }

const usual: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('send' as const),
      size: fc.oneof(fc.nat(200), fc.nat(3000), fc.nat(90_000)),
      count: fc.integer({ min: 1, max: 6 }),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constantFrom(
        'read',
        'read',
        'read',
        'cancelled read',
        'ping',
        'drained',
        'turn',
        'turn',
        'stall',
      ),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('time' as const), milliseconds: fc.nat(900) }) },
)

const ending: fc.Arbitrary<Action> = fc.record({
  kind: fc.constantFrom('close', 'close', 'terminate', 'FIN'),
})

type Step = readonly [server: boolean, action: Action]
const steps = (action: fc.Arbitrary<Action>, maxLength: number): fc.Arbitrary<Step[]> =>
  fc.array(fc.tuple(fc.boolean(), action), { maxLength })

async function act(end: End, action: Action): Promise<void> {
  const { conn, promises, stream } = end
  if (action.kind === 'send') for (let i = 0; i < action.count; i++) end.send(action.size)
  else if (action.kind === 'read') end.read()
  else if (action.kind === 'cancelled read') {
    const controller = new AbortController()
    end.read(controller.signal)
    await Promise.resolve()
    controller.abort()
  } else if (action.kind === 'ping') promises.push(conn.ping())
  else if (action.kind === 'drained') promises.push(conn.drained())
  else if (action.kind === 'turn') await turn()
  else if (action.kind === 'stall') {
    // The peer is not read for a while, whatever the connection itself thinks of it.
    stream.pause()
    void turn().then(() => conn.state === 'open' && stream.resume())
  } else if (action.kind === 'time') {
    for (let left = action.milliseconds; left > 0; left -= 100) {
      end.clock.advance(Math.min(left, 100))
      await turn()
    }
  } else if (action.kind === 'close') promises.push(conn.close())
  else {
    end.cut = true
    if (action.kind === 'terminate') conn.terminate()
    else stream.end()
  }
}

/** Whether the messages that one got are what the other one sent: all of them, or only the first ones. */
function assertPrefix(got: readonly string[], sent: readonly string[], all: boolean): void {
  assert.deepEqual(
    got.map((text) => text.slice(0, 12)),
    sent.slice(0, got.length).map((text) => text.slice(0, 12)),
  )
  assert.ok(got.every((text, i) => text === sent[i]))
  if (all) assert.equal(got.length, sent.length)
}

async function play(happening: readonly Step[], end: readonly Step[], reads: boolean): Promise<void> {
  const [one, two] = duplexPair()
  const clock = new FakeClock()
  const server = new End('server', one, clock)
  const client = new End('client', two, clock)
  const both = [server, client] as const
  for (const [side, action] of [...happening, ...end]) await act(side ? server : client, action)

  // Then everything comes to its end. While nobody begins to close, readers alone must get all.
  for (const { stream } of both) stream.resume()
  const readers = reads ? both.map((each) => each.readToTheEnd()) : []
  const closed: CloseInfo[] = []
  for (const { conn } of both) void conn.closed.then((info) => closed.push(info))
  const quiet = both.every(({ conn, cut }) => conn.state === 'open' && !cut)
  if (quiet && reads) {
    for (
      let i = 0;
      i < 400 && (server.got.length < client.sent.length || client.got.length < server.sent.length);
      i++
    )
      await turn()
    assertPrefix(server.got, client.sent, true)
    assertPrefix(client.got, server.sent, true)
  }
  for (const { conn, promises } of both) promises.push(conn.close())
  for (let i = 0; i < 200 && closed.length < 2; i++) {
    clock.advance(100)
    await turn()
  }
  assert.equal(closed.length, 2, 'not closed')
  await Promise.allSettled([...readers, ...both.flatMap(({ promises }) => promises)])
  assertPrefix(server.got, client.sent, false)
  assertPrefix(client.got, server.sent, false)
  assert.deepEqual([server.ends, client.ends, clock.running], [1, 1, 0])
  // Begun at a time when nobody reads, a closing handshake may come to nothing: the Close frame waits behind messages.
  if (end.length === 0) {
    for (const { conn } of both) {
      const { error, wasClean } = await conn.closed
      assert.deepEqual([error, wasClean], [undefined, true])
    }
  }
  await turn()
  assert.deepEqual(unhandled, [])
}

describe('two connections on which anything happens', () => {
  it('deliver everything and end in order', async () => {
    await fc.assert(
      fc.asyncProperty(steps(usual, 40), fc.boolean(), (happening, reads) => play(happening, [], reads)),
      { numRuns: 60 },
    )
  })

  it('deliver a beginning and end, however one of them ends it', async () => {
    await fc.assert(
      fc.asyncProperty(
        steps(usual, 20),
        fc.tuple(fc.boolean(), ending),
        steps(fc.oneof({ weight: 5, arbitrary: usual }, { weight: 1, arbitrary: ending }), 10),
        fc.boolean(),
        (happening, end, later, reads) => play(happening, [end, ...later], reads),
      ),
      { numRuns: 100 },
    )
  })
})
