import assert from 'node:assert/strict'
import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import { after, describe, it } from 'node:test'
import { assertNoLeaks } from '../../test/leaks.ts'
import { keepRequest, keepResponse } from './handshake-request.ts'

after(() => assertNoLeaks())

function message(fields: Partial<IncomingMessage>): IncomingMessage {
  return Object.assign(new IncomingMessage(new Socket()), fields)
}

describe('what is kept of a handshake', () => {
  it('is the target and the header fields of the request', () => {
    const headers = { host: 'example.com', cookie: 'id=7' }
    const kept = keepRequest(message({ url: '/chat?room=1', headers }))
    assert.deepEqual(kept, { url: '/chat?room=1', headers })
  })

  it('is the status and the header fields of the answer', () => {
    const kept = keepResponse(message({ statusCode: 101, headers: { 'x-user': 'ann' } }))
    assert.deepEqual(kept, { statusCode: 101, headers: { 'x-user': 'ann' } })
  })
})
