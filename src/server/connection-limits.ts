import type { IncomingMessage } from 'node:http'
import { addressKey } from './address-key.ts'
import { type Denial, deny } from './denial.ts'

/** How many connections there may be; `undefined` for any number. */
export interface ConnectionLimitsOptions {
  readonly maxConnections: number | undefined
  readonly maxConnectionsPerAddress: number | undefined
  readonly addressOf: (request: IncomingMessage) => string | undefined
}

/** In seconds: what is refused now may fit soon, but a fleet that tries without a pause never does. */
const RETRY_AFTER = '10'

/** One connection's share of the limits. Given back once, however often it is released. */
export interface Place {
  readonly accepted: true
  release(): void
}

/**
 * Counts connections, those that wait for `authorize` included. It remembers nothing of who has none: an entry for an
 * address lives as long as a connection from there.
 */
export class ConnectionLimits {
  readonly #options: ConnectionLimitsOptions
  readonly #counts = new Map<string, number>()
  #total = 0

  constructor(options: ConnectionLimitsOptions) {
    this.#options = options
  }

  /** Connections that are counted. */
  get total(): number {
    return this.#total
  }

  /** Addresses that connections are counted under. */
  get addresses(): number {
    return this.#counts.size
  }

  /** A place for a connection, or why there is none. What `addressOf` throws passes through. */
  take(request: IncomingMessage): Place | Denial {
    const { maxConnections = Number.POSITIVE_INFINITY, maxConnectionsPerAddress: most } = this.#options
    if (this.#total >= maxConnections)
      return full(503, 'ERR_WS_CONNECTION_LIMIT', 'the server has as many connections as it takes')
    const key = most === undefined ? undefined : this.#keyOf(request)
    const count = key === undefined ? 0 : (this.#counts.get(key) ?? 0)
    if (most !== undefined && count >= most)
      return full(429, 'ERR_WS_ADDRESS_LIMIT', 'too many connections from this address')
    this.#total++
    if (key !== undefined) this.#counts.set(key, count + 1)
    return this.#place(key)
  }

  /** `undefined` where there is no address: on a Unix socket. */
  #keyOf(request: IncomingMessage): string | undefined {
    const address = this.#options.addressOf(request) || request.socket.remoteAddress
    return address === undefined ? undefined : addressKey(address)
  }

  #place(key: string | undefined): Place {
    let released = false
    return {
      accepted: true,
      release: () => {
        if (released) return
        released = true
        this.#total--
        if (key === undefined) return
        const count = this.#counts.get(key) as number
        if (count > 1) this.#counts.set(key, count - 1)
        else this.#counts.delete(key)
      },
    }
  }
}

function full(
  status: number,
  code: 'ERR_WS_CONNECTION_LIMIT' | 'ERR_WS_ADDRESS_LIMIT',
  message: string,
): Denial {
  return deny(status, code, message, { headers: { 'Retry-After': RETRY_AFTER } })
}
