import { type Channel, channel } from 'node:diagnostics_channel'
import type { Server as HttpServer, IncomingMessage } from 'node:http'
import { describeThrown } from '../session/as-error.ts'
import type { CloseInfo } from '../session/close-info.ts'
import { CloseError, HandshakeError } from '../session/errors.ts'
import type { Conn } from './conn.ts'
import { endsQuietly } from './message-iterator.ts'
import { tellListener } from './tell-listener.ts'

/**
 * What is published on the channels of `node:diagnostics_channel`, by their names. Subscribers see every connection of
 * the process; they are called at once, and one that throws ends the process, as Node has it. Without subscribers a
 * channel costs nothing.
 *
 * @example
 * ```ts
 * import { subscribe } from 'node:diagnostics_channel'
 * import type { DiagnosticsEvents } from 'silverback'
 *
 * subscribe('silverback:close', (message) => {
 *   const { conn, info } = message as DiagnosticsEvents['silverback:close']
 *   console.log(conn.id, info.code, info.stats.bytesReceived)
 * })
 * ```
 */
export interface DiagnosticsEvents {
  /** A connection has been made, on either side; a server's has a `request`. */
  readonly 'silverback:open': {
    /** The new connection. */
    readonly conn: Conn
  }
  /** A connection has ended. */
  readonly 'silverback:close': {
    /** The connection that has ended. */
    readonly conn: Conn
    /** How it ended, as `conn.closed` tells. */
    readonly info: CloseInfo
  }
  /** A handler or a listener of the application failed; the connection is being closed with 1011. */
  readonly 'silverback:error': {
    /** The connection whose handler or listener it was. */
    readonly conn: Conn
    /** What was thrown. */
    readonly error: unknown
  }
  /** A server has refused a request: `reason` has the status. */
  readonly 'silverback:refuse': {
    /** The request that was refused. */
    readonly request: IncomingMessage
    /** Why, with the status that was answered. */
    readonly reason: HandshakeError
  }
  /** A client has not got its connection. */
  readonly 'silverback:dial-error': {
    /** Where it was to go, without user and password. */
    readonly url: string
    /** What `dial` rejects with. */
    readonly error: unknown
  }
  /**
   * A server of `serve`'s own could not take TCP connections, as Node told it. While that repeats, it is published once
   * in ten seconds.
   */
  readonly 'silverback:accept-error': {
    /** The HTTP server. */
    readonly server: HttpServer
    /** The latest: what the system says, such as `ENFILE`; a `HandshakeError` where `maxConnections` of `server` is reached. */
    readonly error: Error
    /** How many there were since it was published last; 0 where nobody can count them: no open files are left. */
    readonly count: number
  }
}

/** What a `log` function gets. */
export interface LogEntry {
  /** How much it matters: connections come and go at `debug`; `warn` is for what went wrong outside, `error` for what went wrong here. */
  readonly level: 'debug' | 'info' | 'warn' | 'error'
  /** What happened: the name of the diagnostics channel without `silverback:`. */
  readonly event: 'open' | 'close' | 'error' | 'refuse' | 'dial-error' | 'accept-error'
  /** One line in words. Control characters are escaped, so that peers cannot forge lines. */
  readonly message: string
  /** The connection, where there is one. */
  readonly conn?: Conn | undefined
  /** How it ended, for `close`. */
  readonly info?: CloseInfo | undefined
  /** The refused request, for `refuse`. */
  readonly request?: IncomingMessage | undefined
  /** What went wrong. */
  readonly error?: unknown
}

/**
 * Takes log entries; fits any logger by one line. One that throws, or rejects, is printed with `console.error`.
 *
 * @example
 * ```ts
 * import { serve } from 'silverback'
 * await using server = await serve({ log: ({ level, message }) => console[level](message) }, (conn) => {
 *   conn.onMessage((data) => conn.send(data))
 * })
 * ```
 */
export type Log = (entry: LogEntry) => void

const channels: Readonly<Record<keyof DiagnosticsEvents, Channel>> = {
  'silverback:open': channel('silverback:open'),
  'silverback:close': channel('silverback:close'),
  'silverback:error': channel('silverback:error'),
  'silverback:refuse': channel('silverback:refuse'),
  'silverback:dial-error': channel('silverback:dial-error'),
  'silverback:accept-error': channel('silverback:accept-error'),
}

/** Tells the outside what happens to connections: by diagnostics channels, and by the application's `log` if there is one. */
export class Observer {
  readonly #log: Log | undefined

  constructor(log?: Log) {
    this.#log = log
  }

  /** A connection has been made. */
  opened(conn: Conn): void {
    publish('silverback:open', { conn })
    if (this.#log === undefined) return
    this.#say({ level: 'debug', event: 'open', message: `${subject(conn)} opened`, conn })
  }

  /** A connection has ended. */
  closed(conn: Conn, info: CloseInfo): void {
    publish('silverback:close', { conn, info })
    if (this.#log === undefined) return
    const level = endsQuietly(info) ? 'debug' : 'warn'
    const message = `${subject(conn)}: ${new CloseError(info).message}`
    this.#say({ level, event: 'close', message, conn, info, error: info.error })
  }

  /** Code of the application failed. */
  failed(conn: Conn, error: unknown): void {
    publish('silverback:error', { conn, error })
    this.#say({
      level: 'error',
      event: 'error',
      message: `${subject(conn)}: ${describeThrown(error)}`,
      conn,
      error,
    })
  }

  /** A request was refused. */
  refused(request: IncomingMessage, reason: HandshakeError): void {
    publish('silverback:refuse', { request, reason })
    if (this.#log === undefined) return
    const { status = 0, cause } = reason
    const what = `${JSON.stringify(request.url ?? '')} refused with ${status}: ${reason.message}`
    const level = status >= 500 && cause !== undefined ? 'error' : 'warn'
    this.#say({ level, event: 'refuse', message: `request for ${what}`, request, error: cause ?? reason })
  }

  /** A client has not got its connection. */
  dialFailed(url: string, error: unknown): void {
    publish('silverback:dial-error', { url, error })
    this.#say({
      level: 'warn',
      event: 'dial-error',
      message: `no connection to ${url}: ${describeThrown(error)}`,
      error,
    })
  }

  /** A server could not take so many TCP connections; 0: nobody knows how many. */
  notAccepted(server: HttpServer, error: Error, count: number): void {
    publish('silverback:accept-error', { server, error, count })
    const what =
      count === 0 ? 'connections are' : count === 1 ? 'a connection was' : `${count} connections were`
    this.#say({
      // Who has set a bound for connections knows that it will be reached.
      level: error instanceof HandshakeError ? 'warn' : 'error',
      event: 'accept-error',
      message: `${what} not accepted: ${error.message}`,
      error,
    })
  }

  #say(entry: LogEntry): void {
    const log = this.#log
    if (log !== undefined) tellListener('log', () => log({ ...entry, message: oneLine(entry.message) }))
  }
}

function publish<Name extends keyof DiagnosticsEvents>(name: Name, message: DiagnosticsEvents[Name]): void {
  const target = channels[name]
  if (target.hasSubscribers) target.publish(message)
}

function subject(conn: Conn): string {
  const side = conn.request === undefined ? 'to' : 'from'
  return `connection ${conn.id} ${side} ${conn.remoteAddress ?? 'an unknown address'}`
}

/** What peers chose, such as the reason of a Close frame, must not look like another line, or steer a terminal. */
function oneLine(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this is about
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, (char) => {
    return `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`
  })
}
