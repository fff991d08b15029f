// Opens connections between one kind of peer and us, on either side.

import assert from 'node:assert/strict'
import {
  type CompressionOptions,
  type Conn,
  dial,
  type Limits,
  type Server,
  type ServerConn,
  serve,
} from 'silverback'
import { LedPeer, type Opened, type Program } from '../led-peer.ts'
import type { PeerKind, Side } from './peer-kind.ts'

/** What the two ends are opened with. */
export interface BenchOptions {
  /** Offered by the client; the server speaks `v1` and `v2`. */
  readonly subprotocols?: readonly string[]
  readonly compression?: boolean | CompressionOptions
  readonly limits?: Partial<Limits>
  /** Whether the peer has permessage-deflate; default: as we have. */
  readonly peerCompression?: boolean
  /** The longest message that the peer takes. */
  readonly peerMaxSize?: number
  /** Makes gorilla's fragments short. */
  readonly writeBuffer?: number
}

/** Two ends of one connection. */
export interface Pair extends AsyncDisposable {
  readonly conn: Conn
  readonly peer: LedPeer
  readonly opened: Opened
  /** Ours, where the peer is the client. */
  readonly server: Server | undefined
}

const spoken = ['v1', 'v2']

/** Starts one process and lets all connections of a kind and a side go through it, one after another. */
export class Bench implements AsyncDisposable {
  readonly kind: PeerKind
  readonly side: Side
  readonly #program: Program
  #peer: LedPeer | undefined

  constructor(kind: PeerKind, side: Side, program: Program) {
    this.kind = kind
    this.side = side
    this.#program = program
  }

  /** The process; a new one where a test has left the last one waiting for something. */
  async peer(): Promise<LedPeer> {
    if (this.#peer?.isIdle === false) await this[Symbol.asyncDispose]()
    this.#peer ??= new LedPeer(this.#program)
    return this.#peer
  }

  /** A connection; its end, and that of our server, is the end of the block. */
  async open(options: BenchOptions = {}): Promise<Pair> {
    const pair = this.side === 'client' ? await this.#peerDials(options) : await this.#weDial(options)
    // The two have to be of one mind on what they agreed on.
    const compressed = hasCompression(options) && peerHasCompression(options)
    assert.match(pair.conn.extensions, compressed ? /^permessage-deflate/ : /^$/)
    const { extensions } = pair.opened
    if (extensions !== null) assert.deepEqual(extensions, compressed ? ['permessage-deflate'] : [])
    return pair
  }

  async #peerDials(options: BenchOptions): Promise<Pair> {
    let onConn: (conn: ServerConn) => void = () => {}
    const accepted = new Promise<ServerConn>((resolve) => {
      onConn = resolve
    })
    const { compression = false } = options
    const server = await serve({ subprotocols: spoken, compression, limits: limitsOf(options) }, (conn) =>
      onConn(conn),
    )
    const end = (): Promise<void> => server.close({ timeout: 1_000 })
    const peer = await this.peer()
    try {
      const opened = await peer.connect(server.url, peerOptions(options, options.subprotocols))
      return { conn: await accepted, peer, opened, server, [Symbol.asyncDispose]: end }
    } catch (error) {
      await end()
      throw error
    }
  }

  async #weDial(options: BenchOptions): Promise<Pair> {
    const peer = await this.peer()
    const { subprotocols = [], compression = false } = options
    const port = await peer.serve(peerOptions(options, spoken))
    const conn = await dial(`ws://127.0.0.1:${port}/`, {
      subprotocols,
      compression,
      limits: limitsOf(options),
    })
    const end = async (): Promise<void> => {
      conn.terminate()
      await conn.closed
    }
    try {
      return { conn, peer, opened: await peer.accept(), server: undefined, [Symbol.asyncDispose]: end }
    } catch (error) {
      await end()
      throw error
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const peer = this.#peer
    this.#peer = undefined
    await peer?.[Symbol.asyncDispose]()
  }
}

/** All samples wait at once in some scenarios. */
function limitsOf(options: BenchOptions): Partial<Limits> {
  return { maxSendBuffer: 16 * 1024 * 1024, ...options.limits }
}

function hasCompression({ compression = false }: BenchOptions): boolean {
  return compression !== false
}

function peerHasCompression(options: BenchOptions): boolean {
  return options.peerCompression ?? hasCompression(options)
}

function peerOptions(options: BenchOptions, subprotocols: readonly string[] | undefined): object {
  return {
    subprotocols,
    compression: peerHasCompression(options),
    maxSize: options.peerMaxSize,
    writeBuffer: options.writeBuffer,
  }
}
