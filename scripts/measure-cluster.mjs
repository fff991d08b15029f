// What a process for each core brings, as docs/deployment.md quotes it:
//   npm run measure:cluster
// Runs examples/cluster with 1 process and with more, in turns, against one load generator: echoes of 1 KiB of JSON,
// compressed, 16 in flight on each of 64 connections. The generator sends frames made before and only counts what comes,
// so that most of the work is the server's. About a minute for two sizes and five rounds.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { availableParallelism, cpus } from 'node:os'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { constants, deflateRawSync } from 'node:zlib'
import { tsImport } from 'tsx/esm/api'
import { root } from './run.mjs'

const load = (file) => tsImport(`../bench/${file}`, import.meta.url)
const { clientFrame, jsonMessage, opcodes } = await load('frames.ts')
const { RawClient } = await load('raw-client.ts')
const { canMeasure, cpuOf, usedBetween } = await load('usage.ts')
const { formatNumber, formatSpread, spreadOf } = await load('stats.ts')

const CONNECTIONS = 64
const IN_FLIGHT = 16

const usage = `Usage: npm run measure:cluster -- [options]

Measures examples/cluster with different numbers of processes, in turns.

  --processes N,N  how many processes (default: 1,${availableParallelism()})
  --rounds N       how often each is measured (default 5)
  --seconds N      how long (default 4)
  --help           print this`

function options() {
  const { values } = parseArgs({
    options: {
      processes: { type: 'string', default: `1,${availableParallelism()}` },
      rounds: { type: 'string', default: '5' },
      seconds: { type: 'string', default: '4' },
      help: { type: 'boolean', default: false },
    },
  })
  const number = (name, text) => {
    if (!/^[1-9]\d{0,2}$/.test(text)) throw new Error(`--${name}: '${text}' is no number from 1 to 999`)
    return Number(text)
  }
  return {
    help: values.help,
    counts: values.processes.split(',').map((text) => number('processes', text)),
    rounds: number('rounds', values.rounds),
    seconds: number('seconds', values.seconds),
  }
}

/** A process and all that it has started. */
function family(pid) {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').split(' ').filter(Boolean)
  return [pid, ...children.flatMap((child) => family(Number(child)))]
}

async function start(processes) {
  const args = ['--import', 'tsx', 'examples/cluster/server.ts', '--port', '0', '--processes', `${processes}`]
  const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] })
  const lines = createInterface({ input: child.stdout })
  const ended = once(child, 'exit').then(([code]) => {
    throw new Error(`the example ended with ${code}`)
  })
  ended.catch(() => {})
  const [line] = await Promise.race([once(lines, 'line'), ended])
  const { port, pathname } = new URL(/ws:\S+/.exec(line)[0])
  return { child, port: Number(port), path: pathname }
}

async function measure(processes, seconds) {
  const { child, port, path } = await start(processes)
  const exited = once(child, 'exit')
  const clients = []
  try {
    const { payload } = jsonMessage(1024)
    const deflated = deflateRawSync(payload, { finishFlush: constants.Z_SYNC_FLUSH })
    const frame = clientFrame(opcodes.text, deflated.subarray(0, -4), true)
    const frames = Buffer.concat(Array(IN_FLIGHT).fill(frame))
    const check = (_, opcode, compressed) =>
      compressed && opcode === opcodes.text ? undefined : 'it is no compressed text'
    const expected = { length: undefined, check }
    let messages = 0
    let failure
    const events = {
      onMessages(client, count) {
        messages += count
        client.write(frames.subarray(0, count * frame.length), count)
      },
      onError: (error) => {
        failure ??= error
      },
    }
    for (let i = 0; i < CONNECTIONS; i++)
      clients.push(await RawClient.open({ port, path, tls: false, deflate: true }, expected, events))
    for (const client of clients) client.write(frames, IN_FLIGHT)
    await delay(1000)
    const pids = family(child.pid)
    const look = () => ({ messages, time: performance.now(), own: cpuOf(process.pid), used: pids.map(cpuOf) })
    const before = look()
    await delay(1000 * seconds)
    const after = look()
    if (failure !== undefined) throw failure
    const count = after.messages - before.messages
    if (count === 0) throw new Error('nothing came back')
    const used = pids.reduce((sum, _, i) => sum + usedBetween(before.used[i], after.used[i]), 0)
    const elapsed = after.time - before.time
    return {
      perSecond: (1000 * count) / elapsed,
      cpu: used / 1000 / count,
      generator: usedBetween(before.own, after.own) / 1e6 / elapsed,
    }
  } finally {
    for (const client of clients) client.destroy()
    child.kill('SIGTERM')
    await exited
  }
}

async function main() {
  const { help, counts, rounds, seconds } = options()
  if (help) return console.log(usage)
  if (!canMeasure) throw new Error('only Linux tells what processes have used')
  const samples = new Map(counts.map((count) => [count, []]))
  for (let round = 1; round <= rounds; round++) {
    for (const count of counts) {
      process.stderr.write(`round ${round} of ${rounds}: ${count} ${count === 1 ? 'process' : 'processes'}\n`)
      samples.get(count).push(await measure(count, seconds))
    }
  }
  const { model } = cpus()[0]
  console.log(`Node ${process.version}, ${availableParallelism()} cores, ${model}; ${rounds} rounds\n`)
  console.log('| processes | messages/s | against the first | CPU us/message | generator busy |')
  console.log('|--:|--:|--:|--:|--:|')
  const of = (count, name) => spreadOf(samples.get(count).map((sample) => sample[name]))
  const first = of(counts[0], 'perSecond').median
  for (const count of counts) {
    const speed = of(count, 'perSecond')
    const busy = Math.round(100 * of(count, 'generator').median)
    const cells = [
      count,
      formatSpread(speed),
      `${formatNumber(speed.median / first)}x`,
      formatSpread(of(count, 'cpu')),
      `${busy} %`,
    ]
    console.log(`| ${cells.join(' | ')} |`)
  }
}

try {
  await main()
} catch (error) {
  console.error(`${error.message}\n\n${usage}`)
  process.exitCode = 2
}
