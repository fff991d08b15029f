import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { constants, deflateRawSync } from 'node:zlib'
import { hex } from '../../test/frames.ts'
import { FakeStream } from '../../test/support/fake-stream.ts'
import { TestLink, type TestLinkOptions, turn } from '../../test/support/test-link.ts'
import { isPending } from '../../test/support/until.ts'
import { Deflate } from '../protocol/deflate.ts'
import type { CloseInfo } from '../session/close-info.ts'
import { CloseError, ProtocolError, UsageError } from '../session/errors.ts'

/** A Close frame as the peer sends it. */
const close = (code: number, reason = ''): { opcode: number; payload: Buffer } => {
  const payload = Buffer.alloc(2)
  payload.writeUInt16BE(code)
  return { opcode: 8, payload: Buffer.concat([payload, Buffer.from(reason)]) }
}

/** The end of a connection, without its counters; checks what holds for every end. */
async function endOf(peer: TestLink): Promise<Omit<CloseInfo, 'stats'>> {
  const { stats, ...info } = await peer.conn.closed
  assert.equal(peer.conn.state, 'closed')
  assert.equal(peer.clock.running, 0, 'a deadline is left')
  assert.equal(peer.ends, 1)
  assert.equal(await peer.conn.close(), await peer.conn.closed)
  const first = await peer.conn.read().catch((error: unknown) => error)
  assert.ok(first instanceof CloseError)
  for (const late of [peer.conn.read(), peer.conn.drained(), peer.conn.ping()])
    await late.then(
      () => assert.fail('resolved'),
      (error: unknown) => assert.equal(error, first),
    )
  assert.equal(first.info.stats, stats)
  return info
}

const roles = ['server', 'client'] as const

