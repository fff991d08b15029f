import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { errorKinds, UsageError } from '../session/errors.ts'
import type { ExtensionParams } from '../wire/header-grammar.ts'
import {
  buildRequestHeaders,
  type ClientAcceptance,
  type ClientOffer,
  type ClientRefusal,
  verifyResponse,
} from './client-handshake.ts'
import type { Extension, ExtensionFactory } from './extension.ts'
import { decideUpgrade, type HandshakeHeaders } from './server-handshake.ts'

const key = 'dGhlIHNhbXBsZSBub25jZQ=='

const goodHeaders: HandshakeHeaders = {
  upgrade: 'websocket',
  connection: 'Upgrade',
  'sec-websocket-accept': 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=',
}

interface FakeFactory extends ExtensionFactory {
  live: number
}

/** Offers itself with each of the parameters; takes anything without a parameter `bad`. */
function factory(name: string, rsv: number, ...offers: ExtensionParams[]): FakeFactory {
  const make = (): Extension => {
    fake.live++
    return {
      name,
      rsv,
      encode: () => undefined,
      decode: (payload) => payload,
      dispose: () => {
        fake.live--
      },
    }
  }
  const fake: FakeFactory = {
    name,
    live: 0,
    offers: () => offers,
    accept: (params) => (params.has('bad') ? undefined : make()),
    negotiate: ([params]) => params && { params, extension: make() },
  }
  return fake
}

const none: ExtensionParams = new Map()

function offer(parts: Partial<ClientOffer> = {}): ClientOffer {
  return { key, subprotocols: [], extensions: [], ...parts }
}

function accepted(headers: HandshakeHeaders, parts?: Partial<ClientOffer>): ClientAcceptance {
  const decision = verifyResponse({ status: 101, headers: { ...goodHeaders, ...headers } }, offer(parts))
  assert.ok(decision.ok, `refused: ${decision.ok || decision.message}`)
  return decision
}

function refused(headers: HandshakeHeaders, parts?: Partial<ClientOffer>, status = 101): ClientRefusal {
  const decision = verifyResponse({ status, headers: { ...goodHeaders, ...headers } }, offer(parts))
  assert.ok(!decision.ok, 'accepted')
  return decision
}

describe('buildRequestHeaders', () => {
  it('asks for the version, and offers nothing by itself', () => {
    assert.deepEqual(buildRequestHeaders(offer()), {
      Connection: 'Upgrade',
      Upgrade: 'websocket',
      'Sec-WebSocket-Version': '13',
      'Sec-WebSocket-Key': key,
    })
  })

  it('offers subprotocols and extensions in order', () => {
    const bits: ExtensionParams = new Map<string, string | true>([
      ['bits', '10'],
      ['quick', true],
    ])
    const extensions = [factory('deflate', 0x40, bits, none), factory('silent', 0), factory('hint', 0, none)]
    const headers = buildRequestHeaders(offer({ subprotocols: ['v2', 'V2', 'v1'], extensions }))
    assert.equal(headers['Sec-WebSocket-Protocol'], 'v2, V2, v1')
    assert.equal(headers['Sec-WebSocket-Extensions'], 'deflate; bits=10; quick, deflate, hint')
  })

  const bad: [readonly unknown[], RegExp][] = [
    [['a', ''], /subprotocols: "" is not/],
    [['a b'], /"a b"/],
    [['a,b'], /"a,b"/],
    [['a\r\nX: y'], /not an HTTP token/],
    [['ü'], /"ü"/],
    [[undefined], /undefined is not/],
    [[13], /13 is not/],
    [['a', 'b', 'a'], /subprotocols: "a" occurs twice/],
  ]
  for (const [subprotocols, message] of bad) {
    it(`throws at the subprotocols ${JSON.stringify(subprotocols)}`, () => {
      assert.throws(
        () => buildRequestHeaders(offer({ subprotocols: subprotocols as string[] })),
        (error: unknown) =>
          error instanceof UsageError &&
          error.code === 'ERR_WS_INVALID_OPTION' &&
          message.test(error.message),
      )
    })
  }
})

