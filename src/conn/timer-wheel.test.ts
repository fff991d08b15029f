import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { after, describe, it } from 'node:test'
import fc from 'fast-check'
import { assertNoLeaks } from '../../test/leaks.ts'
import { FakeClock } from '../../test/support/fake-clock.ts'
import { fakedEverywhere, frameworkTimers } from '../../test/support/fake-timers.ts'
import { processWheel, systemClock, TICK, TimerWheel, type WheelEntry } from './timer-wheel.ts'

after(() => assertNoLeaks())

class Entry implements WheelEntry {
  wheelNext: WheelEntry | undefined
  wheelPrevious: WheelEntry | undefined
  wheelDue = 0
  onDue: () => void

  constructor(onDue: () => void = () => {}) {
    this.onDue = onDue
  }
}

function setUp(): { clock: FakeClock; wheel: TimerWheel; entry: (name: string) => Entry; fired: string[] } {
  const clock = new FakeClock()
  const fired: string[] = []
  return {
    clock,
    wheel: new TimerWheel(clock),
    entry: (name) => new Entry(() => fired.push(`${name} at ${clock.now()}`)),
    fired,
  }
}

/** How late a deadline may be: it is rounded up to a tick, and a tick may have just begun. */
const LATE = 2 * TICK

describe('TimerWheel', () => {
  it('calls an entry once, when its time has come', () => {
    const { clock, wheel, entry, fired } = setUp()
    wheel.schedule(entry('a'), 1000)
    clock.advance(999)
    assert.deepEqual(fired, [])
    clock.advance(LATE)
    assert.equal(fired.length, 1)
    clock.advance(100_000)
    assert.equal(fired.length, 1)
  })

  it('is never early and at most two ticks late, whenever a deadline is set', () => {
    const times = fc.array(fc.tuple(fc.nat(60_000), fc.nat(700)), { maxLength: 30 })
    fc.assert(
      fc.property(times, (schedule) => {
        const { clock, wheel } = setUp()
        let fired = 0
        for (const [milliseconds, wait] of schedule) {
          const due = clock.now() + milliseconds
          wheel.schedule(
            new Entry(() => {
              fired++
              const late = clock.now() - due
              assert.ok(late >= 0 && late <= LATE, `${milliseconds} ms: ${late} ms late`)
            }),
            milliseconds,
          )
          clock.advance(wait)
        }
        clock.advance(70_000)
        assert.equal(fired, schedule.length)
        assert.equal(clock.running, 0)
      }),
      { numRuns: 50 },
    )
  })

  it('keeps deadlines beyond a turn of the wheel apart', () => {
    const { clock, wheel, entry, fired } = setUp()
    // The same slot, three turns of 256 ticks.
    for (const turns of [2, 0, 1]) wheel.schedule(entry(`${turns}`), 1000 + turns * 256 * TICK)
    clock.advance(80_000)
    assert.deepEqual(
      fired.map((line) => line[0]),
      ['0', '1', '2'],
    )
  })

  it('moves and forgets deadlines', () => {
    const { clock, wheel, entry, fired } = setUp()
    const moved = entry('moved')
    wheel.schedule(moved, 500)
    wheel.schedule(moved, 5000)
    const forgotten = entry('forgotten')
    wheel.schedule(forgotten, 500)
    wheel.cancel(forgotten)
    wheel.cancel(forgotten)
    clock.advance(4999)
    assert.deepEqual(fired, [])
    clock.advance(LATE + 1)
    assert.equal(fired.length, 1)
  })

  it('lets what is due set and forget any deadline, its own and those of the same tick', () => {
    const { clock, wheel, entry, fired } = setUp()
    const other = entry('other')
    const later = entry('later')
    const again = new Entry(() => {
      fired.push('again')
      wheel.cancel(other)
      wheel.schedule(later, 1000)
      if (fired.length < 3) wheel.schedule(again, 100)
    })
    for (const each of [again, other, later]) wheel.schedule(each, 100)
    clock.advance(100 + LATE)
    assert.deepEqual(fired, ['again'])
    clock.advance(1000)
    assert.deepEqual(fired.slice(0, 3), ['again', 'again', 'again'])
    clock.advance(1000 + LATE)
    assert.equal(fired.length, 4)
    assert.match(fired[3] as string, /^later/)
    assert.equal(clock.running, 0)
  })

  it('loses no deadline when what is due throws', () => {
    const { clock, wheel, entry, fired } = setUp()
    wheel.schedule(entry('before'), 1000)
    wheel.schedule(
      new Entry(() => {
        throw new Error('a mistake')
      }),
      1000,
    )
    for (const name of ['a', 'b', 'c']) wheel.schedule(entry(name), 1000)
    const later = entry('later')
    wheel.schedule(later, 1000 + 256 * TICK)
    assert.throws(() => clock.advance(1000 + LATE), /a mistake/)
    assert.equal(fired.length, 1)
    clock.advance(LATE)
    assert.deepEqual(
      fired.map((text) => text.split(' ')[0]),
      ['before', 'a', 'b', 'c'],
    )
    clock.advance(256 * TICK)
    assert.equal(fired.length, 5)
    assert.equal(clock.running, 0)
  })

  it('needs a timer only while there is a deadline', () => {
    const { clock, wheel, entry } = setUp()
    assert.equal(clock.running, 0)
    const one = entry('one')
    const two = entry('two')
    wheel.schedule(one, 100)
    wheel.schedule(two, 100)
    assert.equal(clock.running, 1)
    wheel.cancel(one)
    assert.equal(clock.running, 1)
    wheel.cancel(two)
    assert.equal(clock.running, 0)
    wheel.schedule(one, 100)
    clock.advance(100 + LATE)
    assert.equal(clock.running, 0)
  })

  it('does not count time for which the process did not run beyond a second', () => {
    const { clock, wheel, entry, fired } = setUp()
    wheel.schedule(entry('a'), 20_000)
    clock.advance(1000)
    clock.stall(3_600_000)
    clock.advance(0)
    assert.deepEqual(fired, [])
    assert.equal(wheel.time, 2000)
    clock.advance(17_900)
    assert.deepEqual(fired, [])
    clock.advance(LATE)
    assert.equal(fired.length, 1)
  })

  it('gives a deadline that is set while it catches up its whole time', () => {
    const { clock, wheel } = setUp()
    const times: number[] = []
    const chain = new Entry(() => {
      times.push(clock.now())
      if (times.length < 3) wheel.schedule(chain, 300)
    })
    wheel.schedule(chain, 300)
    // Another one keeps the wheel turning.
    wheel.schedule(new Entry(), 10_000)
    clock.stall(1000)
    clock.advance(5000)
    const [first = 0, second = 0, third = 0] = times
    assert.equal(times.length, 3)
    assert.ok(second - first >= 300 && third - second >= 300, `${times}`)
  })

  it('gives a deadline that is set before it catches up its whole time', () => {
    const { clock, wheel } = setUp()
    wheel.schedule(new Entry(), 10_000)
    clock.advance(1000)
    clock.stall(900)
    // A handler that has just blocked for so long sets it.
    const set = clock.now()
    let fired: number | undefined
    wheel.schedule(new Entry(() => (fired = clock.now())), 300)
    clock.advance(1000)
    assert.ok(fired !== undefined && fired - set >= 300 && fired - set <= 300 + LATE, `${set}, ${fired}`)
  })

  it('goes on after what is due took the last deadline away and set another', () => {
    const { clock, wheel } = setUp()
    const times: number[] = []
    const alone = new Entry(() => {
      times.push(clock.now())
      if (times.length < 4) wheel.schedule(alone, 200)
    })
    wheel.schedule(alone, 200)
    clock.stall(950)
    clock.advance(3000)
    assert.equal(times.length, 4)
    for (let i = 1; i < 4; i++) assert.ok((times[i] as number) - (times[i - 1] as number) >= 200, `${times}`)
  })

  it('tells the time of its clock', () => {
    const { clock, wheel } = setUp()
    clock.advance(123)
    assert.equal(wheel.now(), 123)
  })
})

