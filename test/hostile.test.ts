import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { dial } from 'silverback'
import { createDemo, type Demo } from '../apps/demo/server.ts'
import { decoderLimits, expectedAnswers, renderAll, renderData } from './engine.ts'
import { frame } from './frames.ts'
import { Rng, StreamMaker } from './generate.ts'
import { badRequests, goodRequests } from './hostile/requests.ts'
import { assertNoLeaks } from './leaks.ts'
import { retainedMemory } from './memory.ts'
import { eachAtOnce, RawClient, upgradeRequest } from './raw-client.ts'
import { decodeReference } from './reference.ts'
import { streamOf, vectorGroups } from './vectors.ts'

// Everything that a peer can do wrong is done to the demo, over real sockets. After each kind of mischief a client that
// behaves must be served as if nothing had happened.

const mask = Uint8Array.of(0x37, 0xfa, 0x21, 0x3d)
const MiB = 1024 * 1024

let demo: Demo
let port: number
let webSocketUrl: string
/** What ended up where nothing a peer does may end up. */
const mishaps: unknown[] = []
const note = (...what: unknown[]): void => {
  mishaps.push(what)
}
const consoleError = console.error

/** Closes that are never answered: begun first, so that their time runs while all else is tested. */
let neverAnswered: RawClient[] = []
/** Requests that are never finished: open until the end. */
let halfRequests: RawClient[] = []

before(async () => {
  process.on('uncaughtException', note)
  process.on('unhandledRejection', note)
  process.on('warning', note)
  console.error = note
  demo = await createDemo({ port: 0, host: '127.0.0.1' })
  port = Number(new URL(demo.url).port)
  webSocketUrl = demo.url.replace('http:', 'ws:').replace(/\/$/, '')

  const complaints: readonly (readonly [string, Uint8Array])[] = [
    ['/echo', Uint8Array.of(0x83)],
    ['/echo', frame({ opcode: 1, payload: 'unmasked' })],
    ['/ws', frame({ opcode: 1, payload: 'not JSON', mask })],
    ['/chat', frame({ opcode: 2, payload: 'the chat takes text only', mask })],
  ]
  neverAnswered = await Promise.all(
    complaints.map(async ([path, bytes]) => {
      const client = await RawClient.upgraded(port, path, { allowHalfOpen: true })
      client.write(bytes)
      return client
    }),
  )
  const request = upgradeRequest('/echo')
  halfRequests = Array.from({ length: 40 }, (_, i) => {
    const client = new RawClient(port)
    client.write(request.slice(0, Math.floor((i * request.length) / 40)))
    return client
  })
})

after(async () => {
  console.error = consoleError
  for (const client of [...neverAnswered, ...halfRequests]) client.socket.destroy()
  await demo.close()
  process.off('uncaughtException', note)
  process.off('unhandledRejection', note)
  process.off('warning', note)
})

after(() => assertNoLeaks())

/** A newcomer who behaves is served, by the library's client and by hand. */
async function stillAlive(): Promise<void> {
  const conn = await dial(`${webSocketUrl}/echo`)
  conn.send('still there?')
  assert.equal(await conn.read(), 'still there?')
  conn.send(Uint8Array.of(1, 2, 3))
  assert.deepEqual(Buffer.from((await conn.read()) as Uint8Array), Buffer.from([1, 2, 3]))
  const info = await conn.close(1000, 'thanks')
  assert.deepEqual([info.code, info.wasClean], [1000, true])

  const raw = await RawClient.upgraded(port, '/ws')
  raw.write(frame({ opcode: 1, payload: '{"Num":7}', mask }))
  await raw.until(() => raw.events.length > 0, 'the number echo')
  assert.deepEqual(renderAll(raw.events), [`text ${renderData(Buffer.from('{"Num":7}'))}`])
  await raw.destroy()
  assert.deepEqual(mishaps, [])
}

test('requests that are no handshake are refused, each with its status', async () => {
  await eachAtOnce(badRequests, 12, async ({ name, bytes, verdict }) => {
    const client = new RawClient(port)
    client.write(bytes)
    await client.until(() => client.closed || client.status !== undefined, `an answer to "${name}"`)
    const { status } = client
    assert.notEqual(status, 101, name)
    if (verdict === 'refused') assert.ok(status === undefined || status >= 400, `${name}: ${status}`)
    else assert.equal(status, verdict, name)
    const answers = client.received.toString('latin1').split('HTTP/1.1 ').length - 1
    assert.ok(answers <= 1, `${name}: ${answers} answers`)
    // Plain HTTP may keep the connection for the next request.
    if (/^connection: .*close/im.test(client.received.toString('latin1'))) {
      await client.until(() => client.closed, `the end of "${name}"`)
    }
    await client.destroy()
  })
  await stillAlive()
})

