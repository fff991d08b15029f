import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'

/** How much of a refusal's body is kept, in bytes. */
const BODY_LIMIT = 1024

/** How much is read to get that, where chunks have to be taken out of their frames. */
const RAW_LIMIT = 8 * BODY_LIMIT

/**
 * The beginning of a body as text: all that comes until the limit, the end, or the loss of the connection. Returns a
 * function that waits for no more.
 */
export function readBody(response: IncomingMessage, done: (body: string) => void): () => void {
  const chunks: Buffer[] = []
  let length = 0
  const finish = (): void => {
    response.removeAllListeners('data')
    done(Buffer.concat(chunks).subarray(0, BODY_LIMIT).toString('utf8'))
  }
  response.on('data', (chunk: Buffer) => {
    chunks.push(chunk)
    length += chunk.length
    if (length >= BODY_LIMIT) finish()
  })
  response.on('end', finish)
  response.on('error', finish)
  return finish
}

/**
 * The same of an answer to CONNECT, whose body Node takes for what comes through the tunnel, whatever the status.
 *
 * @param head - what came with the headers
 * @param done - is called once, perhaps before this returns
 */
export function readTunnelBody(
  stream: Duplex,
  headers: IncomingHttpHeaders,
  head: Buffer,
  done: (body: string) => void,
): () => void {
  let raw: Buffer = Buffer.alloc(0)
  let body: Buffer = raw
  let finished = false
  const finish = (): void => {
    if (finished) return
    finished = true
    stream.off('data', take)
    stream.off('end', finish)
    stream.off('close', finish)
    done(body.subarray(0, BODY_LIMIT).toString('utf8'))
  }
  const take = (chunk: Buffer): void => {
    raw = Buffer.concat([raw, chunk])
    const read = bodyIn(raw, headers)
    body = read.body
    if (read.complete || body.length >= BODY_LIMIT || raw.length >= RAW_LIMIT) finish()
  }
  stream.on('end', finish)
  stream.on('close', finish)
  take(head)
  if (!finished) stream.on('data', take)
  return finish
}

interface Body {
  readonly body: Buffer
  readonly complete: boolean
}

/** What these bytes hold of a body (RFC 9112 section 6). */
function bodyIn(raw: Buffer, headers: IncomingHttpHeaders): Body {
  if (headers['transfer-encoding'] !== undefined) return unchunk(raw)
  const length = Number(headers['content-length'] ?? Number.NaN)
  return Number.isNaN(length)
    ? { body: raw, complete: false }
    : { body: raw.subarray(0, length), complete: raw.length >= length }
}

/** Chunks without their frames (RFC 9112 section 7.1); what is no chunk ends it. */
function unchunk(raw: Buffer): Body {
  const parts: Buffer[] = []
  let at = 0
  for (;;) {
    const lineEnd = raw.indexOf('\r\n', at)
    if (lineEnd === -1) break
    const size = Number.parseInt(raw.toString('latin1', at, lineEnd), 16)
    if (!(size > 0)) return { body: Buffer.concat(parts), complete: true }
    const start = lineEnd + 2
    parts.push(raw.subarray(start, start + size))
    at = start + size + 2
    if (at > raw.length) break
  }
  return { body: Buffer.concat(parts), complete: false }
}
