import type { Socket } from 'node:net'
import type { TlsOptions } from 'node:tls'
import { decoderLimits, renderEvent } from '../engine.ts'
import { type FrameSpec, frame } from '../frames.ts'
import { decodeReference } from '../reference.ts'
import { AnsweringServer, switching } from './answering-server.ts'

/** How a {@link scriptedServer} goes on. */
export interface Script {
  /** Lines of the answer, each ending in CRLF. */
  readonly lines?: string
  /** Frames right behind the answer. */
  readonly frames?: readonly FrameSpec[]
  /** Gets each frame of the client, as a line such as `text 6869`. */
  readonly on?: (line: string, client: ScriptedClient) => void
}

/** A client of a {@link scriptedServer}. */
export interface ScriptedClient {
  readonly socket: Socket
  /** All that it has sent, as lines. */
  readonly sent: readonly string[]
  send(...frames: FrameSpec[]): void
}

/** A server that says just what it is told to, right or wrong, and does not hang up by itself. */
export async function scriptedServer(
  script: Script = {},
  tls?: TlsOptions,
): Promise<AnsweringServer & { readonly scripted: ScriptedClient[] }> {
  const scripted: ScriptedClient[] = []
  const server = await AnsweringServer.start(
    (socket, accept) => {
      const send = (...frames: FrameSpec[]): void => void socket.write(Buffer.concat(frames.map(frame)))
      const sent: string[] = []
      const client = { socket, sent, send }
      scripted.push(client)
      socket.write(switching(accept, script.lines))
      if (script.frames !== undefined) send(...script.frames)
      let bytes = Buffer.alloc(0)
      const limits = decoderLimits({ maxFrameSize: 2 ** 30, maxMessageSize: 2 ** 30 })
      socket.on('data', (chunk: Buffer) => {
        bytes = Buffer.concat([bytes, chunk])
        const lines = decodeReference(bytes, 'server', limits).map(renderEvent)
        for (const line of lines.slice(sent.length)) {
          sent.push(line)
          script.on?.(line, client)
        }
      })
    },
    '127.0.0.1',
    tls,
  )
  return Object.assign(server, { scripted })
}
