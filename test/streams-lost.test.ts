import assert from 'node:assert/strict'
import type { Readable } from 'node:stream'
import { after, describe, it } from 'node:test'
import { type Conn, joinMessages, toDuplex, toWebStreams } from 'silverback'
import { assertNoLeaks } from './leaks.ts'
import { connectedPair } from './support/connected-pair.ts'

after(() => assertNoLeaks())

const adapters: Record<string, (conn: Conn) => AsyncIterable<unknown>> = {
  joinMessages: (conn) => joinMessages(conn),
  toDuplex: (conn) => toDuplex(conn),
  'toDuplex in messages': (conn) => toDuplex(conn, { objectMode: true }),
  toWebStreams: (conn) => toWebStreams(conn).readable,
  'toWebStreams in messages': (conn) => toWebStreams(conn, { objectMode: true }).readable,
}

async function drainTo(chunks: unknown[], stream: AsyncIterable<unknown> | Readable): Promise<void> {
  for await (const chunk of stream) chunks.push(chunk)
}

// The loops over such a connection end quietly, since `reconnect` judges how it ended. A file that is piped from it would
// be taken for whole.
describe('streams over a connection of reconnect()', () => {
  for (const [name, adapt] of Object.entries(adapters)) {
    it(`fail when the connection is lost: ${name}`, async () => {
      await using pair = await connectedPair({ server: { onError() {} } })
      pair.client.endQuietly()
      const chunks: unknown[] = []
      const reading = drainTo(chunks, adapt(pair.client))
      pair.server.send(Buffer.from('the first half'))
      await pair.client.ping()
      pair.server.terminate()
      await assert.rejects(reading, { name: 'CloseError', code: 'ERR_WS_CLOSED' })
      assert.equal(chunks.length, 1)
    })

    it(`end when the peer has closed in order: ${name}`, async () => {
      await using pair = await connectedPair()
      pair.client.endQuietly()
      const chunks: unknown[] = []
      const reading = drainTo(chunks, adapt(pair.client))
      pair.server.send(Buffer.from('all of it'))
      await pair.server.close()
      await reading
      assert.equal(chunks.length, 1)
    })
  }
})
