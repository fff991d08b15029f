import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { clientFrame, opcodes } from './frames.ts'
import { type Expected, MessageReader } from './message-reader.ts'

/** Where a client connects to, and how it asks. */
export interface Target {
  readonly port: number
  readonly path: string
  readonly tls: boolean
  readonly deflate: boolean
  /** What a client has to send first of all in a protocol above WebSocket. */
  readonly hello?: Buffer | undefined
}

/** What a client does with what comes. */
export interface ClientEvents {
  /** So many messages have come. What it throws is an error of the connection. */
  onMessages(client: RawClient, count: number): void
  onClose?(client: RawClient): void
  onError(error: Error): void
}

// Whatever comes is looked at before the next read, so all connections can share one buffer.
const shared = Buffer.allocUnsafeSlow(256 * 1024)
const pong = clientFrame(opcodes.pong, Buffer.alloc(0))
/** Local addresses take turns, as each has only so many ports. */
const addresses = 8
let connections = 0

/**
 * A client of the load generator: as little as there can be on a socket. It writes frames that were made before, and
 * only counts and checks what comes.
 */
export class RawClient {
  readonly reader: MessageReader
  readonly #socket: Socket
  readonly #events: ClientEvents
  #head = ''
  #isOpen = false
  #onReady: (() => void) | undefined
  readonly #hello: Buffer | undefined
  /** When the message was sent whose reply is awaited, where that is measured. */
  sentAt = 0
  /** Messages that were sent. */
  sent = 0
  /** Whether the server has sent a Close frame. */
  gotClose = false

  private constructor(target: Target, expected: Expected, events: ClientEvents, onReady: () => void) {
    this.#events = events
    this.#hello = target.hello
    this.#onReady = onReady
    this.reader = new MessageReader(expected, (opcode) => this.#onControl(opcode))
    const take = (chunk: Buffer, length: number): void => {
      if (this.#isOpen) this.#onBytes(chunk, length)
      else this.#onHead(chunk.subarray(0, length))
    }
    const host = '127.0.0.1'
    if (target.tls) {
      this.#socket = connectTls({ port: target.port, host, rejectUnauthorized: false })
      this.#socket.on('data', (chunk: Buffer) => take(chunk, chunk.length))
    } else {
      const localAddress = `127.0.0.${1 + (connections++ % addresses)}`
      const callback = (length: number, buffer: Uint8Array): boolean => {
        take(buffer as Buffer, length)
        return true
      }
      this.#socket = connect({ port: target.port, host, localAddress, onread: { buffer: shared, callback } })
    }
    this.#socket.setNoDelay()
    this.#socket.on('error', (error) => events.onError(error))
    this.#socket.on('close', () => events.onClose?.(this))
    this.#socket.write(request(target))
  }

  /** Resolves when messages can be sent. */
  static open(target: Target, expected: Expected, events: ClientEvents): Promise<RawClient> {
    return new Promise((resolve, reject) => {
      const client: RawClient = new RawClient(
        target,
        expected,
        {
          onMessages: events.onMessages,
          onError: (error) => {
            reject(error)
            events.onError(error)
          },
          onClose: () => {
            reject(new Error('the server closed the connection'))
            events.onClose?.(client)
          },
        },
        () => resolve(client),
      )
    })
  }

  /** Writes frames, with so many messages in them. */
  write(bytes: Buffer, messages = 0): void {
    this.sent += messages
    this.#socket.write(bytes)
  }

  destroy(): void {
    this.#socket.destroy()
  }

  #onHead(bytes: Buffer): void {
    this.#head += bytes.toString('latin1')
    const end = this.#head.indexOf('\r\n\r\n')
    if (end < 0) return
    if (!this.#head.startsWith('HTTP/1.1 101 ')) {
      this.#events.onError(
        new Error(`the server answered ${this.#head.slice(0, this.#head.indexOf('\r\n'))}`),
      )
      return
    }
    this.#isOpen = true
    const rest = Buffer.from(this.#head.slice(end + 4), 'latin1')
    if (this.#hello !== undefined) this.write(this.#hello)
    this.#onBytes(rest, rest.length)
  }

  #onBytes(chunk: Buffer, length: number): void {
    try {
      const count = this.reader.read(chunk, length)
      if (this.#onReady !== undefined && this.reader.greetings === 0) {
        this.#onReady()
        this.#onReady = undefined
      }
      if (count > 0) this.#events.onMessages(this, count)
    } catch (error) {
      this.destroy()
      this.#events.onError(error as Error)
    }
  }

  #onControl(opcode: number): void {
    if (opcode === opcodes.close) {
      this.gotClose = true
      this.#socket.end()
    } else if (opcode !== opcodes.pong) this.write(pong)
  }
}

function request({ path, deflate }: Target): string {
  const lines = [
    `GET ${path} HTTP/1.1`,
    'Host: 127.0.0.1',
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  ]
  if (deflate) {
    lines.push(
      'Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover; server_no_context_takeover',
    )
  }
  return `${lines.join('\r\n')}\r\n\r\n`
}
