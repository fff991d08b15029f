// The demo over plain sockets and the library's own client; interop/browser drives it with real browsers.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readdir } from 'node:fs/promises'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { connect, type Socket } from 'node:net'
import { after, afterEach, before, describe, test } from 'node:test'
import { CloseCode, type CloseInfo, type Conn, dial } from 'silverback'
import { BadUsage, parseOptions } from '../apps/demo/options.ts'
import { createDemo, type Demo } from '../apps/demo/server.ts'
import { runDemo, startDemo } from './demo-process.ts'
import { assertNoLeaks } from './leaks.ts'

after(() => assertNoLeaks())

interface Answer {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

/** One HTTP request with exactly this path: no normalisation that could hide a traversal. */
function ask(
  base: string,
  path: string,
  method = 'GET',
  headers: Record<string, string> = {},
): Promise<Answer> {
  const { hostname, port } = new URL(base)
  return new Promise((resolve, reject) => {
    const request = httpRequest({ host: hostname, port, path, method, headers, agent: false })
    request.once('error', reject)
    request.once('upgrade', (response, socket) => {
      socket.destroy()
      resolve({ status: response.statusCode ?? 0, headers: response.headers, body: '' })
    })
    request.once('response', async (response) => {
      let body = ''
      for await (const chunk of response.setEncoding('utf8')) body += chunk
      resolve({ status: response.statusCode ?? 0, headers: response.headers, body })
    })
    request.end()
  })
}

const handshake = {
  connection: 'Upgrade',
  upgrade: 'websocket',
  'sec-websocket-version': '13',
  'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
}

const webSocketUrl = (demo: { readonly url: string }, path: string): string =>
  demo.url.replace('http:', 'ws:').replace(/\/$/, path)

/** A client by hand that has been upgraded and from then on does nothing of its own accord. */
async function rawClient(demo: { readonly url: string }, path: string): Promise<Socket> {
  const { hostname, port, host } = new URL(demo.url)
  const socket = connect(Number(port), hostname)
  // The server may cut it off: that is what these clients are for.
  socket.on('error', () => {})
  const lines = [`GET ${path} HTTP/1.1`, `Host: ${host}`]
  for (const [name, value] of Object.entries(handshake)) lines.push(`${name}: ${value}`)
  socket.write(`${lines.join('\r\n')}\r\n\r\n`)
  const [head] = (await once(socket, 'data')) as [Buffer]
  assert.match(head.toString('latin1'), /^HTTP\/1\.1 101 /)
  return socket
}

describe('the demo', () => {
  let demo: Demo
  const watchers = new Set<(path: string, info: CloseInfo) => void>()
  const cleanups: (() => unknown)[] = []

  before(async () => {
    demo = await createDemo({
      drainTimeout: 200,
      onClose(path, info) {
        for (const watch of watchers) watch(path, info)
      },
    })
  })
  afterEach(async () => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
  })
  after(() => demo.close())

  /** Dials one of the demo's endpoints; the connection is gone at the end of the test. */
  async function join(path: string, limits: { maxMessageSize?: number } = {}): Promise<Conn> {
    const conn = await dial(webSocketUrl(demo, path), { limits })
    cleanups.push(() => {
      conn.terminate()
      return conn.closed
    })
    return conn
  }

  /** The next connection that the server closes with this code. */
  function closing(path: string, code: number): Promise<CloseInfo> {
    return new Promise((resolve) => {
      const watch = (closedPath: string, info: CloseInfo): void => {
        if (closedPath !== path || info.code !== code) return
        watchers.delete(watch)
        resolve(info)
      }
      watchers.add(watch)
    })
  }

  describe('pages', () => {
    const html = 'text/html; charset=utf-8'
    const javascript = 'text/javascript; charset=utf-8'
    const pages = [
      { path: '/', type: html, holds: 'A number, there and back' },
      { path: '/?from=somewhere', type: html, holds: 'A number, there and back' },
      { path: '/chat', type: html, holds: '<h1>Chat</h1>' },
      { path: '/style.css', type: 'text/css; charset=utf-8', holds: ':root' },
      { path: '/page.js', type: javascript, holds: 'export' },
      { path: '/number.js', type: javascript, holds: 'new WebSocket(' },
      { path: '/chat.js', type: javascript, holds: 'new WebSocket(' },
      { path: '/icon.svg', type: 'image/svg+xml', holds: '<svg' },
    ]
    for (const { path, type, holds } of pages) {
      test(`GET ${path} is ${type}, guarded by its headers`, async () => {
        const { status, headers, body } = await ask(demo.url, path)
        assert.equal(status, 200)
        assert.equal(headers['content-type'], type)
        assert.equal(headers['x-content-type-options'], 'nosniff')
        assert.match(String(headers['content-security-policy']), /^default-src 'none'; script-src 'self';/)
        assert.doesNotMatch(String(headers['content-security-policy']), /unsafe|\*/)
        assert.ok(body.includes(holds))
      })
    }

    test('HEAD gives the same headers and no body', async () => {
      const get = await ask(demo.url, '/')
      const head = await ask(demo.url, '/', 'HEAD')
      assert.equal(head.status, 200)
      assert.equal(head.body, '')
      assert.equal(head.headers['content-length'], String(Buffer.byteLength(get.body)))
    })

    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) {
      test(`${method} of a page is 405`, async () => {
        const { status, headers } = await ask(demo.url, '/', method)
        assert.equal(status, 405)
        assert.equal(headers.allow, 'GET, HEAD')
      })
    }

    const strangers = ['/nothing', '/index.html', '/style.css/', '//', '/../main.ts', '/..%2fmain.ts']
    const moreStrangers = [
      '/%2e%2e/server.ts',
      '/./style.css',
      '/constructor',
      '/__proto__',
      '/%00',
      '*',
      '/favicon.ico',
    ]
    for (const path of [...strangers, ...moreStrangers]) {
      test(`${path} is 404`, async () => {
        const { status, headers, body } = await ask(demo.url, path, path === '*' ? 'OPTIONS' : 'GET')
        assert.deepEqual({ status, body }, { status: 404, body: 'Not found' })
        assert.equal(headers['x-content-type-options'], 'nosniff')
      })
    }

    test('every file is served, and whatever a page refers to exists', async () => {
      const files = await readdir(new URL('../apps/demo/public/', import.meta.url))
      const named = new Map([
        ['index.html', '/'],
        ['chat.html', '/chat'],
      ])
      for (const file of files) {
        const path = named.get(file) ?? `/${file}`
        const { status, body } = await ask(demo.url, path)
        assert.equal(status, 200, path)
        for (const [, reference = ''] of body.matchAll(/(?:href|src)="([^"]*)"/g)) {
          assert.equal((await ask(demo.url, reference)).status, 200, `${file} refers to ${reference}`)
        }
        // Nothing inline, nothing from elsewhere: the policy would refuse it.
        assert.doesNotMatch(body, /<style|<script(?![^>]* src=)| style=| on[a-z]+="/)
      }
    })
  })

