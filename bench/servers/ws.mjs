// With WS_NO_BUFFER_UTIL=1 in the environment `ws` does without `bufferutil`.
import { createServer } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { WebSocketServer } from 'ws'
import { deflateLevel, listening, settings, tls } from './control.mjs'

const { kind, deflate, maxMessageSize } = settings
const http = tls === undefined ? createServer() : createTlsServer(tls)
const server = new WebSocketServer({
  server: http,
  maxPayload: maxMessageSize,
  perMessageDeflate: deflate && {
    threshold: 0,
    zlibDeflateOptions: { level: deflateLevel },
    serverNoContextTakeover: true,
    clientNoContextTakeover: true,
  },
})

const onMessage = {
  echo: (socket) => (data, isBinary) => socket.send(data, { binary: isBinary }),
  json: (socket) => (data) => socket.send(JSON.stringify(JSON.parse(data))),
  broadcast: () => (data, isBinary) => {
    for (const client of server.clients) client.send(data, { binary: isBinary })
  },
}[kind]

server.on('connection', (socket) => {
  socket.on('error', () => socket.terminate())
  socket.on('message', onMessage(socket))
})
http.listen(0, '127.0.0.1', () => listening(http.address().port))
