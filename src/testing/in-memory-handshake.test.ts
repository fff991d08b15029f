import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Extension, ExtensionFactory } from '../protocol/extension.ts'
import { sameOrigin } from '../server/origin.ts'
import { HandshakeError } from '../session/errors.ts'
import { FakeClock } from './fake-clock.ts'
import { type HandshakeResult, type HandshakeTerms, inMemoryHandshake } from './in-memory-handshake.ts'
import { memoryWire } from './memory-socket.ts'

function shake(terms: Partial<HandshakeTerms> = {}): HandshakeResult {
  const wire = memoryWire({ clock: new FakeClock(), latency: 0, chunkSize: 1, capacity: 1 })
  return inMemoryHandshake(
    {
      url: '/',
      requestHeaders: {},
      responseHeaders: {},
      checkOrigin: sameOrigin,
      offered: [],
      supported: [],
      clientExtensions: [],
      serverExtensions: [],
      ...terms,
    },
    wire,
  )
}

/** What the handshake fails with. */
function refusal(terms: Partial<HandshakeTerms>): HandshakeError {
  try {
    shake(terms)
  } catch (error) {
    assert.ok(error instanceof HandshakeError)
    return error
  }
  return assert.fail('it was taken')
}

describe('inMemoryHandshake', () => {
  it('makes a request as node:http does', async () => {
    const { request } = shake({ url: '/a?b=c', requestHeaders: { Cookie: 'id=1', host: 'example.com' } })
    const { method, url, httpVersion, complete } = request
    assert.deepEqual([method, url, httpVersion, complete], ['GET', '/a?b=c', '1.1', true])
    assert.equal(request.headers.cookie, 'id=1')
    assert.equal(request.headers.host, 'example.com')
    assert.deepEqual(request.headersDistinct.cookie, ['id=1'])
    assert.deepEqual(request.rawHeaders.slice(2, 4), ['Cookie', 'id=1'])
    assert.equal(request.headers['sec-websocket-version'], '13')
    assert.equal(request.socket.remoteAddress, '127.0.0.1')
    const body: Buffer[] = []
    for await (const chunk of request) body.push(chunk)
    assert.deepEqual(body, [])
  })

  it('makes the answer too, with the headers of the application', () => {
    const { response } = shake({ responseHeaders: { 'X-Instance': '7' } })
    assert.equal(response.statusCode, 101)
    assert.deepEqual([response.headers.upgrade, response.headers['x-instance']], ['websocket', '7'])
  })

  it('has the server choose the subprotocol, by a list or a function that sees the request', () => {
    const chosen = ({ client, server }: HandshakeResult): string[] => [client.subprotocol, server.subprotocol]
    assert.deepEqual(chosen(shake({ offered: ['b', 'a'], supported: ['a', 'b'] })), ['b', 'b'])
    const supported: HandshakeTerms['supported'] = (offered, { url }) => (url === '/' ? offered.at(-1) : '')
    assert.deepEqual(chosen(shake({ offered: ['b', 'a'], supported })), ['a', 'a'])
    assert.deepEqual(chosen(shake({ offered: ['c'], supported: ['a'] })), ['', ''])
  })

  it('fails as dial does when the server refuses, and says why', () => {
    const error = refusal({ requestHeaders: { origin: 'https://elsewhere.example' } })
    assert.deepEqual([error.code, error.status, error.body], ['ERR_WS_STATUS', 403, 'Origin not allowed\n'])
    assert.equal(error.headers?.['sec-websocket-version'], '13')
    assert.ok(error.cause instanceof HandshakeError)
    assert.deepEqual([error.cause.code, error.cause.status], ['ERR_WS_ORIGIN', 403])
  })

  it('fails when the client cannot take the answer, and lets go of what the server has', () => {
    let disposed = 0
    const extension: Extension = {
      name: 'x',
      rsv: 0x20,
      encode: (payload) => payload,
      decode: (payload) => payload,
      dispose: () => void disposed++,
    }
    const factory: ExtensionFactory = {
      name: 'x',
      offers: () => [new Map()],
      accept: () => undefined,
      negotiate: () => ({ params: new Map(), extension }),
    }
    const error = refusal({ clientExtensions: [factory], serverExtensions: [factory] })
    assert.deepEqual([error.code, error.status, error.cause], ['ERR_WS_EXTENSION', 101, undefined])
    assert.equal(disposed, 1)
    const broken = refusal({ responseHeaders: { 'sec-websocket-accept': 'no' } })
    assert.equal(broken.code, 'ERR_WS_ACCEPT')
  })
})
