import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type DialOptions, resolveDialOptions } from '../client/dial-options.ts'
import type { Extension, ExtensionFactory } from '../protocol/extension.ts'
import { resolveUpgraderOptions, type UpgraderOptions } from '../server/upgrader-options.ts'
import { HandshakeError } from '../session/errors.ts'
import { FakeClock } from './fake-clock.ts'
import { type HandshakeResult, inMemoryHandshake } from './in-memory-handshake.ts'
import { memoryWire } from './memory-socket.ts'

interface Terms {
  readonly url?: string
  readonly client?: DialOptions
  readonly server?: UpgraderOptions
  readonly context?: unknown
}

function shake({ url = '/', client = {}, server = {}, context }: Terms = {}): HandshakeResult {
  const wire = memoryWire({ clock: new FakeClock(), latency: 0, chunkSize: 1, capacity: 1 })
  return inMemoryHandshake(
    { url, client: resolveDialOptions(client), server: resolveUpgraderOptions(server), context },
    wire,
  )
}

/** What the handshake fails with. */
function refusal(terms: Terms): HandshakeError {
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
    const { request } = shake({
      url: '/a?b=c',
      client: { headers: { Cookie: 'id=1', host: 'example.com' } },
    })
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
    const { response } = shake({ server: { headers: { 'X-Instance': '7' } } })
    assert.equal(response.statusCode, 101)
    assert.deepEqual([response.headers.upgrade, response.headers['x-instance']], ['websocket', '7'])
  })

  it('has the server choose the subprotocol, by a list or a function that sees the request', () => {
    const chosen = ({ client, server }: HandshakeResult): string[] => [client.subprotocol, server.subprotocol]
    const speaking = (offered: string[], spoken: UpgraderOptions['subprotocols']): Terms => ({
      client: { subprotocols: offered },
      server: { subprotocols: spoken },
    })
    assert.deepEqual(chosen(shake(speaking(['b', 'a'], ['a', 'b']))), ['b', 'b'])
    const supported: UpgraderOptions['subprotocols'] = (offered, { url }) =>
      url === '/' ? offered.at(-1) : ''
    assert.deepEqual(chosen(shake(speaking(['b', 'a'], supported))), ['a', 'a'])
    assert.deepEqual(chosen(shake(speaking(['c'], ['a']))), ['', ''])
  })

  it('fails as dial does when the server refuses, and says why', () => {
    const error = refusal({ client: { headers: { origin: 'https://elsewhere.example' } } })
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
    const error = refusal({ client: { extensions: [factory] }, server: { extensions: [factory] } })
    assert.deepEqual([error.code, error.status, error.cause], ['ERR_WS_EXTENSION', 101, undefined])
    assert.equal(disposed, 1)
    const failure = new Error('on purpose')
    const failing = (): never => {
      throw failure
    }
    const fine: ExtensionFactory = { ...factory, accept: () => extension }
    const failed = refusal({
      client: { extensions: [fine] },
      server: { extensions: [fine], headers: failing },
    })
    assert.deepEqual([failed.status, disposed], [500, 2])
  })

  it('answers 500 when a function of the server fails, or answers what it may not', () => {
    const failure = new Error('on purpose')
    const wrong: [UpgraderOptions, unknown][] = [
      [
        {
          checkOrigin: () => {
            throw failure
          },
        },
        failure,
      ],
      [{ checkOrigin: (async () => false) as never }, /checkOrigin must answer at once/],
      [{ subprotocols: () => 'b' }, /which the client did not offer/],
      [{ subprotocols: (async () => 'a') as never }, /subprotocols must answer at once/],
      [{ headers: () => ({ Upgrade: 'x' }) }, /Upgrade is set by the handshake/],
    ]
    for (const [server, reason] of wrong) {
      const error = refusal({ client: { subprotocols: ['a'] }, server })
      assert.deepEqual([error.code, error.status], ['ERR_WS_STATUS', 500])
      const { cause } = error
      assert.ok(cause instanceof HandshakeError && cause.code === 'ERR_WS_SERVER')
      if (reason instanceof RegExp) assert.match(String(cause.cause), reason)
      else assert.equal(cause.cause, reason)
    }
  })

  it('has the limits of a real one', () => {
    const fields = (count: number): DialOptions => ({
      headers: Object.fromEntries(Array.from({ length: count }, (_, i) => [`x-${i}`, 'v'])),
    })
    for (const client of [fields(101), { headers: { a: 'x'.repeat(20_000) } }]) {
      const error = refusal({ client })
      assert.deepEqual([error.code, error.status], ['ERR_WS_STATUS', 431])
    }
    assert.equal(shake({ client: fields(80) }).response.statusCode, 101)
    const long = refusal({ server: { headers: { a: 'x'.repeat(20_000) } } })
    assert.deepEqual([long.code, long.status], ['ERR_WS_HEADER_LIMIT', undefined])
  })

  it('has several cookies, and lines that are lines', () => {
    const headers = { 'Set-Cookie': ['a=1', 'b=2'], 'X-A': 'b\r\nc: d', 'X-L': ['1', '2'] }
    const { response } = shake({ server: { headers } })
    assert.deepEqual(response.headers['set-cookie'], ['a=1', 'b=2'])
    assert.deepEqual(shake({ server: { headers: { 'set-cookie': 'a=1' } } }).response.headers['set-cookie'], [
      'a=1',
    ])
    const { 'x-a': line, 'x-l': list, c } = response.headers
    assert.deepEqual([line, list, c], ['b  c: d', '1, 2', undefined])
    assert.deepEqual(response.headersDistinct['x-l'], ['1', '2'])
  })

  it('tells the function that makes headers who was let in', () => {
    const headers: UpgraderOptions['headers'] = (_request, user) => ({ 'X-User': String(user) })
    assert.equal(shake({ server: { headers }, context: 'ann' }).response.headers['x-user'], 'ann')
  })
})
