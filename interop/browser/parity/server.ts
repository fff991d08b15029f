// A server that does what the query of a URL tells, right or wrong, and remembers what it heard: for comparing clients.
// It serves the page and its script, too.

import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { acceptKey, FrameDecoder, type FrameSink, isControl, Opcode } from 'silverback/protocol'

/**
 * How a server behaves, by the parameters of `/ws`:
 *
 * - `head`: its answer, with `{accept}` for the right key; a good 101 by default, to which `lines` are added
 * - `frames`: bytes in hexadecimal, sent behind the head, or with `wait` as the answer to the first message
 * - `after`: what follows: `echo` of each message (the default), `end`, `reset`, or `nothing`
 * - `closing`: the frames end with a Close frame
 * - `onclose`: the answer to a Close frame: `echo` (the default), `end`, `nothing`, or bytes in hexadecimal
 * - `auth`: a request without credentials is answered 401
 * - `id`: under which `/heard` tells the request and the frames that came, once the connection is gone
 */
export class ParityServer implements AsyncDisposable {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  readonly #heard = new Map<string, Promise<Heard>>()

  private constructor() {
    this.#server = createServer({ allowHalfOpen: true }, (socket) => {
      this.#sockets.add(socket)
      socket.on('close', () => this.#sockets.delete(socket))
      socket.on('error', () => {})
      this.#serve(socket)
    })
  }

  static async start(): Promise<ParityServer> {
    const server = new ParityServer()
    server.#server.listen(0, '127.0.0.1')
    await once(server.#server, 'listening')
    return server
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    this.#server.close()
    await once(this.#server, 'close')
  }

  #serve(socket: Socket): void {
    let bytes = Buffer.alloc(0)
    const onData = (chunk: Buffer): void => {
      bytes = Buffer.concat([bytes, chunk])
      const end = bytes.indexOf('\r\n\r\n')
      if (end < 0) return
      socket.off('data', onData)
      void this.#answer(socket, bytes.toString('latin1', 0, end), bytes.subarray(end + 4))
    }
    socket.on('data', onData)
  }

  async #answer(socket: Socket, head: string, rest: Buffer): Promise<void> {
    const { pathname, searchParams } = new URL(head.split(' ')[1] ?? '', 'http://server')
    const id = searchParams.get('id') ?? ''
    if (pathname === '/ws') {
      this.#heard.set(id, new Peer(socket, searchParams, head, rest).gone)
    } else if (/^\/\w+\.js$/.test(pathname)) {
      answer(socket, 'text/javascript', await readFile(new URL(`.${pathname}`, import.meta.url), 'utf8'))
    } else if (pathname === '/heard') {
      answer(socket, 'application/json', JSON.stringify(await this.#heard.get(id)))
    } else {
      answer(socket, 'text/html', '<!doctype html><title>parity</title>')
    }
  }
}

/** What a client said. */
interface Heard {
  readonly request: string
  /** Each the first byte and the payload, in hexadecimal; of a long one its length. */
  readonly frames: readonly string[]
}

class Peer implements FrameSink {
  readonly gone: Promise<Heard>
  readonly #socket: Socket
  readonly #plan: URLSearchParams
  readonly #frames: string[] = []
  #first = 0
  #payload: Buffer[] = []
  #begun = false

  constructor(socket: Socket, plan: URLSearchParams, request: string, rest: Buffer) {
    this.#socket = socket
    this.#plan = plan
    this.gone = new Promise((resolve) => {
      socket.on('close', () => resolve({ request, frames: this.#frames }))
    })
    const key = /^sec-websocket-key: *(.*?) *$/im.exec(request)?.[1] ?? ''
    const lines = this.#plan.get('lines') ?? ''
    const good = `HTTP/1.1 101 OK\nUpgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Accept: {accept}\n${lines}\n`
    const refused = plan.has('auth') && !/^authorization:/im.test(request)
    const head = (refused ? unauthorized : (plan.get('head') ?? good))
      .replaceAll('\n', '\r\n')
      .replace('{accept}', acceptKey(key))
    socket.write(head, 'latin1')
    if (refused) socket.end()
    if (!plan.has('wait')) this.#begin()
    const decoder = new FrameDecoder(this, {
      masked: true,
      maxFrameSize: 2 ** 30,
      maxMessageSize: 2 ** 30,
      rsv: 0x70,
    })
    socket.on('data', (chunk: Buffer) => decoder.push(chunk, 0))
    decoder.push(rest, 0)
    socket.on('end', () => socket.end())
  }

  onFrame(opcode: number, fin: boolean, rsv: number): void {
    this.#first = opcode | rsv | (fin ? 0x80 : 0)
    this.#payload = []
  }

  onPayload(chunk: Buffer, start: number, end: number, last: boolean): void {
    this.#payload.push(Buffer.from(chunk.subarray(start, end)))
    if (last) this.#frame(this.#first & 0x0f, Buffer.concat(this.#payload))
  }

  #frame(opcode: number, payload: Buffer): void {
    const shown = payload.length > 200 ? `${payload.length} bytes` : payload.toString('hex')
    this.#frames.push(`${this.#first.toString(16)} ${shown}`)
    if (opcode === Opcode.Close) this.#close(payload)
    else if (isControl(opcode)) return
    else if (!this.#begun) this.#begin()
    else if ((this.#plan.get('after') ?? 'echo') === 'echo') this.#socket.write(frame(this.#first, payload))
  }

  #begin(): void {
    this.#begun = true
    this.#socket.write(Buffer.from(this.#plan.get('frames') ?? '', 'hex'))
    const after = this.#plan.get('after')
    if (after === 'end') this.#socket.end()
    if (after === 'reset') this.#socket.resetAndDestroy()
  }

  #close(payload: Buffer): void {
    const how = this.#plan.get('onclose') ?? 'echo'
    if (this.#plan.has('closing') || how === 'end') this.#socket.end()
    else if (how === 'echo') this.#socket.end(frame(this.#first, payload))
    else if (how !== 'nothing') this.#socket.end(Buffer.from(how, 'hex'))
  }
}

const unauthorized =
  'HTTP/1.1 401 Who\nWWW-Authenticate: Basic realm="parity"\nConnection: close\nContent-Length: 0\n\n'

function answer(socket: Socket, type: string, body: string): void {
  const length = Buffer.byteLength(body)
  socket.end(
    `HTTP/1.1 200 OK\r\nContent-Type: ${type}\r\nContent-Length: ${length}\r\nConnection: close\r\n\r\n${body}`,
  )
}

function frame(first: number, payload: Buffer): Buffer {
  const header = Buffer.alloc(payload.length < 126 ? 2 : payload.length < 65_536 ? 4 : 10)
  header[0] = first
  if (header.length === 2) header[1] = payload.length
  else if (header.length === 4) header[1] = 126
  else header[1] = 127
  if (header.length === 4) header.writeUInt16BE(payload.length, 2)
  if (header.length === 10) header.writeBigUInt64BE(BigInt(payload.length), 2)
  return Buffer.concat([header, payload])
}
