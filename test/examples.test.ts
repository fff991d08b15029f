// Every example, run as a process, has to show what its comments say.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { CloseCode, CloseError, type CloseInfo, type Conn, type Data, dial, HandshakeError } from 'silverback'
import { runExample, startServer } from './example-process.ts'
import { assertNoLeaks } from './leaks.ts'
import { endPrograms } from './program.ts'
import { filesBelow } from './repo.ts'

after(async () => {
  await endPrograms()
  await assertNoLeaks()
})

/** Per suite, in ms: what hangs is a failure here, not one of the whole run. */
const timeout = 60_000

/** Ends a server like `kill` while `conns` are open: each hears 1001, and the process ends well. */
async function assertDrains(
  example: Awaited<ReturnType<typeof startServer>>,
  ...conns: readonly Conn[]
): Promise<void> {
  const exit = await example.terminate()
  for (const conn of conns) {
    const { code, by, wasClean } = await conn.closed
    assert.deepEqual({ code, by, wasClean }, { code: CloseCode.GoingAway, by: 'remote', wasClean: true })
  }
  assert.deepEqual({ ...exit, stdout: '' }, { code: 0, signal: null, stdout: '', stderr: '' })
}

/** How a connection ended of which nobody reads the messages. */
function endOf(conn: Conn): Promise<CloseInfo> {
  conn.onMessage(() => {})
  return conn.closed
}

/**
 * Sends to something that echoes, and reads nothing before it has been held back for a moment. Something that did not
 * hold it back would have to keep the 64 MiB, and, as its send buffer may not hold as much, lose messages.
 */
async function assertHoldsBack(conn: Conn, message: Buffer): Promise<void> {
  let sent = 0
  for (let held = false; !held; ) {
    assert.ok(sent < 64 * 1024 * 1024, 'it took everything')
    sent += message.length
    if (conn.send(message)) continue
    held = await Promise.race([conn.drained().then(() => false), setTimeout(250, true, { ref: false })])
  }
  for (let left = sent; left > 0; ) left -= (await conn.read()).length
  await conn.close()
}

const fetchText = async (url: string): Promise<{ status: number; body: string }> => {
  const response = await fetch(url.replace('ws', 'http'), { headers: { connection: 'close' } })
  return { status: response.status, body: await response.text() }
}

describe('every example', { timeout }, () => {
  const programs = filesBelow('examples', '.ts').filter((path) => path.split('/').length === 3)

  test('the list of them', () => {
    assert.deepEqual(programs, [
      'examples/autobahn/server.ts',
      'examples/chat/server.ts',
      'examples/cluster/server.ts',
      'examples/command/server.ts',
      'examples/echo/client.ts',
      'examples/echo/server.ts',
      'examples/filewatch/server.ts',
      'examples/metrics/server.ts',
      'examples/tracing/server.ts',
    ])
  })

  for (const path of programs) {
    const file = path.slice('examples/'.length)

    test(`${file}: --help says how to run it`, async () => {
      const { code, stdout, stderr } = await runExample(file, '--help').exit
      assert.deepEqual({ code, stderr }, { code: 0, stderr: '' })
      assert.match(stdout, new RegExp(`Usage: node --import tsx ${path} `))
      assert.match(stdout, file === 'echo/client.ts' ? /--url ws:/ : /--port \d+\n {2}--host 127\.0\.0\.1/)
    })
  }

  test('a mistake on the command line ends it with 2', async () => {
    const { code, stdout, stderr } = await runExample('echo/server.ts', '--prot', '80').exit
    assert.deepEqual({ code, stdout }, { code: 2, stdout: '' })
    assert.match(stderr, /--prot.*\n[\s\S]*--help\n$/)
  })

  for (const path of programs.filter((program) => program.endsWith('server.ts'))) {
    test(`${path}: a taken port is one line on stderr`, async () => {
      const taken = createServer().listen(0, '127.0.0.1')
      await once(taken, 'listening')
      const { port } = taken.address() as { port: number }
      const { code, stdout, stderr } = await runExample(
        path.slice('examples/'.length),
        '--port',
        String(port),
        ...(path.includes('filewatch') ? ['package.json'] : path.includes('command') ? ['cat'] : []),
      ).exit
      taken.close()
      assert.deepEqual({ code, stdout }, { code: 1, stdout: '' })
      assert.match(stderr, /^(listen|bind) EADDRINUSE.*\n$/)
    })
  }
})

