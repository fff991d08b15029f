import { isIP, type Socket } from 'node:net'
import { clearTimeout, setTimeout } from 'node:timers'
import { silenceErrors } from './stream-event.ts'

/** How long an attempt is alone before the next begins, in milliseconds (RFC 8305 section 5). */
const ATTEMPT_DELAY = 250

/**
 * Connects to one of several addresses ("happy eyeballs", RFC 8305): they are tried in turn, the families alternating,
 * each as soon as the one before has failed or had its time. None is given up for the next: the first that connects is
 * taken, and the others are destroyed.
 *
 * @param addresses - one at least, best first
 * @param open - begins to connect to one of them
 * @throws the error of the only attempt, or an `AggregateError` of all; the signal's reason
 */
export function connectFirst(
  addresses: readonly string[],
  open: (address: string) => Socket,
  signal: AbortSignal,
): Promise<Socket> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted()
    const waiting = alternate(addresses)
    const running = new Set<Socket>()
    const errors: Error[] = []
    let timer: NodeJS.Timeout | undefined
    let over = false
    const end = (winner?: Socket): void => {
      over = true
      clearTimeout(timer)
      signal.removeEventListener('abort', onAbort)
      for (const socket of running) if (socket !== winner) socket.destroy()
      running.clear()
    }
    const onAbort = (): void => {
      end()
      reject(signal.reason as Error)
    }
    const next = (): void => {
      clearTimeout(timer)
      const address = waiting.shift()
      if (address !== undefined) begin(address)
      else if (running.size === 0) {
        end()
        reject(allFailed(errors))
      }
    }
    const begin = (address: string): void => {
      const socket = silenceErrors(open(address))
      running.add(socket)
      socket.once('connect', () => {
        if (over) return
        end(socket)
        resolve(socket)
      })
      socket.once('error', (error) => {
        if (over) return
        running.delete(socket)
        errors.push(error)
        next()
      })
      if (waiting.length > 0) timer = setTimeout(next, ATTEMPT_DELAY)
    }
    signal.addEventListener('abort', onAbort)
    next()
  })
}

/** The families in turn, beginning with that of the first address (RFC 8305 section 4). */
function alternate(addresses: readonly string[]): string[] {
  const first = isIP(addresses[0] ?? '')
  const preferred = addresses.filter((address) => isIP(address) === first)
  const other = addresses.filter((address) => isIP(address) !== first)
  return addresses
    .flatMap((_, turn) => [preferred[turn], other[turn]])
    .filter((address) => address !== undefined)
}

function allFailed(errors: readonly Error[]): unknown {
  const [first] = errors
  return errors.length === 1
    ? first
    : Object.assign(new AggregateError(errors), {
        code: (first as NodeJS.ErrnoException).code,
        syscall: 'connect',
      })
}
