import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { TestLink, turn } from '../../test/support/test-link.ts'
import { isPending } from '../../test/support/until.ts'
import { closeWhenSent } from './close-when-sent.ts'

const status = { code: 1005, reason: '' }

/** A connection with more to be sent than its peer takes. */
function stuck(): TestLink {
  const peer = new TestLink({ role: 'client', limits: { closeTimeout: 1_000, pingInterval: 0 } })
  peer.stream.hold()
  peer.conn.send('x'.repeat(100_000))
  return peer
}

describe('closeWhenSent', () => {
  it('closes when there is room, with what it is told', async () => {
    const peer = new TestLink({ role: 'client' })
    peer.conn.send('x')
    void closeWhenSent(peer.conn, { code: 4000, reason: 'done' })
    await turn()
    assert.deepEqual(peer.sent(), ['text 78', 'close 4000 "done"'])
    peer.conn.terminate()
  })

  it('waits for a slow network longer than the close timeout', async () => {
    const peer = stuck()
    const closing = closeWhenSent(peer.conn, status)
    await peer.pass(9_000)
    assert.equal(peer.conn.state, 'open')
    peer.stream.release()
    await closing
    assert.equal(peer.conn.state, 'closing')
    await turn()
    assert.equal(peer.sent().at(-1), 'close 1005 ""')
    peer.conn.terminate()
  })

  it('waits no more when nothing leaves, though the peer sends pings: then the close timeout counts', async () => {
    const peer = stuck()
    const closing = closeWhenSent(peer.conn, status, 5)
    await peer.receive({ opcode: 9 })
    await closing
    assert.equal(peer.conn.state, 'closing')
    const { closed } = peer.conn
    await peer.receive({ opcode: 9 })
    assert.equal(await isPending(closed), true)
    await peer.pass(2_000)
    assert.equal((await closed).wasClean, false)
  })

  it('waits while something leaves, but not for ever', async () => {
    const peer = stuck()
    let left = 0
    let looks = 0
    const conn = Object.create(peer.conn, {
      stats: {
        get: () => {
          looks++
          return { bytesSent: ++left }
        },
      },
      bufferedAmount: { value: 0 },
      drained: { value: peer.conn.drained.bind(peer.conn) },
      state: { get: () => peer.conn.state },
      close: { value: peer.conn.close.bind(peer.conn) },
    })
    await closeWhenSent(conn, status, 1)
    assert.equal(looks, 1 + 12)
    assert.equal(peer.conn.state, 'closing')
    peer.conn.terminate()
  })

  it('has nothing to do when the connection ends first', async () => {
    const peer = stuck()
    const closing = closeWhenSent(peer.conn, { code: 1000, reason: '' })
    await turn()
    peer.conn.terminate()
    await closing
    assert.equal((await peer.conn.closed).sent, undefined)
  })
})
