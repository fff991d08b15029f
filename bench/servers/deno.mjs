import { listening, settings, tls } from './control.mjs'

const everyone = new Set()
const onMessage = {
  echo: (socket, data) => socket.send(data),
  json: (socket, text) => socket.send(JSON.stringify(JSON.parse(text))),
  broadcast: (_, data) => {
    for (const socket of everyone) socket.send(data)
  },
}[settings.kind]

function upgrade(request) {
  const { socket, response } = Deno.upgradeWebSocket(request)
  socket.binaryType = 'arraybuffer'
  socket.onopen = () => everyone.add(socket)
  socket.onclose = () => everyone.delete(socket)
  socket.onerror = () => everyone.delete(socket)
  socket.onmessage = ({ data }) => onMessage(socket, data)
  return response
}

const secure = tls && { cert: String(tls.cert), key: String(tls.key) }
Deno.serve({ port: 0, hostname: '127.0.0.1', ...secure, onListen: ({ port }) => listening(port) }, upgrade)
