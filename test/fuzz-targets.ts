import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { verifyResponse } from '../src/protocol/client-handshake.ts'
import { Deflate } from '../src/protocol/deflate.ts'
import {
  deflateExtension,
  type ResolvedCompression,
  resolveCompression,
} from '../src/protocol/deflate-negotiation.ts'
import type { Extension, ExtensionFactory } from '../src/protocol/extension.ts'
import type { Limits } from '../src/protocol/limits.ts'
import { Protocol } from '../src/protocol/protocol.ts'
import { decideUpgrade } from '../src/protocol/server-handshake.ts'
import { parseUpgradeHead } from '../src/server/upgrade-head.ts'
import { errorKinds } from '../src/session/errors.ts'
import {
  type ExtensionParams,
  formatExtension,
  isToken,
  parseExtensions,
} from '../src/wire/header-grammar.ts'
import { expectedAnswers, fullLimits, receiveAll, renderAll } from './engine.ts'
import { cut, frame } from './frames.ts'
import { isLegalAnswer, isLegalOffer } from './fuzz-compression.ts'
import { readByHttp } from './read-by-http.ts'
import { decodeReference, type Role } from './reference.ts'

/** The limits that streams are tried with: generous, narrow, and narrow in two ways. */
export const limitChoices: readonly Limits[] = [
  fullLimits(),
  fullLimits({ maxFrameSize: 64, maxMessageSize: 100 }),
  fullLimits({ maxFrameSize: 300, maxMessageSize: 200 }),
  fullLimits({ maxFrameSize: 1, maxMessageSize: 3 }),
]

const frameFaults = new Set<string>(['ERR_WS_FRAME_TOO_LARGE', 'ERR_WS_MESSAGE_TOO_LARGE'])
for (const [code, kind] of Object.entries(errorKinds)) if (kind === 'ProtocolError') frameFaults.add(code)

/** What a stream came to, without a word of detail, so that a million of them cost little. */
interface Result {
  readonly engine: Protocol
  /** A hash over all events in order. */
  readonly digest: number
  readonly messages: number
  readonly outcome: string
}

function hashBytes(hash: number, bytes: Uint8Array, start: number, end: number): number {
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ (bytes[i] as number), 0x0100_0193)
  return Math.imul(hash ^ (end - start), 0x0100_0193)
}

/** Gives a stream, cut at ascending offsets, to a new engine. The stream itself stays as it is. */
function runFrames(
  stream: Buffer,
  role: Role,
  limits: Limits,
  offsets: readonly number[],
  extensions: readonly Extension[],
): Result {
  let digest = 0x811c_9dc5
  let messages = 0
  let outcome: string | undefined
  const hear = (kind: number, bytes: Uint8Array, start: number, end: number): void => {
    assert.equal(outcome, undefined, 'an event after the end')
    digest = hashBytes(Math.imul(digest ^ kind, 0x0100_0193), bytes, start, end)
  }
  let key = stream.length
  const engine = new Protocol({
    role,
    limits,
    extensions,
    mask: () => {
      key = (Math.imul(key, 1664525) + 1013904223) | 0
      return key >>> 0
    },
    handler: {
      onMessage(type, bytes, start, end) {
        messages++
        assert.ok(end - start <= limits.maxMessageSize, 'a message above the limit')
        hear(type === 'text' ? 1 : 2, bytes, start, end)
      },
      onPing: (payload) => hear(9, payload, 0, payload.length),
      onPong: (payload) => hear(10, payload, 0, payload.length),
      onClose({ code, reason }) {
        hear(code, Buffer.from(reason), 0, 0)
        outcome = 'closed by the peer'
      },
      onFault({ code }) {
        assert.ok(frameFaults.has(code), `${code} is no documented fault of a stream`)
        hear(0, Buffer.from(code), 0, code.length)
        outcome = code
      },
    },
  })
  const bytes = Buffer.from(stream)
  let answered = 0
  for (let i = 0, start = 0; i <= offsets.length; i++) {
    const end = offsets[i] ?? bytes.length
    assert.equal(engine.receive(bytes.subarray(start, end)), end - start, 'bytes left over')
    answered += engine.output.pending
    engine.output.take()
    engine.output.recycle(true)
    start = end
  }
  // A client's pong to an empty ping is three times as long; a Close frame answers a fault.
  assert.ok(answered <= 3 * stream.length + 131, `${answered} bytes in answer to ${stream.length}`)
  outcome ??= messages > 0 ? 'open, with messages' : 'open, without a message'
  return { engine, digest, messages, outcome }
}