  describe('/ws', () => {
    test('echoes {"Num": n} and nothing beside it', async () => {
      const conn = await join('/ws')
      conn.send('{"Num": 42}')
      assert.equal(await conn.read(), '{"Num":42}')
      conn.send(' {"More": "than asked for", "Num": -0.5e3} ')
      assert.equal(await conn.read(), '{"Num":-500}')
    })

    const bad = [
      '',
      'forty-two',
      '{"Num": 42',
      '{}',
      '{"Num": "42"}',
      '{"num": 42}',
      '[42]',
      '42',
      'null',
      '{"Num": 1e999}',
    ]
    for (const text of bad) {
      test(`closes with 1007 and a reason on ${JSON.stringify(text)}`, async () => {
        const conn = await join('/ws')
        conn.send(text)
        const { received } = await conn.closed
        assert.equal(received?.code, CloseCode.InvalidPayload)
        assert.notEqual(received.reason, '')
        const next = await join('/ws')
        next.send('{"Num":1}')
        assert.equal(await next.read(), '{"Num":1}')
      })
    }

    const origin = (): string => demo.url.replace(/\/$/, '')
    const foreign = 'http://evil.example'
    const refused400 = { status: 400, body: 'Could not open websocket connection' }
    const refused403 = { status: 403, body: 'Origin not allowed' }
    const requests = [
      { what: 'a foreign origin', headers: { ...handshake, origin: foreign }, refused: refused403 },
      { what: 'the opaque origin', headers: { ...handshake, origin: 'null' }, refused: refused403 },
      {
        what: 'a foreign origin with a bad version',
        headers: { ...handshake, origin: foreign, 'sec-websocket-version': '8' },
        refused: refused403,
      },
      { what: 'a plain GET', headers: {}, refused: refused400 },
      { what: 'a plain GET of a foreign origin', headers: { origin: foreign }, refused: refused403 },
      { what: 'a plain POST', method: 'POST', headers: {}, refused: refused400 },
      { what: 'a POST that asks for an upgrade', method: 'POST', headers: handshake, refused: refused400 },
      {
        what: 'an unknown version',
        headers: { ...handshake, 'sec-websocket-version': '8' },
        refused: refused400,
      },
      { what: 'a bad key', headers: { ...handshake, 'sec-websocket-key': 'short' }, refused: refused400 },
      { what: 'another protocol', headers: { ...handshake, upgrade: 'h2c' }, refused: refused400 },
    ]
    for (const { what, method = 'GET', headers, refused } of requests) {
      test(`answers ${what} with ${refused.status} ${refused.body}`, async () => {
        const { status, body } = await ask(demo.url, '/ws', method, headers)
        assert.deepEqual({ status, body }, refused)
      })
    }

    test('lets its own origin in', async () => {
      const { status } = await ask(demo.url, '/ws', 'GET', { ...handshake, origin: origin() })
      assert.equal(status, 101)
    })
  })