test('requests that look odd and are right are served', async () => {
  await eachAtOnce(goodRequests, 8, async ({ name, bytes }) => {
    const client = new RawClient(port)
    client.write(bytes)
    client.write(frame({ opcode: 1, payload: name, mask }))
    await client.until(() => client.closed || client.events.length > 0, `the echo of "${name}"`)
    assert.equal(client.status, 101, name)
    assert.deepEqual(renderAll(client.events), [`text ${renderData(Buffer.from(name))}`])
    await client.destroy()
  })
  await stillAlive()
})

test('a foreign origin and a request without key at /ws get the article’s answers', async () => {
  const cases = [
    [upgradeRequest('/ws', { Origin: 'https://evil.example' }), 403, 'Origin not allowed'],
    [upgradeRequest('/ws', { 'Sec-WebSocket-Key': undefined }), 400, 'Could not open websocket connection'],
    [
      upgradeRequest('/ws', { Upgrade: undefined, Connection: 'close' }),
      400,
      'Could not open websocket connection',
    ],
  ] as const
  for (const [bytes, status, body] of cases) {
    const client = new RawClient(port)
    client.write(bytes)
    await client.until(() => client.closed, body)
    assert.equal(client.status, status)
    assert.match(client.behindHead.toString(), new RegExp(`^${body}`))
  }
})

test('a request in single bytes, its frames too, is served', async () => {
  const client = new RawClient(port)
  const stream = Buffer.concat([
    Buffer.from(upgradeRequest('/echo')),
    frame({ opcode: 1, payload: 'slow', mask }),
  ])
  for (const byte of stream) {
    client.write(Uint8Array.of(byte))
    await new Promise((resolve) => setImmediate(resolve))
  }
  await client.until(() => client.events.length > 0, 'an echo')
  assert.deepEqual(renderAll(client.events), [`text ${renderData(Buffer.from('slow'))}`])
  await client.destroy()
})

test('requests cut off at every byte, by an end and by a reset', async () => {
  const request = upgradeRequest('/echo')
  const places = Array.from({ length: request.length }, (_, i) => i)
  await eachAtOnce(places, 16, async (place) => {
    const client = new RawClient(port)
    client.write(request.slice(0, place))
    if (place % 2 === 0) {
      client.socket.end()
      await client.until(() => client.closed, `the end of a request of ${place} bytes`)
      assert.notEqual(client.status, 101)
    } else {
      await client.until(() => !client.socket.connecting, 'the connection')
      await client.reset()
    }
  })
  await stillAlive()
})

test('every vector behind a good handshake', async () => {
  const limits = decoderLimits({ maxFrameSize: 64 * MiB, maxMessageSize: 64 * MiB })
  const vectors = vectorGroups.flatMap(({ vectors }) =>
    vectors.filter(({ roles }) => roles === undefined || roles.includes('server')),
  )
  await eachAtOnce(vectors, 16, async (vector) => {
    const stream = streamOf(vector, 'server')
    const oracle = decodeReference(stream, 'server', limits)
    const client = await RawClient.upgraded(port, '/echo')
    client.write(stream)
    const end = oracle.at(-1)
    const isMessage = (line: string): boolean => line.startsWith('text') || line.startsWith('binary')
    const messages = renderAll(oracle).filter(isMessage)
    const answers = expectedAnswers(oracle)
    const what = `the answer to "${vector.name}"`
    if (end?.kind === 'close' || end?.kind === 'fault') {
      await client.until(() => client.closed, what)
    } else {
      await client.until(
        () => client.events.length >= messages.length + answers.length || client.closed,
        what,
      )
      assert.ok(!client.closed, `${what}: hung up`)
      await client.destroy()
    }
    const events = client.events.map((event) =>
      event.kind === 'close' ? `close ${event.code}` : renderAll([event]).join(),
    )
    assert.deepEqual(
      events.filter((line) => !isMessage(line)),
      answers,
      what,
    )
    // What was echoed before the end came is right, if not always all.
    const echoed = events.filter(isMessage)
    assert.deepEqual(echoed, messages.slice(0, echoed.length), what)
  })
  await stillAlive()
})

test('frames in the packet of the handshake', async () => {
  for (const bytes of [
    Buffer.from([0x83]),
    frame({ opcode: 1, payload: 'early', mask }),
    Buffer.from('GET / HTTP/1.1\r\n\r\n'),
  ]) {
    const client = new RawClient(port)
    client.write(Buffer.concat([Buffer.from(upgradeRequest('/echo')), bytes]))
    await client.until(() => client.events.length > 0, 'an answer to early bytes')
    const [answer] = client.events
    if (bytes.length > 10 && bytes[0] === 0x81) assert.equal(answer?.kind, 'text')
    else assert.ok(answer?.kind === 'close' && answer.code === 1002)
    await client.destroy()
  }
})

