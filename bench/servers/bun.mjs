import { listening, settings, tls } from './control.mjs'

const { kind, deflate, maxMessageSize } = settings
const onMessage = {
  echo: (socket, data) => socket.send(data, deflate),
  json: (socket, text) => socket.send(JSON.stringify(JSON.parse(text))),
  broadcast: (_, data) => server.publish('all', data, deflate),
}[kind]

const server = Bun.serve({
  port: 0,
  hostname: '127.0.0.1',
  ...(tls && { tls }),
  fetch: (request, self) => (self.upgrade(request) ? undefined : new Response('no upgrade', { status: 426 })),
  websocket: {
    perMessageDeflate: deflate,
    maxPayloadLength: maxMessageSize,
    // What a slow reader has waiting; below it a message of 16 MiB could not be sent at all.
    backpressureLimit: 2 * maxMessageSize,
    open: (socket) => kind === 'broadcast' && socket.subscribe('all'),
    message: onMessage,
  },
})
listening(server.port)
