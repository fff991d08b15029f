import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { hex } from '../../test/frames.ts'
import { TestLink, type TestLinkOptions, turn } from '../../test/support/test-link.ts'
import { isPending } from '../../test/support/until.ts'
import { CloseError, UsageError } from '../session/errors.ts'
import { prepare } from '../session/prepared.ts'
import { MessageWriter } from './message-writer.ts'

const KiB = 1024

function setUp(
  type: 'text' | 'binary' = 'binary',
  options: TestLinkOptions = {},
): { peer: TestLink; writer: MessageWriter } {
  const peer = new TestLink(options)
  return { peer, writer: peer.conn.writeStream(type) }
}

const usage =
  (code: string, message = /./) =>
  (error: unknown): boolean =>
    error instanceof UsageError && error.code === code && message.test(error.message)

const bytesOf = (text: string): string => Buffer.from(text).toString('hex')

/** What the peer gets of a message whose pieces these are. */
async function sentOf(type: 'text' | 'binary', pieces: readonly (string | Uint8Array)[]): Promise<string[]> {
  const { peer, writer } = setUp(type)
  for (const piece of pieces) await writer.write(piece)
  await writer.close()
  await turn()
  peer.conn.terminate()
  return peer.sent()
}

describe('a writer', () => {
  it('sends one message of all that is written, whatever it is', async () => {
    const { peer, writer } = setUp('text')
    assert.ok(writer instanceof MessageWriter)
    assert.equal(writer.type, 'text')
    await writer.write('text, ')
    await writer.write(Buffer.from('bytes, '))
    await writer.write(new Uint8Array(Buffer.from('a view, ')).buffer)
    await writer.write('')
    await writer.write('end')
    await writer.close()
    await turn()
    assert.deepEqual(peer.sent(), [`text ${bytesOf('text, bytes, a view, end')}`])
    assert.equal(peer.conn.stats.messagesSent, 1)
    peer.conn.terminate()
  })

  it('sends what is written before its end, in frames of their own', async () => {
    const { peer, writer } = setUp('text')
    await writer.write('be')
    await turn()
    await writer.write('gun')
    await turn()
    await writer.close()
    await turn()
    assert.equal(peer.stream.written.toString('hex'), '01026265' + '000367756e' + '8000')
    peer.conn.terminate()
  })

  it('sends pieces of one turn together, cut at the size of a frame', async () => {
    const { peer, writer } = setUp('binary', { limits: { fragmentSize: 125 } })
    for (let i = 0; i < 130; i++) void writer.write(Buffer.of(i))
    void writer.close()
    await turn()
    assert.equal(peer.stream.writes.length, 1)
    assert.equal(peer.stream.written.length, 2 + 125 + 2 + 5)
    assert.equal(peer.stream.written.subarray(0, 2).toString('hex'), '027d')
    assert.equal(peer.stream.written.subarray(127, 129).toString('hex'), '8005')
    peer.conn.terminate()
  })

  it('that wrote nothing sends an empty message', async () => {
    for (const [type, bytes] of [
      ['text', '8100'],
      ['binary', '8200'],
    ] as const) {
      const { peer, writer } = setUp(type)
      await writer.close()
      await turn()
      assert.equal(peer.stream.written.toString('hex'), bytes)
      peer.conn.terminate()
    }
  })

  it('keeps none of the bytes that it is given: they may change at once', async () => {
    const { peer, writer } = setUp()
    const bytes = Buffer.from('before')
    void writer.write(bytes)
    bytes.fill('x')
    await writer.close()
    await turn()
    assert.deepEqual(peer.sent(), [`binary ${bytesOf('before')}`])
    peer.conn.terminate()
  })

  it('keeps the characters of strings whole, and sends a lone half as send does', async () => {
    const cases: ['text' | 'binary', (string | Uint8Array)[], string][] = [
      ['text', ['\ud83d', '\ude00'], '😀'],
      ['text', ['a\ud83d', '', '\ude00b'], 'a😀b'],
      ['text', ['\ud83d'], '\ufffd'],
      ['text', ['\ud83d', 'x'], '\ufffdx'],
      ['text', ['\ud83d\ud83d', '\ude00'], '\ufffd😀'],
      ['text', ['\ude00\ud83d'], '\ufffd\ufffd'],
      ['text', ['\ud83d', Buffer.from('x'), '\ude00'], '\ufffdx\ufffd'],
      ['text', [hex('c3'), '', hex('a9')], 'é'],
      ['binary', ['\ud83d', '\ude00'], '😀'],
      ['binary', ['\ud83d'], '\ufffd'],
      ['binary', ['\ud83d', Buffer.from('x'), '\ude00'], '\ufffdx\ufffd'],
    ]
    for (const [type, pieces, expected] of cases) {
      assert.deepEqual(await sentOf(type, pieces), [`${type} ${bytesOf(expected)}`], `${pieces}`)
    }
  })

  it('sends a text and bytes as they are, wherever they are cut', async () => {
    const cuts = fc.array(fc.nat(60), { maxLength: 6 })
    await fc.assert(
      fc.asyncProperty(
        fc.string({ unit: 'binary', maxLength: 60 }),
        cuts,
        fc.boolean(),
        async (text, at, raw) => {
          const whole = raw ? Buffer.from(text) : text
          const pieces = [...at, whole.length]
            .sort((a, b) => a - b)
            .map((end, i, ends) => whole.slice(i === 0 ? 0 : (ends[i - 1] as number), end))
          assert.deepEqual(await sentOf('text', pieces), [`text ${bytesOf(text)}`])
        },
      ),
      { numRuns: 40 },
    )
  })
})

