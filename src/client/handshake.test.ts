import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import type { Socket } from 'node:net'
import { after, describe, it } from 'node:test'
import { assertNoLeaks } from '../../test/leaks.ts'
import { AnsweringServer, switching } from '../../test/support/answering-server.ts'
import { refused } from '../../test/support/failure.ts'
import { HttpProxy } from '../../test/support/http-proxy.ts'
import type { ExtensionFactory } from '../protocol/extension.ts'
import { TimeoutError } from '../session/errors.ts'
import type { CookieJar } from './cookies.ts'
import { type DialOptions, resolveDialOptions } from './dial-options.ts'
import { checkUrl } from './dial-target.ts'
import { type Handshake, handshake } from './handshake.ts'

after(() => assertNoLeaks())

const boom = new Error('boom')

async function shake(url: string, options: DialOptions = {}): Promise<Handshake> {
  return handshake(checkUrl(url), resolveDialOptions({ handshakeTimeout: 5_000, ...options }))
}

/** Shakes hands, and hangs up. */
async function reach(url: string, options: DialOptions = {}): Promise<void> {
  const { socket } = await shake(url, options)
  socket.destroy()
}

const found = (location: string, lines = '', status = 302): string =>
  `HTTP/1.1 ${status} Found\r\nLocation: ${location}\r\n${lines}Content-Length: 0\r\n\r\n`

type Answer = string | ((socket: Socket, accept: string) => void)

/** A server that answers its requests by these, one after another; beyond them it agrees. */
function answering(...answers: Answer[]): Promise<AnsweringServer> {
  let at = 0
  return AnsweringServer.start((socket, accept) => {
    const answer = answers[at++] ?? switching(accept)
    if (typeof answer === 'string') socket.write(answer, 'latin1')
    else answer(socket, accept)
  })
}

/** The header fields of a request, without those that differ each time. */
function fields(request: string | undefined): string[] {
  return (request ?? '')
    .split('\r\n')
    .slice(1)
    .filter((line) => line !== '' && !/^(connection|upgrade|sec-websocket-(key|version)):/i.test(line))
    .sort()
}

const pathOf = (request: string | undefined): string | undefined => request?.split(' ')[1]

describe('handshake', () => {
  it('draws a key for each request, and not from Math.random', async (t) => {
    t.mock.method(Math, 'random', () => 0.5)
    await using server = await answering(found('/again'))
    for (let i = 0; i < 20; i++) await reach(server.url, { redirects: 1 })
    const keys = server.requests.map((request) => /^sec-websocket-key: (.*)\r$/im.exec(request)?.[1] ?? '')
    assert.equal(keys.length, 21)
    for (const key of keys) assert.equal(Buffer.from(key, 'base64').toString('base64'), key)
    const bytes = keys.map((key) => Buffer.from(key, 'base64'))
    assert.ok(bytes.every(({ length }) => length === 16))
    // Neither twice the same, nor the same bytes in the same place.
    assert.equal(new Set(keys).size, keys.length)
    for (let at = 0; at < 16; at++) assert.ok(new Set(bytes.map((key) => key[at])).size > 5, `byte ${at}`)
  })

  it('gives the answer, checked, and what came behind', async () => {
    await using server = await answering((socket, accept) =>
      socket.write(`${switching(accept, 'Sec-WebSocket-Protocol: b\r\n')}behind`),
    )
    const { response, socket, head, acceptance } = await shake(server.url, { subprotocols: ['a', 'b'] })
    assert.deepEqual([response.statusCode, head.toString(), acceptance.subprotocol], [101, 'behind', 'b'])
    socket.destroy()
    await server.deserted()
  })

  it('hangs up on what does not agree', async () => {
    await using server = await answering(switching('wrong'))
    assert.equal((await refused(shake(server.url))).code, 'ERR_WS_ACCEPT')
    await server.deserted()
  })

  it('hangs up when an extension of the caller throws, and passes that on', async () => {
    await using server = await answering((socket, accept) =>
      socket.write(switching(accept, 'Sec-WebSocket-Extensions: x-test\r\n')),
    )
    const extension: ExtensionFactory = {
      name: 'x-test',
      offers: () => [new Map()],
      accept: () => assert.fail(boom),
      negotiate: () => undefined,
    }
    const extensions = [extension]
    await assert.rejects(shake(server.url, { extensions }), boom)
    await server.deserted()
  })

  it('leaves nothing on the signal, and nobody is asked when it is aborted', async () => {
    await using server = await answering()
    const { signal } = new AbortController()
    await reach(server.url, { signal })
    assert.equal(getEventListeners(signal, 'abort').length, 0)
    await assert.rejects(shake(server.url, { signal: AbortSignal.abort(boom) }), boom)
    assert.equal(server.clients, 1)
  })
})

