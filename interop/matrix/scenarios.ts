// What every peer goes through: peer x side x scenario. What both sides do the same way stands here, the rest in
// client-scenarios.ts and server-scenarios.ts.

import assert from 'node:assert/strict'
import { prepare } from 'silverback'
import { PeerError } from '../led-peer.ts'
import { assertSame, ending, samples } from '../samples.ts'
import type { Pair } from './bench.ts'
import { clientScenarios } from './client-scenarios.ts'
import type { Ability } from './peer-kind.ts'
import { type Scenario, type Variant, variants } from './scenario.ts'
import { serverScenarios } from './server-scenarios.ts'
import { streamScenarios } from './stream-scenarios.ts'

const small = samples.filter(({ message }) => message.length <= 65_537)

function assertSaved({ conn }: Pair, { compression }: Variant): void {
  const { encoding } = conn.stats
  if (compression === false) return assert.equal(encoding, undefined)
  assert.ok(encoding !== undefined)
  assert.ok(encoding.encodedSent < encoding.plainSent, 'what we sent')
  assert.ok(encoding.encodedReceived < encoding.plainReceived, 'what the peer sent')
}

const carrying: readonly Scenario[] = variants.flatMap((variant): Scenario[] => {
  const { suffix, compression } = variant
  const needs: Ability[] = compression === false ? [] : ['compression']
  return [
    {
      name: `all messages come back${suffix}`,
      needs,
      async run(bench) {
        await using pair = await bench.open({ compression })
        const { conn, peer } = pair
        const echoed = peer.echo(2 * samples.length)
        for (const { name, message } of samples) {
          conn.send(message)
          assertSame(await conn.read(), message, name)
        }
        for (const { message } of samples) conn.send(message)
        for (const { name, message } of samples) assertSame(await conn.read(), message, `${name}, pipelined`)
        await echoed
        assertSaved(pair, variant)
      },
    },
    {
      name: `messages mean the same on both sides${suffix}`,
      needs,
      async run(bench) {
        await using pair = await bench.open({ compression })
        const { conn, peer } = pair
        for (const { name, message } of small) {
          conn.send(message)
          assertSame(await peer.read(), message, `${name}, to the peer`)
          await peer.send(message)
          assertSame(await conn.read(), message, `${name}, from the peer`)
        }
        assertSaved(pair, variant)
      },
    },
    {
      name: `its fragments become one message, a ping between them${suffix}`,
      needs: [...needs, 'fragments'],
      async run(bench) {
        await using pair = await bench.open({ compression, writeBuffer: 256 })
        const { conn, peer } = pair
        const messages = [
          ['sil', 'ver', '', 'back 🦍'],
          Array.from({ length: 300 }, (_, i) => Buffer.from([i & 0xff])),
          // Cut within characters where fragments are of a size of their own.
          Array.from({ length: 100 }, (_, i) => `${i} € 🦍 `.repeat(10)),
          Array.from({ length: 40 }, (_, i) => Buffer.alloc(i * 100, i)),
        ]
        for (const [index, parts] of messages.entries()) {
          await peer.sendFragments(...parts)
          const text = parts.filter((part) => typeof part === 'string')
          const expected = text.length > 0 ? text.join('') : Buffer.concat(parts as Buffer[])
          assertSame(await conn.read(), expected, `message ${index}`)
        }
      },
    },
  ]
})

const theirCloses: readonly (readonly [code: number, reason: string])[] = [
  [4321, 'até 🦍'],
  [1000, ''],
  [1001, 'going away'],
  [3000, 'r'.repeat(123)],
]

const closing: readonly Scenario[] = [
  {
    name: 'it closes with code and reason',
    async run(bench) {
      for (const [code, reason] of theirCloses) {
        await using pair = await bench.open()
        const { conn, peer } = pair
        await peer.close(code, reason)
        const info = await conn.closed
        assert.deepEqual(ending(info), { code, reason, by: 'remote', wasClean: true })
        assert.deepEqual(
          [info.received, info.sent],
          [
            { code, reason },
            { code, reason: '' },
          ],
        )
        // It reports our Close frame, which repeats its code.
        assert.deepEqual(await peer.closed(), { code, reason: '' })
      }
    },
  },
  {
    name: 'it closes without a code',
    needs: ['a close without a code'],
    async run(bench) {
      await using pair = await bench.open()
      const { conn, peer } = pair
      await peer.close()
      assert.deepEqual(ending(await conn.closed), { code: 1005, reason: '', by: 'remote', wasClean: true })
      assert.deepEqual(await peer.closed(), { code: 1005, reason: '' })
    },
  },
  {
    name: 'we close with code and reason',
    async run(bench) {
      for (const [code, reason] of [
        [4000, 'genug 🦍'],
        [1000, ''],
        [1001, ''],
        [4999, 'r'.repeat(123)],
      ] as const) {
        await using pair = await bench.open()
        const { conn, peer } = pair
        const info = await conn.close(code, reason)
        assert.deepEqual(ending(info), { code, reason, by: 'local', wasClean: true })
        assert.deepEqual(info.sent, { code, reason })
        assert.equal(info.received?.code, bench.kind.answersWith ?? code)
        assert.deepEqual(await peer.closed(), { code, reason })
      }
    },
  },
  {
    name: 'what was sent before closing arrives before it',
    async run(bench) {
      await using pair = await bench.open()
      const { conn, peer } = pair
      conn.send('last words')
      conn.send(Buffer.alloc(60_000, 7))
      const closed = conn.close()
      assert.equal(await peer.read(), 'last words')
      assertSame(await peer.read(), Buffer.alloc(60_000, 7), 'binary')
      await closed
      await assert.rejects(peer.read(), (error) => error instanceof PeerError)
    },
  },
  {
    name: 'either side hangs up without a word',
    async run(bench) {
      for (const who of ['ours', 'theirs'] as const) {
        await using pair = await bench.open()
        const { conn, peer } = pair
        if (who === 'ours') conn.terminate()
        else await peer.hangUp()
        const by = who === 'ours' ? 'local' : 'network'
        assert.deepEqual(ending(await conn.closed), { code: 1006, reason: '', by, wasClean: false })
        assert.deepEqual(await peer.closed(), { code: 1006, reason: '' }, `${who} hung up`)
      }
    },
  },
]

