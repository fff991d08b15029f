import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Extension } from './extension.ts'
import { clashes, type HandshakeHeaders, listHeader, singleHeader } from './handshake-parts.ts'

const headers: HandshakeHeaders = { one: 'a', empty: '', two: ['a', 'b'], again: ['a'], missing: undefined }

function extension(name: string, rsv: number): Extension {
  return { name, rsv, encode: () => undefined, decode: (payload) => payload }
}

describe('singleHeader', () => {
  it('gives a value that occurs once', () => {
    assert.equal(singleHeader(headers, 'one'), 'a')
    assert.equal(singleHeader(headers, 'empty'), '')
  })

  it('gives nothing for a missing or repeated header', () => {
    for (const name of ['two', 'again', 'missing', 'unknown'])
      assert.equal(singleHeader(headers, name), undefined)
  })
})

describe('listHeader', () => {
  it('joins what was spread over several fields', () => {
    assert.equal(listHeader(headers, 'two'), 'a, b')
    assert.equal(listHeader(headers, 'one'), 'a')
    assert.equal(listHeader(headers, 'unknown'), undefined)
  })
})

describe('clashes', () => {
  const others = [extension('deflate', 0x40), extension('mux', 0x10), extension('hint', 0)]

  it('tells names and bits that are taken', () => {
    assert.equal(clashes(extension('brotli', 0x40), others), true)
    assert.equal(clashes(extension('wide', 0x30), others), true)
    assert.equal(clashes(extension('hint', 0), others), true)
  })

  it('lets the others be', () => {
    assert.equal(clashes(extension('brotli', 0x20), others), false)
    assert.equal(clashes(extension('note', 0), others), false)
    assert.equal(clashes(extension('deflate', 0x40), []), false)
  })
})
