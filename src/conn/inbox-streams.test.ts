import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { turn } from '../../test/support/test-link.ts'
import { isPending } from '../../test/support/until.ts'
import type { StreamDecoder } from '../protocol/extension.ts'
import { payloadFault } from '../protocol/fault.ts'
import { resolveLimits } from '../protocol/limits.ts'
import { UsageError } from '../session/errors.ts'
import type { Message } from '../session/message.ts'
import { Inbox } from './inbox.ts'
import type { MessageStream } from './message-stream.ts'

/** An inbox, and what it asks for. */
class Setup {
  readonly calls: string[] = []
  readonly inbox: Inbox
  /** Whether the peer can be held back. */
  pausable = true

  constructor(maxQueuedBytes = 1000, maxQueuedMessages = 4) {
    const note =
      (name: string) =>
      (...args: unknown[]): void =>
        void this.calls.push([name, ...args].join(' '))
    this.inbox = new Inbox(
      {
        pause: () => {
          this.calls.push('pause')
          return this.pausable
        },
        resume: note('resume'),
        listenerFailed: note('failed'),
        stream: note('stream'),
        refuse: note('refuse'),
        streamFailed: ({ message }) => this.calls.push(`streamFailed ${message}`),
        streamed: note('streamed'),
        drop: note('drop'),
      },
      resolveLimits({ maxQueuedBytes, maxQueuedMessages }),
    )
  }

  piece(text: string): void {
    this.inbox.piece(Buffer.from(text), 0, text.length)
  }

  /** A text that comes in one piece. */
  stream(text: string, decoder?: StreamDecoder): void {
    this.inbox.begin('text', decoder)
    this.piece(text)
    this.inbox.end()
  }

  /** What was asked for since this was last called. */
  get asked(): string[] {
    return this.calls.splice(0)
  }
}

const slow = (): StreamDecoder => ({
  async *decode(piece) {
    await new Promise((resolve) => setImmediate(resolve))
    yield piece
  },
  dispose() {},
})

const concurrent = (error: unknown): boolean =>
  error instanceof UsageError && error.code === 'ERR_WS_CONCURRENT_READ'

const closeError = new Error('the connection has ended')

