import assert from 'node:assert/strict'
import { type Duplex, duplexPair } from 'node:stream'
import { after, before, describe, it } from 'node:test'
import fc from 'fast-check'
import { FakeClock } from '../../test/support/fake-clock.ts'
import { turn } from '../../test/support/test-link.ts'
import { until } from '../../test/support/until.ts'
import { Deflate } from '../protocol/deflate.ts'
import { resolveLimits } from '../protocol/limits.ts'
import type { CloseInfo } from '../session/close-info.ts'
import { CloseError } from '../session/errors.ts'
import { prepare } from '../session/prepared.ts'
import { Conn } from './conn.ts'
import { Link } from './link.ts'
import type { MessageWriter } from './message-writer.ts'
import { TimerWheel } from './timer-wheel.ts'

// Two connections, joined in memory, on which messages of all sizes are sent whole and piece by piece, and read whole,
// piece by piece, in part or not at all, while anything happens to the connections. Whatever that was, in the end every
// promise is settled, no deadline is left, and each side has got, in order and without a gap, what the other one sent.

const unhandled: unknown[] = []
const note = (reason: unknown): void => void unhandled.push(reason)
before(() => void process.on('unhandledRejection', note))
after(() => void process.off('unhandledRejection', note))

const givenUp = new Error('given up')

/** How the two connections are set up. */
interface Settings {
  readonly fragmentSize: number
  readonly maxQueuedBytes: number
  readonly compression: 'none' | 'takeover' | 'no takeover'
}

const settings: fc.Arbitrary<Settings> = fc.record({
  fragmentSize: fc.constantFrom(125, 126, 1000, 65_536),
  maxQueuedBytes: fc.constantFrom(1, 1000, 100_000),
  compression: fc.constantFrom('none', 'takeover', 'no takeover'),
})

/** How the next message is read: whole, as a stream, or only the beginning of a stream; or nothing is, for a while. */
type Mode = 'read' | 'stream' | 'partial' | 'unread' | 'given up' | 'pause'

const modes: fc.Arbitrary<Mode[]> = fc
  .array(fc.constantFrom<Mode[]>('read', 'stream', 'stream', 'partial', 'unread', 'given up', 'pause'), {
    minLength: 1,
    maxLength: 6,
  })
  .filter((ways) => ways.some((way) => way !== 'pause'))

interface Sent {
  readonly pieces: Buffer[]
  complete: boolean
}

/** One end. */
class End {
  readonly conn: Conn
  readonly clock: FakeClock
  readonly stream: Duplex
  readonly sent: Sent[] = []
  readonly writers: { readonly writer: MessageWriter; readonly message: Sent }[] = []
  /** What was got of each message, and whether that was all of it. */
  readonly got: { readonly bytes: Buffer; readonly all: boolean }[] = []
  /** All promises that were handed out. */
  readonly promises: Promise<unknown>[] = []
  ends = 0
  #seed = 0

  constructor(
    role: 'server' | 'client',
    stream: Duplex,
    clock: FakeClock,
    { compression, ...given }: Settings,
  ) {
    this.stream = stream
    this.clock = clock
    const direction = { takeover: compression === 'takeover', windowBits: 15 }
    const link = new Link({
      socket: stream,
      role,
      limits: resolveLimits({
        ...given,
        maxQueuedMessages: 3,
        maxSendBuffer: 1 << 30,
        pingInterval: 1000,
        pongTimeout: 2000,
        closeTimeout: 1000,
      }),
      slow: 'close',
      extensions:
        compression === 'none'
          ? []
          : [new Deflate({ send: direction, receive: direction, threshold: 0, level: 1, memLevel: 8 })],
      head: Buffer.alloc(0),
      owner: {
        onListenerError: (error) => assert.fail(String(error)),
        onClosed: () => this.ends++,
      },
      wheel: new TimerWheel(clock),
    })
    this.conn = new Conn(link, { subprotocol: '', extensions: '', remoteAddress: undefined })
  }

  content(size: number): Buffer {
    return Buffer.alloc(size, `${this.#seed++} é;`)
  }

  send(size: number, kind: 'bytes' | 'prepared' | 'text'): void {
    const bytes = kind === 'text' ? Buffer.from(this.content(size).toString('utf8')) : this.content(size)
    const data = kind === 'text' ? bytes.toString() : kind === 'prepared' ? prepare(bytes) : bytes
    const { messagesSent } = this.conn.stats
    this.conn.send(data)
    if (this.conn.stats.messagesSent > messagesSent) this.sent.push({ pieces: [bytes], complete: true })
  }

  open(): void {
    if (this.conn.state !== 'open') return
    const message: Sent = { pieces: [], complete: false }
    this.sent.push(message)
    this.writers.push({ writer: this.conn.writeStream(), message })
  }

