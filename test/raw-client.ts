import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { decoderLimits } from './engine.ts'
import { decodeReference, type ProtocolEvent } from './reference.ts'

/** The key of all our handshakes. */
export const handshakeKey = 'dGhlIHNhbXBsZSBub25jZQ=='

/** A correct upgrade request, with lines added, or changed by name; `undefined` leaves one out. */
export function upgradeRequest(
  path: string,
  changes: Readonly<Record<string, string | undefined>> = {},
): string {
  const headers: Record<string, string | undefined> = {
    Host: '127.0.0.1',
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': handshakeKey,
    ...changes,
  }
  const lines = Object.entries(headers).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}: ${value}`],
  )
  return `GET ${path} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`
}

/** How long anything may take before a test gives up on it, in milliseconds. */
const patience = 8_000

/** How a {@link RawClient} connects. */
export interface RawClientOptions {
  readonly allowHalfOpen?: boolean
  /** Over TLS, with whatever certificate the server has. */
  readonly tls?: boolean
}

/** A TCP connection that says just what it is told to, and keeps what it hears. */
export class RawClient {
  readonly socket: Socket
  /** What is below TLS, or the same. */
  readonly #tcp: Socket
  #received: Buffer[] = []
  #length = 0
  /** The connection is gone. */
  closed = false
  /** The other side has ended its half. */
  ended = false
  readonly #waiting = new Set<() => void>()

  constructor(port: number, { tls = false, ...options }: RawClientOptions = {}) {
    this.#tcp = connect({ port, host: '127.0.0.1', ...options })
    this.#tcp.setNoDelay(true)
    this.#tcp.on('error', () => {})
    this.socket = tls ? connectTls({ socket: this.#tcp, rejectUnauthorized: false }) : this.#tcp
    this.socket.on('data', (chunk: Buffer) => {
      this.#received.push(chunk)
      this.#length += chunk.length
      this.#changed()
    })
    this.socket.on('connect', () => this.#changed())
    // A reset is one of the ends that a hostile client has to expect.
    this.socket.on('error', () => {})
    this.socket.on('end', () => {
      this.ended = true
      this.#changed()
    })
    this.socket.on('close', () => {
      this.closed = true
      this.ended = true
      this.#changed()
    })
  }

  /** A connection that has its good handshake behind it. */
  static async upgraded(port: number, path: string, options: RawClientOptions = {}): Promise<RawClient> {
    const client = new RawClient(port, options)
    client.write(upgradeRequest(path))
    await client.until(() => client.status !== undefined || client.closed, 'the answer to a handshake')
    if (client.status !== 101) throw new Error(`a good handshake was answered with ${client.status}`)
    return client
  }

  write(bytes: string | Uint8Array): void {
    if (!this.socket.destroyed && this.socket.writable) {
      this.socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes)
    }
  }

  /** Waits until something holds; rejects with what was waited for when it takes too long. */
  until(holds: () => boolean, what: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        if (!holds()) return
        clearTimeout(timer)
        this.#waiting.delete(settle)
        resolve()
      }
      const timer = setTimeout(() => {
        this.#waiting.delete(settle)
        const heard = this.received.subarray(0, 300).toString('latin1')
        reject(new Error(`waited in vain for ${what}; heard ${this.#length} bytes: ${JSON.stringify(heard)}`))
      }, patience)
      this.#waiting.add(settle)
      settle()
    })
  }

  #changed(): void {
    for (const settle of [...this.#waiting]) settle()
  }

  get received(): Buffer {
    if (this.#received.length > 1) this.#received = [Buffer.concat(this.#received)]
    return this.#received[0] ?? Buffer.alloc(0)
  }

  /** How many bytes have come. */
  get receivedLength(): number {
    return this.#length
  }

  get #headEnd(): number {
    return this.received.indexOf('\r\n\r\n')
  }

  /** The status of the answer, once its head is there. */
  get status(): number | undefined {
    const end = this.#headEnd
    if (end < 0) return undefined
    const match = /^HTTP\/1\.1 (\d{3}) /.exec(this.received.toString('latin1', 0, end))
    return match === null ? undefined : Number(match[1])
  }

  /** What stands behind the answer's head. */
  get behindHead(): Buffer {
    const end = this.#headEnd
    return end < 0 ? Buffer.alloc(0) : this.received.subarray(end + 4)
  }

  /** The frames that came behind a good handshake. */
  get events(): ProtocolEvent[] {
    return decodeReference(
      this.behindHead,
      'client',
      decoderLimits({ maxFrameSize: 2 ** 30, maxMessageSize: 2 ** 30 }),
    )
  }

  /** Drops the connection, and resolves when it is gone. */
  async destroy(): Promise<void> {
    this.socket.destroy()
    await this.until(() => this.closed, 'the end of our own socket')
  }

  /** The same with a reset, so that the other side gets an error. */
  async reset(): Promise<void> {
    this.#tcp.resetAndDestroy()
    await this.until(() => this.closed, 'the end of our own socket')
  }
}

/** Runs `work` on all items, some at a time. */
export async function eachAtOnce<T>(
  items: readonly T[],
  width: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < items.length) await work(items[next++] as T)
  }
  await Promise.all(Array.from({ length: width }, worker))
}
