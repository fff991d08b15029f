import { createServer } from 'node:http'
import websocket from 'websocket'
import { listening, settings } from './control.mjs'

const http = createServer()
const server = new websocket.server({
  httpServer: http,
  maxReceivedMessageSize: settings.maxMessageSize,
  maxReceivedFrameSize: settings.maxMessageSize,
})
const dataOf = ({ type, utf8Data, binaryData }) => (type === 'utf8' ? utf8Data : binaryData)
const onMessage = {
  echo: (connection, message) => connection.send(dataOf(message)),
  json: (connection, { utf8Data }) => connection.send(JSON.stringify(JSON.parse(utf8Data))),
  broadcast: (_, message) => server.broadcast(dataOf(message)),
}[settings.kind]

server.on('request', (request) => {
  const connection = request.accept(null, request.origin)
  connection.on('error', () => {})
  connection.on('message', (message) => onMessage(connection, message))
})
http.listen(0, '127.0.0.1', () => listening(http.address().port))
