import type { Duplex } from 'node:stream'
import type { Extension } from '../protocol/extension.ts'
import type { Limits } from '../protocol/limits.ts'
import type { SlowPolicy } from './sender.ts'
import type { TimerWheel } from './timer-wheel.ts'

/** Whom a `Link` tells what became of it. */
export interface LinkOwner {
  /** The user's listener threw; the connection is being closed with 1011. */
  onListenerError(error: unknown): void
  /** The connection has ended: its `closeInfo` says how. */
  onClosed(): void
}

/** What a `Link` is made of. */
export interface LinkOptions {
  readonly socket: Duplex
  readonly role: 'server' | 'client'
  readonly limits: Limits
  readonly slow: SlowPolicy
  readonly extensions: readonly Extension[]
  /** Bytes that came behind the handshake. */
  readonly head: Buffer
  readonly owner: LinkOwner
  readonly wheel?: TimerWheel
}
