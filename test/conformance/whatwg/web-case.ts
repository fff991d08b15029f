// What a case of the WebSocket class is: something that is done with it, and all that has to be seen.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { type Server, serve } from '../../../src/index.ts'
import { WebSocket } from '../../../src/websocket.ts'
import { root } from '../../repo.ts'
import { type Answer, AnsweringServer } from '../../support/answering-server.ts'
import { type Script, type ScriptedClient, scriptedServer } from '../../support/scripted-server.ts'
import { type Watched, watchSocket } from '../../support/watch-socket.ts'

/** One case of the class that pages have. */
export interface WebCase {
  /** Such as `send.typed-array.float32`. */
  readonly id: string
  /** What is done and what has to come of it, in a sentence. */
  readonly about: string
  /** Does it, and returns what was seen. */
  readonly play: (stage: WebStage) => unknown
  /** What has to be seen. */
  readonly expected: unknown
}

/** Cases on one subject. */
export interface WebGroup {
  readonly name: string
  readonly title: string
  readonly about: string
  readonly cases: readonly WebCase[]
  /** All servers speak TLS. Plays in a process of its own, which trusts their certificate. */
  readonly secure?: boolean
}

/** The certificate that secure servers have, and its key. */
export const fixture = (name: string): string => join(root, 'test/fixtures', name)

/** A case in one call. */
export function see(
  id: string,
  about: string,
  expected: unknown,
  play: (stage: WebStage) => unknown,
): WebCase {
  return { id, about, expected, play }
}

/** Plays a case; returns what was wrong, `undefined` when nothing was. */
export async function playWebCase(subject: WebCase, secure = false): Promise<string | undefined> {
  await using stage = new WebStage(secure)
  try {
    const seen = await stage.within(Promise.resolve(subject.play(stage)))
    if (secure && !stage.served) return 'there was no server, and so no TLS'
    if (isDeepStrictEqual(seen, subject.expected)) return undefined
    return `saw ${inText(seen)}, not ${inText(subject.expected)}`
  } catch (error) {
    return `it threw ${String(error)}`
  }
}

function inText(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) => (part === undefined ? 'undefined' : part)) ?? 'undefined'
}

/** How long a case may take, in milliseconds. */
const PATIENCE = 10_000

type Scripted = AnsweringServer & { readonly scripted: ScriptedClient[] }

/** What a case has at hand. All that it opens through this is closed behind it. */
export class WebStage implements AsyncDisposable {
  readonly #sockets: Watched[] = []
  readonly #servers: AsyncDisposable[] = []
  readonly #tls: { readonly cert: Buffer; readonly key: Buffer } | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(secure = false) {
    this.#tls = secure
      ? { cert: readFileSync(fixture('localhost.crt')), key: readFileSync(fixture('localhost.key')) }
      : undefined
  }

  /** Whether there has been a server. */
  get served(): boolean {
    return this.#servers.length > 0
  }

  /** A server that echoes, and speaks the subprotocols `chat` and `superchat`. */
  async echo(): Promise<Server<'chat' | 'superchat'>> {
    const limits = { maxMessageSize: 16 * 1024 * 1024 }
    const subprotocols = ['chat', 'superchat'] as const
    return this.keep(
      await serve({ subprotocols, limits, tls: this.#tls }, async (conn) => {
        for await (const { data, type } of conn.messages()) if (!conn.send(data, type)) await conn.drained()
      }),
    )
  }

  /** Closes a server behind the case. */
  keep<S extends AsyncDisposable>(server: S): S {
    this.#servers.push(server)
    return server
  }

  /** A server that says what it is told to, right or wrong. */
  async scripted(script: Script = {}): Promise<Scripted> {
    return this.keep(await scriptedServer(script, this.#tls))
  }

  /** A server that answers the request as it is told. */
  async answering(answer: Answer): Promise<AnsweringServer> {
    return this.keep(await AnsweringServer.start(answer, '127.0.0.1', this.#tls))
  }

  /** A socket, watched from the beginning. */
  socket(...args: ConstructorParameters<typeof WebSocket>): Watched {
    const watched = watchSocket(new WebSocket(...args))
    this.#sockets.push(watched)
    return watched
  }

  /** A socket that is open. */
  async open(...args: ConstructorParameters<typeof WebSocket>): Promise<Watched> {
    const watched = this.socket(...args)
    await watched.opened
    return watched
  }

  /** A socket that is open to a server that echoes. */
  async openEcho(protocols: string | string[] = []): Promise<Watched> {
    return this.open((await this.echo()).url, protocols)
  }

  /** What a call throws: the name of a DOMException, or `TypeError`; `nothing` when it does not. */
  thrown(call: () => unknown): string {
    try {
      call()
      return 'nothing'
    } catch (error) {
      if (error instanceof DOMException) return error.name
      return error instanceof Error ? error.constructor.name : String(error)
    }
  }

  /** The next messages of a socket. */
  messages(socket: WebSocket, count: number): Promise<unknown[]> {
    const heard: unknown[] = []
    return new Promise((resolve) => {
      const listener = ({ data }: MessageEvent): void => {
        if (heard.push(data) < count) return
        socket.removeEventListener('message', listener)
        resolve(heard)
      }
      socket.addEventListener('message', listener)
    })
  }

  /** The next event of a type. */
  event<Name extends 'open' | 'message' | 'error' | 'close'>(socket: WebSocket, name: Name): Promise<Event> {
    return new Promise((resolve) =>
      socket.addEventListener(name, (event: Event) => resolve(event), { once: true }),
    )
  }

  /** Rejects when something takes too long. */
  within<T>(work: Promise<T>): Promise<T> {
    const late = new Promise<never>((_, reject) => {
      this.#timer = setTimeout(() => reject(new Error('nothing more happens')), PATIENCE)
    })
    return Promise.race([work, late])
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearTimeout(this.#timer)
    const ended = this.#sockets.map(async ({ socket, closed }) => {
      if (socket.readyState === 3) return
      socket.close()
      await closed
    })
    // Servers that never answer are gone first, so that nothing is waited for.
    for (const server of this.#servers) if (!('stats' in server)) await server[Symbol.asyncDispose]()
    await Promise.all(ended)
    for (const server of this.#servers) if ('stats' in server) await server[Symbol.asyncDispose]()
  }
}
