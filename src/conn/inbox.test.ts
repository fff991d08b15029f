import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { isPending } from '../../test/support/until.ts'
import { defaultLimits } from '../protocol/limits.ts'
import { UsageError } from '../session/errors.ts'
import type { Message } from '../session/message.ts'
import { Inbox, type InboxFlow, type MessageListener } from './inbox.ts'

interface Setup {
  readonly inbox: Inbox
  /** `pause`, `resume`, and what a listener threw. */
  readonly calls: unknown[]
}

const noFlow: InboxFlow = {
  pause: () => true,
  resume() {},
  listenerFailed() {},
  stream() {},
  refuse() {},
  streamFailed() {},
  streamed() {},
  drop() {},
}

function setUp(maxMessages = 4, maxBytes = 10_000): Setup {
  const calls: unknown[] = []
  const inbox = new Inbox(
    {
      ...noFlow,
      pause: () => calls.push('pause') > 0,
      resume: () => calls.push('resume'),
      listenerFailed: (error) => calls.push(error),
    },
    { ...defaultLimits, maxQueuedMessages: maxMessages, maxQueuedBytes: maxBytes },
  )
  return { inbox, calls }
}

const text = (message: Message | undefined): unknown => message?.data

function concurrent(action: () => unknown): void {
  assert.throws(action, (error) => error instanceof UsageError && error.code === 'ERR_WS_CONCURRENT_READ')
}

describe('a queue', () => {
  it('keeps what nobody waits for, in order', async () => {
    const { inbox } = setUp()
    for (const data of ['a', 'b', 'c']) inbox.push(data, 'text')
    for (const data of ['a', 'b', 'c']) assert.deepEqual(await inbox.take('string'), { type: 'text', data })
  })

  it('gives what waits at once, and what comes to those who wait, in the order of their calls', async () => {
    const { inbox } = setUp()
    inbox.push('a', 'text')
    assert.deepEqual(inbox.take('string'), { type: 'text', data: 'a' })
    const reads = [inbox.take('string'), inbox.take('string')]
    inbox.push('b', 'text')
    inbox.push('c', 'text')
    assert.deepEqual((await Promise.all(reads)).map(text), ['b', 'c'])
  })

  it('asks for a pause at its mark of messages, and for more at half of it', () => {
    const { inbox, calls } = setUp(4)
    for (const data of ['a', 'b', 'c']) inbox.push(data, 'text')
    assert.deepEqual([calls, inbox.full], [[], false])
    inbox.push('d', 'text')
    assert.deepEqual([calls, inbox.full], [['pause'], true])
    inbox.take('string')
    assert.deepEqual([calls, inbox.full], [['pause'], true])
    inbox.take('string')
    assert.deepEqual([calls, inbox.full], [['pause', 'resume'], false])
    inbox.take('string')
    inbox.take('string')
    assert.equal(calls.length, 2)
  })

  it('asks for a pause at its mark of bytes, each message counting 64 more', () => {
    const { inbox, calls } = setUp(1000, 1000)
    inbox.push(new Uint8Array(900), 'binary')
    assert.deepEqual(calls, [])
    inbox.push(new Uint8Array(0), 'binary')
    assert.deepEqual(calls, ['pause'])
    inbox.take('string')
    assert.deepEqual(calls, ['pause', 'resume'])
    for (let i = 0; i < 14; i++) inbox.push('', 'text')
    assert.deepEqual(calls.slice(2), [])
    inbox.push('', 'text')
    assert.deepEqual(calls.slice(2), ['pause'])
  })

  it('works with the smallest marks', async () => {
    const { inbox, calls } = setUp(1, 1)
    for (const data of ['a', 'b']) {
      inbox.push(data, 'text')
      assert.equal(calls.at(-1), 'pause')
      assert.equal(text(await inbox.take('string')), data)
      assert.equal(calls.at(-1), 'resume')
    }
  })

  it('takes what comes while it asks for more', async () => {
    const order: string[] = []
    const late = ['c', 'd', 'e', 'f']
    const inbox: Inbox = new Inbox(
      {
        ...noFlow,
        pause: () => order.push('pause') > 0,
        resume: () => {
          order.push('resume')
          while (late.length > 0 && !inbox.full) inbox.push(late.shift() as string, 'text')
        },
      },
      { ...defaultLimits, maxQueuedMessages: 2, maxQueuedBytes: 1000 },
    )
    inbox.push('a', 'text')
    inbox.push('b', 'text')
    for (const data of ['a', 'b', 'c', 'd', 'e', 'f']) assert.equal(text(await inbox.take('string')), data)
    assert.deepEqual(new Set(order.filter((_, i) => i % 2 === 0)), new Set(['pause']))
    assert.equal(order.at(-1), 'resume')
  })

  it('holds bounded bytes, loses nothing and keeps the order, whatever the reader does', async () => {
    const step = fc.oneof(fc.constant('take' as const), fc.nat(400))
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 80 }), async (steps) => {
        let paused = false
        const inbox = new Inbox(
          {
            ...noFlow,
            pause() {
              paused = true
              return true
            },
            resume() {
              paused = false
            },
          },
          { ...defaultLimits, maxQueuedMessages: 5, maxQueuedBytes: 1000 },
        )
        const reads: Promise<number>[] = []
        let sent = 0
        let held = 0
        for (const action of steps) {
          if (action === 'take') {
            if (held > 0) held--
            reads.push(
              Promise.resolve(inbox.take('string')).then((message) =>
                Number.parseInt(message?.data as string, 10),
              ),
            )
          } else if (!paused) {
            if (reads.length <= sent) held++
            inbox.push(`${sent++} `.padEnd(action), 'text')
          }
          assert.equal(inbox.full, paused)
          assert.ok(held <= 5)
        }
        inbox.close(() => new Error('ended'))
        for (let i = reads.length; i < sent; i++)
          reads.push(
            Promise.resolve(inbox.take('string')).then((message) =>
              Number.parseInt(text(message) as string, 10),
            ),
          )
        const got = (await Promise.all(reads)).filter((number) => !Number.isNaN(number))
        assert.deepEqual(
          got,
          Array.from({ length: sent }, (_, i) => i),
        )
      }),
    )
  })
})

