import type { Message } from '../session/message.ts'

/** Messages and bytes that are kept before who brings them has to wait. */
const MOST_MESSAGES = 64
const MOST_BYTES = 1024 * 1024

/**
 * Messages of one connection after another, until somebody takes them. Who brings one waits while the queue is full,
 * and so leaves the next in the connection, which then holds its peer back.
 */
export class MessageQueue {
  readonly #messages: Message[] = []
  readonly #takers: ((message: Message | undefined) => void)[] = []
  #bytes = 0
  /** Nobody waits for room any more. */
  #stopped = false
  #ended = false
  #roomAgain: (() => void) | undefined

  /** Brings a message. A promise means to wait for it before the next. */
  put(message: Message): Promise<void> | undefined {
    const taker = this.#takers.shift()
    if (taker !== undefined) {
      taker(message)
      return undefined
    }
    // As a connection does that is closing: for what has no room there will be none.
    if (this.#stopped && this.#full) return undefined
    this.#messages.push(message)
    this.#bytes += message.data.length
    if (!this.#full || this.#stopped) return undefined
    return new Promise((resolve) => {
      this.#roomAgain = resolve
    })
  }

  /** The next message; `undefined` when there will be none. */
  take(): Promise<Message | undefined> {
    const message = this.#messages.shift()
    if (message !== undefined) {
      this.#bytes -= message.data.length
      if (!this.#full) this.#makeRoom()
      return Promise.resolve(message)
    }
    if (this.#ended) return Promise.resolve(undefined)
    return new Promise((resolve) => this.#takers.push(resolve))
  }

  /** The end is near: who brings messages does not wait for room any more, and what has none is dropped. */
  stop(): void {
    this.#stopped = true
    this.#makeRoom()
  }

  /** No more messages will come: nobody waits for them any longer. What is there can still be taken. */
  end(): void {
    this.stop()
    this.#ended = true
    for (const taker of this.#takers.splice(0)) taker(undefined)
  }

  get #full(): boolean {
    return this.#messages.length >= MOST_MESSAGES || this.#bytes >= MOST_BYTES
  }

  #makeRoom(): void {
    this.#roomAgain?.()
    this.#roomAgain = undefined
  }
}