  describe('/echo', () => {
    test('echoes text and binary, empty and of 10 MiB', async () => {
      const size = 10 * 1024 * 1024
      const conn = await join('/echo', { maxMessageSize: size })
      const bytes = new Uint8Array(size)
      for (let i = 0; i < size; i += 1009) bytes[i] = i & 0xff
      const text = 'gorilla 🦍 '.repeat(Math.floor(size / 13))
      for (const message of ['', new Uint8Array(0), text, bytes]) {
        conn.send(message)
        const echoed = await conn.read()
        assert.equal(typeof echoed, typeof message)
        // Compared as a whole: a report of the differences of 10 MiB would take minutes.
        assert.ok(Buffer.from(echoed).equals(Buffer.from(message)))
      }
    })

    test('echoes 1000 messages in their order', async () => {
      const conn = await join('/echo')
      for (let i = 0; i < 1000; i++) conn.send(`message ${i}`)
      for (let i = 0; i < 1000; i++) assert.equal(await conn.read(), `message ${i}`)
    })

    test('refuses a message above 64 MiB when it is announced', async () => {
      const socket = await rawClient(demo, '/echo')
      cleanups.push(() => socket.destroy())
      const header = Buffer.from([0x82, 0xff, 0, 0, 0, 0, 0x04, 0, 0, 1, 1, 2, 3, 4])
      socket.write(header)
      const [answer] = (await once(socket, 'data')) as [Buffer]
      assert.equal(answer[0], 0x88)
      assert.equal(answer.readUInt16BE(2), CloseCode.MessageTooBig)
    })

    test('answers a plain GET with 426', async () => {
      const { status, headers } = await ask(demo.url, '/echo')
      assert.equal(status, 426)
      assert.equal(headers.upgrade, 'websocket')
    })
  })

