// Silverback with all its limits, checks and its heartbeat, as they are by default. The second to last argument says
// how messages are taken; the one before it, which build is measured.
import process from 'node:process'
import { deflateLevel, listening, settings, tls } from './control.mjs'

const [entry, form] = process.argv.slice(2)
const { broadcast, prepare, serve } = await import(entry)

const { kind, deflate, maxMessageSize } = settings
const options = {
  port: 0,
  ...(tls && { tls }),
  ...(deflate && { compression: { level: deflateLevel, threshold: 0 } }),
  ...(maxMessageSize > 2 ** 20 && { limits: { maxMessageSize } }),
}

const onMessage = {
  echo: (conn) => conn.onMessage((data) => conn.send(data)),
  json: (conn) => conn.onMessage((text) => conn.send(JSON.stringify(JSON.parse(text)))),
  broadcast: (conn) => conn.onMessage((data) => broadcast(server.connections, data)),
}

const forms = {
  callback: onMessage,
  // Text as the bytes that it came in, which is enough for all that is only sent on.
  bytes: {
    ...onMessage,
    echo: (conn) => conn.onMessage((data, type) => conn.send(data, type), { text: 'bytes' }),
    broadcast: (conn) =>
      conn.onMessage((data, type) => broadcast(server.connections, prepare(data, type)), { text: 'bytes' }),
  },
  iterate: {
    echo: async (conn) => {
      for await (const data of conn) conn.send(data)
    },
    json: async (conn) => {
      for await (const value of conn.json()) conn.sendJson(value)
    },
    broadcast: async (conn) => {
      for await (const data of conn) broadcast(server.connections, data)
    },
  },
}

const server = await serve(options, forms[form][kind])
listening(server.server.address().port)
