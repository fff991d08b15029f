import assert from 'node:assert/strict'
import { Socket } from 'node:net'
import { after, describe, it } from 'node:test'
import { assertNoLeaks } from '../../test/leaks.ts'
import { enableFakeTimers } from '../../test/support/fake-timers.ts'
import { connectFirst } from './connect-first.ts'

after(() => assertNoLeaks())

const { signal: never } = new AbortController()
const boom = new Error('boom')

/** Sockets that connect when they are told to, and what has become of them. */
class Race {
  readonly begun: string[] = []
  readonly #sockets = new Map<string, Socket>()

  readonly open = (address: string): Socket => {
    const socket = new Socket()
    this.begun.push(address)
    this.#sockets.set(address, socket)
    return socket
  }

  socket(address: string): Socket {
    return this.#sockets.get(address) ?? assert.fail(`no attempt at ${address}`)
  }

  connect(address: string): Socket {
    const socket = this.socket(address)
    socket.emit('connect')
    return socket
  }

  fail(address: string): void {
    const error = Object.assign(new Error(address), { code: 'ECONNREFUSED', address })
    this.socket(address).emit('error', error)
  }

  get destroyed(): string[] {
    return this.begun.filter((address) => this.socket(address).destroyed)
  }
}

describe('connectFirst', () => {
  it('alternates between the families, beginning with the first', async () => {
    const orders: [given: string[], order: string[]][] = [
      [
        ['::1', '::2', '::3', '1.1.1.1', '2.2.2.2'],
        ['::1', '1.1.1.1', '::2', '2.2.2.2', '::3'],
      ],
      [
        ['1.1.1.1', '2.2.2.2', '::1'],
        ['1.1.1.1', '::1', '2.2.2.2'],
      ],
      [['::1'], ['::1']],
    ]
    for (const [given, order] of orders) {
      const race = new Race()
      const connected = connectFirst(given, race.open, never)
      for (const address of order) race.fail(address)
      await assert.rejects(connected)
      assert.deepEqual(race.begun, order)
    }
  })

  it('begins the next after 250 ms, and does not give up the one before', async (t) => {
    using _timers = enableFakeTimers(t)
    const race = new Race()
    const connected = connectFirst(['::1', '1.1.1.1', '::2'], race.open, never)
    t.mock.timers.tick(249)
    assert.deepEqual(race.begun, ['::1'])
    t.mock.timers.tick(1)
    assert.deepEqual(race.begun, ['::1', '1.1.1.1'])
    race.fail('1.1.1.1')
    assert.deepEqual(race.begun, ['::1', '1.1.1.1', '::2'])
    t.mock.timers.tick(10_000)
    assert.deepEqual(race.destroyed, [])
    const winner = race.connect('::1')
    assert.equal(await connected, winner)
    assert.deepEqual(race.destroyed, ['::2'])
    assert.equal(winner.destroyed, false)
    // What is gone says nothing more.
    race.connect('::2')
    race.fail('::1')
    winner.destroy()
  })

  it('an attempt that fails does not begin two others', async (t) => {
    using _timers = enableFakeTimers(t)
    const race = new Race()
    const connected = connectFirst(['::1', '1.1.1.1', '::2'], race.open, never)
    t.mock.timers.tick(200)
    race.fail('::1')
    t.mock.timers.tick(249)
    assert.deepEqual(race.begun, ['::1', '1.1.1.1'])
    race.connect('1.1.1.1').destroy()
    await connected
    t.mock.timers.tick(1_000)
    assert.deepEqual(race.begun, ['::1', '1.1.1.1'])
  })

  it('fails with the only error, or with all', async () => {
    const one = new Race()
    const alone = connectFirst(['::1'], one.open, never)
    one.fail('::1')
    await assert.rejects(alone, { message: '::1', code: 'ECONNREFUSED' })
    const two = new Race()
    const both = connectFirst(['::1', '1.1.1.1'], two.open, never)
    two.fail('::1')
    two.fail('1.1.1.1')
    await assert.rejects(both, (error) => {
      assert.ok(error instanceof AggregateError)
      assert.deepEqual(
        error.errors.map(({ message }) => message),
        ['::1', '1.1.1.1'],
      )
      assert.equal((error as NodeJS.ErrnoException).code, 'ECONNREFUSED')
      return true
    })
  })

  it('is given up with the signal, and so are all attempts', async (t) => {
    using _timers = enableFakeTimers(t)
    const race = new Race()
    const controller = new AbortController()
    const connected = connectFirst(['::1', '1.1.1.1', '::2'], race.open, controller.signal)
    t.mock.timers.tick(250)
    controller.abort(boom)
    await assert.rejects(connected, boom)
    assert.deepEqual(race.destroyed, ['::1', '1.1.1.1'])
    t.mock.timers.tick(1_000)
    assert.equal(race.begun.length, 2)
    await assert.rejects(
      connectFirst(['::1'], () => assert.fail('begun'), controller.signal),
      boom,
    )
  })
})
