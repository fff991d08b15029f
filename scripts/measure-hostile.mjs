// What hostile peers can make a server hold, as docs/hostile.md quotes it:
//   npm run measure:hostile
// Each attack is made on a server in a process of its own, whose memory (RSS) is told before, and at its peak. Ends with
// 1 when a server grew by more than its bound, holds on to a connection that it should have dropped, serves no newcomer
// afterwards, had an error that nobody caught, has ended, or has not borne an attack within its time.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { cpus } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { constants, deflateRawSync } from 'node:zlib'
import { dial } from 'silverback'
import { frame } from '../test/frames.ts'
import { upgradeRequest } from '../test/raw-client.ts'
import { MESSAGE, plants, SEND_BUFFER, WARM_UP } from './hostile-victim.mjs'

const KiB = 1024
const MiB = 1024 * KiB
// What a process may grow by whatever is done to it: compiled code, shared buffers, garbage, of which Node 24 leaves more.
const BASE = (Number.parseInt(process.versions.node, 10) >= 24 ? 160 : 64) * MiB
const mask = Uint8Array.of(1, 2, 3, 4)
const victim = fileURLToPath(new URL('hostile-victim.mjs', import.meta.url))
const request = upgradeRequest('/echo')
const compressed = { 'Sec-WebSocket-Extensions': 'permessage-deflate' }

/** A client that says what it is told, and reads unless it is paused. */
class Attacker {
  constructor(port, reads = true) {
    this.socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    this.length = 0
    this.head = ''
    this.last = Buffer.alloc(0)
    this.gone = new Promise((resolve) => this.socket.once('close', resolve))
    this.socket.on('error', () => {})
    // What is only half closed by the server is gone as far as we are concerned.
    this.socket.on('end', () => this.socket.destroy())
    this.socket.on('data', (chunk) => {
      this.length += chunk.length
      if (this.head.length < 200) this.head += chunk.toString('latin1')
      this.last = chunk
      if (!reads && this.head.includes('\r\n\r\n')) this.socket.pause()
    })
  }

  /** One that has had its 101. */
  static async upgraded(port, headers = {}, { path = '/echo', reads = true } = {}) {
    const attacker = new Attacker(port, reads)
    attacker.socket.write(upgradeRequest(path, headers))
    while (!attacker.head.includes('\r\n\r\n') && !attacker.socket.destroyed)
      await Promise.race([once(attacker.socket, 'data'), attacker.gone])
    if (!attacker.head.startsWith('HTTP/1.1 101')) throw new Error(`no connection: ${attacker.head}`)
    return attacker
  }

  /** Resolves when the kernel has it, or the connection is gone. */
  async write(bytes) {
    if (this.socket.destroyed) return
    await Promise.race([new Promise((resolve) => this.socket.write(bytes, () => resolve())), this.gone])
  }

  end() {
    this.socket.destroy()
    return this.gone
  }
}

/** Makes so many, some at a time: a queue of connections to be accepted is short. */
async function many(count, make) {
  const all = []
  const worker = async () => {
    while (all.length < count) {
      const index = all.push(undefined) - 1
      all[index] = await make(index)
    }
  }
  await Promise.all(Array.from({ length: Math.min(64, count) }, worker))
  return all
}

const repeat = (bytes, count) => Buffer.concat(Array.from({ length: count }, () => bytes))

/** A flood over connections, and then a ping whose pong says that all has been read. */
async function flood(port, count, begin, part, parts) {
  const attackers = await many(count, () => Attacker.upgraded(port))
  await Promise.all(
    attackers.map(async (attacker) => {
      await attacker.write(begin)
      for (let i = 0; i < parts; i++) await attacker.write(part)
      const pong = once(attacker.socket, 'data').catch(() => {})
      await attacker.write(frame({ opcode: 9, mask }))
      await Promise.race([pong, attacker.gone])
      if (attacker.socket.destroyed) throw new Error('the server hung up on what it has to bear')
    }),
  )
  return attackers
}