describe('handshake, redirects', () => {
  for (const status of [301, 302, 303, 307, 308]) {
    it(`${status} is followed, if that is wanted`, async () => {
      await using server = await answering(found('/there?x', '', status))
      await reach(server.url, { redirects: 1 })
      assert.deepEqual(server.requests.map(pathOf), ['/', '/there?x'])
      await server.deserted()
    })
  }

  it('are refusals by default', async () => {
    await using server = await answering(found('/there'))
    const error = await refused(shake(server.url))
    assert.deepEqual([error.code, error.status, error.headers?.location], ['ERR_WS_STATUS', 302, '/there'])
    assert.equal(server.clients, 1)
  })

  for (const answer of [
    'HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n',
    found('/there', '', 300),
    found('/there', '', 304),
    found('/there', '', 305),
    found('/there', '', 401),
  ]) {
    it(`is none: ${JSON.stringify(answer.slice(0, 50))}`, async () => {
      await using server = await answering(answer)
      assert.equal((await refused(shake(server.url, { redirects: 5 }))).code, 'ERR_WS_STATUS')
      assert.equal(server.clients, 1)
    })
  }

  it('end where they are too many: a loop', async () => {
    await using server = await AnsweringServer.start((socket) => socket.write(found('/')))
    const error = await refused(shake(server.url, { redirects: 3 }))
    assert.deepEqual(
      [error.code, error.message, error.status, error.headers?.location],
      ['ERR_WS_TOO_MANY_REDIRECTS', 'more than 3 redirects', 302, '/'],
    )
    assert.equal(server.clients, 4)
    await server.deserted()
  })

  it('do not wait for the body', async () => {
    await using server = await answering((socket) =>
      socket.write('HTTP/1.1 302 X\r\nLocation: /there\r\nContent-Length: 999999\r\n\r\nbeca'),
    )
    await reach(server.url, { redirects: 1 })
    await server.deserted()
  })

  for (const location of [
    'ftp://a.example/',
    'http://user:secret@a.example/',
    'ws+unix:/run/a.sock',
    'http://[',
  ]) {
    it(`do not lead to ${location}`, async () => {
      await using server = await answering(found(location))
      const error = await refused(shake(server.url, { redirects: 5 }))
      assert.deepEqual([error.code, error.status], ['ERR_WS_REDIRECT', 302])
      assert.match(error.message, /^the redirect of 127\.0\.0\.1:\d+ is not followed: (?!.*secret)/)
      await server.deserted()
    })
  }

  const headers = {
    Authorization: 'Bearer x',
    Cookie: 'a=b',
    HOST: 'front.example',
    Origin: 'https://page.example',
    'User-Agent': 'test',
    'X-Api-Key': 'secret',
  }

  it('within the origin carry all headers, with a new key', async () => {
    await using server = await answering(found('/there'))
    await reach(server.url, { redirects: 1, headers, subprotocols: [] })
    const [first, second] = server.requests
    assert.deepEqual(fields(second), fields(first))
    assert.ok(fields(second).includes('host: front.example'))
    const key = (request: string | undefined): string | undefined =>
      /^sec-websocket-key: (.*)/im.exec(request ?? '')?.[1]
    assert.notEqual(key(first), key(second))
  })

  it('to another origin carry no credentials, also not on the way back', async () => {
    await using there = await answering()
    await using here = await answering(found(there.url), (socket) => socket.end())
    await reach(here.url, { redirects: 1, headers })
    assert.deepEqual(fields(there.requests[0]), [
      `host: 127.0.0.1:${there.port}`,
      'origin: https://page.example',
      'user-agent: test',
    ])
    await using first = await answering()
    await using second = await answering(found(`${first.url}back`))
    await using start = await answering(found(second.url))
    await reach(start.url, { redirects: 2, headers })
    assert.deepEqual(
      fields(first.requests[0]),
      fields(there.requests[0]).map((line) => line.replace(String(there.port), String(first.port))),
    )
  })

  it('go through the proxy that is right for each', async () => {
    await using proxy = await HttpProxy.start()
    await using there = await answering()
    await using here = await answering(found(there.url))
    const asked: string[] = []
    const choose = (url: URL): string | false => {
      asked.push(url.href)
      return url.port === String(there.port) && proxy.url()
    }
    await reach(here.url, { redirects: 1, proxy: choose })
    assert.deepEqual(asked, [here.url, there.url])
    assert.deepEqual(
      proxy.requests.map(({ url }) => url),
      [`127.0.0.1:${there.port}`],
    )
  })

  it('share one deadline, and one signal', async () => {
    await using server = await AnsweringServer.start((socket) =>
      setTimeout(() => socket.write(found('/')), 20),
    )
    await assert.rejects(shake(server.url, { redirects: 100, handshakeTimeout: 70 }), TimeoutError)
    await server.deserted()
    const controller = new AbortController()
    await using slow = await answering(found('/'), () => controller.abort(boom))
    await assert.rejects(shake(slow.url, { redirects: 5, signal: controller.signal }), boom)
    await slow.deserted()
  })

  const hostile: [name: string, answer: Answer, code: string][] = [
    ['a Location that is too long', found(`/${'x'.repeat(20_000)}`), 'ERR_WS_HEADER_LIMIT'],
    ['a line end in the Location', found('/a\r\nX: y\r\n\r\n'), ''],
    ['a CR in the Location', found('/a\rX: y'), 'ERR_WS_HEADER_SYNTAX'],
    ['a NUL in the Location', found('/a\0'), 'ERR_WS_HEADER_SYNTAX'],
    [
      'a reset within the headers',
      (socket) => socket.write('HTTP/1.1 302 X\r\nLoc', () => setImmediate(() => socket.resetAndDestroy())),
      'ERR_WS_CONNECT',
    ],
  ]
  for (const [name, answer, code] of hostile) {
    it(name, async () => {
      await using server = await answering(answer)
      if (code === '') {
        await reach(server.url, { redirects: 1 })
        assert.deepEqual(server.requests.map(pathOf), ['/', '/a'])
      } else {
        assert.equal((await refused(shake(server.url, { redirects: 1 }))).code, code)
      }
      await server.deserted()
    })
  }

  it('two Locations: the first counts', async () => {
    await using server = await answering(found('/a', 'Location: /b\r\n'))
    await reach(server.url, { redirects: 1 })
    assert.deepEqual(server.requests.map(pathOf), ['/', '/a'])
  })
})