describe('what a writer refuses', () => {
  it('for its type leaves the message as it was', async () => {
    const { peer, writer } = setUp('text')
    await writer.write('one')
    for (const bad of [5, null, {}, prepare('x')])
      await assert.rejects(writer.write(bad as string), usage('ERR_WS_INVALID_ARGUMENT'))
    await writer.write(' two')
    await writer.close()
    await turn()
    assert.deepEqual(peer.sent(), [`text ${bytesOf('one two')}`])
    peer.conn.terminate()
  })

  const wrong: [string, (writer: MessageWriter) => Promise<void>][] = [
    ['bytes that are not UTF-8', (writer) => writer.write(hex('ff'))],
    [
      'bytes that cannot go on the character before',
      (writer) => writer.write(hex('c3')).then(() => writer.write('é')),
    ],
    [
      'a string behind half a character in bytes',
      (writer) => writer.write(hex('c3')).then(() => writer.write('x')),
    ],
    ['an end inside a character', (writer) => writer.write(hex('c3')).then(() => writer.close())],
  ]
  for (const [what, act] of wrong) {
    it(`${what}, gives the message up`, async () => {
      const { peer, writer } = setUp('text')
      await assert.rejects(act(writer), usage('ERR_WS_INVALID_ARGUMENT'))
      await assert.rejects(writer.write('x'), usage('ERR_WS_WRITER_ENDED', /aborted/))
      await assert.rejects(writer.close(), usage('ERR_WS_WRITER_ENDED', /aborted/))
      await turn()
      assert.deepEqual(
        peer.sent().slice(-1),
        peer.conn.state === 'open' ? [] : ['close 1011 "message abandoned"'],
      )
      peer.conn.terminate()
    })
  }

  it('of a type that is none', () => {
    const peer = new TestLink()
    assert.throws(() => peer.conn.writeStream('blob' as 'text'), usage('ERR_WS_INVALID_ARGUMENT', /blob/))
    peer.conn.terminate()
  })

  it('makes no unhandled rejection', async () => {
    const { peer, writer } = setUp('text')
    void writer.write(5 as unknown as string)
    void writer.write(hex('ff'))
    void writer.close()
    await turn()
    peer.conn.terminate()
    await peer.conn.closed
  })
})

describe('a writer that has ended', () => {
  it('takes nothing more', async () => {
    const { peer, writer } = setUp()
    await writer.close()
    await assert.rejects(writer.write('x'), usage('ERR_WS_WRITER_ENDED', /closed/))
    await assert.rejects(writer.close(), usage('ERR_WS_WRITER_ENDED', /closed/))
    writer.abort()
    await turn()
    assert.deepEqual([peer.sent(), peer.conn.state], [['binary '], 'open'])
    peer.conn.terminate()
  })

  it('by abort sends nothing, if nothing has left, and lets others pass', async () => {
    const { peer, writer } = setUp()
    void writer.write('never sent')
    peer.conn.send('behind')
    writer.abort()
    writer.abort()
    await turn()
    assert.deepEqual([peer.sent(), peer.conn.state], [[`text ${bytesOf('behind')}`], 'open'])
    assert.deepEqual([peer.conn.bufferedAmount, peer.conn.stats.messagesSent], [0, 1])
    peer.conn.terminate()
  })

  it('by abort closes with 1011, if something has left, and what is behind it is dropped', async () => {
    const { peer, writer } = setUp()
    await writer.write('begun')
    await turn()
    peer.conn.send('behind')
    writer.abort()
    await turn()
    assert.deepEqual(peer.sent(), ['close 1011 "message abandoned"'])
    assert.deepEqual([peer.conn.stats.messagesSent, peer.conn.stats.sendsDropped], [0, 1])
    peer.conn.terminate()
  })
})