function fragments(size) {
  return (port, count, each) => {
    const part = repeat(frame({ opcode: 0, fin: false, payload: Buffer.alloc(size), mask }), 10_000)
    return flood(port, count, frame({ opcode: 2, fin: false, mask }), part, Math.ceil(each / 10_000))
  }
}

/** Compressed zeros, about a thousandth of their size. */
function bomb(mebibytes) {
  const unit = deflateRawSync(Buffer.alloc(MiB), { level: 9, finishFlush: constants.Z_FULL_FLUSH })
  return repeat(unit, mebibytes).subarray(0, -4)
}

function inFrames(payload, size) {
  const frames = []
  for (let at = 0; at < payload.length; at += size) {
    const first = at === 0
    const fin = at + size >= payload.length
    frames.push(
      frame({
        opcode: first ? 2 : 0,
        rsv: first ? 4 : 0,
        fin,
        payload: payload.subarray(at, at + size),
        mask,
      }),
    )
  }
  return Buffer.concat(frames)
}

/** Messages that nobody takes: from some time on the server reads no more, so that this ends when that is seen. */
async function ignored(port, count, each, message, headers = {}) {
  const attackers = await many(count, () => Attacker.upgraded(port, headers, { path: '/deaf' }))
  const size = Math.max(1, Math.floor((256 * KiB) / message.length))
  const part = repeat(message, size)
  const all = attackers.map(async (one) => {
    for (let i = 0; i < each / size; i++) {
      const stuck = new AbortController()
      const late = sleep(1500, 'stuck', { signal: stuck.signal }).catch(() => {})
      const written = await Promise.race([one.write(part), late])
      stuck.abort()
      if (written === 'stuck') return
    }
  })
  await Promise.all(all)
  await sleep(500)
  return attackers
}

/** Peers that stop reading, while everybody is told much. */
function stalled(slow) {
  return async (port, count, each, victim) => {
    const attackers = await many(count, () => Attacker.upgraded(port, {}, { reads: false }))
    const { largest, dropped, codes } = await victim.ask({ talk: each, slow })
    if (largest > SEND_BUFFER + 2 * MESSAGE) throw new Error(`${largest} bytes wait for one peer`)
    if (dropped === 0) throw new Error('nothing was left out')
    if (slow === 'close' && codes.some((code) => code !== 1013)) throw new Error(`closed with ${codes}`)
    return attackers
  }
}

const allGone = { gone: true }

/**
 * `count` connections, each of which does so much of it; `perConnection` is what one may cost beyond {@link BASE}.
 * An attack returns the attackers, and those of one with `gone` must be dropped by the server itself. `queued` is what a
 * server without limits would hold for one of `each`: there are as many as make that twice the bound.
 */
