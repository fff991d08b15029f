/**
 * `npm run fuzz`: random streams at random cuts through both roles of the engine, compressed messages whole and broken
 * through permessage-deflate, ends that agree on it and what they send each other, random headers through both handshakes, raw requests through the parser of the fast lane
 * with Node's as its judge, and random sequences around the end of a connection. Whatever comes in, what comes out is a
 * message or a documented fault; never an exception, never memory that grows. The same seed gives the same run.
 */
import { setImmediate } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { constants, deflateRawSync } from 'node:zlib'
import type { Protocol } from '../src/protocol/protocol.ts'
import { type CorpusKind, writeCorpus } from './corpus.ts'
import { checkClosing } from './fuzz-closing.ts'
import { checkCompression } from './fuzz-compression.ts'
import {
  checkAgainstReference,
  checkDeflate,
  checkExtensions,
  checkFrames,
  checkHead,
  checkInflater,
  checkRequest,
  checkResponse,
  type HandshakeInput,
  limitChoices,
  offeredKey,
  patternExtension,
} from './fuzz-targets.ts'
import { watchProgress } from './fuzz-watch.ts'
import { deflateValue, extensionsValue, headerValue, Rng, rawHead, StreamMaker } from './generate.ts'
import { retainedMemory } from './memory.ts'

const usage = `Usage: npm run fuzz -- [options]

  --streams N   how many byte streams to try, each in both roles ; headers and the rest come on
                top (default 1000000, or any number with --seconds)
  --seconds N   stop after this time (default: no limit)
  --seed N      repeat a run: the same seed gives the same inputs (default: random)
  --first N     begin with the stream of this number (default 0)
  --stuck N     how many seconds one stream may take (default 30)
  --plant WHAT  proves that it would fail: error, loop or wait
  --help        this text

On a failure the input is printed with its seed and kept in test/corpus/, where the tests replay it.
`

/** Streams before the memory's baseline is taken: by then all code is compiled. */
const warmUp = 5_000
/** Streams between two looks at the memory. */
const memoryEvery = 100_000
/** How much more than at the baseline may be held, with so many of the latest engines kept alive. */
const memoryBound = 32 * 1024 * 1024
const enginesKept = 1_000
/** One stream in so many is compared with the reference in detail. */
const referenceEvery = 16

interface Options {
  readonly streams: number
  readonly seconds: number
  readonly seed: number
  readonly first: number
  readonly stuck: number
  readonly plant: string | undefined
}

function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      streams: { type: 'string' },
      seconds: { type: 'string' },
      seed: { type: 'string' },
      first: { type: 'string', default: '0' },
      stuck: { type: 'string', default: '30' },
      plant: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) {
    process.stdout.write(usage)
    process.exit(0)
  }
  const number = (name: string, text: string, least = 0): number => {
    const value = Number(text)
    if (text === '' || !Number.isInteger(value) || value < least)
      throw new Error(
        `--${name} must be a whole number${least > 0 ? ` from ${least} on` : ''}, not "${text}"`,
      )
    return value
  }
  if (values.plant !== undefined && !['error', 'loop', 'wait'].includes(values.plant))
    throw new Error(`--plant takes error, loop or wait, not "${values.plant}"`)
  return {
    streams:
      values.streams !== undefined
        ? number('streams', values.streams, 1)
        : values.seconds === undefined
          ? 1_000_000
          : Number.POSITIVE_INFINITY,
    seconds: values.seconds === undefined ? Number.POSITIVE_INFINITY : number('seconds', values.seconds, 1),
    seed: values.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : number('seed', values.seed),
    first: number('first', values.first),
    stuck: number('stuck', values.stuck, 1),
    plant: values.plant,
  }
}

/** The input in hand, for the report of a failure. */
let current: { kind: CorpusKind; bytes: Buffer; how: string } = {
  kind: 'frames',
  bytes: Buffer.alloc(0),
  how: '',
}

const engines: Protocol[] = []