describe('systemClock', () => {
  it('lets what came during a stall be read before it ticks', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const peer = connect(port, '127.0.0.1')
    const [[socket]] = (await Promise.all([once(server, 'connection'), once(peer, 'connect')])) as [
      [Socket],
      unknown,
    ]
    const seen: string[] = []
    const read = once(
      socket.on('data', () => seen.push('data')),
      'data',
    )
    const wheel = new TimerWheel()
    const due = new Promise<void>((resolve) => {
      const entry = new Entry(() => {
        seen.push('due')
        resolve()
      })
      wheel.schedule(entry, 2 * TICK)
    })
    // Timers come next in this turn of the event loop, and only then what the kernel has.
    await new Promise((resolve) => setImmediate(resolve))
    peer.write('x')
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10 * TICK)
    await Promise.all([read, due])
    peer.destroy()
    socket.destroy()
    server.close()
    await once(server, 'close')
    assert.deepEqual(seen, ['data', 'due'])
  })

  it('goes on, calls back until it is stopped, and does not keep the process alive', async () => {
    const before = systemClock.now()
    // Something must: the interval itself does not.
    const alive = setTimeout(() => {}, 60_000)
    const handles = process.getActiveResourcesInfo().length
    let stop = (): void => {}
    await new Promise<void>((resolve) => {
      stop = systemClock.every(1, resolve)
      assert.equal(process.getActiveResourcesInfo().length, handles)
    })
    stop()
    clearTimeout(alive)
    assert.ok(systemClock.now() > before)
  })

  it('does not tick once it is stopped, though its time had come', async () => {
    let ticks = 0
    const stop = systemClock.every(1, () => ticks++)
    // Due in the same turn, behind the interval: its tick is about to come.
    const stopped = new Promise<void>((resolve) => {
      setTimeout(() => {
        stop()
        resolve()
      }, 1)
    })
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10)
    await stopped
    await new Promise((resolve) => setImmediate(resolve))
    assert.equal(ticks, 0)
  })

  it('goes on under the fake timers and the fake clock of a test framework', async (t) => {
    const why = fakedEverywhere(t)
    if (why !== undefined) return t.skip(why)
    using _timers = frameworkTimers(t, 'setInterval')
    const own = Object.getOwnPropertyDescriptor(globalThis, 'performance') as PropertyDescriptor
    Object.defineProperty(globalThis, 'performance', { configurable: true, value: { now: () => 0 } })
    const alive = setTimeout(() => {}, 60_000)
    try {
      const before = systemClock.now()
      assert.ok(before > 0)
      let stop = (): void => {}
      await new Promise<void>((resolve) => {
        stop = systemClock.every(1, resolve)
      })
      stop()
      assert.ok(systemClock.now() > before)
    } finally {
      clearTimeout(alive)
      Object.defineProperty(globalThis, 'performance', own)
    }
  })

  it('is that of the process-wide wheel', () => {
    assert.ok(Math.abs(processWheel.now() - performance.now()) < 1000)
  })
})
