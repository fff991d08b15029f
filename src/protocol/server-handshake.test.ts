import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { errorKinds, UsageError } from '../session/errors.ts'
import type { ExtensionParams } from '../wire/header-grammar.ts'
import type { Extension, ExtensionFactory } from './extension.ts'
import {
  decideUpgrade,
  type HandshakeHeaders,
  type HandshakeRequest,
  type ServerAcceptance,
  type ServerHandshakeOptions,
  type ServerRefusal,
} from './server-handshake.ts'

const goodHeaders: HandshakeHeaders = {
  host: 'server.example.com',
  connection: 'Upgrade',
  upgrade: 'websocket',
  origin: 'https://example.com',
  'sec-websocket-version': '13',
  'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
}

const open: ServerHandshakeOptions = { checkOrigin: () => true }

function request(headers: HandshakeHeaders = {}, rest: Partial<HandshakeRequest> = {}): HandshakeRequest {
  return { method: 'GET', httpVersion: '1.1', headers: { ...goodHeaders, ...headers }, ...rest }
}

function accepted(
  headers: HandshakeHeaders,
  options: Partial<ServerHandshakeOptions> = {},
): ServerAcceptance {
  const decision = decideUpgrade(request(headers), { ...open, ...options })
  assert.ok(decision.accepted, `refused: ${decision.accepted || decision.message}`)
  return decision
}

function refused(asked: HandshakeRequest, options: ServerHandshakeOptions = open): ServerRefusal {
  const decision = decideUpgrade(asked, options)
  assert.ok(!decision.accepted, 'accepted')
  return decision
}

interface FakeFactory extends ExtensionFactory {
  readonly offered: (readonly ExtensionParams[])[]
  disposed: number
}

/** Takes the first offer that has no parameter `bad`. */
function factory(name: string, rsv: number): FakeFactory {
  const fake: FakeFactory = {
    name,
    offered: [],
    disposed: 0,
    offers: () => [],
    accept: () => undefined,
    negotiate(offers) {
      fake.offered.push(offers)
      const params = offers.find((offer) => !offer.has('bad'))
      return params && { params, extension }
    },
  }
  const extension: Extension = {
    name,
    rsv,
    encode: () => undefined,
    decode: (payload) => payload,
    dispose: () => {
      fake.disposed++
    },
  }
  return fake
}

describe('decideUpgrade, accepting', () => {
  it('answers the request of RFC 6455 section 1.2', () => {
    const decision = accepted(
      { 'sec-websocket-protocol': 'chat, superchat' },
      { subprotocols: ['superchat', 'chat'] },
    )
    assert.deepEqual(decision, {
      accepted: true,
      headers: {
        Upgrade: 'websocket',
        Connection: 'Upgrade',
        'Sec-WebSocket-Accept': 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=',
        'Sec-WebSocket-Protocol': 'chat',
      },
      subprotocol: 'chat',
      extensions: [],
      extensionsHeader: '',
    })
  })

  const variants: Record<string, HandshakeHeaders> = {
    'a list in Connection': { connection: 'keep-alive, Upgrade' },
    'several Connection headers': { connection: ['keep-alive', 'UPGRADE'] },
    'upper case in Upgrade': { upgrade: 'WebSocket' },
    'other protocols in Upgrade': { upgrade: ['h2c, IRC/6.9', 'websocket'] },
    'a Content-Length of 0': { 'content-length': '0' },
    'no Origin': { origin: undefined },
  }
  for (const [name, headers] of Object.entries(variants)) it(`takes ${name}`, () => void accepted(headers))

  it('takes a later minor version of HTTP', () => {
    assert.equal(decideUpgrade(request({}, { httpVersion: '1.2' }), open).accepted, true)
  })

  it('gives the origin as it came', () => {
    const seen: unknown[] = []
    const checkOrigin = (origin: string | undefined) => seen.push(origin) > 0
    for (const origin of ['https://Example.com', '', undefined]) accepted({ origin }, { checkOrigin })
    assert.deepEqual(seen, ['https://Example.com', '', undefined])
  })
})

