import assert from 'node:assert/strict'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { createServer, type Server as HttpServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { after, describe, it } from 'node:test'
import { assertNoLeaks } from '../../test/leaks.ts'
import { FakeClock } from '../../test/support/fake-clock.ts'
import type { DiagnosticsEvents, LogEntry } from '../conn/observer.ts'
import { TimerWheel } from '../conn/timer-wheel.ts'
import { HandshakeError } from '../session/errors.ts'
import { watchAccept } from './watch-accept.ts'

after(() => assertNoLeaks())

/** As Node tells that `accept` failed. */
function acceptError(code: string): Error {
  return Object.assign(new Error(`accept ${code}`), { code, syscall: 'accept' })
}

function watched(): { server: HttpServer; clock: FakeClock; entries: LogEntry[]; lines: () => string[] } {
  const clock = new FakeClock()
  const entries: LogEntry[] = []
  const server = createServer()
  watchAccept(server, (entry) => void entries.push(entry), new TimerWheel(clock))
  const lines = (): string[] =>
    entries.splice(0).map(({ level, event, message }) => `${level} ${event}: ${message}`)
  return { server, clock, entries, lines }
}

describe('watchAccept', () => {
  it('tells of an accept that failed, at once', () => {
    const { server, entries, lines } = watched()
    const error = acceptError('ENFILE')
    assert.ok(server.emit('error', error))
    assert.equal(entries[0]?.error, error)
    assert.deepEqual(lines(), ['error accept-error: a connection was not accepted: accept ENFILE'])
    server.emit('close')
  })

  it('tells of many once in ten seconds, none is left out of the count, and no timer stays', () => {
    const { server, clock, lines } = watched()
    for (let i = 0; i < 1_000; i++) server.emit('error', acceptError('EMFILE'))
    assert.deepEqual(lines(), ['error accept-error: a connection was not accepted: accept EMFILE'])
    clock.advance(9_900)
    server.emit('error', acceptError('ENOMEM'))
    assert.deepEqual(lines(), [])
    clock.advance(400)
    assert.deepEqual(lines(), ['error accept-error: 1000 connections were not accepted: accept ENOMEM'])
    clock.advance(60_000)
    assert.deepEqual(lines(), [])
    assert.equal(clock.running, 0)
    server.emit('error', acceptError('EMFILE'))
    assert.equal(lines().length, 1, 'the next one is told at once again')
    server.emit('close')
  })

  it('tells what has not been told when the server closes, and leaves no timer', async () => {
    const { server, clock, lines } = watched()
    for (let i = 0; i < 3; i++) server.emit('error', acceptError('EMFILE'))
    lines()
    server.emit('close')
    assert.deepEqual(lines(), ['error accept-error: 2 connections were not accepted: accept EMFILE'])
    assert.equal(clock.running, 0)
    await assertNoLeaks()
  })

  it('tells of connections above maxConnections of the HTTP server', async () => {
    const { server, entries, lines } = watched()
    server.maxConnections = 1
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const first = connect(port, '127.0.0.1')
    await once(server, 'connection')
    const second = connect(port, '127.0.0.1').on('error', () => {})
    // The server tells of it before, or not at all.
    await once(second, 'close')
    const closed = once(server, 'close')
    first.destroy()
    server.close()
    await closed
    const [entry] = entries
    assert.ok(entry?.error instanceof HandshakeError && entry.error.code === 'ERR_WS_CONNECTION_LIMIT')
    assert.deepEqual(lines(), [
      'warn accept-error: a connection was not accepted: the HTTP server takes no more than 1 TCP connections',
    ])
  })

  it('publishes as often as it logs, with how many there were', () => {
    const { server, clock } = watched()
    const published: DiagnosticsEvents['silverback:accept-error'][] = []
    const listener = (message: unknown): void =>
      void published.push(message as DiagnosticsEvents['silverback:accept-error'])
    subscribe('silverback:accept-error', listener)
    const error = acceptError('EMFILE')
    for (let i = 0; i < 5; i++) server.emit('error', error)
    clock.advance(10_300)
    unsubscribe('silverback:accept-error', listener)
    assert.deepEqual(published, [
      { server, error, count: 1 },
      { server, error, count: 4 },
    ])
    server.emit('close')
  })

  it('prints errors where there is no log, and not what somebody has set', (t) => {
    const print = t.mock.method(console, 'error', () => {})
    const server = createServer()
    watchAccept(server)
    server.emit('error', acceptError('ENFILE'))
    server.emit('drop')
    assert.deepEqual(
      print.mock.calls.map(({ arguments: given }) => given),
      [['silverback: a connection was not accepted: accept ENFILE']],
    )
    server.emit('close')
  })
})