/**
 * One stream through the engine, whole and at cuts: both must come to the same, within the limits, without an
 * exception. Returns the outcome and the engine.
 */
export function checkFrames(
  stream: Buffer,
  role: Role,
  limits: Limits,
  offsets: readonly number[],
  extensions: readonly Extension[] = [],
): { readonly outcome: string; readonly engine: Protocol } {
  const whole = runFrames(stream, role, limits, [], extensions)
  const pieces = runFrames(stream, role, limits, offsets, extensions)
  assert.equal(pieces.outcome, whole.outcome, `cut at ${offsets}`)
  assert.equal(pieces.messages, whole.messages, `cut at ${offsets}`)
  assert.equal(pieces.digest, whole.digest, `cut at ${offsets}`)
  return pieces
}

/** The same, in detail, against the reference. */
export function checkAgainstReference(
  stream: Buffer,
  role: Role,
  limits: Limits,
  offsets: readonly number[],
): void {
  const oracle = decodeReference(stream, role, limits)
  const wanted = { events: renderAll(oracle), answers: expectedAnswers(oracle) }
  assert.deepEqual(receiveAll(role, [stream], { limits }), wanted)
  assert.deepEqual(receiveAll(role, cut(stream, offsets), { limits }), wanted)
}

/** An extension for the seam: lays a pattern over a message, and finds some messages broken and some too large. */
export const patternExtension: Extension = {
  name: 'x-pattern',
  rsv: 0x40,
  encode: (payload) => payload.map((byte) => byte ^ 0x20),
  decode: (payload, maxSize) => {
    if (payload.length * 2 > maxSize) return 'too large'
    return (payload[0] ?? 0) % 16 === 15 ? 'corrupt' : payload.map((byte) => byte ^ 0x20)
  },
}

function deflateWith(takeover: boolean, windowBits: number): Deflate {
  const direction = { takeover, windowBits }
  return new Deflate({ send: direction, receive: direction, threshold: 0, level: 1, memLevel: 8 })
}

const memoryless = deflateWith(false, 15)

/**
 * A compressed message through permessage-deflate, with and without what a connection remembers, alone and in frames:
 * a message within the limit, or one of two documented words.
 *
 * @param wanted - what must come out, unless that is above the limit
 */
export function checkDeflate(payload: Buffer, maxSize: number, wanted?: Uint8Array): string {
  const remembering = deflateWith(true, 9)
  remembering.decode(memoryless.encode(Buffer.alloc(600, 'remembered ')) as Uint8Array, 600)
  let outcome = ''
  for (const deflate of [remembering, memoryless]) {
    const decoded = deflate.decode(payload, maxSize)
    outcome = typeof decoded === 'string' ? decoded : 'decoded'
    if (decoded instanceof Uint8Array) assert.ok(decoded.length <= maxSize, `${decoded.length} > ${maxSize}`)
    if (wanted === undefined) continue
    if (wanted.length > maxSize) assert.equal(decoded, 'too large')
    else assert.ok(decoded instanceof Uint8Array && Buffer.compare(decoded, wanted) === 0, outcome)
  }
  const half = payload.length >> 1
  const limits = fullLimits({ maxMessageSize: maxSize, maxFrameSize: maxSize })
  const [first, second] = [payload.subarray(0, half), payload.subarray(half)]
  const fragments = [
    frame({ opcode: 2, rsv: 4, fin: false, payload: first }),
    frame({ opcode: 0, payload: second }),
  ]
  const { outcome: framed } = checkFrames(Buffer.concat(fragments), 'client', limits, [half], [memoryless])
  if (framed === 'ERR_WS_FRAME_TOO_LARGE') return 'deflate: refused by its size'
  const same: Record<string, string> = {
    decoded: 'open, with messages',
    corrupt: 'ERR_WS_EXTENSION_DATA',
    'too large': 'ERR_WS_MESSAGE_TOO_LARGE',
  }
  if (framed !== 'ERR_WS_MESSAGE_TOO_LARGE') assert.equal(framed, same[outcome])
  return `deflate: ${outcome}`
}

