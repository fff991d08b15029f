import assert from 'node:assert/strict'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { after, describe, it } from 'node:test'
import { type DiagnosticsEvents, dial, type LogEntry, serve } from 'silverback'
import { assertNoLeaks } from './leaks.ts'

after(() => assertNoLeaks())

/** Without what differs each time. */
function brief({ level, event, message }: LogEntry): string {
  return `${level} ${event}: ${message.replace(/[0-9a-f-]{36} (from|to) 127\.0\.0\.1/, 'ID $1 IP')}`
}

describe('the log of a server', () => {
  it('tells of connections, of refusals and of failures, in place of the console', async (t) => {
    const print = t.mock.method(console, 'error', () => {})
    const entries: LogEntry[] = []
    await using server = await serve({ path: '/a', log: (entry) => entries.push(entry) }, async (conn) => {
      const message = await conn.read()
      if (message === 'fail') throw new Error('the handler failed')
      conn.send(message)
    })
    const good = await dial(server.url)
    good.send('hello')
    await good.read()
    await good.close(1000, 'bye')
    await assert.rejects(dial(server.url, { headers: { origin: 'https://elsewhere.example' } }))
    const bad = await dial(server.url)
    bad.send('fail')
    await bad.closed
    await Promise.all([...server.connections].map(({ closed }) => closed))
    assert.deepEqual(entries.map(brief), [
      'debug open: connection ID from IP opened',
      'debug close: connection ID from IP: connection closed with 1000 "bye" by the remote side',
      'warn refuse: request for "/a" refused with 403: Origin not allowed',
      'debug open: connection ID from IP opened',
      'error error: connection ID from IP: the handler failed',
      'warn close: connection ID from IP: connection closed with 1011 "internal error" by the local side: the handler failed',
    ])
    assert.equal(print.mock.callCount(), 0)
  })
})

describe('the log of a client', () => {
  it('tells of its connections, and of those that it did not get', async () => {
    const entries: LogEntry[] = []
    const log = (entry: LogEntry): void => void entries.push(entry)
    const server = await serve({ path: '/a' }, (conn) => conn.onMessage(() => {}))
    const conn = await dial(server.url, { log })
    await conn.close()
    await assert.rejects(dial(`${server.url}bc`, { log }))
    assert.deepEqual(
      entries.map((entry) => brief(entry).replace(new URL(server.url).host, 'HOST')),
      [
        'debug open: connection ID to IP opened',
        'debug close: connection ID to IP: connection closed with 1000 by the local side',
        'warn dial-error: no connection to ws://HOST/abc: the server answered with status 404, not 101',
      ],
    )
    await server.close()
  })

  it('has no password in it', async () => {
    const entries: LogEntry[] = []
    await assert.rejects(
      dial('ws://user:secret@127.0.0.1:1/?token=secret2', { log: (entry) => entries.push(entry) }),
    )
    await assert.rejects(dial('ws://127.0.0.1:1/?token=secret2', { log: (entry) => entries.push(entry) }))
    assert.ok(entries.length > 0)
    for (const { message } of entries) assert.doesNotMatch(message, /secret/)
  })
})

describe('the diagnostics channels', () => {
  it('tell of both ends of a connection', async () => {
    const seen: string[] = []
    const names = ['silverback:open', 'silverback:close'] as const
    const listener = (message: unknown, name: string | symbol): void => {
      const { conn } = message as DiagnosticsEvents['silverback:open']
      seen.push(`${String(name).slice(11)} ${conn.request === undefined ? 'client' : 'server'}`)
    }
    for (const name of names) subscribe(name, listener)
    const server = await serve({}, (conn) => conn.onMessage(() => {}))
    const conn = await dial(server.url)
    await conn.close()
    await server.close()
    for (const name of names) unsubscribe(name, listener)
    assert.deepEqual(seen.sort(), ['close client', 'close server', 'open client', 'open server'])
  })
})
