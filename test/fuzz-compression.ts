// permessage-deflate between two ends that agreed on it, and what they agree on, with zlib and RFC 7692 as judges.

import assert from 'node:assert/strict'
import { constants, deflateRawSync, inflateRawSync } from 'node:zlib'
import { deflateExtension, resolveCompression } from '../src/protocol/deflate-negotiation.ts'
import type { Extension, ExtensionFactory } from '../src/protocol/extension.ts'
import { type ExtensionParams, formatExtension, parseExtensions } from '../src/wire/header-grammar.ts'
import { cut } from './frames.ts'

const FLUSH = Buffer.from([0x00, 0x00, 0xff, 0xff])

/** Takes decisions from bytes; where they end, all are 0. */
class Decisions {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  get over(): boolean {
    return this.#at >= this.#bytes.length
  }

  below(bound: number): number {
    return (this.#bytes[this.#at++] ?? 0) % bound
  }
}

function factoryOf(decisions: Decisions): ExtensionFactory {
  const options = resolveCompression({
    threshold: [0, 1, 100][decisions.below(3)],
    level: decisions.below(10),
    memLevel: 1 + decisions.below(9),
    sendTakeover: decisions.below(2) === 1,
    receiveTakeover: decisions.below(2) === 1,
    sendWindowBits: 15 - decisions.below(8),
    receiveWindowBits: 15 - decisions.below(8),
    shareZlib: decisions.below(3) > 0,
  })
  assert.ok(options !== undefined)
  return deflateExtension(options)
}

/** What may be said with a value, and what without (RFC 7692 section 7.1). */
const isBits = (value: string | true | undefined): boolean =>
  typeof value === 'string' && /^([89]|1[0-5])$/.test(value)
const grammar: Readonly<Record<string, (value: string | true) => boolean>> = {
  server_no_context_takeover: (value) => value === true,
  client_no_context_takeover: (value) => value === true,
  server_max_window_bits: isBits,
  client_max_window_bits: isBits,
}

/** Whether an offer can be taken at all. */
export function isLegalOffer(offer: ExtensionParams): boolean {
  return [...offer].every(
    ([name, value]) =>
      (name === 'client_max_window_bits' && value === true) ||
      (Object.hasOwn(grammar, name) && grammar[name]?.(value) === true),
  )
}

/** Whether an answer agrees to an offer, and says nothing that it must not (sections 7.1.1 and 7.1.2). */
export function isLegalAnswer(offer: ExtensionParams, answer: ExtensionParams): boolean {
  for (const [name, value] of answer)
    if (!Object.hasOwn(grammar, name) || !grammar[name]?.(value)) return false
  if (offer.has('server_no_context_takeover') && !answer.has('server_no_context_takeover')) return false
  const bits = (params: ExtensionParams, name: string): number | undefined => {
    const value = params.get(name)
    return typeof value === 'string' ? Number(value) : undefined
  }
  const asked = bits(offer, 'server_max_window_bits')
  if (asked !== undefined && !((bits(answer, 'server_max_window_bits') ?? 16) <= asked)) return false
  if (!answer.has('client_max_window_bits')) return true
  if (!offer.has('client_max_window_bits')) return false
  const most = bits(offer, 'client_max_window_bits') ?? 15
  return (bits(answer, 'client_max_window_bits') as number) <= most
}

/** What one side sends the other, with the judge's own idea of what both remember. */
class Direction {
  readonly #from: Extension
  readonly #to: Extension
  readonly #takeover: boolean
  readonly #bits: number
  /** The judge compresses in the place of the one who sends. */
  readonly #judged: boolean
  #history: Buffer = Buffer.alloc(0)

  constructor(from: Extension, to: Extension, takeover: boolean, bits: number, judged: boolean) {
    this.#from = from
    this.#to = to
    this.#takeover = takeover
    this.#bits = bits
    this.#judged = judged
  }

  get #dictionary(): { readonly dictionary?: Buffer } {
    const last = this.#history.subarray(-(2 ** this.#bits))
    return last.length === 0 ? {} : { dictionary: last }
  }

