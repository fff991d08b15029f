import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { describe, it } from 'node:test'
import { hex } from '../../test/frames.ts'
import { TestLink } from '../../test/support/test-link.ts'
import { isPending } from '../../test/support/until.ts'
import { CloseError } from '../session/errors.ts'
import { messageIterator } from './message-iterator.ts'

function setUp(role: 'server' | 'client' = 'server'): {
  peer: TestLink
  iterator: AsyncIterator<unknown, undefined>
} {
  const peer = new TestLink({ role })
  return {
    peer,
    iterator: messageIterator(
      peer.link,
      () => peer.link.inbox.take('string'),
      ({ data }) => data,
    ),
  }
}

/** The peer closes with these two bytes, or without any, and hangs up. */
async function closeByPeer(peer: TestLink, code: string): Promise<void> {
  await peer.receive({ opcode: 8, payload: hex(code) })
  peer.stream.endInput()
  await peer.link.closed
}

describe('messageIterator', () => {
  it('yields what is picked from each message, queued and to come', async () => {
    const { peer, iterator } = setUp()
    await peer.receiveTexts('a', 'b')
    assert.deepEqual(await iterator.next(), { done: false, value: 'a' })
    assert.deepEqual(await iterator.next(), { done: false, value: 'b' })
    const next = iterator.next()
    await peer.receiveTexts('c')
    assert.deepEqual(await next, { done: false, value: 'c' })
    peer.conn.terminate()
  })

  it('shares the messages among several that wait, each going to one, in the order of the calls', async () => {
    const { peer, iterator } = setUp()
    const other = messageIterator(
      peer.link,
      () => peer.link.inbox.take('bytes'),
      ({ data }) => data,
    )
    const results = [iterator.next(), other.next(), iterator.next()]
    await peer.receiveTexts('a', 'b', 'c')
    const values = (await Promise.all(results)).map(({ value }) => value)
    assert.deepEqual([values[0], Buffer.from(values[1] as Buffer).toString(), values[2]], ['a', 'b', 'c'])
    peer.conn.terminate()
  })

  for (const [code, what] of [
    ['03e8', '1000'],
    ['03e9', '1001'],
    ['', 'no code'],
  ] as const) {
    it(`ends quietly when the peer closed with ${what}, again and again`, async () => {
      const { peer, iterator } = setUp()
      await peer.receiveTexts('last')
      await closeByPeer(peer, code)
      assert.equal((await iterator.next()).value, 'last')
      for (let i = 0; i < 2; i++) assert.deepEqual(await iterator.next(), { done: true, value: undefined })
    })
  }

  it('ends quietly after any end where somebody else judges that', async () => {
    const { peer, iterator } = setUp('client')
    peer.conn.endQuietly()
    await peer.receiveTexts('last')
    await closeByPeer(peer, '03f3')
    assert.equal((await iterator.next()).value, 'last')
    assert.deepEqual(await iterator.next(), { done: true, value: undefined })
    await assert.rejects(peer.conn.read(), CloseError)
  })

  it('ends quietly after our own close, and our own terminate', async () => {
    for (const end of ['close', 'terminate'] as const) {
      const { peer, iterator } = setUp()
      const next = iterator.next()
      void peer.conn[end](4000)
      if (end === 'close') await peer.receive({ opcode: 8, payload: hex('0fa0') })
      peer.stream.endInput()
      assert.deepEqual(await next, { done: true, value: undefined }, end)
    }
  })

  it('throws when the peer closed with another code: each time the same error', async () => {
    const { peer, iterator } = setUp()
    const next = iterator.next()
    next.catch(() => {})
    await closeByPeer(peer, '0fa0')
    const errors: unknown[] = []
    for (const each of [
      next,
      iterator.next(),
      messageIterator(peer.link, () => peer.link.inbox.take('string'), String).next(),
    ])
      errors.push(await each.catch((error: unknown) => error))
    assert.ok(errors[0] instanceof CloseError)
    assert.equal(errors[0].info.code, 4000)
    assert.deepEqual(new Set(errors).size, 1)
  })

  it('throws when the connection was lost', async () => {
    const { peer, iterator } = setUp()
    peer.stream.endInput()
    await assert.rejects(iterator.next(), { name: 'CloseError', message: /1006 by the network/ })
  })

  it('throws what went wrong, also when we closed for it', async () => {
    const { peer, iterator } = setUp()
    await peer.receive({ opcode: 3 })
    peer.stream.endInput()
    await assert.rejects(
      iterator.next(),
      (error) => error instanceof CloseError && error.by === 'local' && error.cause === error.info.error,
    )
  })

  it('can be looped over from where it stands', async () => {
    const { peer } = setUp()
    for (const iterator of [
      peer.conn[Symbol.asyncIterator](),
      peer.conn.json()[Symbol.asyncIterator]() as AsyncIterableIterator<unknown>,
      peer.conn.streams()[Symbol.asyncIterator]() as AsyncIterableIterator<unknown>,
    ]) {
      await peer.receiveTexts('1', '2')
      await iterator.next()
      let values = 0
      for await (const _ of iterator) {
        values++
        break
      }
      assert.equal(values, 1)
    }
    peer.conn.terminate()
  })

  it('that is left takes no message, though it waits for one, nor any later', async () => {
    const { peer } = setUp()
    const { signal } = new AbortController()
    for (const loop of [
      peer.conn,
      peer.conn.messages(),
      peer.conn.messages({ signal }),
      peer.conn.json(),
      peer.conn.streams(),
    ]) {
      const iterator = loop[Symbol.asyncIterator]()
      const end = { done: true, value: undefined }
      const waiting = iterator.next()
      const read = peer.conn.read()
      assert.deepEqual(await iterator.return?.(), end)
      assert.deepEqual(await waiting, end)
      await peer.receiveTexts('for others')
      assert.equal(await read, 'for others')
      await peer.receiveTexts('for others, too')
      assert.deepEqual(await iterator.next(), end)
      assert.equal(await peer.conn.read(), 'for others, too')
    }
    assert.equal(getEventListeners(signal, 'abort').length, 0)
    peer.conn.terminate()
  })

  it('that is left keeps the connection and its messages for others', async () => {
    const { peer, iterator } = setUp()
    await peer.receiveTexts('a', 'b')
    for await (const data of { [Symbol.asyncIterator]: () => iterator }) {
      assert.equal(data, 'a')
      break
    }
    assert.equal(peer.conn.state, 'open')
    assert.equal(await peer.conn.read(), 'b')
    const read = peer.conn.read()
    assert.equal(await isPending(read), true)
    await peer.receiveTexts('c')
    assert.equal(await read, 'c')
    peer.conn.terminate()
  })
})
