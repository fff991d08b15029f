// A case over the engine without I/O: bytes in by `receive`, bytes out of `output`.

import {
  buildRequestHeaders,
  decideUpgrade,
  defaultLimits,
  deflateExtension,
  type Extension,
  type Fault,
  Protocol,
  resolveCompression,
  resolveLimits,
  verifyResponse,
} from '../../src/protocol.ts'
import type { Action, Case, Handshake, Role } from './case.ts'
import { comparable, difference, expectation } from './expectation.ts'
import { acceptFor, handshakeKey } from './handshake.ts'
import { bytesOf, show } from './payload.ts'
import { PeerDecoder } from './peer-decoder.ts'
import { type Agreement, readAgreement } from './peer-deflate.ts'
import { peerStream } from './peer-stream.ts'
import { type Chopping, chop, seedOf } from './way.ts'

/** What an opening handshake came to, without sockets. */
type Negotiated =
  | { readonly extensions: readonly Extension[]; readonly agreement: Agreement | undefined }
  | { readonly problem: string }
  | { readonly refused: number | string }

function negotiate(handshake: Handshake | undefined, role: Role): Negotiated {
  const said = handshake?.[role]
  const resolved = resolveCompression(handshake?.compression)
  const factories = resolved === undefined ? [] : [deflateExtension(resolved)]
  if (said === undefined) return { extensions: [], agreement: undefined }
  const offered = said.offer === '' ? {} : { 'sec-websocket-extensions': said.offer }
  const answered = said.answer === '' ? {} : { 'sec-websocket-extensions': said.answer }
  const upgrade = { connection: 'Upgrade', upgrade: 'websocket' }
  if (role === 'server') {
    const headers = {
      ...{ host: 'localhost', 'sec-websocket-version': '13', 'sec-websocket-key': handshakeKey },
      ...upgrade,
      ...offered,
    }
    const request = { method: 'GET', httpVersion: '1.1', headers }
    const decision = decideUpgrade(request, { checkOrigin: () => true, extensions: factories })
    if (!decision.accepted) return { refused: decision.status }
    const answer = decision.headers['Sec-WebSocket-Extensions'] ?? ''
    if (answer !== said.answer) return { problem: `the answer is '${answer}', not '${said.answer}'` }
    return { extensions: decision.extensions, agreement: readAgreement(answer) }
  }
  const wanted = { key: handshakeKey, subprotocols: [], extensions: factories }
  const offer = buildRequestHeaders(wanted)['Sec-WebSocket-Extensions'] ?? ''
  if (offer !== said.offer) return { problem: `the offer is '${offer}', not '${said.offer}'` }
  const headers = { ...upgrade, 'sec-websocket-accept': acceptFor(handshakeKey), ...answered }
  const decision = verifyResponse({ status: 101, headers }, wanted)
  if (!decision.ok) return { refused: decision.code }
  return { extensions: decision.extensions, agreement: readAgreement(said.answer) }
}

/** The endpoint of a case: an echo. */
class Endpoint {
  readonly heard: string[] = []
  readonly protocol: Protocol
  fault: Fault | undefined
  closed: string | undefined

  constructor(subject: Case, role: Role, extensions: readonly Extension[]) {
    let key = 0x1234_5678
    let messages = 0
    this.protocol = new Protocol({
      role,
      limits: subject.limits === undefined ? defaultLimits : resolveLimits(subject.limits),
      extensions,
      mask: () => {
        key = (Math.imul(key, 1664525) + 1013904223) >>> 0
        return key
      },
      handler: {
        onMessage: (type, bytes, start, end) => {
          const data = bytes.subarray(start, end)
          this.heard.push(`${type} ${show(data)}`)
          // Both ways of sending text come to the same bytes.
          if (type === 'text' && messages++ % 2 === 0) this.protocol.sendText(data.toString('utf8'))
          else this.protocol.sendBytes(type, data)
        },
        onPing: (payload) => this.heard.push(`ping ${show(payload)}`),
        onPong: (payload) => this.heard.push(`pong ${show(payload)}`),
        onClose: ({ code, reason }) => {
          this.closed = `${code} ${reason}`
        },
        onFault: (fault) => {
          this.fault = fault
        },
      },
    })
  }