  async send(plain: Buffer, decisions: Decisions): Promise<void> {
    const encoded = this.#judged ? this.#encodeByJudge(plain) : this.#encode(plain, decisions)
    if (encoded === undefined) return
    if (!this.#judged) {
      const judged = inflateRawSync(Buffer.concat([encoded, FLUSH]), {
        ...this.#dictionary,
        finishFlush: constants.Z_SYNC_FLUSH,
      })
      assert.ok(judged.equals(plain), 'zlib makes something else of it')
    }
    if (this.#takeover) this.#history = Buffer.concat([this.#history, plain]).subarray(-(2 ** 15))
    const read =
      decisions.below(2) === 0
        ? this.#to.decode(encoded, plain.length)
        : await this.#stream(encoded, decisions)
    assert.ok(
      read instanceof Uint8Array && plain.equals(read),
      `other bytes than were sent: ${String(read).slice(0, 20)}`,
    )
  }

  #encode(plain: Buffer, decisions: Decisions): Uint8Array | undefined {
    const way = decisions.below(4)
    if (way === 0) this.#from.idle?.()
    const encodePiece = way === 1 ? this.#from.pieceEncoder?.() : undefined
    const encoded =
      encodePiece === undefined
        ? this.#from.encode(plain)
        : Buffer.concat(
            cut(plain, [decisions.below(plain.length + 1)])
              .filter(({ length }) => length > 0)
              .map(encodePiece),
          )
    // No compressor of zlib's has so small a window: only a message that fits into it stays within it.
    if (this.#bits === 8 && encoded !== undefined) assert.ok(plain.length <= 256, `${plain.length} bytes`)
    return encoded
  }

  #encodeByJudge(plain: Buffer): Buffer {
    const deflated = deflateRawSync(plain, {
      ...this.#dictionary,
      windowBits: Math.max(9, this.#bits),
      // Without references at all there are none too far back.
      level: this.#bits === 8 ? 0 : 9,
      finishFlush: constants.Z_SYNC_FLUSH,
    })
    return deflated.subarray(0, -FLUSH.length)
  }

  async #stream(encoded: Uint8Array, decisions: Decisions): Promise<Buffer> {
    const decoder = this.#to.decoder?.()
    assert.ok(decoder !== undefined)
    const pieces = cut(Buffer.from(encoded), [decisions.below(encoded.length + 1)])
    const output: Uint8Array[] = []
    for (const [i, piece] of pieces.entries())
      for await (const part of decoder.decode(piece, i === pieces.length - 1)) output.push(Buffer.from(part))
    decoder.dispose()
    return Buffer.concat(output)
  }
}

const words = 'a price of the day, and what became of it. {"id":1,"state":"open"} '.repeat(40)

/**
 * A handshake and some messages, as bytes say: two ends with options of their own agree, lawfully, and understand what the
 * other sends; so does zlib.
 */
export async function checkCompression(program: Buffer): Promise<string> {
  const decisions = new Decisions(program)
  const [client, server] = [factoryOf(decisions), factoryOf(decisions)]
  const offered = client.offers().map((params) => formatExtension(client.name, params))
  const offers = parseExtensions(offered.join(', '))?.map(({ params }) => params) ?? []
  assert.ok(offers.length > 0 && offers.every(isLegalOffer))
  const taken = server.negotiate(offers)
  assert.ok(taken !== undefined, 'our own offer is not taken')
  const answer = parseExtensions(formatExtension(server.name, taken.params))?.[0]?.params
  assert.ok(
    answer !== undefined && offers.some((offer) => isLegalAnswer(offer, answer)),
    'an unlawful answer',
  )
  const accepted = client.accept(answer)
  assert.ok(accepted !== undefined, 'our own answer is not accepted')
  const bits = (name: string): number => Number(answer.get(`${name}_max_window_bits`) ?? 15)
  const direction = (name: string, from: Extension, to: Extension): Direction =>
    new Direction(from, to, !answer.has(`${name}_no_context_takeover`), bits(name), decisions.below(2) === 0)
  const directions = [
    direction('server', taken.extension, accepted),
    direction('client', accepted, taken.extension),
  ]
  let count = 0
  for (; !decisions.over && count < 20; count++) {
    const start = decisions.below(200)
    const length = 1 + decisions.below(10) * decisions.below(250)
    await directions[decisions.below(2)]?.send(Buffer.from(words.slice(start, start + length)), decisions)
  }
  for (const extension of [taken.extension, accepted]) extension.dispose?.()
  return `compression: ${answer.size} parameters, ${count > 0 ? 'with' : 'without'} messages`
}
