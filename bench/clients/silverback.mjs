// A client that keeps messages on their way on each of its connections; the server counts.
import process from 'node:process'
import { listening, settings } from '../servers/control.mjs'

const { dial } = await import(process.argv[2])
const { url, connections, inFlight } = settings
const payload = Buffer.from(settings.payload, 'base64')

listening(0)
const all = []
while (all.length < connections) all.push(await dial(url))
for (const conn of all) {
  conn.onMessage((data) => conn.send(data))
  for (let sent = 0; sent < inFlight; sent++) conn.send(payload)
}