  act(action: Action): void {
    if ('close' in action) this.protocol.sendClose(action.close, action.reason)
    else if ('ping' in action) this.protocol.sendPing(bytesOf(action.ping))
    else this.protocol.sendBytes(action.send, bytesOf(action.payload))
  }

  takeOutput(): Uint8Array {
    const taken = this.protocol.output.take()
    const bytes = taken instanceof Uint8Array ? taken : Buffer.concat(taken)
    const copy = Buffer.from(bytes)
    this.protocol.output.recycle(true)
    return copy
  }
}

/** Plays a case; returns what was wrong, `undefined` when nothing was. */
export function playOnEngine(subject: Case, role: Role, chopping: Chopping): string | undefined {
  const negotiated = negotiate(subject.handshake, role)
  const { end } = subject
  if ('problem' in negotiated) return negotiated.problem
  if (end.kind === 'no connection') {
    const wanted = role === 'server' ? end.status : end.error
    const came = 'refused' in negotiated ? negotiated.refused : 'a connection'
    return came === wanted ? undefined : `the handshake ended with ${came}, not ${wanted}`
  }
  if ('refused' in negotiated) return `the handshake was refused: ${negotiated.refused}`

  const { extensions, agreement } = negotiated
  const stream = peerStream(subject, role, agreement)
  const endpoint = new Endpoint(subject, role, extensions)
  const decoder = new PeerDecoder(role, agreement)
  const feed = (chunk: Buffer): void => {
    endpoint.protocol.receive(chunk)
    if (endpoint.protocol.output.pending > 0) decoder.push(endpoint.takeOutput())
  }
  let sent = 0
  for (const [i, step] of subject.steps.entries()) {
    if ('endpoint' in step) {
      endpoint.act(step.endpoint)
      decoder.push(endpoint.takeOutput())
      continue
    }
    const { bytes = Buffer.alloc(0), writes } = stream.steps[i] ?? {}
    if (chopping === 'edge' && stream.decided !== undefined && sent + bytes.length >= stream.decided) {
      const decided = stream.decided - sent
      feed(Buffer.from(bytes.subarray(0, decided - 1)))
      if (endpoint.fault !== undefined) return 'refused before the byte that decides'
      feed(Buffer.from(bytes.subarray(decided - 1, decided)))
      if (endpoint.fault === undefined || !decoder.closed) return 'not refused at the byte that decides'
      break
    }
    for (const chunk of chop(bytes, chopping, seedOf(subject, role), writes)) feed(chunk)
    sent += bytes.length
  }
  endpoint.protocol.dispose()
  return judge(subject, endpoint, decoder)
}

function judge(subject: Case, endpoint: Endpoint, decoder: PeerDecoder): string | undefined {
  const { end } = subject
  const wanted = expectation(subject).at(-1)
  const differs =
    decoder.problem ??
    difference('what is heard', endpoint.heard, wanted?.heard ?? []) ??
    difference('what comes back', comparable(subject, decoder.lines), wanted?.back ?? [])
  if (differs !== undefined) return differs
  if (subject.deflates !== undefined && subject.deflates !== decoder.deflated > 0)
    return `${decoder.deflated} messages were deflated`
  const { closing, closedBy } = endpoint.protocol
  const by = closedBy === 'local' ? 'endpoint' : closedBy === 'remote' ? 'peer' : closedBy
  const ended = `${endpoint.fault?.code ?? closing} by ${by}`
  const expected =
    end.kind === 'refused' ? `${end.error} by endpoint` : end.kind === 'closed' ? `done by ${end.by}` : ''
  if (ended !== expected) {
    const late =
      end.kind === 'refused' && subject.steps.some((step) => 'endpoint' in step && 'close' in step.endpoint)
    return late && endpoint.fault?.code === end.error ? undefined : `it ended as ${ended}, not ${expected}`
  }
  if (end.kind === 'closed' && end.by === 'peer' && endpoint.closed !== `${end.code} ${end.reason}`)
    return `the Close frame was heard as ${endpoint.closed}`
  return undefined
}
