import { STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import { clearTimeout, setTimeout } from 'node:timers'
import { UsageError } from '../session/errors.ts'
import { isToken } from '../wire/header-grammar.ts'

/** Headers of an answer. A list of values makes a field of each, as `Set-Cookie` needs it (RFC 6265 section 3). */
export type AnswerHeaders = Readonly<Record<string, string | readonly string[]>>

/** What an HTTP refusal says beside its status. */
export interface RejectOptions {
  /**
   * Further headers, or another `Content-Type`. `Connection` and `Content-Length` are set for you, whatever stands
   * here; `Transfer-Encoding` is left out.
   */
  readonly headers?: AnswerHeaders | undefined
  /** Plain text; default: the status's own name. */
  readonly body?: string | undefined
}

/** How long a refused client may take to read the answer and hang up, in milliseconds. */
const LINGER = 2_000

/** The headers that say where the answer ends, which only its writer knows. */
const framing = new Set(['connection', 'content-length', 'transfer-encoding'])

/**
 * Answers an upgrade request with an HTTP response other than 101, and ends the connection: for `'upgrade'` listeners
 * of your own. (The option `authorize` is for authentication, and has `refuse`.) Nothing is written on a connection
 * that has ended or been answered.
 *
 * @param status - 300 to 599
 * @throws UsageError `ERR_WS_INVALID_ARGUMENT` for another status, a header that is none, or a body that is no text
 *
 * @example
 * ```ts
 * import { createServer } from 'node:http'
 * import { reject, Upgrader } from 'silverback'
 *
 * const upgrader = new Upgrader()
 * const server = createServer()
 * const accept = upgrader.handler((conn) => void conn.send('welcome'))
 * server.on('upgrade', (request, socket, head) => {
 *   if (request.headers['x-region'] === 'eu') accept(request, socket, head)
 *   else reject(socket, 421, { body: 'ask the server of your region\n' })
 * })
 * ```
 */
export function reject(socket: Duplex, status: number, options: RejectOptions = {}): void {
  checkAnswer(status, options)
  const name = STATUS_CODES[status]
  const body = options.body ?? `${name ?? status}\n`
  // By lower-case name: of two that differ in case only, the later replaces the earlier.
  const fields = new Map<string, [name: string, value: string | readonly string[]]>([
    ['content-type', ['Content-Type', 'text/plain; charset=utf-8']],
  ])
  for (const [header, value] of Object.entries(options.headers ?? {})) {
    if (!framing.has(header.toLowerCase())) fields.set(header.toLowerCase(), [header, value])
  }
  const headers: Record<string, string | readonly string[]> = Object.fromEntries(fields.values())
  // `Upgrade` in an answer has to be named in `Connection` too (RFC 7230 section 6.7).
  headers['Connection'] = fields.has('upgrade') ? 'Upgrade, close' : 'close'
  headers['Content-Length'] = String(Buffer.byteLength(body))
  const response = `HTTP/1.1 ${status} ${name ?? ''}\r\n${formatHeaders(headers)}\r\n${body}`
  socket.on('error', ignore)
  if (socket.destroyed) return
  // The rest of what the client sends is read and dropped: closing on unread bytes would reset the connection, and
  // the answer with it. Not for ever, and whoever has answered: nobody else may have an eye on it.
  socket.resume()
  if (!socket.writableEnded) socket.end(response)
  const timer = setTimeout(() => socket.destroy(), LINGER)
  timer.unref()
  socket.once('close', () => clearTimeout(timer))
}

/**
 * Whether a refusal can be written so.
 *
 * @throws UsageError `ERR_WS_INVALID_ARGUMENT` naming what is wrong
 */
export function checkAnswer(status: number, { headers = {}, body = '' }: RejectOptions): void {
  if (!Number.isInteger(status) || status < 300 || status > 599)
    throw wrong(`a refusal has a status from 300 to 599, not ${String(status)}`)
  if (typeof body !== 'string') throw wrong(`the body of a refusal is a string, not ${typeof body}`)
  // A `Headers` or a `Map` has no properties of its own: it would go unnoticed that nothing is sent.
  if (typeof headers !== 'object' || headers === null || Symbol.iterator in headers)
    throw wrong('the headers of a refusal are an object of names and values')
  for (const [name, value] of Object.entries(headers)) {
    if (!isToken(name)) throw wrong(`${JSON.stringify(name)} is not a header name`)
    if (!isHeaderValue(value)) throw wrong(`the value of ${name} is neither a string nor a list of strings`)
  }
}

/** Whether a value can be that of {@link AnswerHeaders}. */
export function isHeaderValue(value: unknown): value is string | readonly string[] {
  return typeof value === 'string' || (Array.isArray(value) && value.every((one) => typeof one === 'string'))
}

/**
 * Header lines, one for each value, each with its line end. Control characters in values become spaces, so that no value can begin a
 * line of its own.
 *
 * @throws UsageError `ERR_WS_INVALID_ARGUMENT` for a name that is no token
 */
export function formatHeaders(headers: AnswerHeaders): string {
  let text = ''
  for (const [name, value] of Object.entries(headers)) {
    if (!isToken(name)) throw wrong(`${JSON.stringify(name)} is not a header name`)
    if (typeof value === 'string') text += `${name}: ${oneLine(value)}\r\n`
    else for (const one of [value].flat()) text += `${name}: ${oneLine(String(one))}\r\n`
  }
  return text
}

function oneLine(value: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this is about
  return value.replace(/[\x00-\x1f\x7f]/g, ' ')
}

function wrong(message: string): UsageError {
  return new UsageError('ERR_WS_INVALID_ARGUMENT', message)
}

function ignore(): void {}
