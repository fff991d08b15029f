import { once } from 'node:events'
import { WebSocket } from 'ws'
import { listening, settings } from '../servers/control.mjs'

const { url, connections, inFlight } = settings
const payload = Buffer.from(settings.payload, 'base64')

listening(0)
for (let count = 0; count < connections; count++) {
  const socket = new WebSocket(url, { perMessageDeflate: false })
  socket.on('message', (data) => socket.send(data))
  await once(socket, 'open')
  for (let sent = 0; sent < inFlight; sent++) socket.send(payload)
}
