// The opening handshake as the peer does it, in plain text.

import { createHash } from 'node:crypto'

/** The key of the peer's requests. */
export const handshakeKey = 'Y29uZm9ybWFuY2UgY2FzZQ=='

/** What a key is answered with (RFC 6455 section 4.2.2). */
export function acceptFor(key: string): string {
  return createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
}

/** The request of a client; `offer` is its Sec-WebSocket-Extensions, `''` for none. */
export function requestOf(path: string, offer: string): string {
  const lines = [
    `GET ${path} HTTP/1.1`,
    'Host: 127.0.0.1',
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    `Sec-WebSocket-Key: ${handshakeKey}`,
    ...(offer === '' ? [] : [`Sec-WebSocket-Extensions: ${offer}`]),
  ]
  return `${lines.join('\r\n')}\r\n\r\n`
}

/** The answer of a server; `answer` is its Sec-WebSocket-Extensions, `''` for none. */
export function answerOf(key: string, answer: string): string {
  const lines = [
    'HTTP/1.1 101 Switching Protocols',
    'Connection: Upgrade',
    'Upgrade: websocket',
    `Sec-WebSocket-Accept: ${acceptFor(key)}`,
    ...(answer === '' ? [] : [`Sec-WebSocket-Extensions: ${answer}`]),
  ]
  return `${lines.join('\r\n')}\r\n\r\n`
}

/** What stands behind a name in a head, `''` where it does not occur. */
export function headerOf(head: string, name: string): string {
  const start = `${name.toLowerCase()}:`
  const line = head.split('\r\n').find((candidate) => candidate.toLowerCase().startsWith(start))
  return line?.slice(start.length).trim() ?? ''
}
