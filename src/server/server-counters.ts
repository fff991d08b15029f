import type { CloseInfo, ConnStats, EncodingStats } from '../session/close-info.ts'
import type { ErrorCode } from '../session/errors.ts'

/**
 * What an `Upgrader` or a server has done since it was made: of the connections that are open as well as of those that
 * have ended. Nothing is counted twice, and nothing but `open` and `pending` ever falls.
 */
export interface ServerStats {
  /** Connections that have not ended. */
  readonly open: number
  /** Requests that wait for `authorize`. */
  readonly pending: number
  /** Connections made: requests answered with 101. */
  readonly accepted: number
  /** Requests refused, by the `code` that `onReject` gets. A request that no upgrader wanted is none of ours. */
  readonly refused: Readonly<Partial<Record<ErrorCode, number>>>
  /** Connections ended, by the `code` of their `CloseInfo`. Peers choose codes: of 3000-4999 they may use each. */
  readonly closed: Readonly<Record<number, number>>
  /** Bytes of WebSocket streams that came, frame headers included, without the handshakes. */
  readonly bytesReceived: number
  /** Bytes of what was sent on WebSocket streams, those that still wait included. */
  readonly bytesSent: number
  /** Messages that came whole, taken or not. */
  readonly messagesReceived: number
  /** Messages that were taken to be sent. */
  readonly messagesSent: number
  /** Messages given to `send` that were not sent: by the slow policy, or since the connection was ending. */
  readonly sendsDropped: number
  /** Messages received while we closed that there was no room for; some that follow the first one may not be counted. */
  readonly receivesDropped: number
  /** What compression, or another extension, made of messages, over all connections that have one. */
  readonly encoding: EncodingStats
}

/** What changes with each message, and is therefore read from the connections. */
interface Sums {
  bytesReceived: number
  bytesSent: number
  messagesReceived: number
  messagesSent: number
  sendsDropped: number
  receivesDropped: number
  readonly encoding: { -readonly [Name in keyof EncodingStats]: number }
}

/** Keeps the totals of a server. Costs nothing per message: a connection's counters are added when it ends. */
export class ServerCounters {
  #accepted = 0
  readonly #refused = new Map<ErrorCode, number>()
  readonly #closed = new Map<number, number>()
  readonly #ended: Sums = noSums()

  /** A connection was made. */
  accept(): void {
    this.#accepted++
  }

  /** A request was refused. */
  refuse(code: ErrorCode): void {
    increment(this.#refused, code)
  }

  /** A connection has ended. */
  end({ code, stats }: Pick<CloseInfo, 'code' | 'stats'>): void {
    increment(this.#closed, code)
    add(this.#ended, stats)
  }

  /** The totals, with those of the live connections. */
  read(live: ReadonlySet<{ readonly stats: ConnStats }>, pending: number): ServerStats {
    const sums = noSums()
    add(sums, this.#ended)
    for (const { stats } of live) add(sums, stats)
    return {
      open: live.size,
      pending,
      accepted: this.#accepted,
      refused: Object.fromEntries(this.#refused),
      closed: Object.fromEntries(this.#closed),
      ...sums,
    }
  }
}

function noSums(): Sums {
  return {
    bytesReceived: 0,
    bytesSent: 0,
    messagesReceived: 0,
    messagesSent: 0,
    sendsDropped: 0,
    receivesDropped: 0,
    encoding: { plainSent: 0, encodedSent: 0, plainReceived: 0, encodedReceived: 0 },
  }
}

function add(sums: Sums, stats: Omit<ConnStats, 'rtt'>): void {
  sums.bytesReceived += stats.bytesReceived
  sums.bytesSent += stats.bytesSent
  sums.messagesReceived += stats.messagesReceived
  sums.messagesSent += stats.messagesSent
  sums.sendsDropped += stats.sendsDropped
  sums.receivesDropped += stats.receivesDropped
  const { encoding } = stats
  if (encoding === undefined) return
  sums.encoding.plainSent += encoding.plainSent
  sums.encoding.encodedSent += encoding.encodedSent
  sums.encoding.plainReceived += encoding.plainReceived
  sums.encoding.encodedReceived += encoding.encodedReceived
}

function increment<Key>(counts: Map<Key, number>, key: Key): void {
  counts.set(key, (counts.get(key) ?? 0) + 1)
}