test('connections reset, and ended, at every byte of their frames', async () => {
  const stream = Buffer.concat([
    frame({ opcode: 1, fin: false, payload: 'half a message, ', mask }),
    frame({ opcode: 9, payload: 'ping', mask }),
    frame({ opcode: 0, payload: 'and the other half', mask }),
    frame({ opcode: 8, payload: Uint8Array.of(3, 232), mask }),
  ])
  const places = Array.from({ length: stream.length + 1 }, (_, i) => i)
  await eachAtOnce(places, 12, async (place) => {
    const client = await RawClient.upgraded(port, '/echo')
    client.write(stream.subarray(0, place))
    if (place % 3 === 0) await client.reset()
    else if (place % 3 === 1) await client.destroy()
    else {
      client.socket.end()
      await client.until(() => client.closed, `the end of a connection after ${place} bytes`)
    }
  })
  await stillAlive()
})

test('what is not the JSON that /ws wants closes with 1007, and nothing else', async () => {
  const texts = [
    '',
    ' ',
    '{',
    'null',
    '[]',
    '"x"',
    '{"Num":"1"}',
    '{"Num":null}',
    '{"Num":1e999}',
    '{"num":1}',
    '{"__proto__":{"Num":1}}',
    '[[['.repeat(10_000),
    '\ufeff{"Num":1}',
    '{"Num":1}{"Num":2}',
  ]
  await eachAtOnce(texts, 8, async (payload) => {
    const client = await RawClient.upgraded(port, '/ws')
    client.write(frame({ opcode: 1, payload, mask }))
    await client.until(() => client.events.length > 0, `a Close after ${payload.slice(0, 20)}`)
    const [end] = client.events
    assert.ok(
      end?.kind === 'close' && end.code === 1007 && end.reason !== '',
      JSON.stringify([payload.slice(0, 20), end]),
    )
    client.write(frame({ opcode: 8, payload: Uint8Array.of(3, 239), mask }))
    await client.until(() => client.closed, 'the end')
  })
  await stillAlive()
})

test('a flood of pings by a peer that reads nothing does not fill the memory', async () => {
  const client = await RawClient.upgraded(port, '/echo')
  client.socket.pause()
  const pings = Buffer.concat(
    Array.from({ length: 2000 }, (_, i) => frame({ opcode: 9, payload: Buffer.alloc(125, i), mask })),
  )
  const before = retainedMemory()
  for (let sent = 0; sent < 100; sent++) {
    await new Promise<void>((resolve) => client.socket.write(pings, () => resolve()))
  }
  const growth = retainedMemory() - before
  assert.ok(growth < 6 * MiB, `${growth} bytes for ${100 * pings.length} bytes of pings`)
  client.socket.resume()
  // The one who reads at last is served at last.
  client.write(frame({ opcode: 1, payload: 'back again', mask }))
  // The latest pong may come before it or behind it.
  await client.until(() => client.received.includes('back again', -1000), 'an echo behind the flood')
  await client.destroy()
  await stillAlive()
})

test('a flood of messages by a peer that reads nothing is held back', async () => {
  const client = await RawClient.upgraded(port, '/echo')
  client.socket.pause()
  const before = retainedMemory()
  const message = frame({ opcode: 2, payload: Buffer.alloc(64 * 1024), mask })
  // More than any socket buffers hold: at some point the server has to stop reading.
  let written = 0
  await new Promise<void>((resolve) => {
    const count = (): void => {
      written++
      resolve()
    }
    for (let i = 0; i < 400; i++) client.socket.write(message, count)
  })
  await stillAlive()
  const server = retainedMemory() - before - client.socket.writableLength
  assert.ok(server < 16 * MiB, `${server} bytes held by the server`)
  assert.ok(written < 400, 'the server has swallowed everything')
  await client.destroy()
  await stillAlive()
})

test('floods of tiny and of empty fragments', async () => {
  for (const size of [0, 1]) {
    const client = await RawClient.upgraded(port, '/echo')
    const before = retainedMemory()
    client.write(frame({ opcode: 1, fin: false, payload: 'start', mask }))
    const fragments = Buffer.concat(
      Array.from({ length: 10_000 }, () => frame({ opcode: 0, fin: false, payload: 'x'.repeat(size), mask })),
    )
    for (let i = 0; i < 20; i++)
      await new Promise<void>((resolve) => client.socket.write(fragments, () => resolve()))
    client.write(frame({ opcode: 9, payload: 'got it?', mask }))
    await client.until(() => client.events.length > 0, 'a pong')
    const growth = retainedMemory() - before
    assert.ok(growth < 4 * MiB, `${growth} bytes for 200 000 fragments of ${size}`)
    client.write(frame({ opcode: 0, payload: 'end', mask }))
    await client.until(() => client.events.length > 1, 'the echo of all fragments')
    const wanted = Buffer.from(`start${'x'.repeat(200_000 * size)}end`)
    assert.deepEqual(renderAll(client.events), [
      `pong ${renderData(Buffer.from('got it?'))}`,
      `text ${renderData(wanted)}`,
    ])
    await client.destroy()
  }
  await stillAlive()
})

