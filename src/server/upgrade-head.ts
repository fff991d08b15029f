import { isToken, SPACE, TAB } from '../wire/header-grammar.ts'

/** What a simple request for an upgrade says. */
export interface UpgradeHead {
  /** The request target. */
  readonly url: string
  /** By lower-case name. */
  readonly headers: Record<string, string>
  /** Names and values by turns, as they came. */
  readonly rawHeaders: string[]
  /** Where the head ends in the chunk. */
  readonly end: number
}

/** Heads above this are not simple. */
export const MAX_SIMPLE_HEAD: number = 8 * 1024
/** Nor are those with more fields. */
export const MAX_SIMPLE_FIELDS = 50

const LF = 0x0a
const CR = 0x0d
const HASH = 0x23
const COLON = 0x3a
const TILDE = 0x7e

const START = Buffer.from('GET /')
const VERSION = Buffer.from(' HTTP/1.1\r\n')

/** Fields that change where a request ends or what is to become of it: HTTP knows how. `set-cookie` is a list there. */
const odd: ReadonlySet<string> = new Set([
  'content-length',
  'transfer-encoding',
  'expect',
  'trailer',
  'te',
  'http2-settings',
  'proxy-connection',
  'set-cookie',
])

/** Lower-case names by the spellings that clients use: the same strings for all connections, and found without making one. */
const spellings: ReadonlyMap<string, string> = new Map(
  [
    'Host',
    'Connection',
    'Upgrade',
    'Origin',
    'Cookie',
    'Pragma',
    'Cache-Control',
    'User-Agent',
    'Authorization',
    'Accept',
    'Accept-Encoding',
    'Accept-Language',
    'Sec-WebSocket-Version',
    'Sec-WebSocket-Key',
    'Sec-WebSocket-Extensions',
    'Sec-WebSocket-Protocol',
    'Sec-Fetch-Dest',
    'Sec-Fetch-Mode',
    'Sec-Fetch-Site',
    'X-Forwarded-For',
    'X-Forwarded-Proto',
    'X-Forwarded-Host',
    'X-Real-IP',
  ].flatMap((name) => {
    const lower = name.toLowerCase()
    return [
      [name, lower],
      [lower, lower],
    ]
  }),
)

/** Values that many connections have: kept once, not with each. */
const usual: ReadonlyMap<string, string> = new Map(
  [
    'websocket',
    'Upgrade',
    'upgrade',
    'keep-alive, Upgrade',
    '13',
    'permessage-deflate',
    'permessage-deflate; client_max_window_bits',
    'no-cache',
    'gzip, deflate, br',
    'gzip, deflate, br, zstd',
  ].map((value) => [value, value]),
)

/** What a byte may be part of. */
const URL_BYTE = 1
const NAME_BYTE = 2
const VALUE_BYTE = 4
const kinds: Uint8Array = new Uint8Array(256)
for (let code = SPACE; code <= TILDE; code++) {
  kinds[code] =
    VALUE_BYTE |
    (code === SPACE || code === HASH ? 0 : URL_BYTE) |
    (isToken(String.fromCharCode(code)) ? NAME_BYTE : 0)
}
kinds[TAB] = VALUE_BYTE

/** Parts of a string that are longer than this would keep all of it: the engine copies only shorter ones. */
const COPIED = 12

/**
 * Reads the one kind of request that nearly all WebSocket clients send: whole in one chunk, `GET` with a path, the
 * fields of a handshake, each once and in plain ASCII, and nothing that HTTP would have to understand. `undefined` says
 * of a request only that it is one for a full parser. What is taken here Node's parser takes as well, and reads the
 * same from it.
 *
 * Each byte is looked at a fixed number of times, whatever it is.
 *
 * @param limit - heads must be shorter, in bytes
 */
export function parseUpgradeHead(chunk: Buffer, limit: number = MAX_SIMPLE_HEAD): UpgradeHead | undefined {
  if (!standsAt(chunk, 0, START)) return undefined
  const last = Math.min(chunk.length, limit)
  const urlEnd = skip(chunk, START.length, last, URL_BYTE)
  if (!standsAt(chunk, urlEnd, VERSION)) return undefined

  const text = chunk.toString('latin1', 0, last)
  const headers: Record<string, string> = {}
  const rawHeaders: string[] = []
  let at = urlEnd + VERSION.length
  while (chunk[at] !== CR) {
    const nameEnd = skip(chunk, at, last, NAME_BYTE)
    if (nameEnd === at || chunk[nameEnd] !== COLON || rawHeaders.length === 2 * MAX_SIMPLE_FIELDS)
      return undefined
    const valueStart = nameEnd + (chunk[nameEnd + 1] === SPACE ? 2 : 1)
    const valueEnd = skip(chunk, valueStart, last, VALUE_BYTE)
    if (chunk[valueEnd] !== CR || chunk[valueEnd + 1] !== LF) return undefined
    const value = cut(chunk, text, valueStart, valueEnd)
    // Space that is not part of the value.
    if (isBlank(value.charCodeAt(0)) || isBlank(value.charCodeAt(value.length - 1))) return undefined
    const name = text.slice(at, nameEnd)
    const lower = spellings.get(name) ?? name.toLowerCase()
    // Given before; or a name that every object has.
    if (lower in headers || odd.has(lower)) return undefined
    headers[lower] = usual.get(value) ?? value
    rawHeaders.push(name, value)
    at = valueEnd + 2
  }
  const end = at + 2
  if (chunk[at + 1] !== LF || end >= limit || !asksForWebSocket(headers)) return undefined
  return { url: cut(chunk, text, START.length - 1, urlEnd), headers, rawHeaders, end }
}

function standsAt(chunk: Buffer, at: number, bytes: Buffer): boolean {
  for (let index = 0; index < bytes.length; index++) {
    if (chunk[at + index] !== bytes[index]) return false
  }
  return true
}

/** Returns where the bytes of one kind end. */
function skip(chunk: Buffer, start: number, last: number, kind: number): number {
  let at = start
  while (at < last && ((kinds[chunk[at] as number] as number) & kind) !== 0) at++
  return at
}

/** A string that does not keep the text that it is from. */
function cut(chunk: Buffer, text: string, start: number, end: number): string {
  return end - start > COPIED ? chunk.toString('latin1', start, end) : text.slice(start, end)
}

function isBlank(code: number): boolean {
  return code === SPACE || code === TAB
}

function asksForWebSocket({ host, upgrade, connection }: Record<string, string>): boolean {
  if (host === undefined || upgrade?.toLowerCase() !== 'websocket') return false
  const wants = connection?.toLowerCase()
  return wants === 'upgrade' || wants === 'keep-alive, upgrade'
}