describe('a writer that is given up', () => {
  it('closes with the code that the reason has, if something has left', async () => {
    const sent: string[] = []
    for (const reason of [{ closeCode: 4000, reason: 'why' }, { closeCode: 1006 }, new Error('x')]) {
      const { peer, writer } = setUp()
      void writer.write('a part')
      await turn()
      writer.abort(reason)
      await turn()
      sent.push(peer.sent().at(-1) as string)
      peer.conn.terminate()
    }
    const abandoned = 'close 1011 "message abandoned"'
    assert.deepEqual(sent, ['close 4000 "why"', abandoned, abandoned])
  })

  it('by an exception lets others pass, or closes; by its end it does nothing', async () => {
    const { peer, writer } = setUp('text')
    await assert.rejects(async () => {
      await using kept = writer
      await kept.write('a part')
      await turn()
      throw new Error('in the middle')
    })
    await turn()
    assert.equal(peer.sent().at(-1), 'close 1011 "message abandoned"')
    peer.conn.terminate()
    const other = setUp('text')
    {
      await using kept = other.writer
      await kept.write('all')
      await kept.close()
    }
    await turn()
    assert.deepEqual([other.peer.sent(), other.peer.conn.state], [[`text ${bytesOf('all')}`], 'open'])
    other.peer.conn.terminate()
  })
})

describe('a writer on a connection that ends', () => {
  it('throws the CloseError, the same as all others', async () => {
    const { peer, writer } = setUp()
    await writer.write('x')
    const pending = [peer.conn.read()]
    peer.stream.destroy(new Error('reset'))
    await peer.conn.closed
    pending.push(writer.write('y') as Promise<never>, writer.close() as Promise<never>)
    const errors = await Promise.all(pending.map((each) => each.catch((error: unknown) => error)))
    for (const error of errors) assert.ok(error instanceof CloseError)
    assert.equal(new Set(errors).size, 1)
  })

  it('waits for the end to tell of it, while the closing handshake runs', async () => {
    const { peer, writer } = setUp()
    void peer.conn.close()
    const results = [writer.write('y'), writer.close()]
    for (const each of results) assert.equal(await isPending(each), true)
    peer.conn.terminate()
    for (const each of results) await assert.rejects(each, CloseError)
    writer.abort()
  })

  it('may be begun there: it fails at the first write', async () => {
    const peer = new TestLink()
    peer.conn.terminate()
    const writer = peer.conn.writeStream()
    await assert.rejects(writer.write('x'), CloseError)
    const other = peer.conn.writeStream()
    await assert.rejects(other.close(), CloseError)
    other.abort()
    peer.conn.writeStream().abort()
  })

  it('fails while it waits for room', async () => {
    const { peer, writer } = setUp()
    peer.stream.hold()
    const write = writer.write(Buffer.alloc(100 * KiB))
    assert.equal(await isPending(write), true)
    peer.stream.destroy()
    await assert.rejects(write, CloseError)
  })
})

