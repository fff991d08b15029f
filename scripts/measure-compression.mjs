// What permessage-deflate costs and saves, as the ADR on its defaults quotes it:
//   node --conditions=silverback:source --import tsx scripts/measure-compression.mjs
// Takes about ten seconds. One connection without a wire: CPU is that of the call alone, memory that of the process.
import { arch, cpus } from 'node:os'
import { memoryUsage, version, versions } from 'node:process'
import { setTimeout } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { tsImport } from 'tsx/esm/api'

const { Deflate } = await tsImport('../src/protocol/deflate.ts', import.meta.url)

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc')

/** Prices as a feed would send them: keys that repeat, values that do not. Always the same. */
function feed(count, size) {
  let state = 12345
  const next = (bound) => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff
    return state % bound
  }
  const names = ['open', 'filled', 'cancelled', 'rejected']
  return Array.from({ length: count }, (_, message) => {
    const rows = []
    let length = 0
    while (length < size) {
      const row = {
        id: message * 1000 + rows.length,
        symbol: `S${next(500)}`,
        price: next(100_000) / 100,
        size: next(1000),
        state: names[next(4)],
        time: 1_700_000_000_000 + next(1_000_000_000),
      }
      rows.push(row)
      length += JSON.stringify(row).length + 1
    }
    return Buffer.from(JSON.stringify(rows).slice(0, size))
  })
}

const KiB = 1024
const sizes = [256, KiB, 16 * KiB]
const label = (size) => (size < KiB ? `${size} B` : `${size / KiB} KiB`)

function make(level, takeover, memLevel = 8, windowBits = 15) {
  const direction = { takeover, windowBits }
  return new Deflate({ send: direction, receive: direction, threshold: 0, level, memLevel })
}

/** Microseconds of CPU a call, the lowest of five rounds: others use the machine, too. */
function microseconds(count, work) {
  let least = Number.POSITIVE_INFINITY
  for (let round = 0; round < 6; round++) {
    const start = process.cpuUsage()
    work()
    const { user, system } = process.cpuUsage(start)
    if (round > 0) least = Math.min(least, (user + system) / count)
  }
  return least
}

function measure(messages, level, takeover, memLevel, windowBits) {
  const count = messages.length
  const encoder = make(level, takeover, memLevel, windowBits)
  const encoded = messages.map((message) => encoder.encode(message) ?? message)
  const plain = messages.reduce((sum, { length }) => sum + length, 0)
  const sent = encoded.reduce((sum, { length }) => sum + length, 0)
  const encode = microseconds(count, () => {
    const deflate = make(level, takeover, memLevel, windowBits)
    for (const message of messages) deflate.encode(message)
  })
  const decode = microseconds(count, () => {
    const deflate = make(level, takeover, memLevel, windowBits)
    for (const payload of encoded) deflate.decode(payload, 1 << 20)
  })
  return { ratio: sent / plain, encode, decode }
}

const row = (...cells) => console.log(`| ${cells.join(' | ')} |`)
const [cpu] = cpus()
console.log(`Node ${version}, zlib ${versions.zlib}, ${arch()}, ${cpu?.model ?? 'unknown CPU'}\n`)
measure(feed(2000, 256), 1, true)
row('message', 'level', 'takeover', 'bytes sent', 'encode', 'decode')
row('---', '---', '---', '---', '---', '---')
for (const size of sizes) {
  const messages = feed(size > 4096 ? 100 : 500, size)
  for (const takeover of [false, true]) {
    for (const level of [1, 3, 6, 9]) {
      const { ratio, encode, decode } = measure(messages, level, takeover)
      row(
        label(size),
        level,
        takeover ? 'yes' : 'no',
        `${(ratio * 100).toFixed(0)} %`,
        `${encode.toFixed(0)} us`,
        `${decode.toFixed(0)} us`,
      )
    }
  }
}

console.log('\nOther settings, 1 KiB, level 1, without takeover:\n')
row('memLevel', 'window bits', 'bytes sent', 'encode')
row('---', '---', '---', '---')
for (const [memLevel, windowBits] of [
  [8, 15],
  [5, 15],
  [5, 12],
  [1, 9],
]) {
  const { ratio, encode } = measure(feed(500, KiB), 1, false, memLevel, windowBits)
  row(memLevel, windowBits, `${(ratio * 100).toFixed(0)} %`, `${encode.toFixed(0)} us`)
}

/** Heap and buffers of the process, once all that is free has been freed. */
async function settled() {
  for (let round = 0; round < 5; round++) {
    collect()
    await setTimeout(20)
  }
  const { heapUsed, external } = memoryUsage()
  return heapUsed + external
}

/** What one of many holds, in KiB. */
async function held(count, makeOne) {
  makeOne()
  const before = await settled()
  const all = Array.from({ length: count }, makeOne)
  const each = ((await settled()) - before) / count / KiB
  // Until here all of them are needed.
  all.length = 0
  return `${each.toFixed(1)} KiB`
}

const long = feed(1, 64 * KiB)[0]
const used = (takeover) => () => {
  const deflate = make(1, takeover)
  deflate.decode(deflate.encode(long), 1 << 20)
  return deflate
}
console.log('\nHeld between messages, for each connection, after 64 KiB each way:\n')
for (const takeover of [false, true]) {
  console.log(`- ${takeover ? 'takeover both ways' : 'without takeover'}: ${await held(500, used(takeover))}`)
}
