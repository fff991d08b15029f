import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { HandshakeError, UsageError } from '../session/errors.ts'
import { dialTarget } from './dial-target.ts'
import { chooseProxy, parseProxy, resolveProxyOptions } from './proxy.ts'

const { signal } = new AbortController()
const target = dialTarget(new URL('wss://example.com/chat'))

describe('parseProxy', () => {
  const good: [
    given: string | URL,
    scheme: string,
    label: string,
    host: string,
    port: number,
    login?: string,
  ][] = [
    ['http://proxy.example', 'http', 'proxy.example:80', 'proxy.example', 80],
    ['https://proxy.example', 'https', 'proxy.example:443', 'proxy.example', 443],
    ['socks5://proxy.example', 'socks5', 'proxy.example:1080', 'proxy.example', 1080],
    ['socks5h://proxy.example', 'socks5h', 'proxy.example:1080', 'proxy.example', 1080],
    ['socks5://proxy.example:80', 'socks5', 'proxy.example:80', 'proxy.example', 80],
    ['proxy.example:3128', 'http', 'proxy.example:3128', 'proxy.example', 3128],
    ['proxy', 'http', 'proxy:80', 'proxy', 80],
    ['proxy:3128/', 'http', 'proxy:3128', 'proxy', 3128],
    ['socks5://us%3Aer:x@proxy', 'socks5', 'proxy:1080', 'proxy', 1080, 'us:er:x'],
    ['user:secret@proxy:3128', 'http', 'proxy:3128', 'proxy', 3128, 'user:secret'],
    [' http://proxy:3128/path?x#y\n', 'http', 'proxy:3128', 'proxy', 3128],
    ['HTTP://PROXY.example:3128', 'http', 'proxy.example:3128', 'proxy.example', 3128],
    ['SOCKS5://PROXY.example', 'socks5', 'proxy.example:1080', 'proxy.example', 1080],
    ['socks5h://bücher.example', 'socks5h', 'xn--bcher-kva.example:1080', 'xn--bcher-kva.example', 1080],
    ['http://[::1]:3128', 'http', '[::1]:3128', '::1', 3128],
    ['socks5://[fe80::1]', 'socks5', '[fe80::1]:1080', 'fe80::1', 1080],
    ['http://us%40er:p%3Aw%25%C3%A4@proxy', 'http', 'proxy:80', 'proxy', 80, 'us@er:p:w%ä'],
    ['http://user@proxy', 'http', 'proxy:80', 'proxy', 80, 'user:'],
    ['http://:secret@proxy', 'http', 'proxy:80', 'proxy', 80, ':secret'],
    [new URL('http://proxy:3128'), 'http', 'proxy:3128', 'proxy', 3128],
  ]
  for (const [given, scheme, label, host, port, login] of good) {
    it(String(given), () => {
      const proxy = parseProxy(given)
      assert.ok(typeof proxy !== 'string', String(proxy))
      const { login: decoded, ...rest } = proxy
      assert.deepEqual(rest, { scheme, host, port, label })
      assert.equal(decoded && `${decoded.user}:${decoded.password}`, login)
    })
  }

  const bad: [given: string, why: RegExp][] = [
    ['', /^it is not a URL$/],
    ['http://user:secret@', /^it is not a URL$/],
    ['http://user:secret@proxy:99999', /^it is not a URL$/],
    ['http://a b', /^it is not a URL$/],
    ['http:/secret', /^behind its scheme comes :\/\/$/],
    ['http:\\\\secret', /^behind its scheme comes :\/\/$/],
    ['socks5:/secret:1080', /^behind its scheme comes :\/\/$/],
    ['http://us%3Aer:secret@proxy', /^a user has no colon/],
    ['http://us%0Aer:secret@proxy', /control character/],
    ['https://user:secret%00@proxy', /control character/],
    ['ftp://user:secret@proxy', /^a proxy has the scheme http, https, socks5 or socks5h$/],
    ['socks4://user:secret@proxy', /^a proxy has the scheme/],
    ['socks://user:secret@proxy', /^a proxy has the scheme/],
    ['toString://proxy', /^a proxy has the scheme/],
    ['socks5:///secret', /^it names no host$/],
    ['socks5://a%2fb', /^it names no host$/],
    ['http://user:%secret@proxy', /not percent-encoded UTF-8$/],
    ['http://%ff:secret@proxy', /not percent-encoded UTF-8$/],
    ['socks5://%ff', /not percent-encoded UTF-8$/],
    [`socks5://${'u'.repeat(256)}:secret@proxy`, /at most 255 bytes each/],
    [`socks5h://user:${'%C3%A4'.repeat(128)}@proxy`, /at most 255 bytes each/],
  ]
  for (const [given, why] of bad) {
    it(`not ${given.slice(0, 40)}`, () => {
      const result = parseProxy(given)
      assert.ok(typeof result === 'string')
      assert.match(result, why)
      assert.doesNotMatch(result, /secret/)
    })
  }
})

