import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { isWebSocketUpgrade } from './is-websocket-upgrade.ts'

describe('isWebSocketUpgrade', () => {
  const table: [connection: string | undefined, upgrade: string | undefined, expected: boolean][] = [
    ['Upgrade', 'websocket', true],
    ['keep-alive, UPGRADE', 'h2c, WebSocket', true],
    [',upgrade,', 'websocket/13, websocket', true],
    ['upgrade', undefined, false],
    [undefined, 'websocket', false],
    ['keep-alive', 'websocket', false],
    ['upgrade', 'h2c', false],
    ['upgrades', 'websocket', false],
    ['upgrade', 'websocket/13', false],
    ['"upgrade"', 'websocket', false],
    ['', '', false],
  ]
  for (const [connection, upgrade, expected] of table) {
    it(`${connection} and ${upgrade}: ${expected}`, () => {
      assert.equal(isWebSocketUpgrade({ headers: { connection, upgrade } }), expected)
    })
  }

  it('answers whatever the headers are', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (connection, upgrade) => {
        assert.equal(typeof isWebSocketUpgrade({ headers: { connection, upgrade } }), 'boolean')
      }),
    )
  })
})