  describe('/chat', () => {
    test('everyone hears everyone, themselves included', async () => {
      const room = await Promise.all([join('/chat'), join('/chat'), join('/chat')])
      const [first, second] = room
      first?.send('hello')
      for (const conn of room) assert.equal(await conn.read(), 'hello')
      second?.send('<b>hi</b>')
      for (const conn of room) assert.equal(await conn.read(), '<b>hi</b>')
    })

    test('takes text only', async () => {
      const conn = await join('/chat')
      conn.send(new Uint8Array([1, 2, 3]))
      assert.equal((await conn.closed).received?.code, CloseCode.UnsupportedData)
    })

    test('takes 4096 bytes and not one more', async () => {
      const conn = await join('/chat')
      conn.send('x'.repeat(4096))
      assert.equal(await conn.read(), 'x'.repeat(4096))
      conn.send('x'.repeat(4097))
      assert.equal((await conn.closed).received?.code, CloseCode.MessageTooBig)
    })

    test('drops a client that does not read, and goes on for the others', async () => {
      const dropped = closing('/chat', CloseCode.TryAgainLater)
      const slow = await rawClient(demo, '/chat')
      cleanups.push(() => slow.destroy())
      slow.pause()
      const talker = await join('/chat')
      const message = 'x'.repeat(4096)
      // 16 MiB: the kernel's buffers take some megabytes before the server's own begins to fill.
      for (let i = 0; i < 4096; i++) {
        talker.send(message)
        assert.equal(await talker.read(), message)
      }
      assert.equal((await dropped).by, 'local')
      assert.equal(talker.state, 'open')
    })
  })

  test('an upgrade of any other path is 404', async () => {
    assert.equal((await ask(demo.url, '/nothing', 'GET', handshake)).status, 404)
    assert.equal((await ask(demo.url, '/', 'GET', handshake)).status, 404)
    assert.equal((await ask(demo.url, '/ws/', 'GET', handshake)).status, 404)
  })
})

describe('stopping the demo', () => {
  test('tells the clients of every endpoint 1001 and frees the port', async () => {
    const demo = await createDemo()
    const conns = await Promise.all(['/ws', '/echo', '/chat'].map((path) => dial(webSocketUrl(demo, path))))
    assert.equal(demo.connections, 3)
    await demo.close()
    for (const conn of conns) {
      const { received, wasClean } = await conn.closed
      assert.deepEqual(received, { code: CloseCode.GoingAway, reason: 'the server is shutting down' })
      assert.ok(wasClean)
    }
    assert.equal(demo.connections, 0)
    const next = await createDemo({ port: Number(new URL(demo.url).port) })
    await next.close()
  })

  test('does not wait for idle HTTP connections', { timeout: 4000 }, async () => {
    const demo = await createDemo({ drainTimeout: 60_000 })
    const { hostname, port } = new URL(demo.url)
    const socket = connect(Number(port), hostname)
    socket.on('error', () => {})
    await once(socket, 'connect')
    // The server has surely accepted it once it has answered a later one.
    await ask(demo.url, '/')
    await demo.close()
    if (!socket.closed) await once(socket.resume(), 'close')
  })

  test('cuts off clients that do not answer', { timeout: 4000 }, async () => {
    const demo = await createDemo({ drainTimeout: 100 })
    const socket = await rawClient(demo, '/ws')
    await demo.close()
    if (!socket.closed) await once(socket.resume(), 'close')
  })
})

