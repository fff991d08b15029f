// Every way in which a connection ends, and what either side knows of it afterwards: as docs/closing.md tells it.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import {
  broadcast,
  CloseError,
  type Conn,
  dial,
  type Limits,
  type Server,
  type ServerConn,
  serve,
} from 'silverback'
import { type FrameSpec, frame } from './frames.ts'
import { assertNoLeaks } from './leaks.ts'
import { RawClient } from './raw-client.ts'
import { root } from './repo.ts'
import { connectedPair } from './support/connected-pair.ts'

after(() => assertNoLeaks())

/** What both sides know: the one that the row is about, and the other. */
type Told = readonly [here: string, there: string]

/** What is not asked: the other side is not ours. */
const unknown = '–'

/** The code, who ended it, whether cleanly, the class of the error, and what a loop over the messages does. */
async function tell(conn: Conn): Promise<string> {
  const { code, by, wasClean, error } = await conn.closed
  const told = `${code} ${by}${wasClean ? ' clean' : ''}${error === undefined ? '' : ` ${error.name}`}`
  // The same for whoever asks, as often as they ask.
  const loops = [await loop(conn), await loop(conn)]
  assert.equal(loops[0], loops[1])
  await assert.rejects(conn.read())
  assert.equal(conn.send('too late'), false)
  return `${told}, ${loops[0]}`
}

async function loop(conn: Conn): Promise<string> {
  try {
    for await (const _message of conn);
    return 'ends'
  } catch (error) {
    // The other error is that of a connection whose messages go to `onMessage`.
    return error instanceof CloseError ? 'throws' : 'no loop'
  }
}

/** Both ends are ours. */
async function between(
  act: (here: ServerConn, there: Conn, server: Server) => unknown,
  limits: Partial<Limits> = {},
): Promise<Told> {
  await using pair = await connectedPair({ server: { limits } })
  await act(pair.server, pair.client, pair.listener)
  return [await tell(pair.server), await tell(pair.client)]
}

/** The other end is bytes on a TCP connection. */
async function against(
  act: (here: ServerConn, peer: RawClient, server: Server) => unknown,
  limits: Partial<Limits> = {},
): Promise<Told> {
  const accepted: ServerConn[] = []
  await using server = await serve({ limits }, (conn) => void accepted.push(conn))
  const { port } = server.server.address() as AddressInfo
  const peer = await RawClient.upgraded(port, '/', { allowHalfOpen: true })
  try {
    const [here] = accepted
    assert.ok(here !== undefined)
    await act(here, peer, server)
    return [await tell(here), unknown]
  } finally {
    await peer.destroy()
  }
}

/** The handler does it, upon a message. */
async function handled(
  handle: (conn: ServerConn) => void | Promise<void>,
  message = 'anything',
): Promise<Told> {
  const accepted: ServerConn[] = []
  await using server = await serve({ onError: () => {} }, (conn) => {
    accepted.push(conn)
    return handle(conn)
  })
  const there = await dial(server.url)
  there.send(message)
  const [here] = accepted
  assert.ok(here !== undefined)
  return [await tell(here), await tell(there)]
}

function fail(): never {
  throw new TypeError('on purpose')
}

const masked = (spec: FrameSpec): Buffer => frame({ mask: Buffer.from('mask'), ...spec })

/** As a client sends it; without a payload for `undefined`. */
function closeFrame(code: number | undefined): Buffer {
  const payload = Buffer.alloc(code === undefined ? 0 : 2)
  if (code !== undefined) payload.writeUInt16BE(code)
  return masked({ opcode: 8, payload })
}

