// Socket.IO has a protocol of its own above WebSocket, which the load generator speaks.
import { createServer } from 'node:http'
import { Server } from 'socket.io'
import { listening } from './control.mjs'

const http = createServer()
const io = new Server(http, { transports: ['websocket'], serveClient: false })
io.on('connection', (socket) => socket.on('m', (data) => io.emit('m', data)))
http.listen(0, '127.0.0.1', () => listening(http.address().port))
