// /echo: whatever comes in, text or binary, goes back out.

import { type ServerConn, Upgrader } from 'silverback'
import { sendText } from '../respond.ts'
import type { Endpoint } from './endpoint.ts'

/** The largest message that /echo takes, in bytes. */
const maxMessageSize = 64 * 1024 * 1024

/** The echo of everything. */
export function echo(): Endpoint {
  return {
    path: '/echo',
    upgrader: new Upgrader({ path: '/echo', limits: { maxMessageSize } }),
    handle: echoAll,
    plain(_request, response) {
      sendText(response, 426, 'This address speaks WebSocket only', {
        connection: 'Upgrade',
        upgrade: 'websocket',
      })
    },
  }
}

async function echoAll(conn: ServerConn): Promise<void> {
  for await (const message of conn) {
    // false: more waits to be sent than is good. Reading on only when there is room makes a peer
    // that sends faster than it reads feel its own slowness, instead of filling our memory.
    if (!conn.send(message)) await conn.drained()
  }
}