describe('a read', () => {
  it('that is given up takes nothing, and the next one gets the message', async () => {
    const { inbox } = setUp()
    const controller = new AbortController()
    const reason = new Error('changed my mind')
    const read = inbox.take('string', controller.signal) as Promise<Message>
    const next = inbox.take('string') as Promise<Message>
    controller.abort(reason)
    await assert.rejects(read, reason)
    inbox.push('a', 'text')
    assert.equal(text(await next), 'a')
  })

  it('given up before it began takes nothing', () => {
    const { inbox } = setUp()
    inbox.push('a', 'text')
    assert.throws(() => inbox.take('string', AbortSignal.abort(new Error('before'))), /before/)
    assert.equal(text(inbox.take('string') as Message), 'a')
  })

  it('given up when its message has come has the message', async () => {
    const { inbox } = setUp()
    const controller = new AbortController()
    const read = inbox.take('string', controller.signal)
    inbox.push('a', 'text')
    controller.abort()
    assert.equal(text(await read), 'a')
  })

  it('leaves no listener on its signal, however it ends', async () => {
    const { inbox } = setUp()
    const { signal } = new AbortController()
    let listeners = 0
    const add = signal.addEventListener.bind(signal)
    const remove = signal.removeEventListener.bind(signal)
    signal.addEventListener = (...args: Parameters<typeof add>): void => {
      listeners++
      add(...args)
    }
    signal.removeEventListener = (...args: Parameters<typeof remove>): void => {
      listeners--
      remove(...args)
    }
    const reads = [inbox.take('string', signal), inbox.take('string', signal)]
    assert.equal(listeners, 2)
    inbox.push('a', 'text')
    inbox.close(() => new Error('ended'))
    assert.deepEqual((await Promise.all(reads)).map(text), ['a', undefined])
    assert.equal(listeners, 0)
  })

  it('waits, and at the end gets nothing, as all that follow', async () => {
    const { inbox } = setUp()
    const read = inbox.take('string') as Promise<Message | undefined>
    assert.equal(await isPending(read), true)
    inbox.close(() => new Error('ended'))
    assert.equal(await read, undefined)
    assert.equal(inbox.take('string'), undefined)
  })

  it('still gets what came before the end', () => {
    const { inbox } = setUp()
    inbox.push('a', 'text')
    inbox.close(() => new Error('ended'))
    assert.equal(text(inbox.take('string') as Message), 'a')
    assert.equal(inbox.take('string'), undefined)
  })
})

describe('text', () => {
  it('should come as the first who waits wants it, else as the last one did', () => {
    const { inbox } = setUp()
    assert.equal(inbox.text, 'string')
    void inbox.take('bytes')
    void inbox.take('string')
    assert.equal(inbox.text, 'bytes')
    inbox.push(Buffer.from('a'), 'text')
    assert.equal(inbox.text, 'string')
    inbox.push('b', 'text')
    assert.equal(inbox.text, 'string')
  })

  it('is given in the wanted form, however it was kept; binary stays as it is', () => {
    const { inbox } = setUp()
    const binary = new Uint8Array([0xff])
    for (const want of ['string', 'bytes'] as const) {
      inbox.push('é', 'text')
      inbox.push(new Uint8Array([0, 0xc3, 0xa9]).subarray(1), 'text')
      inbox.push(binary, 'binary')
      const expected = want === 'string' ? 'é' : Buffer.from('é')
      for (let i = 0; i < 2; i++) {
        const { type, data } = inbox.take(want) as Message
        assert.equal(type, 'text')
        assert.deepEqual(typeof data === 'string' ? data : Buffer.from(data), expected)
      }
      assert.equal(text(inbox.take(want) as Message), binary)
    }
  })
})

