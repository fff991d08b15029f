// npm's tough-cookie, the jar that most Node programs use, as the `jar` of a dial.

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { after, describe, test } from 'node:test'
import { Dialer, type DialOptions, dial, type CookieJar as Jar, serve } from 'silverback'
import { CookieJar } from 'tough-cookie'
import { assertNoLeaks } from '../test/leaks.ts'

after(() => assertNoLeaks())

const fixture = (name: string): Promise<Buffer> =>
  readFile(new URL(`../test/fixtures/${name}`, import.meta.url))
const [cert, key] = await Promise.all([fixture('localhost.crt'), fixture('localhost.key')])

/** Every name is this machine. */
const here: DialOptions = {
  proxy: false,
  lookup: (_host, { all }, done) => {
    if (all === true) done(null, [{ address: '127.0.0.1', family: 4 }])
    else done(null, '127.0.0.1', 4)
  },
}

/** A server that sets these cookies, and the `Cookie` headers that it got. */
async function setting(
  cookies: string,
  options: Parameters<typeof serve>[0] = {},
): Promise<AsyncDisposable & { readonly port: string; readonly seen: (string | undefined)[] }> {
  const seen: (string | undefined)[] = []
  const server = await serve({ ...options, headers: { 'Set-Cookie': cookies } }, (conn) => {
    seen.push(conn.request.headers.cookie)
  })
  return { port: new URL(server.url).port, seen, [Symbol.asyncDispose]: () => server.close() }
}

async function visit(dialer: Dialer, url: string): Promise<void> {
  const conn = await dialer.dial(url)
  await conn.close()
}

describe('tough-cookie as the jar', () => {
  test('it is one, by its type', () => {
    const jar: Jar = new CookieJar()
    assert.equal(typeof jar.setCookie, 'function')
  })

  test('it keeps what is set, and gives it where it belongs', async () => {
    await using server = await setting('session=1; Domain=example.com; Path=/a; HttpOnly')
    const dialer = new Dialer({ ...here, jar: new CookieJar() })
    for (const url of ['www.example.com', 'www.example.com/a', 'api.example.com/a/b', 'example.org/a'])
      await visit(dialer, `ws://${url.replace(/(?=\/|$)/, `:${server.port}`)}`)
    assert.deepEqual(server.seen, [undefined, 'session=1', 'session=1', undefined])
  })

  test('a cookie for somebody else, or that is none, hurts nothing', async () => {
    for (const cookie of ['a=1; Domain=evil.org', 'a=1; Domain=com', '', ';', '__Secure-a=1']) {
      await using server = await setting(cookie)
      const jar = new CookieJar()
      await visit(new Dialer({ ...here, jar }), `ws://www.example.com:${server.port}`)
      await visit(new Dialer({ ...here, jar }), `ws://www.example.com:${server.port}`)
      assert.equal(server.seen.length, 2)
      assert.ok(!server.seen.includes('a=1'))
    }
  })

  test('a secure cookie is for wss alone', async () => {
    await using secure = await setting('token=1; Secure', { tls: { cert, key } })
    await using plain = await setting('x=2')
    const jar = new CookieJar()
    const dialer = new Dialer({ ...here, jar, tls: { ca: cert, servername: 'localhost' } })
    await visit(dialer, `wss://www.example.com:${secure.port}`)
    await visit(dialer, `wss://www.example.com:${secure.port}`)
    await visit(dialer, `ws://www.example.com:${plain.port}`)
    await visit(dialer, `wss://www.example.com:${secure.port}`)
    assert.deepEqual([secure.seen, plain.seen], [[undefined, 'token=1', 'token=1; x=2'], [undefined]])
  })

  test('cookies of the program and of the jar go together', async () => {
    await using server = await setting('a=1')
    const jar = new CookieJar()
    await jar.setCookie('b=2; Path=/', `http://www.example.com:${server.port}`)
    const options = { ...here, jar, headers: { cookie: 'c=3; b=own' } }
    for (let i = 0; i < 2; i++) await (await dial(`ws://www.example.com:${server.port}`, options)).close()
    assert.deepEqual(server.seen, ['c=3; b=own', 'c=3; b=own; a=1'])
  })
})