describe('decideUpgrade, refusing', () => {
  const faults: [HandshakeHeaders | Partial<HandshakeRequest>, number, string, Record<string, string>?][] = [
    [{ connection: undefined }, 400, 'ERR_WS_CONNECTION_HEADER'],
    [{ connection: 'close' }, 400, 'ERR_WS_CONNECTION_HEADER'],
    [{ connection: 'upgrade foo' }, 400, 'ERR_WS_CONNECTION_HEADER'],
    [{ upgrade: undefined }, 426, 'ERR_WS_UPGRADE_HEADER', { Upgrade: 'websocket', Connection: 'Upgrade' }],
    [
      { upgrade: 'websocket/13' },
      426,
      'ERR_WS_UPGRADE_HEADER',
      { Upgrade: 'websocket', Connection: 'Upgrade' },
    ],
    [{ method: 'POST' }, 405, 'ERR_WS_METHOD', { Allow: 'GET' }],
    [{ method: 'get' }, 405, 'ERR_WS_METHOD', { Allow: 'GET' }],
    [{ httpVersion: '1.0' }, 400, 'ERR_WS_HTTP_VERSION'],
    [{ httpVersion: '' }, 400, 'ERR_WS_HTTP_VERSION'],
    [{ httpVersion: '2.0' }, 400, 'ERR_WS_HTTP_VERSION'],
    [{ httpVersion: '3' }, 400, 'ERR_WS_HTTP_VERSION'],
    [{ host: undefined }, 400, 'ERR_WS_HOST'],
    [{ host: '' }, 400, 'ERR_WS_HOST'],
    [{ host: ['a', 'b'] }, 400, 'ERR_WS_HOST'],
    ...['a b', 'x/y', 'u@x', 'a,b', 'a\tb', 'a\u00e9', 'a?b', 'a#b'].map(
      (host): [HandshakeHeaders, number, string] => [{ host }, 400, 'ERR_WS_HOST'],
    ),
    ...[undefined, '', '8', '013', '13 ', '13, 8', '13, 13', ['13', '13']].map(
      (version): [HandshakeHeaders, number, string, Record<string, string>] => [
        { 'sec-websocket-version': version },
        426,
        'ERR_WS_VERSION',
        { Upgrade: 'websocket', Connection: 'Upgrade' },
      ],
    ),
    [{ 'content-length': '1' }, 400, 'ERR_WS_REQUEST_BODY'],
    [{ 'content-length': '' }, 400, 'ERR_WS_REQUEST_BODY'],
    [{ 'content-length': ['0', '0'] }, 400, 'ERR_WS_REQUEST_BODY'],
    [{ 'transfer-encoding': 'chunked' }, 400, 'ERR_WS_REQUEST_BODY'],
    [{ 'transfer-encoding': '' }, 400, 'ERR_WS_REQUEST_BODY'],
    [{ origin: ['https://a.example', 'https://b.example'] }, 403, 'ERR_WS_ORIGIN'],
    [{ 'sec-websocket-key': undefined }, 400, 'ERR_WS_KEY'],
    [{ 'sec-websocket-key': 'short' }, 400, 'ERR_WS_KEY'],
    [{ 'sec-websocket-key': ['dGhlIHNhbXBsZSBub25jZQ==', 'dGhlIHNhbXBsZSBub25jZQ=='] }, 400, 'ERR_WS_KEY'],
    [{ 'sec-websocket-protocol': ',' }, 400, 'ERR_WS_HEADER_SYNTAX'],
    [{ 'sec-websocket-protocol': 'a b' }, 400, 'ERR_WS_HEADER_SYNTAX'],
    [{ 'sec-websocket-protocol': 'a, b, a' }, 400, 'ERR_WS_HEADER_SYNTAX'],
    [{ 'sec-websocket-protocol': ['a', 'a'] }, 400, 'ERR_WS_HEADER_SYNTAX'],
    [{ 'sec-websocket-extensions': ',' }, 400, 'ERR_WS_HEADER_SYNTAX'],
    [{ 'sec-websocket-extensions': 'a; b="' }, 400, 'ERR_WS_HEADER_SYNTAX'],
    [{ 'sec-websocket-extensions': ['a', ';b'] }, 400, 'ERR_WS_HEADER_SYNTAX'],
  ]
  for (const [fault, status, code, extra] of faults) {
    it(`answers ${status} ${code} to ${JSON.stringify(fault)}`, () => {
      const inHeaders = !('method' in fault || 'httpVersion' in fault)
      const asked = inHeaders
        ? request(fault as HandshakeHeaders)
        : request({}, fault as Partial<HandshakeRequest>)
      const decision = refused(asked)
      assert.deepEqual([decision.status, decision.code], [status, code])
      assert.deepEqual(decision.headers, { 'Sec-WebSocket-Version': '13', ...extra })
      assert.ok(decision.message.length > 0)
    })
  }

  it('answers 403 to an origin that the check refuses', () => {
    assert.deepEqual(refused(request(), { checkOrigin: () => false }), {
      accepted: false,
      status: 403,
      code: 'ERR_WS_ORIGIN',
      message: 'Origin not allowed',
      headers: { 'Sec-WebSocket-Version': '13' },
    })
  })

  it('does not show a repeated origin to the check', () => {
    const checkOrigin = () => assert.fail('called')
    assert.equal(refused(request({ origin: ['https://a.example'] }), { checkOrigin }).status, 403)
  })

  it('has room for 32 subprotocols and no more', () => {
    const names = Array.from({ length: 32 }, (_, index) => `p${index}`)
    accepted({ 'sec-websocket-protocol': names.join(', ') })
    const decision = refused(request({ 'sec-websocket-protocol': [...names, 'more'] }))
    assert.equal(decision.code, 'ERR_WS_HEADER_SYNTAX')
    assert.match(decision.message, /more than 32/)
  })

  it('checks one thing after another', () => {
    const wrong = request(
      {
        connection: 'close',
        upgrade: 'h2c',
        host: undefined,
        'sec-websocket-version': '8',
        'content-length': '5',
        'sec-websocket-key': 'x',
        'sec-websocket-protocol': ',',
        'sec-websocket-extensions': ';',
      },
      { method: 'POST', httpVersion: '1.0' },
    )
    const repairs: Partial<HandshakeRequest>[] = [
      { headers: { connection: 'upgrade' } },
      { headers: { upgrade: 'websocket' } },
      { method: 'GET' },
      { httpVersion: '1.1' },
      { headers: { host: 'a' } },
      { headers: { 'sec-websocket-version': '13' } },
      { headers: { 'content-length': undefined } },
      { headers: { origin: 'good' } },
      { headers: { 'sec-websocket-key': goodHeaders['sec-websocket-key'] } },
      { headers: { 'sec-websocket-protocol': 'a' } },
      { headers: { 'sec-websocket-extensions': 'a' } },
    ]
    const options: ServerHandshakeOptions = { checkOrigin: (origin) => origin === 'good' }
    const codes: string[] = []
    let asked = wrong
    for (const repair of repairs) {
      codes.push(refused(asked, options).code)
      asked = { ...asked, ...repair, headers: { ...asked.headers, ...repair.headers } }
    }
    assert.deepEqual(codes, [
      'ERR_WS_CONNECTION_HEADER',
      'ERR_WS_UPGRADE_HEADER',
      'ERR_WS_METHOD',
      'ERR_WS_HTTP_VERSION',
      'ERR_WS_HOST',
      'ERR_WS_VERSION',
      'ERR_WS_REQUEST_BODY',
      'ERR_WS_ORIGIN',
      'ERR_WS_KEY',
      'ERR_WS_HEADER_SYNTAX',
      'ERR_WS_HEADER_SYNTAX',
    ])
    assert.equal(decideUpgrade(asked, options).accepted, true)
  })

  it('makes headers that the caller may change', () => {
    refused(request({ upgrade: 'x' })).headers['Upgrade'] = 'changed'
    assert.equal(refused(request({ upgrade: 'x' })).headers['Upgrade'], 'websocket')
    accepted({}).headers['Upgrade'] = 'changed'
    assert.equal(accepted({}).headers['Upgrade'], 'websocket')
  })

  it('lets pass what checkOrigin throws', () => {
    const checkOrigin = () => {
      throw new RangeError('mine')
    }
    assert.throws(() => decideUpgrade(request(), { checkOrigin }), RangeError)
  })
})

