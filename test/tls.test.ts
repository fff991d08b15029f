// WebSockets over TLS: `wss:` with the library's own server, and upgraders on one of node:https.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer, request } from 'node:https'
import type { AddressInfo } from 'node:net'
import { after, describe, test } from 'node:test'
import { dial, type Handler, HandshakeError, serve, Upgrader } from 'silverback'
import { assertNoLeaks } from './leaks.ts'

after(() => assertNoLeaks())

const fixture = (name: string): Promise<Buffer> => readFile(new URL(`fixtures/${name}`, import.meta.url))
const [cert, key] = await Promise.all([fixture('localhost.crt'), fixture('localhost.key')])
const tls = { cert, key }
/** The certificate is its own authority. */
const trusting = { tls: { ca: cert } }

const echo: Handler = async (conn) => {
  for await (const message of conn) if (!conn.send(message)) await conn.drained()
}

/** Checks that there is no connection, and that the system's reason is told. */
function assertNoConnection(dialled: Promise<unknown>, reason: RegExp): Promise<void> {
  return assert.rejects(dialled, (error) => {
    assert.ok(error instanceof HandshakeError)
    assert.equal(error.code, 'ERR_WS_CONNECT')
    assert.match(`${(error.cause as NodeJS.ErrnoException).code} ${error.cause}`, reason)
    return true
  })
}

describe('serve({ tls })', () => {
  test('messages come back over wss', async () => {
    await using server = await serve({ tls, path: '/echo' }, echo)
    assert.match(server.url, /^wss:\/\/127\.0\.0\.1:\d+\/echo$/)
    await using conn = await dial(server.url, trusting)
    assert.equal(conn.remoteAddress, '127.0.0.1')
    const messages = [
      'héllo',
      '',
      Buffer.from([0, 255]),
      'x'.repeat(1024 * 1024),
      Buffer.alloc(1024 * 1024, 1),
    ]
    for (const message of messages) {
      conn.send(message)
      assert.deepEqual(await conn.read(), message)
    }
    // Many small ones at once: their memory serves again while TLS may still need it, unless that is seen to.
    for (let i = 0; i < 5000; i++) conn.send(`message ${i}`)
    for (let i = 0; i < 5000; i++) assert.equal(await conn.read(), `message ${i}`)
    assert.ok((await conn.ping()) >= 0)
  })

  test('by name, and by the IPv6 address where there is one', async (t) => {
    await using server = await serve({ tls, host: 'localhost' }, echo)
    const { port } = server.server.address() as AddressInfo
    await (await dial(`wss://localhost:${port}/`, trusting)).close()
    const onIpv6 = await serve({ tls, host: '::1' }, echo).catch((error: NodeJS.ErrnoException) => error.code)
    if (typeof onIpv6 !== 'object') return t.diagnostic(`no IPv6 here: ${onIpv6}`)
    await using _ = onIpv6
    assert.match(onIpv6.url, /^wss:\/\/\[::1\]:\d+\/$/)
    await (await dial(onIpv6.url, trusting)).close()
  })

  test('both closing handshakes, and draining', async () => {
    const server = await serve({ tls }, (conn) => {
      conn.onMessage(() => void conn.close(4001, 'enough'))
    })
    const [first, second, third] = await Promise.all([1, 2, 3].map(() => dial(server.url, trusting)))
    assert.ok(first && second && third)
    const ours = await first.close(4000, 'bye')
    assert.deepEqual([ours.code, ours.by, ours.wasClean, ours.error], [4000, 'local', true, undefined])
    second.send('enough?')
    const theirs = await second.closed
    assert.deepEqual(
      [theirs.code, theirs.reason, theirs.by, theirs.wasClean],
      [4001, 'enough', 'remote', true],
    )
    await server.close()
    const drained = await third.closed
    assert.deepEqual([drained.code, drained.by, drained.wasClean], [1001, 'remote', true])
    assert.equal(server.connections.size, 0)
  })

  test('an origin of https is the same origin, another one is refused', async () => {
    await using server = await serve({ tls }, echo)
    const origin = server.url.replace('wss', 'https').replace(/\/$/, '')
    await (await dial(server.url, { ...trusting, headers: { origin } })).close()
    await assert.rejects(
      dial(server.url, { ...trusting, headers: { origin: 'https://evil.example' } }),
      (error) => error instanceof HandshakeError && error.status === 403,
    )
  })

  test('a certificate that nobody vouches for is refused', async () => {
    await using server = await serve({ tls }, echo)
    await assertNoConnection(dial(server.url), /^DEPTH_ZERO_SELF_SIGNED_CERT /)
    await (await dial(server.url, { tls: { rejectUnauthorized: false } })).close()
  })

  test('a certificate for another name is refused', async () => {
    await using server = await serve({ tls }, echo)
    const { port } = server.server.address() as AddressInfo
    await assertNoConnection(
      dial(`wss://localhost:${port}/`, { tls: { ca: cert, servername: 'other.example' } }),
      /^ERR_TLS_CERT_ALTNAME_INVALID /,
    )
  })

  test('ws to a wss port, and wss to a ws port', async () => {
    await using secure = await serve({ tls }, echo)
    await using plain = await serve({}, echo)
    await assertNoConnection(dial(secure.url.replace('wss', 'ws')), /^ECONNRESET /)
    await assertNoConnection(dial(plain.url.replace('ws', 'wss'), trusting), /SSL|EPROTO|ECONNRESET/)
  })

  test('client certificates', async () => {
    await using server = await serve(
      { tls: { ...tls, ca: cert, requestCert: true, rejectUnauthorized: true } },
      echo,
    )
    await using conn = await dial(server.url, { tls: { ca: cert, cert, key } })
    conn.send('it is me')
    assert.equal(await conn.read(), 'it is me')
    await assertNoConnection(dial(server.url, trusting), /CERTIFICATE_REQUIRED|ECONNRESET/)
  })

  test('giving up during the TLS handshake', async () => {
    await using server = await serve({ tls }, echo)
    await assert.rejects(
      dial(server.url, { ...trusting, signal: AbortSignal.abort(new Error('never mind')) }),
      /never mind/,
    )
    const abort = new AbortController()
    const dialled = dial(server.url, { ...trusting, signal: abort.signal })
    setImmediate(() => abort.abort(new Error('too late')))
    await assert.rejects(dialled, /too late/)
  })
})

describe('node:https with an upgrader', () => {
  test('pages and WebSockets live on one port', async () => {
    const server = createServer(tls, (_request, response) => response.end('hello'))
    const upgrader = new Upgrader({ path: '/echo' })
    server.on('upgrade', upgrader.handler(echo)).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo

    const [response] = await once(
      request({ port, host: '127.0.0.1', ca: cert, agent: false }).end(),
      'response',
    )
    let body = ''
    for await (const chunk of response) body += chunk
    assert.equal(body, 'hello')

    const conn = await dial(`wss://127.0.0.1:${port}/echo`, trusting)
    conn.send('hello')
    assert.equal(await conn.read(), 'hello')
    await assert.rejects(
      dial(`wss://127.0.0.1:${port}/other`, trusting),
      (error) => error instanceof HandshakeError && error.status === 404,
    )
    await conn.close()
    server.close()
    await once(server, 'close')
  })
})
