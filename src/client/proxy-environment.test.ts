import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import {
  type Environment,
  isExcepted,
  type ProxyQuestion,
  proxyFromEnvironment,
} from './proxy-environment.ts'

const ask = (host: string, secure = false, port = secure ? 443 : 80): ProxyQuestion => ({
  host,
  secure,
  port,
})

describe('proxyFromEnvironment', () => {
  const ws = ask('example.com')
  const wss = ask('example.com', true)
  const table: [
    name: string,
    question: ProxyQuestion,
    environment: Environment,
    variable: string | undefined,
  ][] = [
    ['nothing is set', ws, {}, undefined],
    ['ws: http_proxy', ws, { http_proxy: 'x', https_proxy: 'x' }, 'http_proxy'],
    ['wss: https_proxy', wss, { http_proxy: 'x', https_proxy: 'x' }, 'https_proxy'],
    ['ws: not https_proxy', ws, { https_proxy: 'x' }, undefined],
    ['wss: not http_proxy', wss, { http_proxy: 'x', HTTP_PROXY: 'x' }, undefined],
    ['upper case', ws, { HTTP_PROXY: 'x' }, 'HTTP_PROXY'],
    ['upper case, wss', wss, { HTTPS_PROXY: 'x' }, 'HTTPS_PROXY'],
    ['lower case comes first', wss, { HTTPS_PROXY: 'x', https_proxy: 'x' }, 'https_proxy'],
    ['all_proxy is for both', ws, { all_proxy: 'x' }, 'all_proxy'],
    ['all_proxy is for both, wss', wss, { ALL_PROXY: 'x' }, 'ALL_PROXY'],
    ['all_proxy comes last', wss, { all_proxy: 'x', HTTPS_PROXY: 'x' }, 'HTTPS_PROXY'],
    ['set to nothing: none', wss, { https_proxy: '', HTTPS_PROXY: 'x', ALL_PROXY: 'x' }, undefined],
    ['set to blanks: none', ws, { http_proxy: '  ' }, undefined],
    ['undefined is not set', ws, { http_proxy: undefined, all_proxy: 'x' }, 'all_proxy'],
    ['CGI: HTTP_PROXY is the header Proxy', ws, { HTTP_PROXY: 'x', REQUEST_METHOD: 'GET' }, undefined],
    ['CGI: http_proxy is not', ws, { http_proxy: 'x', REQUEST_METHOD: 'GET' }, 'http_proxy'],
    ['CGI: nor is HTTPS_PROXY', wss, { HTTPS_PROXY: 'x', REQUEST_METHOD: 'GET' }, 'HTTPS_PROXY'],
    ['CGI: all_proxy', ws, { HTTP_PROXY: 'x', ALL_PROXY: 'x', REQUEST_METHOD: '' }, 'ALL_PROXY'],
    ['no_proxy', ws, { http_proxy: 'x', no_proxy: 'example.com' }, undefined],
    ['NO_PROXY', ws, { http_proxy: 'x', NO_PROXY: 'example.com' }, undefined],
    ['no_proxy comes first', ws, { http_proxy: 'x', no_proxy: 'a.example', NO_PROXY: '*' }, 'http_proxy'],
    ['an empty no_proxy hides no NO_PROXY', ws, { http_proxy: 'x', no_proxy: '', NO_PROXY: '*' }, undefined],
    ...[
      'localhost',
      'LOCALHOST',
      'localhost.',
      '127.0.0.1',
      '127.255.0.9',
      '::1',
      '0:0:0:0:0:0:0:1',
      '::ffff:127.0.0.1',
      '::ffff:7f00:1',
    ].map((host): [string, ProxyQuestion, Environment, undefined] => [
      `this machine: ${host}`,
      ask(host),
      { all_proxy: 'x', http_proxy: 'x' },
      undefined,
    ]),
    ...['localhost.example', 'notlocalhost', '128.0.0.1', '::2', '10.0.0.1', '0.0.0.0'].map(
      (host): [string, ProxyQuestion, Environment, string] => [
        `not this machine: ${host}`,
        ask(host),
        { all_proxy: 'x' },
        'all_proxy',
      ],
    ),
  ]
  for (const [name, question, environment, variable] of table) {
    it(name, () => assert.equal(proxyFromEnvironment(question, environment)?.variable, variable))
  }

  it('gives the URL as it stands there, without blanks around', () => {
    const environment = { https_proxy: ' http://u:p@proxy:3128\n' }
    assert.deepEqual(proxyFromEnvironment(wss, environment), {
      url: 'http://u:p@proxy:3128',
      variable: 'https_proxy',
    })
  })

  it('CGI where names have no case: the key tells', () => {
    // As process.env is on Windows.
    const blind = (names: Record<string, string>): Environment =>
      new Proxy(names, {
        get: (target, key) =>
          Object.entries(target).find(([name]) => name.toLowerCase() === String(key).toLowerCase())?.[1],
      })
    const given = { HTTP_PROXY: 'x', REQUEST_METHOD: 'GET' }
    assert.equal(proxyFromEnvironment(ws, blind(given)), undefined)
    assert.equal(proxyFromEnvironment(ws, blind({ HTTP_PROXY: 'x' }))?.url, 'x')
    assert.equal(proxyFromEnvironment(ws, blind({ http_proxy: 'x', REQUEST_METHOD: 'GET' }))?.url, 'x')
  })
})

