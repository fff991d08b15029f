// A case over TCP on this machine: `serve` or `dial` at the one end, a bare socket at the other.

import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server as NetServer, type Socket } from 'node:net'
import { type CloseInfo, type Conn, dial, HandshakeError, type Server, serve } from '../../src/index.ts'
import type { Action, Case, Role } from './case.ts'
import { comparable, difference, expectation, type Progress } from './expectation.ts'
import { answerOf, headerOf, requestOf } from './handshake.ts'
import { bytesOf, show } from './payload.ts'
import { PeerDecoder } from './peer-decoder.ts'
import { readAgreement } from './peer-deflate.ts'
import { type PeerStream, peerStream } from './peer-stream.ts'
import { type Chopping, chop, roughSize, seedOf } from './way.ts'

/** How long a case may take before it has failed, in milliseconds: in any case, and for each KiB that is sent. */
const PATIENCE = 30_000
const PATIENCE_PER_KIB = 10

/** `limits.fragmentSize` where no option says otherwise. */
const DEFAULT_FRAGMENT = 128 * 1024

/** Both ends of the case that is played. */
class Play {
  readonly subject: Case
  readonly role: Role
  /** What the application hears. */
  readonly heard: string[] = []
  conn: Conn | undefined
  info: CloseInfo | undefined
  socket: Socket | undefined
  decoder: PeerDecoder | undefined
  /** The endpoint has ended its side of the TCP connection. */
  ended = false
  /** The TCP connection is gone. */
  gone = false
  problem: string | undefined
  #wake: (() => void) | undefined

  constructor(subject: Case, role: Role) {
    this.subject = subject
    this.role = role
  }

  changed(): void {
    this.#wake?.()
  }

  /** Waits until something holds, or the play is over. */
  async until(holds: () => boolean): Promise<void> {
    while (!holds() && this.problem === undefined) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  /** What the endpoint's application does: it echoes. */
  take(conn: Conn): void {
    this.conn = conn
    conn.onControl({
      ping: (payload) => this.#hear(`ping ${show(payload)}`),
      pong: (payload) => this.#hear(`pong ${show(payload)}`),
    })
    conn.onMessage(
      (data, type) => {
        conn.send(data, type)
        this.#hear(`${type} ${show(data)}`)
      },
      // Text as bytes in about half of the cases.
      { text: seedOf(this.subject, this.role) % 2 === 0 ? 'bytes' : 'string' },
    )
    void conn.closed.then((info) => {
      this.info = info
      this.changed()
    })
    this.changed()
  }

  #hear(line: string): void {
    this.heard.push(line)
    this.changed()
  }

  /** The peer's socket. */
  attach(socket: Socket): void {
    this.socket = socket
    socket.setNoDelay(true)
    socket.on('error', () => {})
    socket.on('end', () => {
      this.ended = true
      socket.end()
      this.changed()
    })
    socket.on('close', () => {
      this.ended = true
      this.gone = true
      this.changed()
    })
  }

  /** From here on the peer's socket carries frames. */
  listen(answer: string, early: Uint8Array): void {
    const decoder = new PeerDecoder(this.role, readAgreement(answer))
    this.decoder = decoder
    const take = (chunk: Uint8Array): void => {
      decoder.push(chunk)
      if (decoder.problem !== undefined) this.problem ??= decoder.problem
      this.changed()
    }
    take(early)
    this.socket?.on('data', take)
    this.changed()
  }

  act(action: Action): void {
    const conn = this.conn as Conn
    if ('close' in action) void conn.close(action.close, action.reason)
    else if ('ping' in action) conn.sendControl('ping', bytesOf(action.ping))
    else conn.send(bytesOf(action.payload), action.send)
  }

  async run(chopping: Chopping): Promise<void> {
    const { subject, role } = this
    const decoder = this.decoder as PeerDecoder
    const stream = peerStream(subject, role, decoder.agreement)
    const progress = expectation(subject)
    for (const [i, step] of subject.steps.entries()) {
      if ('endpoint' in step) this.act(step.endpoint)
      else await this.#send(stream, i, chopping)
      const { heard, back } = progress[i] as Progress
      await this.until(
        () => this.ended || (this.heard.length >= heard.length && decoder.lines.length >= back.length),
      )
      if (this.problem !== undefined) return
    }
    // A client leaves the end of the TCP connection to the server (RFC 6455 section 7.1.1).
    await this.until(() => this.ended || (role === 'client' && decoder.closed))
    if (role === 'client') this.socket?.end()
    await this.until(() => this.gone && this.info !== undefined)
    this.problem ??= this.#judge(progress.at(-1) as Progress)
  }