describe('echo', { timeout }, () => {
  test('text and binary come back as they were', async () => {
    await using server = await startServer('echo/server.ts')
    const conn = await dial(`${server.origin}/echo`)
    for (const message of ['héllo', '', Buffer.from([0, 255]), Buffer.alloc(0)]) {
      conn.send(message)
      assert.deepEqual(await conn.read(), message)
    }
    await assertDrains(server, conn)
  })

  test('a client that sends and does not read is held back, and gets everything in the end', async () => {
    await using server = await startServer('echo/server.ts')
    await assertHoldsBack(await dial(`${server.origin}/echo`), Buffer.alloc(256 * 1024, 'x'))
    await assertDrains(server)
  })

  test('the client prints the answers and closes cleanly at the end of its input', async () => {
    await using server = await startServer('echo/server.ts')
    await using client = runExample('echo/client.ts', '--url', `${server.origin}/echo`)
    await client.output(/Connected to ws:/)
    client.child.stdin.write('one\n')
    await client.output(/^one$/m)
    client.child.stdin.end('two\nthree\n')
    const { code, stdout, stderr } = await client.exit
    assert.match(stdout, /\none\ntwo\nthree\nClosed: { code: 1000, reason: '', by: 'local' }\n$/)
    assert.deepEqual({ code, stderr }, { code: 0, stderr: '' })
  })

  test('the client closes cleanly on a signal', async () => {
    await using server = await startServer('echo/server.ts')
    await using client = runExample('echo/client.ts', '--url', `${server.origin}/echo`)
    await client.output(/Connected to ws:/)
    const { code, stdout } = await client.terminate()
    assert.equal(code, 0)
    assert.match(stdout, /Closed: { code: 1000, reason: '', by: 'local' }/)
  })

  test('the client ends when the server goes away', async () => {
    await using server = await startServer('echo/server.ts')
    await using client = runExample('echo/client.ts', '--url', `${server.origin}/echo`)
    await client.output(/Connected to ws:/)
    await assertDrains(server)
    const { code, stdout } = await client.exit
    assert.equal(code, 0)
    assert.match(stdout, /Closed: { code: 1001, reason: '', by: 'remote' }/)
  })

  test('the client says in one line why there is no connection', async () => {
    const { code, stderr } = await runExample('echo/client.ts', '--url', 'ws://127.0.0.1:1/').exit
    assert.deepEqual({ code, stderr }, { code: 1, stderr: 'no connection to 127.0.0.1:1: ECONNREFUSED\n' })
  })
})

describe('cluster', { timeout }, () => {
  const processOf = (conn: Conn): number => Number(conn.response?.headers['x-process'])

  test('connections are spread over processes that share a port, and one that ends is replaced', async () => {
    await using server = await startServer('cluster/server.ts', '--processes', '2')
    const dialOne = (): Promise<Conn> => dial(`${server.origin}/echo`, { compression: true })
    const conns = [await dialOne(), await dialOne()]
    assert.equal(new Set([server.child.pid, ...conns.map(processOf)]).size, 3)
    for (const [i, conn] of conns.entries()) {
      conn.send(`${i}`)
      assert.equal(await conn.read(), `${i}`)
    }
    const [lost, kept] = conns as [Conn, Conn]
    process.kill(processOf(lost), 'SIGKILL')
    assert.equal((await endOf(lost)).code, CloseCode.Abnormal)
    // Until then connections are still handed to it.
    await server.output(new RegExp(`Process ${processOf(lost)} ended with SIGKILL`))
    const seen = new Set<number>()
    while (seen.size < 2) {
      const conn = await dialOne()
      seen.add(processOf(conn))
      await conn.close()
    }
    assert.ok(seen.has(processOf(kept)) && !seen.has(processOf(lost)))
    const { code, stderr } = await server.terminate()
    assert.deepEqual([code, stderr], [0, ''])
    const { code: heard, wasClean } = await endOf(kept)
    assert.deepEqual([heard, wasClean], [CloseCode.GoingAway, true])
  })

  test('a number of processes that is none is a mistake', async () => {
    const { code, stderr } = await runExample('cluster/server.ts', '--processes', 'x').exit
    assert.deepEqual([code, stderr], [1, '--processes must be at least 1, not x\n'])
  })
})

