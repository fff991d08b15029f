import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { TestLink } from '../../test/support/test-link.ts'
import { Conn } from '../conn/conn.ts'
import { ServerConn } from './server-conn.ts'

describe('ServerConn', () => {
  it('is a Conn with a request and a context', async () => {
    const { link } = new TestLink()
    const request = { url: '/', headers: {} }
    const context = { user: 'ann' }
    const conn = new ServerConn<'a', typeof context>(link, {
      request,
      context,
      subprotocol: 'a',
      extensions: 'x',
      remoteAddress: '192.0.2.1',
    })
    assert.ok(conn instanceof Conn)
    assert.equal(conn.request, request)
    assert.equal(conn.context, context)
    assert.deepEqual(
      [conn.subprotocol, conn.extensions, conn.remoteAddress, conn.response],
      ['a', 'x', '192.0.2.1', undefined],
    )
    conn.terminate()
    assert.equal((await conn.closed).code, 1006)
  })
})
