import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { formatExtension, parseExtensions } from '../wire/header-grammar.ts'
import { buildRequestHeaders, verifyResponse } from './client-handshake.ts'
import {
  asRuntimeCan,
  type CompressionOptions,
  deflateExtension,
  resolveCompression,
} from './deflate-negotiation.ts'
import type { Extension, ExtensionFactory } from './extension.ts'
import { decideUpgrade } from './server-handshake.ts'

const name = 'permessage-deflate'
const key = 'dGhlIHNhbXBsZSBub25jZQ=='
const none = 'permessage-deflate; server_no_context_takeover; client_no_context_takeover'
const both: CompressionOptions = { sendTakeover: true, receiveTakeover: true }

function factory(options: boolean | CompressionOptions): ExtensionFactory {
  const resolved = resolveCompression(options)
  assert.ok(resolved !== undefined)
  return deflateExtension(resolved)
}

/** What a server answers to an offer, and what it then uses; `''` for no extension, or the code of the refusal. */
function answer(offer: string, options: boolean | CompressionOptions): string {
  const decision = decideUpgrade(
    {
      method: 'GET',
      httpVersion: '1.1',
      headers: {
        host: 'example.com',
        connection: 'Upgrade',
        upgrade: 'websocket',
        'sec-websocket-version': '13',
        'sec-websocket-key': key,
        'sec-websocket-extensions': offer,
      },
    },
    { checkOrigin: () => true, extensions: [factory(options)] },
  )
  if (!decision.accepted) return decision.code
  assert.equal(decision.extensions.length, decision.extensionsHeader === '' ? 0 : 1)
  return decision.extensionsHeader
}

/** What a client makes of an answer: `true`, or the code of the refusal. */
function taken(header: string, options: boolean | CompressionOptions): true | string {
  const decision = verifyResponse(
    {
      status: 101,
      headers: {
        connection: 'Upgrade',
        upgrade: 'websocket',
        'sec-websocket-accept': 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=',
        'sec-websocket-extensions': header,
      },
    },
    { key, subprotocols: [], extensions: [factory(options)] },
  )
  if (!decision.ok) return decision.code
  assert.equal(decision.extensions.length, 1)
  assert.equal(decision.extensionsHeader, header.replaceAll('"', ''))
  return true
}

test('what a client offers', () => {
  for (const [options, wanted] of [
    [true, `${none}; client_max_window_bits`],
    [both, `${name}; client_max_window_bits`],
    [{ sendTakeover: true }, `${name}; server_no_context_takeover; client_max_window_bits`],
    [{ receiveTakeover: true }, `${name}; client_no_context_takeover; client_max_window_bits`],
    [{ ...both, sendWindowBits: 10 }, `${name}; client_max_window_bits=10`],
    [
      { ...both, receiveWindowBits: 8, sendWindowBits: 15 },
      `${name}; server_max_window_bits=8; client_max_window_bits`,
    ],
  ] as const) {
    const headers = buildRequestHeaders({ key, subprotocols: [], extensions: [factory(options)] })
    assert.equal(headers['Sec-WebSocket-Extensions'], wanted)
  }
})

test('what a server answers', () => {
  for (const [offer, options, wanted] of [
    [name, true, none],
    [name, both, name],
    [`${name}; client_max_window_bits`, true, none],
    [`${name}; client_max_window_bits`, both, name],
    // Takeover: the server must not where the client says so, the client is told where we say so.
    [`${name}; server_no_context_takeover`, both, `${name}; server_no_context_takeover`],
    [`${name}; client_no_context_takeover`, both, `${name}; client_no_context_takeover`],
    [name, { sendTakeover: true }, `${name}; client_no_context_takeover`],
    [name, { receiveTakeover: true }, `${name}; server_no_context_takeover`],
    // The server's window: the smaller of both, named where it was asked for.
    [`${name}; server_max_window_bits=15`, both, `${name}; server_max_window_bits=15`],
    [`${name}; server_max_window_bits=8`, both, `${name}; server_max_window_bits=8`],
    [`${name}; server_max_window_bits="10"`, both, `${name}; server_max_window_bits=10`],
    [
      `${name}; server_max_window_bits=12`,
      { ...both, sendWindowBits: 9 },
      `${name}; server_max_window_bits=9`,
    ],
    [name, { ...both, sendWindowBits: 9 }, `${name}; server_max_window_bits=9`],
    // The client's window: only a client that speaks of it can be told.
    [
      `${name}; client_max_window_bits`,
      { ...both, receiveWindowBits: 9 },
      `${name}; client_max_window_bits=9`,
    ],
    [
      `${name}; client_max_window_bits=8`,
      { ...both, receiveWindowBits: 9 },
      `${name}; client_max_window_bits=8`,
    ],
    [`${name}; client_max_window_bits=10`, both, `${name}; client_max_window_bits=10`],
    [`${name}; client_max_window_bits=15`, both, name],
    [name, { ...both, receiveWindowBits: 9 }, `${name}; client_no_context_takeover`],
    // The first offer that can be.
    [
      `${name}; server_max_window_bits=16, ${name}; server_max_window_bits=9, ${name}`,
      both,
      `${name}; server_max_window_bits=9`,
    ],
    [
      `${name}; client_max_window_bits, ${name}`,
      { ...both, receiveWindowBits: 9 },
      `${name}; client_max_window_bits=9`,
    ],
    [`x-other, ${name}; unknown, ${name}`, both, name],
    [`${name}; server_no_context_takeover; server_no_context_takeover, ${name}`, both, name],
  ] as const) {
    assert.equal(answer(offer, options), wanted, offer)
  }
})