  async #send(stream: PeerStream, step: number, chopping: Chopping): Promise<void> {
    const socket = this.socket as Socket
    const before = stream.steps.slice(0, step).reduce((sum, other) => sum + (other?.bytes.length ?? 0), 0)
    const { bytes: whole = Buffer.alloc(0), writes } = stream.steps[step] ?? {}
    const decided =
      chopping === 'edge' ? (stream.decided ?? Number.POSITIVE_INFINITY) : Number.POSITIVE_INFINITY
    const bytes = whole.subarray(0, Math.max(0, decided - before))
    for (const chunk of chop(bytes, chopping, seedOf(this.subject, this.role), writes)) {
      if (this.gone || !socket.writable) return
      const room = socket.write(chunk)
      // In a turn of its own, so that the endpoint reads it before the next one comes.
      if (chunk.length < bytes.length) await new Promise((resolve) => setImmediate(resolve))
      if (!room) await this.#drained(socket)
    }
  }

  /** Until the socket takes more, or is gone. */
  #drained(socket: Socket): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        socket.off('drain', done)
        socket.off('close', done)
        resolve()
      }
      socket.on('drain', done)
      socket.on('close', done)
      if (this.gone) done()
    })
  }

  #judge({ heard, back }: Progress): string | undefined {
    const { subject, info } = this
    const { end } = subject
    const decoder = this.decoder as PeerDecoder
    const differs =
      difference('what is heard', this.heard, heard) ??
      difference('what comes back', comparable(subject, decoder.lines), back)
    if (differs !== undefined) return differs
    if (subject.deflates !== undefined && subject.deflates !== decoder.deflated > 0)
      return `${decoder.deflated} messages were deflated`
    const { fragmentSize = DEFAULT_FRAGMENT } = subject.limits ?? {}
    if (decoder.largest > fragmentSize) return `a frame of ${decoder.largest} bytes came back`
    if (info === undefined || end.kind === 'no connection') return 'there is no end'
    const error = (info.error as { readonly code?: string } | undefined)?.code
    const by = info.by === 'local' ? 'endpoint' : info.by === 'remote' ? 'peer' : info.by
    const ended = `${info.code} by ${by}, ${error ?? (info.wasClean ? 'clean' : 'unclean')}`
    if (end.kind === 'closed') {
      const expected = `${end.code} by ${end.by}, clean`
      if (ended !== expected) return `it ended with ${ended}, not ${expected}`
      return info.reason === end.reason ? undefined : `the reason is ${info.reason}`
    }
    const begun = subject.steps.flatMap((step) =>
      'endpoint' in step && 'close' in step.endpoint ? [step.endpoint.close] : [],
    )
    const expected = `${begun[0] ?? end.code} by endpoint, ${end.error}`
    return ended === expected ? undefined : `it ended with ${ended}, not ${expected}`
  }
}

/** Where cases are played over sockets: the servers that it takes, and the plays that go on. */
export class SocketStage implements AsyncDisposable {
  readonly #plays = new Map<string, Play>()
  readonly #servers = new Map<string, Promise<Server>>()
  #peer: Promise<NetServer> | undefined
  #count = 0

  /** Plays a case; returns what was wrong, `undefined` when nothing was. */
  async play(subject: Case, role: Role, chopping: Chopping): Promise<string | undefined> {
    const play = new Play(subject, role)
    const path = `/${++this.#count}`
    this.#plays.set(path, play)
    const timer = setTimeout(
      () => {
        play.problem ??= `nothing more happens; heard ${play.heard.length}, back ${play.decoder?.lines.length}`
        play.conn?.terminate()
        play.changed()
      },
      PATIENCE + (PATIENCE_PER_KIB * roughSize(subject)) / 1024,
    )
    try {
      const refused = role === 'server' ? await this.#toServer(play, path) : await this.#toClient(play, path)
      if (!refused) await play.run(chopping)
    } catch (error) {
      play.problem ??= String(error)
    } finally {
      clearTimeout(timer)
      play.socket?.destroy()
      play.conn?.terminate()
      this.#plays.delete(path)
    }
    return play.problem
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const server of this.#servers.values()) await (await server).close({ timeout: 100 })
    const peer = await this.#peer
    if (peer !== undefined) await new Promise((resolve) => peer.close(resolve))
  }