describe('chat', { timeout }, () => {
  test('everyone hears everyone, themselves included, in one order', async () => {
    await using server = await startServer('chat/server.ts')
    const [ann, bob] = await Promise.all([dial(`${server.origin}/ws`), dial(`${server.origin}/ws`)])
    ann.send('hello')
    assert.deepEqual([await ann.read(), await bob.read()], ['hello', 'hello'])
    bob.send('<b>hi</b>')
    assert.deepEqual([await ann.read(), await bob.read()], ['<b>hi</b>', '<b>hi</b>'])
    await assertDrains(server, ann, bob)
  })

  test('its page is served, and only pages from here may connect', async () => {
    await using server = await startServer('chat/server.ts')
    const { status, body } = await fetchText(`${server.origin}/`)
    assert.equal(status, 200)
    assert.match(body, /new WebSocket/)
    assert.equal((await fetchText(`${server.origin}/other`)).status, 404)
    const own = server.origin.replace('ws', 'http')
    await (await dial(`${server.origin}/ws`, { headers: { origin: own } })).close()
    await assert.rejects(
      dial(`${server.origin}/ws`, { headers: { origin: 'http://elsewhere.example' } }),
      (error) => error instanceof HandshakeError && error.status === 403,
    )
    await assertDrains(server)
  })

  test('who says too much at once, or anything but text, is out; the others stay', async () => {
    await using server = await startServer('chat/server.ts')
    const [long, binary, bob] = await Promise.all([
      dial(`${server.origin}/ws`),
      dial(`${server.origin}/ws`),
      dial(`${server.origin}/ws`),
    ])
    bob.send('x'.repeat(512))
    assert.equal(await bob.read(), 'x'.repeat(512))
    long.send('x'.repeat(513))
    assert.equal((await endOf(long)).code, CloseCode.MessageTooBig)
    binary.send(Buffer.from('x'))
    const { code, reason } = await endOf(binary)
    assert.deepEqual([code, reason], [CloseCode.UnsupportedData, 'this chat takes text only'])
    bob.send('still here')
    assert.equal(await bob.read(), 'still here')
    await assertDrains(server, bob)
  })

  test('who does not read is out with 1013; who does has heard everything', async () => {
    await using server = await startServer('chat/server.ts')
    const [sleeper, bob] = await Promise.all([dial(`${server.origin}/ws`), dial(`${server.origin}/ws`)])
    // 200 messages of 512 bytes are less than what the room keeps for one client: bob, who waits for his own each time,
    // cannot fall behind. The sleeper does as soon as the kernels' buffers are full.
    for (let sent = 0; sent < 16 * 1024 * 1024; sent += 200 * 512) {
      for (let i = 0; i < 200; i++) bob.send('x'.repeat(512))
      for (let i = 0; i < 200; i++) await bob.read()
    }
    // Only now does it read, and finds behind all that waited for it the server's last word.
    const { code, reason, by } = await endOf(sleeper)
    assert.deepEqual({ code, reason, by }, { code: 1013, reason: 'too slow', by: 'remote' })
    await assertDrains(server, bob)
  })
})

