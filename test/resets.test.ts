// Connections that end at every point of the handshake and of the closing, by a reset, by FIN alone and by both at
// once, in clear and over TLS: whoever waits is told, and nothing is left.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { after, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { TLSSocket } from 'node:tls'
import { type CloseInfo, type Conn, dial, HandshakeError } from 'silverback'
import { acceptKey } from '../src/wire/accept-key.ts'
import { frame } from './frames.ts'
import { type Entry, entryNames, openEntry } from './hostile/entries.ts'
import { assertNoLeaks } from './leaks.ts'
import { eachAtOnce, type RawClient, upgradeRequest } from './raw-client.ts'
import { switching } from './support/answering-server.ts'
import { certificate, privateKey } from './support/certificate.ts'

after(() => assertNoLeaks())

const ends = ['reset', 'end', 'destroy'] as const
type End = (typeof ends)[number]

/** Every place with every way of ending; or with one each, by turns, where a connection takes long. */
function table(places: number, byTurns = false): { place: number; end: End }[] {
  return ends
    .flatMap((end, turn) => Array.from({ length: places + 1 }, (_, place) => ({ place, end, turn })))
    .filter(({ place, turn }) => !byTurns || place === places || place % ends.length === turn)
}

/** A server that says what it is told to, and then ends the connection. */
interface EndingServer extends AsyncDisposable {
  dial(): Promise<Conn>
}

/** What a server says to the next chunk, a request first, and how it ends behind it; `undefined`: it goes on. */
type Script = (chunk: Buffer, index: number) => { readonly bytes: Uint8Array; readonly end?: End } | undefined