describe('a listener', () => {
  const noting = (): { listener: MessageListener; heard: string[] } => {
    const heard: string[] = []
    return { heard, listener: (data, type) => heard.push(`${type} ${data}`) }
  }

  it('gets what waits, then all that comes', () => {
    const { inbox, calls } = setUp(2)
    inbox.push('a', 'text')
    inbox.push(Buffer.from('b'), 'binary')
    const { listener, heard } = noting()
    inbox.listen(listener, 'string')
    assert.deepEqual(heard, ['text a', 'binary b'])
    assert.deepEqual(calls, ['pause', 'resume'])
    for (const data of ['c', 'd', 'e']) inbox.push(data, 'text')
    assert.deepEqual(heard.slice(2), ['text c', 'text d', 'text e'])
    assert.equal(calls.length, 2)
  })

  it('gets text in the form it wants, also what was kept otherwise', () => {
    const { inbox } = setUp()
    inbox.push('é', 'text')
    const got: unknown[] = []
    inbox.listen((data) => got.push(data), 'bytes')
    assert.equal(inbox.text, 'bytes')
    assert.deepEqual(got, [Buffer.from('é')])
  })

  it('is the only one, and tolerates no read beside it', () => {
    const { inbox } = setUp()
    const { listener, heard } = noting()
    inbox.listen(listener, 'string')
    concurrent(() => inbox.listen(listener, 'string'))
    concurrent(() => inbox.take('string'))
    inbox.push('a', 'text')
    assert.deepEqual(heard, ['text a'])
  })

  it('must not take a message away from a read that waits', async () => {
    const { inbox } = setUp()
    const read = inbox.take('string')
    const { listener, heard } = noting()
    concurrent(() => inbox.listen(listener, 'string'))
    inbox.push('a', 'text')
    assert.equal(text(await read), 'a')
    inbox.listen(listener, 'string')
    inbox.push('b', 'text')
    assert.deepEqual(heard, ['text b'])
  })

  it('is in place while it gets what waits: no second one, no read', () => {
    const { inbox } = setUp()
    inbox.push('a', 'text')
    inbox.push('b', 'text')
    const heard: unknown[] = []
    inbox.listen((data) => {
      heard.push(data)
      concurrent(() => inbox.listen(() => heard.push('never'), 'string'))
      concurrent(() => inbox.take('string'))
    }, 'string')
    inbox.push('c', 'text')
    assert.deepEqual(heard, ['a', 'b', 'c'])
  })

  it('gets in order what comes while it gets what waits', () => {
    const { inbox } = setUp()
    inbox.push('a', 'text')
    inbox.push('b', 'text')
    const heard: unknown[] = []
    const more: Record<string, string> = { a: 'c', c: 'd' }
    inbox.listen((data) => {
      const next = more[data as string]
      if (next !== undefined) inbox.push(next, 'text')
      heard.push(data)
    }, 'string')
    inbox.push('e', 'text')
    assert.deepEqual(heard, ['a', 'b', 'c', 'd', 'e'])
  })

  it('may be async; a rejection is told as if it had thrown, once', async () => {
    const { inbox, calls } = setUp()
    const error = new Error('oops')
    let heard = 0
    assert.equal(inbox.listening, false)
    inbox.listen(async () => {
      heard++
      await Promise.resolve()
      throw error
    }, 'string')
    assert.equal(inbox.listening, true)
    inbox.push('a', 'text')
    inbox.push('b', 'text')
    await new Promise((resolve) => setImmediate(resolve))
    inbox.push('c', 'text')
    await new Promise((resolve) => setImmediate(resolve))
    assert.deepEqual([heard, calls], [2, [error]])
  })

  it('may return anything', () => {
    for (const value of [undefined, null, 5, {}, Promise.resolve()]) {
      const { inbox, calls } = setUp()
      inbox.listen(() => value as undefined, 'string')
      inbox.push('a', 'text')
      inbox.push('b', 'text')
      assert.deepEqual(calls, [])
    }
  })

  it('that throws is told once and gets no more', () => {
    for (const queued of [true, false]) {
      const { inbox, calls } = setUp()
      const error = new Error('oops')
      let heard = 0
      const push = (): void => {
        inbox.push('a', 'text')
        inbox.push('b', 'text')
      }
      if (queued) push()
      inbox.listen(() => {
        heard++
        throw error
      }, 'string')
      if (!queued) push()
      inbox.push('c', 'text')
      assert.deepEqual([heard, calls], [1, [error]])
    }
  })
})
