// What judges the runs must be able to find fault.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type CloseInfo, ProtocolError } from 'silverback'
import { judge, judgeHarmless, judgeInfo } from './judge.ts'
import type { Peer } from './peer.ts'

const stats = {
  bytesReceived: 10,
  bytesSent: 10,
  messagesReceived: 3,
  messagesSent: 3,
  sendsDropped: 0,
  receivesDropped: 0,
  rtt: undefined,
}
const frame = { code: 1000, reason: '' }
const closed: CloseInfo = {
  code: 1000,
  reason: '',
  by: 'local',
  wasClean: true,
  received: frame,
  sent: frame,
  error: undefined,
  stats,
}
const answered: CloseInfo = { ...closed, by: 'remote' }
const lost: CloseInfo = {
  ...closed,
  code: 1006,
  by: 'network',
  wasClean: false,
  received: undefined,
  sent: undefined,
}
const messages = ['a', 'b', 'c']

function peer(
  name: string,
  info: CloseInfo | undefined,
  more: Partial<Record<keyof Peer, unknown>> = {},
): Peer {
  return {
    name,
    info,
    accepted: messages,
    taken: 3,
    refused: 0,
    doomed: 0,
    stats,
    received: messages,
    readError: undefined,
    listens: true,
    ...more,
  } as unknown as Peer
}

describe('the judge of the random runs', () => {
  it('lets pass what is in order', () => {
    judge(peer('client', closed), peer('server', answered))
    judge(peer('client', lost, { received: ['a'] }), peer('server', lost, { received: [] }))
    judgeHarmless(peer('client', closed), peer('server', answered))
  })

  const received: Record<string, readonly string[]> = {
    'a message that comes twice': ['a', 'a', 'b'],
    'messages out of order': ['b', 'a', 'c'],
    'a message that nobody sent': ['a', 'b', 'x'],
    'a gap': ['a', 'c'],
  }
  for (const [what, got] of Object.entries(received)) {
    it(`finds ${what}`, () => {
      assert.throws(
        () => judge(peer('client', lost), peer('server', lost, { received: got })),
        /not what was sent/,
      )
    })
  }

  it('finds a loss ahead of a Close frame, and one that the sender does not hear of', () => {
    const short = { received: ['a'] }
    assert.throws(
      () => judge(peer('client', closed), peer('server', answered, short)),
      /a Close frame came, and 2 messages/,
    )
    assert.throws(
      () => judge(peer('client', closed), peer('server', lost, short)),
      /is told that all is well/,
    )
    const skips = { ...answered, stats: { ...stats, receivesDropped: 2 } }
    assert.throws(
      () => judge(peer('client', closed), peer('server', skips, short)),
      /is told that all is well/,
    )
  })

  const dropped = (messagesSent: number, sendsDropped: number) => ({ ...stats, messagesSent, sendsDropped })
  const books: Record<string, Partial<Record<keyof Peer, unknown>>> = {
    'a refusal that is not counted': { refused: 1 },
    'a drop that is not counted': { stats: dropped(2, 0) },
    'a drop of nothing': { stats: dropped(3, 1) },
    'a refusal that is counted as sent': { taken: 2, refused: 1 },
    'a message that counts as sent and cannot have been': { doomed: 1 },
  }
  for (const [what, more] of Object.entries(books)) {
    it(`finds ${what}`, () => {
      assert.throws(
        () => judge(peer('client', lost, more), peer('server', lost)),
        /the books do not balance|more are sent than can be/,
      )
    })
  }

  it('lets pass what is dropped and counted', () => {
    const books = { taken: 4, doomed: 1, refused: 2, stats: dropped(3, 3) }
    judge(peer('client', lost, books), peer('server', lost))
  })

  it('finds reading that ends as if all was well', () => {
    const quiet = { listens: false }
    assert.throws(() => judge(peer('client', lost, quiet), peer('server', lost)), /as if all was well/)
  })

  const wrong: Record<string, CloseInfo> = {
    'a clean end without both Close frames': { ...closed, received: undefined },
    'a code that is not the one that came': { ...answered, code: 4000 },
    'a loss by the network with a code': { ...lost, code: 1000 },
    'a clean end with an error': {
      ...closed,
      error: Object.assign(new Error('reset'), { code: 'ECONNRESET' }),
    },
    'a fault of the peer, who has done nothing': {
      ...lost,
      error: new ProtocolError('ERR_WS_MASKED_FRAME', 1002, 'masked'),
    },
    'an error that nobody can tell': { ...lost, error: new Error('what?') },
  }
  for (const [what, info] of Object.entries(wrong)) {
    it(`finds ${what}`, () => assert.throws(() => judgeInfo(info, 'client')))
  }

  it('finds ends that contradict each other, or have not come', () => {
    assert.throws(() => judge(peer('client', answered), peer('server', answered)), /the ends differ/)
    assert.throws(() => judge(peer('client', undefined), peer('server', lost)), /has not ended/)
    assert.throws(() => judgeHarmless(peer('client', lost), peer('server', lost)))
  })
})