function fuzzFrames(rng: Rng, index: number): string {
  const maker = makerFor(rng)
  const roles = rng.once(2) ? (['server', 'client'] as const) : (['client', 'server'] as const)
  const kind = rng.below(8)
  const extensions = rng.once(8) ? [patternExtension] : []
  const rsv = extensions.length > 0 ? patternExtension.rsv : 0
  // Frames are made for the first role: the second one mostly learns in two bytes that they are not for it.
  const stream =
    kind < 1 ? maker.bytes() : maker.frames(roles[0] === 'server', kind < 4 ? 0 : 1 + rng.below(3), rsv)
  const limits = rng.once(2) ? limitChoices[0] : rng.pick(limitChoices)
  if (limits === undefined) throw new Error('no limits')
  const offsets = Array.from({ length: rng.below(7) }, () => rng.below(stream.length + 1)).sort(
    (a, b) => a - b,
  )
  current = {
    kind: 'frames',
    bytes: stream,
    how: `as ${roles[0]}, limits ${limits.maxFrameSize}/${limits.maxMessageSize}, cut at ${offsets}`,
  }
  const { outcome, engine } = checkFrames(stream, roles[0], limits, offsets, extensions)
  checkFrames(stream, roles[1], limits, offsets, extensions)
  engines[index % enginesKept] = engine
  // The reference knows no extensions: with one in use the two ways of feeding have to agree, and the outcome to be lawful.
  if (index % referenceEvery === 0 && extensions.length === 0)
    for (const role of roles) checkAgainstReference(stream, role, limits, offsets)
  return outcome
}

let maker: StreamMaker | undefined

/** One maker serves all streams: its buffers are large. Only its source of chance is new for each. */
function makerFor(rng: Rng): StreamMaker {
  maker ??= new StreamMaker(rng)
  maker.use(rng)
  return maker
}

const requestHeaders: readonly (readonly [string, string])[] = [
  ['host', 'example.com'],
  ['connection', 'Upgrade'],
  ['upgrade', 'websocket'],
  ['sec-websocket-version', '13'],
  ['sec-websocket-key', offeredKey],
]
const responseHeaders: readonly (readonly [string, string])[] = [
  ['connection', 'Upgrade'],
  ['upgrade', 'websocket'],
  ['sec-websocket-accept', 's3pPLMBiTxaQ9kYGzzhZRbK+xOo='],
]
const moreHeaders = [
  'origin',
  'sec-websocket-protocol',
  'content-length',
  'transfer-encoding',
  'cookie',
  '__proto__',
  'constructor',
  'set-cookie',
]

function fuzzHandshake(rng: Rng): string {
  const isRequest = rng.once(2)
  const entries: [string, string | string[]][] = []
  for (const [name, value] of isRequest ? requestHeaders : responseHeaders) {
    if (rng.once(30)) continue
    entries.push([name, rng.once(12) ? headerValue(rng) : rng.once(40) ? [value, headerValue(rng)] : value])
  }
  if (rng.once(2)) {
    const value = rng.once(2) ? deflateValue(rng) : extensionsValue(rng)
    entries.push(['sec-websocket-extensions', value])
  }
  if (rng.once(3))
    entries.push([
      'sec-websocket-protocol',
      rng.once(2) ? rng.pick(['chat', 'mqtt, chat', 'constructor', 'chat,chat']) : headerValue(rng),
    ])
  if (rng.once(4)) entries.push(['origin', rng.pick(['null', 'http://example.com'])])
  while (rng.once(3)) entries.push([rng.pick(moreHeaders), headerValue(rng)])
  const input: HandshakeInput = {
    method: rng.once(20) ? rng.pick(['POST', 'get', 'CONNECT', '']) : 'GET',
    httpVersion: rng.once(20) ? rng.pick(['1.0', '2.0', '0.9', '', 'x']) : '1.1',
    status: rng.once(10) ? rng.pick([200, 100, 301, 426, 500]) : 101,
    headers: Object.fromEntries(entries),
  }
  current = { kind: isRequest ? 'request' : 'response', bytes: Buffer.from(JSON.stringify(input)), how: '' }
  return isRequest ? checkRequest(input) : checkResponse(input)
}

