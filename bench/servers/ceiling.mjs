// What node:net itself costs: the upgrade is answered, the first frame of each connection unmasked, and from then on a
// frame is a number of bytes. No check, no limit, no timer. All frames of a connection have to be alike.
import { createHash } from 'node:crypto'
import { createServer } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import { listening, settings, tls } from './control.mjs'

const everyone = new Set()
const joined = { frames: 0, reply: undefined }

/** One frame to all for each that came in this turn of the event loop. */
function flush() {
  const bytes = Buffer.concat(Array(joined.frames).fill(joined.reply))
  joined.frames = 0
  for (const socket of everyone) socket.write(bytes)
}

function answer(request) {
  const key = /sec-websocket-key: *(\S+)/i.exec(request)[1]
  const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
  return `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`
}

/** Where the first frame's masking key stands, and the frame's whole length. */
function measure(frame) {
  const short = frame[1] & 127
  const mask = short < 126 ? 2 : short === 126 ? 4 : 10
  const length = short < 126 ? short : short === 126 ? frame.readUInt16BE(2) : frame.readUIntBE(4, 6)
  return { mask, total: mask + 4 + length }
}

function replyTo(frame, mask) {
  const reply = Buffer.concat([frame.subarray(0, mask), frame.subarray(mask + 4)])
  reply[1] &= 127
  for (let at = mask; at < reply.length; at++) reply[at] ^= frame[mask + ((at - mask) & 3)]
  return reply
}

class Connection {
  constructor(socket) {
    this.socket = socket
    this.open = false
    this.first = []
    this.reply = undefined
    this.total = 0
    this.have = 0
  }

  read(chunk) {
    if (!this.open) {
      this.open = true
      everyone.add(this.socket)
      this.socket.write(answer(chunk.toString('latin1')))
    } else if (this.reply === undefined) {
      this.begin(chunk)
    } else {
      this.count(chunk)
    }
  }

  begin(chunk) {
    this.first.push(chunk)
    const bytes = this.first.length === 1 ? chunk : Buffer.concat(this.first)
    const { mask, total } = measure(bytes)
    this.have = bytes.length
    if (this.have < total) return
    this.first = []
    this.total = total
    this.reply = replyTo(bytes.subarray(0, total), mask)
    this.slab = total < 65536 ? Buffer.concat(Array(Math.ceil(262144 / total)).fill(this.reply)) : this.reply
    this.emit()
  }

  count(chunk) {
    if (this.have === 0 && (chunk[0] & 15) === 8) return this.socket.end(Buffer.from([0x88, 2, 3, 232]))
    this.have += chunk.length
    if (this.have >= this.total) this.emit()
  }

  emit() {
    const frames = Math.floor(this.have / this.total)
    this.have -= frames * this.total
    if (settings.kind === 'broadcast') {
      if (joined.frames === 0) setImmediate(flush)
      joined.frames += frames
      joined.reply = this.reply
    } else if (frames === 1) {
      this.socket.write(this.reply)
    } else {
      this.socket.write(this.slab.subarray(0, frames * this.reply.length))
    }
  }
}

function onConnection(socket) {
  const connection = new Connection(socket)
  socket.on('data', (chunk) => connection.read(chunk))
  socket.on('error', () => socket.destroy())
  socket.on('close', () => everyone.delete(socket))
}

const server =
  tls === undefined ? createServer({ noDelay: true }, onConnection) : createTlsServer(tls, onConnection)
server.listen(0, '127.0.0.1', () => listening(server.address().port))