  /** One server for all cases with the same options. */
  #server({ limits, handshake }: Case): Promise<Server> {
    const compression = handshake?.compression ?? false
    const key = JSON.stringify([limits, compression])
    let server = this.#servers.get(key)
    if (server === undefined) {
      server = serve({ port: 0, compression, ...(limits === undefined ? {} : { limits }) }, (conn) => {
        this.#plays.get(conn.request.url ?? '')?.take(conn)
      })
      this.#servers.set(key, server)
    }
    return server
  }

  async #toServer(play: Play, path: string): Promise<boolean> {
    const { end, handshake } = play.subject
    const server = await this.#server(play.subject)
    const socket = connect({ port: Number(new URL(server.url).port), host: '127.0.0.1', allowHalfOpen: true })
    play.attach(socket)
    await once(socket, 'connect')
    const said = handshake?.server
    socket.write(requestOf(path, said?.offer ?? ''))
    const { head, rest } = await readHead(socket)
    const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(head)?.[1])
    if (end.kind === 'no connection') {
      if (status !== end.status) play.problem = `the status is ${status}, not ${end.status}`
      return true
    }
    const answer = headerOf(head, 'Sec-WebSocket-Extensions')
    if (status !== 101) throw new Error(`the status is ${status}`)
    if (answer !== (said?.answer ?? '')) throw new Error(`the answer is '${answer}', not '${said?.answer}'`)
    play.listen(answer, rest)
    await play.until(() => play.conn !== undefined)
    return false
  }

  async #toClient(play: Play, path: string): Promise<boolean> {
    const { end, handshake, limits } = play.subject
    this.#peer ??= this.#startPeer()
    const { port } = (await this.#peer).address() as AddressInfo
    try {
      const conn = await dial(`ws://127.0.0.1:${port}${path}`, {
        proxy: false,
        compression: handshake?.compression ?? false,
        ...(limits === undefined ? {} : { limits }),
      })
      play.take(conn)
    } catch (error) {
      const code = error instanceof HandshakeError ? error.code : String(error)
      if (end.kind !== 'no connection' || code !== end.error) throw error
      return true
    }
    if (end.kind === 'no connection') throw new Error('the client took the answer')
    return false
  }

  /** The peer as a server: answers each request as the case of its path says. */
  async #startPeer(): Promise<NetServer> {
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      socket.on('error', () => {})
      void readHead(socket).then(({ head }) => {
        const path = /^GET (\S+) /.exec(head)?.[1] ?? ''
        const play = this.#plays.get(path)
        if (play === undefined) return socket.destroy()
        play.attach(socket)
        const said = play.subject.handshake?.client
        const offer = headerOf(head, 'Sec-WebSocket-Extensions')
        if (offer !== (said?.offer ?? '')) play.problem = `the offer is '${offer}', not '${said?.offer}'`
        socket.write(answerOf(headerOf(head, 'Sec-WebSocket-Key'), said?.answer ?? ''))
        return play.listen(said?.answer ?? '', Buffer.alloc(0))
      })
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return server
  }
}

/** The head of a request or an answer, and what came behind it. */
function readHead(socket: Socket): Promise<{ readonly head: string; readonly rest: Buffer }> {
  return new Promise((resolve) => {
    let bytes = Buffer.alloc(0)
    const done = (end: number): void => {
      socket.off('data', take)
      socket.off('close', gone)
      resolve({ head: bytes.toString('latin1', 0, Math.max(0, end)), rest: bytes.subarray(end + 4) })
    }
    const take = (chunk: Buffer): void => {
      bytes = Buffer.concat([bytes, chunk])
      const end = bytes.indexOf('\r\n\r\n')
      if (end >= 0) done(end)
    }
    const gone = (): void => done(-1)
    socket.on('data', take)
    socket.on('close', gone)
  })
}
