import { close, open } from 'node:fs'
import { devNull } from 'node:os'
import type { TimerWheel, WheelEntry } from '../conn/timer-wheel.ts'

/** Milliseconds between two looks. */
const INTERVAL = 1_000

/** Tries to open a file. */
export type Look = (told: (error: NodeJS.ErrnoException | null) => void) => void

/**
 * Finds out that this process, or the system, has no files left. On what a server could not take for that, Node hangs up, and
 * tells nobody; but a file can be opened no more either.
 */
export class FilesWatch implements WheelEntry {
  wheelNext: WheelEntry | undefined = undefined
  wheelPrevious: WheelEntry | undefined = undefined
  wheelDue = 0

  readonly #tell: (error: Error) => void
  readonly #wheel: TimerWheel
  readonly #look: Look
  #ended = false

  /** @param tell - called at every look that finds none left */
  constructor(tell: (error: Error) => void, wheel: TimerWheel, look: Look = openAndClose) {
    this.#tell = tell
    this.#wheel = wheel
    this.#look = look
    wheel.schedule(this, INTERVAL)
  }

  onDue(): void {
    this.#look((error) => {
      if (this.#ended) return
      if (error?.code === 'EMFILE' || error?.code === 'ENFILE') this.#tell(error)
      this.#wheel.schedule(this, INTERVAL)
    })
  }

  end(): void {
    this.#ended = true
    this.#wheel.cancel(this)
  }
}

const openAndClose: Look = (told) => {
  open(devNull, 'r', (error, fd) => {
    if (error === null) close(fd, () => told(null))
    else told(error)
  })
}