function fuzzExtensions(rng: Rng): string {
  const value = rng.once(2000) ? headerValue(rng).repeat(2000) : extensionsValue(rng)
  current = { kind: 'extensions', bytes: Buffer.from(value), how: '' }
  const start = performance.now()
  const outcome = checkExtensions(value)
  const taken = performance.now() - start
  if (taken > 1000) throw new Error(`${value.length} characters took ${taken} ms: not linear`)
  return outcome
}

/** A compressed message, whole or changed in some places. */
function deflated(rng: Rng): { sent: Buffer; wanted: Buffer | undefined } {
  const message = makerFor(rng).bytes()
  const copies = rng.once(50) ? 5000 : 1 + rng.below(4)
  const wanted = Buffer.concat(Array.from({ length: copies }, () => message))
  const payload = deflateRawSync(wanted, {
    finishFlush: rng.once(4) ? constants.Z_FINISH : constants.Z_SYNC_FLUSH,
    level: rng.below(10),
    memLevel: 1 + rng.below(9),
    windowBits: 9 + rng.below(7),
  })
  let sent = payload.subarray(-4).toString('hex') === '0000ffff' ? payload.subarray(0, -4) : payload
  const changes = rng.once(3) ? 0 : 1 + rng.below(4)
  for (let i = 0; i < changes; i++) {
    const at = rng.below(sent.length + 1)
    const kind = rng.below(3)
    if (kind === 0) sent = sent.subarray(0, at)
    else if (kind === 1) sent = Buffer.concat([sent.subarray(0, at), sent])
    else if (sent.length > 0) sent[at % sent.length] = rng.next()
  }
  return { sent, wanted: changes === 0 ? wanted : undefined }
}

function fuzzDeflate(rng: Rng): string {
  const { sent, wanted } = deflated(rng)
  const maxSize = rng.once(3) ? 1 + rng.below(200) : 10_000
  current = { kind: 'deflate', bytes: Buffer.from(sent), how: `limit ${maxSize}` }
  return checkDeflate(sent, maxSize, wanted)
}

function fuzzInflater(rng: Rng): Promise<string> {
  const { sent } = deflated(rng)
  const offsets = Array.from({ length: rng.below(6) }, () => rng.below(sent.length + 1)).sort((a, b) => a - b)
  current = { kind: 'deflate', bytes: Buffer.from(sent), how: `as a stream, cut at ${offsets}` }
  return checkInflater(sent, offsets)
}

function fuzzCompression(rng: Rng): Promise<string> {
  const program = Buffer.from(Array.from({ length: 20 + rng.below(80) }, () => rng.below(256)))
  current = { kind: 'compression', bytes: program, how: '' }
  return checkCompression(program)
}

function fuzzClosing(rng: Rng): string {
  const program = Buffer.from(Array.from({ length: 1 + rng.below(40) }, () => rng.below(256)))
  current = { kind: 'closing', bytes: program, how: '' }
  return `closing: ${checkClosing(program)}`
}

function fuzzHead(rng: Rng): Promise<string> {
  const bytes = rawHead(rng)
  current = { kind: 'head', bytes, how: '' }
  return checkHead(bytes)
}

function report(error: unknown, seed: number, index: number): void {
  const { kind, bytes, how } = current
  const why = error instanceof Error ? (error.stack ?? error.message) : String(error)
  const note = `found by the fuzzer, seed ${seed}, stream ${index}`
  const path = writeCorpus(`found-${seed}-${index}`, { kind, note, bytes })
  process.stdout.write(
    `\nFAILED at stream ${index} of seed ${seed} (${kind}${how === '' ? '' : `, ${how}`})\n${why}\n\n${bytes.toString('hex')}\n\nkept as ${path}\n`,
  )
}