/** The same message piece by piece, as a stream has it: it comes to the same as whole. */
export async function checkInflater(payload: Buffer, offsets: readonly number[]): Promise<string> {
  const whole = memoryless.decode(payload, 2 ** 26)
  const decoder = memoryless.decoder()
  const pieces = cut(payload, offsets)
  const output: Uint8Array[] = []
  let failed = false
  try {
    for (const [index, piece] of pieces.entries())
      for await (const part of decoder.decode(piece, index === pieces.length - 1))
        output.push(Buffer.from(part))
  } catch {
    failed = true
  } finally {
    decoder.dispose()
  }
  if (typeof whole === 'string')
    assert.ok(failed, `${whole} whole, and ${Buffer.concat(output).length} bytes in pieces`)
  else
    assert.ok(!failed && Buffer.compare(Buffer.concat(output), whole) === 0, `other bytes, failed: ${failed}`)
  return failed ? 'inflated in pieces: corrupt' : 'inflated in pieces'
}

/** A request or an answer as a handshake sees it; the corpus keeps it as JSON. */
export interface HandshakeInput {
  readonly method: string
  readonly httpVersion: string
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[]>>
}

const noExtension: Extension = { name: 'x-test', rsv: 0x20, encode: () => undefined, decode: () => 'corrupt' }

const testFactory: ExtensionFactory = {
  name: 'x-test',
  offers: () => [new Map()],
  accept: (params) => (params.size > 1 ? undefined : noExtension),
  negotiate: ([params]) =>
    params === undefined || params.size > 2 ? undefined : { params, extension: noExtension },
}

/** Generous and narrow, with all that there is to agree on. */
const deflateFactories: readonly ExtensionFactory[] = [
  {},
  { sendTakeover: true, receiveTakeover: true, sendWindowBits: 10, receiveWindowBits: 12 },
  { receiveTakeover: true, receiveWindowBits: 9 },
].map((options) => deflateExtension(resolveCompression(options) as ResolvedCompression))

/** One of them, always the same for the same input. */
function deflateFor(input: HandshakeInput): ExtensionFactory {
  return deflateFactories[JSON.stringify(input.headers).length % deflateFactories.length] as ExtensionFactory
}

const subprotocols = ['chat', 'mqtt', 'constructor']
const refusalStatuses = [400, 403, 405, 426]

/** What may go into a header that others will parse. */
function assertHeader(text: string): void {
  assert.match(text, /^[\x20-\x7e]*$/)
}

function acceptFor(key: string): string {
  return createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
}

function header(headers: HandshakeInput['headers'], name: string): string {
  const value = Object.hasOwn(headers, name) ? headers[name] : undefined
  return Array.isArray(value) ? value.join(', ') : (value ?? '')
}

/** An upgrade request through the server's handshake: a decision, and one that holds. */
export function checkRequest(input: HandshakeInput): string {
  const decision = decideUpgrade(input, {
    checkOrigin: (origin) => origin !== 'null',
    subprotocols,
    extensions: [testFactory, deflateFor(input)],
  })
  for (const [name, value] of Object.entries(decision.headers)) {
    assertHeader(name)
    assertHeader(value)
  }
  if (!decision.accepted) {
    assert.equal(errorKinds[decision.code], 'HandshakeError')
    assert.ok(refusalStatuses.includes(decision.status), `status ${decision.status}`)
    assert.equal(decision.headers['Sec-WebSocket-Version'], '13')
    assertHeader(decision.message)
    return `request refused: ${decision.code}`
  }
  const key = header(input.headers, 'sec-websocket-key')
  assert.equal(input.method, 'GET')
  assert.equal(input.httpVersion, '1.1')
  assert.equal(header(input.headers, 'sec-websocket-version'), '13')
  assert.equal(Buffer.from(key, 'base64').length, 16)
  assert.equal(decision.headers['Sec-WebSocket-Accept'], acceptFor(key))
  assert.match(header(input.headers, 'connection'), /upgrade/i)
  assert.match(header(input.headers, 'upgrade'), /websocket/i)
  assert.ok(decision.subprotocol === '' || subprotocols.includes(decision.subprotocol))
  assert.ok(header(input.headers, 'sec-websocket-protocol').includes(decision.subprotocol))
  assert.equal(decision.headers['Sec-WebSocket-Protocol'] ?? '', decision.subprotocol)
  assert.equal(decision.headers['Sec-WebSocket-Extensions'] ?? '', decision.extensionsHeader)
  // What follows such a request would be a body to one, and frames to another.
  assert.equal(header(input.headers, 'transfer-encoding'), '')
  assert.ok(['', '0'].includes(header(input.headers, 'content-length')))
  const paramsOf = (value: string): readonly ExtensionParams[] =>
    (parseExtensions(value) ?? [])
      .filter(({ name }) => name === 'permessage-deflate')
      .map(({ params }) => params)
  const [answer] = paramsOf(decision.extensionsHeader)
  if (answer === undefined) return 'request accepted'
  const offers = paramsOf(header(input.headers, 'sec-websocket-extensions')).filter(isLegalOffer)
  assert.ok(
    offers.some((offer) => isLegalAnswer(offer, answer)),
    `"${decision.extensionsHeader}" was not offered`,
  )
  return 'request accepted, with compression'
}