describe('resolveProxyOptions', () => {
  const none = { headers: {}, tls: {} }
  const proxy = parseProxy('http://proxy:3128')
  const choose = (): string => 'http://proxy:3128'

  it('completes what is given', () => {
    for (const [given, choice] of [
      [undefined, 'environment'],
      [false, false],
      ['http://proxy:3128', proxy],
      [new URL('http://proxy:3128'), proxy],
      [choose, choose],
    ]) {
      assert.deepEqual(resolveProxyOptions(given), { choice, ...none })
      assert.deepEqual(resolveProxyOptions({ url: given }), { choice, ...none })
    }
    const [headers, tls] = [{ 'Proxy-Authorization': 'Bearer x' }, { ca: 'x' }]
    assert.deepEqual(resolveProxyOptions({ headers, tls }), { choice: 'environment', headers, tls })
  })

  const wrong: [given: unknown, message: RegExp][] = [
    ...[null, true, 5, ''].map((url): [unknown, RegExp] => [{ url }, /^proxy\.url/]),
    [true, /^proxy must be a URL, a function that gives one, or false$/],
    [null, /^proxy must be a URL/],
    ['http://', /^proxy: it is not a URL$/],
    [{ url: 'gopher://proxy' }, /^proxy\.url: a proxy has the scheme/],
    [{ proxy: 'x' }, /^proxy is not an option; the options are url, headers, tls/],
    [{ headers: [] }, /^proxy\.headers must be an object/],
    [{ headers: { Host: 'x' } }, /^proxy\.headers: Host is set by the handshake/],
    [{ headers: { 'X-A': 'a\r\nb: c' } }, /^proxy\.headers: the value of X-A is not a line of text/],
    [{ tls: null }, /^proxy\.tls must be an object/],
    [{ tls: { host: 'x' } }, /^proxy\.tls has host, which is not for TLS/],
    [{ url: 'socks5://proxy', headers: { a: 'b' } }, /^proxy\.headers is not for a SOCKS proxy$/],
    [{ url: 'socks5h://proxy', tls: { ca: 'x' } }, /^proxy\.tls is not for a SOCKS proxy$/],
  ]
  for (const [given, message] of wrong) {
    it(String(message), () =>
      assert.throws(
        () => resolveProxyOptions(given),
        (error) =>
          error instanceof UsageError &&
          error.code === 'ERR_WS_INVALID_OPTION' &&
          message.test(error.message),
      ),
    )
  }
})

describe('a URL of another realm, or of what has taken the place of the class', () => {
  const foreign = { href: 'http://proxy:3128/', toString: () => 'http://proxy:3128/' }

  it('is a URL', async () => {
    for (const given of [foreign, { url: foreign }, () => foreign, { url: async () => foreign }]) {
      const proxy = await chooseProxy(target, resolveProxyOptions(given), signal, {})
      assert.equal(proxy?.label, 'proxy:3128')
    }
  })
})

describe('chooseProxy', () => {
  const choose = (given: unknown, url = target, environment = {}): ReturnType<typeof chooseProxy> =>
    chooseProxy(url, resolveProxyOptions(given), signal, environment)
  const labelOf = async (given: unknown, url = target, environment = {}): Promise<string | undefined> =>
    (await choose(given, url, environment))?.label

  it('asks the environment, unless told otherwise', async () => {
    const environment = { https_proxy: 'http://user:secret@other:3128', http_proxy: 'plain' }
    assert.equal(await labelOf(undefined, target, environment), 'other:3128')
    assert.equal(await labelOf({ headers: {} }, target, environment), 'other:3128')
    assert.equal(await labelOf(undefined, dialTarget(new URL('ws://example.com')), environment), 'plain:80')
    assert.equal(await labelOf(undefined, target, {}), undefined)
    assert.equal(await labelOf(false, target, environment), undefined)
    assert.equal(await labelOf('http://proxy:3128', target, environment), 'proxy:3128')
  })

  it('one that is named is for this machine too, but never for a unix socket', async () => {
    assert.equal(await labelOf('http://proxy:3128', dialTarget(new URL('ws://127.0.0.1'))), 'proxy:3128')
    const unix = dialTarget(new URL('ws+unix:/run/a.sock'))
    const forbidden = (): never => assert.fail('asked')
    for (const given of ['http://proxy:3128', undefined, forbidden])
      assert.equal(await labelOf(given, unix, { all_proxy: 'proxy' }), undefined)
  })

  it('a function chooses for each server, now or later', async () => {
    const asked: string[] = []
    const named = (url: URL): URL => {
      asked.push(url.href)
      return new URL('http://proxy:3128')
    }
    assert.equal(await labelOf(named), 'proxy:3128')
    assert.deepEqual(asked, ['wss://example.com/chat'])
    assert.equal(await labelOf(async () => 'proxy:1'), 'proxy:1')
    assert.equal(await labelOf(() => false), undefined)
    assert.equal(await labelOf(async () => undefined), undefined)
  })

  it('a function cannot change where to', async () => {
    await choose((url: URL) => {
      url.hostname = 'evil.example'
    })
    assert.equal(target.url.hostname, 'example.com')
  })

  it('a function that fails, gives nonsense, or is not waited for', async () => {
    const boom = new Error('boom')
    for (const failing of [() => Promise.reject(boom), (): never => assert.fail(boom)]) {
      await assert.rejects(choose(failing), (error) => {
        assert.ok(error instanceof HandshakeError && error.cause === boom)
        assert.deepEqual(
          [error.code, error.message],
          ['ERR_WS_PROXY', 'no proxy for example.com: the function of the option failed'],
        )
        return true
      })
    }
    await assert.rejects(
      choose(() => 5),
      /^UsageError: proxy: the function must give a URL, or false$/,
    )
    await assert.rejects(
      choose(() => 'http://user:secret@'),
      /^UsageError: proxy: it is not a URL$/,
    )
    const controller = new AbortController()
    const options = resolveProxyOptions(() => new Promise(() => {}))
    const chosen = chooseProxy(target, options, controller.signal, {})
    controller.abort(boom)
    await assert.rejects(chosen, boom)
  })

  it('a variable that is no proxy is an error, and told without what it holds', async () => {
    for (const https_proxy of ['http://user:secret@', 'socks4://user:secret@proxy']) {
      await assert.rejects(choose(undefined, target, { https_proxy }), (error) => {
        assert.ok(error instanceof HandshakeError && error.code === 'ERR_WS_PROXY')
        assert.match(error.message, /^the environment variable https_proxy: (?!.*secret)/)
        return true
      })
    }
  })
})
