import assert from 'node:assert/strict'
import * as crypto from 'node:crypto'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { acceptKey, formatKey, isValidKey, sha1With } from './accept-key.ts'

describe('acceptKey', () => {
  it('gives the example of RFC 6455 section 1.3', () => {
    assert.equal(acceptKey('dGhlIHNhbXBsZSBub25jZQ=='), 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=')
  })
})

describe('sha1With', () => {
  const empty = '2jmj7l5rSw0yVb/vlWAYkK/YBwk='

  it('does without the one-shot function', () => {
    const sha1 = sha1With({ createHash: crypto.createHash })
    assert.equal(sha1(''), empty)
    fc.assert(fc.property(fc.string(), (text) => assert.equal(sha1(text), sha1With(crypto)(text))))
  })

  it('uses the one-shot function where there is one', () => {
    const calls: unknown[][] = []
    const hash = ((...args: unknown[]) => {
      calls.push(args)
      return empty
    }) as typeof crypto.hash
    assert.equal(sha1With({ createHash: crypto.createHash, hash })('x'), empty)
    assert.deepEqual(calls, [['sha1', 'x', 'base64']])
  })
})

describe('isValidKey', () => {
  const good = [
    'dGhlIHNhbXBsZSBub25jZQ==',
    'AAAAAAAAAAAAAAAAAAAAAA==',
    '+/+/+/+/+/+/+/+/+/+/+w==',
    // The spare bits are not zero: decoders do not mind.
    'AAAAAAAAAAAAAAAAAAAAAB==',
  ]
  for (const key of good) it(`takes ${key}`, () => assert.equal(isValidKey(key), true))

  const bad: [string, string][] = [
    ['', 'nothing'],
    ['dGhlIHNhbXBsZSBub25jZQ=', 'one padding character'],
    ['dGhlIHNhbXBsZSBub25jZQ', 'no padding'],
    ['dGhlIHNhbXBsZSBub25jZQAA', '18 bytes'],
    ['dGhlIHNhbXBsZSBub25jZQA=', '17 bytes'],
    ['dGhlIHNhbXBsZSBub25j', '15 bytes'],
    ['dGhlIHNhbXBsZSBub25jZQ===', 'three padding characters'],
    ['dGhlIHNhbXBsZSBub25jZ===', 'padding in the place of a character'],
    ['dGhlIHNhbXBsZSBub25j-Q==', 'the alphabet for URLs'],
    ['dGhlIHNhbXBsZSBub25j_Q==', 'the alphabet for URLs'],
    [' GhlIHNhbXBsZSBub25jZQ==', 'a space'],
    ['dGhlIHNhbXBs\nSBub25jZQ==', 'a line feed'],
    ['dGhlIHNhbXBsZSBub25jZ\u0151==', 'a character beyond ASCII'],
    ['dGhlIHNhbXBsZSBub25jZQ==, dGhlIHNhbXBsZSBub25jZQ==', 'two keys'],
  ]
  for (const [key, why] of bad)
    it(`refuses ${why}: ${JSON.stringify(key)}`, () => assert.equal(isValidKey(key), false))

  it('knows the alphabet of base64', () => {
    const taken: string[] = []
    for (let code = 0; code < 0x200; code++) {
      if (isValidKey(`${String.fromCharCode(code)}${'A'.repeat(21)}==`)) taken.push(String.fromCharCode(code))
    }
    assert.equal(taken.join(''), '+/0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz')
  })

  it('never throws', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (key) => assert.equal(typeof isValidKey(key), 'boolean')),
    )
  })
})

describe('formatKey', () => {
  it('takes a view for the bytes that it shows', () => {
    const bytes = new TextEncoder().encode('<<the sample nonce>>')
    assert.equal(formatKey(bytes.subarray(2, 18)), 'dGhlIHNhbXBsZSBub25jZQ==')
  })

  it('makes valid keys that decode to the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (bytes) => {
        const key = formatKey(bytes)
        assert.ok(isValidKey(key))
        assert.deepEqual(new Uint8Array(Buffer.from(key, 'base64')), bytes)
      }),
    )
  })

  it('makes keys that are not valid of any other number of bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        assert.equal(isValidKey(formatKey(bytes)), bytes.length === 16)
      }),
    )
  })
})