  write(at: number, size: number): void {
    const open = this.writers[at % Math.max(1, this.writers.length)]
    if (open === undefined) return
    const piece = this.content(size)
    open.message.pieces.push(piece)
    this.promises.push(open.writer.write(piece))
  }

  finish(at: number): void {
    const [open] = this.writers.splice(at % Math.max(1, this.writers.length), 1)
    if (open === undefined) return
    open.message.complete = this.conn.state === 'open'
    this.promises.push(open.writer.close())
  }

  abort(at: number): void {
    const [open] = this.writers.splice(at % Math.max(1, this.writers.length), 1)
    if (open === undefined) return
    open.writer.abort()
    // Else part of it has left: it stays as one that does not come to its end.
    if (this.conn.state === 'open') this.sent.splice(this.sent.indexOf(open.message), 1)
  }

  /** Reads until the end, each message in the next way. */
  async readAll(ways: readonly Mode[]): Promise<void> {
    const { conn } = this
    try {
      for (let i = 0; ; i++) {
        const mode = ways[i % ways.length] as Mode
        if (mode === 'pause') for (let left = 3; left > 0; left--) await turn()
        else if (mode === 'read')
          this.got.push({ bytes: Buffer.from((await conn.read()) as string), all: true })
        else if (mode === 'given up') {
          const controller = new AbortController()
          const given = conn.read({ signal: controller.signal })
          controller.abort(givenUp)
          // It gets a message that had come before.
          const data = await given.catch((error) => (error === givenUp ? undefined : Promise.reject(error)))
          if (data !== undefined) this.got.push({ bytes: Buffer.from(data as string), all: true })
          await turn()
        } else await this.#readStream(mode)
      }
    } catch (error) {
      if (!(error instanceof CloseError)) throw error
    }
  }

  async #readStream(mode: Mode): Promise<void> {
    const stream = await this.conn.readStream()
    const chunks: Uint8Array[] = []
    let all = false
    try {
      if (mode === 'unread') await turn()
      else for await (const chunk of stream) if (chunks.push(chunk) > 0 && mode === 'partial') break
      all = mode === 'stream'
      stream.cancel()
    } finally {
      this.got.push({ bytes: Buffer.concat(chunks), all })
    }
  }
}

type Step = readonly [server: boolean, action: (end: End) => unknown]

const size = fc.oneof(fc.nat(200), fc.nat(3000), fc.nat(90_000), fc.constantFrom(0, 125, 126, 1000))

const usual: fc.Arbitrary<(end: End) => unknown> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.tuple(size, fc.constantFrom('bytes', 'prepared', 'text')).map(
      ([length, kind]) =>
        (end: End) =>
          end.send(length, kind),
    ),
  },
  { weight: 3, arbitrary: fc.constant((end: End) => end.open()) },
  {
    weight: 6,
    arbitrary: fc.tuple(fc.nat(5), size).map(
      ([at, length]) =>
        (end: End) =>
          end.write(at, length),
    ),
  },
  { weight: 3, arbitrary: fc.nat(5).map((at) => (end: End) => end.finish(at)) },
  { weight: 4, arbitrary: fc.constant(turn) },
  { weight: 1, arbitrary: fc.constant((end: End) => void end.promises.push(end.conn.ping())) },
  { weight: 1, arbitrary: fc.constant((end: End) => void end.promises.push(end.conn.drained())) },
  { weight: 1, arbitrary: fc.constant((end: End) => end.conn.sendControl('pong', 'unasked')) },
  {
    weight: 1,
    arbitrary: fc.boolean().map((compress) => (end: End) => {
      end.conn.compress = compress
    }),
  },
  { weight: 1, arbitrary: fc.nat(9).map((level) => (end: End) => end.conn.setCompressionLevel(level)) },
  {
    weight: 1,
    arbitrary: fc.constant((end: End) => {
      // The peer is not read for a while, whatever the connection itself thinks of it.
      end.stream.pause()
      void turn().then(() => end.conn.state === 'open' && end.stream.resume())
    }),
  },
  {
    weight: 1,
    arbitrary: fc.nat(5).map((tenths) => async (end: End) => {
      for (let i = 0; i < tenths; i++) {
        end.clock.advance(100)
        await turn()
      }
    }),
  },
)

const ending: fc.Arbitrary<(end: End) => unknown> = fc.oneof(
  fc.constant((end: End) => void end.promises.push(end.conn.close(4000))),
  fc.constant((end: End) => end.conn.terminate()),
  fc.constant((end: End) => end.stream.end()),
  fc.constant((end: End) => end.stream.destroy(new Error('lost'))),
  fc.nat(5).map((at) => (end: End) => end.abort(at)),
  fc.constant((end: End) => end.conn.onControl({ close: () => ({ code: 4001, reason: 'answered' }) })),
)

