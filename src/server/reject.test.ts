import assert from 'node:assert/strict'
import { syncBuiltinESMExports } from 'node:module'
import { type Duplex, PassThrough } from 'node:stream'
import { after, describe, it, type TestContext } from 'node:test'
import timers from 'node:timers'
import fc from 'fast-check'
import { assertNoLeaks } from '../../test/leaks.ts'
import { upgradeRequest } from '../../test/raw-client.ts'
import { enableFakeTimers, frameworkTimers } from '../../test/support/fake-timers.ts'
import { TestServer } from '../../test/support/test-server.ts'
import { until } from '../../test/support/until.ts'
import { UsageError } from '../session/errors.ts'
import { formatHeaders, type RejectOptions, reject } from './reject.ts'

after(() => assertNoLeaks())

const request = upgradeRequest('/')

/** A server that refuses every upgrade like this. */
function refusing(status: number, options?: RejectOptions): Promise<TestServer> {
  return TestServer.start((http) => http.on('upgrade', (_request, socket) => reject(socket, status, options)))
}

/** Sees the timers of whoever imports them. */
function watchTimers(t: TestContext) {
  const started = t.mock.method(timers, 'setTimeout')
  const cleared = t.mock.method(timers, 'clearTimeout')
  syncBuiltinESMExports()
  t.after(() => {
    for (const { mock } of [started, cleared]) mock.restore()
    syncBuiltinESMExports()
  })
  return { started, cleared }
}

function isUsageError(error: unknown): boolean {
  return error instanceof UsageError && error.code === 'ERR_WS_INVALID_ARGUMENT'
}

describe('reject, what it writes', () => {
  const table: { name: string; status: number; options?: RejectOptions; lines: string[]; body: string }[] = [
    {
      name: 'a status alone',
      status: 401,
      lines: [
        'HTTP/1.1 401 Unauthorized',
        'Content-Type: text/plain; charset=utf-8',
        'Connection: close',
        'Content-Length: 13',
      ],
      body: 'Unauthorized\n',
    },
    {
      name: 'a status without a name',
      status: 599,
      lines: [
        'HTTP/1.1 599 ',
        'Content-Type: text/plain; charset=utf-8',
        'Connection: close',
        'Content-Length: 4',
      ],
      body: '599\n',
    },
    {
      name: 'headers and a body, whose length counts in bytes',
      status: 302,
      options: { headers: { Location: 'https://example.com/', 'X-Note': 'a:b' }, body: 'é€\n' },
      lines: [
        'HTTP/1.1 302 Found',
        'Content-Type: text/plain; charset=utf-8',
        'Location: https://example.com/',
        'X-Note: a:b',
        'Connection: close',
        'Content-Length: 6',
      ],
      body: 'é€\n',
    },
    {
      name: 'a list of values',
      status: 401,
      options: { headers: { 'Set-Cookie': ['a=1', 'b=2'] }, body: '' },
      lines: [
        'HTTP/1.1 401 Unauthorized',
        'Content-Type: text/plain; charset=utf-8',
        'Set-Cookie: a=1',
        'Set-Cookie: b=2',
        'Connection: close',
        'Content-Length: 0',
      ],
      body: '',
    },
    {
      name: 'an empty body of another type',
      status: 503,
      options: { headers: { 'content-type': 'application/json', 'Retry-After': '1' }, body: '' },
      lines: [
        'HTTP/1.1 503 Service Unavailable',
        'content-type: application/json',
        'Retry-After: 1',
        'Connection: close',
        'Content-Length: 0',
      ],
      body: '',
    },
    {
      name: 'Upgrade, which Connection has to name',
      status: 426,
      options: { headers: { UPGRADE: 'websocket' }, body: 'x' },
      lines: [
        'HTTP/1.1 426 Upgrade Required',
        'Content-Type: text/plain; charset=utf-8',
        'UPGRADE: websocket',
        'Connection: Upgrade, close',
        'Content-Length: 1',
      ],
      body: 'x',
    },
    {
      name: 'its own framing, whatever it is told',
      status: 400,
      options: {
        headers: { 'Transfer-Encoding': 'chunked', 'CONTENT-LENGTH': '999', connection: 'keep-alive' },
        body: 'x',
      },
      lines: [
        'HTTP/1.1 400 Bad Request',
        'Content-Type: text/plain; charset=utf-8',
        'Connection: close',
        'Content-Length: 1',
      ],
      body: 'x',
    },
    {
      name: 'each header once, the later of two',
      status: 400,
      options: { headers: { Allow: 'GET', allow: 'PUT' }, body: 'x' },
      lines: [
        'HTTP/1.1 400 Bad Request',
        'Content-Type: text/plain; charset=utf-8',
        'allow: PUT',
        'Connection: close',
        'Content-Length: 1',
      ],
      body: 'x',
    },
    {
      name: 'one line for each header, whatever its value holds',
      status: 400,
      options: {
        headers: { 'X-Name': 'a\r\nSet-Cookie: b\r\n\r\n<p>\0\x7f\tx', 'X-Other': 'Ċč' },
        body: 'x',
      },
      lines: [
        'HTTP/1.1 400 Bad Request',
        'Content-Type: text/plain; charset=utf-8',
        'X-Name: a  Set-Cookie: b    <p>   x',
        'X-Other: Ċč',
        'Connection: close',
        'Content-Length: 1',
      ],
      body: 'x',
    },
  ]
  for (const { name, status, options, lines, body } of table) {
    it(name, async () => {
      await using server = await refusing(status, options)
      const answer = Buffer.from(await server.answer(request), 'latin1').toString('utf8')
      assert.equal(answer, `${lines.join('\r\n')}\r\n\r\n${body}`)
      await server.empty()
    })
  }
})

