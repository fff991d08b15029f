import type { ReconnectOptions } from '../../src/client/reconnect-options.ts'
import type { Conn } from '../../src/conn/conn.ts'
import type { Limits } from '../../src/protocol/limits.ts'
import type { ServerConn } from '../../src/server/server-conn.ts'
import { HandshakeError } from '../../src/session/errors.ts'
import { FakeClock } from '../../src/testing/fake-clock.ts'
import { type Pair, pair } from '../../src/testing/pair.ts'

/** A server in memory to reconnect to, in fake time: it can be down, and its connections are in the test's hands. */
export class TestService implements AsyncDisposable {
  readonly clock: FakeClock = new FakeClock()
  /** When each attempt came. */
  readonly attempts: number[] = []
  /** All connections that there were. */
  readonly pairs: Pair[] = []
  /** What the next attempts fail with, in order; `undefined` lets one through. */
  readonly failures: (Error | undefined)[] = []
  /** What all attempts fail with when there is nothing left of that. */
  down: Error | undefined
  /** Gets each connection on the server's side. */
  handle: (conn: ServerConn) => void = () => {}
  /** Limits of the connections to come. */
  limits: Partial<Limits> = {}
  /** Called before each attempt is answered. */
  before: () => Promise<void> = async () => {}

  /** What `reconnect` needs to come here. Half of each delay is taken. */
  get options(): ReconnectOptions {
    return { clock: this.clock, random: () => 0.5, connect: () => this.#connect() }
  }

  /** The server's side of the last connection. */
  get server(): ServerConn {
    const last = this.pairs.at(-1)
    if (last === undefined) throw new Error('nobody has connected')
    return last.server
  }

  async #connect(): Promise<Conn> {
    this.attempts.push(this.clock.now())
    await this.before()
    const failure = this.failures.length > 0 ? this.failures.shift() : this.down
    if (failure !== undefined) throw failure
    const both = pair({ clock: this.clock, limits: this.limits })
    this.pairs.push(both)
    this.handle(both.server)
    return both.client
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.pairs.map((both) => both[Symbol.asyncDispose]()))
  }
}

/** As `dial` rejects when nobody listens. */
export function connectionRefused(): HandshakeError {
  const cause = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' })
  return new HandshakeError('ERR_WS_CONNECT', 'no connection: ECONNREFUSED', { cause })
}

/** As `dial` rejects when the server answers with a status other than 101. */
export function refusedWith(status: number, headers: Record<string, string> = {}): HandshakeError {
  return new HandshakeError('ERR_WS_STATUS', `the server answered with status ${status}, not 101`, {
    status,
    headers,
  })
}
