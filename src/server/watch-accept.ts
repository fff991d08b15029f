import type { Server as HttpServer } from 'node:http'
import { type Log, Observer } from '../conn/observer.ts'
import { processWheel, type TimerWheel, type WheelEntry } from '../conn/timer-wheel.ts'
import { HandshakeError } from '../session/errors.ts'
import { watchFiles } from './watch-files.ts'

/** While a failure repeats it is told this often, in milliseconds. */
const INTERVAL = 10_000

/**
 * Tells of connections that a server could not take, and keeps their `'error'` events from ending the process. For a
 * server that listens: until then an error is the answer to `listen`.
 *
 * @param log - default: what goes wrong here is printed
 */
export function watchAccept(
  server: HttpServer,
  log: Log = printErrors,
  wheel: TimerWheel = processWheel,
): void {
  const observer = new Observer(log)
  const tell = (error: Error, count: number): void => observer.notAccepted(server, error, count)
  const failures = new Repeated(tell, wheel)
  const drops = new Repeated(tell, wheel)
  // Nobody counts those.
  const exhausted = new Repeated((error) => tell(error, 0), wheel)
  const unwatch = watchFiles((error) => exhausted.add(error))
  server.on('error', (error) => failures.add(error))
  // Node has closed the connection: there are as many as its own `maxConnections` allows.
  server.on('drop', () => drops.add(tooMany(server.maxConnections)))
  server.on('close', () => {
    failures.end()
    drops.end()
    exhausted.end()
    unwatch()
  })
}

/**
 * What may happen in each turn of the event loop: the first is told at once, then once in a while how many there were
 * since. All share the wheel's one timer.
 */
class Repeated implements WheelEntry {
  wheelNext: WheelEntry | undefined = undefined
  wheelPrevious: WheelEntry | undefined = undefined
  wheelDue = 0

  readonly #tell: (latest: Error, count: number) => void
  readonly #wheel: TimerWheel
  /** The latest of those that were not told. */
  #latest: Error | undefined
  #count = 0
  #waiting = false

  constructor(tell: (latest: Error, count: number) => void, wheel: TimerWheel) {
    this.#tell = tell
    this.#wheel = wheel
  }

  add(error: Error): void {
    this.#latest = error
    this.#count++
    if (!this.#waiting) this.onDue()
  }

  onDue(): void {
    this.#waiting = this.#count > 0
    if (this.#waiting) this.#wheel.schedule(this, INTERVAL)
    this.#say()
  }

  end(): void {
    this.#wheel.cancel(this)
    this.#waiting = false
    this.#say()
  }

  #say(): void {
    const [latest, count] = [this.#latest, this.#count]
    this.#latest = undefined
    this.#count = 0
    if (latest !== undefined) this.#tell(latest, count)
  }
}

function tooMany(maxConnections: number): HandshakeError {
  return new HandshakeError(
    'ERR_WS_CONNECTION_LIMIT',
    `the HTTP server takes no more than ${maxConnections} TCP connections`,
  )
}

function printErrors({ level, message }: Parameters<Log>[0]): void {
  if (level === 'error') console.error(`silverback: ${message}`)
}