async function endingServer(tls: boolean, nextScript: () => Script): Promise<EndingServer> {
  const sockets = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true }, (tcp) => {
    sockets.add(tcp)
    tcp.on('error', () => {})
    tcp.once('close', () => sockets.delete(tcp))
    const socket = tls ? new TLSSocket(tcp, { isServer: true, cert: certificate, key: privateKey }) : tcp
    socket.on('error', () => {})
    const script = nextScript()
    let index = 0
    socket.on('data', async (chunk: Buffer) => {
      const { bytes, end } = script(chunk, index++) ?? {}
      if (bytes === undefined) return
      await new Promise((resolve) => socket.write(bytes, resolve))
      if (end === undefined) return
      await setImmediate()
      if (end === 'end') socket.end()
      else if (end === 'destroy') socket.destroy()
      else tcp.resetAndDestroy()
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    dial: () =>
      dial(`${tls ? 'wss' : 'ws'}://127.0.0.1:${port}/`, {
        limits: { closeTimeout: 2_000 },
        ...(tls ? { tls: { ca: certificate } } : {}),
      }),
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

function answerTo(request: Buffer): Buffer {
  const key = /^sec-websocket-key: (.*)\r$/im.exec(request.toString('latin1'))?.[1] ?? ''
  return Buffer.from(switching(acceptKey(key)))
}

const answerLength = switching(acceptKey('dGhlIHNhbXBsZSBub25jZQ==')).length

for (const tls of [false, true]) {
  const layer = tls ? 'over TLS' : 'in clear'

  test(`${layer}: a server that ends at every byte of its answer is a failed handshake`, async () => {
    const scripts: Script[] = []
    await using server = await endingServer(tls, () => scripts.shift() as Script)
    for (const { place, end } of table(answerLength, tls)) {
      scripts.push((request) => ({ bytes: answerTo(request).subarray(0, place), end }))
      const result = await server.dial().catch((error: unknown) => error)
      const what = `${end} behind ${place} bytes`
      if (result instanceof Error) {
        assert.ok(result instanceof HandshakeError, `${what}: ${result}`)
        assert.equal(result.code, 'ERR_WS_CONNECT', what)
        // Only a reset may take with it what came before.
        assert.ok(place < answerLength || end === 'reset', what)
      } else {
        assert.equal(place, answerLength, what)
        const { code, wasClean } = await (result as Conn).closed
        assert.deepEqual({ code, wasClean }, { code: 1006, wasClean: false }, what)
      }
    }
  })

  test(`${layer}: a server that ends at every byte of a Close that it begins`, async () => {
    const close = frame({ opcode: 8, payload: Uint8Array.of(3, 232) })
    const scripts: Script[] = []
    await using server = await endingServer(tls, () => scripts.shift() as Script)
    for (const { place, end } of table(close.length)) {
      scripts.push((chunk, index) =>
        index === 0
          ? { bytes: answerTo(chunk) }
          : index === 1
            ? { bytes: close.subarray(0, place), end }
            : undefined,
      )
      const conn = await server.dial()
      conn.send('begin')
      assertClosedByPeer(await conn.closed, place === close.length, end, `${end} behind ${place} bytes`)
    }
  })

  test(`${layer}: a server that ends at every byte of its answer to our Close`, async () => {
    const close = frame({ opcode: 8, payload: Uint8Array.of(3, 232) })
    const scripts: Script[] = []
    await using server = await endingServer(tls, () => scripts.shift() as Script)
    for (const { place, end } of table(close.length)) {
      scripts.push((chunk, index) =>
        index === 0 ? { bytes: answerTo(chunk) } : { bytes: close.subarray(0, place), end },
      )
      const conn = await server.dial()
      assertClosed(await conn.close(1000), place === close.length, end, `${end} behind ${place} bytes`)
    }
  })
}

/** A closing that the peer began is its own once all of its Close frame has come; a reset may take that with it. */
function assertClosedByPeer({ code, by }: CloseInfo, whole: boolean, end: End, what: string): void {
  const [theirs, lost] = ['1000 remote', '1006 network']
  const expected = !whole ? [lost] : end === 'reset' ? [theirs, lost] : [theirs]
  assert.ok(expected.includes(`${code} ${by}`), `${what}: ${code} ${by}`)
}

/** A closing that had its answer is clean, and one without never; a reset may take the answer with it. */
function assertClosed({ code, by, wasClean }: CloseInfo, answered: boolean, end: End, what: string): void {
  assert.deepEqual({ code, by }, { code: 1000, by: 'local' }, what)
  if (end !== 'reset' || !answered) assert.equal(wasClean, answered, what)
}

async function finish(client: RawClient, end: End): Promise<void> {
  if (end === 'reset') await client.reset()
  else if (end === 'destroy') await client.destroy()
  else {
    client.socket.end()
    await client.until(() => client.closed, 'the end')
  }
}

/** Waits until the server has no connection. */
async function deserted({ http }: Entry): Promise<void> {
  const count = (): Promise<number> =>
    new Promise((resolve) => http.getConnections((_error, connections) => resolve(connections)))
  while ((await count()) > 0) await setImmediate()
}

for (const name of entryNames) {
  test(`${name}: a client that ends at every byte of its request leaves nothing`, async () => {
    const request = upgradeRequest('/')
    await using entry = await openEntry(name, {}, (conn) => void conn.closed)
    await eachAtOnce(table(request.length, name === 'serve with TLS'), 8, async ({ place, end }) => {
      const client = entry.client()
      await client.until(() => !client.socket.connecting || client.closed, 'the connection')
      await new Promise((resolve) => client.socket.write(request.slice(0, place), resolve))
      // Some when the server has had time to read it, and some before.
      if (place % 2 === 0) await setImmediate()
      await finish(client, end)
      if (place < request.length) assert.notEqual(client.status, 101)
    })
    await deserted(entry)
  })

  test(`${name}: a client that ends at every byte of a Close that it begins`, async () => {
    const close = frame({ opcode: 8, payload: Uint8Array.of(3, 232), mask: Uint8Array.of(1, 2, 3, 4) })
    const ended: Promise<CloseInfo>[] = []
    await using entry = await openEntry(name, {}, async (conn) => {
      ended.push(conn.closed)
      await conn.closed
    })
    for (const { place, end } of table(close.length)) {
      const client = entry.client(upgradeRequest('/'))
      await client.until(() => client.status === 101, 'the answer')
      await new Promise((resolve) => client.socket.write(close.subarray(0, place), resolve))
      if (place % 2 === 0) await setImmediate()
      await finish(client, end)
      await client.until(() => ended.length > 0, 'the connection')
      const info = await ended.pop()
      assert.ok(info !== undefined)
      assertClosedByPeer(info, place === close.length, end, `${end} behind ${place} bytes`)
    }
    await deserted(entry)
  })

  test(`${name}: a client that ends at every byte of its answer to our Close`, async () => {
    const close = frame({ opcode: 8, payload: Uint8Array.of(3, 232), mask: Uint8Array.of(1, 2, 3, 4) })
    const closings: Promise<CloseInfo>[] = []
    await using entry = await openEntry(name, { limits: { closeTimeout: 2_000 } }, (conn) => {
      closings.push(conn.close(1000))
    })
    for (const { place, end } of table(close.length)) {
      const client = entry.client(upgradeRequest('/'))
      await client.until(() => client.events.length > 0, 'a Close frame')
      await new Promise((resolve) => client.socket.write(close.subarray(0, place), resolve))
      await finish(client, end)
      const closing = closings.pop()
      assert.ok(closing !== undefined)
      assertClosed(await closing, place === close.length, end, `${end} behind ${place} bytes`)
    }
    await deserted(entry)
  })

  test(`${name}: a client that ends while authorize thinks gets no connection`, async () => {
    let asked = 0
    let upgrades = 0
    let open = (): void => {}
    const authorize = (): Promise<true> => {
      asked++
      return new Promise((resolve) => {
        open = () => resolve(true)
      })
    }
    await using entry = await openEntry(name, { authorize }, () => void upgrades++)
    for (const end of ends) {
      const before = asked
      const client = entry.client(upgradeRequest('/'))
      while (asked === before) await setImmediate()
      await finish(client, end)
      await deserted(entry)
      open()
      await setImmediate()
      assert.equal(upgrades, 0, end)
    }
  })
}
