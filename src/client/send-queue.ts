import { copyOf } from '../conn/own.ts'
import { UsageError } from '../session/errors.ts'
import type { MessageType } from '../session/message.ts'
import { Prepared } from '../session/prepared.ts'

/** What becomes of a message for which a full queue has no room. */
export type OverflowPolicy = 'reject' | 'dropOldest' | 'dropNewest'

/** Bounds on messages that wait for a connection. */
export interface OutboxOptions {
  /** Messages that are kept. Default 1,000. */
  readonly maxMessages?: number | undefined
  /** Bytes of payload that are kept. Default 1 MiB. */
  readonly maxBytes?: number | undefined
  /**
   * When there is no room: `reject` does not take the new message, and reports nothing, as `send` says `false` and it
   * stays the caller's; `dropNewest` drops it, reports that, and `send` says `false` too; `dropOldest` drops the oldest
   * until there is room, or the new one where it alone is too large, and reports each. Default `reject`.
   */
  readonly overflow?: OverflowPolicy | undefined
}

/** Why a message will not be sent: no room, still waiting at the end of all, or an extension threw when encoding it. */
export type DropReason = 'overflow' | 'closed' | 'failed'

/** A message as it will be sent. */
export interface QueuedMessage {
  readonly data: string | Uint8Array | Prepared
  readonly type: MessageType | undefined
}

/** @throws UsageError `ERR_WS_INVALID_OPTION` naming what is wrong */
export function checkOutboxOptions(options: OutboxOptions): Required<{
  [Name in keyof OutboxOptions]: NonNullable<OutboxOptions[Name]>
}> {
  const { maxMessages = 1_000, maxBytes = 1024 * 1024, overflow = 'reject' } = options
  for (const [name, value] of Object.entries({ maxMessages, maxBytes })) {
    if (!Number.isSafeInteger(value) || value < 0)
      throw invalid(`outbox.${name} must be an integer from 0 on, not ${String(value)}`)
  }
  if (overflow !== 'reject' && overflow !== 'dropOldest' && overflow !== 'dropNewest')
    throw invalid(`outbox.overflow must be 'reject', 'dropOldest' or 'dropNewest', not ${String(overflow)}`)
  return { maxMessages, maxBytes, overflow }
}

/** Messages that wait for a connection, first in, first out, never more than the bounds allow. */
export class SendQueue {
  readonly #maxMessages: number
  readonly #maxBytes: number
  readonly #overflow: OverflowPolicy
  readonly #onDrop: (message: QueuedMessage, reason: DropReason) => void
  #messages: { readonly message: QueuedMessage; readonly size: number }[] = []
  /** Where the first one stands: those before it are gone. */
  #first = 0
  #bytes = 0
  /** `onDrop` is being called. */
  #reporting = false

  constructor(options: OutboxOptions, onDrop: (message: QueuedMessage, reason: DropReason) => void) {
    const { maxMessages, maxBytes, overflow } = checkOutboxOptions(options)
    this.#maxMessages = maxMessages
    this.#maxBytes = maxBytes
    this.#overflow = overflow
    this.#onDrop = onDrop
  }

  /** Messages that wait. */
  get length(): number {
    return this.#messages.length - this.#first
  }

  /** Bytes of their payloads. */
  get bytes(): number {
    return this.#bytes
  }

  /**
   * Takes a message in, by the overflow policy; whether it was. Bytes are copied, as they stay the caller's. What comes
   * while drops are reported is taken only if there is room: dropping and reporting would go round for ever.
   */
  add({ data, type }: QueuedMessage): boolean {
    const size = sizeOf(data)
    // Not at the cost of the others, when it will not fit all the same.
    const fits = size <= this.#maxBytes && this.#maxMessages > 0
    const dropped: QueuedMessage[] = []
    if (fits && this.#overflow === 'dropOldest' && !this.#reporting) {
      while (!this.#hasRoom(size)) dropped.push(this.take() as QueuedMessage)
    }
    const taken = fits && this.#hasRoom(size)
    if (taken) {
      const kept = data instanceof Uint8Array ? copyOf(data) : data
      this.#messages.push({ message: { data: kept, type }, size })
      this.#bytes += size
    } else if (this.#overflow !== 'reject' && !this.#reporting) dropped.push({ data, type })
    this.#report(dropped, 'overflow')
    return taken
  }

  /** Takes the first message out. */
  take(): QueuedMessage | undefined {
    const first = this.#messages[this.#first]
    if (first === undefined) return undefined
    this.#first++
    this.#bytes -= first.size
    // Not at each message, or a long queue would be moved as often as it is long.
    if (this.#first * 2 >= this.#messages.length) {
      this.#messages = this.#messages.slice(this.#first)
      this.#first = 0
    }
    return first.message
  }

  /** Drops and reports all that is left. */
  clear(): void {
    const left = this.#messages.slice(this.#first).map(({ message }) => message)
    this.#messages = []
    this.#first = this.#bytes = 0
    this.#report(left, 'closed')
  }

  /** Calls back when all is done: who hears of it may use the queue. */
  #report(dropped: readonly QueuedMessage[], reason: DropReason): void {
    if (dropped.length === 0) return
    this.#reporting = true
    for (const message of dropped) this.#onDrop(message, reason)
    this.#reporting = false
  }

  #hasRoom(size: number): boolean {
    return this.length < this.#maxMessages && this.#bytes + size <= this.#maxBytes
  }
}

function sizeOf(data: QueuedMessage['data']): number {
  if (typeof data === 'string') return Buffer.byteLength(data, 'utf8')
  return data instanceof Prepared ? data.byteLength : data.length
}

function invalid(message: string): UsageError {
  return new UsageError('ERR_WS_INVALID_OPTION', message)
}