test('promises of 64 MiB by a hundred peers cost next to nothing', async () => {
  const clients = await Promise.all(Array.from({ length: 100 }, () => RawClient.upgraded(port, '/echo')))
  const before = retainedMemory()
  for (const client of clients) {
    client.write(frame({ opcode: 9, mask }))
    client.write(frame({ opcode: 2, length: 64 * MiB, payload: Buffer.alloc(100), mask }))
  }
  await Promise.all(clients.map((client) => client.until(() => client.events.length > 0, 'a pong')))
  const growth = retainedMemory() - before
  assert.ok(growth < 8 * MiB, `${growth} bytes`)
  await Promise.all(clients.map((client) => client.destroy()))
  await stillAlive()
})

test('random bytes, before the handshake and behind it', async () => {
  const seed = Math.floor(Math.random() * 2 ** 31)
  const rounds = Array.from({ length: 300 }, (_, i) => i)
  await eachAtOnce(rounds, 12, async (round) => {
    const rng = new Rng(seed, round)
    const maker = new StreamMaker(rng, 1 << 18)
    if (round % 3 === 0) {
      const client = new RawClient(port)
      client.write(rng.once(2) ? maker.bytes() : upgradeRequest('/echo').slice(0, rng.below(60)))
      client.write(maker.bytes())
      client.socket.end()
      await client.until(() => client.closed, `the end of garbage, seed ${seed}, round ${round}`)
      return
    }
    const client = await RawClient.upgraded(port, rng.pick(['/echo', '/ws', '/chat']))
    client.write(round % 3 === 1 ? maker.bytes() : maker.frames(true, 1 + rng.below(4)))
    client.socket.end()
    await client.until(() => client.closed, `the end of garbage, seed ${seed}, round ${round}`)
  })
  await stillAlive()
})

test('a chat member who reads nothing is shown the door, and the others hear everything', async () => {
  const [sleeper, listener, speaker] = await Promise.all([
    RawClient.upgraded(port, '/chat'),
    RawClient.upgraded(port, '/chat'),
    RawClient.upgraded(port, '/chat'),
  ])
  sleeper.socket.pause()
  const line = frame({ opcode: 1, payload: 'x'.repeat(4000), mask })
  const burst = Buffer.concat(Array.from({ length: 50 }, () => line))
  const before = retainedMemory()
  // More than the buffers of two sockets hold.
  for (let bursts = 1; bursts <= 60; bursts++) {
    speaker.write(burst)
    await listener.until(() => listener.receivedLength >= bursts * 50 * 4004, 'the talk')
  }
  const growth = retainedMemory() - before - listener.receivedLength - speaker.receivedLength
  assert.ok(growth < 4 * MiB, `${growth} bytes kept for the sleeper`)
  sleeper.socket.resume()
  await sleeper.until(() => sleeper.received.includes('too slow', -100), 'the reason')
  const end = sleeper.events.at(-1)
  assert.ok(end?.kind === 'close' && end.code === 1013)
  sleeper.write(frame({ opcode: 8, payload: Uint8Array.of(3, 245), mask }))
  await sleeper.until(() => sleeper.closed, 'the end of the sleeper')
  await Promise.all([listener.destroy(), speaker.destroy()])
  await stillAlive()
})

test('whoever never answers a Close is dropped, and whoever never finishes a request harms nobody', async () => {
  const codes = neverAnswered.map((client) => client.events.at(-1))
  assert.deepEqual(
    codes.map((event) => (event?.kind === 'close' ? event.code : event)),
    [1002, 1002, 1007, 1003],
  )
  await Promise.all(
    neverAnswered.map((client) => client.until(() => client.ended, 'the end of a one-sided close')),
  )
  for (const client of neverAnswered) {
    // Our half is open still; on a connection that is gone a write comes back as a reset.
    const prod = setInterval(() => client.write('x'), 50)
    await client.until(() => client.closed, 'the end of the connection')
    clearInterval(prod)
  }
  // 408 when this file took longer than the server waits.
  for (const client of halfRequests) assert.ok(client.status === undefined || client.status === 408)
  await Promise.all(halfRequests.map((client) => client.destroy()))
  await stillAlive()
})

test('nothing is left behind, and nothing went wrong on the way', async () => {
  const deadline = Date.now() + 20_000
  while (demo.connections > 0 && Date.now() < deadline)
    await new Promise((resolve) => setTimeout(resolve, 20))
  assert.equal(demo.connections, 0)
  assert.deepEqual(mishaps, [])
})
