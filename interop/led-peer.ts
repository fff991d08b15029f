// A program in another language that holds the other end of a WebSocket, as an object: each method is one of its
// commands. What it is told and what it answers is in python/led.py and gorilla/main.go.

import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import type { Data } from 'silverback'

/** How to start a peer. */
export interface Program {
  readonly command: string
  readonly args: readonly string[]
}

/** What the peer knows of a connection that has been opened. */
export interface Opened {
  readonly subprotocol: string | null
  /** The names of the extensions in use; `null` where its library does not tell. */
  readonly extensions: readonly string[] | null
}

/** What peers can be asked for on either side; one that lacks a feature ignores it. */
interface OpenOptions {
  readonly subprotocols?: readonly string[] | undefined
  /** Offers, or accepts, permessage-deflate. Default false. */
  readonly compression?: boolean | undefined
  /** The longest message that it takes. */
  readonly maxSize?: number | undefined
  /** gorilla: the size of the write buffer, and with it of its fragments. */
  readonly writeBuffer?: number | undefined
}

/** What a peer connects with. */
export interface PeerConnectOptions extends OpenOptions {
  readonly origin?: string | undefined
  readonly headers?: Readonly<Record<string, string>> | undefined
}

/** What a peer listens with. */
export interface PeerServeOptions extends OpenOptions {
  /** Answers every request with 401. */
  readonly refuse?: boolean | undefined
  /** Checks the origin as its library does by default; else it takes every origin. */
  readonly checkOrigin?: boolean | undefined
}

/** What the peer raised: `name` is its own name for it. */
export class PeerError extends Error {
  /** The HTTP status, where our server refused. */
  readonly status: number | null

  constructor(name: string, message: string, status: number | null) {
    super(message)
    this.name = name
    this.status = status
  }
}

type Answer =
  | { readonly value: unknown }
  | { readonly error: string; readonly message: string; readonly status?: number | null }
type Encoded = { readonly text: string } | { readonly binary: string }

function encode(message: Data): Encoded {
  if (typeof message === 'string') return { text: message }
  return { binary: Buffer.from(message).toString('base64') }
}

/** Long after anything that works; then the peer is ended, and every command rejects. */
const commandTimeout = 30_000

/** A process with one connection at a time; commands are carried out one after another. */
export class LedPeer implements AsyncDisposable {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>
  readonly #exit: Promise<unknown>
  readonly #answers: AsyncIterator<string>
  #pending = 0

  constructor({ command, args }: Program) {
    this.#child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] })
    this.#exit = once(this.#child, 'close')
    // Of a command that was never started: the answers end, which is told there.
    this.#exit.catch(() => {})
    this.#child.stdin.on('error', () => {})
    this.#answers = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]()
  }

  /** Whether it waits for its next command: one that a failed test has left in the midst of another is of no more use. */
  get isIdle(): boolean {
    return this.#pending === 0
  }

  connect(url: string, { maxSize, writeBuffer, ...options }: PeerConnectOptions = {}): Promise<Opened> {
    const args = { url, ...options, max_size: maxSize, write_buffer: writeBuffer }
    return this.#do('connect', args) as Promise<Opened>
  }

  /** Resolves with the port; an earlier listener is closed. */
  serve({ maxSize, writeBuffer, checkOrigin, ...options }: PeerServeOptions = {}): Promise<number> {
    const args = { ...options, max_size: maxSize, write_buffer: writeBuffer, check_origin: checkOrigin }
    return this.#do('serve', args) as Promise<number>
  }

  /** The next connection to its server becomes the one that the other commands are about. */
  accept(): Promise<Opened> {
    return this.#do('accept') as Promise<Opened>
  }

  async send(message: Data): Promise<void> {
    await this.#do('send', encode(message))
  }

  /** Sends one message in pieces, and a ping between them; resolves when the pong has come. */
  async sendFragments(...fragments: readonly Data[]): Promise<void> {
    await this.#do('send_fragments', { fragments: fragments.map(encode) })
  }

  async sendPrepared(message: Data): Promise<void> {
    await this.#do('send_prepared', encode(message))
  }

  /** Sends bytes as text, whatever they are. */
  async sendAsText(bytes: Uint8Array): Promise<void> {
    await this.#do('send_as_text', encode(bytes))
  }

  async read(): Promise<string | Buffer> {
    const message = (await this.#do('read')) as Encoded
    return 'text' in message ? message.text : Buffer.from(message.binary, 'base64')
  }

  /** Sends the next messages back as they come. */
  async echo(count: number): Promise<void> {
    await this.#do('echo', { count })
  }

  /** Resolves when the pong has come. */
  async ping(): Promise<void> {
    await this.#do('ping')
  }

  /** Sends a Close frame; one without contents, where there is no code. */
  async close(code?: number, reason?: string): Promise<void> {
    await this.#do('close', { code, reason })
  }

  async hangUp(): Promise<void> {
    await this.#do('hang_up')
  }

  /** The Close frame that it got, once the connection is over; 1005 for an empty one, 1006 for none. */
  closed(): Promise<{ readonly code: number; readonly reason: string }> {
    return this.#do('closed') as Promise<{ code: number; reason: string }>
  }

  async #do(name: string, args: object = {}): Promise<unknown> {
    this.#pending++
    this.#child.stdin.write(`${JSON.stringify({ do: name, ...args })}\n`)
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), commandTimeout)
    const { value: line, done } = await this.#answers.next()
    clearTimeout(timer)
    if (done === true) throw new Error(`the peer ended instead of answering to ${name}`)
    this.#pending--
    const answer = JSON.parse(line) as Answer
    if ('value' in answer) return answer.value
    throw new PeerError(answer.error, answer.message, answer.status ?? null)
  }

  /** Ends the process by ending its input; one in the midst of a command at once. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.stdin.end()
    if (!this.isIdle) this.#child.kill('SIGKILL')
    await this.#exit.catch(() => {})
  }
}