describe('the closing handshake', () => {
  for (const role of roles) {
    it(`begun by us, a ${role}`, async () => {
      const peer = new TestLink({ role })
      const closed = peer.conn.close(4001, 'enough')
      assert.equal(peer.conn.state, 'closing')
      await turn()
      assert.deepEqual(peer.sent(), ['close 4001 "enough"'])
      await peer.receive(close(4001))
      assert.equal(await isPending(closed), true)
      // A client leaves it to the server to hang up first (RFC 6455 section 7.1.1).
      assert.equal(peer.stream.ended, role === 'server')
      peer.stream.endInput()
      await closed
      assert.equal(peer.stream.ended, true)
      assert.deepEqual(await endOf(peer), {
        code: 4001,
        reason: 'enough',
        wasClean: true,
        by: 'local',
        received: { code: 4001, reason: '' },
        sent: { code: 4001, reason: 'enough' },
        error: undefined,
      })
    })

    it(`begun by the peer of a ${role}`, async () => {
      const peer = new TestLink({ role })
      await peer.receive(close(1001, 'going'))
      assert.deepEqual(peer.sent(), ['close 1001 ""'])
      assert.equal(peer.stream.ended, role === 'server')
      peer.stream.endInput()
      assert.deepEqual(await endOf(peer), {
        code: 1001,
        reason: 'going',
        wasClean: true,
        by: 'remote',
        received: { code: 1001, reason: 'going' },
        sent: { code: 1001, reason: '' },
        error: undefined,
      })
    })

    it(`begun by both at a time, a ${role} among them: each keeps its own word`, async () => {
      const peer = new TestLink({ role })
      void peer.conn.close(4001, 'ours')
      await peer.receive(close(4002, 'theirs'))
      peer.stream.endInput()
      const info = await endOf(peer)
      assert.deepEqual([info.code, info.reason, info.by, info.wasClean], [4001, 'ours', 'local', true])
      assert.deepEqual([info.received?.code, info.sent?.code], [4002, 4001])
      assert.equal(peer.sent().length, 1)
    })

    it(`that a ${role} sees cut short by the end of the stream`, async () => {
      const peer = new TestLink({ role })
      void peer.conn.close()
      await turn()
      peer.stream.endInput()
      const info = await endOf(peer)
      assert.deepEqual([info.code, info.by, info.wasClean, info.error], [1000, 'local', false, undefined])
      assert.deepEqual([info.received, info.sent?.code], [undefined, 1000])
    })

    it(`missing: the stream of a ${role} just ends`, async () => {
      const peer = new TestLink({ role })
      await peer.receiveTexts('last')
      peer.stream.endInput()
      assert.equal(await peer.conn.read(), 'last')
      assert.deepEqual(await endOf(peer), {
        code: 1006,
        reason: '',
        wasClean: false,
        by: 'network',
        received: undefined,
        sent: undefined,
        error: undefined,
      })
    })
  }

  it('without a code tells 1005', async () => {
    const peer = new TestLink()
    await peer.receive({ opcode: 8 })
    peer.stream.endInput()
    const info = await endOf(peer)
    assert.deepEqual([info.code, info.received, info.sent?.code], [1005, { code: 1005, reason: '' }, 1005])
    assert.deepEqual(peer.sent(), ['close 1005 ""'])
  })

  it('lets out what was sent before it, and nothing that is sent after', async () => {
    const peer = new TestLink()
    peer.conn.send('before')
    void peer.conn.close()
    assert.equal(peer.conn.send('after'), false)
    await turn()
    assert.deepEqual(peer.sent(), [`text ${Buffer.from('before').toString('hex')}`, 'close 1000 ""'])
    peer.conn.terminate()
  })

  it('sends no code for 1005', async () => {
    const peer = new TestLink()
    void peer.conn.close(1005, 'not sent either')
    await turn()
    assert.deepEqual(peer.sent(), ['close 1005 ""'])
    await peer.receive({ opcode: 8 })
    peer.stream.endInput()
    const { code, reason, wasClean, sent } = await endOf(peer)
    assert.deepEqual([code, reason, wasClean, sent], [1005, '', true, { code: 1005, reason: '' }])
  })

  it('is begun once', async () => {
    const peer = new TestLink()
    const first = peer.conn.close(4001)
    const second = peer.conn.close(4002)
    await turn()
    assert.deepEqual(peer.sent(), ['close 4001 ""'])
    peer.conn.terminate()
    assert.equal(await first, await second)
  })

  it('refuses codes and reasons that may not be sent, at once', () => {
    const peer = new TestLink()
    const usage = (error: unknown): boolean =>
      error instanceof UsageError && error.code === 'ERR_WS_INVALID_ARGUMENT'
    for (const code of [0, 999, 1004, 1006, 1015, 2000, 5000, 1000.5, Number.NaN, '1000', null])
      assert.throws(() => peer.conn.close(code as number), usage, `${code}`)
    assert.throws(() => peer.conn.close(1000, 'x'.repeat(124)), usage)
    assert.throws(() => peer.conn.close(1000, 'é'.repeat(62)), usage)
    assert.throws(() => peer.conn.close(1000, 5 as unknown as string), usage)
    assert.equal(peer.conn.state, 'open')
    void peer.conn.close(1000, `${'é'.repeat(61)}x`)
    assert.equal(peer.conn.state, 'closing')
    peer.conn.terminate()
  })

  it('goes on reading behind our Close frame, but holds nothing back', async () => {
    const peer = new TestLink({ limits: { maxQueuedMessages: 2 } })
    void peer.conn.close()
    await peer.receiveTexts('a', 'b', 'c', 'd')
    await peer.receive(close(1000))
    peer.stream.endInput()
    const { stats, wasClean } = await peer.conn.closed
    assert.deepEqual([wasClean, stats.messagesReceived, stats.receivesDropped], [true, 4, 2])
    assert.deepEqual([await peer.conn.read(), await peer.conn.read()], ['a', 'b'])
    await assert.rejects(peer.conn.read(), CloseError)
  })

  it('leaves no gap in what is read behind it: once a message found no room, no later one is delivered', async () => {
    const peer = new TestLink({ limits: { maxQueuedMessages: 2 } })
    void peer.conn.close()
    await peer.receiveTexts('a', 'b', 'dropped')
    assert.deepEqual([await peer.conn.read(), await peer.conn.read()], ['a', 'b'])
    const read = peer.conn.read()
    read.catch(() => {})
    await peer.receiveTexts('dropped too')
    await peer.receive(close(1000))
    peer.stream.endInput()
    await assert.rejects(read, CloseError)
    assert.equal(peer.conn.stats.receivesDropped, 2)
  })

  it('comes through to a peer that was held back', async () => {
    const peer = new TestLink({ limits: { maxQueuedMessages: 2 } })
    await peer.receiveTexts('a', 'b', 'c', 'd', 'e')
    await peer.receive({ opcode: 1, payload: 'f' }, close(1000))
    assert.equal(peer.stream.isPaused(), true)
    void peer.conn.close(4000)
    await turn()
    peer.stream.endInput()
    const { wasClean, by, stats } = await peer.conn.closed
    assert.deepEqual([wasClean, by, stats.messagesReceived], [true, 'local', 6])
  })

  it('of the peer waits behind its messages until they are taken', async () => {
    const peer = new TestLink({ limits: { maxQueuedMessages: 2 } })
    await peer.receive(
      ...['a', 'b', 'c', 'd', 'e'].map((payload) => ({ opcode: 1, payload })),
      close(1000, 'all said'),
    )
    peer.stream.endInput()
    const got: unknown[] = []
    for await (const data of peer.conn) got.push(data)
    assert.deepEqual(got, ['a', 'b', 'c', 'd', 'e'])
    const { reason, stats } = await peer.conn.closed
    assert.deepEqual([reason, stats.receivesDropped], ['all said', 0])
  })

  it('of the peer is answered behind the answers to its messages', async () => {
    const peer = new TestLink()
    const loop = (async () => {
      for await (const data of peer.conn) peer.conn.send(`re ${data}`)
    })()
    await peer.receive({ opcode: 1, payload: 'a' }, { opcode: 1, payload: 'b' }, close(1000))
    peer.stream.endInput()
    await loop
    const texts = ['re a', 're b'].map((text) => `text ${Buffer.from(text).toString('hex')}`)
    assert.deepEqual(peer.sent(), [...texts, 'close 1000 ""'])
  })
})

