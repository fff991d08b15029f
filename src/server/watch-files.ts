import { close, open } from 'node:fs'
import { devNull } from 'node:os'
import { type Clock, systemClock } from '../conn/timer-wheel.ts'

/** Milliseconds between two looks. */
const INTERVAL = 1_000

/** Tries to open a file. */
export type Look = (told: (error: NodeJS.ErrnoException | null) => void) => void

/**
 * Finds out that this process, or the system, has no files left. On what a server could not take for that, Node hangs up, and
 * tells nobody; but a file can be opened no more either.
 *
 * @param tell - called at every look that finds none left
 * @returns ends it
 */
export function watchFiles(
  tell: (error: Error) => void,
  clock: Clock = systemClock,
  look: Look = openAndClose,
): () => void {
  let ended = false
  let looking = false
  // Not a deadline of the wheel, which rests while there are no connections.
  const stop = clock.every(INTERVAL, () => {
    // Where the file system does not answer, looks must not pile up.
    if (looking) return
    looking = true
    look((error) => {
      looking = false
      if (!ended && (error?.code === 'EMFILE' || error?.code === 'ENFILE')) tell(error)
    })
  })
  return () => {
    ended = true
    stop()
  }
}

const openAndClose: Look = (told) => {
  open(devNull, 'r', (error, fd) => {
    if (error === null) close(fd, () => told(null))
    else told(error)
  })
}
