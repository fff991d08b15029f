// What happens to a process: it has no files left, it is stopped and goes on.

import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { dial, HandshakeError, type LogEntry, reconnect } from 'silverback'
import { assertNoLeaks } from '../leaks.ts'
import { EchoChild } from './echo-process.ts'
import { LEAST_SLEEP, waitThrough } from './sleep-for.ts'

after(() => assertNoLeaks())

const inherits = process.platform === 'linux' ? false : 'needs the signals and limits of Linux'

describe('a server without files', { skip: inherits, timeout: 60_000 }, () => {
  it('goes on with the connections that it has, refuses others, and takes them again when there are files', async () => {
    await using child = new EchoChild(200)
    const url = await child.url()
    await using conn = await dial(url)
    child.order('hoard')
    await child.says(/hoarding \d+: EMFILE\n/)
    await child.says(/error accept-error connections are not accepted: EMFILE: [^\n]+\n/)
    for (let i = 0; i < 3; i++) {
      // Node takes and drops what it has no file for, and tells nobody but the client.
      await assert.rejects(
        dial(url),
        (error) => error instanceof HandshakeError && error.code === 'ERR_WS_CONNECT',
      )
    }
    conn.send('still here')
    assert.equal(await conn.read(), 'still here')
    child.order('free')
    await child.says(/freed\n/)
    await using other = await dial(url)
    other.send('here again')
    assert.equal(await other.read(), 'here again')
    await Promise.all([conn.close(), other.close()])
  })
})

describe('a server that is stopped (SIGSTOP) and goes on (SIGCONT)', {
  skip: inherits,
  timeout: 60_000,
}, () => {
  it('has lost nobody who waited, though it slept longer than its own time for a pong', async () => {
    await using child = new EchoChild(1024)
    await waitThrough(child, await child.url(), LEAST_SLEEP)
  })

  it('is given up by who does not wait, as the log says; reconnect() comes back when it goes on', async () => {
    await using child = new EchoChild(1024)
    const url = await child.url()
    const entries: LogEntry[] = []
    const limits = { pingInterval: 200, pongTimeout: 200, closeTimeout: 500, handshakeTimeout: 300 }
    const seen: string[] = []
    const connections = reconnect(url, {
      dial: { limits, log: (entry) => void entries.push(entry) },
      minDelay: 20,
      maxDelay: 100,
      // Only once it has been tried in vain.
      onRetry: (error) => {
        seen.push(`${error.name} ${(error as { code?: string }).code}`)
        if (error.name === 'TimeoutError') child.signal('SIGCONT')
      },
    })
    let times = 0
    for await (const conn of connections) {
      times++
      conn.send(`hello ${times}`)
      assert.equal(await conn.read(), `hello ${times}`)
      if (times === 1) {
        child.signal('SIGSTOP')
        const { code, by, error } = await conn.closed
        assert.deepEqual([code, by, error?.name], [1006, 'local', 'TimeoutError'])
      } else void conn.close()
    }
    assert.equal(times, 2)
    assert.equal(seen[0], 'CloseError ERR_WS_CLOSED')
    assert.ok(seen.includes('TimeoutError ERR_WS_HANDSHAKE_TIMEOUT'), seen.join())
    const said = entries.map(({ level, event, message }) => `${level} ${event} ${message}`)
    assert.ok(
      said.some((line) => /^warn close .*no sign of life within/.test(line)),
      said.join('\n'),
    )
    assert.ok(
      said.some((line) => /^warn dial-error no connection to /.test(line)),
      said.join('\n'),
    )
    // The other side has found the first connection gone, and says so too.
    await child.says(/debug open (?:.|\n)*warn close /)
  })
})
