// The libraries that the scenarios are run against, and what is special about each.

import { fileURLToPath } from 'node:url'
import type { Program } from '../led-peer.ts'
import { gorillaPeer, pythonWith } from '../peers.ts'

/** What the peer is: the client of our server, or the server of our client. */
export type Side = 'client' | 'server'

/** What not every library can do, or lets its user do. */
export type Ability =
  | 'compression'
  | 'fragments'
  | 'prepared messages'
  | 'a close without a code'
  | 'text that is not UTF-8'
  | 'a limit on messages'
  | 'a check of the origin'
  | 'pings between compressed fragments'

/** A library as the other end. */
export interface PeerKind {
  readonly name: string
  /** What to install. */
  readonly packages: string
  /** How to start its program in this folder; `undefined` where the library is absent. */
  program(): Program | undefined
  readonly sides: readonly Side[]
  /** Why it cannot do something. */
  readonly lacks: Readonly<Partial<Record<Ability, string>>>
  /** The code that it answers our Close frame with; default: the same. */
  readonly answersWith?: number
  /** Whether it fails when it offers subprotocols and none is chosen, as browsers do. */
  readonly demandsSubprotocol?: boolean
}

const led = (module: string, file: string) => (): Program | undefined => {
  const python = pythonWith(module)
  if (python === undefined) return undefined
  // -B: no bytecode beside the sources.
  return { command: python, args: ['-B', fileURLToPath(new URL(`../python/${file}`, import.meta.url))] }
}

const noSuchThing = 'has no such thing'

export const gorilla: PeerKind = {
  name: 'gorilla/websocket',
  packages: 'golang-go golang-github-gorilla-websocket-dev',
  program() {
    const command = gorillaPeer()
    return command === undefined ? undefined : { command, args: [] }
  },
  sides: ['client', 'server'],
  lacks: {},
}

export const websockets: PeerKind = {
  name: 'python3-websockets',
  packages: 'python3-websockets',
  program: led('websockets', 'websockets_peer.py'),
  sides: ['client', 'server'],
  lacks: {
    'prepared messages': noSuchThing,
    'a close without a code': 'always sends a code',
    'text that is not UTF-8': 'sends strings as text, and nothing else',
    'a check of the origin': 'takes a list of origins, and checks none by default',
  },
}

export const wsproto: PeerKind = {
  name: 'python3-wsproto',
  packages: 'python3-wsproto',
  program: led('wsproto', 'wsproto_peer.py'),
  sides: ['client', 'server'],
  lacks: {
    'prepared messages': noSuchThing,
    'text that is not UTF-8': 'sends strings as text, and nothing else',
    'a limit on messages': 'leaves that to its user',
    'a check of the origin': 'leaves that to its user',
    'pings between compressed fragments': 'takes what follows the ping for uncompressed (wsproto 1.2)',
  },
}

export const aiohttp: PeerKind = {
  name: 'python3-aiohttp',
  packages: 'python3-aiohttp',
  program: led('aiohttp', 'aiohttp_peer.py'),
  sides: ['client', 'server'],
  lacks: {
    fragments: 'sends each message in one frame',
    'prepared messages': noSuchThing,
    'a close without a code': 'always sends a code',
    'text that is not UTF-8': 'sends strings as text, and nothing else',
    'a check of the origin': 'leaves that to its user',
    'pings between compressed fragments': 'takes what follows the ping for uncompressed (aiohttp 3.8)',
  },
  answersWith: 1000,
}

/** Known as websocket-client. */
export const websocketClient: PeerKind = {
  name: 'python3-websocket',
  packages: 'python3-websocket',
  program: led('websocket', 'websocket_client_peer.py'),
  sides: ['client'],
  lacks: {
    compression: noSuchThing,
    'prepared messages': noSuchThing,
    'a limit on messages': noSuchThing,
    'a check of the origin': noSuchThing,
  },
  answersWith: 1000,
  demandsSubprotocol: true,
}

export const kinds: readonly PeerKind[] = [gorilla, websockets, wsproto, aiohttp, websocketClient]