/** Parameters that no side may say. */
const wrong = [
  'unknown',
  'unknown=1',
  'server_no_context_takeover=true',
  'server_no_context_takeover=10',
  'client_no_context_takeover="10"',
  'server_max_window_bits',
  'server_max_window_bits=7',
  'server_max_window_bits=16',
  'server_max_window_bits=08',
  'server_max_window_bits=+9',
  'server_max_window_bits=9.0',
  'server_max_window_bits=0x9',
  'server_max_window_bits=1e1',
  'server_max_window_bits=9; server_max_window_bits=9',
  'client_max_window_bits=7',
  'client_max_window_bits=16',
  'client_max_window_bits=100000000000000000000',
  'client_max_window_bits=ten',
  'client_max_window_bits; client_max_window_bits=10',
  'Server_No_Context_Takeover',
  '__proto__',
  'constructor=10',
  'toString',
]

test('an offer that cannot be is declined, and the connection goes on without', () => {
  for (const param of wrong) assert.equal(answer(`${name}; ${param}`, both), '', param)
  for (const offer of ['x-webkit-deflate-frame', 'Permessage-Deflate', 'constructor', '__proto__; a=1'])
    assert.equal(answer(offer, both), '', offer)
})

test('an offer that is no header is refused', () => {
  for (const offer of [
    `${name};`,
    `${name}; =9`,
    `${name}; server_max_window_bits=`,
    `${name}; server_max_window_bits="9`,
    `${name}; server_max_window_bits="9;"`,
    `${name} ${name}`,
    `; ${name}`,
  ]) {
    assert.equal(answer(offer, both), 'ERR_WS_HEADER_SYNTAX', offer)
  }
})

test('what a client takes for an answer', () => {
  const all = { ...both, receiveWindowBits: 10, sendWindowBits: 12 }
  for (const [header, options, wanted] of [
    [none, true, true],
    [`${name}; server_no_context_takeover`, true, true],
    // Asked not to, and does: no agreement.
    [name, true, 'ERR_WS_EXTENSION'],
    [`${name}; client_no_context_takeover`, true, 'ERR_WS_EXTENSION'],
    [name, both, true],
    [none, both, true],
    [`${name}; server_max_window_bits=8`, both, true],
    [`${name}; client_max_window_bits=8`, both, true],
    [`${name}; client_max_window_bits="8"; server_max_window_bits=15`, both, true],
    [`${name}; client_max_window_bits`, both, 'ERR_WS_EXTENSION'],
    [`${name}; server_max_window_bits=10`, all, true],
    [`${name}; server_max_window_bits=9; client_max_window_bits=12`, all, true],
    [name, all, 'ERR_WS_EXTENSION'],
    [`${name}; server_max_window_bits=11`, all, 'ERR_WS_EXTENSION'],
    [`${name}; server_max_window_bits=10; client_max_window_bits=13`, all, 'ERR_WS_EXTENSION'],
    [`${name}, ${name}`, both, 'ERR_WS_EXTENSION'],
    [`x-other`, both, 'ERR_WS_EXTENSION'],
  ] as const) {
    assert.equal(taken(header, options), wanted, header)
  }
  for (const param of wrong) assert.equal(taken(`${name}; ${param}`, both), 'ERR_WS_EXTENSION', param)
})

test('an answer to no offer is refused', () => {
  const decision = verifyResponse(
    {
      status: 101,
      headers: {
        connection: 'Upgrade',
        upgrade: 'websocket',
        'sec-websocket-accept': 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=',
        'sec-websocket-extensions': name,
      },
    },
    { key, subprotocols: [], extensions: [] },
  )
  assert.ok(!decision.ok && decision.code === 'ERR_WS_EXTENSION')
})

