import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Handler, Upgrader } from 'silverback'

/** One WebSocket address of the demo. */
export interface Endpoint {
  readonly path: string
  /** Decides who gets in, and turns their requests into connections. */
  readonly upgrader: Upgrader
  /** What happens on each connection. */
  readonly handle: Handler
  /** Answers a plain HTTP request for this path; absent where a page lives at the same path. */
  readonly plain?: (request: IncomingMessage, response: ServerResponse) => void
}