describe('filewatch', { timeout }, () => {
  interface News {
    readonly version: string
    readonly text: string
  }

  async function withFile(work: (path: string) => Promise<void>): Promise<void> {
    const folder = await mkdtemp(join(tmpdir(), 'silverback-filewatch-'))
    try {
      await work(join(folder, 'watched.txt'))
    } finally {
      await rm(folder, { recursive: true })
    }
  }

  /** As many editors do it, and so that no half-written file is ever seen: another file takes the name. */
  async function replace(path: string, text: string): Promise<void> {
    await writeFile(`${path}.new`, text)
    await rename(`${path}.new`, path)
  }

  const next = async (conn: Conn): Promise<News> => JSON.parse((await conn.read()) as string) as News

  test('the file comes at once, and again whenever it changes', () =>
    withFile(async (path) => {
      await writeFile(path, 'one')
      await using server = await startServer('filewatch/server.ts', '--interval', '20', path)
      const [ann, bob] = await Promise.all([dial(`${server.origin}/ws`), dial(`${server.origin}/ws`)])
      assert.equal((await next(ann)).text, 'one')
      assert.equal((await next(bob)).text, 'one')
      await replace(path, 'twö')
      assert.equal((await next(ann)).text, 'twö')
      assert.equal((await next(bob)).text, 'twö')
      assert.match((await fetchText(`${server.origin}/`)).body, /new WebSocket/)
      await assertDrains(server, ann, bob)
    }))

  test('a client that has the latest version gets nothing until there is a later one', () =>
    withFile(async (path) => {
      await writeFile(path, 'one')
      await using server = await startServer('filewatch/server.ts', '--interval', '20', path)
      const first = await dial(`${server.origin}/ws`)
      const { version } = await next(first)
      await first.close()

      const again = await dial(`${server.origin}/ws?version=${version}`)
      // The answer to a ping comes behind all that was sent before it.
      await again.ping()
      assert.equal(again.stats.messagesReceived, 0)
      await rm(path)
      await replace(path, 'two')
      const news = await next(again)
      assert.equal(news.text, 'two')
      assert.notEqual(news.version, version)

      const outdated = await dial(`${server.origin}/ws?version=${version}`)
      assert.deepEqual(await next(outdated), news)
      await assertDrains(server, again, outdated)
    }))

  test('who talks to it is told that nobody listens', () =>
    withFile(async (path) => {
      await writeFile(path, 'one')
      await using server = await startServer('filewatch/server.ts', path)
      const conn = await dial(`${server.origin}/ws`)
      conn.send('hello?')
      const { code, reason } = await endOf(conn)
      assert.deepEqual([code, reason], [CloseCode.PolicyViolation, 'this feed takes no messages'])
      await assertDrains(server)
    }))

  test('without a file there is nothing to serve', async () => {
    const [none, missing] = await Promise.all([
      runExample('filewatch/server.ts', '--port', '0').exit,
      runExample('filewatch/server.ts', '--port', '0', '/no/such/file').exit,
    ])
    assert.deepEqual([none.code, none.stderr], [1, 'Which file? See --help.\n'])
    assert.deepEqual([missing.code, missing.stderr.slice(0, 6)], [1, 'ENOENT'])
  })
})

