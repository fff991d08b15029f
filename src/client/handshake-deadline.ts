import { clearTimeout, setTimeout } from 'node:timers'
import { onAbort } from '../conn/on-abort.ts'
import { TimeoutError } from '../session/errors.ts'
import { RuntimeAbortController } from './runtime.ts'

/** The time that a dial may take and the caller's signal, as one signal for all its steps, redirects included. */
export class HandshakeDeadline {
  readonly #controller = new RuntimeAbortController()
  readonly #stop: (() => void) | undefined
  readonly #timer: NodeJS.Timeout | undefined
  #expired = false

  /**
   * @param timeout - in milliseconds; 0 = no limit
   * @throws the signal's reason when that is aborted already
   */
  constructor(timeout: number, signal: AbortSignal | undefined) {
    signal?.throwIfAborted()
    this.#stop = signal && onAbort(signal, () => this.#controller.abort(signal.reason))
    if (timeout > 0) {
      this.#timer = setTimeout(() => {
        this.#expired = true
        this.#controller.abort(new TimeoutError('ERR_WS_HANDSHAKE_TIMEOUT', 'handshake', timeout))
      }, timeout)
    }
  }

  /** Aborted with a `TimeoutError` when the time is up, or with the reason of the caller's signal. */
  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** It was the time that ended it, and not the caller. */
  get expired(): boolean {
    return this.#expired
  }

  /** Nothing is waited for any more: lets go of the timer and of the caller's signal. */
  end(): void {
    clearTimeout(this.#timer)
    this.#stop?.()
  }
}
