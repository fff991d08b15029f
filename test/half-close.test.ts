import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { after, test } from 'node:test'
import { dial, serve } from 'silverback'
import { acceptKey } from 'silverback/protocol'
import { frame } from './frames.ts'
import { assertNoLeaks } from './leaks.ts'
import { RawClient } from './raw-client.ts'

// A peer that has said its last may still read: what waits for it goes out, and what it said is answered.

after(() => assertNoLeaks())

const mask = Uint8Array.of(1, 2, 3, 4)
const closeFrame = frame({ opcode: 8, payload: Uint8Array.of(0x03, 0xe8), mask })

test('a client sends all that waits, and its Close frame, behind the FIN of the server', async () => {
  let received = 0
  let last = Buffer.alloc(0)
  const server = createServer()
  const ended = new Promise<void>((resolve) => {
    server.on('upgrade', (request, socket: Socket) => {
      socket.write(
        `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${acceptKey(request.headers['sec-websocket-key'] ?? '')}\r\n\r\n`,
      )
      // Nothing is read until the client's output waits on its side.
      socket.pause()
      socket.once('readable', () => {
        socket.write(frame({ opcode: 8, payload: Uint8Array.of(0x03, 0xe8) }))
        socket.end()
        socket.on('data', (chunk) => {
          received += chunk.length
          last = Buffer.concat([last, chunk]).subarray(-8)
        })
        socket.once('end', resolve)
      })
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const conn = await dial(`ws://127.0.0.1:${(server.address() as AddressInfo).port}/`)
  conn.send(new Uint8Array(8_000_000))
  const { code, wasClean, sent } = await conn.closed
  await ended
  assert.deepEqual([code, wasClean, sent?.code], [1000, true, 1000])
  // 61 whole fragments, one of 4,608 bytes, and the Close frame.
  assert.equal(received, 8_000_000 + 61 * 14 + 8 + 8)
  assert.equal(last[0], 0x88)
  await new Promise((resolve) => server.close(resolve))
})

for (const count of [63, 64, 65, 100, 129, 200]) {
  test(`${count} messages and a Close frame in one segment are all answered`, async () => {
    await using server = await serve({}, async (conn) => {
      for await (const message of conn) conn.send(message)
    })
    const client = await RawClient.upgraded(Number(new URL(server.url).port), '/')
    const before = client.received.length
    const messages = Array.from({ length: count }, () => frame({ opcode: 1, payload: 'hi', mask }))
    client.write(Buffer.concat([...messages, closeFrame]))
    await client.until(() => client.ended, 'the end of the connection')
    const answer = client.received.subarray(before)
    assert.equal(answer.toString('hex'), `${'81026869'.repeat(count)}880203e8`)
    await client.destroy()
  })
}