describe('subprotocols', () => {
  const offer = { 'sec-websocket-protocol': 'a, B, c' }

  const lists: [HandshakeHeaders, readonly string[], string][] = [
    [offer, ['c', 'a'], 'a'],
    [offer, ['c'], 'c'],
    [offer, ['b'], ''],
    [offer, [], ''],
    [{}, ['a'], ''],
    [{ 'sec-websocket-protocol': ['x', 'c'] }, ['a', 'c'], 'c'],
  ]
  for (const [headers, subprotocols, expected] of lists) {
    it(`of ${JSON.stringify(headers)} and ${JSON.stringify(subprotocols)} takes "${expected}"`, () => {
      const decision = accepted(headers, { subprotocols })
      assert.equal(decision.subprotocol, expected)
      assert.equal(decision.headers['Sec-WebSocket-Protocol'], expected === '' ? undefined : expected)
      assert.equal('Sec-WebSocket-Protocol' in decision.headers, expected !== '')
    })
  }

  it('takes an empty list for none', () => {
    const decision = accepted(
      { 'sec-websocket-protocol': '', 'sec-websocket-extensions': '' },
      { subprotocols: ['a'], extensions: [factory('one', 0x40)] },
    )
    assert.deepEqual([decision.subprotocol, decision.extensionsHeader], ['', ''])
  })

  it('takes none by default', () => assert.equal(accepted(offer).subprotocol, ''))

  it('asks a function', () => {
    const seen: unknown[] = []
    const choose = (index: number) => (offered: readonly string[]) => {
      seen.push(offered)
      return offered[index]
    }
    assert.equal(accepted(offer, { subprotocols: choose(1) }).headers['Sec-WebSocket-Protocol'], 'B')
    assert.equal(accepted(offer, { subprotocols: choose(9) }).subprotocol, '')
    assert.deepEqual(seen, [
      ['a', 'B', 'c'],
      ['a', 'B', 'c'],
    ])
  })

  it('does not ask when nothing is offered', () => {
    assert.equal(accepted({}, { subprotocols: () => assert.fail('called') }).subprotocol, '')
  })

  for (const chosen of ['b', '', 'a\r\nX: y']) {
    it(`throws when the function chooses ${JSON.stringify(chosen)}, which was not offered`, () => {
      assert.throws(
        () => accepted(offer, { subprotocols: () => chosen }),
        (error: unknown) =>
          error instanceof UsageError &&
          error.code === 'ERR_WS_INVALID_ARGUMENT' &&
          error.message.includes(JSON.stringify(chosen)),
      )
    })
  }
})