/** A peer that stops reading until more waits than may, and then reads to the end and closes in order. */
function slowTo(send: (here: ServerConn) => unknown): Promise<Told> {
  const ending = Buffer.from([0x88, 10, 0x03, 0xf5, ...Buffer.from('too slow')])
  return against(
    async (here, peer) => {
      peer.socket.pause()
      const message = Buffer.alloc(64 * 1024)
      while (here.bufferedAmount <= here.maxSendBuffer) {
        here.send(message)
        await new Promise((resolve) => setImmediate(resolve))
      }
      send(here)
      peer.socket.resume()
      await peer.until(() => peer.received.subarray(-ending.length).equals(ending), 'the Close frame')
      peer.write(closeFrame(1013))
      peer.socket.end()
    },
    { maxSendBuffer: 1024 },
  )
}

const ways: Readonly<Record<string, () => Promise<Told>>> = {
  'close()': () => between((here) => here.close()),
  "close(4000, 'reason')": () => between((here) => here.close(4000, 'reason')),
  'close(4000) here and close(4001) there, at once': () =>
    between((here, there) => {
      void here.close(4000)
      void there.close(4001)
    }),
  'the peer sends a Close frame without a code': () =>
    against((_here, peer) => peer.write(closeFrame(undefined))),
  'server.close() or upgrader.close()': () => between((_here, _there, server) => void server.close()),
  'server.close(), and the client does not answer in time': () =>
    against((_here, _peer, server) => void server.close({ timeout: 50 })),
  'the handler throws, or rejects': () => handled(fail),
  'the listener of onMessage throws': () => handled((conn) => conn.onMessage(fail)),
  'json() meets what is not JSON, or not what the schema takes': () =>
    handled(async (conn) => {
      for await (const _value of conn.json());
    }, '{'),
  'the peer breaks the protocol': () =>
    against((_here, peer) => peer.write(masked({ opcode: 3, payload: Buffer.alloc(0) }))),
  'a message is longer than maxMessageSize': () =>
    between((_here, there) => there.send(Buffer.alloc(2048)), { maxMessageSize: 1024 }),
  'send() above maxSendBuffer': () => slowTo((here) => here.send('one more')),
  "broadcast() with slow: 'close', above maxSendBuffer": () =>
    slowTo((here) => broadcast([here], 'one more', { slow: 'close' })),
  'nothing comes for pongTimeout after a ping': () =>
    against(() => {}, { pingInterval: 200, pongTimeout: 200 }),
  'the peer does not answer our Close frame within closeTimeout': () =>
    against((here) => here.close(4000), { closeTimeout: 200 }),
  'the peer answers it, and does not hang up within closeTimeout': () =>
    against(
      (here, peer) => {
        void here.close(4000)
        peer.write(closeFrame(4000))
      },
      { closeTimeout: 200 },
    ),
  'terminate()': () => between((here) => here.terminate()),
  'the TCP connection ends without a Close frame': () => against((_here, peer) => peer.socket.end()),
  'the TCP connection is reset': () => against((_here, peer) => peer.reset()),
  'bytes were detached between send() and their leaving': () =>
    between((here) => {
      const bytes = Buffer.from(new ArrayBuffer(64 * 1024))
      here.send(bytes)
      structuredClone(bytes.buffer, { transfer: [bytes.buffer] })
    }),
}

/** The rows of the table in the guide: the first cell, and what is told here and there. */
function rows(): Map<string, Told> {
  const page = readFileSync(join(root, 'docs/closing.md'), 'utf8')
  const [, section = ''] = page.split('\n## All ways to the end\n')
  const [table = ''] = section.split('\n## ')
  return new Map(
    [...table.matchAll(/^\| (?!how|---)(.*?) \| .*? \| (.*?) \| (.*?) \|$/gm)].map(
      ([, way = '', here = '', there = '']) => [way.replaceAll('`', ''), [here, there]],
    ),
  )
}

describe('all ways in which a connection ends', () => {
  const documented = rows()

  it('stand in the guide, and no other', () => {
    assert.deepEqual([...documented.keys()].sort(), Object.keys(ways).sort())
  })

  for (const [title, way] of Object.entries(ways))
    it(title, async () => assert.deepEqual(await way(), documented.get(title)))
})
