import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { isHeaderValue, lowerCase, wrongHeader } from './header-options.ts'

const reserved = new Set(['host'])

describe('wrongHeader', () => {
  it('passes names and lines of text', () => {
    for (const headers of [{}, { 'X-A': '', "a!#$%&'*+-.^_`|~9": 'a\tb é' }])
      assert.equal(wrongHeader(headers, reserved), undefined)
  })

  it('says what is wrong', () => {
    const table: [headers: unknown, why: string][] = [
      ...[null, undefined, 'x', [['a', 'b']], new Map(), new Headers()].map((headers): [unknown, string] => [
        headers,
        ' must be an object of names and values',
      ]),
      [{ 'a b': 'x' }, ': "a b" is not a header name'],
      [{ HOST: 'x' }, ': HOST is set by the handshake'],
      [{ a: 'x', b: 'a\r\nc: d' }, ': the value of b is not a line of text'],
      [{ a: 5 }, ': the value of a is not a line of text'],
    ]
    for (const [headers, why] of table) assert.equal(wrongHeader(headers, reserved), why)
  })
})

describe('isHeaderValue', () => {
  it('takes a line of bytes, and nothing else', () => {
    for (const value of ['', 'a', '\t', ' ', 'ÿ', '\x80']) assert.equal(isHeaderValue(value), true)
    for (const value of ['\0', '\n', '\r', '\x1f', '\x7f', 'Ā', '€', undefined, 1, ['a']])
      assert.equal(isHeaderValue(value), false)
  })
})

describe('lowerCase', () => {
  it('is for names; of two that are one, the last counts', () => {
    assert.deepEqual(lowerCase({ 'X-A': 'B', a: '1', A: '2' }), { 'x-a': 'B', a: '2' })
  })
})
