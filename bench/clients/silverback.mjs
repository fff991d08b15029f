// A client that keeps messages on their way on each of its connections; the server counts.
import process from 'node:process'
import { listening, settings } from '../servers/control.mjs'

const { dial } = await import(process.argv[2])
const { url, connections, inFlight } = settings
const payload = Buffer.from(settings.payload, 'base64')

listening(0)
for (let count = 0; count < connections; count++) {
  const conn = await dial(url)
  conn.onMessage((data) => conn.send(data))
  for (let sent = 0; sent < inFlight; sent++) conn.send(payload)
}
