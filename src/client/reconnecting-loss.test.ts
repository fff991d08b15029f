// The rule of loss of `reconnecting`, whatever happens: a message is sent once at most and in order, and each that is
// not delivered was refused, or reported as dropped, or handed to a connection that died.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { connectionRefused, TestService } from '../../test/support/test-service.ts'
import { reconnecting } from './reconnecting-conn.ts'
import type { OverflowPolicy } from './send-queue.ts'

type Step =
  | { readonly send: number }
  | { readonly pass: number }
  | 'down'
  | 'up'
  | 'kill'
  | 'reset'
  | 'cut'
  | 'stall'
  | 'resume'
  | 'restart'
  | 'drop'

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ send: fc.integer({ min: 1, max: 40 }) }) },
  { weight: 4, arbitrary: fc.record({ pass: fc.constantFrom(0, 10, 300, 1_000, 4_000) }) },
  {
    weight: 6,
    arbitrary: fc.constantFrom<Step>(
      'down',
      'up',
      'kill',
      'reset',
      'cut',
      'stall',
      'resume',
      'restart',
      'drop',
    ),
  },
)

const setting = fc.record({
  maxMessages: fc.constantFrom(5, 30, 1_000),
  overflow: fc.constantFrom<OverflowPolicy>('reject', 'dropOldest', 'dropNewest'),
})

const FILLER = 'x'.repeat(2_000)

/** Does what is said, and then has all come to a good end. Returns what became of every message. */
async function play(
  outbox: { readonly maxMessages: number; readonly overflow: OverflowPolicy },
  steps: readonly Step[],
): Promise<{ taken: number[]; dropped: number[]; total: number; heard: number[][]; handed: number[] }> {
  await using service = new TestService()
  const heard: number[][] = []
  const dropped: number[] = []
  const number = (data: unknown): number => Number.parseInt(String(data), 10)
  service.handle = (conn) => {
    const numbers: number[] = []
    heard.push(numbers)
    conn.onMessage((data) => numbers.push(number(data)))
  }
  service.limits = { pingInterval: 2_000, pongTimeout: 1_000 }
  const session = reconnecting('ws://service', {
    ...service.options,
    maxDelay: 1_000,
    outbox,
    onDrop: (data) => dropped.push(number(data)),
  })
  const taken: number[] = []
  let total = 0
  for (const what of steps) {
    const last = service.pairs.at(-1)
    if (typeof what === 'object') {
      if ('pass' in what) await service.clock.advance(what.pass)
      else for (let i = 0; i < what.send; i++) if (session.send(`${total++} ${FILLER}`)) taken.push(total - 1)
    } else if (what === 'down') service.down = connectionRefused()
    else if (what === 'up') service.down = undefined
    else if (what === 'kill') last?.server.terminate()
    else if (what === 'drop') last?.client.terminate()
    else if (what === 'restart') void last?.server.close(1012)
    else if (what === 'reset') last?.reset()
    else if (what === 'cut') last?.cut()
    else if (what === 'stall') last?.stall('server')
    else last?.resume('server')
  }
  service.down = undefined
  service.pairs.at(-1)?.resume('server')
  await service.clock.advance(10_000)
  assert.deepEqual([session.state, session.queued.messages], ['open', 0])
  await session.close()
  await service.clock.settle()
  return {
    taken,
    dropped,
    total,
    heard,
    handed: service.pairs.map(({ client }) => client.stats.messagesSent),
  }
}

describe('the rule of loss', () => {
  it('holds, whatever happens', async () => {
    await fc.assert(
      fc.asyncProperty(setting, fc.array(step, { maxLength: 25 }), async (outbox, steps) => {
        const { taken, dropped, total, heard, handed } = await play(outbox, steps)
        // What was not refused and not dropped went to a connection, in order, each to one.
        const lost = new Set(dropped)
        const left = taken.filter((one) => !lost.has(one))
        assert.equal(
          left.length,
          handed.reduce((sum, count) => sum + count, 0),
        )
        if (outbox.overflow === 'reject') assert.deepEqual(dropped, [])
        else
          assert.equal(new Set([...taken, ...dropped]).size, total, 'a message is neither taken nor reported')
        // Of those, each connection delivered the first so many, and the last one all of them.
        for (const [index, count] of handed.entries()) {
          const own = left.splice(0, count)
          const came = heard[index] as number[]
          assert.deepEqual(came, own.slice(0, came.length))
          if (index === handed.length - 1) assert.deepEqual(came, own)
        }
      }),
      { numRuns: 100 },
    )
  })

  it('loses nothing where every end is in order', async () => {
    const steps: Step[] = []
    for (let i = 0; i < 20; i++) steps.push({ send: 7 }, 'restart', { send: 3 }, { pass: 1_000 })
    const { heard, total } = await play({ maxMessages: 1_000, overflow: 'reject' }, steps)
    assert.deepEqual(
      heard.flat(),
      Array.from({ length: total }, (_, i) => i),
    )
    assert.ok(heard.length > 10)
  })
})
