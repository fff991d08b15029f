import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { frameRow } from './load.ts'
import { type Expected, MessageReader } from './message-reader.ts'

/** The neutral server that clients are measured with: for each message that comes it writes a frame made before. */
export class RawServer {
  /** One for each connection, in order. */
  readonly readers: MessageReader[] = []
  readonly #server: Server
  readonly #sockets = new Set<Socket>()

  private constructor(server: Server) {
    this.#server = server
  }

  /** `most` is the number of messages that may come at once. */
  static async listen(
    expected: Expected,
    reply: Buffer,
    most: number,
    onError: (error: Error) => void,
  ): Promise<RawServer> {
    const server = createServer({ noDelay: true })
    const result = new RawServer(server)
    const replies = frameRow(reply, most)
    server.on('connection', (socket) => result.#accept(socket, expected, replies, onError))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return result
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  #accept(
    socket: Socket,
    expected: Expected,
    replies: (count: number) => Buffer,
    onError: (error: Error) => void,
  ): void {
    this.#sockets.add(socket)
    // Clients are ended as processes; what they leave undone is no matter.
    socket.on('error', () => socket.destroy())
    const reader = new MessageReader(expected, () => {})
    let head = ''
    socket.on('data', (chunk: Buffer) => {
      if (head.endsWith('\r\n\r\n')) {
        try {
          const count = reader.read(chunk, chunk.length)
          if (count > 0) socket.write(replies(count))
        } catch (error) {
          onError(error as Error)
        }
        return
      }
      // A client says nothing more before it is answered.
      head += chunk.toString('latin1')
      if (!head.endsWith('\r\n\r\n')) return
      this.readers.push(reader)
      socket.write(answer(head))
    })
  }

  close(): void {
    this.#server.close()
    for (const socket of this.#sockets) socket.destroy()
  }
}

function answer(head: string): string {
  const key = /sec-websocket-key: *(\S+)/i.exec(head)?.[1]
  const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
  return `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`
}
