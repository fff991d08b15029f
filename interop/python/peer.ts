// The Python end of a WebSocket, as an object: each method is a command of peer.py.

import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import type { Data } from 'silverback'

/** What Python knows of a connection that has been opened. */
export interface Opened {
  readonly subprotocol: string | null
  readonly extensions: readonly string[]
}

/** What Python raised: `name` is the name of its class. */
export class PythonError extends Error {
  /** The HTTP status, where the server refused. */
  readonly status: number | null

  constructor(name: string, message: string, status: number | null) {
    super(message)
    this.name = name
    this.status = status
  }
}

type Answer = { readonly value: unknown } | { readonly error: string; message: string; status: number | null }
type Encoded = { readonly text: string } | { readonly binary: string }

function encode(message: Data): Encoded {
  if (typeof message === 'string') return { text: message }
  return { binary: Buffer.from(message).toString('base64') }
}

/** A Python process with one connection at a time; commands are carried out one after another. */
export class PythonPeer implements AsyncDisposable {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>
  readonly #exit: Promise<unknown>
  readonly #answers: AsyncIterator<string>

  /** @param python - the interpreter's path */
  constructor(python: string) {
    const script = fileURLToPath(new URL('peer.py', import.meta.url))
    this.#child = spawn(python, [script], { stdio: ['pipe', 'pipe', 'inherit'] })
    this.#exit = once(this.#child, 'close')
    this.#answers = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]()
  }

  connect(
    url: string,
    options: {
      readonly subprotocols?: readonly string[]
      readonly compression?: 'deflate' | null
      readonly origin?: string
      readonly headers?: Readonly<Record<string, string>>
    } = {},
  ): Promise<Opened> {
    return this.#do('connect', { url, ...options }) as Promise<Opened>
  }

  /** Resolves with the port. */
  serve(
    options: {
      readonly subprotocols?: readonly string[]
      readonly refuse?: boolean
      readonly maxSize?: number
    } = {},
  ): Promise<number> {
    const { maxSize: max_size, ...rest } = options
    return this.#do('serve', { ...rest, max_size }) as Promise<number>
  }

  accept(): Promise<Opened> {
    return this.#do('accept') as Promise<Opened>
  }

  async send(message: Data): Promise<void> {
    await this.#do('send', encode(message))
  }

  async sendFragments(...fragments: readonly Data[]): Promise<void> {
    await this.#do('send_fragments', { fragments: fragments.map(encode) })
  }

  async read(): Promise<string | Buffer> {
    const message = (await this.#do('read')) as Encoded
    return 'text' in message ? message.text : Buffer.from(message.binary, 'base64')
  }

  async echo(count: number): Promise<void> {
    await this.#do('echo', { count })
  }

  async ping(): Promise<void> {
    await this.#do('ping')
  }

  async close(code?: number, reason?: string): Promise<void> {
    await this.#do('close', { code, reason })
  }

  async hangUp(): Promise<void> {
    await this.#do('hang_up')
  }

  closed(): Promise<{ readonly code: number; readonly reason: string }> {
    return this.#do('closed') as Promise<{ code: number; reason: string }>
  }

  async #do(name: string, args: object = {}): Promise<unknown> {
    this.#child.stdin.write(`${JSON.stringify({ do: name, ...args })}\n`)
    const { value: line, done } = await this.#answers.next()
    if (done === true) throw new Error(`Python ended instead of answering to ${name}`)
    const answer = JSON.parse(line) as Answer
    if ('value' in answer) return answer.value
    throw new PythonError(answer.error, answer.message, answer.status)
  }

  /** Ends the process by ending its input. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.stdin.end()
    await this.#exit
  }
}