describe('extensions', () => {
  it('gives a factory the offers of its name, in order', () => {
    const [one, two] = [factory('one', 0x40), factory('two', 0)]
    const header = ['two; x=1, one; bad', 'three, one; y="2", one; z']
    const decision = accepted(
      { 'sec-websocket-extensions': header },
      { extensions: [one, two, factory('four', 0)] },
    )
    assert.deepEqual(
      one.offered.flat().map((params) => [...params]),
      [[['bad', true]], [['y', '2']], [['z', true]]],
    )
    assert.deepEqual(
      decision.extensions.map(({ name }) => name),
      ['one', 'two'],
    )
    assert.equal(decision.extensionsHeader, 'one; y=2, two; x=1')
    assert.equal(decision.headers['Sec-WebSocket-Extensions'], 'one; y=2, two; x=1')
  })

  it('passes over an offer that names a parameter twice', () => {
    const one = factory('one', 0x40)
    const decision = accepted({ 'sec-websocket-extensions': 'one; x=1; x=2, one; y' }, { extensions: [one] })
    assert.equal(decision.extensionsHeader, 'one; y')
    assert.equal(
      accepted({ 'sec-websocket-extensions': 'one; x; x' }, { extensions: [one] }).extensionsHeader,
      '',
    )
  })

  it('goes without those that decline or are not asked for', () => {
    const [one, two] = [factory('one', 0x40), factory('two', 0x20)]
    const decision = accepted({ 'sec-websocket-extensions': 'one; bad' }, { extensions: [one, two] })
    assert.deepEqual([decision.extensions, decision.extensionsHeader], [[], ''])
    assert.equal('Sec-WebSocket-Extensions' in decision.headers, false)
    assert.deepEqual(two.offered, [])
  })

  it('skips the later of two that clash, and disposes of it', () => {
    const factories = [
      factory('one', 0x40),
      factory('two', 0x60),
      factory('three', 0x20),
      factory('three', 0x10),
    ]
    const decision = accepted({ 'sec-websocket-extensions': 'three, two, one' }, { extensions: factories })
    assert.equal(decision.extensionsHeader, 'one, three')
    assert.deepEqual(
      factories.map(({ disposed }) => disposed),
      [0, 1, 0, 1],
    )
  })

  it('disposes of what was made when one behind it fails', () => {
    const broken = factory('broken', 0x20)
    const taken = broken.negotiate([new Map()])
    const failing: (() => unknown)[] = [
      () => {
        throw new Error('on purpose')
      },
      () => 'no extension',
      () => ({ ...taken, extension: { ...taken?.extension, rsv: 8 } }),
      () => ({ ...taken, params: 5 }),
    ]
    for (const negotiate of failing) {
      const first = factory('one', 0x40)
      const extensions = [first, { ...broken, negotiate } as ExtensionFactory]
      assert.throws(() => accepted({ 'sec-websocket-extensions': 'one, broken' }, { extensions }))
      assert.equal(first.disposed, 1)
    }
    // What went wrong with the answer about it has it made already.
    assert.equal(broken.disposed, 1)
  })

  it('can skip an extension that has nothing to dispose of', () => {
    const plain = factory('plain', 0x40)
    const bare: ExtensionFactory = {
      ...plain,
      negotiate: () => ({
        params: new Map(),
        extension: { name: 'plain', rsv: 0x40, encode: () => undefined, decode: (payload) => payload },
      }),
    }
    const extensions = [factory('one', 0x40), bare]
    assert.equal(
      accepted({ 'sec-websocket-extensions': 'plain, one' }, { extensions }).extensionsHeader,
      'one',
    )
  })
})