describe('a stream', () => {
  it('is wanted when the first who waits wants one, and nothing is queued', () => {
    const { inbox } = new Setup()
    assert.equal(inbox.wanted, false)
    void inbox.takeStream()
    assert.deepEqual([inbox.wanted, inbox.text], [true, 'bytes'])
    const behind = new Setup().inbox
    void behind.take('string')
    void behind.takeStream()
    assert.deepEqual([behind.wanted, behind.text], [false, 'string'])
    behind.push('for the read', 'text')
    assert.equal(behind.wanted, true)
  })

  it('is asked for by who waits, once it is their turn', () => {
    const setUp = new Setup()
    const { inbox } = setUp
    void inbox.take('string')
    void inbox.takeStream()
    assert.deepEqual(setUp.asked, [])
    const other = new Setup()
    void other.inbox.takeStream()
    assert.deepEqual(other.asked, ['stream'])
  })

  it('goes to who waits, when it begins', async () => {
    const setUp = new Setup()
    const taken = setUp.inbox.takeStream() as Promise<MessageStream>
    setUp.stream('all of it')
    assert.equal(await (await taken).text(), 'all of it')
    assert.deepEqual(setUp.asked, ['stream', 'streamed'])
  })

  it('is made of a message that had come whole', async () => {
    const { inbox } = new Setup()
    inbox.push('one', 'text')
    inbox.push(Buffer.from('two'), 'binary')
    const waits = new Setup().inbox
    const taken = waits.takeStream() as Promise<MessageStream>
    waits.push(Buffer.from('three'), 'text')
    const streams = [inbox.takeStream() as MessageStream]
    assert.equal(await streams[0]?.text(), 'one')
    streams.push(inbox.takeStream() as MessageStream, await taken)
    assert.deepEqual(await Promise.all(streams.slice(1).map((stream) => stream.text())), ['two', 'three'])
    assert.deepEqual(
      streams.map(({ type }) => type),
      ['text', 'binary', 'text'],
    )
  })

  it('must be done with before anything else is taken', async () => {
    const { inbox } = new Setup()
    inbox.push('one', 'text')
    inbox.push('two', 'text')
    const stream = inbox.takeStream() as MessageStream
    assert.throws(() => inbox.take('string'), concurrent)
    assert.throws(() => inbox.takeStream(), concurrent)
    assert.throws(() => inbox.listen(() => {}, 'string'), concurrent)
    stream.cancel()
    assert.equal((inbox.take('string') as Message).data, 'two')
  })

  it('is not for a listener', () => {
    const { inbox } = new Setup()
    inbox.listen(() => {}, 'string')
    assert.throws(() => inbox.takeStream(), concurrent)
  })

  it('whose wait is given up takes nothing', async () => {
    const { inbox } = new Setup()
    const controller = new AbortController()
    const reason = new Error('no patience')
    const taken = inbox.takeStream(controller.signal) as Promise<MessageStream>
    const next = inbox.takeStream() as Promise<MessageStream>
    controller.abort(reason)
    await assert.rejects(taken, reason)
    assert.throws(() => inbox.takeStream(controller.signal), reason)
    inbox.push('one', 'text')
    assert.equal(await (await next).text(), 'one')
  })

  it('holds the peer back while it is full, beside what is queued', async () => {
    const setUp = new Setup(100)
    const { inbox } = setUp
    const taken = inbox.takeStream() as Promise<MessageStream>
    inbox.begin('text', undefined)
    setUp.piece('x'.repeat(99))
    assert.deepEqual(setUp.asked, ['stream'])
    setUp.piece('x')
    assert.deepEqual(setUp.asked, ['pause'])
    const chunks = (await taken)[Symbol.asyncIterator]()
    await chunks.next()
    assert.deepEqual(setUp.asked, ['resume'])
    setUp.piece('x'.repeat(100))
    inbox.end()
    assert.deepEqual(setUp.asked, ['pause', 'streamed', 'resume'])
    for (let i = 0; i < 4; i++) inbox.push('queued', 'text')
    assert.deepEqual([setUp.asked, inbox.full], [['pause'], true])
    await chunks.next()
    assert.deepEqual(setUp.asked, [])
    await chunks.next()
    for (let i = 0; i < 4; i++) inbox.take('string')
    assert.deepEqual(setUp.asked, ['resume'])
  })

  it('that was begun for one ends with the error for its reader alone', async () => {
    const setUp = new Setup()
    const { inbox } = setUp
    const [first, second] = [inbox.takeStream(), inbox.takeStream()] as Promise<MessageStream | undefined>[]
    inbox.begin('text', undefined)
    setUp.piece('beginning')
    inbox.close(() => closeError)
    const chunks = ((await first) as MessageStream)[Symbol.asyncIterator]()
    assert.equal(String((await chunks.next()).value), 'beginning')
    await assert.rejects(chunks.next(), closeError)
    assert.equal(await second, undefined)
    assert.equal(inbox.takeStream(), undefined)
  })

  it('that cannot be decoded is told', async () => {
    const setUp = new Setup()
    const broken: StreamDecoder = {
      // biome-ignore lint/correctness/useYield: it never comes to that
      async *decode() {
        throw new Error('broken')
      },
      dispose() {},
    }
    void setUp.inbox.takeStream()
    setUp.stream('x', broken)
    await turn()
    assert.deepEqual(setUp.asked.slice(-1), ['streamFailed data that cannot be decoded'])
    setUp.inbox.onStreamFault(payloadFault('ERR_WS_EXTENSION_DATA', 'as told'))
    assert.deepEqual(setUp.asked, ['streamFailed as told'])
  })
})

