import type { IncomingHttpHeaders } from 'node:http'
import { listHasToken } from '../wire/header-grammar.ts'

/**
 * Whether a request asks for a WebSocket: `Connection` has `upgrade`, `Upgrade` has `websocket` (RFC 6455 section
 * 4.2.1). It may still be refused for something else. For routing of your own; takes time in proportion to the two
 * headers, and never throws.
 *
 * @example
 * ```ts
 * import { createServer } from 'node:http'
 * import { isWebSocketUpgrade, reject, Upgrader } from 'silverback'
 *
 * const upgrader = new Upgrader()
 * const accept = upgrader.handler((conn) => void conn.send('hi'))
 * const server = createServer()
 * server.on('upgrade', (request, socket, head) => {
 *   if (isWebSocketUpgrade(request)) accept(request, socket, head)
 *   else reject(socket, 426, { headers: { Upgrade: 'websocket' } })
 * })
 * ```
 */
export function isWebSocketUpgrade(request: { readonly headers: IncomingHttpHeaders }): boolean {
  const { connection, upgrade } = request.headers
  return listHasToken(connection, 'upgrade') && listHasToken(upgrade, 'websocket')
}
