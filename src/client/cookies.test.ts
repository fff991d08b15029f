import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { HandshakeError } from '../session/errors.ts'
import { type CookieJar, cookieHeader, isCookieJar, storeCookies } from './cookies.ts'

const { signal } = new AbortController()
const url = new URL('wss://example.com/chat?x')
const boom = new Error('boom')

function jarOf(cookies: unknown): CookieJar {
  return { getCookieString: () => cookies as string, setCookie() {} }
}

describe('isCookieJar', () => {
  it('wants both methods, its own or inherited', () => {
    class Jar implements CookieJar {
      getCookieString(): string {
        return ''
      }
      setCookie(): void {}
    }
    assert.equal(isCookieJar(new Jar()), true)
    assert.equal(isCookieJar(jarOf('')), true)
    for (const value of [
      null,
      undefined,
      'x',
      {},
      { setCookie() {} },
      { getCookieString() {}, setCookie: 'x' },
    ])
      assert.equal(isCookieJar(value), false)
  })
})

describe('cookieHeader', () => {
  const table: [name: string, own: string | undefined, kept: string, header: string | undefined][] = [
    ['no cookies', undefined, '', undefined],
    ['those of the jar', undefined, 'a=1; b=2', 'a=1; b=2'],
    ['those of the caller', 'a=1', '', 'a=1'],
    ['both, the own first', 'c=3;d=4', 'a=1; b=2', 'c=3; d=4; a=1; b=2'],
    ['of one that both have, the own', 'a=own', 'a=1; b=2', 'a=own; b=2'],
    ['names have a case', 'A=own', 'a=1', 'A=own; a=1'],
    ['values may have =', 'a=x=y', 'a=z; b==', 'a=x=y; b=='],
    ['without a name', 'x', 'y; =z; a=1', 'x; a=1'],
    ['nothing but separators', ' ; ;', ';', undefined],
    ['of two in the jar, both', undefined, 'a=/; a=/x', 'a=/; a=/x'],
    ['bytes', undefined, 'a=\xe9\tb', 'a=\xe9\tb'],
  ]
  for (const [name, own, kept, header] of table) {
    it(name, async () => assert.equal(await cookieHeader(own, jarOf(kept), url, signal), header))
  }

  it('asks for the URL as the web writes it, now or later', async () => {
    const asked: string[] = []
    const jar: CookieJar = {
      async getCookieString(of) {
        asked.push(of)
        return 'a=1'
      },
      setCookie() {},
    }
    assert.equal(await cookieHeader(undefined, jar, url, signal), 'a=1')
    await cookieHeader(undefined, jar, new URL('ws://[::1]:81/'), signal)
    assert.deepEqual(asked, ['https://example.com/chat?x', 'http://[::1]:81/'])
  })

  it('a jar that fails, or would write more than a header', async () => {
    const failing: CookieJar[] = [
      { ...jarOf(''), getCookieString: () => assert.fail(boom) },
      { ...jarOf(''), getCookieString: () => Promise.reject(boom) },
    ]
    for (const jar of failing) {
      await assert.rejects(cookieHeader(undefined, jar, url, signal), (error) => {
        assert.ok(error instanceof HandshakeError && error.cause === boom)
        assert.equal(error.message, 'no connection to example.com: the cookie jar failed')
        return error.code === 'ERR_WS_CONNECT'
      })
    }
    for (const wrong of ['a=1\r\nx: y', 'a=1\n', 'a=\0', 'a=€', undefined, 5, ['a']]) {
      await assert.rejects(
        cookieHeader(undefined, jarOf(wrong), url, signal),
        /^HandshakeError: no connection to example.com: the cookie jar gave no line of text$/,
      )
    }
  })

  it('is given up with the signal', async () => {
    const controller = new AbortController()
    const jar = { ...jarOf(''), getCookieString: () => new Promise<string>(() => {}) }
    const header = cookieHeader(undefined, jar, url, controller.signal)
    controller.abort(boom)
    await assert.rejects(header, boom)
  })
})

describe('storeCookies', () => {
  it('gives all of them, in order, past what the jar does not take', async () => {
    const given: unknown[] = []
    const jar: CookieJar = {
      getCookieString: () => '',
      async setCookie(cookie, of) {
        if (cookie === 'bad') throw boom
        await Promise.resolve()
        given.push(cookie, of)
      },
    }
    await storeCookies(['a=1', 'bad', 'b=2; Path=/'], jar, url, signal)
    const of = 'https://example.com/chat?x'
    assert.deepEqual(given, ['a=1', of, 'b=2; Path=/', of])
    await storeCookies(['a=1'], { ...jar, setCookie: () => assert.fail(boom) }, url, signal)
  })

  it('is given up with the signal', async () => {
    const controller = new AbortController()
    const given: string[] = []
    const jar: CookieJar = {
      getCookieString: () => '',
      setCookie(cookie) {
        given.push(cookie)
        return new Promise(() => {})
      },
    }
    const stored = storeCookies(['a=1', 'b=2'], jar, url, controller.signal)
    controller.abort(boom)
    await assert.rejects(stored, boom)
    assert.deepEqual(given, ['a=1'])
  })
})
