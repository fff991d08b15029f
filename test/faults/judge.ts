// What must be true of a connection's two ends when all is over, whatever the network did.

import assert from 'node:assert/strict'
import {
  CloseError,
  type CloseInfo,
  LimitError,
  ProtocolError,
  TimeoutError,
  WebSocketError,
} from 'silverback'
import type { Peer } from './peer.ts'

/** Whether iterating ends without an error: as `docs/closing.md` says. */
function endsQuietly({ code, by, error }: CloseInfo): boolean {
  return error === undefined && (by === 'local' || [1000, 1001, 1005].includes(code))
}

/** What one end says of the end, on its own. */
export function judgeInfo(info: CloseInfo, name: string): void {
  const { code, by, wasClean, received, sent, error } = info
  const told = `${name}: ${JSON.stringify({ code, by, wasClean, received, sent, error: error?.message })}`
  assert.equal(wasClean, received !== undefined && sent !== undefined, `wasClean ${told}`)
  if (by === 'remote') assert.equal(received?.code, code, `the peer's code ${told}`)
  if (by === 'network') assert.deepEqual([code, received, sent], [1006, undefined, undefined], told)
  if (code === 1006) assert.equal(wasClean, false, told)
  // The network changes no byte: nobody may be blamed for breaking the protocol.
  assert.ok(!(error instanceof ProtocolError), told)
  const known =
    error === undefined ||
    error instanceof TimeoutError ||
    error instanceof LimitError ||
    (!(error instanceof WebSocketError) && typeof (error as NodeJS.ErrnoException).code === 'string')
  assert.ok(known, told)
  if (wasClean) assert.equal(error, undefined, told)
}

/** What was given to a connection is what it says was sent and what it says was dropped, each message once. */
function judgeBooks({ name, stats, taken, refused, doomed, info }: Peer): void {
  const { messagesSent, sendsDropped } = stats
  const told = `${name}: ${taken} taken, ${refused} refused, ${doomed} in vain: ${JSON.stringify(stats)}`
  assert.equal(messagesSent + sendsDropped, taken + refused, `the books do not balance, ${told}`)
  // What was taken may be given up again, and some of it has to be: that is no more among those sent.
  assert.ok(messagesSent <= taken - doomed, `more are sent than can be, ${told}`)
  // Who closes in order gives up nothing that could be sent.
  if (info?.wasClean === true && info.by === 'local')
    assert.equal(messagesSent, taken - doomed, `less is sent than was taken, ${told}`)
}

/** What came of what one end sent to the other. */
function judgeDelivery(sender: Peer, receiver: Peer): void {
  const way = `${sender.name} to ${receiver.name}`
  const { accepted } = sender
  const { received } = receiver
  const [sent, got] = [sender.info, receiver.info]
  assert.ok(sent !== undefined && got !== undefined)
  // In order, each once, whole: nothing else ever comes.
  assert.deepEqual(received, accepted.slice(0, received.length), `${way}: not what was sent`)
  assert.ok(got.stats.messagesReceived >= received.length, `${way}: more delivered than received`)
  assert.ok(got.stats.bytesReceived <= sent.stats.bytesSent, `${way}: more bytes received than sent`)
  const lost = accepted.length - received.length
  // Behind its own Close frame a side holds nothing back: what it has no room for it drops, and counts.
  const dropped = got.stats.receivesDropped
  if (got.received !== undefined && dropped === 0)
    assert.equal(
      lost,
      0,
      `${way}: a Close frame came, and ${lost} messages before it did not ${JSON.stringify([sent, got])}`,
    )
  if (lost === 0) return
  // What was lost, the sender hears of: its own closing was not answered, or it was the other end that ended it.
  const crossed = got.by === 'local' || receiver.closes
  assert.ok(
    !sent.wasClean || sent.by !== 'local' || crossed,
    `${way}: ${lost} messages are lost, and the sender is told that all is well: ${JSON.stringify([sent, got])}`,
  )
}

/** All that must be true of both ends of one connection. */
export function judge(client: Peer, server: Peer): void {
  for (const peer of [client, server]) {
    const { info, readError, name } = peer
    assert.ok(info !== undefined, `${name} has not ended`)
    judgeInfo(info, name)
    if (readError !== undefined) assert.ok(readError instanceof CloseError, `${name}: ${String(readError)}`)
    else if (!endsQuietly(info)) assert.equal(peer.listens, true, `${name}: reading ended as if all was well`)
  }
  judgeBooks(client)
  judgeBooks(server)
  judgeDelivery(client, server)
  judgeDelivery(server, client)
  const [a, b] = [client.info, server.info]
  if (a?.wasClean !== true || b?.wasClean !== true) return
  // Both say that it ended in order: then they say the same.
  if (a.by === 'local' && b.by === 'local') {
    assert.deepEqual([a.code, b.code], [b.received?.code, a.received?.code])
    return
  }
  assert.deepEqual([a.code, a.by === 'local'], [b.code, b.by === 'remote'], 'the ends differ')
}

/** Where the network only took time: everything has come, and the end was in order. */
export function judgeHarmless(client: Peer, server: Peer): void {
  for (const [sender, receiver] of [
    [client, server],
    [server, client],
  ] as const) {
    assert.equal(sender.info?.wasClean, true, `${sender.name}: ${JSON.stringify(sender.info)}`)
    if (receiver.info?.stats.receivesDropped === 0)
      assert.equal(receiver.received.length, sender.accepted.length, `${sender.name}: not all has come`)
  }
}