describe('isExcepted', () => {
  const table: [noProxy: string, excepted: string[], not: string[]][] = [
    ['', [], ['example.com', '10.0.0.1']],
    [' , ,, ', [], ['example.com']],
    ['*', ['example.com', '10.0.0.1', 'fe80::1'], []],
    ['a.example, *', ['example.com'], []],
    [
      'example.com',
      ['example.com', 'EXAMPLE.com', 'example.com.', 'sub.example.com', 'a.b.example.com'],
      ['notexample.com', 'example.com.evil', 'example', 'com'],
    ],
    ['.example.com', ['example.com', 'sub.example.com'], ['notexample.com']],
    ['*.example.com', ['example.com', 'sub.example.com'], ['notexample.com']],
    ['EXAMPLE.Com.', ['example.com'], []],
    [
      'a.example b.example\tc.example,d.example',
      ['a.example', 'b.example', 'c.example', 'd.example'],
      ['e.example'],
    ],
    ['bücher.example', ['xn--bcher-kva.example'], []],
    [
      '10.0.0.1',
      ['10.0.0.1', '::ffff:10.0.0.1', '::ffff:a00:1'],
      ['10.0.0.2', '10.0.0.11', 'a.10.0.0.1.example'],
    ],
    ['0.1', [], ['10.0.0.1']],
    [
      '10.0.0.0/8',
      ['10.0.0.0', '10.255.255.255', '::ffff:10.1.2.3'],
      ['11.0.0.0', '9.255.255.255', 'ten.example'],
    ],
    ['192.168.1.0/25', ['192.168.1.127'], ['192.168.1.128']],
    ['1.2.3.4/32', ['1.2.3.4'], ['1.2.3.5']],
    ['0.0.0.0/0', ['1.2.3.4'], ['example.com']],
    ['::1', ['::1', '0:0::1'], ['::2']],
    ['[fe80::1]', ['fe80::1'], ['fe80::2']],
    ['fe80::/10', ['fe80::1', 'febf::1'], ['fec0::1', '10.0.0.1']],
    ['[fe80::]/10', ['fe80::1'], ['fec0::1']],
    ['::/0', ['2001:db8::1'], ['10.1.2.3', '::ffff:10.1.2.3']],
    ['::/90', ['::1'], ['10.1.2.3']],
    ['::ffff:10.0.0.0/104', ['10.1.2.3', '::ffff:10.1.2.3'], ['11.0.0.1', '2001:db8::1']],
    // What is none of these.
    ['10.0.0.0/33', [], ['10.0.0.0']],
    ['10.0.0.0/', [], ['10.0.0.0']],
    ['10.0.0.0/-1', [], ['10.0.0.0']],
    ['10.0.0/8', [], ['10.0.0.0']],
    ['fe80::/129', [], ['fe80::']],
    ['http://example.com', [], ['example.com']],
    ['.', [], ['example.com']],
    ['*.', [], ['example.com']],
    ['exa*.com', [], ['example.com']],
    ['a b:x', [], ['example.com']],
  ]
  for (const [noProxy, excepted, not] of table) {
    it(JSON.stringify(noProxy), () => {
      for (const host of excepted) assert.equal(isExcepted(ask(host), noProxy), true, host)
      for (const host of not) assert.equal(isExcepted(ask(host), noProxy), false, host)
    })
  }

  it('for one port alone', () => {
    const at = (host: string, port: number): boolean =>
      isExcepted(
        { host, secure: false, port },
        'example.com:8080 .a.example:80, 10.0.0.1:81 [fe80::1]:82 fe80::2',
      )
    assert.deepEqual(
      [at('example.com', 8080), at('sub.example.com', 8080), at('example.com', 80), at('x.a.example', 80)],
      [true, true, false, true],
    )
    assert.deepEqual([at('10.0.0.1', 81), at('10.0.0.1', 80)], [true, false])
    assert.deepEqual([at('fe80::1', 82), at('fe80::1', 80), at('fe80::2', 9)], [true, false, true])
  })

  it('takes any text, in a time that grows with its length', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 200 }), fc.webAuthority(), (text, host) => {
        assert.equal(typeof isExcepted(ask(host), text), 'boolean')
      }),
    )
    assert.equal(isExcepted(ask('example.com'), '.*'.repeat(100_000)), false)
  })
})
