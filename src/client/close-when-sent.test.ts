import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { TestLink, turn } from '../../test/support/test-link.ts'
import { closeWhenSent } from './close-when-sent.ts'

describe('closeWhenSent', () => {
  it('closes when there is room, with what it is told', async () => {
    const peer = new TestLink({ role: 'client' })
    peer.conn.send('x')
    void closeWhenSent(peer.conn, { code: 4000, reason: 'done' })
    await turn()
    assert.deepEqual(peer.sent(), ['text 78', 'close 4000 "done"'])
    peer.conn.terminate()
  })

  it('waits as long as messages do, whatever the close timeout', async () => {
    const peer = new TestLink({ role: 'client', limits: { closeTimeout: 1_000, pingInterval: 0 } })
    peer.stream.hold()
    peer.conn.send('x'.repeat(100_000))
    void closeWhenSent(peer.conn, { code: 1005, reason: '' })
    await peer.pass(10_000)
    assert.equal(peer.conn.state, 'open')
    peer.stream.release()
    await turn()
    assert.equal(peer.conn.state, 'closing')
    assert.equal(peer.sent().at(-1), 'close 1005 ""')
    peer.conn.terminate()
  })

  it('has nothing to do when the connection ends first', async () => {
    const peer = new TestLink({ role: 'client' })
    peer.stream.hold()
    peer.conn.send('x'.repeat(100_000))
    const closing = closeWhenSent(peer.conn, { code: 1000, reason: '' })
    await turn()
    peer.conn.terminate()
    await closing
    assert.equal((await peer.conn.closed).sent, undefined)
  })
})