describe('a fault', () => {
  it('ends the connection with a Close frame that says why', async () => {
    const peer = new TestLink()
    await peer.receiveTexts('good')
    await peer.receive({ opcode: 1, payload: hex('ff') }, { opcode: 1, payload: 'ignored' })
    assert.deepEqual(peer.sent(), ['close 1007 "text is not UTF-8"'])
    assert.equal(peer.stream.ended, true)
    await peer.receive(close(1007))
    peer.stream.endInput()
    assert.equal(await peer.conn.read(), 'good')
    const info = await endOf(peer)
    assert.deepEqual([info.code, info.by, info.received], [1007, 'local', undefined])
    assert.ok(info.error instanceof ProtocolError)
    assert.equal(info.error.code, 'ERR_WS_INVALID_UTF8')
  })

  it('behind our own Close frame is told, and changes nothing of what we said', async () => {
    const peer = new TestLink()
    void peer.conn.close(4000)
    await peer.receive({ opcode: 3 })
    peer.stream.endInput()
    const info = await endOf(peer)
    assert.deepEqual([info.code, info.by, info.wasClean], [4000, 'local', false])
    assert.equal((info.error as ProtocolError).code, 'ERR_WS_RESERVED_OPCODE')
    assert.deepEqual(peer.sent(), ['close 4000 ""'])
  })
})

describe('terminate', () => {
  it('is our doing also where the stream tells its end when it is destroyed, as on Bun', async () => {
    class EndingStream extends FakeStream {
      override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
        this.emit('end')
        callback(error)
      }
    }
    const peer = new TestLink({ stream: new EndingStream() })
    peer.conn.terminate()
    const { code, by, wasClean, error } = await peer.conn.closed
    assert.deepEqual([code, by, wasClean, error], [1006, 'local', false, undefined])
    assert.equal(peer.ends, 1)
  })

  it('drops the connection at once', async () => {
    const peer = new TestLink()
    peer.conn.send('never sent')
    peer.conn.terminate()
    peer.conn.terminate()
    assert.equal(peer.conn.state, 'closing')
    assert.deepEqual(await endOf(peer), {
      code: 1006,
      reason: '',
      wasClean: false,
      by: 'local',
      received: undefined,
      sent: undefined,
      error: undefined,
    })
    assert.equal(peer.stream.writes.length, 0)
    peer.conn.terminate()
  })

  it('in the middle of closing keeps what was known', async () => {
    const ours = new TestLink()
    void ours.conn.close(4000)
    await turn()
    ours.conn.terminate()
    const first = await endOf(ours)
    assert.deepEqual([first.code, first.by, first.wasClean], [4000, 'local', false])

    const theirs = new TestLink({ role: 'client' })
    await theirs.receive(close(4002))
    theirs.conn.terminate()
    const second = await endOf(theirs)
    assert.deepEqual([second.code, second.by, second.wasClean], [4002, 'remote', true])
  })

  it('hears nothing more', async () => {
    const peer = new TestLink()
    const heard: unknown[] = []
    peer.conn.onMessage((data) => {
      heard.push(data)
      peer.conn.terminate()
    })
    await peer.receiveTexts('a', 'b', 'c')
    await peer.conn.closed
    assert.deepEqual(heard, ['a'])
  })

  it('keeps what had been received', async () => {
    const peer = new TestLink()
    await peer.receiveTexts('a', 'b')
    peer.conn.terminate()
    await peer.conn.closed
    assert.deepEqual([await peer.conn.read(), await peer.conn.read()], ['a', 'b'])
    await endOf(peer)
  })
})

