// filewatch: a page that follows a file. The server talks, the client listens; it never has anything to say.

import { readFile, stat } from 'node:fs/promises'
import { createServer } from 'node:http'
import { broadcast, CloseCode, type Prepared, prepare, type ServerConn, serve } from 'silverback'
import { commandLine, giveUp, onStop } from '../program.ts'

const {
  values: { port, host, interval },
  positionals: [file],
} = commandLine(
  'Shows a text file in the browser, and each change of it.',
  { port: '8080', host: '127.0.0.1', interval: '1000' },
  'FILE',
)
if (file === undefined) giveUp(new Error('Which file? See --help.'))
const path: string = file

/** Names what the file holds by when it changed and how long it is, as web servers make an ETag. */
async function currentVersion(): Promise<string> {
  const { mtimeMs, size } = await stat(path)
  return `${mtimeMs}-${size}`
}

/** The file at one moment, encoded once for all who want it. */
async function readFileNow(): Promise<{ readonly version: string; readonly message: Prepared }> {
  // The version before the text: a change in between shows as another version at the next look, and is not missed.
  const version = await currentVersion()
  const text = await readFile(path, 'utf8')
  return { version, message: prepare(JSON.stringify({ version, text })) }
}

let latest = await readFileNow().catch(giveUp)

/** One look at the file serves all clients, however many there are. */
async function poll(): Promise<void> {
  try {
    if ((await currentVersion()) !== latest.version) {
      latest = await readFileNow()
      // A client that is too slow is closed. It loses nothing: it comes back and gets what is the latest by then.
      broadcast(server.connections, latest.message, { slow: 'close' })
    }
  } catch {
    // Many editors replace the file instead of writing into it, so it may be gone for a moment.
  }
  // Polling sees every kind of change on every kind of file system, which `fs.watch` does not. And the next look
  // begins when this one is over, so that two never overtake each other. Alone it is no reason to stay alive: unref.
  setTimeout(poll, Number(interval)).unref()
}

function onClient(conn: ServerConn): void {
  // A client says which version it has, so one that comes back after a lost connection gets news only. Between this
  // comparison and the next broadcast nothing else can run: no version is sent twice, and none is left out.
  const { searchParams } = new URL(conn.request.url ?? '', 'ws://localhost')
  if (searchParams.get('version') !== latest.version) conn.send(latest.message)
  // A server that only talks must listen all the same, or a client that talks would fill the queue of messages, and
  // its Close frame behind them would never be seen. Here it is told that it has come to the wrong place.
  conn.onMessage(() => void conn.close(CloseCode.PolicyViolation, 'this feed takes no messages'))
}

const page = `<!doctype html>
<meta charset="utf-8">
<title>filewatch</title>
<pre></pre>
<script type="module">
  const pre = document.querySelector('pre')
  let version = ''
  function follow() {
    const socket = new WebSocket(location.href.replace('http', 'ws') + 'ws?version=' + version)
    socket.onmessage = ({ data }) => ({ version, text: pre.textContent } = JSON.parse(data))
    socket.onclose = () => setTimeout(follow, 1000)
  }
  follow()
</script>
`
const http = createServer((request, response) => {
  if (request.url === '/') response.setHeader('content-type', 'text/html; charset=utf-8').end(page)
  else response.writeHead(404).end('Not found\n')
})
const server = await serve({ server: http, port: Number(port), host, path: '/ws' }, onClient).catch(giveUp)
void poll()

onStop(async () => {
  await server.close()
  http.close()
  http.closeAllConnections()
})

console.log(`${path} is at ${new URL('/', server.url.replace('ws', 'http'))}`)