/** At the stream of this number, once all has been compiled. */
async function fail(plant: string | undefined, index: number): Promise<void> {
  if (plant === undefined || index % 1000 !== 999) return
  if (plant === 'error') throw new Error('planted')
  if (plant === 'loop') for (;;);
  await new Promise(() => {})
}

async function main({ streams, seconds, seed, first, stuck, plant }: Options): Promise<number> {
  const outcomes = new Map<string, number>()
  const start = performance.now()
  const count = (outcome: string): void => {
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
  }
  const elapsed = (): number => (performance.now() - start) / 1000
  let baseline = 0
  let growth = 0
  let looked = false
  let done = 0
  let index = first
  const watch = watchProgress(seed, stuck)
  const onInterrupt = (): void => {
    process.off('exit', onExit)
    process.stdout.write(`\nstopped at stream ${index} of seed ${seed}\n`)
    process.exit(130)
  }
  // What waits for what never comes leaves nothing to do, and Node ends.
  const onExit = (code: number): void => {
    const why = code === 1 ? 'an error that nobody caught, as said below' : 'it waits for what never comes'
    report(new Error(why), seed, index)
    process.exitCode = 1
  }
  process.once('SIGINT', onInterrupt)
  process.once('exit', onExit)
  // Who reads this may interrupt.
  process.stdout.write(`seed ${seed}\n`)
  const lookAtMemory = (): void => {
    if (baseline === 0) return
    looked = true
    growth = Math.max(growth, retainedMemory() - baseline)
    if (growth > memoryBound) throw new Error(`memory has grown by ${growth} bytes, more than ${memoryBound}`)
  }
  try {
    for (; done < streams; done++, index++) {
      watch.at(index)
      if (done % 1024 === 0) {
        if (elapsed() > seconds) break
        // zlib lets go of what it failed on in a later turn.
        await setImmediate()
      }
      const rng = new Rng(seed, index)
      count(fuzzFrames(rng, index))
      await fail(plant, index)
      if (rng.once(16)) count(fuzzDeflate(rng))
      if (rng.once(64)) count(await fuzzInflater(rng))
      if (rng.once(48)) count(await fuzzCompression(rng))
      if (rng.once(8)) count(fuzzClosing(rng))
      if (rng.once(24)) count(await fuzzHead(rng))
      if (rng.once(3)) count(rng.once(3) ? fuzzExtensions(rng) : fuzzHandshake(rng))
      if (done === warmUp) baseline = retainedMemory()
      else if (done % memoryEvery === 0) lookAtMemory()
      if (done % 4096 === 0 && process.stdout.isTTY) {
        process.stdout.write(
          `\r${done}${Number.isFinite(streams) ? ` of ${streams}` : ''} streams, ${Math.round(elapsed())} s `,
        )
      }
    }
    await setImmediate()
    lookAtMemory()
  } catch (error) {
    report(error, seed, index)
    return 1
  } finally {
    process.off('SIGINT', onInterrupt)
    process.off('exit', onExit)
    await watch.end()
  }
  const rate = Math.round(done / elapsed())
  const table = [...outcomes].sort((a, b) => b[1] - a[1])
  const summary = [
    `${done} streams in ${elapsed().toFixed(1)} s, ${rate} a second, seed ${seed}`,
    looked
      ? `memory grew by ${(growth / 1024 / 1024).toFixed(1)} MiB at most (bound: ${memoryBound / 1024 / 1024} MiB)`
      : `memory was not judged: that takes more than ${warmUp} streams`,
    '',
    ...table.map(([outcome, times]) => `${String(times).padStart(9)}  ${outcome}`),
  ]
  process.stdout.write(`${process.stdout.isTTY ? '\r' : ''}${summary.join('\n')}\n`)
  return 0
}

let options: Options | undefined
try {
  options = readOptions()
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${usage}`)
  process.exitCode = 2
}
if (options !== undefined) process.exitCode = await main(options)
