import { createServer } from 'node:http'
import FayeWebSocket from 'faye-websocket'
import { listening, settings } from './control.mjs'

const everyone = new Set()
const onMessage = {
  echo: (socket, data) => socket.send(data),
  json: (socket, text) => socket.send(JSON.stringify(JSON.parse(text))),
  broadcast: (_, data) => {
    for (const socket of everyone) socket.send(data)
  },
}[settings.kind]

const http = createServer()
http.on('upgrade', (request, stream, head) => {
  const socket = new FayeWebSocket(request, stream, head, [], { maxLength: settings.maxMessageSize })
  everyone.add(socket)
  socket.on('error', () => {})
  socket.on('close', () => everyone.delete(socket))
  socket.on('message', ({ data }) => onMessage(socket, data))
})
http.listen(0, '127.0.0.1', () => listening(http.address().port))
