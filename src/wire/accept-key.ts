import * as crypto from 'node:crypto'

/** What RFC 6455 section 1.3 has both sides append to the key. */
const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'

/** 16 bytes in base64: 22 characters and two of padding. */
const KEY_LENGTH = 24
const KEY_CHARS = 22

/**
 * SHA-1 in base64, by the one-shot function where the runtime has it (less than half the time), else by an object.
 *
 * @internal
 */
export function sha1With(
  api: Pick<typeof crypto, 'createHash'> & { readonly hash?: typeof crypto.hash },
): (text: string) => string {
  const { hash, createHash } = api
  if (typeof hash === 'function') return (text) => hash('sha1', text, 'base64')
  return (text) => createHash('sha1').update(text).digest('base64')
}

const sha1: (text: string) => string = sha1With(crypto)

/** The `Sec-WebSocket-Accept` that answers a `Sec-WebSocket-Key` (RFC 6455 section 4.2.2, step 5). */
export function acceptKey(key: string): string {
  return sha1(key + GUID)
}

function isBase64Char(code: number): boolean {
  return (
    (code >= 0x61 && code <= 0x7a) || // a-z
    (code >= 0x41 && code <= 0x5a) || // A-Z
    (code >= 0x2f && code <= 0x39) || // the slash and 0-9
    code === 0x2b // plus
  )
}

/**
 * Whether a `Sec-WebSocket-Key` is base64 of exactly 16 bytes (RFC 6455 section 4.1, item 7), padding included.
 * The four bits that the last character has to spare may have any value, as most decoders have it.
 */
export function isValidKey(key: string): boolean {
  if (key.length !== KEY_LENGTH || !key.endsWith('==')) return false
  for (let index = 0; index < KEY_CHARS; index++) {
    if (!isBase64Char(key.charCodeAt(index))) return false
  }
  return true
}

/**
 * The `Sec-WebSocket-Key` for a nonce.
 *
 * @param bytes 16 random bytes, new for each connection.
 */
export function formatKey(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64')
}
