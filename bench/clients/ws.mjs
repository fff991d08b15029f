import { once } from 'node:events'
import { WebSocket } from 'ws'
import { listening, settings } from '../servers/control.mjs'

const { url, connections, inFlight } = settings
const payload = Buffer.from(settings.payload, 'base64')

listening(0)
const all = []
while (all.length < connections) {
  const socket = new WebSocket(url, { perMessageDeflate: false })
  await once(socket, 'open')
  all.push(socket)
}
for (const socket of all) {
  socket.on('message', (data) => socket.send(data))
  for (let sent = 0; sent < inFlight; sent++) socket.send(payload)
}
