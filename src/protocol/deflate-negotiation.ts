import { UsageError } from '../session/errors.ts'
import type { ExtensionParams } from '../wire/header-grammar.ts'
import { Deflate, type DeflateDirection, takesDictionaries } from './deflate.ts'
import type { Extension, ExtensionFactory } from './extension.ts'

/**
 * How to compress (RFC 7692). With the defaults neither side holds memory between messages.
 *
 * @example
 * ```ts
 * import { dial, serve } from 'silverback'
 * await using server = await serve({ compression: { level: 6, threshold: 1024 } }, (conn) => {
 *   conn.onMessage((data) => conn.send(data))
 * })
 * await using conn = await dial(server.url, { compression: true })
 * console.log(conn.extensions) // permessage-deflate; server_no_context_takeover; client_no_context_takeover
 * ```
 */
export interface CompressionOptions {
  /** Messages of fewer bytes are sent as they are; so is what would not get smaller. Default 256. */
  readonly threshold?: number | undefined
  /** zlib's effort, from 0 (none) to 9: 6 takes more time for some bytes less. Default 1. */
  readonly level?: number | undefined
  /** zlib's working memory while it compresses, 1 to 9: 8 is 128 KiB. Default 8. */
  readonly memLevel?: number | undefined
  /** Whether what we send may refer to earlier messages: fewer bytes, more time, and a window kept. Never on Deno. Default false. */
  readonly sendTakeover?: boolean | undefined
  /** Whether what the peer sends may; else it is told not to. Costs a window of memory. Never on Deno. Default false. */
  readonly receiveTakeover?: boolean | undefined
  /** The most that a window for what we send may be, as a power of two: 8 to 15 (256 bytes to 32 KiB). Default 15. */
  readonly sendWindowBits?: number | undefined
  /** The same for what the peer sends. A client that cannot be told, such as Firefox, is told not to take over. Default 15. */
  readonly receiveWindowBits?: number | undefined
  /**
   * Whether short messages of all connections take turns with one stream of zlib, where nothing is taken over: that halves
   * what compression costs. It goes below the documented API of `node:zlib`, is tried out when it is first used, and left
   * alone where it does not work; `false` uses what is documented and nothing else. Default true.
   */
  readonly shareZlib?: boolean | undefined
}

const ranges: {
  readonly [Name in keyof CompressionOptions]-?: readonly [min: number, max: number] | 'boolean'
} = {
  threshold: [0, Number.MAX_SAFE_INTEGER],
  level: [0, 9],
  memLevel: [1, 9],
  sendTakeover: 'boolean',
  receiveTakeover: 'boolean',
  sendWindowBits: [8, 15],
  receiveWindowBits: [8, 15],
  shareZlib: 'boolean',
}

const defaults: ResolvedCompression = {
  threshold: 256,
  level: 1,
  memLevel: 8,
  sendTakeover: false,
  receiveTakeover: false,
  sendWindowBits: 15,
  receiveWindowBits: 15,
  shareZlib: true,
}

/** Found out when somebody wants it. */
let takesOver: boolean | undefined

function canTakeOver(): boolean {
  takesOver ??= takesDictionaries()
  return takesOver
}

/**
 * Checks the `compression` option and completes it; `undefined` means without. Where this runtime cannot refer to
 * earlier messages, takeover is off whatever was given: the other side is told so, and all else works.
 *
 * @throws UsageError `ERR_WS_INVALID_OPTION` naming what is wrong
 */
export function resolveCompression(
  given: boolean | CompressionOptions | undefined,
): ResolvedCompression | undefined {
  if (given === undefined || given === false) return undefined
  if (given === true) return defaults
  if (typeof given !== 'object' || given === null) {
    throw new UsageError(
      'ERR_WS_INVALID_OPTION',
      `compression must be a boolean or an object, not ${String(given)}`,
    )
  }
  for (const [name, value] of Object.entries(given)) {
    if (!Object.hasOwn(ranges, name)) {
      throw new UsageError(
        'ERR_WS_INVALID_OPTION',
        `compression.${name} is not an option; the options are ${Object.keys(ranges).join(', ')}`,
      )
    }
    const range = ranges[name as keyof CompressionOptions]
    if (value === undefined || (range === 'boolean' && typeof value === 'boolean')) continue
    if (range !== 'boolean' && Number.isInteger(value) && value >= range[0] && value <= range[1]) continue
    const expected = range === 'boolean' ? 'a boolean' : `an integer from ${range[0]} to ${range[1]}`
    throw new UsageError(
      'ERR_WS_INVALID_OPTION',
      `compression.${name} must be ${expected}, not ${String(value)}`,
    )
  }
  const set = Object.entries(given).filter(([, value]) => value !== undefined)
  return asRuntimeCan({ ...defaults, ...Object.fromEntries(set) })
}

/** The options without takeover, where this runtime has none. */
export function asRuntimeCan(
  options: ResolvedCompression,
  canDo: () => boolean = canTakeOver,
): ResolvedCompression {
  if ((!options.sendTakeover && !options.receiveTakeover) || canDo()) return options
  return { ...options, sendTakeover: false, receiveTakeover: false }
}

