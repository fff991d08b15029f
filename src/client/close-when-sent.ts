import { clearTimeout, setTimeout } from 'node:timers'
import { CloseDeadline } from '../conn/close-deadline.ts'
import type { Conn } from '../conn/conn.ts'
import type { CloseStatus } from './close-status.ts'
import { RuntimeAbortController } from './runtime.ts'

/** How long nothing may leave before it is waited no more, in milliseconds: as long as the close timeout. */
export const CLOSE_PATIENCE = 10_000

/**
 * Closes once most of what was sent has left: from then on the close timeout counts, and a slow network would use it up
 * on messages. A peer that takes nothing, or next to nothing, is not waited for: then the connection's own deadlines hold.
 */
export async function closeWhenSent(
  conn: Conn,
  { code, reason }: CloseStatus,
  patience: number = CLOSE_PATIENCE,
): Promise<void> {
  const giveUp = new RuntimeAbortController()
  const left = (): number => conn.stats.bytesSent - conn.bufferedAmount
  const deadline = new CloseDeadline(left())
  const look = (): NodeJS.Timeout =>
    setTimeout(() => {
      if (deadline.goesOn(left())) timer = look()
      else giveUp.abort()
    }, patience)
  let timer = look()
  try {
    await conn.drained({ signal: giveUp.signal })
  } catch {
    // Else it has ended by itself.
    if (conn.state !== 'open') return
  } finally {
    clearTimeout(timer)
  }
  void conn.close(code, reason)
}
