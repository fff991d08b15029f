// Streams in constant memory, as docs/streams.md quotes it:
//   npm run measure:streams -- --size 1GiB
// Sends so much to a server in a process of its own, which sends it back while it comes: as one message, plain and
// compressed, and through Node streams. Then sends bombs to another server. Ends with 1 when a process grew by more than
// it may, when other bytes came back, or when a bomb got through.
import { fork } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { connect } from 'node:net'
import { cpus } from 'node:os'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { constants, deflateRawSync } from 'node:zlib'
import { tsImport } from 'tsx/esm/api'
import { peakMemory as peak } from './peak-memory.mjs'

const MiB = 1024 * 1024
const units = { B: 1, KiB: 1024, MiB, GiB: 1024 * MiB }
/**
 * What a process may grow by, whatever the size. The V8 of Node 24 and later lets more garbage come together before it
 * collects: 106 MiB on a quiet machine, and more on a busy one.
 */
const BOUND = (Number.parseInt(process.versions.node, 10) >= 24 ? 160 : 128) * MiB
/** What may be inflated of a message that is read as a stream. */
const MAX_STREAM = 16 * MiB

const { dial, serve, toDuplex } = await tsImport('../src/index.ts', import.meta.url)

const inMiB = (bytes) => `${(bytes / MiB).toFixed(1)} MiB`

function parseSize(text) {
  const [, number, unit = 'B'] = /^(\d+)\s*(B|KiB|MiB|GiB)?$/.exec(text) ?? []
  if (number === undefined) throw new Error(`'${text}' is no size such as 256MiB`)
  return Number(number) * units[unit]
}

/** Text that compresses to about a fifth, no two chunks of which are the same. */
function* chunks(size) {
  const line = (i) =>
    `{"id":${i * 7919},"name":"user-${(i * 31) % 1009}","state":"open","price":${(i * 104729) % 99991}}\n`
  const chunk = Buffer.alloc(64 * 1024, Array.from({ length: 1000 }, (_, i) => line(i)).join(''))
  for (let at = 0; at < size; at += chunk.length) {
    chunk.writeDoubleBE(at, 100)
    // A stream keeps what it is given until it is its turn.
    yield Buffer.from(chunk.subarray(0, size - at))
  }
}

/** This program again, in a process of its own that says when it is ready. */
async function start(role, ...args) {
  const child = fork(fileURLToPath(import.meta.url), [role, ...args])
  const [ready] = await once(child, 'message')
  return { child, ready, exit: once(child, 'exit') }
}

/** Asks a process for its peak, and ends it. */
async function end({ child, exit }) {
  child.send('end')
  const [grown] = await once(child, 'message')
  await exit
  return grown
}

/** For the processes: tells the base line, and at the end what it has grown by. */
async function report(ready, close) {
  const before = peak()
  process.send({ ...ready, before })
  await once(process, 'message')
  process.send({ before, peak: peak() })
  await close()
  process.disconnect()
}

const limits = { maxStreamSize: 2 ** 40 }

/** How the bytes travel: `open` gives the client's two ends, `echo` is what the server does. */
const forms = {
  'one message': {
    open: (conn) => ({
      async write(source) {
        const writer = conn.writeStream()
        for (const chunk of source) await writer.write(chunk)
        await writer.close()
      },
      read: () => conn.readStream(),
    }),
    async echo(conn) {
      for await (const message of conn.streams())
        await message.readable.pipeTo(conn.writeStream(message.type).writable)
    },
  },
  'a Node stream': {
    open(conn) {
      const stream = toDuplex(conn)
      return {
        write: (source) => pipeline(Readable.from(source), stream, { end: false }),
        read: () => stream,
      }
    },
    async echo(conn) {
      const stream = toDuplex(conn)
      await pipeline(stream, stream)
    },
  },
}

const roles = {
  async echo(form, compression) {
    const server = await serve({ limits, compression: compression === 'true' }, forms[form].echo)
    await report({ url: server.url }, () => server.close())
  },

  async client(form, compression, url, size) {
    const conn = await dial(url, { limits, compression: compression === 'true' })
    const before = peak()
    const [sent, received] = [createHash('sha256'), createHash('sha256')]
    const source = (function* () {
      for (const chunk of chunks(Number(size))) {
        sent.update(chunk)
        yield chunk
      }
    })()
    const started = performance.now()
    const { write, read } = forms[form].open(conn)
    const sending = write(source)
    let length = 0
    for await (const chunk of await read()) {
      length += chunk.length
      received.update(chunk)
      if (length === Number(size)) break
    }
    await sending
    const seconds = (performance.now() - started) / 1000
    const same = sent.digest('hex') === received.digest('hex')
    const { encoding, messagesSent } = conn.stats
    await conn.close()
    process.send({ length, same, seconds, encoding, messagesSent, before, peak: peak() })
    process.disconnect()
  },

  /** Reads messages whole, or as streams, by the path. */
  async victim() {
    const server = await serve(
      { compression: true, limits: { maxStreamSize: MAX_STREAM }, onError() {} },
      async (conn) => {
        if (conn.request.url === '/whole') await conn.read()
        else for await (const _ of await conn.readStream());
      },
    )
    await report({ url: server.url }, () => server.close())
  },
}

