import { constants } from 'node:buffer'
import { UsageError } from '../session/errors.ts'

/**
 * What a peer may make a connection grow to, and how long it may take. Sizes are bytes, times milliseconds.
 *
 * @example
 * ```ts
 * import { defaultLimits } from 'silverback'
 * console.log(defaultLimits.maxMessageSize) // 1048576
 * ```
 */
export interface Limits {
  /** The longest message taken, also after an extension has expanded it. Beyond: closed with 1009. Default 1 MiB. */
  readonly maxMessageSize: number
  /** The longest frame taken. Beyond: closed with 1009. Default: the larger of `maxMessageSize` and `maxStreamSize`. */
  readonly maxFrameSize: number
  /**
   * The longest message taken where it is read as a stream, piece by piece (`readStream`, `streams`). While this is more than
   * `maxMessageSize`, a longer message that nobody has asked for yet waits, and the peer with it, until somebody does:
   * a stream gets it, any other way of reading refuses it with 1009. Default: `maxMessageSize`.
   */
  readonly maxStreamSize: number
  /** Longer messages are sent in frames of this many bytes, so that pings, pongs and Close can pass between. Default 128 KiB. */
  readonly fragmentSize: number
  /** When more than this waits to be sent, the next `send` follows the slow policy. Default 4 MiB. */
  readonly maxSendBuffer: number
  /** Messages kept for a reader that is not ready; then the socket is paused. Default 64. */
  readonly maxQueuedMessages: number
  /** Bytes of messages kept for a reader that is not ready; then the socket is paused. Default 1 MiB. */
  readonly maxQueuedBytes: number
  /** Time for the whole opening handshake; 0 = no limit. Default 10 s. */
  readonly handshakeTimeout: number
  /** Silence after which a ping is sent; 0 = never. Default 25 s. */
  readonly pingInterval: number
  /** Silence after that ping before the connection counts as dead; 0 = never. Any received byte counts as life. Default 20 s. */
  readonly pongTimeout: number
  /**
   * Time for the closing handshake and the end of the TCP connection; 0 = no limit. While what was sent before still goes
   * out, it begins anew, twelve times at most. Default 5 s.
   */
  readonly closeTimeout: number
}

/**
 * The most that a message of `max` bytes may be while an extension has it encoded. What cannot be compressed grows:
 * zlib adds 5 bytes to each block that it stores, which is a few in 16 KiB at its usual setting, and 4 % at its
 * thriftiest. The limit itself is applied to the message once it is decoded.
 */
export function encodedSize(max: number): number {
  return max + Math.ceil(max / 8) + 64
}

const MiB = 1024 * 1024

/** The limits in force where an option does not say otherwise. */
export const defaultLimits: Limits = Object.freeze({
  maxMessageSize: MiB,
  maxFrameSize: MiB,
  maxStreamSize: MiB,
  fragmentSize: 128 * 1024,
  maxSendBuffer: 4 * MiB,
  maxQueuedMessages: 64,
  maxQueuedBytes: MiB,
  handshakeTimeout: 10_000,
  pingInterval: 25_000,
  pongTimeout: 20_000,
  closeTimeout: 5_000,
})

/** Times beyond this (24.8 days) do not fit the runtime's timers. */
const MAX_TIME = 2 ** 31 - 1

// A message must fit a string, whatever its type.
const MAX_MESSAGE = constants.MAX_STRING_LENGTH

const ranges: { readonly [Name in keyof Limits]: readonly [min: number, max: number] } = {
  maxMessageSize: [1, MAX_MESSAGE],
  maxFrameSize: [1, Number.MAX_SAFE_INTEGER],
  maxStreamSize: [1, Number.MAX_SAFE_INTEGER],
  fragmentSize: [125, Number.MAX_SAFE_INTEGER],
  maxSendBuffer: [1, Number.MAX_SAFE_INTEGER],
  maxQueuedMessages: [1, Number.MAX_SAFE_INTEGER],
  maxQueuedBytes: [1, Number.MAX_SAFE_INTEGER],
  handshakeTimeout: [0, MAX_TIME],
  pingInterval: [0, MAX_TIME],
  pongTimeout: [0, MAX_TIME],
  closeTimeout: [0, MAX_TIME],
}

/**
 * Checks a partial set of limits and completes it from the defaults (or from `base`).
 *
 * @throws UsageError `ERR_WS_INVALID_OPTION` for an unknown name or a value out of its range
 */
export function resolveLimits(given: Partial<Limits> | undefined, base: Limits = defaultLimits): Limits {
  if (given === undefined) return base
  if (typeof given !== 'object' || given === null) {
    throw new UsageError('ERR_WS_INVALID_OPTION', `limits must be an object, not ${String(given)}`)
  }
  const limits: Record<keyof Limits, number> = { ...base }
  for (const [name, value] of Object.entries(given)) {
    if (!Object.hasOwn(ranges, name)) {
      throw new UsageError(
        'ERR_WS_INVALID_OPTION',
        `limits.${name} is not a limit; the limits are ${Object.keys(ranges).join(', ')}`,
      )
    }
    if (value === undefined) continue
    const key = name as keyof Limits
    const [min, max] = ranges[key]
    if (!Number.isInteger(value) || value < min || value > max) {
      throw new UsageError(
        'ERR_WS_INVALID_OPTION',
        `limits.${name} must be an integer from ${min} to ${max}, not ${String(value)}`,
      )
    }
    limits[key] = value
  }
  // Who raises or lowers the message limit alone means streams and single frames too.
  if (given.maxMessageSize !== undefined && given.maxStreamSize === undefined) {
    limits.maxStreamSize = limits.maxMessageSize
  }
  if (given.maxFrameSize === undefined && (given.maxMessageSize ?? given.maxStreamSize) !== undefined) {
    limits.maxFrameSize = Math.max(limits.maxMessageSize, limits.maxStreamSize)
  }
  return Object.freeze(limits)
}