const attacks = [
  {
    name: 'empty fragments',
    unit: 'fragments each',
    count: 20,
    each: 1_000_000,
    perConnection: 0,
    run: fragments(0),
  },
  {
    name: 'fragments of one byte',
    unit: 'fragments each',
    count: 20,
    each: 1_000_000,
    perConnection: 2 * MiB,
    run: fragments(1),
  },
  {
    name: 'messages that dribble in, byte by byte, and never end',
    unit: 'bytes each',
    count: 200,
    each: 2000,
    perConnection: 16 * KiB,
    async run(port, count, each) {
      const bytes = frame({ opcode: 2, length: MiB, payload: Buffer.alloc(each), mask })
      const attackers = await many(count, () => Attacker.upgraded(port))
      for (const byte of bytes) await Promise.all(attackers.map((one) => one.write(Buffer.of(byte))))
      return attackers
    },
  },
  {
    name: 'pings by peers that read nothing',
    unit: 'pings each',
    count: 50,
    each: 100_000,
    perConnection: 256 * KiB,
    queued: (count) => count * 127,
    async run(port, count, each) {
      const attackers = await many(count, () => Attacker.upgraded(port, {}, { reads: false }))
      const part = repeat(frame({ opcode: 9, payload: Buffer.alloc(125), mask }), 1000)
      const all = attackers.map(async (one) => {
        for (let i = 0; i < each / 1000; i++) await one.write(part)
      })
      await Promise.all(all)
      return attackers
    },
  },
  {
    name: 'messages of 64 KiB by peers that read nothing of the echo',
    unit: 'messages each',
    count: 50,
    each: 400,
    perConnection: 8 * MiB,
    queued: (count) => count * 64 * KiB,
    async run(port, count, each) {
      const attackers = await many(count, () => Attacker.upgraded(port, {}, { reads: false }))
      const message = frame({ opcode: 2, payload: Buffer.alloc(64 * KiB), mask })
      // The server stops reading, so that this does not end by itself.
      for (const one of attackers) for (let i = 0; i < each; i++) one.socket.write(message)
      await sleep(2000)
      return attackers
    },
  },
  {
    name: 'messages, plain, to a handler that takes none',
    unit: 'messages of 16 KiB each',
    count: 20,
    each: 1000,
    // maxQueuedBytes, and the chunk behind it.
    perConnection: 2 * MiB,
    queued: (count) => count * MESSAGE,
    run: (port, count, each) =>
      ignored(port, count, each, frame({ opcode: 2, payload: Buffer.alloc(MESSAGE), mask })),
  },
  {
    name: 'messages, small, to a handler that takes none',
    unit: 'messages each',
    count: 20,
    each: 10_000,
    // maxQueuedMessages, and what a message costs beside its bytes.
    perConnection: 2 * MiB,
    queued: (count) => count * 100,
    run: (port, count, each) => ignored(port, count, each, frame({ opcode: 2, payload: 'x', mask })),
  },
  {
    name: 'half a request, or nothing at all, and then silence',
    unit: 'bytes at most',
    count: 10_000,
    each: request.length - 1,
    perConnection: 24 * KiB,
    ...allGone,
    run: (port, count, each) =>
      many(count, async (index) => {
        const one = new Attacker(port)
        await Promise.race([once(one.socket, 'connect'), one.gone])
        if (index % 4 > 0) await one.write(request.slice(0, 1 + ((index * 31) % each)))
        return one
      }),
  },
  {
    name: 'connections that never say anything, not even a pong',
    unit: 'messages each',
    count: 10_000,
    each: 0,
    perConnection: 24 * KiB,
    ...allGone,
    run: (port, count) => many(count, () => Attacker.upgraded(port, {}, { path: '/silent' })),
  },
  {
    name: 'bombs of 1 GiB in 1 MiB, in frames of 1000 bytes',
    unit: 'MiB inflated',
    count: 100,
    each: 1000,
    perConnection: 3 * MiB,
    ...allGone,
    async run(port, count, each) {
      const bytes = inFrames(bomb(each), 1000)
      const attackers = await many(count, () => Attacker.upgraded(port, compressed))
      await Promise.all(attackers.map((one) => one.write(bytes)))
      return attackers
    },
  },
  {
    name: 'headers without end',
    unit: 'fields each',
    count: 1000,
    each: 20_000,
    perConnection: 64 * KiB,
    ...allGone,
    run: (port, count, each) =>
      many(count, async (index) => {
        const one = new Attacker(port)
        await one.write('GET /echo HTTP/1.1\r\n')
        await one.write(index % 2 === 0 ? 'X: y\r\n'.repeat(each) : `X: ${'y'.repeat(each * 5)}`)
        return one
      }),
  },
  ...['skip', 'close', 'queue'].map((slow) => ({
    name: `peers that stop reading in a broadcast, slow: '${slow}'`,
    unit: 'messages of 16 KiB',
    count: 100,
    each: 1000,
    // maxSendBuffer, as the server below has it, one message, and the frames that wait in Node.
    perConnection: MiB,
    queued: (count) => count * MESSAGE,
    run: stalled(slow),
  })),
  {
    name: 'Close frames that are never answered',
    unit: 'messages each',
    count: 2000,
    each: 0,
    perConnection: 32 * KiB,
    ...allGone,
    run: (port, count) => many(count, () => Attacker.upgraded(port, {}, { path: '/close' })),
  },
  {
    name: 'resets at every byte of the handshake and of the closing',
    unit: 'bytes of a conversation',
    count: 2000,
    each: request.length + 8,
    perConnection: 32 * KiB,
    ...allGone,
    async run(port, count, each) {
      const close = frame({ opcode: 8, payload: Uint8Array.of(3, 232), mask })
      const conversation = Buffer.concat([Buffer.from(request), close])
      return many(count, async (index) => {
        const one = new Attacker(port)
        await Promise.race([once(one.socket, 'connect'), one.gone])
        const place = index % (each + 1)
        await one.write(conversation.subarray(0, place))
        // Half of them once the server had its say.
        if (place >= request.length && index % 2 === 0)
          await Promise.race([one.length > 0 ? undefined : once(one.socket, 'data'), one.gone])
        one.socket.resetAndDestroy()
        return one
      })
    },
  },
  {
    name: 'messages, compressed, to a handler that takes none',
    unit: 'messages that inflate to 64 KiB each',
    count: 20,
    each: 1000,
    // As above, and what of the last chunk is still taken when the connection ends, and what is inflated, as garbage.
    perConnection: 6 * MiB,
    queued: (count) => count * 64 * KiB,
    run: (port, count, each) => {
      const payload = deflateRawSync(Buffer.alloc(64 * KiB), {
        finishFlush: constants.Z_SYNC_FLUSH,
      }).subarray(0, -4)
      return ignored(port, count, each, frame({ opcode: 2, rsv: 4, payload, mask }), compressed)
    },
  },
]