describe('the loss of the stream', () => {
  const reset = Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' })

  const stages: [string, TestLinkOptions, (peer: TestLink) => Promise<void>, Partial<CloseInfo>][] = [
    ['while open', {}, async () => {}, { code: 1006, by: 'network', error: reset }],
    [
      'while closing',
      {},
      async (peer) => {
        void peer.conn.close(4000)
        await turn()
      },
      { code: 4000, by: 'local', error: reset, wasClean: false },
    ],
    [
      'behind the answer to the peer',
      { role: 'client' },
      (peer) => peer.receive(close(4002)),
      { code: 4002, by: 'remote', error: undefined, wasClean: true },
    ],
    [
      'behind both Close frames',
      {},
      async (peer) => {
        void peer.conn.close(4000)
        await peer.receive(close(4000))
      },
      { code: 4000, by: 'local', error: undefined, wasClean: true },
    ],
    [
      'behind half a message',
      {},
      async (peer) => void peer.stream.push(hex('8185')),
      { code: 1006, error: reset },
    ],
  ]
  for (const [stage, options, prepare, expected] of stages) {
    it(`${stage} is told`, async () => {
      const peer = new TestLink(options)
      await prepare(peer)
      peer.stream.destroy(reset)
      const info: Partial<CloseInfo> = await endOf(peer)
      for (const [name, value] of Object.entries(expected))
        assert.equal(info[name as keyof CloseInfo], value, name)
    })
  }

  it('before the connection was made is told all the same, once', async () => {
    for (const turns of [0, 1]) {
      const stream = new FakeStream()
      stream.destroy()
      for (let i = 0; i < turns; i++) await turn()
      const peer = new TestLink({ stream })
      const info = await endOf(peer)
      assert.deepEqual([info.code, info.by], [1006, 'network'])
    }
  })

  it('or its mere end before the connection was made is told all the same', async () => {
    const stream = new FakeStream()
    stream.endInput()
    stream.resume()
    await turn()
    assert.equal(stream.readableEnded, true)
    const peer = new TestLink({ stream })
    const info = await endOf(peer)
    assert.deepEqual([info.code, info.by], [1006, 'network'])
  })

  it('is clean when both Close frames are there, though the peer resets it before we have looked at its own', async () => {
    const peer = new TestLink()
    void peer.conn.close(4000, 'ours')
    await turn()
    peer.stream.once('data', () => peer.stream.destroy(reset))
    await peer.receive({ opcode: 8, payload: Buffer.from('0fa1', 'hex') })
    const { wasClean, code, error } = await peer.conn.closed
    assert.deepEqual([wasClean, code, error], [true, 4000, undefined])
  })

  it('takes what is left of the last chunk, but not all that it inflates to', async () => {
    const direction = { takeover: false, windowBits: 15 }
    const settings = { send: direction, receive: direction, threshold: 0, level: 6, memLevel: 8 }
    const plain = Buffer.alloc(100_000, 'x')
    const flushed = deflateRawSync(plain, { finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -4)
    const peer = new TestLink({ limits: { maxQueuedMessages: 2 }, extensions: [new Deflate(settings)] })
    await peer.receive(...Array.from({ length: 100 }, () => ({ opcode: 2, rsv: 4, payload: flushed })))
    peer.stream.destroy(reset)
    const { stats } = await peer.conn.closed
    let taken = 0
    await assert.rejects(async () => {
      for (; ; taken++) assert.equal((await peer.conn.read()).length, plain.length)
    }, CloseError)
    // 1 MiB of maxQueuedBytes, and 1 MiB beyond. Once one is dropped the others are not even inflated.
    assert.deepEqual([taken, stats.messagesReceived, stats.receivesDropped], [21, 22, 79])
    assert.equal(stats.encoding?.plainReceived, 22 * plain.length)
  })

  it('loses no message that had come, also when nobody was there to take them', async () => {
    const peer = new TestLink({ limits: { maxQueuedMessages: 2 } })
    const texts = Array.from({ length: 10 }, (_, i) => `${i}`)
    await peer.receiveTexts(...texts)
    peer.stream.destroy(reset)
    await peer.conn.closed
    for (const text of texts) assert.equal(await peer.conn.read(), text)
    await endOf(peer)
  })

  it('settles all who wait', async () => {
    const peer = new TestLink()
    peer.stream.hold()
    peer.conn.send(Buffer.alloc(100_000))
    await turn()
    const waiting = [
      peer.conn.read(),
      peer.conn.messages()[Symbol.asyncIterator]().next(),
      peer.conn.ping(),
      peer.conn.drained(),
      peer.conn.drained(),
    ]
    peer.stream.destroy(reset)
    const errors = await Promise.all(waiting.map((each) => each.catch((error: unknown) => error)))
    for (const error of errors) assert.ok(error instanceof CloseError && error.cause === reset)
    assert.equal(new Set(errors).size, 1)
  })

  it('settles all who wait, and nobody who does not gets in the way', async () => {
    const unhandled: unknown[] = []
    const note = (reason: unknown): void => void unhandled.push(reason)
    process.on('unhandledRejection', note)
    const peer = new TestLink()
    peer.stream.hold()
    peer.conn.send(Buffer.alloc(100_000))
    const reads = [peer.conn.read(), peer.conn.read()]
    for (const each of reads) each.catch(() => {})
    void peer.conn.ping()
    void peer.conn.drained()
    void peer.conn.close()
    void peer.conn.ping()
    void peer.conn.drained()
    void peer.conn.closed
    peer.stream.destroy(reset)
    await peer.conn.closed
    void peer.conn.ping()
    void peer.conn.drained()
    void peer.conn.close()
    for (const each of reads) await assert.rejects(each, CloseError)
    for (let i = 0; i < 3; i++) await turn()
    process.off('unhandledRejection', note)
    assert.deepEqual(unhandled, [])
  })
})

describe('from within', () => {
  it('a listener, everything may be called', async () => {
    for (const act of [
      (peer: TestLink) => void peer.conn.close(4000),
      (peer: TestLink) => peer.conn.terminate(),
      (peer: TestLink) => {
        void peer.conn.close(4000)
        peer.conn.terminate()
        peer.conn.send('x')
        void peer.conn.ping()
        void peer.conn.drained()
      },
    ]) {
      const peer = new TestLink()
      peer.conn.onMessage(() => {
        peer.conn.send('answer')
        act(peer)
      })
      await peer.receiveTexts('a', 'b')
      peer.stream.endInput()
      assert.equal((await peer.conn.closed).by, 'local')
      assert.deepEqual([peer.ends, peer.clock.running, peer.errors], [1, 0, []])
    }
  })

  it('a listener that gets what waited, everything may be called', async () => {
    for (const act of ['close', 'terminate'] as const) {
      const peer = new TestLink({ limits: { maxQueuedMessages: 2 } })
      await peer.receiveTexts('a', 'b', 'c', 'd')
      const heard: unknown[] = []
      peer.conn.onMessage((data) => {
        if (heard.push(data) === 1) void peer.conn[act]()
      })
      assert.deepEqual(heard.slice(0, 2), ['a', 'b'])
      peer.stream.endInput()
      assert.equal((await peer.conn.closed).by, 'local')
      assert.deepEqual([peer.ends, peer.clock.running, peer.errors], [1, 0, []])
    }
  })

  it('the end, everything may be called, and changes nothing', async () => {
    const peer = new TestLink()
    const after = peer.conn.closed.then(async (info) => {
      peer.conn.terminate()
      assert.equal(peer.conn.send('x'), false)
      assert.equal(await peer.conn.close(4000), info)
      await assert.rejects(peer.conn.ping(), CloseError)
      peer.conn.onMessage(() => assert.fail('a message'))
      return info
    })
    peer.conn.terminate()
    assert.equal(await after, await peer.conn.closed)
    assert.equal(peer.ends, 1)
    assert.equal(peer.clock.running, 0)
  })
})