/** The key that every answer of the fuzzer belongs to. */
export const offeredKey = 'dGhlIHNhbXBsZSBub25jZQ=='

/** A server's answer through the client's check. */
export function checkResponse(input: HandshakeInput): string {
  const deflate = deflateFor(input)
  const extensions = [testFactory, deflate]
  const decision = verifyResponse(input, { key: offeredKey, subprotocols, extensions })
  if (!decision.ok) {
    assert.equal(errorKinds[decision.code], 'HandshakeError')
    return `answer refused: ${decision.code}`
  }
  assert.equal(input.status, 101)
  assert.ok(['1.1', ''].includes(input.httpVersion))
  assert.ok(!('content-length' in input.headers || 'transfer-encoding' in input.headers))
  assert.equal(header(input.headers, 'sec-websocket-accept'), acceptFor(offeredKey))
  assert.ok(decision.subprotocol === '' || subprotocols.includes(decision.subprotocol))
  assert.ok(decision.extensions.length <= extensions.length)
  const answer = parseExtensions(decision.extensionsHeader)?.find(({ name }) => name === deflate.name)?.params
  if (answer === undefined) return 'answer accepted'
  assert.ok(
    deflate.offers().some((offer) => isLegalAnswer(offer, answer)),
    `"${decision.extensionsHeader}"`,
  )
  return 'answer accepted, with compression'
}

/** An extensions header through its parser: what it takes, it can say again. */
export function checkExtensions(value: string): string {
  const items = parseExtensions(value)
  if (items === undefined) return 'extensions malformed'
  assert.ok(items.length > 0)
  const said = items.map(({ name, params }) => {
    assert.ok(isToken(name))
    for (const [param, value] of params) assert.ok(isToken(param) && (value === true || isToken(value)))
    return formatExtension(name, params)
  })
  const again = parseExtensions(said.join(', '))
  assert.deepEqual(
    again?.map(({ name, params }) => formatExtension(name, params)),
    said,
  )
  return 'extensions parsed'
}

/** Raw bytes of a connection through the fast lane's parser: it takes nothing that Node's would not, or would read otherwise. */
export async function checkHead(bytes: Buffer): Promise<string> {
  const ours = parseUpgradeHead(bytes)
  if (ours !== undefined) {
    assert.equal(parseUpgradeHead(bytes.subarray(0, ours.end - 1)), undefined, 'a head without its end')
    assert.deepEqual(
      parseUpgradeHead(bytes.subarray(0, ours.end)),
      ours,
      'what comes behind has been looked at',
    )
  }
  const theirs = await readByHttp(bytes)
  if (ours === undefined) return `head left to HTTP: ${theirs === undefined ? 'no upgrade' : 'an upgrade'}`
  assert.ok(theirs !== undefined, 'HTTP does not take it for an upgrade')
  const { method, httpVersion, url, headers, rawHeaders } = theirs.request
  assert.deepEqual(
    {
      method: 'GET',
      httpVersion: '1.1',
      url: ours.url,
      headers: { ...ours.headers },
      rawHeaders: ours.rawHeaders,
      rest: Buffer.from(bytes.subarray(ours.end)),
    },
    { method, httpVersion, url, headers: { ...headers }, rawHeaders, rest: Buffer.from(theirs.rest) },
  )
  return 'head taken'
}