it('decideUpgrade never throws on what a client sends', () => {
  const names = [...Object.keys(goodHeaders), 'content-length', 'transfer-encoding']
  const lists = ['sec-websocket-protocol', 'sec-websocket-extensions']
  const text = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 30 }),
    fc.string({ unit: fc.constantFrom('a', 'b', ',', ';', '=', '"', ' '), maxLength: 30 }),
  )
  const value = fc.oneof(text, fc.array(text, { maxLength: 3 }), fc.constant(undefined))
  const headers = fc.oneof(
    fc.dictionary(fc.constantFrom(...names, ...lists), value, { maxKeys: 3 }),
    fc.dictionary(fc.constantFrom(...lists), value),
  )
  const options: ServerHandshakeOptions = {
    ...open,
    subprotocols: ['a', 'b'],
    extensions: [factory('a', 0x40), factory('b', 0x40)],
  }
  fc.assert(
    fc.property(headers, (random) => {
      const decision = decideUpgrade(request(random), options)
      if (decision.accepted) assert.ok(['', 'a', 'b'].includes(decision.subprotocol))
      else
        assert.ok(
          decision.status >= 400 && decision.status < 500 && errorKinds[decision.code] === 'HandshakeError',
        )
    }),
    { numRuns: 1000 },
  )
})
