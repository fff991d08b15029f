// Times the parts of the built engine, each by itself, and prints the nanoseconds of one call as JSON.
// `npm run bench -- --micro` runs it on a quiet core and keeps what it prints.
import { pathToFileURL } from 'node:url'

const dist = pathToFileURL(`${process.argv[2]}/`)
const load = (path) => import(new URL(path, dist))
const { defaultLimits, prepare, Protocol } = await load('protocol.js')
const { applyMask } = await load('wire/mask.js')
const { Utf8Validator } = await load('wire/utf8.js')
const { Deflate } = await load('protocol/deflate.js')

const rounds = 15
const roundTime = 30

/** The lowest of several rounds: what other work on the machine adds is never less than nothing. */
function nanoseconds(work, units) {
  let calls = 1
  const time = () => {
    const start = performance.now()
    for (let call = 0; call < calls; call++) work()
    return performance.now() - start
  }
  while (time() < roundTime / 2) calls *= 2
  let least = Number.POSITIVE_INFINITY
  for (let round = 0; round < rounds; round++) least = Math.min(least, time())
  return (least * 1e6) / calls / units
}

const ascii = (size) => Buffer.from('The quick brown fox jumps over it. '.repeat(size).slice(0, size))
const mixed = (size) => Buffer.from('Größe, café, naïve: 12 € '.repeat(size)).subarray(0, size - (size % 4))
const json = Buffer.from(
  JSON.stringify(
    Array.from({ length: 16 }, (_, id) => ({ id, price: id * 1.25, state: 'open', symbol: `S${id}` })),
  ),
)

function maskedFrame(opcode, payload) {
  const { length } = payload
  const head =
    length < 126 ? [0x80 | opcode, 0x80 | length] : [0x80 | opcode, 0xfe, length >> 8, length & 255]
  const frame = Buffer.concat([Buffer.from([...head, 1, 2, 3, 4]), payload])
  applyMask(frame, head.length + 4, frame.length, 0x01020304)
  return frame
}

const handler = { onMessage() {}, onPing() {}, onPong() {}, onClose() {}, onFault() {} }
const engine = () => new Protocol({ role: 'server', limits: defaultLimits, handler })

/** Frames as they come from a socket: 64 KiB at a time. */
function decoding(opcode, payload) {
  const frame = maskedFrame(opcode, payload)
  const count = Math.floor(65_536 / frame.length)
  const frames = Buffer.concat(Array(count).fill(frame))
  const chunk = Buffer.alloc(frames.length)
  const protocol = engine()
  return nanoseconds(() => {
    // Unmasking uses the bytes up.
    frames.copy(chunk)
    protocol.receive(chunk)
  }, count)
}

/** Messages of one turn of the event loop, taken together. */
function sending(send) {
  const protocol = engine()
  const count = 16
  return nanoseconds(() => {
    for (let message = 0; message < count; message++) send(protocol)
    protocol.output.take()
  }, count)
}

function masking(size) {
  const bytes = Buffer.alloc(size, 'a')
  return nanoseconds(() => applyMask(bytes, 0, size, 0x37fa213d), 1)
}

function validating(bytes) {
  const utf8 = new Utf8Validator()
  return nanoseconds(() => utf8.push(bytes, 0, bytes.length), 1)
}

const direction = { takeover: false, windowBits: 15 }
const deflate = new Deflate({ send: direction, receive: direction, threshold: 0, level: 1, memLevel: 8 })
const deflated = deflate.encode(json)
const [short, long] = ['x'.repeat(32), 'x'.repeat(1024)]
const prepared = prepare(long)

const results = {
  'mask 32 B': masking(32),
  'mask 1 KiB': masking(1024),
  'mask 64 KiB': masking(65_536),
  'UTF-8 check, 1 KiB ASCII': validating(ascii(1024)),
  'UTF-8 check, 1 KiB mixed': validating(mixed(1024)),
  'decode 20 B binary': decoding(2, ascii(20)),
  'decode 125 B binary': decoding(2, ascii(125)),
  'decode 32 B text': decoding(1, ascii(32)),
  'decode 1 KiB text': decoding(1, ascii(1024)),
  'encode 32 B text': sending((protocol) => protocol.sendText(short)),
  'encode 1 KiB text': sending((protocol) => protocol.sendText(long)),
  'encode 125 B binary': sending((protocol) => protocol.sendBytes('binary', json.subarray(0, 125))),
  'deflate 1 KiB JSON': nanoseconds(() => deflate.encode(json), 1),
  'inflate 1 KiB JSON': nanoseconds(() => deflate.decode(deflated, 2 ** 20), 1),
  'prepare 1 KiB text': nanoseconds(() => prepare(long), 1),
  'send prepared 1 KiB': sending((protocol) => protocol.sendPrepared(prepared)),
}
console.log(JSON.stringify(results))