describe('reject, what it is not for', () => {
  const status = 400
  const table: { name: string; status: number; options?: RejectOptions; message: RegExp }[] = [
    ...[0, 101, 200, 299, 600, 400.5, Number.NaN, '400' as unknown as number].map((wrong) => ({
      name: `status ${JSON.stringify(wrong)}`,
      status: wrong,
      message: new RegExp(`status from 300 to 599, not ${String(wrong)}`),
    })),
    ...['', 'a b', 'a:', 'x\r\ny', 'é'].map((name) => ({
      name: `header name ${JSON.stringify(name)}`,
      status,
      options: { headers: { [name]: 'x' } },
      message: /is not a header name/,
    })),
    ...[1, Buffer.from('x')].map((body) => ({
      name: `body ${String(body)}`,
      status,
      options: { body: body as unknown as string },
      message: /body of a refusal is a string/,
    })),
  ]
  for (const { name, status: given, options, message } of table) {
    it(`throws at ${name}, with nothing written`, () => {
      const socket = new PassThrough()
      assert.throws(
        () => reject(socket, given, options),
        (error: unknown) => isUsageError(error) && message.test((error as Error).message),
      )
      assert.ok(socket.writable)
      assert.equal(socket.readableLength, 0)
    })
  }
})

describe('reject, and then', () => {
  it('answers in full a client that is still sending, and then has done with it', async (t) => {
    using _timers = enableFakeTimers(t)
    await using server = await refusing(413, { body: 'enough' })
    const client = server.client(request)
    for (let i = 0; i < 32; i++) client.write(Buffer.alloc(65_536))
    await client.until(() => client.closed, 'the end')
    assert.equal(client.status, 413)
    assert.equal(client.behindHead.toString(), 'enough')
    await server.empty()
  })

  it('drops a client that does not hang up', async (t) => {
    using _timers = enableFakeTimers(t)
    await using server = await TestServer.start((http) => {
      http.on('upgrade', (_request, socket) => {
        reject(socket, 403)
        t.mock.timers.tick(1_999)
        assert.equal(socket.destroyed, false)
        socket.once('finish', () => t.mock.timers.tick(1))
      })
    })
    const client = server.client(request, { allowHalfOpen: true })
    await client.until(() => client.ended, 'the end of the answer')
    await server.empty()
    assert.equal(client.status, 403)
  })

  it('writes nothing more on a connection that has been answered', async () => {
    await using server = await TestServer.start((http) => {
      http.on('upgrade', (_request, socket) => {
        reject(socket, 401, { body: 'first'.repeat(1_000_000) })
        reject(socket, 500, { body: 'second' })
      })
    })
    const answer = await server.answer(request)
    assert.match(answer, /^HTTP\/1\.1 401 /)
    assert.equal(answer.split('\r\n\r\n')[1], 'first'.repeat(1_000_000))
  })

  it('drops a client that does not hang up when another has ended the connection', async (t) => {
    using _timers = frameworkTimers(t, 'setTimeout')
    let ended: Duplex | undefined
    await using server = await TestServer.start((http) => {
      http.on('upgrade', (_request, socket) => {
        ended = socket
        socket.end('HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nContent-Length: 0\r\n\r\n')
        reject(socket, 400)
        t.mock.timers.tick(1_999)
        assert.equal(socket.destroyed, false)
        socket.once('finish', () => t.mock.timers.tick(1))
      })
    })
    const client = server.client(request, { allowHalfOpen: true })
    await client.until(() => client.ended, 'the end of the answer')
    await until(() => ended?.destroyed === true, 'the drop')
    assert.equal(client.status, 401)
  })

  it('reads on where another has ended the connection, so that the end of the client is noticed', async (t) => {
    using _timers = frameworkTimers(t, 'setTimeout')
    let ended: Duplex | undefined
    await using server = await TestServer.start((http) => {
      http.on('upgrade', (_request, socket) => {
        ended = socket
        socket.end('HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nContent-Length: 0\r\n\r\n')
        reject(socket, 400)
      })
    })
    const client = server.client(request)
    client.write(Buffer.alloc(200_000))
    await client.until(() => client.ended, 'the end of the answer')
    await until(() => ended?.destroyed === true, 'the end of the client')
    assert.equal(client.status, 401)
  })

  it('lets its timer go with the connection', async (t) => {
    const { started, cleared } = watchTimers(t)
    await using server = await refusing(403)
    await server.answer(request)
    await server.empty()
    const lingering = started.mock.calls.filter(({ arguments: [, delay] }) => delay === 2_000)
    assert.equal(lingering.length, 1)
    const timer = lingering[0]?.result
    // The server counts a connection as gone ahead of its 'close'.
    await until(
      () => cleared.mock.calls.some(({ arguments: [given] }) => given === timer),
      'the end of the timer',
    )
  })

  it('lets a connection be that has gone', async (t) => {
    const { started } = watchTimers(t)
    let set = 0
    await using server = await TestServer.start((http) => {
      http.on('upgrade', (_request, socket) => {
        socket.destroy()
        const before = started.mock.callCount()
        reject(socket, 401)
        set = started.mock.callCount() - before
      })
    })
    assert.equal(await server.answer(request), '')
    assert.equal(set, 0)
  })

  it('survives a client that resets the connection while it is being answered', async () => {
    await using server = await refusing(400, { body: 'x'.repeat(8_000_000) })
    const client = server.client(request)
    await client.until(() => client.status !== undefined, 'the head of the answer')
    await client.reset()
    await server.empty()
    assert.equal((await server.answer(request)).length > 8_000_000, true)
  })
})