let failed = false
function check(ok, what) {
  if (ok) return
  failed = true
  console.log(`  FAILED: ${what}`)
}

function checkGrowth(name, { before, peak }) {
  console.log(`  ${name}: peak ${inMiB(peak)}, ${inMiB(peak - before)} above ${inMiB(before)}`)
  check(peak - before <= BOUND, `grown by more than ${inMiB(BOUND)}`)
}

async function echoOf(size, form, compression) {
  const server = await start('echo', form, String(compression))
  const client = await start('client', form, String(compression), server.ready.url, String(size))
  const { length, same, seconds, encoding, messagesSent } = client.ready
  const wire = encoding === undefined ? '' : `, ${inMiB(encoding.encodedSent)} of it sent`
  console.log(
    `${inMiB(length)} there and back as ${form} (${messagesSent} messages), ${compression ? 'compressed' : 'plain'}${wire}: ${seconds.toFixed(1)} s`,
  )
  check(length === size && same, 'what came back is not what was sent')
  checkGrowth('client', client.ready)
  checkGrowth('server', await end(server))
  await client.exit
}

/** Compressed zeros, about a thousandth of their size: deflate cannot do better. */
function bomb(inflated) {
  const unit = deflateRawSync(Buffer.alloc(MiB), { level: 9, finishFlush: constants.Z_FULL_FLUSH })
  const all = Buffer.concat(Array.from({ length: Math.ceil(inflated / MiB) }, () => unit))
  // As permessage-deflate has it: without the end of the last flush.
  return all.subarray(0, -4)
}

/** A compressed binary message in masked frames of so many bytes. */
function* frames(payload, most) {
  for (let at = 0; at < payload.length; at += most) {
    const part = payload.subarray(at, at + most)
    const first = (at === 0 ? 0x42 : 0) | (at + most >= payload.length ? 0x80 : 0)
    const length = part.length
    const head = Buffer.alloc(length < 126 ? 6 : length < 65_536 ? 8 : 14)
    head[0] = first
    head[1] = 0x80 | (length < 126 ? length : length < 65_536 ? 126 : 127)
    if (length >= 65_536) head.writeBigUInt64BE(BigInt(length), 2)
    else if (length >= 126) head.writeUInt16BE(length, 2)
    yield head
    yield part
  }
}

/** Sends bytes behind a handshake and returns the close code that is answered. */
async function attack(url, path, bytes) {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname)
  socket.on('error', () => {})
  socket.write(
    `GET ${path} HTTP/1.1\r\nHost: ${hostname}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n` +
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n',
  )
  await once(socket, 'data')
  socket.write(bytes)
  const answer = []
  for await (const chunk of socket) answer.push(chunk)
  const close = Buffer.concat(answer)
  return close[0] === 0x88 ? close.readUInt16BE(2) : undefined
}

async function bombs() {
  console.log(`bombs: a limit of 1 MiB whole, ${inMiB(MAX_STREAM)} as a stream`)
  const victim = await start('victim')
  for (const inflated of [42_000 * 1032, 1024 * MiB]) {
    const payload = bomb(inflated)
    for (const [cut, most] of [
      ['in one frame', payload.length],
      ['in frames of 1000 bytes', 1000],
      ['in frames of 1 byte', 1],
    ]) {
      const bytes = Buffer.concat([...frames(payload, most)])
      const codes = []
      for (const path of ['/whole', '/stream']) codes.push(await attack(victim.ready.url, path, bytes))
      const size = `${(payload.length / 1000).toFixed(0)} kB for ${inMiB(inflated)}`
      console.log(`  ${size}, ${cut}: refused with ${codes[0]} whole, ${codes[1]} as a stream`)
      check(
        codes.every((code) => code === 1009),
        'not refused with 1009',
      )
    }
  }
  checkGrowth('server', await end(victim))
}

const usage = `Usage: npm run measure:streams -- [options]

  --size SIZE  how much is streamed, such as 1GiB (default 256MiB)
  --help       this text
`

function readSize() {
  const options = { size: { type: 'string', default: '256MiB' }, help: { type: 'boolean', default: false } }
  const { values } = parseArgs({ options })
  return values.help ? undefined : parseSize(values.size)
}

async function main() {
  let size
  try {
    size = readSize()
    if (size === undefined) return process.stdout.write(usage)
  } catch (error) {
    process.stderr.write(`${error.message}\n\n${usage}`)
    process.exitCode = 2
    return
  }
  console.log(
    `Node ${process.version}, ${process.platform} ${process.arch}, ${cpus()[0]?.model ?? 'unknown CPU'}`,
  )
  for (const compression of [false, true]) await echoOf(size, 'one message', compression)
  await echoOf(size, 'a Node stream', false)
  await bombs()
  if (failed) process.exitCode = 1
}

const [, , role, ...args] = process.argv
// A process outlives nobody who has started it.
if (process.send !== undefined) process.once('disconnect', () => process.exit())
await (roles[role] ?? main)(...args)
