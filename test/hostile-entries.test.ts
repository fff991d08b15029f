// The tables of odd requests, by every way into the library: test/hostile.test.ts has them against the demo.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { renderAll, renderData } from './engine.ts'
import { frame } from './frames.ts'
import { type Entry, entryNames, openEntry } from './hostile/entries.ts'
import { badRequests, goodRequests } from './hostile/requests.ts'
import { assertNoLeaks } from './leaks.ts'
import { eachAtOnce } from './raw-client.ts'

after(() => assertNoLeaks())

const mask = Uint8Array.of(1, 2, 3, 4)

function open(name: string): Promise<Entry> {
  return openEntry(name, { path: '/echo', onError() {} }, async (conn) => {
    for await (const message of conn) conn.send(message)
  })
}

/** All that is answered, but for the time. */
async function answerTo(entry: Entry, bytes: string, what: string): Promise<string> {
  const client = entry.client(Buffer.from(bytes, 'latin1'))
  await client.until(() => client.closed || client.status !== undefined, `an answer to "${what}"`)
  // Plain HTTP may keep the connection for the next request.
  if (client.status === undefined || /^connection: .*close/im.test(client.received.toString('latin1')))
    await client.until(() => client.closed, `the end of "${what}"`)
  await client.destroy()
  return client.received.toString('latin1').replace(/^Date: .*\r\n/m, '')
}

for (const name of entryNames) {
  test(`${name}: requests that are no handshake are refused, each with its status`, async () => {
    await using entry = await open(name)
    await eachAtOnce(badRequests, 12, async ({ name: what, bytes, verdict }) => {
      const answer = await answerTo(entry, bytes, what)
      const status = /^HTTP\/1\.1 (\d{3}) /.exec(answer)?.[1]
      assert.notEqual(status, '101', what)
      if (verdict !== 'refused') assert.equal(status, String(verdict), what)
      else assert.ok(status === undefined || Number(status) >= 400, `${what}: ${status}`)
      assert.ok(answer.split('HTTP/1.1 ').length <= 2, what)
    })
  })

  test(`${name}: requests that look odd and are right are served`, async () => {
    await using entry = await open(name)
    await eachAtOnce(goodRequests, 8, async ({ name: what, bytes }) => {
      const message = frame({ opcode: 1, payload: what, mask })
      const client = entry.client(Buffer.concat([Buffer.from(bytes, 'latin1'), message]))
      await client.until(() => client.closed || client.events.length > 0, `the echo of "${what}"`)
      assert.equal(client.status, 101, what)
      assert.deepEqual(renderAll(client.events), [`text ${renderData(Buffer.from(what))}`])
      await client.destroy()
    })
  })
}

test('the fast lane answers every odd request as HTTP does', async () => {
  await using lane = await open('serve')
  await using http = await open('serve on a given server')
  await eachAtOnce([...badRequests, ...goodRequests], 8, async ({ name, bytes }) => {
    const [ours, theirs] = await Promise.all([answerTo(lane, bytes, name), answerTo(http, bytes, name)])
    assert.equal(ours, theirs, name)
  })
})
