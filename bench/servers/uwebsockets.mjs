// uWebSockets.js is not on npm under its own name; this is somebody's unchanged build of version 20.30.
import uws from '@trufflesuite/uws-js-unofficial'
import { listening, settings } from './control.mjs'

const { kind, deflate, maxMessageSize, cert, key } = settings
const onMessage = {
  echo: (socket, data, isBinary) => socket.send(data, isBinary, deflate),
  json: (socket, data) =>
    socket.send(JSON.stringify(JSON.parse(Buffer.from(data).toString())), false, deflate),
  broadcast: (_, data, isBinary) => app.publish('all', data, isBinary, deflate),
}[kind]

const app = cert === undefined ? uws.App() : uws.SSLApp({ cert_file_name: cert, key_file_name: key })
app.ws('/*', {
  compression: deflate ? uws.SHARED_COMPRESSOR : uws.DISABLED,
  maxPayloadLength: maxMessageSize,
  maxBackpressure: 2 * maxMessageSize,
  open: (socket) => kind === 'broadcast' && socket.subscribe('all'),
  message: onMessage,
})
app.listen('127.0.0.1', 0, (socket) => listening(uws.us_socket_local_port(socket)))