test('every client of ours and every server of ours agree, or do without; and then understand each other', () => {
  const choices: CompressionOptions[] = [false, true].flatMap((sendTakeover) =>
    [false, true].flatMap((receiveTakeover) =>
      [8, 9, 15].flatMap((sendWindowBits) =>
        [8, 11, 15].map((receiveWindowBits) => ({
          sendTakeover,
          receiveTakeover,
          sendWindowBits,
          receiveWindowBits,
          threshold: 0,
        })),
      ),
    ),
  )
  const messages = [10, 200, 5000].map((length) =>
    Buffer.from('{"a":"some text","b":12}'.repeat(400)).subarray(0, length),
  )
  const pass = (from: Extension, to: Extension): void => {
    for (const message of [...messages, ...messages]) {
      const payload = from.encode(message)
      if (payload !== undefined) assert.deepEqual(to.decode(payload, 5000), message)
    }
  }
  for (const clientOptions of choices) {
    for (const serverOptions of choices) {
      const [client, server] = [factory(clientOptions), factory(serverOptions)]
      const offers = client
        .offers()
        .map((params) => parseExtensions(formatExtension(name, params))?.[0]?.params)
      const agreed = server.negotiate(offers.map((params) => params ?? new Map()))
      assert.ok(agreed !== undefined)
      const extension = client.accept(agreed.params)
      assert.ok(extension !== undefined, formatExtension(name, agreed.params))
      pass(extension, agreed.extension)
      pass(agreed.extension, extension)
    }
  }
})

describe('the option', () => {
  const defaults = {
    threshold: 256,
    level: 1,
    memLevel: 8,
    sendTakeover: false,
    receiveTakeover: false,
    sendWindowBits: 15,
    receiveWindowBits: 15,
    shareZlib: true,
  }

  test('false and nothing: without; true and {}: the defaults', () => {
    assert.equal(resolveCompression(undefined), undefined)
    assert.equal(resolveCompression(false), undefined)
    assert.deepEqual(resolveCompression(true), defaults)
    assert.deepEqual(resolveCompression({}), defaults)
    assert.deepEqual(resolveCompression({ level: undefined, threshold: 0 }), { ...defaults, threshold: 0 })
  })

  test('has no takeover where the runtime cannot refer to earlier messages, and asks it only for that', () => {
    const given = { ...defaults, level: 6, sendTakeover: true, receiveTakeover: true }
    assert.deepEqual(
      asRuntimeCan(given, () => false),
      { ...defaults, level: 6 },
    )
    assert.equal(
      asRuntimeCan(given, () => true),
      given,
    )
    for (const name of ['sendTakeover', 'receiveTakeover'] as const)
      assert.deepEqual(
        asRuntimeCan({ ...defaults, [name]: true }, () => false),
        defaults,
      )
    asRuntimeCan(defaults, () => assert.fail('asked'))
  })

  test('what cannot be is named', () => {
    for (const [given, message] of [
      [1, /^compression must be a boolean or an object, not 1$/],
      [null, /^compression must be a boolean or an object, not null$/],
      ['on', /^compression must be/],
      [{ windowBits: 15 }, /^compression\.windowBits is not an option; the options are threshold, level, /],
      [[true], /^compression\.0 is not an option/],
      [JSON.parse('{"__proto__": 1}'), /^compression\.__proto__ is not an option/],
      [{ constructor: 1 }, /^compression\.constructor is not an option/],
      [{ level: 10 }, /^compression\.level must be an integer from 0 to 9, not 10$/],
      [{ level: -1 }, /^compression\.level/],
      [{ level: '6' }, /^compression\.level must be an integer from 0 to 9, not 6$/],
      [{ memLevel: 0 }, /^compression\.memLevel must be an integer from 1 to 9/],
      [{ threshold: -1 }, /^compression\.threshold/],
      [{ threshold: 1.5 }, /^compression\.threshold/],
      [{ sendTakeover: 1 }, /^compression\.sendTakeover must be a boolean, not 1$/],
      [{ receiveTakeover: null }, /^compression\.receiveTakeover must be a boolean/],
      [{ sendWindowBits: 7 }, /^compression\.sendWindowBits must be an integer from 8 to 15, not 7$/],
      [{ receiveWindowBits: 16 }, /^compression\.receiveWindowBits/],
    ] as const) {
      assert.throws(() => resolveCompression(given as never), { code: 'ERR_WS_INVALID_OPTION', message })
    }
  })
})