/** The options, complete. */
export type ResolvedCompression = {
  readonly [Name in keyof CompressionOptions]-?: NonNullable<CompressionOptions[Name]>
}

/** The four parameters, as they were said. */
interface Parameters {
  readonly serverNoTakeover: boolean
  readonly clientNoTakeover: boolean
  readonly serverWindowBits: number | undefined
  /** `true`: named without a value, which only an offer may do. */
  readonly clientWindowBits: number | true | undefined
}

const MAX_WINDOW_BITS = 15

/** permessage-deflate, to be offered by a client or negotiated by a server (RFC 7692 section 7.1). */
export function deflateExtension(options: ResolvedCompression): ExtensionFactory {
  const { threshold, level, memLevel, sendTakeover, receiveTakeover, sendWindowBits, receiveWindowBits } =
    options
  const share = options.shareZlib
  const make = (send: DeflateDirection, receive: DeflateDirection): Extension =>
    new Deflate({ send, receive, threshold, level, memLevel, share })

  return {
    name: 'permessage-deflate',

    offers() {
      const offer = new Map<string, string | true>()
      if (!receiveTakeover) offer.set('server_no_context_takeover', true)
      if (!sendTakeover) offer.set('client_no_context_takeover', true)
      if (receiveWindowBits < MAX_WINDOW_BITS) offer.set('server_max_window_bits', String(receiveWindowBits))
      // Without a value: the server may name one (RFC 7692 section 7.1.2.2).
      offer.set('client_max_window_bits', sendWindowBits < MAX_WINDOW_BITS ? String(sendWindowBits) : true)
      return [offer]
    },

    accept(params) {
      const answer = readParameters(params)
      if (answer === undefined || answer.clientWindowBits === true) return undefined
      const { serverWindowBits = MAX_WINDOW_BITS, clientWindowBits = sendWindowBits } = answer
      // What was asked of the server is accepted by saying so (RFC 7692 sections 7.1.1.1 and 7.1.2.1), and what was
      // said of our window is a bound for its answer (7.1.2.2): anything else is no agreement.
      if (!receiveTakeover && !answer.serverNoTakeover) return undefined
      if (serverWindowBits > receiveWindowBits || clientWindowBits > sendWindowBits) return undefined
      return make(
        {
          takeover: sendTakeover && !answer.clientNoTakeover,
          windowBits: clientWindowBits,
        },
        { takeover: !answer.serverNoTakeover, windowBits: serverWindowBits },
      )
    },

    negotiate(offers) {
      for (const params of offers) {
        const offer = readParameters(params)
        if (offer === undefined) continue
        const send = Math.min(sendWindowBits, offer.serverWindowBits ?? MAX_WINDOW_BITS)
        const asked = offer.clientWindowBits
        // A client that does not speak of its window, such as Firefox, cannot be told to make it smaller; but every
        // client can be told to use it for one message only, so that nothing of it has to be kept here.
        const deaf = asked === undefined && receiveWindowBits < MAX_WINDOW_BITS
        const receive = Math.min(
          deaf ? MAX_WINDOW_BITS : receiveWindowBits,
          typeof asked === 'number' ? asked : MAX_WINDOW_BITS,
        )
        const serverNoTakeover = !sendTakeover || offer.serverNoTakeover
        const clientNoTakeover = !receiveTakeover || offer.clientNoTakeover || deaf

        const answer = new Map<string, string | true>()
        if (serverNoTakeover) answer.set('server_no_context_takeover', true)
        if (clientNoTakeover) answer.set('client_no_context_takeover', true)
        if (offer.serverWindowBits !== undefined || send < MAX_WINDOW_BITS) {
          answer.set('server_max_window_bits', String(send))
        }
        if (receive < MAX_WINDOW_BITS) answer.set('client_max_window_bits', String(receive))
        return {
          params: answer,
          extension: make(
            { takeover: !serverNoTakeover, windowBits: send },
            { takeover: !clientNoTakeover, windowBits: receive },
          ),
        }
      }
      return undefined
    },
  }
}

/** `undefined` for an unknown parameter, or a value that it may not have (RFC 7692 section 7.1). */
function readParameters(params: ExtensionParams): Parameters | undefined {
  let serverNoTakeover = false
  let clientNoTakeover = false
  let serverWindowBits: number | undefined
  let clientWindowBits: number | true | undefined
  for (const [name, value] of params) {
    if (name === 'server_no_context_takeover' && value === true) serverNoTakeover = true
    else if (name === 'client_no_context_takeover' && value === true) clientNoTakeover = true
    else if (name === 'client_max_window_bits' && value === true) clientWindowBits = true
    else {
      const bits = typeof value === 'string' ? readBits(value) : undefined
      if (bits === undefined) return undefined
      if (name === 'server_max_window_bits') serverWindowBits = bits
      else if (name === 'client_max_window_bits') clientWindowBits = bits
      else return undefined
    }
  }
  return { serverNoTakeover, clientNoTakeover, serverWindowBits, clientWindowBits }
}

/** 8 to 15 in decimal, without leading zeros. */
function readBits(value: string): number | undefined {
  const bits = ['8', '9', '10', '11', '12', '13', '14', '15'].indexOf(value)
  return bits < 0 ? undefined : bits + 8
}