describe('formatHeaders', () => {
  it('writes one line for each header, whatever is in names and values', () => {
    const name = fc.string({ unit: fc.constantFrom(...'aZ0-_'), minLength: 1, maxLength: 4 })
    fc.assert(
      fc.property(
        fc.dictionary(fc.oneof(name, fc.string()), fc.string({ unit: 'binary' }), { maxKeys: 4 }),
        (headers) => {
          let text: string
          try {
            text = formatHeaders(headers)
          } catch (error) {
            assert.ok(isUsageError(error))
            return
          }
          const lines = text.split('\r\n')
          assert.equal(lines.pop(), '')
          assert.equal(lines.length, Object.keys(headers).length)
          for (const line of lines)
            assert.ok(
              [...line].every((c) => c >= ' ' && c !== '\x7f'),
              line,
            )
        },
      ),
    )
  })

  it('writes a line for each value of a list', () => {
    assert.equal(
      formatHeaders({ 'Set-Cookie': ['a=1', 'b=\r\n2'], b: [] }),
      'Set-Cookie: a=1\r\nSet-Cookie: b=  2\r\n',
    )
  })

  it('writes a value that is no string as text', () => {
    assert.equal(formatHeaders({ a: 1 as unknown as string }), 'a: 1\r\n')
  })
})