describe('the demo from the command line', () => {
  test('reads its options', () => {
    assert.deepEqual(parseOptions([]), { port: 8080, host: '127.0.0.1', help: false })
    assert.deepEqual(parseOptions(['--port', '0', '--host=::1']), { port: 0, host: '::1', help: false })
    assert.equal(parseOptions(['--help']).help, true)
  })

  const bad = [
    { args: ['--port', 'http'], message: '--port must be a whole number from 0 to 65535, not "http"' },
    { args: ['--port=65536'], message: '--port must be a whole number from 0 to 65535, not "65536"' },
    { args: ['--port=-1'], message: '--port must be a whole number from 0 to 65535, not "-1"' },
    { args: ['--port=80.5'], message: '--port must be a whole number from 0 to 65535, not "80.5"' },
    { args: ['--port='], message: '--port must be a whole number from 0 to 65535, not ""' },
    { args: ['--port'], message: "Option '--port <value>' argument missing" },
    { args: ['--host='], message: '--host must not be empty' },
    { args: ['--prot', '1'], message: "Unknown option '--prot'" },
    { args: ['8080'], message: "Unexpected argument '8080'" },
  ]
  for (const { args, message } of bad) {
    test(`refuses ${args.join(' ')}`, () => {
      assert.throws(
        () => parseOptions(args),
        (error) => error instanceof BadUsage && error.message === message,
      )
    })
  }

  test('--help explains the options', async () => {
    const { code, stdout, stderr } = await runDemo('--help').exit
    assert.deepEqual({ code, stderr }, { code: 0, stderr: '' })
    for (const option of ['--port', '--host', '--help']) assert.ok(stdout.includes(option))
  })

  test('a bad option is one line and exit code 2', async () => {
    const { code, stdout, stderr } = await runDemo('--port', 'http').exit
    assert.deepEqual({ code, stdout }, { code: 2, stdout: '' })
    assert.match(stderr, /^silverback demo: --port must be .*\n$/)
  })

  test('a taken port is one line and exit code 1', async (t) => {
    const demo = await createDemo()
    t.after(() => demo.close())
    const { port } = new URL(demo.url)
    const { code, stdout, stderr } = await runDemo('--port', port).exit
    assert.deepEqual({ code, stdout }, { code: 1, stdout: '' })
    assert.equal(
      stderr,
      `silverback demo: port ${port} on 127.0.0.1 is taken; choose another with --port N\n`,
    )
  })

  test("an address that is not this machine's is one line and exit code 1", async () => {
    const { code, stderr } = await runDemo('--port', '0', '--host', '203.0.113.1').exit
    assert.equal(code, 1)
    assert.equal(stderr, 'silverback demo: 203.0.113.1 is not an address of this machine\n')
  })

  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    test(`${signal} sends 1001 and lets the process end by itself`, async (t) => {
      const demo = await startDemo()
      t.after(() => demo[Symbol.asyncDispose]())
      const conn = await dial(webSocketUrl(demo, '/ws'))
      conn.sendJson({ Num: 7 })
      assert.equal(await conn.read(), '{"Num":7}')
      demo.child.kill(signal)
      const { received, wasClean } = await conn.closed
      assert.deepEqual({ code: received?.code, wasClean }, { code: CloseCode.GoingAway, wasClean: true })
      const { code, stdout, stderr } = await demo.exit
      assert.deepEqual({ code, stderr }, { code: 0, stderr: '' })
      assert.match(stdout, /\/ws closed with 1001 .* by local \(1 in, 1 out\)\nStopped\n$/)
    })
  }

  test('a signal that arrives twice in a moment counts once', async (t) => {
    const demo = await startDemo()
    t.after(() => demo[Symbol.asyncDispose]())
    const conn = await dial(webSocketUrl(demo, '/ws'))
    demo.child.kill('SIGINT')
    demo.child.kill('SIGTERM')
    assert.equal((await conn.closed).received?.code, CloseCode.GoingAway)
    assert.equal((await demo.exit).code, 0)
  })

  test('a second signal ends the process at once', async (t) => {
    const demo = await startDemo()
    t.after(() => demo[Symbol.asyncDispose]())
    const stubborn = await rawClient(demo, '/ws')
    t.after(() => stubborn.destroy())
    demo.child.kill('SIGTERM')
    await demo.output(/Stopping: 1 connection to close/)
    // Again and again, as an impatient user would: the one that comes late enough counts.
    const again = setInterval(() => demo.child.kill('SIGINT'), 50)
    const { code, stdout } = await demo.exit
    clearInterval(again)
    assert.equal(code, 130)
    assert.doesNotMatch(stdout, /Stopped/)
  })

  test("a peer's reason can't steer the terminal", async (t) => {
    const demo = await startDemo()
    t.after(() => demo[Symbol.asyncDispose]())
    const conn = await dial(webSocketUrl(demo, '/echo'))
    await conn.close(4000, 'red \u001b[31m alert \u009b')
    const [line] = await demo.output(/.*closed with.*/)
    assert.equal(line, '/echo closed with 4000 "red ?[31m alert ?" by remote (0 in, 0 out)')
  })
})
