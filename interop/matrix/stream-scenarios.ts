// Messages that are sent or received piece by piece.

import assert from 'node:assert/strict'
import type { Conn } from 'silverback'
import { assertSame } from '../samples.ts'
import type { Ability } from './peer-kind.ts'
import { type Scenario, type Variant, variants } from './scenario.ts'

const texts = ['sil', 'ver', '', 'back 🦍', 'x'.repeat(70_000)]
const chunks = Array.from({ length: 40 }, (_, i) => Buffer.alloc(i * 100, i))

/** One message, in a frame for each piece. */
async function sendPieces(
  conn: Conn,
  pieces: readonly (string | Buffer)[],
  withPings: boolean,
): Promise<void> {
  const writer = conn.writeStream(typeof pieces[0] === 'string' ? 'text' : 'binary')
  for (const piece of pieces) {
    await writer.write(piece)
    if (withPings) await conn.ping()
  }
  await writer.close()
}

function sending({ suffix, compression }: Variant, withPings: boolean): Scenario {
  const needs: Ability[] = compression === false ? [] : ['compression']
  if (withPings && compression !== false) needs.push('pings between compressed fragments')
  return {
    name: `our message in pieces is one message to it${withPings ? ', pings between them' : ''}${suffix}`,
    needs,
    async run(bench) {
      await using pair = await bench.open({ compression })
      const { conn, peer } = pair
      await sendPieces(conn, texts, withPings)
      assertSame(await peer.read(), texts.join(''), 'text')
      await sendPieces(conn, chunks, withPings)
      assertSame(await peer.read(), Buffer.concat(chunks), 'binary')
      // What comes behind such a message is whole too.
      conn.send('behind')
      assert.equal(await peer.read(), 'behind')
    },
  }
}

const receiving = ({ suffix, compression }: Variant): Scenario => {
  const needs: Ability[] = compression === false ? ['fragments'] : ['fragments', 'compression']
  return {
    name: `its message in pieces reaches us as a stream${suffix}`,
    needs,
    async run(bench) {
      await using pair = await bench.open({ compression, writeBuffer: 256 })
      const { conn, peer } = pair
      for (const pieces of [texts, chunks]) {
        const sent = peer.sendFragments(...pieces)
        const stream = await conn.readStream()
        assert.equal(stream.type, pieces === texts ? 'text' : 'binary')
        const received: Uint8Array[] = []
        for await (const chunk of stream) received.push(chunk)
        await sent
        const whole = Buffer.concat(received)
        const expected = pieces === texts ? Buffer.from(texts.join('')) : Buffer.concat(chunks)
        assertSame(whole, expected, stream.type)
      }
    },
  }
}

export const streamScenarios: readonly Scenario[] = variants.flatMap((variant) => [
  sending(variant, false),
  sending(variant, true),
  receiving(variant),
])
