import type { Conn } from '../conn/conn.ts'
import type { CloseStatus } from './close-status.ts'

/**
 * Closes once most of what was sent has left: from then on the close timeout counts, and a slow network would use it up
 * on messages.
 */
export async function closeWhenSent(conn: Conn, { code, reason }: CloseStatus): Promise<void> {
  try {
    await conn.drained()
  } catch {
    // It has ended by itself.
    return
  }
  void conn.close(code, reason)
}
