import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { assertNoLeaks } from '../../test/leaks.ts'
import { AnsweringServer } from '../../test/support/answering-server.ts'
import { refused } from '../../test/support/failure.ts'
import { Dialer, dial } from './dialer.ts'

after(() => assertNoLeaks())

describe('dial, what is refused before anybody is asked', () => {
  it('a jar with a unix socket: its cookies would go to every other', async () => {
    const jar = { getCookieString: () => assert.fail('asked'), setCookie: () => assert.fail('asked') }
    for (const url of ['ws+unix:/run/a.sock', 'wss+unix:/run/a.sock:/x'])
      await assert.rejects(dial(url, { jar }), { code: 'ERR_WS_INVALID_OPTION', message: /^jar: / })
  })

  it('options that are null, by a rejection', async () => {
    const none = null as unknown as undefined
    for (const dialled of [dial('ws://a.example', none), new Dialer().dial('ws://a.example', none)])
      await assert.rejects(dialled, { code: 'ERR_WS_INVALID_OPTION' })
  })
})

describe('dial, the request', () => {
  it('keeps an empty query', async () => {
    await using server = await AnsweringServer.start((socket) => socket.end('HTTP/1.1 403 No\r\n\r\n'))
    await refused(dial(`${server.url}path?`, { proxy: false }))
    assert.match(server.requests[0] ?? '', /^GET \/path\? HTTP\/1\.1\r\n/)
  })
})

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
