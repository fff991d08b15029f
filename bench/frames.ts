/** A message as the load generator sends it, and what must come back. */
export interface Message {
  readonly type: 'text' | 'binary'
  readonly payload: Buffer
}

/** A small generator, so that every run sends the same bytes. */
function random(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}

export function binaryMessage(size: number): Message {
  const next = random(size)
  const payload = Buffer.alloc(size)
  for (let at = 0; at < size; at++) payload[at] = next() * 256
  return { type: 'binary', payload }
}

export function textMessage(size: number): Message {
  const next = random(size)
  const letters = 'abcdefghijklmnopqrstuvwxyz    .,'
  let text = ''
  while (text.length < size) text += letters[Math.floor(next() * letters.length)]
  return { type: 'text', payload: Buffer.from(text) }
}

/** JSON of about this size, written as every `JSON.stringify` does, with the names in order. */
export function jsonMessage(size: number): Message {
  const next = random(size)
  const states = ['cancelled', 'filled', 'open', 'rejected']
  const rows: object[] = []
  const text = (): string => JSON.stringify({ orders: rows, type: 'update' })
  while (text().length < size) {
    const id = Math.floor(next() * 1e6)
    const state = states[Math.floor(next() * 4)]
    rows.push({ id, price: Math.floor(next() * 1e4) / 4, state, symbol: `S${Math.floor(next() * 500)}` })
  }
  return { type: 'text', payload: Buffer.from(text()) }
}

export const opcodes = { text: 1, binary: 2, close: 8, pong: 10 } as const

const maskingKey = Buffer.from([0x37, 0xfa, 0x21, 0x3d])

/** A whole masked frame. `compressed` sets RSV1. */
export function clientFrame(opcode: number, payload: Uint8Array, compressed = false): Buffer {
  const first = 0x80 | (compressed ? 0x40 : 0) | opcode
  const frame = Buffer.concat([header(first, payload.length, 0x80), maskingKey, payload])
  const start = frame.length - payload.length
  for (let at = 0; at < payload.length; at++)
    frame[start + at] = (payload[at] as number) ^ (maskingKey[at & 3] as number)
  return frame
}

/** A whole frame as servers send it. */
export function serverFrame(opcode: number, payload: Uint8Array): Buffer {
  return Buffer.concat([header(0x80 | opcode, payload.length, 0), payload])
}

function header(first: number, length: number, masked: number): Buffer {
  if (length < 126) return Buffer.from([first, masked | length])
  if (length < 65536) return Buffer.from([first, masked | 126, length >> 8, length & 255])
  const bytes = Buffer.alloc(10)
  bytes[0] = first
  bytes[1] = masked | 127
  bytes.writeUIntBE(length, 4, 6)
  return bytes
}