/** Starts a server, and lets it do once what it will do often. */
async function startVictim(plant) {
  const child = fork(victim, plant === undefined ? [] : [plant])
  const [{ port }] = await once(child, 'message')
  const exit = once(child, 'exit')
  const asked = []
  child.on('message', (answer) => asked.shift()?.(answer))
  const ask = (question) => {
    child.send(question)
    return Promise.race([
      new Promise((resolve) => asked.push(resolve)),
      exit.then(() => {
        throw new Error('the server is gone')
      }),
    ])
  }
  for (let i = 0; i < WARM_UP; i++) await newcomer(port)
  const { rss } = await ask({ state: true })
  const end = async () => {
    if (child.exitCode === null && child.connected) await ask({ end: true })
    await exit
  }
  /** At once, whatever it is at. */
  const kill = async () => {
    child.kill('SIGKILL')
    await exit
  }
  return { port, ask, rss, end, kill }
}

/** A client that behaves is served. */
async function newcomer(port) {
  const conn = await dial(`ws://127.0.0.1:${port}/echo`, { compression: true })
  conn.send('still there?'.repeat(100))
  if ((await conn.read()).length !== 1200) throw new Error('the echo is another')
  await conn.close()
}

const inMiB = (bytes) => `${(bytes / MiB).toFixed(0)} MiB`

/** The numbers of an attack on this scale. */
function sized(attack, scale) {
  const count = Math.max(2, Math.round(attack.count * scale))
  const bound = BASE + count * attack.perConnection
  const each = Math.max(attack.each, attack.queued ? Math.ceil((2 * bound) / attack.queued(count)) : 0)
  return { count, each, bound }
}

