import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { subprotocols } from './subprotocols.ts'

function of(header: string | undefined): string[] {
  return subprotocols({ headers: { 'sec-websocket-protocol': header } })
}

describe('subprotocols', () => {
  const table: [header: string | undefined, expected: string[]][] = [
    [undefined, []],
    ['', []],
    [' , ', []],
    ['chat', ['chat']],
    ['chat.v2,chat.v1', ['chat.v2', 'chat.v1']],
    [' a\t,, b ', ['a', 'b']],
    ['Chat, chat', ['Chat', 'chat']],
    ['__proto__, constructor', ['__proto__', 'constructor']],
    ['a b', []],
    ['a, "b"', []],
    ['a;b', []],
  ]
  for (const [header, expected] of table) {
    it(`${JSON.stringify(header)}: ${expected.length}`, () => assert.deepEqual(of(header), expected))
  }

  it('takes 32, and none of a longer list', () => {
    const names = Array.from({ length: 33 }, (_, i) => `p${i}`)
    assert.deepEqual(of(names.slice(1).join()), names.slice(1))
    assert.deepEqual(of(names.join()), [])
  })

  it('answers with tokens, whatever the header is', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (header) => {
        for (const name of of(header)) assert.match(name, /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/)
      }),
    )
  })
})
