import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { type Conn, dial, serve } from 'silverback'
import { assertNoLeaks } from './leaks.ts'

after(() => assertNoLeaks())

/** A reason that is this test's own, so that no other error can stand for it. */
class Deadline extends Error {}

async function expires(wait: (signal: AbortSignal) => Promise<unknown>): Promise<void> {
  const controller = new AbortController()
  const waiting = wait(controller.signal)
  controller.abort(new Deadline())
  await assert.rejects(waiting, Deadline)
  // One that has passed already does not wait at all.
  await assert.rejects(wait(controller.signal), Deadline)
}

describe('a deadline for reading', () => {
  const readers: [string, (conn: Conn, signal: AbortSignal) => Promise<unknown>][] = [
    ['read', (conn, signal) => conn.read({ signal })],
    ['readStream', (conn, signal) => conn.readStream({ signal })],
    ['messages', (conn, signal) => conn.messages({ signal })[Symbol.asyncIterator]().next()],
    ['streams', (conn, signal) => conn.streams({ signal })[Symbol.asyncIterator]().next()],
    ['json', (conn, signal) => conn.json(undefined, { signal })[Symbol.asyncIterator]().next()],
    ['ping', (conn, signal) => conn.ping({ signal })],
  ]

  for (const [name, read] of readers) {
    it(`of ${name} ends the wait, not the connection, and loses no message`, async () => {
      await using server = await serve({}, (conn) => conn.onMessage((data) => conn.send(data)))
      await using conn = await dial(server.url)
      await expires((signal) => read(conn, signal))
      conn.send('still here')
      assert.equal(await conn.read(), 'still here')
      assert.equal(conn.state, 'open')
    })
  }
})

describe('a deadline for writing', () => {
  it('ends the wait, and what waits still goes out', async () => {
    let accept!: (conn: Conn) => void
    const accepted = new Promise<Conn>((resolve) => {
      accept = resolve
    })
    const size = 3 * 1024 * 1024
    const limits = { maxQueuedBytes: 1000, maxMessageSize: size }
    await using server = await serve({ limits }, (conn) => accept(conn))
    await using conn = await dial(server.url)
    // The other side reads nothing for now; with its first message there it asks for no more.
    const messages = Array.from({ length: 8 }, (_, i) => Buffer.alloc(size / 2, i))
    let sent = 0
    while (sent < messages.length && conn.send(messages[sent] as Buffer)) sent++
    assert.ok(sent < messages.length, 'all of it went into the kernel')
    await expires((signal) => conn.drained({ signal }))
    assert.equal(conn.state, 'open')
    const peer = await accepted
    for (let i = 0; i <= sent; i++) assert.deepEqual(await peer.read(), messages[i])
    await conn.drained()
  })
})

describe('a deadline for closing', () => {
  it('drops the connection', async () => {
    await using server = await serve({ limits: { maxQueuedMessages: 1 } }, () => {})
    for (const early of [true, false]) {
      const conn = await dial(server.url, { limits: { closeTimeout: 0 } })
      // What nobody reads keeps our Close frame from being seen.
      for (let i = 0; i < 3; i++) conn.send('x')
      const controller = new AbortController()
      if (early) controller.abort()
      const closing = conn.close(4000, 'enough', { signal: controller.signal })
      controller.abort()
      const { by, wasClean, received } = await closing
      assert.deepEqual([by, wasClean, received], ['local', false, undefined])
    }
    for (const conn of server.connections) conn.terminate()
  })
})
