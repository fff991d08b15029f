// What only a client can be asked to do at our server.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { reject, serve } from 'silverback'
import { type PeerConnectOptions, PeerError } from '../led-peer.ts'
import type { Bench } from './bench.ts'
import type { Scenario } from './scenario.ts'

/** The status that the peer is answered with. */
async function statusOf(bench: Bench, url: string, options: PeerConnectOptions = {}): Promise<number | null> {
  const peer = await bench.peer()
  try {
    await peer.connect(url, options)
    return 101
  } catch (error) {
    if (error instanceof PeerError) return error.status
    throw error
  }
}

export const clientScenarios: readonly Scenario[] = [
  {
    name: 'our server refuses a foreign origin and another path',
    side: 'client',
    async run(bench) {
      await using server = await serve({ path: '/ws' }, () => {})
      assert.equal(await statusOf(bench, server.url, { origin: 'https://evil.example' }), 403)
      assert.equal(await statusOf(bench, `${server.url}/x`), 404)
      const origin = server.url.replace(/^ws(.*)\/ws$/, 'http$1')
      assert.equal(await statusOf(bench, server.url, { origin }), 101)
    },
  },
  {
    name: 'a refusal of our application reaches it, and its headers reach us',
    side: 'client',
    async run(bench) {
      const http = createServer().listen(0, '127.0.0.1')
      await once(http, 'listening')
      http.on('upgrade', ({ headers }, socket) => {
        assert.equal(headers.authorization, 'Bearer x')
        reject(socket, 401, { body: 'Who are you?' })
      })
      const { port } = http.address() as AddressInfo
      const headers = { Authorization: 'Bearer x' }
      assert.equal(await statusOf(bench, `ws://127.0.0.1:${port}/`, { headers }), 401)
      http.close()
      await once(http, 'close')
    },
  },
  {
    name: 'when our server stops, it is told 1001',
    side: 'client',
    async run(bench) {
      await using pair = await bench.open()
      await pair.server?.close()
      assert.deepEqual(await pair.peer.closed(), { code: 1001, reason: '' })
      const { code, by, wasClean } = await pair.conn.closed
      assert.deepEqual([code, by, wasClean], [1001, 'local', true])
    },
  },
]