/** Makes an attack, and returns the peak of the server and what was wrong. */
async function assault(attack, { count, each, bound }, server, seconds) {
  const problems = []
  await server.ask({ reset: true })
  const attackers = await attack.run(server.port, count, each, server)
  if (attack.gone) {
    const late = Symbol('late')
    const timer = new AbortController()
    const all = Promise.all(attackers.map((one) => one.gone)).finally(() => timer.abort())
    const ended = await Promise.race([
      all,
      sleep(Math.min(40, seconds / 2) * 1000, late, timer).catch(() => {}),
    ])
    if (ended === late) problems.push('it keeps connections that should be gone')
  }
  await newcomer(server.port).catch((error) => problems.push(`a newcomer is not served: ${error.message}`))
  await Promise.all(attackers.map((one) => one.end()))
  for (let tries = 0; ; tries++) {
    const { sockets } = await server.ask({ state: true })
    if (sockets === 0) break
    if (tries > 100) {
      problems.push(`${sockets} sockets are left`)
      break
    }
    await sleep(50)
  }
  const { mishaps } = await server.ask({ state: true })
  problems.push(...mishaps)
  const { peak } = await server.ask({ peak: true })
  const grown = peak - server.rss
  if (grown > bound) problems.push(`it grew by ${inMiB(grown)}, more than ${inMiB(bound)}`)
  return { peak, problems }
}

/** The same with a time limit; a server that has not borne it is at its end. */
async function measure(attack, size, server, seconds) {
  const timer = new AbortController()
  const late = sleep(seconds * 1000, undefined, timer).then(() => {
    throw new Error(`it took longer than ${seconds} s`)
  })
  try {
    return await Promise.race([assault(attack, size, server, seconds), late])
  } catch (error) {
    await server.kill()
    return { problems: [error.message], over: true }
  } finally {
    late.catch(() => {})
    timer.abort()
  }
}

const usage = `Usage: npm run measure:hostile -- [options]

  --scale F    so much of each attack's connections (default 1)
  --one        one server for all attacks, one after another
  --only TEXT  only attacks whose name has this in it
  --seconds N  how long one attack may take (default 120)
  --plant WHAT proves that it would fail: queue, memory, leak, death or hang
  --help       this text
`

async function main() {
  const { values } = parseArgs({
    options: {
      scale: { type: 'string', default: '1' },
      only: { type: 'string', default: '' },
      one: { type: 'boolean', default: false },
      seconds: { type: 'string', default: '120' },
      plant: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return process.stdout.write(usage)
  const scale = Number(values.scale)
  if (!(scale > 0 && scale <= 10)) throw new Error(`--scale takes a number up to 10, not '${values.scale}'`)
  const seconds = Number(values.seconds)
  if (!(seconds > 0 && seconds <= 3600))
    throw new Error(`--seconds takes a number up to 3600, not '${values.seconds}'`)
  if (values.plant !== undefined && !plants.includes(values.plant))
    throw new Error(`--plant takes ${plants.join(', ')}, not '${values.plant}'`)
  const chosen = attacks.filter(({ name }) => name.includes(values.only))
  if (chosen.length === 0) throw new Error(`no attack has '${values.only}' in its name`)
  console.log(
    `Node ${process.version}, ${process.platform} ${process.arch}, ${cpus()[0]?.model ?? 'unknown CPU'}\n`,
  )
  console.log('| attack | connections | of it | memory before | at its peak | grown by | bound | |')
  console.log('|---|---|---|---|---|---|---|---|')
  let server
  for (const attack of chosen) {
    const { name, unit } = attack
    const started = performance.now()
    server ??= await startVictim(values.plant)
    const size = sized(attack, scale)
    const { rss } = server
    const { peak, problems, over = false } = await measure(attack, size, server, seconds)
    const took = (performance.now() - started) / 1000
    if (!over && !values.one) await server.end()
    if (over || !values.one) server = undefined
    const amount = attack.each === 0 ? '' : `${size.each} ${unit}`
    const verdict = problems.length === 0 ? `ok, ${took.toFixed(0)} s` : `FAILED: ${problems.join('; ')}`
    if (problems.length > 0) process.exitCode = 1
    const grown = peak === undefined ? ' | ' : `${inMiB(peak)} | ${inMiB(Math.max(0, peak - rss))}`
    console.log(
      `| ${name} | ${size.count} | ${amount} | ${inMiB(rss)} | ${grown} | ${inMiB(size.bound)} | ${verdict} |`,
    )
  }
  await server?.end()
}

await main().catch((error) => {
  console.error(`${error.message}\n\n${usage}`)
  process.exitCode = 2
})
