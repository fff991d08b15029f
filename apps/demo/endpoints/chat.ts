// /chat: gorilla's chat. What one says, everyone hears.

import { broadcast, CloseCode, prepare, type ServerConn, Upgrader } from 'silverback'
import type { Endpoint } from './endpoint.ts'

const limits = {
  /** Bytes of one message; the page knows the same number. */
  maxMessageSize: 4096,
  /** A client that has this much unread is too slow for the room. */
  maxSendBuffer: 256 * 1024,
}

/** The chat. Its page lives at the same path, so a plain GET gets the page and an upgrade the room. */
export function chat(): Endpoint {
  const upgrader = new Upgrader({ path: '/chat', limits })

  async function listen(conn: ServerConn): Promise<void> {
    for await (const { type, data } of conn.messages()) {
      if (type !== 'text') {
        await conn.close(CloseCode.UnsupportedData, 'the chat takes text only')
        return
      }
      // Encoded once, sent to all. Whoever can't keep up is closed rather than waited for: they can come back.
      broadcast(upgrader.connections, prepare(data), { slow: 'close' })
    }
  }

  return { path: '/chat', upgrader, handle: listen }
}
