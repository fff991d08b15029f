import { Conn, type ConnDetails } from '../conn/conn.ts'
import type { Link } from '../conn/link.ts'
import type { HandshakeRequest } from '../session/handshake-request.ts'

/** What a server knows of a connection. */
export interface ServerConnDetails extends ConnDetails {
  readonly request: HandshakeRequest
  readonly context: unknown
}

/** A connection on the server's side. */
export class ServerConn<Subprotocol extends string = string, Context = unknown> extends Conn<Subprotocol> {
  /**
   * What is kept of the HTTP request that opened it: target and header fields. The whole request is given to
   * `authorize`; what else is needed of it goes into the {@link context}.
   */
  declare readonly request: HandshakeRequest
  /**
   * What the option `authorize` handed over, such as the user; `undefined` without that option.
   *
   * @example
   * ```ts
   * import { serve } from 'silverback'
   *
   * const users = new Map([['s3cret', { name: 'ann' }]])
   * await using server = await serve(
   *   { authorize: (request) => users.get(request.headers.authorization?.slice(7) ?? '') },
   *   (conn) => void conn.send(`hello, ${conn.context.name}`),
   * )
   * ```
   */
  readonly context: Context

  /** @internal */
  constructor(link: Link, details: ServerConnDetails) {
    super(link, details as unknown as ConnDetails<Subprotocol>)
    this.context = details.context as Context
  }
}