describe('the room that a writer waits for', () => {
  it('is above the mark of 64 KiB, as for send', async () => {
    const { peer, writer } = setUp()
    peer.stream.hold()
    await writer.write(Buffer.alloc(60 * KiB))
    const write = writer.write(Buffer.alloc(10 * KiB))
    assert.equal(await isPending(write), true)
    peer.stream.release()
    await write
    peer.conn.terminate()
  })

  it('does not depend on what waits behind it, which only it can let go', async () => {
    const { peer, writer } = setUp()
    await writer.write('one ')
    const behind = peer.conn.writeStream()
    void behind.write(Buffer.alloc(200 * KiB))
    peer.conn.send(Buffer.alloc(200 * KiB))
    await writer.write('two')
    await writer.close()
    await behind.close()
    await turn()
    assert.deepEqual(
      peer.sent().map((line) => line.slice(0, 12)),
      [`binary ${bytesOf('one two').slice(0, 5)}`, 'binary (2048', 'binary (2048'],
    )
    peer.conn.terminate()
  })

  it('depends on what waits ahead of it, until that has left or is given up', async () => {
    for (const end of ['close', 'abort'] as const) {
      const { peer, writer } = setUp()
      const behind = peer.conn.writeStream()
      void writer.write('x')
      const write = behind.write(Buffer.alloc(100 * KiB))
      assert.equal(await isPending(write), true)
      if (end === 'close') await writer.close()
      else behind.abort()
      await write
      peer.conn.terminate()
    }
  })

  it('comes back for others when a message that waited is given up', async () => {
    const { peer, writer } = setUp()
    const behind = peer.conn.writeStream()
    void behind.write(Buffer.alloc(100 * KiB))
    await turn()
    const drained = peer.conn.drained()
    assert.equal(await isPending(drained), true)
    behind.abort()
    await drained
    await writer.close()
    peer.conn.terminate()
  })

  it('has its limit: who does not wait is closed with 1013, whatever the policy', async () => {
    for (const slow of ['close', 'skip'] as const) {
      const { peer, writer } = setUp('binary', { slow, limits: { maxSendBuffer: 100 * KiB } })
      peer.stream.hold()
      const writes = [1, 2, 3].map(() => writer.write(Buffer.alloc(60 * KiB)))
      await turn()
      assert.equal(peer.conn.state, 'closing')
      peer.stream.release()
      await turn()
      assert.deepEqual(peer.sent(), ['close 1013 "too slow"'])
      peer.stream.destroy()
      await assert.rejects(writes[2] as Promise<void>, CloseError)
    }
  })

  it('is not taken by what others have queued behind it', async () => {
    const { peer, writer } = setUp('binary', { slow: 'skip', limits: { maxSendBuffer: 100 * KiB } })
    await writer.write('one ')
    peer.conn.send(Buffer.alloc(200 * KiB))
    assert.equal(peer.conn.send('dropped'), false)
    await writer.write('two')
    await writer.close()
    await turn()
    assert.equal(peer.conn.state, 'open')
    assert.equal(peer.sent()[0], `binary ${bytesOf('one two')}`)
    peer.conn.terminate()
  })
})