describe('verifyResponse', () => {
  it('takes the answer of RFC 6455 section 1.2', () => {
    const decision = accepted({ 'sec-websocket-protocol': 'chat' }, { subprotocols: ['chat', 'superchat'] })
    assert.deepEqual(decision, { ok: true, subprotocol: 'chat', extensions: [], extensionsHeader: '' })
  })

  it('minds neither case nor company', () => {
    accepted({ upgrade: 'WebSocket', connection: 'keep-alive, UPGRADE' })
    accepted({ connection: ['keep-alive', 'upgrade'] })
  })

  it('takes no subprotocol for an answer', () => {
    assert.equal(accepted({}, { subprotocols: ['chat'] }).subprotocol, '')
  })

  const faults: [HandshakeHeaders, string][] = [
    [{ upgrade: undefined }, 'ERR_WS_UPGRADE_HEADER'],
    [{ upgrade: '' }, 'ERR_WS_UPGRADE_HEADER'],
    [{ upgrade: 'h2c' }, 'ERR_WS_UPGRADE_HEADER'],
    [{ upgrade: 'websocket, h2c' }, 'ERR_WS_UPGRADE_HEADER'],
    [{ upgrade: 'websoc\u212aet' }, 'ERR_WS_UPGRADE_HEADER'],
    [{ upgrade: ['websocket', 'websocket'] }, 'ERR_WS_UPGRADE_HEADER'],
    [{ connection: undefined }, 'ERR_WS_CONNECTION_HEADER'],
    [{ connection: 'close' }, 'ERR_WS_CONNECTION_HEADER'],
    [{ 'sec-websocket-accept': undefined }, 'ERR_WS_ACCEPT'],
    [{ 'sec-websocket-accept': '' }, 'ERR_WS_ACCEPT'],
    [{ 'sec-websocket-accept': 'S3PPLMBITXAQ9KYGZZHZRBK+XOO=' }, 'ERR_WS_ACCEPT'],
    [{ 'sec-websocket-accept': ['s3pPLMBiTxaQ9kYGzzhZRbK+xOo='] }, 'ERR_WS_ACCEPT'],
    [{ 'content-length': '5' }, 'ERR_WS_HEADER_SYNTAX'],
    [{ 'content-length': '0' }, 'ERR_WS_HEADER_SYNTAX'],
    [{ 'transfer-encoding': 'chunked' }, 'ERR_WS_HEADER_SYNTAX'],
    [{ 'transfer-encoding': '' }, 'ERR_WS_HEADER_SYNTAX'],
    [{ 'sec-websocket-protocol': 'other' }, 'ERR_WS_SUBPROTOCOL'],
    [{ 'sec-websocket-protocol': 'Chat' }, 'ERR_WS_SUBPROTOCOL'],
    [{ 'sec-websocket-protocol': '' }, 'ERR_WS_SUBPROTOCOL'],
    [{ 'sec-websocket-protocol': 'chat, v2' }, 'ERR_WS_SUBPROTOCOL'],
    [{ 'sec-websocket-protocol': ['chat', 'v2'] }, 'ERR_WS_SUBPROTOCOL'],
    [{ 'sec-websocket-protocol': ['chat'] }, 'ERR_WS_SUBPROTOCOL'],
    [{ 'sec-websocket-extensions': '' }, 'ERR_WS_HEADER_SYNTAX'],
    [{ 'sec-websocket-extensions': 'deflate; a="' }, 'ERR_WS_HEADER_SYNTAX'],
    [{ 'sec-websocket-extensions': 'other' }, 'ERR_WS_EXTENSION'],
    [{ 'sec-websocket-extensions': 'Deflate' }, 'ERR_WS_EXTENSION'],
    [{ 'sec-websocket-extensions': 'silent' }, 'ERR_WS_EXTENSION'],
    [{ 'sec-websocket-extensions': 'deflate; bad' }, 'ERR_WS_EXTENSION'],
    [{ 'sec-websocket-extensions': 'deflate; a; a' }, 'ERR_WS_EXTENSION'],
    [{ 'sec-websocket-extensions': 'hint, deflate, other' }, 'ERR_WS_EXTENSION'],
    [{ 'sec-websocket-extensions': ['hint, hint'] }, 'ERR_WS_EXTENSION'],
    [{ 'sec-websocket-extensions': ['deflate', 'brotli'] }, 'ERR_WS_EXTENSION'],
  ]
  for (const [headers, code] of faults) {
    it(`refuses ${JSON.stringify(headers)}: ${code}`, () => {
      const extensions = [
        factory('deflate', 0x40, none),
        factory('brotli', 0x60, none),
        factory('hint', 0, none),
        factory('silent', 0),
      ]
      const decision = refused(headers, { subprotocols: ['chat', 'v2'], extensions })
      assert.equal(decision.code, code)
      assert.ok(decision.message.length > 0)
      for (const { name, live } of extensions) assert.equal(live, 0, `${name} was disposed of`)
    })
  }

  it('refuses another HTTP version than 1.1 where it is told', () => {
    for (const httpVersion of ['1.0', '0.9', '2.0', '3.0', 'x']) {
      const decision = verifyResponse({ status: 101, httpVersion, headers: goodHeaders }, offer())
      assert.equal(decision.ok || decision.code, 'ERR_WS_HTTP_VERSION', httpVersion)
    }
    for (const httpVersion of ['1.1', '1.2', '', undefined])
      assert.ok(verifyResponse({ status: 101, httpVersion, headers: goodHeaders }, offer()).ok, httpVersion)
  })

  for (const status of [200, 100, 301, 403, 500]) {
    it(`refuses the status ${status}`, () => {
      const decision = refused({}, {}, status)
      assert.equal(decision.code, 'ERR_WS_STATUS')
      assert.match(decision.message, new RegExp(String(status)))
    })
  }

  it('checks one thing after another', () => {
    const offered = { subprotocols: ['chat'], extensions: [factory('deflate', 0x40, none)] }
    let headers: HandshakeHeaders = {
      upgrade: 'h2c',
      connection: 'close',
      'sec-websocket-accept': 'x',
      'sec-websocket-protocol': 'x',
      'sec-websocket-extensions': ';',
    }
    const codes = [refused(headers, offered, 400).code]
    const repairs = [
      { upgrade: 'websocket' },
      { connection: 'upgrade' },
      { 'sec-websocket-accept': goodHeaders['sec-websocket-accept'] },
      { 'sec-websocket-protocol': 'chat' },
      { 'sec-websocket-extensions': 'x' },
    ]
    for (const repair of repairs) {
      codes.push(refused(headers, offered).code)
      headers = { ...headers, ...repair }
    }
    codes.push(refused(headers, offered).code)
    assert.deepEqual(codes, [
      'ERR_WS_STATUS',
      'ERR_WS_UPGRADE_HEADER',
      'ERR_WS_CONNECTION_HEADER',
      'ERR_WS_ACCEPT',
      'ERR_WS_SUBPROTOCOL',
      'ERR_WS_HEADER_SYNTAX',
      'ERR_WS_EXTENSION',
    ])
  })

  it('gives the extensions in the order of the answer', () => {
    const extensions = [factory('deflate', 0x40, none), factory('hint', 0, none)]
    const header = { 'sec-websocket-extensions': ['hint;a="b"', 'deflate'] }
    const decision = accepted(header, { extensions })
    assert.deepEqual(
      decision.extensions.map(({ name }) => name),
      ['hint', 'deflate'],
    )
    assert.equal(decision.extensionsHeader, 'hint; a=b, deflate')
    for (const { live } of extensions) assert.equal(live, 1)
  })

  it('disposes of what was made when one behind it fails', () => {
    const failing: (() => unknown)[] = [
      () => {
        throw new Error('on purpose')
      },
      () => 'no extension',
    ]
    for (const accept of failing) {
      const first = factory('one', 0x40, none)
      const extensions = [first, { ...factory('broken', 0x20, none), accept } as ExtensionFactory]
      assert.throws(() => accepted({ 'sec-websocket-extensions': 'one, broken' }, { extensions }))
      assert.equal(first.live, 0)
    }
  })

  it('can drop an extension that has nothing to dispose of', () => {
    const bare = (name: string): ExtensionFactory => ({
      ...factory(name, 0x40, none),
      accept: () => ({ name, rsv: 0x40, encode: () => undefined, decode: (payload) => payload }),
    })
    const extensions = [bare('one'), bare('two')]
    assert.equal(refused({ 'sec-websocket-extensions': 'one, two' }, { extensions }).code, 'ERR_WS_EXTENSION')
  })

  it('never throws on what a server sends', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 30 }),
      fc.string({ unit: fc.constantFrom('a', 'b', ',', ';', '=', '"', ' '), maxLength: 30 }),
    )
    const value = fc.oneof(text, fc.array(text, { maxLength: 3 }), fc.constant(undefined))
    const lists = ['sec-websocket-protocol', 'sec-websocket-extensions']
    const names = fc.constantFrom(...Object.keys(goodHeaders), ...lists)
    fc.assert(
      fc.property(
        fc.dictionary(names, value, { maxKeys: 3 }),
        fc.constantFrom(101, 200),
        (random, status) => {
          const extensions = [factory('a', 0x40, none), factory('b', 0x40, none)]
          const parts = offer({ subprotocols: ['a', 'b'], extensions })
          const decision = verifyResponse({ status, headers: { ...goodHeaders, ...random } }, parts)
          const live = extensions.reduce((sum, fake) => sum + fake.live, 0)
          assert.equal(live, decision.ok ? decision.extensions.length : 0)
          if (!decision.ok) assert.equal(errorKinds[decision.code], 'HandshakeError')
        },
      ),
      { numRuns: 1000 },
    )
  })
})

