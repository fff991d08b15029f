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
  const bytes = rowOf(joined.reply, joined.frames)
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

/** Rows of the reply by their length: connections that get the same reply share them. */
let rows = []
let rowsOf

function rowOf(reply, frames) {
  if (rowsOf === undefined || !(reply === rowsOf || reply.equals(rowsOf))) {
    rowsOf = reply
    rows = []
  }
  rows[frames] ??= Buffer.concat(Array(frames).fill(reply))
  return rows[frames]
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
    this.have += chunk.length
    const { mask, total } = measure(this.first[0])
    if (this.have < total) return
    const frame = Buffer.concat(this.first).subarray(0, total)
    this.first = undefined
    this.total = total
    this.reply = replyTo(frame, mask)
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
    } else {
      this.socket.write(frames === 1 ? this.reply : rowOf(this.reply, frames))
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
  tls === undefined
    ? createServer({ noDelay: true }, onConnection)
    : createTlsServer({ ...tls, noDelay: true }, onConnection)
server.listen(0, '127.0.0.1', () => listening(server.address().port))