describe('a writer as a Web stream', () => {
  it('is one and the same, and sends what is written', async () => {
    const { peer, writer } = setUp('text')
    assert.equal(writer.writable, writer.writable)
    const web = writer.writable.getWriter()
    await web.write('one ')
    await web.write(Buffer.from('two'))
    await web.close()
    await turn()
    assert.deepEqual(peer.sent(), [`text ${bytesOf('one two')}`])
    await assert.rejects(writer.write('x'), usage('ERR_WS_WRITER_ENDED'))
    peer.conn.terminate()
  })

  it('is aborted with it', async () => {
    const { peer, writer } = setUp()
    await writer.writable.abort(new Error('changed my mind'))
    peer.conn.send('fine')
    await turn()
    assert.deepEqual([peer.sent(), peer.conn.state], [[`text ${bytesOf('fine')}`], 'open'])
    peer.conn.terminate()
  })

  it('is given up while a write waits for the peer: at once, by itself or by the writer', async () => {
    const reason = Object.assign(new Error('stop'), { closeCode: 4000, reason: 'why' })
    for (const way of ['stream', 'writer'] as const) {
      const { peer, writer } = setUp()
      peer.stream.hold()
      const web = writer.writable.getWriter()
      const waiting = [web.closed, web.write(new Uint8Array(100 * KiB))]
      for (const each of waiting) each.catch(() => {})
      assert.equal(await isPending(Promise.race(waiting)), true)
      if (way === 'stream') await web.abort(reason)
      else writer.abort(reason)
      for (const each of waiting) await assert.rejects(each, reason)
      assert.equal(peer.conn.state, 'closing')
      peer.conn.terminate()
    }
  })

  it('can be aborted while its end waits for the peer: the message is complete', async () => {
    const { peer, writer } = setUp()
    peer.stream.hold()
    void writer.write(new Uint8Array(100 * KiB))
    const web = writer.writable.getWriter()
    web.closed.catch(() => {})
    const closing = web.close()
    assert.equal(await isPending(closing), true)
    const reason = new Error('stop')
    void web.abort(reason).catch(() => {})
    await assert.rejects(closing, reason)
    peer.stream.release()
    await turn()
    assert.deepEqual([peer.sent().length, peer.conn.state], [1, 'open'])
    peer.conn.terminate()
  })

  it('hears of the end of the connection while nothing is written', async () => {
    for (const closed of [false, true]) {
      const { peer, writer } = setUp()
      if (closed) peer.conn.terminate()
      await turn()
      const { writable } = writer
      const seen: unknown[] = []
      const source = new ReadableStream<Uint8Array>({ cancel: (why) => void seen.push(why) })
      const piped = source.pipeTo(writable)
      peer.conn.terminate()
      await assert.rejects(piped, CloseError)
      assert.ok(seen[0] instanceof CloseError)
    }
  })

  it('keeps nothing on the connection once the message is at its end', async () => {
    const { peer, writer } = setUp()
    const { sender } = peer.link
    const lost = sender.lost.bind(sender)
    const signals: AbortSignal[] = []
    sender.lost = (signal) => {
      signals.push(signal)
      return lost(signal)
    }
    await writer.writable.close()
    const other = peer.conn.writeStream()
    void other.writable
    await other.close()
    assert.deepEqual(
      signals.map(({ aborted }) => aborted),
      [true, true],
    )
    peer.conn.terminate()
  })

  it('takes a write that waits when the writer itself is closed', async () => {
    const { peer, writer } = setUp()
    peer.stream.hold()
    const web = writer.writable.getWriter()
    web.closed.catch(() => {})
    const written = web.write(new Uint8Array(5000 * KiB))
    assert.equal(await isPending(written), true)
    const closed = writer.close()
    assert.equal(await isPending(written), true)
    peer.stream.release()
    await Promise.all([written, closed])
    await turn()
    assert.match(peer.sent()[0] as string, /^binary \(5120000\)/)
    peer.conn.terminate()
  })

  it('gives a write that waits up when it is aborted behind the close of the writer', async () => {
    const { peer, writer } = setUp()
    peer.stream.hold()
    const web = writer.writable.getWriter()
    web.closed.catch(() => {})
    const written = web.write(new Uint8Array(5000 * KiB))
    assert.equal(await isPending(written), true)
    const closed = writer.close()
    assert.equal(await isPending(written), true)
    const reason = new Error('changed my mind')
    await web.abort(reason)
    await assert.rejects(written, reason)
    assert.equal(peer.conn.state, 'open')
    peer.stream.release()
    await closed
    await turn()
    assert.match(peer.sent()[0] as string, /^binary \(5120000\)/)
    peer.conn.terminate()
  })

  it('that refuses a chunk gives the message up, so that it holds up no other', async () => {
    const { peer, writer } = setUp()
    const web = writer.writable.getWriter()
    web.closed.catch(() => {})
    await assert.rejects(web.write(5 as unknown as string), usage('ERR_WS_INVALID_ARGUMENT'))
    peer.conn.send('fine')
    await turn()
    assert.deepEqual([peer.sent(), peer.conn.state], [[`text ${bytesOf('fine')}`], 'open'])
    peer.conn.terminate()
  })

  it('holds back who pipes into it', async () => {
    const { peer, writer } = setUp()
    peer.stream.hold()
    let pulled = 0
    const source = new ReadableStream<Uint8Array>({
      pull(controller) {
        if (++pulled > 100) controller.close()
        else controller.enqueue(new Uint8Array(50 * KiB))
      },
    })
    const piped = source.pipeTo(writer.writable)
    assert.equal(await isPending(piped), true)
    assert.ok(pulled < 6, `${pulled} chunks`)
    peer.stream.release()
    await piped
    await turn()
    assert.match(peer.sent()[0] as string, /^binary \(5120000\)/)
    peer.conn.terminate()
  })

  it('fails with the connection', async () => {
    const { peer, writer } = setUp()
    const web = writer.writable.getWriter()
    web.closed.catch(() => {})
    await web.write('x')
    peer.conn.terminate()
    await assert.rejects(web.write('y'), CloseError)
  })
})