const others: readonly Scenario[] = [
  {
    name: 'pings are answered on both sides',
    async run(bench) {
      await using pair = await bench.open()
      const { conn, peer } = pair
      await peer.ping()
      const rtt = await conn.ping()
      assert.ok(rtt >= 0 && rtt < 10_000)
      // The answer to a ping stands behind what was sent before it, and before what is sent later.
      conn.send('before')
      await conn.ping()
      assert.equal(await peer.read(), 'before')
    },
  },
  {
    name: 'subprotocols: one that both speak, or none',
    async run(bench) {
      for (const [offered, chosen] of [
        [['v9', 'v2'], 'v2'],
        [['v1'], 'v1'],
        [['v9'], null],
        [[], null],
      ] as const) {
        if (chosen === null && offered.length > 0 && bench.kind.demandsSubprotocol) {
          await assert.rejects(bench.open({ subprotocols: offered }), PeerError)
          continue
        }
        await using pair = await bench.open({ subprotocols: offered })
        assert.equal(pair.opened.subprotocol, chosen)
        assert.equal(pair.conn.subprotocol, chosen ?? '')
      }
    },
  },
  {
    name: 'an offer of compression may be declined',
    needs: ['compression'],
    async run(bench) {
      for (const peerCompression of [true, false]) {
        await using pair = await bench.open({ compression: !peerCompression, peerCompression })
        const { conn, peer } = pair
        conn.send('x'.repeat(1000))
        assertSame(await peer.read(), 'x'.repeat(1000), 'to the peer')
        await peer.send('y'.repeat(1000))
        assertSame(await conn.read(), 'y'.repeat(1000), 'from the peer')
      }
    },
  },
  {
    name: 'our prepared messages reach it',
    async run(bench) {
      await using pair = await bench.open()
      for (const message of ['prepared 🦍', Buffer.alloc(300, 3)]) {
        const prepared = prepare(message)
        pair.conn.send(prepared)
        pair.conn.send(prepared)
        assertSame(await pair.peer.read(), message, 'once')
        assertSame(await pair.peer.read(), message, 'twice')
      }
    },
  },
  {
    name: 'its prepared messages reach us',
    needs: ['prepared messages'],
    async run(bench) {
      for (const compression of [false, true]) {
        await using pair = await bench.open({ compression })
        for (const message of ['prepared 🦍'.repeat(100), Buffer.alloc(300, 3)]) {
          await pair.peer.sendPrepared(message)
          assertSame(await pair.conn.read(), message, 'once')
          assertSame(await pair.conn.read(), message, 'twice')
        }
      }
    },
  },
  {
    name: 'a message that is too long for us is answered with 1009',
    async run(bench) {
      await using pair = await bench.open({ limits: { maxMessageSize: 1000 } })
      await pair.peer.send('x'.repeat(1001))
      assert.equal((await pair.peer.closed()).code, 1009)
      const { code, by, error } = await pair.conn.closed
      assert.deepEqual([code, by, error?.name], [1009, 'local', 'LimitError'])
    },
  },
  {
    name: 'a message that is too long for it ends with its 1009',
    needs: ['a limit on messages'],
    async run(bench) {
      await using pair = await bench.open({ peerMaxSize: 1000 })
      pair.conn.send(Buffer.alloc(1001))
      const { code, by, wasClean } = await pair.conn.closed
      assert.deepEqual({ code, by, wasClean }, { code: 1009, by: 'remote', wasClean: true })
    },
  },
  {
    name: 'text that is not UTF-8 is answered with 1007',
    needs: ['text that is not UTF-8'],
    async run(bench) {
      await using pair = await bench.open()
      await pair.peer.sendAsText(Buffer.from([0x61, 0xc0, 0x80]))
      assert.equal((await pair.peer.closed()).code, 1007)
      const { code, by, error } = await pair.conn.closed
      assert.deepEqual([code, by, error?.name], [1007, 'local', 'ProtocolError'])
    },
  },
]

/** The rows. */
export const scenarios: readonly Scenario[] = [
  ...carrying,
  ...streamScenarios,
  ...others,
  ...closing,
  ...clientScenarios,
  ...serverScenarios,
]