/** A jar that keeps cookies by host, and says what it was told. */
class TestJar implements CookieJar {
  readonly log: string[] = []
  readonly #cookies = new Map<string, string[]>()

  getCookieString(url: string): string {
    return (this.#cookies.get(new URL(url).host) ?? []).join('; ')
  }

  setCookie(cookie: string, url: string): void {
    const { host } = new URL(url)
    this.log.push(cookie)
    if (cookie === 'bad') throw boom
    this.#cookies.set(host, [...(this.#cookies.get(host) ?? []), cookie.split(';')[0] ?? ''])
  }
}

describe('handshake, cookies', () => {
  const cookieOf = (request: string | undefined): string | undefined =>
    fields(request).find((line) => line.startsWith('cookie:'))

  it('of an agreement are kept, and sent the next time', async () => {
    await using server = await answering((socket, accept) =>
      socket.write(switching(accept, 'Set-Cookie: a=1; Path=/\r\nSet-Cookie: bad\r\nSet-Cookie: b=2\r\n')),
    )
    const jar = new TestJar()
    await reach(server.url, { jar })
    assert.deepEqual(jar.log, ['a=1; Path=/', 'bad', 'b=2'])
    await reach(server.url, { jar, headers: { Cookie: 'b=own' } })
    assert.deepEqual(server.requests.map(cookieOf), [undefined, 'cookie: b=own; a=1'])
  })

  it('of a refusal are kept, also when its body is cut short', async () => {
    const refusal = 'HTTP/1.1 403 X\r\nSet-Cookie: a=1\r\nContent-Length: 9\r\n\r\n'
    await using server = await answering(
      refusal,
      `${refusal}because\n\n`,
      'HTTP/1.1 101 X\r\nSet-Cookie: c=3\r\n\r\n',
    )
    const jar = new TestJar()
    for (const handshakeTimeout of [500, 5_000, 5_000])
      await refused(shake(server.url, { jar, handshakeTimeout }))
    assert.deepEqual(jar.log, ['a=1', 'a=1', 'c=3'])
  })

  it('of a redirect are kept, and computed anew for each URL', async () => {
    await using there = await answering()
    await using here = await answering(found('/next', 'Set-Cookie: here=1\r\n'), (socket) =>
      socket.write(found(there.url, 'Set-Cookie: more=2\r\n')),
    )
    const jar = new TestJar()
    jar.setCookie('there=3', there.url.replace('ws', 'http'))
    await reach(here.url, { jar, redirects: 2, headers: { cookie: 'own=0' } })
    assert.deepEqual(here.requests.map(cookieOf), ['cookie: own=0', 'cookie: own=0; here=1'])
    assert.deepEqual(there.requests.map(cookieOf), ['cookie: there=3'])
    assert.deepEqual(jar.log.slice(1), ['here=1', 'more=2'])
  })

  it('of a proxy are not kept', async () => {
    await using proxy = await answering('HTTP/1.1 407 X\r\nSet-Cookie: a=1\r\nContent-Length: 0\r\n\r\n')
    const jar = new TestJar()
    const error = await refused(shake('ws://a.example', { jar, proxy: `http://127.0.0.1:${proxy.port}` }))
    assert.deepEqual([error.code, jar.log], ['ERR_WS_PROXY', []])
  })

  it('a flood of them ends at the limit of headers', async () => {
    await using server = await answering((socket, accept) =>
      socket.write(switching(accept, 'Set-Cookie: a=1\r\n'.repeat(10_000))),
    )
    const jar = new TestJar()
    assert.equal((await refused(shake(server.url, { jar }))).code, 'ERR_WS_HEADER_LIMIT')
    assert.deepEqual(jar.log, [])
    await server.deserted()
  })

  it('a jar that never answers: in time', async () => {
    await using server = await answering((socket, accept) =>
      socket.write(switching(accept, 'Set-Cookie: a=1\r\n')),
    )
    const never = new Promise<never>(() => {})
    const asking = { getCookieString: () => never, setCookie() {} }
    await assert.rejects(shake(server.url, { jar: asking, handshakeTimeout: 30 }), TimeoutError)
    const keeping = { getCookieString: () => '', setCookie: () => never }
    await assert.rejects(shake(server.url, { jar: keeping, handshakeTimeout: 30 }), TimeoutError)
    await server.deserted()
    await using refusing = await answering('HTTP/1.1 403 X\r\nSet-Cookie: a=1\r\nContent-Length: 0\r\n\r\n')
    const error = await refused(shake(refusing.url, { jar: keeping, handshakeTimeout: 500 }))
    assert.deepEqual([error.code, error.status], ['ERR_WS_STATUS', 403])
  })

  it('a jar that fails to say what to send: nobody is asked', async () => {
    await using server = await answering()
    const error = await refused(
      shake(server.url, { jar: { getCookieString: () => assert.fail(boom), setCookie() {} } }),
    )
    assert.deepEqual([error.code, error.cause, server.clients], ['ERR_WS_CONNECT', boom, 0])
  })
})
