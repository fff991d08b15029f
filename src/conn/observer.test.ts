import assert from 'node:assert/strict'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { createServer, IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import { after, describe, it } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { assertNoLeaks } from '../../test/leaks.ts'
import { connectedPair } from '../../test/support/connected-pair.ts'
import { HandshakeError } from '../session/errors.ts'
import { type DiagnosticsEvents, type LogEntry, Observer } from './observer.ts'

after(() => assertNoLeaks())

type Name = keyof DiagnosticsEvents

/** What is published while `work` runs. */
async function published(names: readonly Name[], work: () => unknown): Promise<[string, object][]> {
  const events: [string, object][] = []
  const listener = (message: unknown, name: string | symbol): void => {
    events.push([String(name), message as object])
  }
  for (const name of names) subscribe(name, listener)
  try {
    await work()
  } finally {
    for (const name of names) unsubscribe(name, listener)
  }
  return events
}

function listening(): { entries: LogEntry[]; observer: Observer } {
  const entries: LogEntry[] = []
  return { entries, observer: new Observer((entry) => entries.push(entry)) }
}

describe('Observer', () => {
  it('publishes what it is told on the channels, and nothing where nobody subscribes', async () => {
    await using pair = await connectedPair()
    const { server: conn } = pair
    const info = await pair.client.close(4000, 'done')
    const reason = new HandshakeError('ERR_WS_ORIGIN', 'Origin not allowed', { status: 403 })
    const error = new Error('failed')
    const request = new IncomingMessage(new Socket())
    const http = createServer()
    const observer = new Observer()
    const names: Name[] = [
      'silverback:open',
      'silverback:close',
      'silverback:error',
      'silverback:refuse',
      'silverback:dial-error',
      'silverback:accept-error',
    ]
    const all = (): void => {
      observer.opened(conn)
      observer.failed(conn, error)
      observer.closed(conn, info)
      observer.refused(request, reason)
      observer.dialFailed('ws://localhost/', error)
      observer.notAccepted(http, error, 2)
    }
    all()
    assert.deepEqual(await published(names, all), [
      ['silverback:open', { conn }],
      ['silverback:error', { conn, error }],
      ['silverback:close', { conn, info }],
      ['silverback:refuse', { request, reason }],
      ['silverback:dial-error', { url: 'ws://localhost/', error }],
      ['silverback:accept-error', { server: http, error, count: 2 }],
    ])
  })

  it('logs with a level, a line and the objects', async () => {
    await using pair = await connectedPair()
    const { server: conn, client } = pair
    const { entries, observer } = listening()
    observer.opened(conn)
    observer.opened(client)
    const clean = await client.close()
    observer.closed(conn, clean)
    observer.closed(conn, {
      ...clean,
      code: 4000,
      by: 'remote',
      reason: 'forged\n[error] \u001b[31m',
      error: undefined,
    })
    observer.failed(conn, new Error('failed'))
    observer.failed(conn, 'no error')
    observer.dialFailed('ws://localhost/', new Error('refused'))
    assert.deepEqual(
      entries.map(({ level, event, message }) => [
        level,
        event,
        message.replace(conn.id, 'ID').replace(client.id, 'ID'),
      ]),
      [
        ['debug', 'open', 'connection ID from 127.0.0.1 opened'],
        ['debug', 'open', 'connection ID to 127.0.0.1 opened'],
        ['debug', 'close', 'connection ID from 127.0.0.1: connection closed with 1000 by the local side'],
        [
          'warn',
          'close',
          'connection ID from 127.0.0.1: connection closed with 4000 "forged\\u000a[error] \\u001b[31m" by the remote side',
        ],
        ['error', 'error', 'connection ID from 127.0.0.1: failed'],
        ['error', 'error', 'connection ID from 127.0.0.1: no error'],
        ['warn', 'dial-error', 'no connection to ws://localhost/: refused'],
      ],
    )
    assert.equal(entries[0]?.conn, conn)
    assert.equal(entries[2]?.info, clean)
  })

  it('logs a refusal as its own failure only when the application failed', () => {
    const request = Object.assign(new IncomingMessage(new Socket()), { url: '/' })
    const { entries, observer } = listening()
    const cause = new Error('the application')
    observer.refused(request, new HandshakeError('ERR_WS_ORIGIN', 'Origin not allowed', { status: 403 }))
    observer.refused(request, new HandshakeError('ERR_WS_SERVER', 'could not', { status: 500, cause }))
    assert.deepEqual(
      entries.map(({ level, message, error }) => [level, message, error === cause]),
      [
        ['warn', 'request for "/" refused with 403: Origin not allowed', false],
        ['error', 'request for "/" refused with 500: could not', true],
      ],
    )
  })

  it('survives a log that rejects', async (t) => {
    const print = t.mock.method(console, 'error', () => {})
    const error = new Error('disk full')
    const observer = new Observer(async () => {
      throw error
    })
    observer.dialFailed('ws://example.com/', new Error('no'))
    // Its rejection would end the process, if nobody heard of it.
    await setImmediate()
    assert.deepEqual(
      print.mock.calls.map(({ arguments: given }) => given),
      [['silverback: log failed:', error]],
    )
  })

  it('says that something went wrong, whatever was thrown', () => {
    const entries: LogEntry[] = []
    const thrown: unknown = JSON.parse('{"toString":0,"valueOf":0}')
    new Observer((entry) => void entries.push(entry)).dialFailed('ws://example.com/', thrown)
    assert.deepEqual(
      entries.map(({ message, error }) => [message, error]),
      [['no connection to ws://example.com/: something that cannot be described', thrown]],
    )
  })

  it('survives a log that throws', async (t) => {
    const print = t.mock.method(console, 'error', () => {})
    new Observer(() => {
      throw new Error('disk full')
    }).dialFailed('ws://localhost/', new Error('x'))
    assert.equal(print.mock.callCount(), 1)
  })
})
