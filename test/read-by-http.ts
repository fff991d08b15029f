import { createServer, type IncomingMessage, type Server } from 'node:http'
import { Duplex } from 'node:stream'
import { setImmediate } from 'node:timers/promises'

/** What Node makes of a connection that begins with an upgrade. */
export interface HttpUpgrade {
  readonly request: IncomingMessage
  /** What came behind the head. */
  readonly rest: Buffer
}

let server: Server | undefined
let result: HttpUpgrade | undefined

/** What Node's HTTP makes of a connection that begins with these bytes; `undefined` when it is no upgrade. One at a time. */
export async function readByHttp(bytes: Uint8Array): Promise<HttpUpgrade | undefined> {
  server ??= createServer()
    .on('upgrade', (request, _socket, rest) => {
      result = { request, rest }
    })
    .on('clientError', () => {})
  result = undefined
  const stream = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() })
  stream.on('error', () => {})
  server.emit('connection', stream)
  stream.push(bytes)
  await setImmediate()
  stream.destroy()
  return result
}
