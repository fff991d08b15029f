// What only a server can be asked to do for our client.

import assert from 'node:assert/strict'
import { dial, HandshakeError } from 'silverback'
import type { Scenario } from './scenario.ts'

export const serverScenarios: readonly Scenario[] = [
  {
    name: 'its refusal arrives with status, headers and body',
    side: 'server',
    async run(bench) {
      const port = await (await bench.peer()).serve({ refuse: true })
      await assert.rejects(dial(`ws://127.0.0.1:${port}/`), (error) => {
        assert.ok(error instanceof HandshakeError)
        assert.deepEqual([error.code, error.status, error.body], ['ERR_WS_STATUS', 401, 'Who are you?'])
        assert.equal(error.headers?.['www-authenticate'], 'Bearer')
        return true
      })
    },
  },
  {
    name: 'its check of the origin refuses us with 403, and takes its own',
    side: 'server',
    needs: ['a check of the origin'],
    async run(bench) {
      const peer = await bench.peer()
      const host = `127.0.0.1:${await peer.serve({ checkOrigin: true })}`
      await assert.rejects(
        dial(`ws://${host}/`, { headers: { origin: 'https://evil.example' } }),
        (error) => error instanceof HandshakeError && error.status === 403,
      )
      const conn = await dial(`ws://${host}/`, { headers: { origin: `http://${host}` } })
      await peer.accept()
      assert.equal((await conn.close()).wasClean, true)
    },
  },
]