describe('a message that is held', () => {
  it('holds the peer back, until somebody wants it as a stream', async () => {
    const setUp = new Setup()
    const { inbox } = setUp
    inbox.held()
    assert.deepEqual(setUp.asked, ['pause'])
    const taken = inbox.takeStream() as Promise<MessageStream>
    assert.deepEqual(setUp.asked, ['stream'])
    inbox.begin('text', undefined)
    assert.deepEqual(setUp.asked, ['resume'])
    setUp.piece('large')
    inbox.end()
    assert.equal(await (await taken).text(), 'large')
  })

  it('waits behind those that are queued', () => {
    const setUp = new Setup()
    const { inbox } = setUp
    inbox.push('one', 'text')
    inbox.held()
    assert.equal((inbox.take('string') as Message).data, 'one')
    assert.deepEqual(setUp.asked, ['pause'])
  })

  it('is refused to who wants it whole, whoever was first', () => {
    const cases: [string, (inbox: Inbox) => void][] = [
      ['a read', (inbox) => void inbox.take('string')],
      ['a listener', (inbox) => inbox.listen(() => {}, 'string')],
      [
        'a read ahead of a stream',
        (inbox) => {
          void inbox.take('string')
          void inbox.takeStream()
        },
      ],
    ]
    for (const [what, want] of cases) {
      const early = new Setup()
      want(early.inbox)
      early.inbox.held()
      assert.deepEqual(early.asked, ['refuse'], what)
      const late = new Setup()
      late.inbox.held()
      want(late.inbox)
      assert.deepEqual(late.asked, ['pause', 'refuse', 'resume'], what)
    }
  })

  it('is still there when a wait for it is given up', async () => {
    const setUp = new Setup()
    const controller = new AbortController()
    const taken = setUp.inbox.takeStream(controller.signal) as Promise<MessageStream>
    controller.abort()
    await assert.rejects(taken)
    setUp.inbox.held()
    assert.deepEqual(setUp.asked, ['stream', 'pause'])
  })
})

describe('a peer that cannot be held back', () => {
  it('gets what there is no room for dropped: what is held, and the rest of a stream', () => {
    const held = new Setup()
    held.inbox.held()
    held.pausable = false
    held.inbox.release()
    assert.deepEqual(held.asked, ['pause', 'pause', 'drop true'])
    held.inbox.release()
    assert.deepEqual(held.asked, [])

    const late = new Setup()
    late.pausable = false
    late.inbox.held()
    assert.deepEqual(late.asked, ['pause', 'drop true'])

    const stream = new Setup(10)
    void stream.inbox.takeStream()
    stream.inbox.begin('text', undefined)
    stream.pausable = false
    stream.inbox.release()
    stream.piece('short')
    assert.deepEqual(stream.asked, ['stream'])
    stream.piece('too long now')
    assert.deepEqual(stream.asked, ['pause', 'drop true'])
  })

  it('loses nothing of a message that has come whole, and is being decoded', async () => {
    const setUp = new Setup()
    const taken = setUp.inbox.takeStream() as Promise<MessageStream>
    setUp.pausable = false
    setUp.stream('whole', slow())
    assert.deepEqual(setUp.asked, ['stream', 'streamed', 'pause', 'drop false'])
    setUp.inbox.close(() => closeError)
    assert.equal(await (await taken).text(), 'whole')
  })

  it('is not asked to wait for what is only queued', () => {
    const setUp = new Setup(1000, 2)
    setUp.pausable = false
    setUp.inbox.push('one', 'text')
    setUp.inbox.push('two', 'text')
    assert.deepEqual([setUp.asked, setUp.inbox.full], [['pause'], true])
  })
})

describe('what comes last', () => {
  it('has room', () => {
    const setUp = new Setup(10, 2)
    setUp.inbox.finish()
    void setUp.inbox.takeStream()
    setUp.inbox.begin('text', undefined)
    setUp.piece('longer than the mark')
    setUp.inbox.end()
    for (let i = 0; i < 5; i++) setUp.inbox.push('queued', 'text')
    assert.deepEqual(setUp.asked, ['stream', 'streamed'])
    setUp.inbox.held()
    setUp.inbox.release()
    assert.deepEqual(setUp.asked, [])
  })

  it('is read no further than a message that has not been decoded: what is behind may refer to it', async () => {
    for (const early of [true, false]) {
      const setUp = new Setup()
      const taken = setUp.inbox.takeStream() as Promise<MessageStream>
      if (early) setUp.inbox.finish()
      setUp.stream('whole', slow())
      if (!early) setUp.inbox.finish()
      assert.equal(setUp.asked.at(-1), 'pause')
      const whole = (await taken).text()
      assert.equal(await isPending(whole), false)
      assert.equal(await whole, 'whole')
    }
  })
})
