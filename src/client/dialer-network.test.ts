import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { assertNoLeaks } from '../../test/leaks.ts'
import { AnsweringServer } from '../../test/support/answering-server.ts'
import { HandshakeError } from '../session/errors.ts'
import { dial } from './dialer.ts'

after(() => assertNoLeaks())

async function refused(promise: Promise<unknown>): Promise<HandshakeError> {
  const error = await promise.then(
    () => assert.fail('connected'),
    (reason: unknown) => reason,
  )
  assert.ok(error instanceof HandshakeError, String(error))
  return error
}

describe('dial, a proxy whose refusal stalls', () => {
  it('tells the refusal with what has come of its body, and not that the time is up', async () => {
    await using proxy = await AnsweringServer.start((socket) => {
      socket.write('HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 99\r\n\r\nwho')
    })
    const options = { proxy: `http://127.0.0.1:${proxy.port}`, handshakeTimeout: 200 }
    const error = await refused(dial('ws://a.example', options))
    assert.deepEqual([error.code, error.status, error.body], ['ERR_WS_PROXY', 407, 'who'])
    await proxy.deserted()
  })

  it('is given up with the signal all the same', async () => {
    const controller = new AbortController()
    const boom = new Error('boom')
    await using proxy = await AnsweringServer.start((socket) => {
      const head = 'HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 99\r\n\r\nwho'
      socket.write(head, () => setImmediate(() => controller.abort(boom)))
    })
    const options = { proxy: `http://127.0.0.1:${proxy.port}`, signal: controller.signal }
    await assert.rejects(dial('ws://a.example', options), boom)
    await proxy.deserted()
  })
})
