import assert from 'node:assert/strict'
import { once } from 'node:events'
import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import { after, describe, it } from 'node:test'
import { assertNoLeaks } from '../../test/leaks.ts'
import { UpgradeRequest } from './upgrade-request.ts'

after(() => assertNoLeaks())

function newRequest(): UpgradeRequest {
  return new UpgradeRequest(new Socket(), {
    url: '/a',
    headers: { host: 'b', upgrade: 'websocket' },
    rawHeaders: ['Host', 'b', 'Upgrade', 'websocket'],
    end: 0,
  })
}

describe('UpgradeRequest', () => {
  it('is a whole request of HTTP/1.1', () => {
    const request = newRequest()
    assert.ok(request instanceof IncomingMessage)
    assert.deepEqual([request.method, request.url, request.httpVersion], ['GET', '/a', '1.1'])
    assert.deepEqual(request.headers, { host: 'b', upgrade: 'websocket' })
    assert.deepEqual(Object.entries(request.headersDistinct), [
      ['host', ['b']],
      ['upgrade', ['websocket']],
    ])
    assert.deepEqual(request.rawHeaders, ['Host', 'b', 'Upgrade', 'websocket'])
    assert.deepEqual([request.upgrade, request.complete], [true, true])
  })

  it('has no body', async () => {
    const request = newRequest()
    request.on('data', () => assert.fail('a body'))
    await once(request, 'end')
    assert.equal(request.aborted, false)
  })
})
