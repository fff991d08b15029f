// What the random runs over a failing network have found, each by the shortest way there is.

import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { assertNoLeaks } from '../leaks.ts'
import { connectedPair } from '../support/connected-pair.ts'

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
    assert.deepEqual([stats.messagesReceived, stats.messagesDropped], [1, 3])
  })
})