describe('both sides together', () => {
  function lower(headers: Record<string, string>): HandshakeHeaders {
    return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
  }

  it('agree on whatever they have in common', () => {
    const names = fc.uniqueArray(fc.constantFrom('a', 'B', 'c-1', 'd.e', '__proto__'))
    const key16 = fc
      .uint8Array({ minLength: 16, maxLength: 16 })
      .map((bytes) => Buffer.from(bytes).toString('base64'))
    fc.assert(
      fc.property(key16, names, names, names, names, (nonce, offered, supported, asked, known) => {
        const make = (list: string[]) => list.map((name) => factory(name, 0, none))
        const parts = offer({ key: nonce, subprotocols: offered, extensions: make(asked) })
        const decision = decideUpgrade(
          { method: 'GET', httpVersion: '1.1', headers: { host: 'a', ...lower(buildRequestHeaders(parts)) } },
          { checkOrigin: () => true, subprotocols: supported, extensions: make(known) },
        )
        assert.ok(decision.accepted)
        const verdict = verifyResponse({ status: 101, headers: lower(decision.headers) }, parts)
        assert.ok(verdict.ok)
        assert.equal(verdict.subprotocol, offered.find((name) => supported.includes(name)) ?? '')
        assert.equal(verdict.subprotocol, decision.subprotocol)
        assert.equal(verdict.extensionsHeader, decision.extensionsHeader)
        assert.equal(verdict.extensionsHeader, known.filter((name) => asked.includes(name)).join(', '))
      }),
    )
  })
})
