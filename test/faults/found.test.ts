// What the random runs over a failing network have found, each by the shortest way there is.

import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { hex } from '../frames.ts'
import { assertNoLeaks } from '../leaks.ts'
import { connectedPair } from '../support/connected-pair.ts'
import { TestLink } from '../support/test-link.ts'

after(() => assertNoLeaks())

describe('messages behind a compressed one that is still being read as a stream, when this side closes', () => {
  it('are counted as dropped, each', async () => {
    const limits = { maxQueuedBytes: 500 }
    await using pair = await connectedPair({
      server: { compression: true, limits: { fragmentSize: 125 } },
      client: { compression: true, limits },
    })
    const { client, server } = pair
    const long = Array.from({ length: 200 }, (_, i) => i * i).join()
    server.send(long)
    for (const text of ['a', '', 'c'.repeat(2_000)]) server.send(text)
    const stream = await client.readStream()
    const closing = client.close()
    // By then what stands behind has been read over.
    await server.closed
    assert.equal(await stream.text(), long)
    const { wasClean, stats } = await closing
    assert.equal(wasClean, true)
    assert.deepEqual([stats.messagesReceived, stats.receivesDropped], [1, 3])
  })
})

describe('a peer that falls silent behind a ping() of the application', () => {
  it('is dropped as soon as any other: nothing lies between that ping and the next', async () => {
    const peer = new TestLink({ limits: { pingInterval: 2_000, pongTimeout: 1_000 } })
    const rtt = peer.conn.ping()
    await peer.pass(100)
    const [, payload = ''] = peer.sent().at(-1)?.split(' ') ?? []
    await peer.receive({ opcode: 10, payload: hex(payload) })
    await rtt
    await peer.pass(3_500)
    assert.equal(peer.conn.state, 'closed')
  })
})