const steps = (action: fc.Arbitrary<(end: End) => unknown>, maxLength: number): fc.Arbitrary<Step[]> =>
  fc.array(fc.tuple(fc.boolean(), action), { maxLength, size: 'max' })

/** Whether what one got is what the other one sent: all of it, or only the beginning. */
function assertReceived({ sent }: End, { got }: End, everything: boolean): void {
  const contents = sent.map(({ pieces }) => Buffer.concat(pieces))
  const fits = (i: number, j: number): boolean => {
    const [{ bytes, all } = assert.fail(), content = assert.fail()] = [got[i], contents[j]]
    if (all) return sent[j]?.complete === true && bytes.equals(content)
    return bytes.equals(content.subarray(0, bytes.length))
  }
  // What had not begun to leave when the connection ended, and would not have been whole, may be missing.
  let ends = new Set([0])
  for (const i of got.keys()) {
    const next = new Set<number>()
    for (const start of ends) {
      for (let j = start; j < sent.length; j++) {
        if (fits(i, j)) next.add(j + 1)
        if (sent[j]?.complete === true) break
      }
    }
    assert.ok(next.size > 0, `message ${i} of ${sent.length}: ${got[i]?.bytes.length} bytes`)
    ends = next
  }
  if (everything) assert.equal(got.length, sent.length)
}

async function play(
  given: Settings,
  ways: readonly [Mode[], Mode[]],
  happening: readonly Step[],
  late: boolean,
  ends: readonly Step[],
): Promise<void> {
  const [one, two] = duplexPair()
  const clock = new FakeClock()
  const server = new End('server', one, clock, given)
  const client = new End('client', two, clock, given)
  const both = [server, client] as const
  const read = (): Promise<void>[] => both.map((end, i) => end.readAll(ways[i as 0 | 1]))
  const early = late ? [] : read()
  for (const each of early) each.catch(() => {})
  for (const [side, action] of [...happening, ...ends]) await action(side ? server : client)

  const readers = late ? read() : early
  for (const each of readers) each.catch(() => {})
  for (const { stream } of both) if (!stream.destroyed) stream.resume()
  const closed: CloseInfo[] = []
  for (const { conn } of both) void conn.closed.then((info) => closed.push(info))
  // While nobody ends it, all arrives once the writers have come to their end.
  const quiet = ends.length === 0
  for (const end of both) while (end.writers.length > 0) end.finish(0)
  if (quiet) {
    const arrived = (): boolean =>
      server.got.length === client.sent.length && client.got.length === server.sent.length
    await until(arrived, 'messages')
    assertReceived(client, server, true)
    assertReceived(server, client, true)
    await Promise.all(both.flatMap(({ promises }) => promises))
  }
  for (const { conn, promises } of both) promises.push(conn.close())
  for (let i = 0; i < 400 && closed.length < 2; i++) {
    clock.advance(100)
    await turn()
  }
  assert.equal(closed.length, 2, 'not closed')
  await Promise.allSettled(both.flatMap(({ promises }) => promises))
  await Promise.all(readers)
  assertReceived(client, server, false)
  assertReceived(server, client, false)
  assert.deepEqual([server.ends, client.ends, clock.running], [1, 1, 0])
  for (const { conn } of both) {
    const { error, wasClean } = await conn.closed
    if (quiet) assert.deepEqual([error, wasClean], [undefined, true])
    // Nothing that either side did was against the rules.
    assert.ok(error === undefined || !['ProtocolError', 'LimitError'].includes(error.name), String(error))
  }
  await turn()
  assert.deepEqual(unhandled, [])
}

const chaos = { numRuns: 60 }

describe('messages sent and read as streams, whatever happens', () => {
  it('all arrive, whole, in order', async () => {
    await fc.assert(
      fc.asyncProperty(
        settings,
        fc.tuple(modes, modes),
        steps(usual, 60),
        fc.boolean(),
        (given, ways, happening, late) => play(given, ways, happening, late, []),
      ),
      chaos,
    )
  })

  it('arrive up to a point when the connection ends, however it does', async () => {
    await fc.assert(
      fc.asyncProperty(
        settings,
        fc.tuple(modes, modes),
        steps(usual, 30),
        fc.boolean(),
        fc.tuple(fc.boolean(), ending),
        steps(fc.oneof({ weight: 4, arbitrary: usual }, { weight: 1, arbitrary: ending }), 12),
        (given, ways, happening, late, end, later) => play(given, ways, happening, late, [end, ...later]),
      ),
      chaos,
    )
  })
})
