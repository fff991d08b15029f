import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { TestLink, turn } from '../../test/support/test-link.ts'
import { LimitError, UsageError } from '../session/errors.ts'
import { Prepared, prepare } from '../session/prepared.ts'
import type { Session } from '../session/session.ts'
import { type BroadcastOptions, broadcast } from './broadcast.ts'

/** A session that notes what is asked of it. */
function session(
  bufferedAmount = 0,
  state: Session['state'] = 'open',
): Session & { readonly calls: unknown[] } {
  const calls: unknown[] = []
  return {
    calls,
    id: '',
    request: undefined,
    state,
    closed: new Promise(() => {}),
    bufferedAmount,
    maxSendBuffer: 100,
    send: (data) => calls.push(data) > 0,
    close: (code, reason) => {
      calls.push([code, reason])
      return new Promise(() => {})
    },
    [Symbol.asyncIterator]: () => assert.fail('reads'),
  }
}

const slowOne = (): ReturnType<typeof session> => session(101)

describe('broadcast', () => {
  it('encodes once and sends the same message to all', () => {
    const sessions = [session(), session()]
    assert.deepEqual(broadcast(sessions, 'é'), { sent: 2, skipped: 0 })
    const [first] = sessions[0]?.calls ?? []
    assert.ok(first instanceof Prepared)
    assert.deepEqual([first.type, Buffer.from(first.payload).toString()], ['text', 'é'])
    assert.deepEqual(sessions[1]?.calls, [first])
  })

  it('goes on where one throws, and throws the first error once all others have it', () => {
    const failing = (message: string): Session => ({
      ...session(),
      send: () => {
        throw new Error(message)
      },
    })
    const [before, after] = [session(), session()]
    assert.throws(() => broadcast([before, failing('first'), failing('second'), after], 'x'), {
      message: 'first',
    })
    assert.deepEqual([before.calls.length, after.calls.length], [1, 1])
  })

  it('sends what is prepared as it is, and bytes as binary', () => {
    const one = session()
    const prepared = prepare('x')
    broadcast([one], prepared)
    broadcast([one], new Uint8Array([1]))
    broadcast([one], new Uint8Array([2]).buffer)
    const [first, second, third] = one.calls as Prepared[]
    assert.equal(first, prepared)
    assert.deepEqual([second?.type, third?.type], ['binary', 'binary'])
  })

  it('leaves one out', () => {
    const sessions = [session(), session()]
    assert.deepEqual(broadcast(sessions, 'x', { except: sessions[0] }), { sent: 1, skipped: 0 })
    assert.equal(sessions[0]?.calls.length, 0)
  })

  it('counts those that are ending for neither', () => {
    const sessions = [session(0, 'closing'), session(0, 'closed'), session(101, 'closing')]
    assert.deepEqual(broadcast(sessions, 'x'), { sent: 0, skipped: 0 })
    assert.ok(sessions.every(({ calls }) => calls.length === 0))
  })

  it('skips slow ones unless told otherwise', () => {
    const sessions = [slowOne(), session(100)]
    assert.deepEqual(broadcast(sessions, 'x'), { sent: 1, skipped: 1 })
    assert.deepEqual(broadcast(sessions, 'x', { slow: 'skip' }), { sent: 1, skipped: 1 })
    assert.deepEqual(
      sessions.map(({ calls }) => calls.length),
      [0, 2],
    )
  })

  it('closes slow ones with 1013 when told so', () => {
    const slow = slowOne()
    assert.deepEqual(broadcast([slow], 'x', { slow: 'close' }), { sent: 0, skipped: 1 })
    assert.deepEqual(slow.calls, [[1013, 'too slow']])
  })

  it('tells a slow connection that it closes why it has ended', async () => {
    const { conn, stream } = new TestLink({ limits: { maxSendBuffer: 1024 } })
    stream.hold()
    conn.send('x'.repeat(2000))
    assert.deepEqual(broadcast([conn], 'x', { slow: 'close' }), { sent: 0, skipped: 1 })
    conn.terminate()
    const { code, by, error } = await conn.closed
    assert.ok(error instanceof LimitError)
    assert.deepEqual(
      [error.code, error.limit, error.max, error.actual > 2000],
      ['ERR_WS_SEND_BUFFER_FULL', 'maxSendBuffer', 1024, true],
    )
    assert.deepEqual([code, by], [1013, 'local'])
  })

  it('leaves slow ones to their own policy when told so', () => {
    const slow = slowOne()
    assert.deepEqual(broadcast([slow], 'x', { slow: 'queue' }), { sent: 1, skipped: 0 })
    assert.ok(slow.calls[0] instanceof Prepared)
  })

  it('reaches nobody when nobody is there, and still refuses what cannot be sent', () => {
    assert.deepEqual(broadcast([], 'x'), { sent: 0, skipped: 0 })
    assert.throws(() => broadcast([], 5 as unknown as string), UsageError)
  })

  it('refuses a policy that does not exist', () => {
    const one = session()
    assert.throws(
      () => broadcast([one], 'x', { slow: 'drop' } as unknown as BroadcastOptions),
      (error) =>
        error instanceof UsageError &&
        error.code === 'ERR_WS_INVALID_OPTION' &&
        /^slow must be 'queue', 'skip' or 'close', not drop$/.test(error.message),
    )
    assert.equal(one.calls.length, 0)
  })

  it('takes no option that does not exist', () => {
    const link = new TestLink()
    assert.throws(() => broadcast([link.conn], 'hi', { excpet: link.conn } as object), {
      code: 'ERR_WS_INVALID_OPTION',
    })
    assert.deepEqual(link.sent(), [])
    link.conn.terminate()
  })

  it('reaches connections of both roles', async () => {
    const links = [new TestLink(), new TestLink({ role: 'client' })]
    assert.equal(
      broadcast(
        links.map(({ conn }) => conn),
        'hi',
      ).sent,
      2,
    )
    await turn()
    for (const link of links) assert.deepEqual(link.sent(), ['text 6869'])
    for (const { conn } of links) conn.terminate()
  })
})