describe('command', { timeout, skip: process.platform === 'win32' ? 'no cat, no sh' : false }, () => {
  /** Whether there is a process of this id. */
  function lives(pid: number): boolean {
    try {
      process.kill(pid, 0)
      return true
    } catch {
      return false
    }
  }

  /** Waits until a process of another process is gone: nobody tells us, so we have to ask. */
  async function gone(pid: number): Promise<void> {
    const deadline = performance.now() + 10_000
    while (lives(pid)) {
      assert.ok(performance.now() < deadline, `process ${pid} still lives`)
      await setTimeout(5)
    }
  }

  /** Reads until what has come in all matches. */
  async function readUntil(conn: Conn, pattern: RegExp): Promise<RegExpMatchArray> {
    for (let text = ''; ; ) {
      text += await conn.read()
      const match = text.match(pattern)
      if (match !== null) return match
    }
  }

  test('cat: each line comes back', async () => {
    await using server = await startServer('command/server.ts', '--', 'cat')
    const conn = await dial(`${server.origin}/command`)
    conn.send('héllo')
    assert.equal(await conn.read(), 'héllo\n')
    conn.send(Buffer.from('as it '))
    conn.send(Buffer.from('is\n'))
    await readUntil(conn, /^as it is\n$/)
    await assertDrains(server, conn)
  })

  test('cat: a client that sends and does not read is held back, and gets everything in the end', async () => {
    await using server = await startServer('command/server.ts', '--', 'cat')
    await assertHoldsBack(await dial(`${server.origin}/command`), Buffer.alloc(8192, 'x'))
    await assertDrains(server)
  })

  test('a process that ends closes the connection, and says how it ended', async () => {
    const how = async (
      ...command: readonly string[]
    ): Promise<{ code: number; reason: string; text: string }> => {
      await using server = await startServer('command/server.ts', '--', ...command)
      const conn = await dial(`${server.origin}/command`)
      let text = ''
      const collect = async (): Promise<void> => {
        for await (const piece of conn) text += piece
      }
      await collect().catch((error: unknown) => assert.ok(error instanceof CloseError))
      const { code, reason } = await conn.closed
      await assertDrains(server)
      return { code, reason, text }
    }
    assert.deepEqual(
      await Promise.all([
        how('echo', 'bye'),
        how('sh', '-c', 'printf last; exit 3'),
        how('sh', '-c', 'kill -TERM $$'),
        how('/no/such/command'),
      ]),
      [
        { code: 1000, reason: 'exit code 0', text: 'bye\n' },
        { code: 1011, reason: 'exit code 3', text: 'last' },
        { code: 1011, reason: 'ended by SIGTERM', text: '' },
        { code: 1011, reason: 'not started: ENOENT', text: '' },
      ],
    )
  })

  test('a process ends when its client leaves: asked by the end of its input, then by SIGINT, then not asked', async () => {
    const stubborn = {
      'the end of its input is enough': 'echo pid $$; cat >/dev/null; echo read all',
      'SIGINT is enough': 'echo pid $$; exec sleep 60',
      'only SIGKILL helps': 'trap "" INT; echo pid $$; exec sleep 60',
    }
    for (const [why, script] of Object.entries(stubborn)) {
      await using server = await startServer('command/server.ts', '--grace', '100', '--', 'sh', '-c', script)
      const conn = await dial(`${server.origin}/command`)
      const [, pid] = await readUntil(conn, /pid (\d+)\n/)
      assert.ok(lives(Number(pid)), why)
      await conn.close()
      await gone(Number(pid))
      await assertDrains(server)
    }
  })

  test('a process ends when its client is cut off, and when the server ends', async () => {
    await using server = await startServer(
      'command/server.ts',
      ...['--grace', '100', '--', 'sh', '-c', 'echo pid $$; exec sleep 60'],
    )
    const [cut, kept] = await Promise.all([
      dial(`${server.origin}/command`),
      dial(`${server.origin}/command`),
    ])
    const pids = await Promise.all([cut, kept].map((conn) => readUntil(conn, /pid (\d+)\n/)))
    cut.terminate()
    await gone(Number(pids[0]?.[1]))
    await assertDrains(server, kept)
    assert.equal(lives(Number(pids[1]?.[1])), false)
  })

  test('no page may run commands, not even one that seems to come from here', async () => {
    await using server = await startServer('command/server.ts', '--', 'cat')
    await assert.rejects(
      dial(`${server.origin}/command`, { headers: { origin: server.origin.replace('ws', 'http') } }),
      (error) => error instanceof HandshakeError && error.status === 403,
    )
    await assertDrains(server)
  })
})

describe('autobahn', { timeout }, () => {
  test('the five ways of echoing cannot be told apart', async () => {
    await using server = await startServer('autobahn/server.ts')
    const messages: readonly Data[] = [
      'héllo 🦍',
      '',
      Buffer.from([0, 1, 254, 255]),
      Buffer.alloc(0),
      'é'.repeat(512 * 1024),
      Buffer.alloc(1024 * 1024, 'silverback'),
    ]
    const conns = await Promise.all(
      ['/m', '/p', '/r', '/f', '/c'].map(async (path) => {
        const limits = { maxMessageSize: 2 * 1024 * 1024 }
        const conn = await dial(`${server.origin}${path}`, { limits })
        for (const message of messages) conn.send(message)
        for (const message of messages) assert.deepEqual(await conn.read(), message, path)
        return conn
      }),
    )
    await assertDrains(server, ...conns)
  })

  test('a message of 16 MiB comes back on every path, and another path is 404', async () => {
    await using server = await startServer('autobahn/server.ts')
    const message = Buffer.alloc(16 * 1024 * 1024, 'x').toString()
    for (const path of ['/m', '/p', '/r', '/f', '/c']) {
      const conn = await dial(`${server.origin}${path}`, { limits: { maxMessageSize: message.length } })
      conn.send(message)
      assert.ok((await conn.read()) === message, path)
      await conn.close()
    }
    await assert.rejects(
      dial(`${server.origin}/x`),
      (error) => error instanceof HandshakeError && error.status === 404,
    )
    await assertDrains(server)
  })
})
